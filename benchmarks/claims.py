"""Writes docs/claims.md, and the README's three sentences on the claims, from the committed rows.

    python benchmarks/claims.py

Trains nothing. To be run again whenever rows of benchmarks/studies are added.
"""

import textwrap
from pathlib import Path

from pandas import DataFrame

from snnviz import sweep
from snnviz.evidence import claims, words

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "studies"
DOCUMENT, README = ROOT / "docs" / "claims.md", ROOT / "README.md"
MARKS = ("<!-- claims: written by benchmarks/claims.py -->", "<!-- claims: end -->")

SETTING = {"setting": ("network", "")}
INTERVAL = {"low": ("from", "+.2f%"), "high": ("to", "+.2f%")}
DIFFERENCE = {"pairs": ("pairs", ""), "difference": ("difference, points", "+.2f%")} | INTERVAL
VERDICT = {"verdict": ("verdict", "")}
SIZES = {
    "parameters_left": ("parameters left, %", ".0f%"),
    "against_parameters_left": ("the other's, %", ".0f%"),
}
PART = {
    "rule": ("default gain", ".0f%"),
    "fixed": ("fixed gain", ".0f%"),
    "pairs": ("seeds", ""),
    "difference": ("the rule's part, points", "+.0f%"),
    "low": ("from", "+.0f%"),
    "high": ("to", "+.0f%"),
}

START = """# The paper's three claims: what came out

<!-- Written by benchmarks/claims.py from the rows in benchmarks/studies. Do not edit by hand. -->

The abstract of arXiv 2110.05954 claims that a switcher network (1) makes the task network more
accurate than the baseline and than other structure-learning methods, (2) compresses it although
nothing asks for that, and (3) compresses it less where the baseline is simpler or the task is
harder. Every number below comes from the committed rows of `benchmarks/studies/claims.toml`, on
seeds and test images that no setting was chosen by. The notebook
[04_claims](../notebooks/04_claims.ipynb) shows the same with figures.

A verdict comes from a 95 % interval of paired seeds: a claim **holds** where the whole interval is
on its side of 0, **does not hold** where it is on the other, and is otherwise **undecided**. From
fewer than three pairs there is no verdict. Points are percentage points."""

WAYS = """Spearman's rank correlation between dose and share of neurons off, with a bootstrap
interval that draws whole seeds (with five of them it is rather too narrow). The default gain grows
with a group's size, so that small groups part later by that rule alone; the fixed gain is the same
in every group. With as many epochs, fewer images or classes are fewer steps too, so those doses
are there again with as many steps. Only seeds that have every dose count."""

CHANGE_1 = """More seeds, where it is undecided; longer training, for the paper's runs are longer;
larger networks and colour images, which the part `full` of the study describes for GPUs."""
CHANGE_2 = """A rule of the gain by which small groups part, too: the settings tried for that are
below. The share of 40 % is the project's own aim, not the paper's."""
CHANGE_READING = """A switcher that sees more of the weights, or learns longer from them; runs in
which both sides end at the same size, for most differ now, and accuracy trades against size."""
CHANGE_3 = """Other networks; more seeds, where it is undecided; doses further apart. Where as many
epochs and as many steps disagree, no number of seeds helps: then the trend is that of the length
of training."""


def main() -> None:
    text, sentences = made()
    DOCUMENT.write_text(text, encoding="utf-8")
    README.write_text(in_readme(README.read_text(encoding="utf-8"), sentences), encoding="utf-8")


def made() -> tuple[str, str]:
    """The whole document, and the README's sentences."""
    rows, choice = (sweep.read(STUDIES / f"{name}.parquet") for name in ("claims", "choice"))
    full = claims.compared(rows)
    first, size, read, third = accuracy(full), compression(full), reading(full), doses(rows)
    parts = [START, run(full), first[0], size[0], read[0], third[0], tried(claims.tried(choice))]
    sentences = [first[1], f"{size[1]} {read[1]}", third[1]]
    return filled("\n\n".join(parts)) + "\n", filled(bullets(sentences))


def in_readme(text: str, sentences: str) -> str:
    start, end = (text.index(mark) for mark in MARKS)
    return f"{text[:start]}{MARKS[0]}\n\n{sentences}\n\n{text[end:]}"


def filled(text: str) -> str:
    """With lines of at most 100 letters, but for tables and what else has one line."""
    parts = []
    for part in text.split("\n\n"):
        if part.startswith(("|", "#", "<!--")):
            parts.append(part)
        elif part.startswith("- "):
            lines = (textwrap.fill(f"- {each}", 100, **_INDENT) for each in part[2:].split("\n- "))
            parts.append("\n".join(lines))
        else:
            parts.append(textwrap.fill(part, 100, **_WHOLE))
    return "\n\n".join(parts)


_WHOLE = {"break_long_words": False, "break_on_hyphens": False}
_INDENT = {"subsequent_indent": "  ", **_WHOLE}


def bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def run(full: DataFrame) -> str:
    full = full[full["method"] != claims.FIXED]  # of claim 3
    by = full.groupby(["network", "share"], sort=True)
    table = by.agg(
        epochs=("epochs", "min"),
        methods=("method", "nunique"),
        runs=("seed", "size"),
        seeds=("seed", "nunique"),
    ).reset_index()
    columns = {"network": ("network", ""), "share": ("of the training images, %", ".0f%")}
    columns |= {name: (name, "") for name in ("epochs", "methods", "runs", "seeds")}
    return f"""## What was run

{words.markdown(table, columns)}

These are the settings for claims 1 and 2, which all methods are run in; the doses of claim 3 come
on top. {words.RIVALS_SETTINGS}"""


def accuracy(full: DataFrame) -> tuple[str, str]:
    dense = claims.against(full)
    longer = claims.against(full, "dense_longer")
    equal = claims.rivals_at_equal_size(full)
    told = (equal["pairs"] >= claims.LEAST).sum()
    rivals = equal.assign(against=[words.method(name) for name in equal["against"]])
    against = SETTING | {"against": ("rival", "")}
    best = words.over_all("The switched network", "rival of its size", equal, sized=True)
    columns = SETTING | DIFFERENCE | VERDICT
    text = f"""## Claim 1: more accurate

**Question.** From the same weights and on the same batches: is the network with a switcher more
accurate at the end than the dense one, and than other methods of the same size?

**Against dense**, for as many training examples of the task network:

{words.markdown(dense, columns)}

{words.summary("More accurate than dense", dense)}

**Against dense for longer**, for as many examples as task network and switcher have together:

{words.markdown(longer, columns)}

{words.summary("More accurate than dense for longer", longer)}

**Against rivals at equal size** (parameters; other sizes drop out and are no pairs). Where claim 2
finds no neuron off there is nothing to prune either, and these rivals are the dense network again:

{words.markdown(rivals, against | DIFFERENCE | VERDICT)}

{best} {words.by_chance(told + len(dense) + len(longer))}

**What would change it.** {CHANGE_1} {words.needed(dense)}"""
    short = words.summary("More accurate than dense", dense)
    return text, f"{short} {words.summary('More accurate than dense for longer', longer)} {best}"


def compression(full: DataFrame) -> tuple[str, str]:
    table = claims.compression(full)
    columns = SETTING | {
        "runs": ("runs", ""),
        "off": ("neurons off, %", ".0f%"),
        "low": ("from", ".0f%"),
        "high": ("to", ".0f%"),
        "parameters_left": ("parameters left, %", ".0f%"),
        "verdict": ("compressed", ""),
        "aim": (f"by {claims.AIM:.0%} or more".replace("%", " %"), ""),
    }
    said = words.summary("Compressed, although nothing asks for it", table)
    return (
        f"""## Claim 2: smaller, although nothing asks for it

**Question.** How many of the hidden neurons are off at the end?

{words.markdown(table, columns)}

{said} {words.summary("By 40 % or more", table, "aim")}

**What would change it.** {CHANGE_2}""",
        said,
    )


def reading(full: DataFrame) -> tuple[str, str]:
    own, equal = claims.reading(full), claims.reading_at_equal_size(full)
    tables = [t.assign(against=[words.method(name) for name in t["against"]]) for t in (own, equal)]
    against = SETTING | {"against": ("control", "")}
    answer = words.over_all("Reading weights, each at its own size,", "control", own)
    told = sum((table["pairs"] >= claims.LEAST).sum() for table in (own, equal))
    return (
        f"""## What does reading the weights add?

**Question.** Is a switcher that reads the weights better than one that cannot: free factors (no
switcher at all), random numbers in the weights' place, or another neuron's weights?

**Each at its own size**, so that read accuracy and size together:

{words.markdown(tables[0], against | DIFFERENCE | SIZES | VERDICT)}

{answer}

**At equal size.** Nothing brings the controls to the switched run's size, so most drop out:

{words.markdown(tables[1], against | DIFFERENCE | VERDICT)}

{words.over_all("At equal size, reading weights", "control", equal)} {words.by_chance(told)}

**What would change it.** {CHANGE_READING}""",
        answer,
    )


def doses(rows: DataFrame) -> tuple[str, str]:
    runs = claims.doses(rows)
    table, ends, each = claims.trends(runs), claims.rules(runs, ends=True), claims.rules(runs)
    dose = {"dose": ("dose", ""), "equal": ("as many", "")} | SETTING
    correlation = {"correlation": ("rank correlation", "+.2f")}
    correlation |= {"low": ("from", "+.2f"), "high": ("to", "+.2f")}
    counts = {"runs": ("runs", ""), "seeds": ("seeds", "")}
    gains = {"gain": ("gain", "")}
    names = [words.gain(name).removesuffix(" gain") for name in table["method"]]
    whole = words.claim_3(table)
    value = [words.dose(*pair) for pair in zip(each["dose"], each["value"], strict=True)]
    way = [
        f"{words.dose(row.dose, row.lowest)} to {words.dose(row.dose, row.highest)}"
        for row in ends.itertuples()
    ]
    trends = words.markdown(
        words.in_steps(table.assign(gain=names)), dose | gains | correlation | counts | VERDICT
    )
    return (
        f"""## Claim 3: less of simpler networks, and for harder tasks

**Question.** If a network is narrower, or the task has more classes, more noise or fewer images to
learn from, are fewer neurons turned off?

{WAYS}

{trends}

{bullets(words.doses(table))}

{whole} {words.by_chance(len(table))}

**Which part is the rule's?** How far the share off moves from the lowest dose to the highest, with
the default gain and with the fixed one, in points; the difference in paired seeds is the rule's
part:

{words.markdown(words.in_steps(ends.assign(way=way)), dose | {"way": ("from … to", "")} | PART)}

{words.rule_in_all(ends)}

The same dose by dose, share off in %:

{words.markdown(words.in_steps(each.assign(at=value)), dose | {"at": ("value", "")} | PART)}

**What would change it.** {CHANGE_3}""",
        whole,
    )


def tried(table: DataFrame) -> str:
    columns = {
        "method": ("setting", ""),
        "pairs": ("pairs", ""),
        "difference": ("difference, points", "+.2f%"),
        **INTERVAL,
        "off": ("neurons off, %", ".0f%"),
        "against_off": ("the defaults' in these pairs, %", ".0f%"),
    }
    networks = "\n\n".join(
        f"### {setting}\n\n{words.markdown(some, columns)}"
        for setting, some in table.groupby("setting", sort=False)
    )
    return f"""## What was tried to improve the method

By the study `choice.toml`: other seeds, judged by 5,000 held-out training images, never by a test
image. Each row is one change (or two) against the defaults; `dense` and the controls stand among
them. What switches on held-out images trains on 5,000 images fewer. {words.tried(table)} The best
of many settings looks better than it is, for it was picked for its luck as well.

{networks}"""


if __name__ == "__main__":
    main()
