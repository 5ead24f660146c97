"""What a command returns: text for people, one JSON document for scripts."""

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pandas import DataFrame

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130  # exit codes


class Answer(NamedTuple):
    text: str
    document: dict[str, Any]
    code: int = DONE

    def as_json(self) -> str:
        return json.dumps(_plain(self.document), indent=1, allow_nan=False, default=_write_value)


def rows(frame: "DataFrame") -> list[dict[str, Any]]:
    """A DataFrame's rows."""
    return frame.to_dict("records")


def _plain(value: Any) -> Any:
    """The value in JSON's types; NaN and missing times become null."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    missing = value != value or (isinstance(value, float) and math.isinf(value))
    return None if missing else value


def _write_value(value: Any) -> str:
    """A value that is neither a number nor text: a time, or a path."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
