"""Trains task network and switcher alternately; imports every folder before it in ORDER."""

from snnviz.training.config import TrainingConfig
from snnviz.training.learners import Learners
from snnviz.training.predictions import Predictions, predict
from snnviz.training.records import Evaluation, StepRecord, TrainingStopped
from snnviz.training.schedule import Phase, Position, Schedule
from snnviz.training.trainer import AlternatingTrainer

__all__ = [
    "AlternatingTrainer",
    "Evaluation",
    "Learners",
    "Phase",
    "Position",
    "Predictions",
    "Schedule",
    "StepRecord",
    "TrainingConfig",
    "TrainingStopped",
    "predict",
]
