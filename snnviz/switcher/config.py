"""How a switcher is built."""

from dataclasses import dataclass

from snnviz import checks
from snnviz.switcher.activations import ACTIVATIONS
from snnviz.switcher.descriptors import DESCRIPTORS

READS = ("descriptors", "shuffled", "random", "nothing")


@dataclass(frozen=True)
class SwitcherConfig:
    """How the switcher is built.

    Attributes:
        activation: from scores to factors: "unit_mean", "hard_sigmoid", "relu", or a name added to
            `snnviz.switcher.ACTIVATIONS`.
        gain: multiplies the scores; it determines how fast neurons turn on or off.
        gain_rule: "per_neuron" (the gain is multiplied by the group's number of neurons) or
            "fixed" (the same in every group).
        reads: "descriptors"; or, as a control experiment, "shuffled" (the descriptors
            of another neuron of the group), "random" (fixed random numbers instead), or
            "nothing" (there is no network; each neuron has its own score).
        descriptors: the inputs for each neuron: names in `snnviz.switcher.DESCRIPTORS`.
    """

    activation: str = "unit_mean"
    gain: float = 0.06
    gain_rule: str = "per_neuron"
    reads: str = "descriptors"
    descriptors: tuple[str, ...] = ("length", "scale", "shift", "outgoing")

    def __post_init__(self) -> None:
        # Through lists, because a value of another kind may not be hashable.
        if self.activation not in list(ACTIVATIONS):
            raise ValueError(
                f"switcher.activation must be one of {_names(ACTIVATIONS)}, "
                f"got {self.activation!r}. Add your own to snnviz.switcher.ACTIVATIONS."
            )
        object.__setattr__(self, "gain", checks.plain(self.gain))
        if (
            not isinstance(self.gain, int | float)
            or not checks.is_finite(self.gain)
            or self.gain <= 0
        ):
            raise ValueError(f"switcher.gain must be a number above 0, got {self.gain!r}.")
        if self.gain_rule not in ("per_neuron", "fixed"):
            raise ValueError(
                f"switcher.gain_rule must be 'per_neuron' or 'fixed', got {self.gain_rule!r}."
            )
        if self.reads not in READS:
            raise ValueError(f"switcher.reads must be one of {_names(READS)}, got {self.reads!r}.")
        if isinstance(self.descriptors, list):  # as read from a file
            object.__setattr__(self, "descriptors", tuple(self.descriptors))
        _check_descriptors(self.descriptors)

    def gain_of(self, neurons: int) -> float:
        """The gain in a group of this many neurons."""
        return self.gain * neurons if self.gain_rule == "per_neuron" else self.gain


def _check_descriptors(names: object) -> None:
    if not isinstance(names, tuple) or not names:
        raise ValueError(
            f"switcher.descriptors must be a tuple of at least one name, got {names!r}. "
            "For example ('length', 'outgoing')."
        )
    for i, name in enumerate(names):
        if name not in list(DESCRIPTORS):
            raise ValueError(
                f"switcher.descriptors must be some of {_names(DESCRIPTORS)}, got {name!r}. "
                "Add your own to snnviz.switcher.DESCRIPTORS."
            )
        if name in names[:i]:
            raise ValueError(f"switcher.descriptors must name each one once, got {name!r} twice.")


def _names(allowed: object) -> str:
    return ", ".join(map(repr, allowed))  # type: ignore[call-overload]
