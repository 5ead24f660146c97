"""The picture of the lab's last state: its words, its neurons, and that it can be made at all."""

import io

import numpy as np
import pytest
from PIL import Image

from snnviz.history import History
from snnviz.lab.views.picture import headline, last_state
from snnviz.lab.views.shown import in_colours
from tests.lab.views.pretence import idle_status, pretended_run

A = pretended_run(4)
RUNS = in_colours({"first": A, "second": pretended_run(5, seed=1)})
FACTORS = {group: values[-1] for group, values in A.factors.items()}


@pytest.mark.parametrize("moment", [None, 0, 2])
@pytest.mark.parametrize("runs", [RUNS[:1], RUNS])
def test_a_picture_of_the_last_state(runs, moment):
    picture = Image.open(io.BytesIO(last_state(idle_status(step=200), runs, FACTORS, moment)))
    assert picture.size == (1100, 704)
    assert len(np.unique(np.array(picture.convert("L")))) > 20


def test_a_run_that_has_not_begun():
    run = in_colours({"new": History({"a": 3})})
    assert last_state(idle_status(), run, {"a": np.ones(3)}).startswith(b"\x89PNG")


def test_the_headline():
    on = sum(int((values != 0).sum()) for values in FACTORS.values())
    accuracy = 100 * A.epochs["test_accuracy"].iloc[-1]
    share = f"{on} of 370 neurons on ({100 * on / 370:.0f} %)"
    assert headline(idle_status(step=207), RUNS[0], FACTORS, None) == (
        "first",
        f"epoch 4 of 20 · step 207 · test accuracy {accuracy:.1f} % · {share}",
    )
    accuracy = 100 * A.epochs["test_accuracy"].iloc[1]
    assert headline(idle_status(step=207), RUNS[0], FACTORS, 2)[1] == (
        f"looking back at epoch 2 of 20 · test accuracy {accuracy:.1f} % · {share}"
    )
    assert headline(idle_status(), RUNS[0], FACTORS, 0)[1] == f"looking back at the start · {share}"
