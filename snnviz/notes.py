"""Notes to the user: warnings that point to the line outside snnviz that made the call."""

import inspect
import warnings


def tell(text: str) -> None:
    """Warns, with the place of the first caller that is neither snnviz nor a decorator of it."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and _is_ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level + 1)


def _is_ours(module: str) -> bool:
    return module in ("snnviz", "contextlib") or module.startswith("snnviz.")
