"""A trainer in a thread of its own, and what it tells of itself; imports nothing of the lab."""

from snnviz.lab.session.answers import wait_for_answer
from snnviz.lab.session.session import Session, Unit
from snnviz.lab.session.status import Notice, Problem, Status
from snnviz.lab.session.whatif import Changes, Trial

__all__ = ["Changes", "Notice", "Problem", "Session", "Status", "Trial", "Unit", "wait_for_answer"]
