"""Sentences for the tables of `claims`; the notebook and docs/claims.md use the same ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from snnviz.evidence import claims
from snnviz.evidence.claims import LEAST, LEAST_STEPS, MARGIN, NO_VERDICT, TOO_SHORT
from snnviz.evidence.doses import RULE

if TYPE_CHECKING:
    from pandas import DataFrame

VERDICTS = ("holds", "does not hold", "undecided", NO_VERDICT, TOO_SHORT)
METHODS = {
    "free": "free factors",
    "random_features": "random features",
    "shuffled": "shuffled weights",
    "magnitude": "L1 magnitude",
    "taylor": "Taylor",
    "fpgm": "FPGM",
    "slimming": "network slimming",
    "group_sparse": "group sparse",
    "l0": "L0",
    "se": "SE",
    "dense_longer": "dense, longer",
}
FEW = f"fewer than {LEAST} pairs"
SHORT = f"fewer than {LEAST_STEPS} steps of the switcher"
RIVALS_SETTINGS = (
    "The rivals used the settings that are usual in their papers. Ours were chosen in a separate "
    "study, on other seeds and on held-out images. A rival that is tuned in the same way may do "
    "better."
)
NO_WORSE = f"No worse than dense by more than {100 * MARGIN:g} points"
READING = "Reading the weights"
BETTER, MORE_OFF = ("is better than", "worse than"), ("turns off more neurons than", "fewer than")
NO_DOSES = "Claim 3, less for simpler networks and harder tasks: no runs yet."
OWN_SIZES = "With each network at its own size, reading the weights"
EQUAL_SIZES = "At equal size, reading the weights"
EQUALS = {"epochs": "equal epochs", "examples": "equal steps"}


def rows_of(table: DataFrame) -> Iterator[Any]:
    yield from table.itertuples(index=False)


def _having(table: DataFrame, column: str, value: str) -> DataFrame:
    return cast("DataFrame", table[(table[column] == value).to_numpy()])


def method(name: str) -> str:
    """A method's name as written in sentences and figures."""
    return METHODS.get(name, name.replace("_", " "))


def listed(names: Iterable[str]) -> str:
    """ "a, b and c", or "none"."""
    names = list(dict.fromkeys(names))
    if not names:
        return "none"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def number_of(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def by_chance(count: int) -> str:
    """How many of `count` intervals are expected to miss the true value by chance."""
    return (
        f"This section reports {number_of(count, 'interval')} of 95 %. By chance alone, about "
        f"{0.05 * count:.1f} of them would miss the true value, half of these on each side. So a "
        "single verdict among many is weaker evidence than its interval suggests."
    )


def summary(claim: str, table: DataFrame, column: str = "verdict") -> str:
    """One sentence for all settings: where a claim holds, and where it does not."""
    at = {each: _having(table, column, each)["setting"] for each in VERDICTS}
    parts = [f"{each} on {listed(names)}" for each, names in at.items() if len(names)]
    why = f" ({SHORT})" if len(at[TOO_SHORT]) else ""
    return f"{claim}: {'; '.join(parts) or NO_VERDICT}{why}."


def needed(table: DataFrame, wanted: float = 0.001) -> str:
    """How many pairs are needed for intervals of ± `wanted`."""
    parts = []
    for row in rows_of(table):
        half = (row.high - row.low) / 2
        if row.pairs >= LEAST and half > wanted:
            parts.append(f"{row.setting} {math.ceil(row.pairs * (half / wanted) ** 2)}")
    if not parts:
        return f"Every interval is already narrower than ±{100 * wanted:g} points."
    pairs = ", ".join(parts)
    return f"An interval of ±{100 * wanted:g} points needs about this many pairs: {pairs}."


# --- against several methods ---------------------------------------------------------------------


def standing(table: DataFrame, sized: bool = False) -> dict[str, str]:
    """{setting: "better" than all, "worse" than at least one, or neither}.

    If a method of the table was not run in a setting, the setting is undecided. If its runs are
    too short, it is that. With `sized`, methods that were run but have another size do not count.
    """
    found = {}
    for setting, some in table.groupby("setting", sort=False):
        missing = set(table["against"]) - set(some["against"])
        if sized:
            other = (some["other_size"] > 0) & (some["verdict"] == NO_VERDICT)
            some = some[~other.to_numpy()]
        verdicts = {*some["verdict"], *({NO_VERDICT} if missing or some.empty else ())}
        worse = "does not hold" in verdicts
        best = {"holds": "better", NO_VERDICT: NO_VERDICT}
        alone = next(iter(verdicts)) if len(verdicts) == 1 else ""
        found[str(setting)] = "worse" if worse else best.get(alone, "undecided")
        if TOO_SHORT in verdicts:
            found[str(setting)] = TOO_SHORT
    return found


def over_all(
    what: str,
    other: str,
    table: DataFrame,
    sized: bool = False,
    words: tuple[str, str] = BETTER,
) -> str:
    """One sentence: better than every other, worse than at least one, or undecided, and where."""
    more, less = words
    at = standing(table, sized)
    where = {each: listed(k for k, v in at.items() if v == each) for each in set(at.values())}
    parts = [f"{what} {more} every {other} on {where.get('better', 'no network')}"]
    said = {
        "worse": f"{less} at least one",
        "undecided": "undecided",
        NO_VERDICT: f"{NO_VERDICT} ({FEW})",
        TOO_SHORT: f"{TOO_SHORT} ({SHORT})",
    }
    parts += [f"{text} on {where[each]}" for each, text in said.items() if each in where]
    return f"{'; '.join(parts)}."


def at_sizes(table: DataFrame) -> list[str]:
    """A sentence for each size that runs were asked for, and each kind of other method."""
    control = table["against"].isin(claims.CONTROLS).to_numpy()
    texts = []
    for size in sorted(set(table["size"]), reverse=True):
        for of, which in (("control", control), ("rival", ~control)):
            some = cast("DataFrame", table[(table["size"] == size).to_numpy() & which])
            if len(some):
                what = f"At {100 * size:g} % of the parameters, the switched network"
                texts.append(over_all(what, of, some))
    return texts


def in_short(rows: DataFrame) -> list[str]:
    """What the study says of each claim, and of what reading adds, in a sentence or two each."""
    full = claims.compared(rows)
    dense, off = claims.against(full), claims.reading_by_neurons(full)
    sized, dosed = claims.at_asked_sizes(rows), claims.doses(rows)
    texts = [
        summary("Claim 1, more accurate than dense", dense),
        summary(NO_WORSE, dense, "no_worse"),
        summary("Claim 2, smaller although nothing asks for it", claims.compression(full)),
    ]
    texts += [over_all(READING, "control", off, words=MORE_OFF)] if len(off) else []
    texts += at_sizes(sized) if len(sized) else []
    return [*texts, claim_3(claims.trends(dosed)) if dosed else NO_DOSES]


def tried(table: DataFrame) -> str:
    """How many settings differ clearly from the defaults, and how many would do so by chance."""
    judged = cast("DataFrame", table[~table["verdict"].isin([NO_VERDICT, TOO_SHORT]).to_numpy()])
    at = {each: _having(judged, "verdict", each) for each in ("holds", "does not hold")}
    named = {
        each: [f'"{row.method}" on {row.setting}' for row in rows_of(some)]
        for each, some in at.items()
    }
    n = len(judged)
    return (
        f"Of {number_of(n, 'comparison')} with at least {LEAST} pairs, "
        f"{_counted(named['holds'])} better than the defaults, and "
        f"{_counted(named['does not hold'])} worse. By chance alone, about {0.025 * n:.1f} of each "
        "would be expected."
    )


def _counted(names: Sequence[str]) -> str:
    """ "none is", "1 (a) is" or "2 (a and b) are"."""
    if not names:
        return "none is"
    return f"{len(names)} ({listed(names)}) {'is' if len(names) == 1 else 'are'}"


# --- claim 3 -------------------------------------------------------------------------------------


def gain(name: str) -> str:
    return "default gain" if name == RULE else name


def in_general(verdicts: Sequence[str]) -> str:
    """The verdict on several trends together: one reversed trend is enough to refute the claim."""
    long = [each for each in verdicts if each != TOO_SHORT]
    if verdicts and not long:
        return "no verdict, because its runs are too short"
    if "does not hold" in verdicts:
        return "does not hold in general" if "holds" in verdicts else "does not hold"
    return "holds" if set(long) == {"holds"} else "undecided"


_TRENDS = dict(
    zip(
        VERDICTS,
        ("holds", "is reversed", "is undecided", "has no verdict", "has runs that are too short"),
        strict=True,
    )
)


def doses(table: DataFrame) -> list[str]:
    """A text for each dose: all networks and both gains, at equal epochs and at equal steps."""
    texts = []
    for dose, some in table.groupby("dose", sort=False):
        parts = [
            f"At {EQUALS[str(equal)]}, it {_places(of)}."
            for equal, of in some.groupby("equal", sort=False)
        ]
        verdict = in_general(list(some["verdict"]))
        texts.append(f"{dose}: {verdict}. {' '.join(parts)}")
    return texts


def _places(table: DataFrame) -> str:
    parts = []
    for each, words in _TRENDS.items():
        some = _having(table, "verdict", each)
        places = []
        for setting, of in some.groupby("setting", sort=False):
            gains = "both gains" if len(of) > 1 else gain(of["method"].tolist()[0])
            places.append(f"{setting} ({gains})")
        if places:
            parts.append(f"{words} on {listed(places)}")
    return ", and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def claim_3(table: DataFrame) -> str:
    """The verdict on the claim as a whole, and how the trends are divided."""
    verdicts = list(table["verdict"])
    count = {each: verdicts.count(each) for each in VERDICTS}
    whole = {
        str(dose): in_general(list(some["verdict"]))
        for dose, some in table.groupby("dose", sort=False)
    }
    without = f", {count[NO_VERDICT]} without a verdict" if count[NO_VERDICT] else ""
    without += f", {count[TOO_SHORT]} with runs that are too short" if count[TOO_SHORT] else ""
    return (
        f"Claim 3 as a whole: {in_general(verdicts)}. Of {number_of(len(verdicts), 'trend')}: "
        f"{count['holds']} as claimed, {count['does not hold']} reversed, "
        f"{count['undecided']} undecided{without}. It holds in every trend for: "
        f"{listed(dose for dose, each in whole.items() if each == 'holds')}."
    )


def rule_in_all(table: DataFrame) -> str:
    """One sentence: in which trends the gain rule has a clear effect."""
    clear = [
        f"{row.dose} on {row.setting} at {EQUALS[row.equal]} ({100 * row.difference:+.0f} of "
        f"{100 * row.rule:+.0f} points)"
        for row in rows_of(table)
        if row.pairs >= LEAST and (row.low > 0 or row.high < 0)
    ]
    return (
        f"The interval of the gain rule's effect excludes 0 in {len(clear)} of "
        f"{number_of(len(table), 'trend')}: {listed(clear)}."
    )


def dose(name: str, value: float) -> str:
    return "all" if (name, value) == ("classes", 0) else f"{value:g}"
