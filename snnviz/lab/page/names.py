"""Names of groups without what all of them begin with."""

from collections.abc import Iterable


def drop_prefix(names: Iterable[str]) -> dict[str, str]:
    """{name: the name without the parts (between dots) that all names begin with}.

    At least one part stays, and no name becomes a bare number.

    >>> drop_prefix(["net.conv1", "net.block.conv2"])
    {'net.conv1': 'conv1', 'net.block.conv2': 'block.conv2'}
    >>> drop_prefix(["net.features.0", "net.features.3"])
    {'net.features.0': 'features.0', 'net.features.3': 'features.3'}
    """
    parts = {name: name.split(".") for name in names}
    most = min(map(len, parts.values()), default=1) - 1 if len(parts) > 1 else 0
    shared = 0
    while shared < most and len({each[shared] for each in parts.values()}) == 1:
        shared += 1
    while shared and any(each[shared].isdigit() for each in parts.values()):
        shared -= 1
    return {name: ".".join(each[shared:]) for name, each in parts.items()}
