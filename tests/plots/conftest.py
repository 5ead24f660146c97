"""The history that most tests of plots draw."""

import pytest

from snnviz.history import History
from tests.plots.story import STORY, make_history


@pytest.fixture
def story() -> History:
    return make_history({"fc1": STORY, "conv1": [[1, 1]] * 3})
