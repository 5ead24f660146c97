"""The record of a run, in memory and in Parquet tables; imports only `checks` and `files`."""

from snnviz.history.history import EVENT_COLUMNS, History
from snnviz.history.rows import EPOCH_COLUMNS, STEP_COLUMNS
from snnviz.history.store import last_epoch

__all__ = ["EPOCH_COLUMNS", "EVENT_COLUMNS", "STEP_COLUMNS", "History", "last_epoch"]
