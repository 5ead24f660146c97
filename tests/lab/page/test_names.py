"""Names of groups without what all of them begin with."""

import pytest

from snnviz.lab.page.names import drop_prefix


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], []),
        (["net.conv1"], ["net.conv1"]),
        (["conv1", "fc1"], ["conv1", "fc1"]),
        (["net.conv1", "net.block.conv2"], ["conv1", "block.conv2"]),
        (["net.a.conv1", "net.a.conv2"], ["conv1", "conv2"]),
        (["net.conv", "net.conv.more"], ["conv", "conv.more"]),
        (["net.features.0", "net.features.3"], ["features.0", "features.3"]),
        (["0", "2"], ["0", "2"]),
        (["net.0", "net.2"], ["net.0", "net.2"]),
        (["network1", "network2"], ["network1", "network2"]),
    ],
)
def test_shared_parts_are_left_out(names: list[str], short: list[str]) -> None:
    assert list(drop_prefix(names).values()) == short
