"""What other processes write while a test waits for it."""

import json
from pathlib import Path
from typing import Any


def read_when_whole(path: Path) -> Any:
    """What a file of JSON holds; None as long as it is not written, or not to its end."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
