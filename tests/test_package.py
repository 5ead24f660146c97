"""The wheel: it holds all of the package, and works where there is no checkout."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "snnviz"
PIP = ("pip", "--disable-pip-version-check", "--no-input")
OFFLINE = ("--no-deps", "--no-index", "--quiet")
EXTRAS = ("anywidget", "ipywidgets", "IPython", "ray", "onnx", "onnxscript", "onnxruntime")

# What stands in a script around the ten lines of the README, or in place of one of them.
FASHION_MNIST = 'data = sv.load_data("fashion-mnist")\n'
SMALL_DATA = """
import torch
made = torch.Generator().manual_seed(0)
labels = torch.arange(40) % 10
images = torch.randint(0, 256, (40, 1, 28, 28), generator=made, dtype=torch.uint8)
data = sv.ImageData.from_tensors((images, labels), (images, labels), device="cpu")
"""
WITHOUT_EXTRAS = f"""
import sys
for name in {EXTRAS}:
    sys.modules[name] = None  # as if it were not installed
"""
NOTHING_OF_THE_CHECKOUT = """
import pathlib, sys
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None)
    if name.partition(".")[0] == "snnviz":
        assert pathlib.Path(file).is_relative_to(SITE), (name, file)
"""


def _python(*arguments: str, folder: Path, path: Path | None = None) -> str:
    """What a Python of its own prints; the packages under `path` come before the environment's."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("wheel", "--no-build-isolation", *OFFLINE, "--wheel-dir", str(folder), str(ROOT))
    _python("-m", *PIP, *build, folder=folder)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def site(wheel: Path) -> Path:
    """An empty folder into which the wheel has been installed."""
    folder = wheel.parent / "site"
    install = ("install", *OFFLINE, "--target", str(folder), str(wheel))
    _python("-m", *PIP, *install, folder=wheel.parent)
    return folder


def ten_lines(data: str = FASHION_MNIST) -> str:
    """The README's code, with these lines in place of those that load 60,000 images."""
    (code,) = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert FASHION_MNIST in code
    return code.replace(FASHION_MNIST, data)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    paths = (path.relative_to(ROOT) for path in PACKAGE.rglob("*") if path.is_file())
    wanted = {path.as_posix() for path in paths if "__pycache__" not in path.parts}
    assert {"snnviz/py.typed", "snnviz/lab/neurons/grid.js"} <= wanted
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert {name for name in held if ".dist-info/" not in name} == wanted
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_ten_lines_of_the_readme_run_outside_the_checkout(site: Path, tmp_path: Path) -> None:
    script = ten_lines(SMALL_DATA) + NOTHING_OF_THE_CHECKOUT.replace("SITE", repr(str(site)))
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    _python("-W", "error", "script.py", folder=tmp_path, path=site)
    assert {path.suffix for path in tmp_path.rglob("switches.*")} == {".pdf", ".svg", ".png"}


def test_it_trains_and_plots_without_the_extras(site: Path, tmp_path: Path) -> None:
    code, lab = ten_lines(SMALL_DATA).split("sv.Lab(trainer)")
    refused = f"""
try:
    sv.Lab(trainer){lab}
except ImportError as error:
    print(error)
"""
    (tmp_path / "script.py").write_text(WITHOUT_EXTRAS + code + refused, encoding="utf-8")
    said = _python("-W", "error", "script.py", folder=tmp_path, path=site)
    assert said.splitlines()[-1] == (
        "The lab needs ipywidgets, which is not installed: pip install 'snnviz[lab]'."
    )
    assert list(tmp_path.rglob("switches.pdf"))


def test_the_command_says_the_version_of_the_wheel(wheel: Path, site: Path, tmp_path: Path) -> None:
    said = _python("-m", "snnviz", "--version", folder=tmp_path, path=site)
    assert said.strip() == wheel.name.split("-")[1]


def test_a_strict_type_checker_knows_the_public_names(site: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(ten_lines(), encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(site)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    _python("-m", "pyright", "--pythonpath", sys.executable, folder=tmp_path)
