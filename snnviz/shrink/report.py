"""The report of `compact`, in numbers and words."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snnviz.structure import Size

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class CompactReport:
    """What `compact` did.

    Attributes:
        widths: {layer: (units or channels before, after)}, of layers that became narrower or were
            removed (0 after).
        before: parameters and MACs before.
        after: the same afterwards.
        bytes_before: on disk, of the weights file that `save_compact` writes.
        bytes_after: the same afterwards.
        latency: {batch size: time of the smaller network / time of the larger}, measured.
        difference: greatest output difference, as a share of the largest output.
        images: the number of images that the difference was measured on.
        removed: {group that is entirely off: layers that were removed with it}.
        kept: {group that is entirely off, or layer whose part of a group is: why one of its neurons
            was kept, with weights of 0}.
        plain: layers that standardised their weights, and became layers of torch with these weights
            as parameters, because they lost inputs. Later training does not standardise them.
    """

    widths: dict[str, tuple[int, int]]
    before: Size
    after: Size
    bytes_before: int
    bytes_after: int
    latency: dict[int, float]
    difference: float
    images: int
    removed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    plain: tuple[str, ...] = ()

    def frame(self) -> "DataFrame":
        """A row for each layer that was made narrower: layer, before, after."""
        import pandas as pd

        rows = [(name, *widths) for name, widths in self.widths.items()]
        return pd.DataFrame(rows, columns=["layer", "before", "after"])

    def __str__(self) -> str:
        lines = [
            f"parameters {self.before.parameters:,} → {self.after.parameters:,}"
            f" ({self.after.parameters / self.before.parameters:.1%})",
            f"MACs       {self.before.macs:,} → {self.after.macs:,}"
            f" ({self.after.macs / max(self.before.macs, 1):.1%})",
            f"size       {self.bytes_before:,} → {self.bytes_after:,} bytes on disk",
            f"difference {self.difference:.1e} of the largest output, on {self.images} images",
        ]
        lines += [f"latency    {r:.2f} of before, batch {b}" for b, r in self.latency.items()]
        for name, layers in self.removed.items():
            gone = (
                f"removed: {', '.join(layers)}" if layers else "removed with the branch it was in"
            )
            lines.append(f"{name} is entirely off, {gone}")
        for name, why in self.kept.items():
            lines.append(f"{name} is entirely off, one neuron was kept with weights of 0: {why}")
        return "\n".join([*lines, *self.describe_plain()])

    def describe_plain(self) -> list[str]:
        """A sentence on the layers that became plain, if there are any."""
        if not self.plain:
            return []
        return [
            f"{', '.join(self.plain)} lost inputs and became plain layers, "
            "so further training does not standardise their weights"
        ]
