"""The schedule: its timeline, fields and files; may import session and page."""

from snnviz.lab.schedule.editor import ScheduleEditor

__all__ = ["ScheduleEditor"]
