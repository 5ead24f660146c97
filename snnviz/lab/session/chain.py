"""How a neuron gets its factor, step by step: descriptors, score, waterline, factor."""

from typing import Any

import numpy as np

from snnviz.switcher import DESCRIPTORS, WITH_SCORES
from snnviz.training import AlternatingTrainer


def make_chain(trainer: AlternatingTrainer, group: str, index: int) -> dict[str, Any] | None:
    """Plain values and bytes for the page; `chain.js` draws them.

    It follows from the weights as they are now. The factor in use may differ: it is from the last
    switcher phase, or pinned. None: the factors come from gates without scores.
    """
    if not isinstance(trainer.switcher, WITH_SCORES):
        return None
    told = trainer.explain()[group]
    read = told.standardised if told.inputs is None else told.inputs
    return {
        "reads": told.reads,
        "activation": told.activation,
        "descriptors": [
            {
                "name": name,
                "sentence": DESCRIPTORS[name].sentence,
                "value": float(told.values[index, i]),
                "read": float(read[index, i]),
            }
            for i, name in enumerate(told.descriptors)
        ],
        "score": float(told.scores[index]),
        "waterline": told.waterline,
        "factor": float(told.factors[index]),
        "stays": told.stays is None or bool(told.stays[index]),
        "least": told.least,
        "scores": told.scores.numpy().astype(np.float32).tobytes(),
    }
