"""How a switcher is built."""

import math
from dataclasses import dataclass

from snnviz.switcher.activations import ACTIVATIONS

READS = ("weights", "movement", "shuffled", "random", "nothing")


@dataclass(frozen=True)
class SwitcherConfig:
    """How the switcher is built.

    Attributes:
        activation: from scores to factors: "unit_mean", "hard_sigmoid", "relu", or a name added to
            `snnviz.switcher.ACTIVATIONS`.
        hidden: width of the switcher.
        gain: multiplies the scores; it decides how fast a group parts into on and off.
        gain_rule: "per_neuron" (the gain is multiplied by the group's number of neurons) or
            "fixed" (the same in every group).
        reads: "weights"; "movement" (the weights, and how they have moved since the last round:
            how far, and whether they grew or shrank, which is what the gradient says of them); or,
            to find out what reading them is good for, "shuffled" (those of another neuron of the
            group), "random" (fixed random numbers in their place), or "nothing" (there is no
            network; each neuron has a score of its own).
        outgoing: read also how long the weights are by which others read a neuron.
        attention: neurons of a group look at one another, besides at their mean.
    """

    activation: str = "unit_mean"
    hidden: int = 32
    gain: float = 0.06
    gain_rule: str = "per_neuron"
    reads: str = "weights"
    outgoing: bool = False
    attention: bool = False

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"switcher.activation must be one of {', '.join(map(repr, ACTIVATIONS))}, "
                f"got {self.activation!r}. Add your own to snnviz.switcher.ACTIVATIONS."
            )
        if isinstance(self.hidden, bool) or not isinstance(self.hidden, int) or self.hidden < 1:
            raise ValueError(
                f"switcher.hidden must be a whole number of at least 1, got {self.hidden!r}."
            )
        number = isinstance(self.gain, int | float) and not isinstance(self.gain, bool)
        if not number or not 0 < self.gain < math.inf:
            raise ValueError(f"switcher.gain must be a number above 0, got {self.gain!r}.")
        if self.gain_rule not in ("per_neuron", "fixed"):
            raise ValueError(
                f"switcher.gain_rule must be 'per_neuron' or 'fixed', got {self.gain_rule!r}."
            )
        if self.reads not in READS:
            allowed = ", ".join(map(repr, READS))
            raise ValueError(f"switcher.reads must be one of {allowed}, got {self.reads!r}.")
        for name in ("outgoing", "attention"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise ValueError(f"switcher.{name} must be True or False, got {value!r}.")
            if value and self.reads == "nothing":
                raise ValueError(
                    f"switcher.{name} must be False where switcher.reads is 'nothing'."
                )

    def gain_of(self, neurons: int) -> float:
        """The gain in a group of so many neurons."""
        return self.gain * neurons if self.gain_rule == "per_neuron" else self.gain
