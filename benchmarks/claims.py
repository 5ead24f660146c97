"""Writes what the studies of the claims say: docs/claims.md, and a page beside the older study.

    python benchmarks/claims.py

It trains nothing. Run it again whenever rows are added. The sentence on the claims in the README is
written by hand; tests/test_studies.py checks that it still agrees with the rows.
"""

import textwrap
from pathlib import Path

from pandas import DataFrame

from snnviz import sweep
from snnviz.evidence import claims, tables, words

ROOT = Path(__file__).parents[1]
STUDIES = ROOT / "benchmarks" / "studies"
DOCUMENTS = {
    STUDIES: ROOT / "docs" / "claims.md",
    STUDIES / "directions": STUDIES / "directions" / "README.md",
}

CLAIMS = """The abstract of arXiv 2110.05954 claims that a switcher network (1) makes the task
network more accurate than the baseline and than other structure-learning methods, (2) compresses it
although nothing asks for that, and (3) compresses it less where the baseline is simpler or the task
is harder."""
VERDICTS = """Each verdict comes from a 95 % interval over paired seeds. A claim **holds** if the
whole interval is on the claimed side of 0, **does not hold** if the whole interval is on the other
side, and is **undecided** otherwise. With fewer than three pairs there is no verdict. A switcher
that took fewer than 800 steps has hardly learned anything, so such runs are called **too short**
and have no verdict either; their numbers are shown all the same. Points are percentage points."""
STARTS = {
    STUDIES: f"""# The paper's three claims: our results

<!-- Written by benchmarks/claims.py from the rows in benchmarks/studies. Do not edit by hand. -->

{CLAIMS} Every number below comes from the committed runs of `benchmarks/studies/claims.toml`. Their
seeds and the test images were not used to choose any setting. The notebook
[04_claims](../notebooks/04_claims.ipynb) shows the same results with figures.

The study goes on: what is not in the tables has not been run yet. The results of an earlier
switcher, on more networks, are in
[benchmarks/studies/directions](../benchmarks/studies/directions/README.md).

{VERDICTS}""",
    STUDIES / "directions": f"""# The claims with an earlier switcher

<!-- Written by benchmarks/claims.py from the rows in this folder. Do not edit by hand. -->

**All these runs used an earlier switcher**, which read the direction of each neuron's incoming
weights. Today's default switcher reads a few descriptors of each neuron instead;
[docs/claims.md](../../../docs/claims.md) has its results.

{CLAIMS} Every number below comes from the committed runs of `claims.toml` in this folder. Their
seeds and the test images were not used to choose any setting.

{VERDICTS}""",
}

WAYS = """We call the quantity that is varied the *dose*: the width of the network, the number of
classes, the noise on each pixel, or the share of the training images. The table gives Spearman's
rank correlation between the dose and the share of neurons off. Its interval is a bootstrap that
resamples whole seeds; with five seeds it is somewhat too narrow. The default gain grows with the
size of a group, which alone makes neurons of small groups switch off later; the fixed gain is the
same in every group. At equal epochs, fewer images or classes also mean fewer training steps, so
these two doses are repeated at equal steps. Only seeds with runs at every dose are used."""

CHANGE_1 = """Longer runs where they are too short; more seeds where the verdict is undecided;
longer training, because the paper's runs are longer; larger networks and colour images, which the
part `full` of the study describes for GPUs."""
CHANGE_2 = """A gain rule that also switches off neurons of small groups; the settings that we tried
are listed below. The share of 40 % is this project's own goal, not the paper's."""
CHANGE_READING = """A switcher that sees more of the weights, or that learns from them for longer;
runs that end at the same size on both sides. Without a size that is asked for, most of them end at
different sizes, and accuracy depends on size."""
CHANGE_3 = """Other networks; more seeds where the verdict is undecided; a wider range of doses.
Where equal epochs and equal steps disagree, more seeds do not help: there the trend is caused by
the length of training."""


def main() -> None:
    for folder, path in DOCUMENTS.items():
        path.write_text(document(folder), encoding="utf-8")


def document(folder: Path) -> str:
    """The text about the study in a folder."""
    rows, choice = (sweep.read(folder / f"{name}.parquet") for name in ("claims", "choice"))
    full = claims.compared(rows)
    parts = [STARTS[folder], in_short(rows, full), run(full), accuracy(full), compression(full)]
    parts += [reading(full), *sizes(rows), *doses(rows), tried(claims.tried(choice))]
    return filled("\n\n".join(parts)) + "\n"


def filled(text: str) -> str:
    """Wraps lines at 100 characters, except in tables, headings and comments."""
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


def in_short(rows: DataFrame, full: DataFrame) -> str:
    return f"""## In short

{tables.overview(claims.overview(full))}

{bullets(words.in_short(rows))}"""


def run(full: DataFrame) -> str:
    full = full[full["method"] != claims.FIXED]  # of claim 3
    by = full.groupby(["network", "share"], sort=True)
    table = by.agg(
        epochs=("epochs", "min"),
        methods=("method", "nunique"),
        runs=("seed", "size"),
        seeds=("seed", "nunique"),
    ).reset_index()
    columns = {"network": ("network", ""), "share": ("training images used, %", ".0f%")}
    columns |= {name: (name, "") for name in ("epochs", "methods", "runs", "seeds")}
    return f"""## What was run

{tables.markdown(table, columns)}

These runs are for claims 1 and 2, and include all methods. Claim 3 has runs of its own.
{words.RIVALS_SETTINGS}"""


def accuracy(full: DataFrame) -> str:
    dense = claims.against(full)
    longer = claims.against(full, "dense_longer")
    equal = claims.rivals_at_equal_size(full)
    judged = (equal["pairs"] >= claims.LEAST).sum()
    long = dense[dense["verdict"] != claims.TOO_SHORT]
    best = words.over_all("The switched network", "rival of its size", equal, sized=True)
    return f"""## Claim 1: more accurate

**Question.** Starting from the same weights and trained on the same batches, does the network with
a switcher end with a higher accuracy than the dense network, and than other methods of the same
size?

**Against dense**, with the same number of training examples for the task network:

{tables.accuracy(dense)}

{words.summary("More accurate than dense", dense)}
{words.summary(words.NO_WORSE, dense, "no_worse")}
The second question is whether the smaller network costs accuracy: it **holds** if the whole
interval is above -{100 * claims.MARGIN:g} points.

**Against dense, trained for longer**: the dense network gets as many examples as the task network
and the switcher together:

{tables.methods(longer, "baseline")}

{words.summary("More accurate than dense, trained for longer", longer)}

**Against rivals at equal size**, that is, with equal numbers of parameters; runs of other sizes are
excluded. Where claim 2 finds no neuron off, the rivals prune nothing either; *L1 magnitude* and
*random* are then the same as the dense network:

{tables.methods(equal, "rival")}

{best} {words.by_chance(judged + len(dense) + len(longer))}

**What could change these verdicts.** {CHANGE_1} {words.needed(long)}"""


def compression(full: DataFrame) -> str:
    table = claims.compression(full)
    summary = words.summary("Compressed, although nothing asks for it", table)
    return f"""## Claim 2: smaller, although nothing asks for it

**Question.** How many of the hidden neurons are off at the end?

{tables.compression(table)}

{summary} {words.summary("By 40 % or more", table, "aim")}

**What could change these verdicts.** {CHANGE_2}"""


def reading(full: DataFrame) -> str:
    off = claims.reading_by_neurons(full)
    own, equal = claims.reading(full), claims.reading_at_equal_size(full)
    judged = sum((table["pairs"] >= claims.LEAST).sum() for table in (off, own, equal))
    return f"""## What does reading the weights add?

**Question.** Is a switcher that reads the weights better than a control that cannot read them? The
controls are free factors (no switcher at all), a switcher that reads random numbers, and a switcher
that reads another neuron's weights.

**How many neurons each turns off:**

{tables.neurons_off(off)}

{words.over_all(words.READING, "control", off, words=words.MORE_OFF)}

**How accurate each is at its own size.** Here the sizes differ, so compare accuracy and size
together:

{tables.methods(own, "control", sizes=True)}

{words.over_all(words.OWN_SIZES, "control", own)}

**At equal size.** The controls are not pruned to the size of the switched network, so most of their
runs are excluded here:

{tables.methods(equal, "control")}

{words.over_all(words.EQUAL_SIZES, "control", equal)} {words.by_chance(judged)}

**What could change these verdicts.** {CHANGE_READING}"""


def sizes(rows: DataFrame) -> list[str]:
    """Empty if no run was asked for a size."""
    table = claims.at_asked_sizes(rows)
    if table.empty:
        return []
    return [
        f"""## Claim 1 at sizes that were asked for

**Question.** If each method has to end at the same share of the parameters, which is the most
accurate? Here the switcher only chooses *which* neurons go off; a ramp decides how many. Nothing of
that is in the paper.

{tables.at_sizes(table)}

{bullets([*words.at_sizes(table), words.by_chance((table["pairs"] >= claims.LEAST).sum())])}"""
    ]


def doses(rows: DataFrame) -> list[str]:
    """Empty if no trend has runs."""
    runs = claims.doses(rows)
    if not runs:
        return []
    table, ends, each = claims.trends(runs), claims.rules(runs, ends=True), claims.rules(runs)
    return [
        f"""## Claim 3: less for simpler networks and for harder tasks

**Question.** If a network is narrower, or if the task has more classes, more noise or fewer
training images, are fewer neurons switched off?

{WAYS}

{tables.trends(table)}

{bullets(words.doses(table))}

{words.claim_3(table)} {words.by_chance(len(table))}

**How much of a trend comes from the gain rule?** The table shows by how many points the share of
neurons off changes from the lowest dose to the highest, with the default gain and with the fixed
gain. The difference between them, in paired seeds, is the effect of the gain rule:

{tables.rule(ends)}

{words.rule_in_all(ends)}

The same for each dose, with the share of neurons off in %:

{tables.rule_by_dose(each)}

**What could change these verdicts.** {CHANGE_3}"""
    ]


def tried(table: DataFrame) -> str:
    networks = "\n\n".join(
        f"### {setting}\n\n{tables.tried(some)}"
        for setting, some in table.groupby("setting", sort=False)
    )
    return f"""## What we tried to improve the method

These runs come from the study `choice.toml` beside it. It uses other seeds, and judges by
5,000 held-out training images, never by a test image. Each row differs from the defaults in one or
two settings; `dense` and the controls are listed among them. {words.tried(table)} The best of many
settings looks better than it is, because luck helped to select it. Runs that were asked for a size
are not among them; where there are some, the README beside the study says what they show.

{networks}"""


if __name__ == "__main__":
    main()
