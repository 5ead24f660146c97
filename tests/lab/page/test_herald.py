"""What the lab announces: each first once."""

from dataclasses import replace

import numpy as np

from snnviz.lab.page.herald import Herald
from tests.lab.views.pretence import idle_status


def said(herald: Herald, run: str = "a", generation: int = 0, **factors: list[float]) -> str:
    """What it says of this state."""
    values = {name: np.array(each, np.float32) for name, each in factors.items()}
    herald.look(replace(idle_status(), factors=values, generation=generation), run)
    return herald.news.split(" (step")[0]


def test_the_first_of_all_and_of_each_group() -> None:
    herald = Herald()
    assert said(herald, conv=[1, 1], fc=[1, 1, 1]) == ""
    assert said(herald, conv=[1, 1], fc=[1, 0, 1]) == "fc · 1 is the first to go off"
    assert said(herald, conv=[1, 1], fc=[0, 0, 1]) == "fc · 1 is the first to go off"
    first = "2 neurons of conv are the first of conv to go off"
    assert said(herald, conv=[0, 0], fc=[0, 0, 1]) == first
    assert said(herald, conv=[0, 0], fc=[0.5, 0, 1]) == "fc · 0 is the first to come back on"
    assert said(herald, conv=[0.5, 0], fc=[0.5, 0, 1]) == "fc · 0 is the first to come back on"


def test_another_run_and_a_reset_begin_afresh() -> None:
    herald = Herald()
    said(herald, fc=[1, 1])
    assert said(herald, fc=[0, 1]) == "fc · 0 is the first to go off"
    assert said(herald, run="b", fc=[1, 1]) == ""
    assert said(herald, run="b", fc=[1, 0]) == "fc · 1 is the first to go off"
    assert said(herald, run="b", generation=1, fc=[0, 0]) == "", "it was so already"
