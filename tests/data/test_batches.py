"""The order of batches equals its rule, and goes on where it was saved."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnviz.data import BatchOrder


def slow_order(n: int, batch_size: int, seed: int, passes: int) -> list[list[int]]:
    """The rule as it is written: permute, cut into batches, leave the rest."""
    b, batches = min(batch_size, n), []
    for epoch in range(passes):
        words = np.random.SeedSequence((seed, 0, epoch)).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        rows = torch.randperm(n, generator=generator).tolist()
        batches += [rows[k * b : (k + 1) * b] for k in range(n // b)]
    return batches


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), seed=st.integers(0, 2**63))
def test_order_equals_its_rule(n: int, batch_size: int, seed: int) -> None:
    order = BatchOrder(n, batch_size, seed)
    expected = slow_order(n, batch_size, seed, passes=3)
    assert order.batches_per_epoch == max(1, n // batch_size) == len(expected) / 3
    assert [order.next()[0].tolist() for _ in expected] == expected
    assert all(len(set(batch)) == len(batch) for batch in expected)


@given(n=st.integers(1, 20), batch_size=st.integers(1, 25), before=st.integers(0, 30))
def test_order_goes_on_where_it_was_saved(n: int, batch_size: int, before: int) -> None:
    order = BatchOrder(n, batch_size, 3)
    for _ in range(before):
        order.next()
    state = order.state_dict()
    assert state == {"seed": 3, "drawn": before}
    resumed = BatchOrder(n, batch_size, 0)
    resumed.next()
    resumed.load_state_dict(state)
    for _ in range(5):
        (rows, generator), (again, twin) = order.next(), resumed.next()
        assert torch.equal(rows, again)
        assert torch.equal(generator.get_state(), twin.get_state())


def test_every_seed_pass_and_batch_differs() -> None:
    orders, noises = set(), set()
    for seed in range(4):
        order = BatchOrder(50, 50, seed)
        for _ in range(4):
            rows, generator = order.next()
            orders.add(tuple(rows.tolist()))
            assert rows.tolist() != torch.randperm(50, generator=generator).tolist()
            noises.add(tuple(torch.randint(1000, (9,), generator=generator).tolist()))
    assert (len(orders), len(noises)) == (16, 16)
