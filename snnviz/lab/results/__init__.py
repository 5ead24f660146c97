"""What is taken along from the lab: a smaller network, files, code; may import session and page."""

from snnviz.lab.results.code import Run, write_code
from snnviz.lab.results.desk import Desk
from snnviz.lab.results.smaller import Compacted, make_smaller

__all__ = ["Compacted", "Desk", "Run", "make_smaller", "write_code"]
