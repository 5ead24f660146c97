"""Builds a trainer's parts from a network, data and a config: all checked and on one device."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from snnviz.data import ImageData
from snnviz.devices import pick_device, pick_precision
from snnviz.structure import Switches, find_switches, memory_format
from snnviz.training import checks
from snnviz.training.config import TrainingConfig
from snnviz.training.learners import Learners
from snnviz.training.schedule import Position


class Parts(NamedTuple):
    """The parts of a trainer. In `config`, nothing is left at "auto"."""

    config: TrainingConfig
    device: torch.device
    precision: str
    data: ImageData
    switches: Switches
    learners: Learners


def make_parts(network: nn.Module, data: ImageData, config: TrainingConfig) -> Parts:
    """Finds the switch groups, and moves network and data to the device.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is not allowed, or the network has nothing to switch.
    """
    checks.check_network_and_data(network, data)
    checks.check_schedule(config.schedule, data)
    device = pick_device(config.device)
    precision = pick_precision(config.precision, device)
    example = data.example()
    switches = find_switches(network.to(example.device), example, config.exclude, config.weighted)
    checks.check_batch_size(network, config.schedule, data)
    config = replace(
        config,
        device=device,
        precision=precision,
        exclude=tuple(config.exclude),
        weighted=tuple(config.weighted),
    )
    switches, data = switches.to(device), data.to(device)
    network = network.to(device)
    images_format = memory_format.prepare(network, example.to(device))
    learners = config.learners(
        network,
        switches,
        config.switcher,
        config.schedule,
        config.seed,
        device,
        precision,
        images_format,
    )
    learners.check_size(config.schedule, len(data.train), Position())
    all_on = {g.name: torch.ones(g.neurons, device=device) for g in switches.groups.values()}
    checks.check_scores(learners.logits(example.to(device), all_on), data.n_classes)
    return Parts(config, device, precision, data, switches, learners)
