"""Commands on their way to a session's thread, and waiting for what comes of them."""

import threading
import time
from collections import deque
from collections.abc import Callable

Command = Callable[[], None]


class Inbox:
    """A queue of commands that many threads send and one thread takes, in order."""

    def __init__(self) -> None:
        self.changed = threading.Condition()  # notified of commands and of each new status
        self.sent = 0
        self._commands: deque[Command] = deque()
        self._closing = False

    def send(self, command: Command) -> None:
        """Adds a command.

        Raises:
            RuntimeError: the last command has been sent.
        """
        with self.changed:
            if self._closing:
                raise RuntimeError("This lab is closed. Make another one with Lab(trainer).")
            self._add(command)

    def send_last(self, command: Command) -> None:
        """Adds a command after which none is accepted; nothing, if there is such a one already."""
        with self.changed:
            if not self._closing:
                self._closing = True
                self._add(command)

    def take(self, patience: float | None) -> list[Command]:
        """All commands that have come, after at most so many seconds; None: at least one."""
        with self.changed:
            self.changed.wait_for(lambda: self._commands, patience)
            taken = list(self._commands)
            self._commands.clear()
        return taken

    def block_until(
        self,
        arrived: Callable[[], bool],
        timeout: float | None,
        late: Callable[[], str],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Blocks until a condition holds, and calls `meanwhile` now and then.

        Raises:
            TimeoutError: `timeout` seconds are over; with the text of `late`.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self.changed:
                if arrived():
                    return
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(late())
                self.changed.wait(0.2)  # short: Windows interrupts no longer wait
            meanwhile()  # training need not wait for it

    def _add(self, command: Command) -> None:
        self._commands.append(command)
        self.sent += 1
        self.changed.notify_all()
