"""Fonts that have the letters of all names: Chinese group names need another one than DejaVu."""

from __future__ import annotations

from functools import lru_cache

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter

from snnviz.notes import tell

#: the fonts of all text; matplotlib includes the first, so sizes agree everywhere
FONT = ("DejaVu Sans", "sans-serif")
LAST_RESORT = "Last Resort High-Efficiency"  # comes with matplotlib; has a box for every letter


def use_fonts_that_have_the_letters(ax: Axes) -> None:
    """Adds fallback fonts to all texts if DejaVu Sans lacks letters of them.

    If no installed font has a letter, boxes are drawn in its place, and a warning says so.
    """
    texts = [text for text in ax.findobj(Text) if isinstance(text, Text)]
    labels: list[str] = []
    for axis in (ax.xaxis, ax.yaxis):
        formatter = axis.get_major_formatter()
        labels += formatter.seq if isinstance(formatter, FixedFormatter) else []
    letters = set("".join([*labels, *(text.get_text() for text in texts)])) - {"\n"}
    family = family_for(frozenset(letters))
    if family != FONT:
        for text in texts:
            text.set_fontfamily(family)
        ax.tick_params(labelfontfamily=family)


def family_for(letters: frozenset[str]) -> tuple[str, ...]:
    """`FONT`, with installed fonts added that have the letters which DejaVu Sans lacks."""
    missing = frozenset(letters - _letters_in(font_manager.findfont(FONT[0]), letters))
    if not missing:
        return FONT
    names, still = _fallbacks(missing)
    if still:
        tell(
            f"No installed font has the letters {''.join(sorted(still))!r}, so boxes are drawn in "
            "their place. Install a font that has them, for example Noto Sans CJK for Chinese, "
            "Japanese and Korean, and restart Python."
        )
        names = (*names, LAST_RESORT)
    return (FONT[0], *names, *FONT[1:])


@lru_cache(maxsize=64)
def _fallbacks(missing: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Installed fonts that together have most of these letters, and the letters that none has."""
    upright = [
        entry
        for entry in font_manager.fontManager.ttflist
        if entry.style == "normal" and entry.name != LAST_RESORT
    ]
    upright.sort(key=lambda entry: entry.weight == 400)  # of several weights the regular one counts
    found = {entry.name: _letters_in(entry.fname, missing) for entry in upright}
    names: list[str] = []
    while missing and (best := max(sorted(found), key=lambda name: len(found[name] & missing))):
        if not found[best] & missing:
            break
        names.append(best)
        missing -= found[best]
    return tuple(names), missing


def _letters_in(file: str, letters: frozenset[str]) -> frozenset[str]:
    try:
        font = font_manager.get_font(file)
    except (OSError, RuntimeError):  # a font file that cannot be read is no fallback
        return frozenset()
    return frozenset(letter for letter in letters if font.get_char_index(ord(letter)))
