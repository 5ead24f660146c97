"""The lab as a whole: a session, its controls and figures, and the thread that refreshes them."""

import threading
import time
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets as widgets

from snnviz.lab.controls import Buttons, Sliders
from snnviz.lab.messages import Messages
from snnviz.lab.session import Session, Unit
from snnviz.lab.views import Figures
from snnviz.trainer import Trainer

REFRESH_EVERY = 0.2  # seconds at least between two writes to the page


class Lab:
    """A trainer under your hands: as the last line of a cell it shows itself.

    Buttons play, pause and step; sliders change the schedule from the next round on. Training runs
    in a thread of its own and the kernel stays free: read `lab.trainer.history` whenever you like.
    Leave the trainer's methods alone while its lab is open, and use the lab's instead.

    A trainer has one lab at a time: a new one closes the one before it.

    >>> lab = Lab(trainer)  # doctest: +SKIP
    >>> lab.play(); lab.wait(epochs=2); lab.pause()  # doctest: +SKIP
    """

    def __init__(self, trainer: Trainer) -> None:
        self._wake = threading.Event()
        self.session = Session(trainer, on_change=self._wake.set)
        self._figures = Figures()
        self._buttons = Buttons(self.session, self._start_saving)
        self._sliders = Sliders(self.session)
        self._messages = Messages(f"{trainer.device} · {trainer.precision}", self._buttons.rollback)
        self._saved = Saved()
        self._saver: threading.Thread | None = None
        parts = [self._buttons, self._messages, self._saved, self._sliders, self._figures]
        self.widget = widgets.VBox([_style(), *[part.widget for part in parts]])
        self.widget.add_class("snnviz-lab")
        while self._show():
            pass
        # From here on this thread alone writes to the widgets.
        self._refresher = threading.Thread(target=self._refresh, name="snnviz-refresh", daemon=True)
        self._refresher.start()

    def __repr__(self) -> str:
        at = self.session.status
        done = f"{at.position.epoch} of {at.schedule.epochs} epochs done"
        return f"Lab({at.activity}, {done}, step {at.position.step})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.widget._repr_mimebundle_(**kwargs)

    # For code cells ---------------------------------------------------------------------------

    @property
    def trainer(self) -> Trainer:
        """What the lab trains. Read its history at any time; leave its methods to the lab."""
        return self.session.trainer

    def play(self) -> None:
        """Trains to the schedule's end, in the background."""
        self.session.play()

    def pause(self) -> None:
        """Stops after the step under way."""
        self.session.pause()

    def step(self, unit: Unit = "batch", n: int = 1) -> None:
        """Makes one step ("batch"), or goes to the end of the phase or epoch under way; n times."""
        self.session.step(unit, n)

    def reset(self) -> None:
        """Stops, and goes back to the start; the schedule stays."""
        self.session.reset()

    def rollback(self) -> None:
        """Stops, and goes back to the last epoch's end."""
        self.session.rollback()

    def set_schedule(self, **changes: Any) -> None:
        """Changes fields of the schedule from the next round on: `lab.set_schedule(task_steps=8)`.

        Raises:
            ValueError: a field does not exist, or its value is not allowed.
        """
        self.session.status.planned.replace(**changes)  # so that a slip fails in the cell
        self.session.set_schedule(**changes)

    def wait(self, epochs: int | None = None, timeout: float | None = None) -> None:
        """Blocks the cell until nothing is to be done, or until so many epochs are done in all.

        Interrupting the cell ends the waiting, not the training.

        Raises:
            TrainingStopped: training ended with it.
            RuntimeError: training ended with another error.
            TimeoutError: `timeout` seconds are over.
        """
        self.session.wait(epochs, timeout)

    def close(self) -> None:
        """Ends the lab's threads. The trainer stays as it is, and may be used directly again."""
        self.session.close()
        self._wake.set()
        self._refresher.join()

    # The refresher ----------------------------------------------------------------------------

    def _refresh(self) -> None:
        more, open_ = True, True
        while more or open_:
            self._wake.wait(REFRESH_EVERY if more else None)
            self._wake.clear()
            open_ = self.session.status.activity != "closed"
            more = self._show()
            time.sleep(REFRESH_EVERY)

    def _show(self) -> bool:
        """Brings the page up to date with the newest state; whether a figure still waits."""
        status, history = self.session.status, self.trainer.history
        try:
            self._buttons.show(status)
            self._sliders.show(status)
            self._saved.show()
            self._messages.show(status, history)
            return self._figures.show(status, history)
        except Exception as error:  # without this thread the page would stand still for good
            self._messages.fail(error)
            return False

    # Saving -----------------------------------------------------------------------------------

    def _start_saving(self) -> None:
        """Saving takes seconds, so a thread does it; a click before it is done does nothing."""
        if self._saver is None or not self._saver.is_alive():
            self._saver = threading.Thread(target=self._save, name="snnviz-save", daemon=True)
            self._saver.start()

    def _save(self) -> None:
        if self.session.status.position.step == 0:
            self._saved.news = "Nothing to save yet: no step has been made."
            self._wake.set()
            return
        self._saved.news = "Saving figures …"
        self._wake.set()
        try:
            self._saved.news = _links(self._figures.save(self.trainer.history))
        except Exception as error:
            text = f"The figures were not saved. {type(error).__name__}: {error}"
            self._saved.news = f'<div role="alert">{escape(text)}</div>'
        self._wake.set()


class Saved:
    """Says where the figures are.

    An `Output`, but never its context manager: JupyterLab opens the files that links in it name.
    """

    def __init__(self) -> None:
        self.widget = widgets.Output().add_class("snnviz-saved")
        self.news = ""  # HTML, from any thread

    def show(self) -> None:
        """Puts the news on the page."""
        if self.news:
            data = {"text/html": f'<div role="status">{self.news}</div>'}
            output = {"output_type": "display_data", "data": data, "metadata": {}}
            self.widget.outputs = (output,)


def _links(paths: list[Path]) -> str:
    """The files as links: a name for each figure, and its formats."""
    parts: dict[str, list[str]] = {}
    for path in paths:
        links = parts.setdefault(path.stem, [])
        text = path.suffix if links else path.as_posix()
        links.append(f'<a href="{quote(path.as_posix())}" target="_blank">{escape(text)}</a>')
    return f"Saved {', '.join(' '.join(links) for links in parts.values())}"


def _style() -> widgets.HTML:
    css = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return widgets.HTML(f"<style>{css}</style>", layout=widgets.Layout(display="none"))
