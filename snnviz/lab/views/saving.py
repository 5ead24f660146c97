"""What the lab writes to disk: one thing at a time, in a thread, with links to what was written."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import ipywidgets as widgets


class Saved:
    """Says where the files are.

    An `Output`, but never its context manager: JupyterLab opens the files that links in it name.
    """

    def __init__(self) -> None:
        self.widget = widgets.Output().add_class("snnviz-saved")
        self.news = ""  # HTML, from any thread
        self._shown = ""

    def show(self) -> None:
        """Puts the news on the page."""
        news = self.news
        if news != self._shown:
            data = {"text/html": f'<div role="status">{news}</div>'}
            output = {"output_type": "display_data", "data": data, "metadata": {}}
            self.widget.outputs, self._shown = (output,), news


class Saver:
    """Saving takes seconds, so a thread does it; what comes meanwhile waits its turn.

    Args:
        saved: where the news goes.
        wake: called in any thread when there is news; it must return at once.
    """

    def __init__(self, saved: Saved, wake: Callable[[], None] = lambda: None) -> None:
        self._saved, self._wake = saved, wake
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._jobs: deque[tuple[str, Callable[[], Sequence[Path]]]] = deque()
        self._done: list[str] = []  # what came of those that were asked for together

    def start(self, what: str, save: Callable[[], Sequence[Path]]) -> None:
        """Calls `save`, after all that was asked for before, and links to the files it returns.

        Args:
            what: in the plural, for messages: "figures".
            save: a `ValueError` of it is a word to the user.
        """
        with self._lock:  # two clicks may come in two threads
            self._jobs.append((what, save))
            if self._thread is None:
                self._done = []
                self._thread = threading.Thread(target=self._work, name="snnviz-save", daemon=True)
                self._thread.start()
            self._say()

    def wait(self, timeout: float | None = None) -> None:
        """Until nothing is being saved."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._thread = None
                    return
                job = self._jobs[0]
            outcome = _outcome(*job)
            with self._lock:
                self._jobs.popleft()
                self._done.append(outcome)
                self._say()

    def _say(self) -> None:
        waiting = [f"Saving {escape(what)} …" for what, _ in self._jobs]
        self._saved.news = "<br>".join([*self._done, *waiting])
        self._wake()


def _outcome(what: str, save: Callable[[], Sequence[Path]]) -> str:
    try:
        return links(save())
    except NothingToSave as error:
        return escape(str(error))
    except Exception as error:
        text = f"The {what} were not saved. {type(error).__name__}: {error}"
        return f'<div role="alert">{escape(text)}</div>'


class NothingToSave(Exception):
    """There is nothing to write yet; the text says why."""


def links(paths: Sequence[Path]) -> str:
    """The files as links: a name for each figure, and its formats."""
    parts: dict[str, list[str]] = {}
    for path in paths:
        found = parts.setdefault(path.stem, [])
        text = path.suffix if found else path.as_posix()
        found.append(f'<a href="{quote(path.as_posix())}" target="_blank">{escape(text)}</a>')
    return f"Saved {', '.join(' '.join(each) for each in parts.values())}"
