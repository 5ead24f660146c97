"""Trains task network and switcher alternately; imports every folder before it in ORDER."""

from snnviz.training.learners import Learners
from snnviz.training.records import Evaluation, StepRecord, TrainingStopped
from snnviz.training.schedule import Phase, Position, Schedule
from snnviz.training.trainer import Trainer

__all__ = [
    "Evaluation",
    "Learners",
    "Phase",
    "Position",
    "Schedule",
    "StepRecord",
    "Trainer",
    "TrainingStopped",
]
