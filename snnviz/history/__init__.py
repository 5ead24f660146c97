"""What a run left behind, in memory and in Parquet tables; imports only checks and files."""

from snnviz.history.history import EVENT_COLUMNS, History, last_epoch
from snnviz.history.rows import EPOCH_COLUMNS, STEP_COLUMNS

__all__ = ["EPOCH_COLUMNS", "EVENT_COLUMNS", "STEP_COLUMNS", "History", "last_epoch"]
