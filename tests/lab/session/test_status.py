"""What the lab says of where training stands."""

import pytest

from snnviz.lab.session.status import percent


@pytest.mark.parametrize(
    ("on", "n", "said"),
    [(0, 570, 0), (1, 570, 1), (226, 570, 40), (225, 1000, 23), (569, 570, 99), (570, 570, 100)],
)
def test_shares_are_rounded_but_for_nearly_all_and_nearly_none(on: int, n: int, said: int) -> None:
    assert percent(on, n) == said
