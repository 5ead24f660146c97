"""Questions that check themselves, for a class; imports `page`, `switcher` and `training`.

`Choice` and `Number` are for questions of your own; the others belong to the lesson in
notebooks/class.
"""

from snnviz.lab.lessons.first import (
    check_factors,
    find_neuron_parameters,
    find_waterline,
    guess_accuracy,
    read_difference,
    say_which_go_off,
    say_why_off,
)
from snnviz.lab.lessons.questions import Choice, Number
from snnviz.lab.lessons.reply import Reply

__all__ = [
    "Choice",
    "Number",
    "Reply",
    "check_factors",
    "find_neuron_parameters",
    "find_waterline",
    "guess_accuracy",
    "read_difference",
    "say_which_go_off",
    "say_why_off",
]
