"""What was done to a run by hand, in order: enough to do the same again in Python."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snnviz.training import Position, Schedule


@dataclass(frozen=True)
class Deed:
    """A method of the lab that was called, or a button that does the same.

    Attributes:
        call: the method's name.
        arguments: for it, by name.
        before, after: how far training was; they differ only where it went back.
        at: seconds, on a clock that all runs share.
    """

    call: str
    arguments: Mapping[str, Any]
    before: Position
    after: Position
    at: float = field(default_factory=time.monotonic)


def describe_fork(
    epoch: int, name: str, planned: Schedule, schedule: Schedule | None
) -> dict[str, Any]:
    """The arguments of `lab.fork` for a fork with this schedule of a run with another one."""
    given = {"epoch": epoch, **({"name": name} if name else {})}
    changes = planned.changes(schedule) if schedule else {}
    return given | {field: new for field, (_, new) in changes.items()}
