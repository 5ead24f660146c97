"""FPGM (He et al. 2019): neurons nearest to the geometric median of their layer are replaceable."""

import torch

from snnviz.rivals.pruning import Scores, fold_factors, train_and_prune
from snnviz.rivals.start import Start
from snnviz.structure import neuron_weights
from snnviz.training.trainer import AlternatingTrainer


def fpgm(start: Start, size: float | None = None, prune_at: float = 0.5) -> AlternatingTrainer:
    """Removes the neurons whose incoming weights are nearest to those of all others.

    Args:
        start: what to train.
        size: share of the parameters to keep; None: as in the reference.
        prune_at: share of the epochs after which neurons are removed.
    """
    return train_and_prune(start, sum_distances, size, prune_at)


@torch.no_grad()
def sum_distances(trainer: AlternatingTrainer) -> Scores:
    """Sum of the distances from a neuron's incoming weights to those of all others (equation 5).

    It is divided by the group's mean, so that groups are comparable. (`FPGMImportance` of
    Torch-Pruning 1.6 is not used: it measures distances between the squares of the weights.)
    """
    network = fold_factors(trainer.network, trainer.switches, trainer.factors)
    found: Scores = {}
    for name, group in trainer.switches.groups.items():
        filters = neuron_weights(network, group).incoming.double()  # (neurons, fan_in)
        mode = "donot_use_mm_for_euclid_dist"  # the faster one loses digits
        scores = torch.cdist(filters, filters, compute_mode=mode).sum(1)  # (neurons,)
        found[name] = (scores / scores.mean().clamp(min=1e-30)).cpu().numpy()
    return found
