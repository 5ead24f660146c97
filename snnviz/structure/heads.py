"""Proposes the heads of attention layers as neurons: a head is one neuron.

How torch's own attention arranges them is known. How other layers do cannot be read from shapes
alone, so each likely way is proposed. `trial.py` proves one of them, or none. The factor of a head
multiplies the weights that read what it gives.
"""

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from snnviz.structure.attention import is_attention
from snnviz.structure.grouping import weighs_inputs
from snnviz.structure.groups import Member, Number, SwitchGroup
from snnviz.structure.layers import inputs_of, own_channel_dim, parts_of, units_of
from snnviz.structure.probe import WRITERS, computes_weights, own_parameters
from snnviz.structure.reasons import NO_HEADS

if TYPE_CHECKING:
    from snnviz.structure.places import Item

_UPWARDS = 2  # modules around a layer that may hold the number of its heads


def find_heads(
    probe: nn.Module, shared: Container[Tensor], called: Container[str]
) -> dict[str, SwitchGroup | str]:
    """{attention: its heads, or why they are left alone}, for those of torch and of its subclasses.

    Args:
        probe: a copy of the network.
        shared: parameters of several layers.
        called: names of layers that the network calls.
    """
    attentions = {
        name: module
        for name, module in probe.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    }
    found: dict[str, SwitchGroup | str] = {}
    for name, module in attentions.items():
        why = _why_no_heads(module, shared, name in called)
        found[name] = f"{name} {NO_HEADS[why]}" if why else _heads_of(name, module)
    return found


def _why_no_heads(attention: Any, shared: Container[Tensor], called: bool) -> str:
    if not is_attention(attention):
        return "own"
    layer = attention.out_proj
    names = {"bias_k", "bias_v", "in_proj_weight", "in_proj_bias"}
    names |= {f"{part}_proj_weight" for part in "qkv"}
    computed = computes_weights(layer) or own_parameters(layer) or not isinstance(layer, WRITERS)
    if computed or not names.issuperset(attention._parameters):
        return "computed"
    if any(p in shared for p in attention.parameters()):
        return "shared"
    if not called:
        return "unused"
    return "one" if attention.num_heads == 1 else ""


def _heads_of(name: str, attention: Any) -> SwitchGroup:
    channels = np.arange(units_of(attention))
    written = Member(name, channels, channels // attention.head_dim)
    read = Member(f"{name}.out_proj", channels, written.neurons)
    return SwitchGroup(
        name=name,
        neurons=attention.num_heads,
        writers=(name,),
        norms=(None,),
        readers=(read.layer,),
        scaled=(),
        written_as=(written,),
        read_as=(read,),
        scaled_as=(),
        carried_as=(),
        moved="always",
        heads=True,
    )


def propose_heads(
    items: list["Item"],
    probe: nn.Module,
    names: dict[Any, str],
    shared: Container[Tensor],
    order: dict[str, int],
) -> list[SwitchGroup]:
    """Ways in which layers that were traced together may be the heads of an attention layer."""
    writers = [i.module for i in items if isinstance(i.module, WRITERS) and not i.reading]
    readers = [i.module for i in items if isinstance(i.module, WRITERS) and i.reading]
    known = all(layer in names for layer in (*writers, *readers))  # not the images
    if not known or not writers or len(readers) != 1 or set(writers) & set(readers):
        return []
    writers.sort(key=lambda layer: order[names[layer]])
    reader, layers = readers[0], [*writers, *readers]
    usual = all(not computes_weights(x) and not own_parameters(x) for x in layers)
    plain = usual and all(x.weight not in shared and parts_of(x) == 1 for x in layers)
    if not plain or not weighs_inputs(reader, shared):
        return []
    inner = inputs_of(reader)
    tied = {names.get(item.module) for item in items if isinstance(item.module, nn.Parameter)}
    found = []
    for owner, counted in _owners(names[writers[0]], probe, inner):
        module = probe.get_submodule(owner)
        n = getattr(module, counted[0])
        for own in _apart(writers, n, inner):
            widths = {units_of(writer) for writer in own}
            for sizes in _sizes(module, {inner, *widths}):
                for side_by_side in (False, True) if units_of(own[0]) > inner else (False,):
                    numbers = tuple(dict.fromkeys((*counted, *sizes)))
                    heads = _Heads(owner, n, numbers, inner, side_by_side)
                    found.append(_group(heads, module, own, reader, names, tied))
    return found


def _apart(writers: list[Any], n: int, inner: int) -> list[tuple[Any, ...]]:
    """Which layers may write for each head apart; the others write for all heads together."""
    if any(units_of(w) % inner for w in writers if units_of(w) > inner):
        return []
    dividing = tuple(w for w in writers if not units_of(w) % n)
    wide = tuple(w for w in dividing if units_of(w) >= inner)
    return [own for own in dict.fromkeys((dividing, wide)) if own]


def _owners(layer: str, probe: nn.Module, inner: int) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Modules around the layer, and their numbers that may be numbers of heads.

    The first counts the neurons: where several queries share their keys and values, these are one
    neuron, and there are as many times more queries.
    """
    for _ in range(_UPWARDS):
        layer = layer.rpartition(".")[0]
        counts = {
            name: value
            for name, value in vars(probe.get_submodule(layer)).items()
            if type(value) is int and 1 < value < inner and inner % value == 0
            if "head" in name and not any(word in name for word in ("dim", "size"))
        }
        for name, n in counts.items():
            others = [other for other, more in counts.items() if other != name and more % n == 0]
            yield from ((layer, (name, *also)) for also in dict.fromkeys((tuple(others), ())))
        if not layer:
            return


def _sizes(owner: nn.Module, widths: Container[int]) -> list[tuple[str, ...]]:
    """Which numbers of the module may be the size of all heads together."""
    alike = [name for name, v in vars(owner).items() if type(v) is int and v in widths]
    found = [tuple(alike), *((name,) for name in alike), ()]
    return list(dict.fromkeys(found))


class _Heads(NamedTuple):
    """How heads may be arranged."""

    owner: str  # a module
    n: int
    numbers: tuple[str, ...]  # of the module: their number, and what goes with it
    inner: int  # channels of all heads together
    side_by_side: bool


def _group(
    heads: _Heads,
    owner: nn.Module,
    writers: tuple[Any, ...],
    reader: Any,
    names: dict[Any, str],
    tied: set[str | None],
) -> SwitchGroup:
    n, every = heads.n, np.arange(heads.n)

    def member(layer: Any, channels: int) -> Member:
        """Queries, keys and values of a head, if one layer writes them all, may be side by side."""
        places = np.arange(channels)
        width = channels if heads.side_by_side else min(channels, heads.inner)
        return Member(names[layer], places, places % width // (width // n))

    written = tuple(member(layer, units_of(layer)) for layer in writers)
    # Such as a temperature, or a table of the differences of positions.
    own = [
        path
        for name, p in owner.named_parameters(recurse=False)
        if (path := f"{heads.owner}.{name}".lstrip(".")) in tied
        and p.ndim
        and p.shape[own_channel_dim(p)] == n
    ]
    counts = [(name, every.repeat(getattr(owner, name) // n)) for name in heads.numbers]
    return SwitchGroup(
        name=written[0].layer,
        neurons=n,
        writers=tuple(m.layer for m in written),
        norms=(None,) * len(written),
        readers=(names[reader],),
        scaled=tuple(m.layer for m in written),
        written_as=written,
        read_as=(member(reader, heads.inner),),
        scaled_as=written,
        carried_as=tuple(Member(name, every, every) for name in own),
        numbers=tuple(Number(heads.owner, name, "", counted) for name, counted in counts),
        moved="always",
        heads=True,
    )
