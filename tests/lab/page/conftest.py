"""What the kernel tells the page."""

from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is sent to the page: (kind of message, state)."""
    messages = []

    class Recorder(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
            messages.append((msg_type, data.get("state", {})))

    monkeypatch.setattr(comm, "create_comm", Recorder)
    return messages
