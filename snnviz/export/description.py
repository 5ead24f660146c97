"""Describes a network as plain values: its layers, and the calls between them, from `torch.fx`."""

import inspect
import math
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnviz.export.substitutes import layer_class, open_batch_norms, substitute_of
from snnviz.export.tracer import Tracer
from snnviz.export.vocabulary import (
    ATTRIBUTES,
    CONTAINERS,
    DTYPES,
    FLAG,
    METHODS,
    PATH,
    WITH_PARTS,
    functions,
    layer_tensors,
    tensors_of,
)
from snnviz.structure.probe import copied


class CannotDescribe(ValueError):
    """The network contains something that cannot be described; the message says what and where."""


def describe_as_values(network: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The network as values that fit into JSON, and its tensors by name.

    Raises:
        CannotDescribe: a layer, a call or a value in it is not in the tables of `vocabulary.py`.
    """
    network_copy = copied(network, stored=False)  # tracing leaves constants on the module
    if counting := open_batch_norms(network_copy):
        raise CannotDescribe(
            f"{_name_and_class(network, counting)} averages over all batches (momentum=None), "
            "which can be saved only of torch's own classes"
        )
    nodes, constants = _nodes(network_copy, network)
    for name, value in constants.items():
        network_copy.register_buffer(name, value, persistent=False)
    modules, tensors = [], {}
    names: dict[int, str] = {}  # by identity, so that shared tensors stay shared
    modes = {path: module.training for path, module in _modules(network)}
    for path, module in _modules(network_copy):
        modules.append(_module(path, module, modes[path], names, tensors))
    kinds = {name: _kind(name, tensor, network_copy) for name, tensor in tensors.items()}
    return {"modules": modules, "tensors": kinds, "nodes": nodes}, tensors


def _modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules; the parts of a layer are left out."""
    whole: set[str] = set()
    for path, module in network.named_modules(remove_duplicate=False):
        if path.rpartition(".")[0] in whole:
            whole.add(path)
            continue
        if path and isinstance(module, WITH_PARTS):
            whole.add(path)
        yield path, module


def _module(
    path: str, module: nn.Module, training: bool, names: dict[int, str], tensors: dict[str, Tensor]
) -> dict[str, Any]:
    if path and not PATH.fullmatch(path):
        raise CannotDescribe(
            f"the layer name {path!r} contains characters other than letters, digits, _ and -"
        )
    layer = layer_class(module) if path else None
    if layer and id(module) in names:
        return {"path": path, "same": names[id(module)]}
    names.setdefault(id(module), path)
    for inner in module.modules() if isinstance(module, WITH_PARTS) else [module]:
        if inner._forward_hooks or inner._forward_pre_hooks or inner._backward_hooks:
            raise CannotDescribe(f"{_name_of(path)} has hooks, which are code")
    held = {}
    for name, tensor in layer_tensors(module):
        own = f"{path}.{name}".lstrip(".")
        held[name] = names.setdefault(id(tensor), own)
        tensors.setdefault(held[name], tensor)
    kind = (layer or type(module)).__name__
    if not layer and (not path or CONTAINERS.get(kind) is not type(module)):
        kind = "Module"
    arguments = _arguments(path, module, layer) if layer else {}
    return {"path": path, "class": kind, "args": arguments, "training": training, "tensors": held}


def _arguments(path: str, layer: nn.Module, cls: type[nn.Module]) -> dict[str, Any]:
    """The constructor's arguments, read from the attributes of the same names."""
    substitute = substitute_of(layer)
    fixed, attributes = (substitute.fixed, substitute.attributes) if substitute else ({}, {})
    arguments = {}
    for name in inspect.signature(cls).parameters:
        attribute = attributes.get(name, name)
        if name in ("device", "dtype") or (name not in fixed and not hasattr(layer, attribute)):
            continue
        value = fixed[name] if name in fixed else getattr(layer, attribute)
        if name == "bias" and not isinstance(value, bool):
            value = value is not None
        arguments[name] = _value(value, {}, f"{name} of {_name_of(path)}")
    if isinstance(layer, nn.MultiheadAttention):
        arguments["bias"] = layer.in_proj_bias is not None
        arguments["add_bias_kv"] = layer.bias_k is not None
    return arguments


def _kind(name: str, tensor: Tensor, network: nn.Module) -> dict[str, bool]:
    plain = type(tensor) in (Tensor, nn.Parameter, nn.Buffer)
    if not plain or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise CannotDescribe(f"{name} is not an ordinary tensor with values")
    if str(tensor.dtype).removeprefix("torch.") not in DTYPES:
        raise CannotDescribe(f"{name} has the dtype {tensor.dtype}")
    owner, _, own = name.rpartition(".")
    return {
        "parameter": isinstance(tensor, nn.Parameter),
        "requires_grad": tensor.requires_grad,
        "persistent": own not in network.get_submodule(owner)._non_persistent_buffers_set,
        "channels_last": _channels_last(tensor),
    }


def _channels_last(tensor: Tensor) -> bool:
    """Whether its memory format is channels_last, by which convolutions choose their algorithm."""
    if tensor.dim() != 4:
        return False
    usual = torch.empty(tensor.shape, device="meta")
    last = torch.empty_like(usual, memory_format=torch.channels_last)
    return tensor.stride() == last.stride() != usual.stride()


def _nodes(
    network: nn.Module, original: nn.Module
) -> tuple[list[dict[str, Any]], dict[str, Tensor]]:
    """The calls of the forward pass, in order, and the constant tensors that it creates.

    A trace fixes every `self.training`. So both modes are traced, and where they differ only in a
    flag, the flag is described as "follows the mode".
    """
    own = {path: module.training for path, module in original.named_modules()}
    now, _, made = _trace(network)
    network.train()
    training, scopes, made_training = _trace(network)
    network.eval()
    evaluation, scopes_evaluation, made_evaluation = _trace(network)
    nodes: list[dict[str, Any]] = []
    try:
        for both in zip(training, evaluation, scopes, strict=False):
            nodes.append(_either(*both))
        if len(training) != len(evaluation):
            raise _Different
        same = made.keys() == made_training.keys() == made_evaluation.keys()
        if not same or _in_mode(nodes, own) != now:
            raise _Different
        for name, value in made.items():
            if not torch.equal(value, made_training[name]):
                raise _Different
            if not torch.equal(value, made_evaluation[name]):
                raise _Different
    except _Different:
        where = ""
        if len(nodes) < max(len(training), len(evaluation)):
            longer = scopes if len(training) >= len(evaluation) else scopes_evaluation
            where = f", first in {_name_and_class(network, longer[len(nodes)])}"
        raise CannotDescribe(
            f"its forward pass differs from call to call or from training to evaluation{where}"
        ) from None
    return nodes, made


class _Different(Exception):
    pass


def _either(training: Any, evaluation: Any, scope: str) -> Any:
    if isinstance(training, dict) and isinstance(evaluation, dict):
        if training.keys() == evaluation.keys():
            return {key: _either(training[key], evaluation[key], scope) for key in training}
    elif isinstance(training, list) and isinstance(evaluation, list):
        if len(training) == len(evaluation):
            both = zip(training, evaluation, strict=True)
            return [_either(*values, scope) for values in both]
    elif training is True and evaluation is False:
        return {FLAG: scope}
    elif type(training) is type(evaluation) and training == evaluation:
        return training
    raise _Different


def _in_mode(value: Any, modes: Mapping[str, bool]) -> Any:
    """The values, with each flag replaced by the mode of its module."""
    if isinstance(value, list):
        return [_in_mode(item, modes) for item in value]
    if isinstance(value, dict):
        if value.keys() == {FLAG}:
            return modes[value[FLAG]]
        return {key: _in_mode(item, modes) for key, item in value.items()}
    return value


def _trace(network: nn.Module) -> tuple[list[dict[str, Any]], list[str], dict[str, Tensor]]:
    tracer = Tracer()
    try:
        graph = tracer.trace(network)
    except Exception as error:  # the user's code may do anything with a symbolic value
        why = str(error).splitlines() or [type(error).__name__]
        where = f" in {_name_and_class(network, tracer.failed)}" if tracer.failed else ""
        raise CannotDescribe(f"its forward pass cannot be traced{where} ({why[0]})") from error
    made = {name: v for name, v in vars(network).items() if name.startswith("_tensor_constant")}
    for name in made:
        delattr(network, name)
    scopes = {node: tracer.node_name_to_scope[node.name][0] for node in graph.nodes}
    number = {node: i for i, node in enumerate(graph.nodes)}
    known = {name for name, _ in tensors_of(network, recurse=True)} | set(made)
    nodes = [_node(node, number, scopes[node], known) for node in graph.nodes]
    return nodes, list(scopes.values()), made


def _node(
    node: fx.Node, number: Mapping[fx.Node, int], scope: str, known: set[str]
) -> dict[str, Any]:
    target = node.target
    where = _name_of(scope)
    if node.op == "call_function":
        names = {id(function): name for name, function in functions().items()}
        target = names.get(id(target))
        attribute = node.args[1] if target == "builtins.getattr" else "shape"
        if target is None or attribute not in ATTRIBUTES:
            called = attribute if target else getattr(node.target, "__name__", node.target)
            raise CannotDescribe(f"{where} calls {called}, which is not in the table of functions")
    elif node.op == "call_method" and target not in METHODS:
        raise CannotDescribe(f"{where} calls .{target}(), which is not in the table of functions")
    elif node.op == "get_attr" and target not in known:
        raise CannotDescribe(
            f"{where} reads the tensor {target}, which is neither a parameter nor a buffer"
        )
    elif node.op == "placeholder" and str(target).startswith("*"):
        raise CannotDescribe(f"its forward pass takes {target}")
    return {
        "op": node.op,
        "target": target,
        "args": [_value(value, number, where) for value in node.args],
        "kwargs": {key: _value(value, number, where) for key, value in node.kwargs.items()},
    }


def _value(value: Any, number: Mapping[fx.Node, int], where: str) -> Any:
    """An argument as JSON: lists and plain values as they are, everything else as {kind: …}."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, fx.Node):
        return {"node": number[value]}
    if isinstance(value, tuple):
        return {"tuple": [_value(item, number, where) for item in value]}
    if isinstance(value, list):
        return [_value(item, number, where) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": [[key, _value(item, number, where)] for key, item in value.items()]}
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return {"slice": [_value(item, number, where) for item in parts]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    raise CannotDescribe(f"{where} uses a value of type {type(value).__name__}")


def _name_of(path: str) -> str:
    return f"layer {path}" if path else "the network itself"


def _name_and_class(network: nn.Module, path: str) -> str:
    return f"{_name_of(path)} ({type(network.get_submodule(path)).__name__})"
