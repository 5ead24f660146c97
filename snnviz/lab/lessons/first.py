"""The questions of the lesson in notebooks/class, with the answers that students often give."""

from collections.abc import Sequence

import torch
from torch import nn

from snnviz import checks
from snnviz.lab.lessons.questions import Choice, Number
from snnviz.lab.lessons.reply import Reply
from snnviz.switcher import Explanation, unit_mean
from snnviz.switcher.explaining import waterline
from snnviz.training import AlternatingTrainer

CLASSES = 10


def guess_accuracy() -> Number:
    """The accuracy of a network that guesses."""

    def hint(percent: float) -> str:
        if abs(percent - 50) < 1e-9:
            return "50 % would be right if there were two kinds. How many are there?"
        if abs(percent - 100 / CLASSES / 100) < 1e-9:
            return "As a share that is right. The question asks for percent."
        return f"There are {CLASSES} kinds, each equally often. How often does a guess hit one?"

    return Number(
        "What accuracy does a network reach that only guesses, in percent?",
        100 / CLASSES,
        "So every accuracy in this lesson is to be compared with 10 %, not with 0 %.",
        hint,
    )


def say_why_off() -> Choice:
    """Why factors fall to 0 although nothing rewards it."""
    return Choice(
        "Nothing in the loss rewards a smaller network. Why do neurons go off all the same?",
        {
            "The loss has a small penalty for each neuron that is on": (
                "Many methods have one, but not this one: both networks minimise the same "
                "cross-entropy of the class scores. What happens to the other neurons of a group "
                "if the factor of one rises?"
            ),
            "The switcher removes neurons that are silent on all images": (
                "The switcher never sees an image; it reads weights. Look for something that all "
                "neurons of a group have in common."
            ),
            "The neurons of a group share a fixed total: if some factors rise, others must fall": (
                "The mean factor of a group is always 1. What some gain, others lose, and a "
                "factor cannot fall below 0."
            ),
        },
        "The neurons of a group share a fixed total: if some factors rise, others must fall",
    )


def find_waterline(scores: Sequence[float]) -> Number:
    """The waterline of these scores, for which the mean factor is 1.

    Raises:
        ValueError: there is no score, or one of them is no number.
    """
    if len(scores) == 0:
        raise ValueError("scores must have at least one number, got none. Use for example (3, 1).")
    for score in scores:
        checks.number("scores", score)
    z = torch.tensor(list(map(float, scores)), dtype=torch.float64)
    right = waterline(z, unit_mean(z))
    told = ", ".join(f"{score:g}" for score in scores)

    def hint(level: float) -> str:
        factors = (z - level).clamp_min(0)
        mean = float(factors.mean())
        found = ", ".join(f"{factor:.4g}" for factor in factors.tolist())
        move = "Raise the waterline." if mean > 1 else "Lower the waterline."
        return f"With {level:g} the factors are {found}, and their mean is {mean:.3g}. {move}"

    return Number(
        f"The neurons of a group have the scores {told}. Each factor is what is above the "
        "waterline, and 0 for any other score. Where is the waterline, if the mean factor is 1?",
        right,
        f"{int((z <= right + 1e-9).sum())} of {len(z)} neurons are off.",
        hint,
        within=0.005,
    )


def find_neuron_parameters(trainer: AlternatingTrainer, group: str) -> Number:
    """The parameters that disappear with one neuron of a group of a plain linear layer.

    Raises:
        ValueError: there is no such group, or it is not of one linear layer read by another.
    """
    groups = trainer.switches.groups
    checks.one_of("group", group, list(groups))
    (writer, *others), (reader, *more) = groups[group].writers, groups[group].readers
    into = trainer.network.get_submodule(writer)
    out_of = trainer.network.get_submodule(reader)
    plain = not others and not more
    if not plain or not isinstance(into, nn.Linear) or not isinstance(out_of, nn.Linear):
        raise ValueError(
            f"group must be of one linear layer that one linear layer reads, got {group!r}. "
            "Use the last group of mlp or lenet5."
        )
    inputs, outputs = into.in_features, out_of.out_features

    def hint(count: float) -> str:
        if count == inputs:
            return "These are its incoming weights. It also has a bias, and is read by others."
        if count == inputs + 1:
            return f"Right so far. But {reader} reads it, and these weights disappear too."
        if count == inputs + outputs:
            return "Nearly: it also has a bias."
        return (
            f"Count its incoming weights ({writer} has {inputs} inputs), its bias, and the weights "
            f"by which {reader} reads it ({reader} has {outputs} outputs)."
        )

    return Number(
        f"How many parameters disappear with one neuron of {group}?",
        inputs + 1 + outputs,
        f"{inputs} incoming weights, 1 bias, and {outputs} outgoing weights.",
        hint,
    )


def say_which_go_off() -> Choice:
    """Which neurons of the group go off, after a look at the table."""
    return Choice(
        "Which neurons does the switcher switch off?",
        {
            "Those with long weights": (
                "Look at the table again: which of the two rows has the longer weights?"
            ),
            "Those with short weights": (
                "It found what people call magnitude pruning: keep the long ones. Nobody told it."
            ),
            "Any: it makes no difference": (
                "Compare the mean length of those on and those off. Could chance explain it?"
            ),
        },
        "Those with short weights",
    )


def read_difference(switched: AlternatingTrainer, dense: AlternatingTrainer) -> Choice:
    """What the difference between two single runs says, both finished."""
    with_it, without = (
        f"{run.history.last_epoch['test_accuracy']:.2%}" for run in (switched, dense)
    )
    return Choice(
        f"With switching your run ended at {with_it}, and without at {without}. Two runs that "
        # Five seeds of the lesson without a switcher ended between 87.04 and 87.38 %.
        "differ only in their seed can differ by 0.3 points. What have you shown?",
        {
            "Switching makes the network more accurate, or less": (
                "Would you say so if with another seed it was the other way round?"
            ),
            "Nothing yet: one pair of runs cannot be told from chance": (
                "The runs of the whole class, and an interval, could show more. The lesson on "
                "claims does that."
            ),
            "Switching does no harm": (
                "A harm of some tenths of a point could hide behind a seed as well as a gain. What "
                "would you have to do to exclude it?"
            ),
        },
        "Nothing yet: one pair of runs cannot be told from chance",
    )


def check_factors(mine: object, told: Explanation) -> Reply:
    """What is said of the factors of a group that somebody computed from scores and waterline."""
    if mine is None:
        return Reply(False, "Replace None by the factors, from told.scores and told.waterline.")
    try:
        found = torch.as_tensor(mine, dtype=torch.float64).cpu().flatten()
    except (TypeError, ValueError, RuntimeError):
        return Reply(False, "Give a tensor or a list of numbers.")
    wanted = told.factors.double()
    if found.shape != wanted.shape:
        return Reply(False, f"These are {len(found)} numbers; {told.group} has {len(wanted)}.")
    if (found < 0).any():
        return Reply(False, "Some are below 0. What becomes of a score below the waterline?")
    if not torch.allclose(found, wanted, atol=1e-3):
        return Reply(False, "A factor is how far the score is above the waterline.")
    return Reply(
        True, f"{int((found == 0).sum())} of {len(found)} neurons of {told.group} are off."
    )
