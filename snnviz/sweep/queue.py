"""The order of a sweep's runs: which one can be made next."""

from collections.abc import Mapping

from snnviz.sweep.cell import Cell, Row


class Queue:
    """The runs that are left. A run that needs another one waits until that one has ended.

    Args:
        cells: {key: run}, with all runs that others need.
        rows: {key: row} from earlier sweeps.
    """

    def __init__(self, cells: Mapping[str, Cell], rows: Mapping[str, Row]) -> None:
        self._ended = {k: rows[k] for k in cells if k in rows and rows[k]["status"] == "done"}
        self._left = {key: cell for key, cell in cells.items() if key not in self._ended}

    def __len__(self) -> int:
        return len(self._left)

    def next(self) -> tuple[Cell, Row | None] | None:
        """A run that can be made now, with the row of the one it needs; None if there is none."""
        for key, cell in self._left.items():
            needed = cell.reference
            if needed is None or needed.key in self._ended:
                del self._left[key]
                return cell, None if needed is None else self._ended[needed.key]
        return None

    def ended(self, row: Row) -> None:
        self._ended[row["key"]] = row
