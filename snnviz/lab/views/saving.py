"""What the lab writes to disk: one thing at a time, in a thread, with links to what was written."""

import threading
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
    """Saving takes seconds, so a thread does it.

    Args:
        saved: where the news goes.
        wake: called in any thread when there is news; it must return at once.
    """

    def __init__(self, saved: Saved, wake: Callable[[], None] = lambda: None) -> None:
        self._saved, self._wake = saved, wake
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, what: str, save: Callable[[], Sequence[Path]]) -> None:
        """Calls `save` and links to the files it returns; before the last one is done, nothing.

        Args:
            what: in the plural, for messages: "figures".
            save: a `ValueError` of it is a word to the user.
        """
        with self._lock:  # two clicks may come in two threads
            if self._thread is not None and self._thread.is_alive():
                return
            self._say(f"Saving {escape(what)} …")
            work = threading.Thread(
                target=self._work, args=(what, save), name="snnviz-save", daemon=True
            )
            self._thread = work
            work.start()

    def wait(self, timeout: float | None = None) -> None:
        """Until nothing is being saved."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def _work(self, what: str, save: Callable[[], Sequence[Path]]) -> None:
        try:
            paths = save()
        except NothingToSave as error:
            self._say(escape(str(error)))
        except Exception as error:
            text = f"The {what} were not saved. {type(error).__name__}: {error}"
            self._say(f'<div role="alert">{escape(text)}</div>')
        else:
            self._say(links(paths))

    def _say(self, news: str) -> None:
        self._saved.news = news
        self._wake()


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
