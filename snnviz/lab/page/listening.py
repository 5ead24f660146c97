"""Lets a cell that waits go on hearing the page, which may be loaded again meanwhile.

A kernel deals with one message at a time on the shell where cells run. So while a cell waits, a
page that is loaded again gets no answer, and shows no widget; and without subshells no click is
heard.
"""

import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# What a page asks for to show its widgets again, and what their controls send.
ANSWERED = {"kernel_info_request", "comm_info_request", "comm_open", "comm_msg", "comm_close"}


@contextmanager
def interrupted_later() -> Iterator[None]:
    """An interrupt within the block is raised at its end. For the main thread."""
    came = False

    def keep(*_: Any) -> None:
        nonlocal came
        came = True

    usual = signal.signal(signal.SIGINT, keep)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if came:
        signal.raise_signal(signal.SIGINT)


class Listener:
    """Answers the page's messages in the main thread, within the cell that runs.

    What a cell must wait for, such as another cell, is left until this one ends. Outside a kernel,
    in another thread, and in a kernel of another make, it does nothing.
    """

    def __init__(self) -> None:
        self._kernel, self._stream, self._replies = _find_shell()
        self._left: list[Any] = []

    def listen(self) -> None:
        """Answers what has come; an interrupt waits for the end of it, so that nothing is lost."""
        if self._stream is None:
            return
        with interrupted_later():
            while (message := self._next()) is not None:
                if self._kind(message) in ANSWERED:
                    self._answer(message)
                else:
                    self._left.append(message)

    def end(self) -> None:
        """Hands what was left to the kernel, in order: it comes before what is still to come."""
        left, self._left = self._left, []
        for message in left:
            self._kernel.io_loop.add_callback(self._stream._recv_callback, message)

    def _next(self) -> Any:
        import zmq

        try:
            return self._stream.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return None

    def _kind(self, message: Any) -> str:
        """The type of a message; "" if it is none of the page's."""
        session = self._kernel.session
        try:
            _, frames = session.feed_identities(message, copy=False)
            header = session.deserialize(frames, content=False, copy=False)["header"]
        except Exception:  # the kernel says what is wrong with it
            return ""
        return header["msg_type"]

    def _answer(self, message: Any) -> None:
        import zmq

        kernel, session = self._kernel, self._kernel.session
        identities, frames = session.feed_identities(message, copy=False)
        request = session.deserialize(frames, content=True, copy=False)
        cell = kernel._parent_ident["shell"], kernel.get_parent("shell")
        kernel.set_parent(identities, request, channel="shell")
        kernel._publish_status("busy", "shell")
        try:
            answer = kernel.shell_handlers[request["header"]["msg_type"]]
            _finish(answer(self._replies, identities, request))
        except Exception:
            kernel.log.exception("Exception in message handler:")
        finally:
            kernel._publish_status("idle", "shell")
            kernel.set_parent(*cell, channel="shell")
            kernel._publish_status("busy", "shell")  # the cell goes on
            if hasattr(self._replies, "flush"):  # else they are sent when the cell has ended
                self._replies.flush(zmq.POLLOUT)


def _find_shell() -> tuple[Any, Any, Any]:
    """The kernel, the stream of its main shell's messages, and where the replies go."""
    from IPython.core.getipython import get_ipython

    kernel: Any = getattr(get_ipython(), "kernel", None)
    if kernel is None or threading.current_thread() is not threading.main_thread():
        return None, None, None
    try:
        channel = getattr(kernel, "shell_channel_thread", None)
        if channel is None:  # before version 7, or without subshells
            stream, replies = kernel.shell_stream, kernel.shell_stream
        else:
            stream = channel.manager.get_shell_channel_to_subshell_pair(None).to_stream
            replies = channel.manager.get_subshell_to_shell_channel_socket(None)
        needed: tuple[Callable, ...] = (
            stream._recv_callback,
            stream.socket.recv_multipart,
            kernel.io_loop.add_callback,
            kernel.set_parent,
            kernel._publish_status,
        )
        known = all(map(callable, needed)) and "shell" in kernel._parent_ident
        return (kernel, stream, replies) if known else (None, None, None)
    except AttributeError:
        return None, None, None


def _finish(answer: Any) -> None:
    """Runs a coroutine that waits for nothing."""
    if not inspect.iscoroutine(answer):
        return
    try:
        answer.send(None)
    except StopIteration:
        return
    answer.close()
    raise RuntimeError("this answer waits for something, and cannot while a cell runs.")
