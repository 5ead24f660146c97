"""Edits of the schedule: those on their way to the session, those kept for a fork, and undo.

Whoever uses it from several threads holds a lock meanwhile.
"""

from dataclasses import dataclass, field
from typing import Any

from snnviz.lab.schedule.settings import refusal
from snnviz.lab.session import Session, Status
from snnviz.training import Schedule

Changes = dict[str, Any]  # {field: new value}
Pairs = dict[str, tuple[Any, Any]]  # {field: (old, new)}


def combine(plan: Schedule, changes: Changes) -> Schedule:
    """The plan with the changes; without them where the plan has since become one that has none."""
    try:
        return plan.replace(**changes)
    except ValueError:  # such as a size for a plan that now has no switcher steps
        return plan


@dataclass
class _Edits:
    """What was edited, for undo and redo."""

    done: list[Pairs] = field(default_factory=list)
    undone: list[Pairs] = field(default_factory=list)


class Drafts:
    """What the editor says of the schedule to come.

    Live, an edit goes to the session, which applies it with the next round. At a past epoch, edits
    are kept for a fork from there; back at the present they are offered for the run itself.

    Args:
        session: whose schedule is edited.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.has_holdout = session.trainer.data.holdout is not None
        self.moment: int | None = None  # the past epoch that edits are for; None: live
        self.offer: Changes = {}
        self._sent: Changes = {}
        self._fork: Changes = {}
        self._live_edits, self._fork_edits = _Edits(), _Edits()

    @property
    def planned(self) -> Schedule:
        """The session's schedule from the next round on."""
        return self.session.status.planned

    @property
    def draft(self) -> Schedule:
        """The schedule that is planned, with the edits made here."""
        return combine(self.planned, self._sent if self.moment is None else self._fork)

    @property
    def fork_changes(self) -> Changes:
        """The edits for a fork."""
        return self._fork

    def find_changes(self, changes: Changes) -> Changes:
        """Those that change the draft."""
        plan = self.draft
        return {name: new for name, new in changes.items() if getattr(plan, name) != new}

    def refusal(self, changes: Changes) -> str:
        """Why the draft may not be changed so; "" if it may."""
        done = self.session.status.position.epoch if self.moment is None else self.moment
        return refusal(self.draft, changes, done, self.has_holdout, self.session.trainer.switches)

    def edit(self, changes: Changes) -> str:
        """Makes an edit that can be undone; why not, if it is refused."""
        plan = self.draft
        pairs = {name: (getattr(plan, name), new) for name, new in changes.items()}
        why = self._put(changes)
        if not why:
            self._edits.done.append(pairs)
            self._edits.undone.clear()
        return why

    def last_edit(self, back: bool) -> Pairs:
        """What undo (back) or redo would change; {} if there is nothing."""
        source = self._edits.done if back else self._edits.undone
        return source[-1] if source else {}

    def undo(self, back: bool) -> str:
        """Takes the last edit back, or makes the one that was undone last again; why not."""
        source, target = self._edits.done, self._edits.undone
        if not back:
            source, target = target, source
        why = self._put({name: pair[0 if back else 1] for name, pair in source[-1].items()})
        if not why:
            target.append(source.pop())
        return why

    def turn_to(self, moment: int | None) -> bool:
        """Goes to a past epoch, or to the present (None); whether it left the one for the other."""
        turned = (moment is None) != (self.moment is None)
        if turned and moment is None:
            self.offer, self._fork = self._fork, {}
            self._fork_edits = _Edits()
        elif turned:
            self.offer = {}
        self.moment = moment
        return turned

    def catch_up(self, status: Status) -> bool:
        """Forgets what has arrived; whether the session has carried out all edits."""
        settled = self.session.status is status and self.session.caught_up
        if settled:
            self._sent = {}
        planned = self.planned
        self.offer = {k: v for k, v in self.offer.items() if getattr(planned, k) != v}
        return settled

    @property
    def _edits(self) -> _Edits:
        return self._live_edits if self.moment is None else self._fork_edits

    def _put(self, changes: Changes) -> str:
        """Hands changes on, or keeps them for a fork; why not, if they are refused."""
        if why := self.refusal(changes):
            return why
        if self.moment is not None:
            planned, edits = self.planned, self._fork | changes
            self._fork = {k: v for k, v in edits.items() if getattr(planned, k) != v}
            return ""
        try:
            self.session.set_schedule(**changes)
        except RuntimeError as error:  # closed
            return str(error)
        self._sent = self._sent | changes
        return ""
