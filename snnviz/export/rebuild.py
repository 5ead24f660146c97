"""Builds a network from plain values, as `description.py` wrote them, checking each of them."""

import keyword
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnviz.export.limits import check_call, check_numbers
from snnviz.export.vocabulary import (
    ATTRIBUTES,
    CONTAINERS,
    DTYPES,
    FLAG,
    METHODS,
    PATH,
    functions,
    layers,
    tensors_of,
)

_SIZES = {"kernel_size", "stride", "padding", "output_padding", "dilation", "output_size", "size"}
_SIZES |= {"scale_factor", "upscale_factor", "downscale_factor"}  # what no tensor's shape tells


def build_network(description: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> fx.GraphModule:
    """The network of a description, in which nothing is trusted.

    Raises:
        ValueError, KeyError, TypeError, …: it does not describe a network with these tensors.
    """
    kinds = description["tensors"]
    if set(kinds) != set(tensors):
        raise ValueError("the tensors described are not those in the file of weights")
    ready = {name: _tensor(tensors[name], kind) for name, kind in kinds.items()}
    made: dict[str, nn.Module] = {}
    used: set[str] = set()
    for entry in description["modules"]:
        _add(entry, made, ready, kinds, used)
    if used != set(ready):
        raise ValueError(f"no layer uses the tensor {min(set(ready) - used)}")
    root = made[""]
    graph = _graph(description["nodes"], made, root)
    modes = {path: module.training for path, module in made.items()}
    network = fx.GraphModule(root, graph)
    _take_all(network, root)
    for path, training in modes.items():
        module = network.get_submodule(path)
        if _is_built(module):
            module.train(training)
        else:
            module.training = training
    return network


def _is_built(module: nn.Module) -> bool:
    """Whether it was built from the table of layers, and not as a container."""
    return type(module) in layers().values()


def _tensor(tensor: Tensor, kind: Mapping[str, bool]) -> Tensor:
    if kind["channels_last"]:
        tensor = torch.empty_like(tensor, memory_format=torch.channels_last).copy_(tensor)
    if kind["parameter"]:
        return nn.Parameter(tensor, requires_grad=bool(kind["requires_grad"]))
    return tensor.requires_grad_(bool(kind["requires_grad"]))


def _add(
    entry: Mapping[str, Any],
    made: dict[str, nn.Module],
    tensors: Mapping[str, Tensor],
    kinds: Mapping[str, Mapping[str, bool]],
    used: set[str],
) -> None:
    path = entry["path"]
    if path in made or bool(made) != bool(path) or (path and not PATH.fullmatch(path)):
        raise ValueError(f"{path!r} cannot be the name of a layer")
    if "same" in entry:
        module = made[entry["same"]]
        if (
            type(module) not in layers().values()
        ):  # else a module could contain itself, or grow at every level
            raise ValueError(f"{path} is the same as a module that is not a layer")
    elif entry["class"] in CONTAINERS:
        module = CONTAINERS[entry["class"]]()
        for name, tensor in entry["tensors"].items():
            if kinds[tensor]["parameter"]:
                module.register_parameter(name, tensors[tensor])  # pyright: ignore[reportArgumentType]
            else:
                persistent = bool(kinds[tensor]["persistent"])
                module.register_buffer(name, tensors[tensor], persistent=persistent)
    else:
        module = _layer(path, entry, tensors)
    if "same" not in entry:
        module.training = bool(entry["training"])
        used.update(entry["tensors"].values())
    made[path] = module
    if path:
        parent, _, name = path.rpartition(".")
        made[parent].add_module(name, module)


def _layer(path: str, entry: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    if entry["class"] not in layers():
        raise ValueError(f"{entry['class']!r} is not in the table of layers")
    cls = layers()[entry["class"]]
    arguments = {name: _plain(value) for name, value in entry["args"].items()}
    if {"device", "dtype"} & set(arguments):
        raise ValueError("a layer may not set a device or a dtype")
    with torch.device("meta"):  # sizes only: no memory is allocated, however large they are
        module = cls(**arguments)
    wanted = dict(tensors_of(module, recurse=True))
    if set(wanted) != set(entry["tensors"]):
        raise ValueError(f"layer {path} does not have the tensors of a {cls.__name__}")
    for name, empty in wanted.items():
        tensor = tensors[entry["tensors"][name]]
        if tensor.shape != empty.shape:
            raise ValueError(
                f"{path}.{name} should have the shape {tuple(empty.shape)}, "
                f"and has {tuple(tensor.shape)}"
            )
        if isinstance(empty, nn.Parameter) != isinstance(tensor, nn.Parameter):
            raise ValueError(f"{path}.{name} is a parameter in only one of the two")
        owner, _, own = name.rpartition(".")
        setattr(module.get_submodule(owner), own, tensor)
    for name in _SIZES & set(arguments):
        check_numbers(f"{name} of layer {path}", arguments[name])
    return module


def _graph(nodes: list[Any], made: Mapping[str, nn.Module], root: nn.Module) -> fx.Graph:
    graph = fx.Graph()
    done: list[fx.Node] = []
    tensors = dict(tensors_of(root, recurse=True))
    for entry in nodes:
        op, name, args, kwargs = (entry[key] for key in ("op", "target", "args", "kwargs"))
        known = {
            "call_function": name in functions(),
            "call_method": name in METHODS,
            "call_module": name in made and _is_built(made[name]),
            "get_attr": name in tensors,
            "placeholder": _is_word(name),
            "output": name == "output",
        }
        if not known.get(op) or not all(map(_is_word, kwargs)):
            raise ValueError(f"{op} of {name!r} is not an allowed call")
        if name == "builtins.getattr" and (len(args) != 2 or args[1] not in ATTRIBUTES or kwargs):
            raise ValueError(f"the attribute {args[1:]} may not be read")
        if name.startswith(("builtins.", "math.")) and kwargs:  # such as the key of a maximum
            raise ValueError(f"{name} may not have the arguments {', '.join(kwargs)}")
        target = functions()[name] if op == "call_function" else name
        args = tuple(_plain(value, graph, done, made) for value in args)
        kwargs = {key: _plain(value, graph, done, made) for key, value in kwargs.items()}
        if op in ("call_function", "call_method"):
            check_call(name, args, kwargs)
        done.append(graph.create_node(op, target, args, kwargs))
    if not done or done[-1].op != "output" or [node.op for node in done].count("output") != 1:
        raise ValueError("its last call must be its output")
    graph.lint()
    return graph


def _is_word(name: Any) -> bool:
    """Whether it is a Python name. `torch.fx` generates code, so nothing else may get in there."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _plain(
    value: Any,
    graph: fx.Graph | None = None,
    done: list[fx.Node] | None = None,
    made: Mapping[str, nn.Module] | None = None,
) -> Any:
    """The argument that `description._value` wrote."""
    if isinstance(value, list):
        return [_plain(item, graph, done, made) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, held)] = value.items()
    if kind == "tuple":
        return tuple(_plain(item, graph, done, made) for item in held)
    if kind == "dict":
        return {str(key): _plain(item, graph, done, made) for key, item in held}
    if kind == "slice":
        start, stop, step = (_plain(item, graph, done, made) for item in held)
        return slice(start, stop, step)
    if kind == "float" and held in ("inf", "-inf", "nan"):
        return float(held)
    if kind == "ellipsis":
        return ...
    if kind == "dtype" and held in DTYPES:
        return getattr(torch, held)
    if kind == "node" and done is not None and type(held) is int and 0 <= held < len(done):
        return done[held]
    if kind == FLAG and graph is not None and made is not None and held in made:
        return graph.create_node("get_attr", f"{held}.training".lstrip("."))
    raise ValueError(f"{value!r} is not an allowed value")


def _take_all(network: fx.GraphModule, root: nn.Module) -> None:
    """Gives the network all that the root contains, in its order, used by the graph or not."""
    for name in [*network._modules, *network._parameters, *network._buffers]:
        delattr(network, name)
    for name, child in root._modules.items():
        network.add_module(name, child)
    for name, parameter in root.named_parameters(recurse=False, remove_duplicate=False):
        network.register_parameter(name, parameter)
    for name, buffer in root.named_buffers(recurse=False, remove_duplicate=False):
        persistent = name not in root._non_persistent_buffers_set
        network.register_buffer(name, buffer, persistent=persistent)
