"""Saved networks come back the same, damaged ones do not, and exported files are proved."""

import copy
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.efficientnet import MBConvConfig

from snnviz.export import TOLERANCE, export, load_compact, save_compact
from snnviz.export.vocabulary import METHODS, functions, layers
from snnviz.networks import lenet5, vgg_small
from snnviz.shrink import compact
from snnviz.structure import find_switches


class Residual(nn.Module):
    """A user's own: an addition in place, a layer used twice, a flag that follows the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.block = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()])
        self.scores = nn.Linear(8, 5)

    def features(self, images: Tensor) -> Tensor:
        x = self.block[1](self.norm(self.stem(images)))
        y = self.block[0](x)
        y += x
        z = y  # another name for it, so that it counts that the addition is in place
        z += x
        return F.dropout(self.block[1](y), 0.3, training=self.training)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images)
        return self.scores(x.mean((2, 3)).view(x.shape[0], -1))


class Rich(Residual):
    """And a parameter, two buffers, a made tensor and an unused layer, with indexing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(8, 1, 1))
        self.register_buffer("shift", torch.rand(8, 1, 1), persistent=False)
        self.register_buffer("mean", torch.rand(5))
        self.unused = nn.Linear(2, 2)

    def forward(self, images: Tensor) -> Tensor:
        x = self.features(images) * self.scale + self.shift
        half = x[:, :, ::2, ...].mean((2, 3), dtype=x.dtype)
        return torch.where(torch.arange(5) > 1, self.scores(half), 0.0) - self.mean * 2


class Tied(nn.Module):
    """One weight in two layers, one layer under two names, one module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(12, 12)
        self.second = nn.Linear(12, 12)
        self.second.weight = self.first.weight
        self.third = self.second
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.BatchNorm1d(12))
        self.again = self.inner

    def forward(self, images: Tensor) -> Tensor:
        x = self.second(self.first(images.flatten(1)).relu())
        return self.again(self.inner(self.third(x)))


def _vit() -> nn.Module:
    network = tv.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=10)
    nn.init.normal_(network.heads[0].weight)  # zero at the start, so that all outputs are equal
    return network


def _densenet() -> nn.Module:
    return tv.DenseNet(8, (2, 2, 2, 2), 16, num_classes=10, drop_rate=0.1)


def _resnext() -> nn.Module:
    blocks = tv.resnet.Bottleneck, [1, 1, 1, 1]
    return tv.ResNet(*blocks, num_classes=10, groups=8, width_per_group=4)


def _convnext() -> nn.Module:
    blocks = [CNBlockConfig(24, 48, 2), CNBlockConfig(48, None, 2)]
    return tv.ConvNeXt(blocks, num_classes=10)


def _mobilenet() -> nn.Module:
    stages = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2]]
    return tv.MobileNetV2(10, inverted_residual_setting=stages, dropout=0.1)


def _efficientnet() -> nn.Module:
    stages = [MBConvConfig(1, 3, 1, 32, 16, 1), MBConvConfig(6, 5, 2, 16, 24, 2)]
    return tv.EfficientNet(stages, dropout=0.2, num_classes=10)


# Of deep ones a short form: the same kinds of block, and fewer of them.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "lenet5": (lambda: lenet5((1, 28, 28), 10), (1, 28, 28)),
    "vgg_small": (lambda: vgg_small((3, 16, 16), 10), (3, 16, 16)),
    "resnet18": (lambda: tv.resnet18(num_classes=10), (3, 32, 32)),
    "mobilenet_v2": (_mobilenet, (3, 32, 32)),
    "densenet": (_densenet, (3, 32, 32)),
    "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=10), (3, 48, 48)),
    "resnext": (_resnext, (3, 32, 32)),
    "efficientnet": (_efficientnet, (3, 32, 32)),
    "convnext": (_convnext, (3, 32, 32)),
    "vit": (_vit, (3, 32, 32)),
    "residual": (Residual, (3, 8, 8)),
}


def _compacted(network: nn.Module, example: Tensor) -> nn.Module:
    """With random factors, half of them 0, and batch statistics that are no longer 0 and 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    switches = find_switches(network, example)
    factors = {}
    for name, group in switches.groups.items():
        factors[name] = torch.rand(group.neurons) + 0.5
        factors[name][torch.randperm(group.neurons)[: group.neurons // 2]] = 0
    return compact(network, factors, example, switches=switches, latency=False)[0]


def _assert_same(network: nn.Module, folder: Path, example: Tensor) -> nn.Module:
    """Equal in all that is kept, in their outputs, and in what a step of training makes of them."""
    loaded = load_compact(folder)
    _assert_equal_state(network, loaded)
    modes = {path: module.training for path, module in network.named_modules()}
    assert {path: loaded.get_submodule(path).training for path in modes} == modes
    for mode in (False, True):
        ours, theirs = copy.deepcopy(network).train(mode), load_compact(folder).train(mode)
        outputs = []
        for module in (ours, theirs):
            torch.manual_seed(1)  # for dropout
            outputs.append(module(example))
            optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
            F.cross_entropy(outputs[-1], torch.arange(len(example))).backward()
            optimizer.step()
        assert torch.equal(*outputs)
        _assert_equal_state(ours, theirs)
        assert torch.equal(ours.eval()(example), theirs.eval()(example))
    return loaded


def _assert_equal_state(network: nn.Module, loaded: nn.Module) -> None:
    for kind in ("named_parameters", "named_buffers"):
        ours, theirs = dict(getattr(network, kind)()), dict(getattr(loaded, kind)())
        assert list(ours) == list(theirs)
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
            assert tensor.dtype == theirs[name].dtype
            assert tensor.requires_grad == theirs[name].requires_grad
            assert tensor.stride() == theirs[name].stride()
    assert list(network.state_dict()) == list(loaded.state_dict())


# --- saving and loading -----------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_compacted_network_comes_back_the_same(name: str, tmp_path: Path) -> None:
    build, shape = NETWORKS[name]
    example = torch.randn(3, *shape)
    small = _compacted(build(), example)
    assert save_compact(small, tmp_path / "net", example) == tmp_path / "net"
    loaded = _assert_same(small, tmp_path / "net", example)
    assert not [module for module in loaded.modules() if "snnviz" in type(module).__module__]


def test_everything_that_is_written_comes_back(tmp_path: Path) -> None:
    network, example = Rich(), torch.randn(3, 3, 8, 8)
    save_compact(network, tmp_path / "net", example)
    loaded = load_compact(tmp_path / "net")
    made = "_tensor_constant0"  # what the forward pass makes for itself is held as a buffer
    assert made in dict(loaded.named_buffers())
    delattr(loaded, made)
    _assert_equal_state(network, loaded)
    for mode in (False, True):
        ours, theirs = network.train(mode), load_compact(tmp_path / "net").train(mode)
        outputs = []
        for module in (ours, theirs):
            torch.manual_seed(1)
            outputs.append(module(example))
        assert torch.equal(*outputs)
    network.mean.add_(1)  # buffers are read, not frozen
    theirs.mean.add_(1)
    assert torch.equal(network.eval()(example), theirs.eval()(example))


def test_the_loaded_network_holds_nothing_of_snnviz(tmp_path: Path) -> None:
    save_compact(Rich(), tmp_path / "net")
    loaded = load_compact(tmp_path / "net")
    held = [loaded.forward.__func__, *(type(module) for module in loaded.modules())]
    assert not [thing for thing in held if "snnviz" in str(thing.__module__)]
    assert "snnviz" not in loaded.code
    copied = copy.deepcopy(loaded).eval()
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(copied(images), loaded.eval()(images))


def test_it_can_be_saved_and_compacted_again(tmp_path: Path) -> None:
    example = torch.randn(3, 3, 8, 8)
    save_compact(_compacted(Residual(), example), tmp_path / "a")
    loaded = load_compact(tmp_path / "a")
    save_compact(loaded, tmp_path / "b", example)
    _assert_same(loaded, tmp_path / "b", example)
    smaller = _compacted(loaded, example)
    save_compact(smaller, tmp_path / "c", example)
    again = _assert_same(smaller, tmp_path / "c", example)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (loaded, again)]
    assert sizes[1] < sizes[0]


def test_what_is_tied_stays_tied(tmp_path: Path) -> None:
    network = Tied()
    save_compact(network, tmp_path / "net")
    loaded = _assert_same(network, tmp_path / "net", torch.randn(4, 3, 2, 2))
    assert loaded.first.weight is loaded.second.weight
    assert loaded.third is loaded.second
    assert loaded.again[1] is loaded.inner[1]


def test_modes_dtypes_gradients_and_memory_are_kept(tmp_path: Path) -> None:
    network = Residual().double().to(memory_format=torch.channels_last)
    network.norm.eval()
    network.stem.requires_grad_(False)
    assert network.stem.weight.stride() != network.stem.weight.contiguous().stride()
    save_compact(network, tmp_path / "net", torch.randn(2, 3, 8, 8).double())
    loaded = _assert_same(network, tmp_path / "net", torch.randn(3, 3, 8, 8).double())
    assert loaded.training
    assert not loaded.norm.training


def test_a_block_in_another_mode_keeps_its_flag(tmp_path: Path) -> None:
    """DenseNet's blocks read `self.training` themselves, and so may differ from the whole."""
    network = tv.DenseNet(4, (1, 1, 1, 1), 8, num_classes=5, drop_rate=0.5).train()
    network.features.denseblock1.eval()
    save_compact(network, tmp_path / "net")
    loaded = load_compact(tmp_path / "net")
    outputs = []
    for module in (network, loaded):
        torch.manual_seed(1)
        outputs.append(module(torch.ones(2, 3, 32, 32)))
    assert torch.equal(*outputs)
    assert network.training
    assert not network.features.denseblock1.training


def test_a_network_on_any_device_is_saved(tmp_path: Path, device: torch.device) -> None:
    network = Residual().to(device)
    before = copy.deepcopy(network.state_dict())
    save_compact(network, tmp_path / "net", torch.randn(2, 3, 8, 8, device=device))
    _assert_equal_state(copy.deepcopy(network).cpu(), load_compact(tmp_path / "net"))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_files_are_the_same_each_time_and_no_pickle(tmp_path: Path) -> None:
    network = Residual()
    for folder in ("a", "b"):
        save_compact(network, tmp_path / folder)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["network.json", "weights.safetensors"]
    for name in names:
        data = (tmp_path / "a" / name).read_bytes()
        assert data == (tmp_path / "b" / name).read_bytes()
        assert data.lstrip(b"\x00")[:2] not in (b"PK", b"\x80\x02")


def test_the_tables_name_what_there_is() -> None:
    assert all(issubclass(layer, nn.Module) for layer in layers().values())
    assert all(callable(function) for function in functions().values())
    assert not [name for name in METHODS if not hasattr(Tensor, name)]


# --- networks that cannot be written ----------------------------------------------------------


class Own(nn.Module):
    """A forward pass from a function, between two ordinary layers."""

    def __init__(self, step: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.step = step
        self.fc = nn.Linear(4, 4)
        self.plain = torch.ones(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.step(self, images))


def _branch(module: nn.Module, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def _hooked() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network[0].register_forward_hook(lambda *_: None)
    return network


def _long_name() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network.add_module('x")', nn.ReLU())
    return network


def _odd_layer() -> nn.Module:
    network = nn.Sequential(nn.Linear(4, 4))
    network[0].extra = nn.Parameter(torch.ones(1))
    return network


UNWRITABLE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "control flow": (
        lambda: Own(_branch),
        "its forward pass cannot be followed (symbolically traced variables cannot be used as "
        "inputs to control flow)",
    ),
    "function": (
        lambda: Own(lambda _, x: torch.fft.fft(x).real),
        "the network itself calls fft_fft, which is not in the table of functions",
    ),
    "method": (
        lambda: Own(lambda _, x: x.cumsum(1)),
        "the network itself calls .cumsum(), which is not in the table of functions",
    ),
    "attribute": (
        lambda: Own(lambda _, x: torch.relu(x.grad_fn)),
        "the network itself calls grad_fn, which is not in the table of functions",
    ),
    "tensor": (
        lambda: Own(lambda module, x: x + module.plain),
        "the network itself reads the tensor plain, which is no parameter and no buffer",
    ),
    "random": (
        lambda: Own(lambda _, x: x + torch.rand(4)),
        "its forward pass differs from call to call or from training to evaluation",
    ),
    "modes": (
        lambda: Own(lambda module, x: x + 1 if module.training else x),
        "its forward pass differs from call to call or from training to evaluation",
    ),
    "hook": (_hooked, "layer 0 has hooks, which are code"),
    "name": (_long_name, "the layer name 'x\")' holds more than letters, digits, _ and -"),
    "value": (
        lambda: Own(lambda _, x: x.to(torch.complex64).to(torch.device("cpu"))),
        "the network itself holds a value of type device",
    ),
    "dtype": (
        lambda: nn.Sequential(nn.Linear(4, 4, dtype=torch.complex64)),
        "0.weight holds torch.complex64",
    ),
    "meta": (
        lambda: nn.Sequential(nn.Linear(4, 4, device="meta")),
        "0.weight is no plain tensor with values",
    ),
    "odd layer": (
        _odd_layer,
        "it would not come back the same: layer 0 does not hold what Linear holds",
    ),
    "own layer": (
        lambda: nn.Sequential(nn.GRU(4, 4)),
        "its forward pass cannot be followed (symbolically traced variables cannot be used as "
        "inputs to control flow)",
    ),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_what_cannot_be_written_is_named(case: str, tmp_path: Path) -> None:
    build, why = UNWRITABLE[case]
    with pytest.raises(ValueError, match=r".") as raised:
        save_compact(build(), tmp_path / "net")
    assert str(raised.value) == (
        f"network cannot be saved without its code: {why}. Use export(network, path, example) for "
        "a file that runs, or save network.state_dict() and keep the code that builds the network."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_parametrized_layer_is_written_or_refused(tmp_path: Path) -> None:
    """Weight norm is a function of parameters: it is traced, never dropped."""
    network = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match=r"cannot be saved without its code"):
        save_compact(network, tmp_path / "net")


def test_a_network_that_changes_itself_is_caught_by_an_example(tmp_path: Path) -> None:
    network = Own(lambda module, x: module.__dict__.update(n=module.n + 1) or x * module.n)
    network.n = 1
    with pytest.raises(ValueError, match=r"cannot be saved without its code"):
        save_compact(network, tmp_path / "net", torch.ones(2, 4))
    assert network.n == 1


def test_other_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FileExistsError) as raised:
        save_compact(Residual(), tmp_path)
    assert str(raised.value) == (
        f"folder {str(tmp_path)!r} holds other files (notes.txt); "
        "give the name of a new or empty folder."
    )


def test_a_failed_save_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Residual()
    save_compact(network, tmp_path / "net")
    with pytest.raises(ValueError, match="hooks"):
        save_compact(_hooked(), tmp_path / "net")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_compact(Residual(), tmp_path / "net")
    _assert_equal_state(network, load_compact(tmp_path / "net"))
    assert [file.name for file in tmp_path.iterdir()] == ["net"]
    other = Residual()
    save_compact(other, tmp_path / "net")
    _assert_equal_state(other, load_compact(tmp_path / "net"))


# --- files that are not to be trusted ---------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_compact(Residual(), tmp_path_factory.mktemp("saved") / "net")


def test_missing_files_are_named(saved: Path, tmp_path: Path) -> None:
    for name in ("weights.safetensors", "network.json"):
        folder = shutil.copytree(saved, tmp_path / name)
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError) as raised:
            load_compact(folder)
        assert str(raised.value) == (
            f"folder {str(folder)!r} holds no saved network: {name} is missing. "
            "Give a folder that save_compact has written."
        )


@pytest.mark.parametrize("name", ["weights.safetensors", "network.json"])
@pytest.mark.parametrize("kind", ["empty", "truncated", "longer", "flipped", "other"])
def test_damage_is_found(name: str, kind: str, saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    data = (folder / name).read_bytes()
    places = [len(data) * k // 23 for k in range(1, 23)] if kind == "flipped" else [0]
    for place in places:
        flipped = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        damaged = {
            "empty": b"",
            "truncated": data[:-9],
            "longer": data + b"0",
            "flipped": flipped,
            "other": b"PK\x03\x04 something else",
        }
        (folder / name).write_bytes(damaged[kind])
        start = re.escape(f"the file {str(folder / name)!r} is damaged or not from snnviz (")
        with pytest.raises(ValueError, match=f"^{start}.*; load another copy of it.$"):
            load_compact(folder)


def _layer(content: dict[str, Any], path: str) -> dict[str, Any]:
    return next(entry for entry in content["modules"] if entry["path"] == path)


def _call(content: dict[str, Any], op: str) -> dict[str, Any]:
    return next(entry for entry in content["nodes"] if entry["op"] == op)


def _set(entry: dict[str, Any], key: str, value: Any) -> None:
    entry[key] = value


def _getattr(content: dict[str, Any], name: Any) -> None:
    entry = next(e for e in content["nodes"] if e["target"] == "builtins.getattr")
    entry["args"][1] = name


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "huge layer": (
        lambda c: _layer(c, "scores")["args"].update(in_features=10**12),
        "scores.weight should have the shape (5, 1000000000000), and has (5, 8)",
    ),
    "huger layer": (
        lambda c: _layer(c, "scores")["args"].update(in_features=10**30),
        "empty(): argument 'size' failed to unpack the object at pos 2 with error "
        '"Overflow when unpacking long long',
    ),
    "wrong shape": (
        lambda c: _layer(c, "norm")["args"].update(num_features=9),
        "norm.weight should have the shape (9,), and has (8,)",
    ),
    "unknown class": (
        lambda c: _set(_layer(c, "scores"), "class", "os.system"),
        "'os.system' is not in the table of layers",
    ),
    "device": (
        lambda c: _layer(c, "scores")["args"].update(device="cpu"),
        "a layer has no device and no dtype of its own",
    ),
    "bias too many": (
        lambda c: _layer(c, "scores")["args"].update(bias=False),
        "layer scores does not hold what Linear holds",
    ),
    "unknown function": (
        lambda c: _set(_call(c, "call_function"), "target", "builtins.eval"),
        "call_function of 'builtins.eval' is no call that may be made",
    ),
    "unknown method": (
        lambda c: _set(_call(c, "call_method"), "target", "__reduce__"),
        "call_method of '__reduce__' is no call that may be made",
    ),
    "code as a method": (
        lambda c: _set(_call(c, "call_method"), "target", "view(0); 1/0 #"),
        "call_method of 'view(0); 1/0 #' is no call that may be made",
    ),
    "code as an input": (
        lambda c: _set(_call(c, "placeholder"), "target", "x=print(1)"),
        "placeholder of 'x=print(1)' is no call that may be made",
    ),
    "code as a keyword": (
        lambda c: _call(c, "call_method")["kwargs"].update({"x=print(1), y": 1}),
        "call_method of 'mean' is no call that may be made",
    ),
    "hidden attribute": (
        lambda c: _getattr(c, "__class__"),
        "the attribute ['__class__'] may not be read",
    ),
    "container called": (
        lambda c: _set(_call(c, "call_module"), "target", "block"),
        "call_module of 'block' is no call that may be made",
    ),
    "other operation": (
        lambda c: _set(_call(c, "call_method"), "op", "exec"),
        "exec of 'mean' is no call that may be made",
    ),
    "later value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"node": 99}]),
        "{'node': 99} is no value that may be passed",
    ),
    "negative value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"node": -1}]),
        "{'node': -1} is no value that may be passed",
    ),
    "unknown value": (
        lambda c: _set(_call(c, "call_module"), "args", [{"pickle": "gASV"}]),
        "{'pickle': 'gASV'} is no value that may be passed",
    ),
    "no output": (lambda c: c["nodes"].pop(), "its last call must be its output"),
    "name with code": (
        lambda c: _set(_layer(c, "scores"), "path", 'a"), print("'),
        "'a\"), print(\"' is no name for a layer here",
    ),
    "name of the class": (
        lambda c: _set(_layer(c, "scores"), "path", "__class__"),
        "\"attribute '__class__' already exists\"",
    ),
    "no parent": (
        lambda c: _set(_layer(c, "scores"), "path", "nobody.scores"),
        "nobody is missing",
    ),
    "itself": (
        lambda c: c["modules"].append({"path": "block.block", "same": "block"}),
        "block.block is the same as something that is no layer",
    ),
    "unused tensor": (
        lambda c: _layer(c, "norm")["tensors"].update(bias="norm.weight"),
        "no layer holds the tensor norm.bias",
    ),
    "other tensors": (
        lambda c: c["tensors"].pop("norm.bias"),
        "the tensors described are not those in the file of weights",
    ),
    "no layers": (lambda c: c.pop("modules"), "modules is missing"),
}


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the description and puts its checksum right, as one with bad intent would."""
    file = folder / "network.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content.pop("sha256")
    change(content)
    text = json.dumps(content, sort_keys=True)
    content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_but_layers_is_built(case: str, saved: Path, tmp_path: Path) -> None:
    change, why = HOSTILE[case]
    folder = shutil.copytree(saved, tmp_path / "net")
    _rewrite(folder, change)
    with pytest.raises(ValueError, match=r".") as raised:
        load_compact(folder)
    assert str(raised.value) == (
        f"the file {str(folder / 'network.json')!r} is damaged or not from snnviz ({why}); "
        "load another copy of it."
    )


def test_deep_nesting_is_an_error_and_no_crash(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    (folder / "network.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ValueError, match="is damaged or not from snnviz"):
        load_compact(folder)


def test_a_newer_format_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "net")
    _rewrite(folder, lambda content: content.update(format=2))
    with pytest.raises(ValueError, match="format 2") as raised:
        load_compact(folder)
    assert str(raised.value) == (
        f"the file {str(folder / 'network.json')!r} has format 2, and this version of snnviz "
        "reads up to 1; install a newer snnviz."
    )


# --- exporting --------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
@pytest.mark.parametrize("name", ["lenet5", "residual", "vit"])
def test_an_exported_file_runs(
    name: str, ending: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    build, shape = NETWORKS[name]
    example = torch.randn(3, *shape)
    small = _compacted(build(), example)
    file = tmp_path / "deep" / f"net{ending}"
    assert 0 <= export(small, file, example) <= TOLERANCE
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert small.training
    assert capfd.readouterr().out == ""

    images = torch.randn(5, *shape)  # another number of images
    expected = small.eval()(images).detach()
    torch.testing.assert_close(_run(file, images), expected, rtol=1e-4, atol=1e-4)


def _run(file: Path, images: Tensor) -> Tensor:
    if file.suffix == ".pt2":
        return torch.export.load(file).module()(images).detach()
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(file)
    return torch.from_numpy(session.run(["scores"], {"images": images.numpy()})[0])


def test_one_image_is_example_enough(tmp_path: Path) -> None:
    network = Residual()
    example = torch.randn(1, 3, 8, 8)
    assert export(network, tmp_path / "net.pt2", example) <= TOLERANCE
    images = torch.randn(4, 3, 8, 8)
    assert _run(tmp_path / "net.pt2", images).shape == (4, 5)


def test_a_loaded_network_can_be_exported(saved: Path, tmp_path: Path) -> None:
    loaded = load_compact(saved)
    assert export(loaded, tmp_path / "net.pt2", torch.randn(3, 3, 8, 8)) <= TOLERANCE


def _only_four(module: nn.Module, x: Tensor) -> Tensor:
    if x.shape[1] != 4:
        raise RuntimeError(f"{x.shape[1]} is not 4")
    return x


EXPORT_ERRORS: dict[str, tuple[str, Tensor | None, str]] = {
    "ending": (
        "net.pth",
        torch.zeros(2, 4),
        "path must end in .pt2 (for torch.export) or .onnx, got 'net.pth'. "
        "To load the network again with snnviz, use save_compact(network, path).",
    ),
    "no example": (
        "net.pt2",
        None,
        "example must be a tensor of normalised images (n, channels, height, width), got None. "
        "Some test images will do: data.batch('test', torch.arange(8))[0].",
    ),
    "empty example": (
        "net.pt2",
        torch.zeros(0, 4),
        "example must be a tensor of normalised images (n, channels, height, width), got (0, 4). "
        "Some test images will do: data.batch('test', torch.arange(8))[0].",
    ),
    "wrong example": (
        "net.pt2",
        torch.zeros(2, 3),
        "network does not run on example, of shape (2, 3) (3 is not 4). "
        "Give normalised images as the network takes them.",
    ),
}


@pytest.mark.parametrize("case", EXPORT_ERRORS)
def test_export_says_what_is_wrong(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, example, message = EXPORT_ERRORS[case]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r".") as raised:
        export(Own(_only_four), path, example)
    assert str(raised.value) == message
    assert list(tmp_path.iterdir()) == []


def test_control_flow_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^network cannot be exported to net.pt2 \(.+\)\. save_"):
        export(Own(_branch), tmp_path / "net.pt2", torch.ones(2, 4))
    assert list(tmp_path.iterdir()) == []


def test_a_fixed_number_of_images_is_not_exported(tmp_path: Path) -> None:
    network = Own(lambda _, x: x.reshape(2, 4))
    with pytest.raises(ValueError, match=r"^network cannot be exported to net.pt2 \("):
        export(network, tmp_path / "net.pt2", torch.ones(2, 4))


def test_a_file_that_differs_is_not_kept(tmp_path: Path) -> None:
    """Random numbers differ from run to run, so what the file gives is not what was promised."""
    file = tmp_path / "net.pt2"
    file.write_text("the one before")
    network = Own(lambda _, x: x + torch.rand_like(x))
    with pytest.raises(ValueError, match=r"^the outputs of net.pt2 would differ by \d.\de[+-]\d\d"):
        export(network, file, torch.ones(2, 4))
    assert file.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [file]


def test_onnx_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "snnviz.export.formats.find_spec", lambda name: None if name != "onnx" else True
    )
    with pytest.raises(ImportError) as raised:
        export(nn.Linear(4, 4), tmp_path / "net.onnx", torch.ones(2, 4))
    assert str(raised.value) == (
        "export to .onnx needs onnxscript, onnxruntime. Install it: pip install 'snnviz[onnx]'"
    )
