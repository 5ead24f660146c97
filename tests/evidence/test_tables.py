"""Tables as text."""

import pandas as pd

from snnviz.evidence import tables


def test_a_markdown_table():
    table = pd.DataFrame({"a": ["x", "y"], "b": [0.1234, float("nan")], "c": [3, 4]})
    columns = {"a": ("name", ""), "b": ("share, %", "+.1f%"), "c": ("n", "")}
    assert tables.markdown(table, columns).splitlines() == [
        "| name | share, % | n |",
        "|---|---|---|",
        "| x | +12.3 | 3 |",
        "| y | – | 4 |",
    ]
