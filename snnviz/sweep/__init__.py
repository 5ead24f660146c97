"""Sweeps: many runs on Ray, one row for each in a Parquet file; imports `rivals` and before.

from snnviz import sweep

study = sweep.Study.read("study.toml")
sweep.run(study)
frame = sweep.read(study.results)
"""

from snnviz.sweep.results import read
from snnviz.sweep.run import run
from snnviz.sweep.study import Study

__all__ = ["Study", "read", "run"]
