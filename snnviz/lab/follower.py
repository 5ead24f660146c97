"""Keeps a lab up to date with a run that another trainer trains."""

import threading

from snnviz.lab.session import Session
from snnviz.runs.followed import Followed
from snnviz.training import AlternatingTrainer

LOOK_EVERY = 1.0  # seconds


class Follower:
    """Looks at a run's folder in a thread of its own, until the other trainer has closed it.

    Args:
        session: of the trainer that shows the run; nothing can be trained in it meanwhile.
        run: the folder.
    """

    def __init__(self, session: Session, run: Followed) -> None:
        self._session, self._run = session, run
        self._told, self._trouble = "", ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="snnviz-follow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        try:
            while self._look() and not self._over.wait(LOOK_EVERY):
                pass
        except RuntimeError:  # the session is closed
            return

    def _look(self) -> bool:
        """Shows what is new; whether there may be more."""
        held = self._run.held  # asked first: what is saved at the end is read too
        why = describe_holder(self._run) if held else ""
        try:
            behind = self._run.is_behind
        except (OSError, ValueError) as error:
            behind, self._trouble = False, str(error)
        words = why or describe_end(self._run)
        if self._trouble:
            words += f" Its newest state cannot be read: {self._trouble}"
        if behind or words != self._told:
            self._told = words

            def act(trainer: AlternatingTrainer) -> None:
                self._session.following.tell(why, words)
                if behind:
                    self._session.following.take_up(self._run.take_up)

            self._session.ask(act, self._after)
        return held and self._session.status.activity != "closed"

    def _after(self, result: object) -> None:
        """In the session's thread; an error may be gone with the next save."""
        self._trouble = str(result) if isinstance(result, Exception) else ""


def describe_holder(run: Followed) -> str:
    """Why nothing can be trained here, and what can be done."""
    words = (
        f"{run.folder} is open in another trainer ({run.holder}), so nothing can be trained here. "
        "Each epoch is shown as soon as it is saved."
    )
    return words if run.trainer.data.missing else f"{words} To train from an epoch, fork."


def describe_end(run: Followed) -> str:
    """That no other trainer has the run open any more, and what can be done now."""
    words = (
        f"{run.folder} is no longer open in another trainer. This is a copy of what was saved last"
    )
    if run.trainer.data.missing:
        return f"{words}."
    return (
        f"{words}, and what you train here stays in memory. To continue the run itself, open the "
        "folder again."
    )
