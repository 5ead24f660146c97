"""Rows of a study as `sweep.read` gives them, written by hand."""

import json
from typing import Any

import numpy as np
import pandas as pd

FAILED = {"status": "failed", "error": "out of memory", "test_accuracy": np.nan, "on": None}


def run(method: str = "switched", seed: int = 0, **columns: Any) -> dict[str, Any]:
    """A row; `sets` is {group: which of its neurons are on}."""
    sets = {group: np.array(on, bool) for group, on in columns.pop("sets", {}).items()}
    row: dict[str, Any] = {
        "study": "a study",
        "network": "lenet5",
        "width": 1.0,
        "data": "fashion-mnist",
        "classes": 0,
        "noise": 0.0,
        "share": 1.0,
        "precision": "float32",
        "method": method,
        "kind": method,
        "seed": seed,
        "status": "done",
        "error": None,
        "test_accuracy": 0.9,
        "neurons": 100,
        "neurons_on": 60,
        "parameters_before": 1000,
        "parameters": 500,
        "macs_before": 8000,
        "macs": 2000,
        "seconds": 10.0,
        "switcher_examples": 128_000,
        "settings": json.dumps({"schedule": {"batch_size": 128}}),
        "on": json.dumps({g: np.packbits(on).tobytes().hex() for g, on in sets.items()}),
        "widths": json.dumps({g: [int(on.sum()), len(on)] for g, on in sets.items()}),
    }
    return row | columns


def asked(size: float) -> str:
    """The settings of a run that was asked for a size."""
    return json.dumps({"schedule": {"batch_size": 128, "size": size}})


def study(*runs: dict[str, Any]) -> pd.DataFrame:
    keys = [{"key": f"run {i}"} for i in range(len(runs))]
    return pd.DataFrame([key | each for key, each in zip(keys, runs, strict=True)])


def accuracies(**methods: list[float]) -> pd.DataFrame:
    """A study of one setting: {method: the test accuracy of each seed}."""
    return study(
        *(
            run(method, seed, test_accuracy=value)
            for method, values in methods.items()
            for seed, value in enumerate(values)
        )
    )


# Accuracies of five seeds, as much above 0.9: noise of a tenth of a point on each.
NOISE = [0.000, 0.001, -0.001, 0.0005, -0.0005]
SIZES = {"dense": 1000, "free": 800, "random_features": 700, "shuffled": 500, "magnitude": 500}


def setting(network: str, above: dict[str, float], seeds: int = 5, **columns) -> list[dict]:
    """Runs of one setting: {method: how far its accuracies lie above 0.9}."""
    return [
        run(
            method,
            seed,
            network=network,
            test_accuracy=0.9 + gap + NOISE[seed] * (1 + len(method) % 3),
            parameters=SIZES.get(method, 500),
        )
        | columns
        for method, gap in above.items()
        for seed in range(seeds)
    ]


LEVEL = dict.fromkeys(["dense", "switched", "free", "random_features", "shuffled"], 0.0)
MARKED = LEVEL | {"magnitude": 0.0}


def at_sizes(*sizes: tuple[float, dict[str, float]], network: str = "mlp") -> list[dict]:
    """Runs that were asked for a size: (size, as in `setting`)."""
    return [
        row
        for size, above in sizes
        for row in setting(network, above, settings=asked(size), parameters=int(1000 * size))
    ]


def dosed(network: str, off: dict[float, int], method: str = "switched", **columns) -> list[dict]:
    """Runs of claim 3: {width: how many of 100 neurons are off in seed 0}."""
    return [
        run(method, seed, network=network, neurons_on=100 - n + seed, epochs=8, examples=800)
        | {"width": width}
        | columns
        for width, n in off.items()
        for seed in range(3)
    ]


def both(network: str, off: dict[float, int], fixed: dict[float, int]) -> list[dict]:
    return [*dosed(network, off), *dosed(network, fixed, "fixed gain")]


RISES, FALLS = {0.5: 10, 1.0: 40, 2.0: 70}, {0.5: 70, 1.0: 40, 2.0: 10}
