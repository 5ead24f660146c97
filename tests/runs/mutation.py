"""Run folders that something or somebody has changed: seeded, so that each can be made again.

Two kinds. *Damage* is what disks, hands and programs do: bytes flip, files are cut, lost, swapped,
linked. Then whatever is still read must be the truth. A *forgery* has right checksums, so that it
gets past them to whoever takes the content apart; no truth is asked of it, only good behaviour.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.runs import damage, forgery, hostile
from tests.runs.damage import Place

Mutate = Callable[[random.Random, Place], str]

KINDS: dict[str, tuple[Mutate, ...]] = {
    "bytes": (damage.flip, damage.cut, damage.grow, damage.splice, damage.huge),
    "files": (
        *(damage.remove, damage.remove_folder, damage.exchange, damage.overwrite),
        *(damage.call_like_another, damage.number_anew, damage.older_pointer),
        *(damage.stray, damage.no_plain_file),
    ),
    "links": (damage.link_file, damage.link_in_circle, damage.link_folder, damage.link_in_wait),
    "config": (hostile.config, hostile.config, hostile.config, hostile.newer, hostile.other_text),
    "pointer": (hostile.unchecked_pointer, hostile.newer, hostile.other_text),
    "forged pointer": (forgery.pointer, forgery.pointer, forgery.pointer_numbers, forgery.wide),
    "forged bytes": (forgery.bytes_forged, forgery.bytes_forged, forgery.from_the_other_run),
    "forged checkpoint": (forgery.header, forgery.state, forgery.state, forgery.tensors),
    "forged table": (forgery.table, forgery.table, forgery.bomb),
    "forged pickle": (forgery.trap, forgery.trap, forgery.metadata_trap),
}


class Mutation(NamedTuple):
    """What was done, and whether checksums were made to fit."""

    words: str
    forged: bool


def mutate(rng: random.Random, place: Place) -> Mutation:
    """Changes the folder, mostly once; now and then again and again."""
    words, forged = [], False
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind = rng.choice(list(KINDS))
        one = rng.choice(KINDS[kind])
        try:
            words.append(f"{kind}: {one.__name__} {one(rng, place)}")
        except Exception as error:
            if not words:  # the first change meets a folder that is whole
                raise
            words.append(f"no {one.__name__} ({type(error).__name__}) any more")
        forged |= kind.startswith("forged")
    return Mutation("; ".join(words), forged)
