"""Images and labels as tensors, in seeded batches; imports only `checks` and `devices`."""

from snnviz.data.difficulty import choosing, harder
from snnviz.data.images import NAMES, BatchOrder, ImageData, Source, Split, SplitName, load_data

__all__ = [
    "NAMES",
    "BatchOrder",
    "ImageData",
    "Source",
    "Split",
    "SplitName",
    "choosing",
    "harder",
    "load_data",
]
