"""Schedules in files: saved by name, loaded from a list or uploaded."""

from collections.abc import Callable
from typing import Any

from snnviz.lab.page.pieces import box, button, put
from snnviz.lab.page.two_way import Dropdown, FileUpload, Text
from snnviz.lab.schedule import plans
from snnviz.training import Schedule


class ScheduleFiles:
    """Saves and loads schedules as JSON.

    Args:
        folder: where they are.
        draft: gives the schedule to save.
        loaded: takes a schedule that was loaded, and what to call it.
        say: takes a message to the user, and whether something was refused.
    """

    def __init__(
        self,
        folder: str,
        draft: Callable[[], Schedule],
        loaded: Callable[[Schedule, str], None],
        say: Callable[[str, bool], None],
    ) -> None:
        self._folder, self._draft, self._loaded, self._say = folder, draft, loaded, say
        self._confirmed = ""  # the name that may replace a file
        self._stale = True  # the list of names
        self._uploaded = False
        self._name = Text(
            description="name", placeholder="for example: freeze early", continuous_update=False
        ).add_class("snnviz-schedule-name")
        self._save = button(
            "Save", "save-schedule", "Save this schedule as a JSON file", self._on_save, "download"
        )
        self._list = Dropdown(description="saved", options=[]).add_class("snnviz-schedule-list")
        self._load = button(
            "Load", "load-schedule", "Load the chosen schedule", self._on_load, "folder-open"
        )
        self._upload = FileUpload(
            accept=".json",
            description="Load a file …",
            tooltip="A saved schedule, or the config.json of a run",
        ).add_class("snnviz-upload-schedule")
        self._upload.observe(self._on_upload, "value")
        parts = [box("saving", [self._name, self._save]), box("loading", [self._list, self._load])]
        self.widget = box("files", [*parts, self._upload])

    def look(self) -> None:
        """Has the list of names read again with the next `show`."""
        self._stale = True

    def show(self, closed: bool) -> None:
        """Brings the widgets up to date."""
        if self._stale:
            self._stale = False
            found = plans.list_names(self._folder)
            if tuple(found) != tuple(self._list.options):
                self._list.options = found
        if self._uploaded:
            self._uploaded, self._upload.value = False, ()  # so that the same file can come again
        nothing = closed or not self._list.options
        for widget, off in ((self._load, nothing), (self._list, nothing), (self._upload, closed)):
            put(widget, disabled=off)

    # In any thread ----------------------------------------------------------------------------

    def _on_save(self) -> None:
        name = self._name.value.strip()
        try:
            file = plans.file_for(self._folder, name)
            if file.exists() and self._confirmed != name:
                self._confirmed = name
                self._say(
                    f"{file.as_posix()} already exists. Press Save again to replace it.", True
                )
                return
            plans.save(self._draft(), file)
        except (OSError, ValueError) as error:
            self._say(f"The schedule was not saved: {error}", True)
            return
        self._confirmed, self._stale = "", True
        self._say(f"Saved {file.as_posix()}.", False)

    def _on_load(self) -> None:
        name = self._list.value
        if not name:
            return
        try:
            file = plans.file_for(self._folder, name)
            plan = plans.load(file)
        except (OSError, ValueError) as error:
            self._stale = True
            self._say(f"No schedule was loaded: {error}", True)
            return
        self._loaded(plan, file.as_posix())

    def _on_upload(self, change: dict[str, Any]) -> None:
        for file in change["new"]:
            self._uploaded = True
            try:
                plan = plans.decode(bytes(file["content"]), file["name"])
            except ValueError as error:
                self._say(f"No schedule was loaded: {error}", True)
            else:
                self._loaded(plan, file["name"])
