"""Images and labels as tensors, in seeded batches; imports only `checks`, `files` and `devices`."""

from snnviz.data.batches import BatchOrder
from snnviz.data.difficulty import choosing, harder
from snnviz.data.images import ImageData, ImagesMissing, Source, Split, SplitName
from snnviz.data.loading import NAMES, load_data

__all__ = [
    "NAMES",
    "BatchOrder",
    "ImageData",
    "ImagesMissing",
    "Source",
    "Split",
    "SplitName",
    "choosing",
    "harder",
    "load_data",
]
