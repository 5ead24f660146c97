"""A saved network that the tests of this folder share."""

from pathlib import Path

import pytest
import torch

from snnviz.export import save_compact
from tests.export.nets import Residual


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_compact(Residual(), tmp_path_factory.mktemp("saved") / "net")
