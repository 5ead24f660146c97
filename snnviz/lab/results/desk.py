"""The buttons for what is taken along from the lab, and the sheet that shows what came of them."""

import re
import threading
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from snnviz.lab.page.pieces import button
from snnviz.lab.results.sheet import Sheet
from snnviz.lab.results.smaller import Compacted, Smaller, make_smaller, save_files, sizes_html
from snnviz.lab.session import Session, Status

FOLDER = Path("networks")  # where the smaller network's files are written


class Desk:
    """Compact, Export, Copy as Python and Dense twin.

    Args:
        session: of the run that is active at first.
        name: gives the name of the active run.
        write: gives the lines that do the same as was done.
        twin: asks for a run without switcher beside the active one.
        wake: called in any thread when `show` should be called soon; it must return at once.
    """

    def __init__(
        self,
        session: Session,
        name: Callable[[], str],
        write: Callable[[], str],
        twin: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self.session, self._name, self._write, self._wake = session, name, write, wake
        self.compacted: Compacted | None = None
        self._lock = threading.Lock()
        self._news: list[dict[str, Any]] = []  # what the sheet is to show, from any thread
        self.sheet = Sheet().add_class("snnviz-sheet")
        self.buttons = [
            button(text, css_class, tooltip, act)
            for text, css_class, tooltip, act in (
                ("Compact", "compact", "Remove the off neurons: what that saves", self._on_compact),
                ("Export", "export", "Write the smaller network to files", self._on_export),
                ("Copy as Python", "copy-code", "Lines that do what was done", self._on_copy),
                ("Dense twin", "twin", "Train the same network without a switcher beside it", twin),
            )
        ]

    def turn_to(self, session: Session) -> None:
        """Acts on another run from now on."""
        self.session = session

    def show(self, status: Status) -> None:
        """Brings buttons and sheet up to date."""
        closed = status.activity == "closed"
        for each in self.buttons:
            if each.disabled != closed:
                each.disabled = closed
        with self._lock:
            news, self._news = self._news[-1:], []
        for given in news:
            self.sheet.present(**given)

    def take(self, smaller: Smaller) -> Compacted:
        """Keeps a smaller network, and shows what it saves."""
        self.compacted = smaller.compacted
        self._say(f"{self._name()}, compacted at step {smaller.step}", html=sizes_html(smaller))
        return smaller.compacted

    # In any thread ----------------------------------------------------------------------------

    def _on_compact(self) -> None:
        self._say("Compact", html="<p>Removing the off neurons and measuring …</p>")
        self.session.ask(make_smaller, self._compacted, "compact")

    def _compacted(self, made: Smaller | Exception) -> None:
        if isinstance(made, Exception):
            self._fail("The network was not compacted.", made)
        else:
            self.take(made)

    def _on_export(self) -> None:
        self._say("Export", html="<p>Removing the off neurons and writing files …</p>")
        name = re.sub(r"[^\w.-]+", "_", self._name()).strip("._") or "run"

        def export(trainer: Any) -> tuple[Smaller, list[Path], list[str]]:
            smaller = make_smaller(trainer, latency=False)
            return smaller, *save_files(smaller, f"{name}_step_{smaller.step}", FOLDER)

        self.session.ask(export, self._exported)

    def _exported(self, made: tuple[Smaller, list[Path], list[str]] | Exception) -> None:
        if isinstance(made, Exception):
            self._fail("Nothing was exported.", made)
            return
        smaller, written, problems = made
        self.compacted = smaller.compacted
        self._say("Exported", html=_files_html(written, problems))

    def _on_copy(self) -> None:
        self._say("The same in Python", code=self._write())

    def _fail(self, what: str, error: Exception) -> None:
        text = f"{what} {type(error).__name__}: {error}"
        self._say("Refused", html=f'<div role="alert">{escape(text)}</div>')

    def _say(self, title: str, html: str = "", code: str = "") -> None:
        with self._lock:
            self._news.append({"title": title, "html": html, "code": code})
        self._wake()


def _files_html(written: list[Path], problems: list[str]) -> str:
    """The files, how to read each, and what could not be written."""
    how = {
        "": "snnviz.export.load_compact({!r})",
        ".pt2": "torch.export.load({!r}).module()",
        ".onnx": "onnxruntime.InferenceSession({!r})",
    }
    lines = [
        f"<li><b>{escape(path.as_posix())}</b><br><code>"
        f"{escape(how[_suffix(path)].format(path.as_posix()))}</code></li>"
        for path in written
    ]
    lines += [f'<li role="alert">Not written: {escape(why)}</li>' for why in problems]
    return f"<ul>{''.join(lines)}</ul><p>In a cell: network, report = lab.compacted</p>"


def _suffix(path: Path) -> str:
    return path.suffix if path.suffix in (".pt2", ".onnx") else ""
