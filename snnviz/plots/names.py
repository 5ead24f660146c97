"""Long names made short: layers of large networks have names of 50 letters and more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from unicodedata import east_asian_width

CUT = "…"
_LONG_WORD = re.compile(r"[^\W\d_]{6,}")


def shorten(names: Iterable[str], most: int) -> dict[str, str]:
    """{name: a name of about `most` letters}; no two names become the same.

    If all names are short enough, they stay as they are. Otherwise the parts (between dots) that
    all names share at their beginning and end are left out. If this is not enough, words that all
    names share are abbreviated, and then the middle of long names is left out.

    >>> shorten(["features.block1.conv", "features.block2.conv"], 12)
    {'features.block1.conv': '…block1…', 'features.block2.conv': '…block2…'}
    """
    lines = {name: " ".join(name.split()) for name in names}  # a line break would hide others
    if all(width_of(line) <= most for line in lines.values()):
        return lines
    cores = _without_shared_parts(list(lines.values()))
    if any(width_of(core) > most for core in cores.values()):
        cores = _with_shared_words_cut(cores)
    length = most
    while True:
        made = {name: _cut(cores[line], length) for name, line in lines.items()}
        counts = Counter(made.values())
        if max(counts.values()) == 1 or length >= max(map(len, lines.values())):
            break
        length += 2
    # Names that become alike are cut less, the others as much as was asked for.
    wanted = {name: _cut(cores[line], most) for name, line in lines.items()}
    alike = Counter(wanted.values())
    return {name: short if alike[short] == 1 else made[name] for name, short in wanted.items()}


def width_of(text: str) -> int:
    """Letters; those of Chinese, Japanese and Korean are twice as wide."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _without_shared_parts(names: list[str]) -> dict[str, str]:
    if len(set(names)) < 2:
        return {name: name for name in names}
    parts = [name.split(".") for name in names]
    shortest = min(map(len, parts)) - 1  # at least one part stays
    first = 0
    while first < shortest and len({each[first] for each in parts}) == 1:
        first += 1
    last = 0
    while last < shortest - first and len({each[-1 - last] for each in parts}) == 1:
        last += 1
    cores = {}
    for name, each in zip(names, parts, strict=True):
        core = ".".join(each[first : len(each) - last])
        cores[name] = f"{CUT * bool(first)}{core}{CUT * bool(last)}"
    return cores


def _with_shared_words_cut(names: dict[str, str]) -> dict[str, str]:
    """The first three letters of words that occur in all of several names."""
    words = [set(_LONG_WORD.findall(name)) for name in names.values()]
    shared = set.intersection(*words) if len(names) > 1 else set()

    def cut(found: re.Match[str]) -> str:
        return f"{found[0][:3]}{CUT}" if found[0] in shared else found[0]

    return {name: _LONG_WORD.sub(cut, short) for name, short in names.items()}


def _cut(name: str, most: int) -> str:
    """Without its middle; more remains of the end, which tells layers apart."""
    if width_of(name) <= most:
        return name
    head, tail = "", ""
    while width_of(head + name[len(head)]) <= (most - 1) // 3:
        head += name[len(head)]
    while width_of(head + name[-1 - len(tail)] + tail) <= most - 1:
        tail = name[-1 - len(tail)] + tail
    return f"{head.removesuffix(CUT)}{CUT}{tail.removeprefix(CUT)}"
