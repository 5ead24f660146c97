"""What compacting did, in numbers and words."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from snnviz.structure import Size

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class CompactReport:
    """What compacting did.

    Attributes:
        widths: {layer: (units or channels before, after)}, of layers that were made narrower, or
            taken out (0 after).
        before, after: parameters and MACs.
        bytes_before, bytes_after: on disk, of the file of tensors that `save_compact` writes.
        latency: {batch size: time of the smaller network / time of the larger}, measured.
        difference: greatest output difference, as a share of the largest output.
        images: how many images that was measured on.
        removed: {group that is wholly off: layers that were taken out with it}.
        kept: {group, or layer that writes a part of one, that is wholly off: why one zeroed neuron
            of it was kept}.
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
            gone = f"taken out: {', '.join(layers)}" if layers else "gone with the branch it was in"
            lines.append(f"{name} is wholly off, {gone}")
        for name, why in self.kept.items():
            lines.append(f"{name} is wholly off, one zeroed neuron of it was kept: {why}")
        return "\n".join(lines)
