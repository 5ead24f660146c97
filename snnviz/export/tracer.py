"""Records the calls of a forward pass with `torch.fx`, down to the layers."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from snnviz.export.substitutes import functions_to_replace, layer_class, substitute_of


class _Proxy(fx.Proxy):
    """A value in a trace. Unlike its base class, it records in-place operations as in-place."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})

    def __isub__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.isub, (self, other), {})

    def __imul__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.imul, (self, other), {})

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.itruediv, (self, other), {})


class Tracer(fx.Tracer):
    """Traces through modules, and records the calls of layers.

    Attributes:
        failed: the innermost module whose forward pass raised an error, by its path.
    """

    proxy_buffer_attributes = True  # read buffers at each call instead of freezing them

    def __init__(self) -> None:
        self.replaced = functions_to_replace()
        self.failed: str | None = None
        self._around = _settings()
        super().__init__(autowrap_functions=tuple(self.replaced))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return layer_class(m) is type(m)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
    ) -> Any:
        path, substitute = self.path_of_module(m), substitute_of(m)

        def call(*inputs: Any) -> Any:
            return self.create_proxy("call_module", path, inputs, {})

        def steps(*args: Any, **kwargs: Any) -> Any:
            return substitute.forward(m, call, *args, **kwargs) if substitute else None

        try:
            return super().call_module(m, steps if substitute else forward, args, kwargs)
        except Exception:
            self.failed = path if self.failed is None else self.failed
            raise

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        if kind.startswith("call") and (setting := _first_other(self._around, _settings())):
            raise ValueError(f"part of it runs in {setting}, which the trace does not contain")
        if kind == "call_function" and target in self.replaced:
            return self.replaced[target](*args[0], **args[1])
        return super().create_proxy(kind, target, *args, **kwargs)


def _settings() -> dict[str, object]:
    """What a `with` block or a decorator can set for the calls inside, by its name."""
    autocast = {
        device: torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
        for device in ("cpu", "cuda", "mps")
    }
    return {
        "torch.inference_mode": torch.is_inference_mode_enabled(),
        "torch.no_grad or torch.enable_grad": torch.is_grad_enabled(),
        "torch.autocast": autocast,
    }


def _first_other(here: dict[str, object], there: dict[str, object]) -> str:
    return next((name for name, value in here.items() if there[name] != value), "")
