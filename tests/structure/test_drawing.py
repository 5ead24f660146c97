"""Copies are drawn at random so that nothing is hidden."""

import pytest
import torch
from torch import nn

from snnviz.structure.drawing import draw_all


def test_nothing_is_zero_or_negative_where_it_must_not_be() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(300, 200), nn.PReLU())
    for memory_format in (torch.contiguous_format, torch.channels_last):
        network[0].to(memory_format=memory_format)
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.zero_()
        draw_all(network)
        state = network.state_dict()
        assert int(state.pop("1.num_batches_tracked")) == 0
        assert all(bool((tensor != 0).any()) for tensor in state.values())
        assert all(len(tensor.unique()) > 0.99 * tensor.numel() for tensor in state.values())
        for name in ("1.weight", "1.running_mean", "1.running_var", "3.weight"):
            assert float(state[name].min()) >= 0.5
        assert float(state["2.weight"].std()) == pytest.approx((2 / 300) ** 0.5, rel=0.02)
