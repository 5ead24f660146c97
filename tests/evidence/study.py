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
