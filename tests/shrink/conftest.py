"""A network that the tests of this folder share."""

import pytest
from torch import nn

from tests import reference
from tests.networks_at_random import drawn


@pytest.fixture
def own() -> nn.Module:
    return drawn(reference.own()).eval()
