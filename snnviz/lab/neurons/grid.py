"""The neuron grid: every neuron of the network as a cell, and the page of the one that is opened.

`grid.js` draws it; what it is given is made by pure functions (numbering.py, flips.py).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import traitlets as t

from snnviz.lab.page.names import drop_prefix
from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.page.two_way import ScriptWidget

HERE = Path(__file__).parent
STYLES = ("grid", "tools", "page")
SORTS = ("number", "factor", "off")  # see order.js
PINNED, TRIED_OFF, TRIED_ON = 1, 2, 4  # bits of a neuron's mark

Deed = Literal["off", "on", "keep", "let go"]
DEEDS = ("off", "on", "keep", "let go")


class Grid(ScriptWidget):
    """All neurons in view. Made once, and then only its traits are written.

    When the user presses O, N, K or L, it sends {"do": one of `DEEDS`, "neurons": [...]} (see
    `parse_wish`). The neurons come along, for `selected` may arrive later than the message.
    """

    _esm = join_script(HERE / "grid.js")
    _css = join_styles(*(HERE / f"{name}.css" for name in STYLES))

    groups = t.List(help="[name, neurons] of each group; fixed").tag(sync=True)
    labels = t.List(t.Unicode(), help="a short name of each group; fixed").tag(sync=True)
    factors = t.Bytes(help="float32, see `encode`").tag(sync=True)
    flipped = t.Bytes(help="int32, see `Flips`").tag(sync=True)
    marks = t.Bytes(help="uint8: PINNED, TRIED_OFF, TRIED_ON or their sum").tag(sync=True)
    answers = t.Bytes(help="float32, 0 to 1: to an image; empty: none is shown").tag(sync=True)
    moment = t.Unicode(help="what is shown, as in 'epoch 4'").tag(sync=True)
    selected = t.List(t.Int(), help="neurons, in order").tag(sync=True)
    sort = t.Enum(SORTS, "number", help="how neurons are sorted in their groups").tag(sync=True)
    only_off = t.Bool(False, help="neurons that are on are hidden").tag(sync=True)
    opened = t.Int(-1, help="the neuron whose page is open; -1: none").tag(sync=True)
    page = t.Dict(help="what is known of the opened neuron; {} until it is").tag(sync=True)
    bare = t.Bool(False, help="only the cells: nothing can be opened or selected").tag(sync=True)
    live = t.Bool(True, help="a kernel answers; not so in an exported file").tag(sync=True)

    def __init__(self, groups: Mapping[str, int], **traits: Any) -> None:
        n = sum(groups.values())
        empty = {
            "factors": np.ones(n, "<f4").tobytes(),
            "flipped": np.zeros(n, "<i4").tobytes(),
            "marks": bytes(n),
        }
        self._n = n
        fixed: dict[str, Any] = {"groups": [list(item) for item in groups.items()]}
        fixed["labels"] = list(drop_prefix(groups).values())
        super().__init__(**{**fixed, **empty, **traits})
        self.add_class("snnviz-neurons")

    @t.validate("factors", "flipped", "marks")
    def _right_length(self, proposal: Any) -> bytes:
        name, value = proposal["trait"].name, proposal["value"]
        wanted = self._n * {"factors": 4, "flipped": 4, "marks": 1}[name]
        if len(value) != wanted:
            raise t.TraitError(
                f"{name} must be {wanted} bytes for {self._n} neurons, got {len(value)}."
            )
        return value

    @t.validate("selected")
    def _known_neurons(self, proposal: Any) -> list[int]:
        value = sorted(set(proposal["value"]))
        if value and not 0 <= value[0] <= value[-1] < self._n:
            raise t.TraitError(
                f"selected must hold neurons from 0 to {self._n - 1}, "
                f"got {value[0]} to {value[-1]}."
            )
        return value

    @t.validate("opened")
    def _known_neuron(self, proposal: Any) -> int:
        value = proposal["value"]
        if not -1 <= value < self._n:
            raise t.TraitError(
                f"opened must be a neuron from 0 to {self._n - 1}, or -1 for none, got {value}."
            )
        return value


def parse_wish(content: Any, neurons: int) -> tuple[Deed, list[int]] | None:
    """What a message of the page asks for, and of which neurons; None if it is none of its wishes.

    Args:
        content: what `Grid.on_msg` hands on.
        neurons: how many the grid has.
    """
    if not isinstance(content, dict) or content.get("do") not in DEEDS:
        return None
    asked = content.get("neurons")
    if not isinstance(asked, list) or not asked:
        return None
    if not all(type(k) is int and 0 <= k < neurons for k in asked):
        return None
    return cast(Deed, content["do"]), sorted(set(asked))
