"""Networks put together at random have the same outputs after compacting."""

import os
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from torch.func import functional_call

from snnviz.shrink import compact
from snnviz.structure import find_switches, scaled_parameters
from snnviz.training import Phase
from tests import networks_at_random
from tests.networks_at_random import Block, Plan, built, plans
from tests.shrink.nets import assert_cut, assert_ordinary, count, scores_of

# Locally: SNNVIZ_RANDOM_NETWORKS=300 pytest tests/shrink/test_random_networks.py
RANDOM_NETWORKS = int(os.environ.get("SNNVIZ_RANDOM_NETWORKS", "130"))
# --- networks put together at random -------------------------------------------------------------


seen: Counter[str] = Counter()
# Two kinds that are too rare to be drawn each time: a branch that goes wholly, and a neuron that is
# less than a channel of each member of its group.
KINDS = {"width": 2, "kernel": 1, "bias": False, "norm": "after", "activation": "relu", "groups": 1}
PLAIN, ADDED, CONSTANTS = (Block(kind, **KINDS) for kind in ("plain", "added", "constants"))
GOES_WHOLLY = Plan((PLAIN, ADDED), head="linear", flat=False)
JOINED = Plan((PLAIN, PLAIN, CONSTANTS), head="linear", flat=False)


@settings(
    max_examples=RANDOM_NETWORKS,
    derandomize=RANDOM_NETWORKS <= 130,
    suppress_health_check=[HealthCheck.too_slow],
)
@example(GOES_WHOLLY, 0)
@example(JOINED, 0)
@given(plans, st.integers(0, 10_000))
def put_together(plan: Plan, seed: int) -> None:
    net = built(plan)
    shape = networks_at_random.SHAPE
    images = torch.randn(3, *shape, generator=torch.Generator().manual_seed(seed)).double()
    seen["networks"] += 1
    try:
        switches = find_switches(net, images)
    except ValueError as error:
        if not str(error).startswith("network has no neurons that can be switched ("):
            raise
        return
    seen["switched"] += 1
    rng = np.random.default_rng(seed)
    factors = {}
    for name, g in switches.groups.items():  # a third of them entirely off
        on = (rng.random(g.neurons) < 0.5) * (rng.random() > 1 / 3)
        factors[name] = torch.from_numpy(rng.uniform(0.2, 2, g.neurons) * on)
    small, report = compact(net, factors, images, switches=switches, tolerance=1e-5, latency=False)
    expected = scores_of(net, images, switches, factors)
    with torch.no_grad():
        difference = float((small(images) - expected).abs().max())
    assert difference <= 1e-5 * float(expected.abs().max())
    phases: tuple[Phase, ...] = ("task", "switcher")
    for phase in phases:  # wherever a step of training has the factors act
        parameters = scaled_parameters(net, switches, factors, phase=phase)
        with torch.no_grad():
            scores = functional_call(net, parameters, (images,))
        assert float((scores - expected).abs().max()) <= 1e-9 * float(expected.abs().max())
    seen["moved"] += any(g.moved for g in switches.groups.values())
    assert count(small, images) == report.after
    assert count(net, images) == report.before == switches.size()
    if not report.kept and not report.removed:
        assert switches.size({name: s.numpy() for name, s in factors.items()}) == report.after
    if report.removed:
        assert_cut(small, net, report)
    else:
        assert_ordinary(small, net)
    seen["cut"] += bool(report.removed)
    seen["smaller"] += report.after.parameters < report.before.parameters
    seen["joined"] += any(
        len(m.channels) < g.neurons for g in switches.groups.values() for m in g.written_as
    )
    seen["several writers"] += any(len(g.writers) > 1 for g in switches.groups.values())


@pytest.mark.slow
def test_networks_put_together_at_random() -> None:
    seen.clear()
    put_together()
    n = seen["networks"]
    assert n >= RANDOM_NETWORKS
    assert seen["switched"] >= 0.7 * n  # else the property would say little
    assert seen["smaller"] >= 0.6 * n
    assert seen["several writers"] >= 0.05 * n
    assert seen["joined"] >= 1
    assert seen["cut"] >= 1
    assert seen["moved"] >= 0.1 * n
