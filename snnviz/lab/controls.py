"""Buttons and sliders: what a user presses or moves becomes a command of the session."""

import math
import threading
from collections.abc import Callable

import ipywidgets as widgets

from snnviz.lab.session import Session
from snnviz.lab.status import Status


class Buttons:
    """Play, Pause, three kinds of step, Reset, and Save."""

    def __init__(self, session: Session, save: Callable[[], None]) -> None:
        def step(unit: str) -> Callable[[], None]:
            return lambda: session.step(unit)  # type: ignore[arg-type]

        self.play = _button("Play", "play", "Train to the end of the schedule", session.play)
        self.pause = _button("Pause", "pause", "Stop after the step under way", session.pause)
        self.steps = [
            _button("Step batch", "step-forward", "Make one step", step("batch")),
            _button("Step phase", "forward", "Go to the end of the phase under way", step("phase")),
            _button(
                "Step epoch", "fast-forward", "Go to the end of the epoch under way", step("epoch")
            ),
        ]
        self.reset = _button(
            "Reset", "undo", "Back to the start; the schedule stays", session.reset
        )
        self.save = _button(
            "Save figures", "download", "Write the figures as PDF, SVG and PNG files", save
        )
        self.rollback = _button(
            "Back", "history", "Return to the state at the last epoch's end", session.rollback
        )
        self.rollback.add_class("snnviz-rollback").layout.display = "none"
        groups = [[self.play, self.pause], self.steps, [self.reset], [self.save]]
        self.widget = _box("snnviz-buttons", [_box("snnviz-group", group) for group in groups])

    def show(self, status: Status) -> None:
        """Marks what is next at hand: Play while nothing runs, Pause while something does."""
        self.play.button_style = "" if status.running else "primary"
        self.pause.button_style = "primary" if status.running else ""
        for button in (self.play, self.pause, *self.steps, self.reset):
            button.disabled = status.activity == "closed"
        if status.problem:
            self.rollback.description = f"Back to {status.problem.rollback}"
        shown = status.problem is not None and status.activity != "closed"
        self.rollback.layout.display = None if shown else "none"


class Sliders:
    """The fields of the schedule that can be changed by hand."""

    def __init__(self, session: Session) -> None:
        self._session = session
        plan = session.status.planned
        self.fields = {
            "task_steps": _count("task steps a round", plan.task_steps, 1, 50),
            "switcher_steps": _count("switcher steps a round", plan.switcher_steps, 0, 20),
            "task_lr": _rate("task learning rate", plan.task_lr, -4),
            "switcher_lr": _rate("switcher learning rate", plan.switcher_lr, -5),
            "epochs": widgets.BoundedIntText(
                plan.epochs, min=1, max=1_000_000, description="planned epochs"
            ),
        }
        for name, slider in self.fields.items():
            slider.tooltip = f"schedule.{name}, from the next round on"
            slider.add_class(f"snnviz-{name}").add_class("snnviz-field")
            slider.observe(self._moved(name), "value")
        self.widget = _box("snnviz-sliders", list(self.fields.values()))
        self._writer: threading.Thread | None = None

    def show(self, status: Status) -> None:
        """Puts the sliders where the schedule is, unless a move of theirs is still on its way."""
        self._writer = threading.current_thread()
        try:
            for name, slider in self.fields.items():
                slider.disabled = status.activity == "closed"
                value = getattr(status.planned, name)
                if self._session.status is status and self._session.caught_up:
                    _make_room(slider, value)
                    if slider.value != value:
                        slider.value = value
        finally:
            self._writer = None

    def _moved(self, name: str) -> Callable[[dict], None]:
        def observe(change: dict) -> None:
            if threading.current_thread() is self._writer:  # nobody's hand
                return
            value = change["new"]
            self._session.set_schedule(
                **{name: float(f"{value:.2g}") if isinstance(value, float) else value}
            )

        return observe


def _button(text: str, icon: str, tooltip: str, action: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=text, icon=icon, tooltip=tooltip)
    button.add_class(f"snnviz-{text.lower().replace(' figures', '').replace(' ', '-')}")
    button.on_click(lambda _: action())
    return button


def _count(text: str, value: int, least: int, most: int) -> widgets.IntSlider:
    slider = widgets.IntSlider(
        least, min=least, max=most, description=text, continuous_update=False
    )
    _make_room(slider, value)
    slider.value = value
    return slider


def _rate(text: str, value: float, least: float) -> widgets.FloatLogSlider:
    slider = widgets.FloatLogSlider(
        10**least,
        min=least,
        max=0,
        step=0.1,
        description=text,
        readout_format=".2g",
        continuous_update=False,
    )
    _make_room(slider, value)
    slider.value = value
    return slider


def _make_room(slider: widgets.ValueWidget, value: float) -> None:
    """Widens a slider's range to hold the value. A rate of 0 has no place on a log scale."""
    if isinstance(slider, widgets.IntSlider):
        if value > slider.max:
            slider.max = 2 * int(value)
    elif isinstance(slider, widgets.FloatLogSlider) and value > 0:
        exponent = math.log10(value)
        if exponent > slider.max:
            slider.max = math.ceil(exponent)
        if exponent < slider.min:
            slider.min = math.floor(exponent)


def _box(css_class: str, children: list) -> widgets.Box:
    return widgets.Box(children).add_class(css_class)
