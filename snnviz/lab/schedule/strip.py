"""The schedule in one line: its phases to scale, as HTML."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


def strip_html(bands: Sequence[Mapping[str, Any]], total: int, now: float, words: str) -> str:
    """The phases from left to right, and how far the run has come.

    Args:
        bands: as the timeline has them.
        total: epochs that the strip spans.
        now: how far the run has come, in epochs.
        words: the schedule in a sentence, for screen readers.
    """
    parts = "".join(_part(band, total) for band in bands)
    mark = f'<i style="left: {100 * min(now / total, 1):.1f}%"></i>' if now else ""
    return f'<div class="snnviz-stages" role="img" aria-label="{escape(words)}">{parts}{mark}</div>'


def _part(band: Mapping[str, Any], total: int) -> str:
    kind, rounds = band["kind"], band["round"]
    label = f"{rounds[0]}:{rounds[1]}" if rounds else kind
    done = " snnviz-is-done" if band["done"] else ""
    left, width = (100 * x / total for x in (band["start"], band["end"] - band["start"]))
    return (
        f'<span class="snnviz-stages-{kind.replace(" ", "-")}{done}" '
        f'style="left: {left:.1f}%; width: {width:.1f}%" title="{escape(band["words"])}">'
        f"{escape(label)}</span>"
    )
