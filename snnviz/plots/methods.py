"""The style and the name of each method of a study, the same in every figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from snnviz.evidence.words import method as in_words
from snnviz.plots.paper import DENSE, MARKERS, RIVALS, SWITCHER

# In the order of every figure. Colours repeat but markers do not, so grey print is clear too.
LOOKS: dict[str, tuple[str, str]] = {
    "dense": (DENSE, "_"),
    "dense_longer": (DENSE, "d"),
    "switched": (SWITCHER, "o"),
    "free": (RIVALS[0], "s"),
    "shuffled": (RIVALS[1], "^"),
    "random_features": (RIVALS[2], "D"),
    "slimming": (RIVALS[3], "v"),
    "magnitude": (RIVALS[0], "P"),
    "taylor": (RIVALS[2], "*"),
    "fpgm": (RIVALS[3], "8"),
    "random": (RIVALS[1], "X"),
    "group_sparse": (RIVALS[2], "<"),
    "l0": (RIVALS[3], ">"),
    "se": (RIVALS[0], "p"),
    "scratch": (RIVALS[1], "h"),
}
FILLS = ("full", "none", "left", "top", "right", "bottom")  # for variants of one kind

SETTINGS = {
    "width": "width ×{:g}",
    "classes": "{} classes",
    "noise": "noise {:g}",
    "share": "{:.3g} of the images",
}


def method_looks(methods: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """{method: style of its points} in the fixed order, from pairs (method, kind).

    A method with the name of its kind comes first; its variants have other marker fills.
    """
    pairs = set(methods)
    order = [*LOOKS, *sorted({kind for _, kind in pairs} - LOOKS.keys())]
    looks: dict[str, dict[str, Any]] = {}
    variants = dict.fromkeys(order, 0)
    for method, kind in sorted(pairs, key=lambda p: (order.index(p[1]), p[0] != p[1], p[0])):
        i = order.index(kind)
        colour, marker = LOOKS.get(kind, (RIVALS[i % len(RIVALS)], MARKERS[i % len(MARKERS)]))
        fill = FILLS[variants[kind] % len(FILLS)]
        variants[kind] += 1
        look = {"color": colour, "marker": marker, "fillstyle": fill, "ms": 4, "mew": 0.8}
        looks[method] = look | {"markerfacecoloralt": "white"}
    return looks


def setting_in_words(setting: Mapping[str, Any]) -> str:
    """A setting or a group in words: "lenet5, width ×0.5, 5 classes, shuffled weights"."""
    words = []
    for name, value in setting.items():
        if name == "method":
            words.append(in_words(value))
        elif (name, value) == ("classes", 0):
            words.append("all classes")
        elif (name, value) == ("share", 1):
            words.append("all images")
        else:
            words.append(SETTINGS.get(name, "{}").format(value))
    return ", ".join(words)
