"""What happened when: the history's events in words, as a table of HTML."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, cast

from snnviz.history import History

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_LINES = 200  # more would make the page slow; the saved data has all
MAX_NUMBERS = 12  # neurons that one line names
KINDS = {
    "everything": "",
    "went off": "off",
    "came back on": "on",
    "schedule and other": "run",
}


def choose_events(history: History, kind: str = "", group: str = "") -> "DataFrame":
    """The events of a kind (one of `KINDS`' values) and of a group; "" is all of them."""
    events = history.events
    flips = events["event"].isin(["off", "on"])
    wanted = ~flips if kind == "run" else (events["event"] == kind) if kind else flips | True
    if group:
        wanted &= events["group"] == group
    return cast("DataFrame", events[wanted]).reset_index(drop=True)


def events_html(events: "DataFrame") -> str:
    """A table, the newest first. Neurons of a group that flipped together share a line."""
    lines = list(_lines(events))
    if not lines:
        return '<p class="snnviz-none">No such event yet.</p>'
    shown = lines[::-1][:MAX_LINES]
    rows = [
        f'<tr><td>{epoch}</td><td>{step}</td><td><span class="snnviz-mark snnviz-mark-{mark}">'
        f"</span>{escape(words)}</td></tr>"
        for epoch, step, mark, words in shown
    ]
    left = len(lines) - len(shown)
    more = (
        f"<p>{left} earlier lines are not shown here; the saved data contains them.</p>"
        if left
        else ""
    )
    return (
        '<div class="snnviz-scroll" tabindex="0" role="region" aria-label="events">'
        "<table><thead><tr><th>epoch</th><th>step</th><th>what happened</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{more}</div>"
    )


def _lines(events: "DataFrame") -> Iterator[tuple[int, int, str, str]]:
    """(epoch, step, mark, words), neurons that flipped together in one."""
    together: dict[tuple, list[int]] = {}
    for i, row in enumerate(events.itertuples(index=False)):
        epoch, step, event, group, neuron, _, detail = row
        flip = event in ("off", "on")
        key = (epoch, step, event, group, "" if flip else detail, -1 if flip else i)
        together.setdefault(key, []).append(neuron)
    for (epoch, step, event, group, detail, _), neurons in together.items():
        if event in ("off", "on"):
            yield epoch, step, event, _describe_flip(event, group, neurons)
        else:
            yield epoch, step, "run", _describe_event(event, group, neurons[0], detail)


def _describe_flip(event: str, group: str, neurons: Sequence[int]) -> str:
    did = "went off" if event == "off" else "came back on"
    if len(neurons) == 1:
        return f"neuron {neurons[0]} of {group} {did}"
    some = ", ".join(map(str, neurons[:MAX_NUMBERS]))
    return f"{len(neurons)} neurons of {group} {did}: {some}{', …' * (len(neurons) > MAX_NUMBERS)}"


def _describe_event(event: str, group: str, neuron: int, detail: str) -> str:
    where = "" if not group else f" {group}" if neuron < 0 else f" neuron {neuron} of {group}"
    return f"{event}{where}{': ' * bool(detail)}{detail}"
