"""Loads a trainer from a run folder at an epoch. Only reads, even while another process writes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from snnviz import checks, files
from snnviz.data import ImageData
from snnviz.history import tables
from snnviz.notes import tell
from snnviz.runs import checkpoint
from snnviz.runs.advice import Call, DamagedLater, NoSuchEpoch
from snnviz.runs.checkpoint import Checkpoint, Lost
from snnviz.runs.past import Past, at_ends, past
from snnviz.structure import fits_a_layer
from snnviz.training.trainer import AlternatingTrainer

_PATIENCE = 5  # how often to read a folder again because it changed meanwhile
_TRIES = 5  # how many checkpoints to examine for an intact one

T = TypeVar("T", bound=AlternatingTrainer)


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A trainer in a saved state, and where that state was read from."""

    trainer: T
    past: Past
    at: Checkpoint  # the checkpoint that was read
    ended: Checkpoint  # the state at its last epoch's end
    kept: list[Checkpoint]  # those of its start and its last epoch's end

    @property
    def last(self) -> str:
        """The name of the checkpoint from which the run itself would continue."""
        return last(self.past)

    def warn(self) -> None:
        """Warns if numbers may come out differently here."""
        if other := self.past.config.other_bits(self.trainer.device):
            tell(
                f"The run continues in a different environment from the one it started in: "
                f"{other}. From now on its numbers may differ in their last bits."
            )


def last(found: Past) -> str:
    assert found.pointer.run is not None
    return found.pointer.run["checkpoint"]


def load(
    make: Callable[..., T],
    folder: Path,
    epoch: int | None,
    network: nn.Module | None,
    data: ImageData | None,
    device: str | torch.device | None,
) -> Loaded[T]:
    """The trainer at an epoch's end, or where the run was last saved if `epoch` is None.

    Args:
        make: the class of the trainer; its arguments are those of `snnviz.Trainer`.
    """
    epoch = checks.plain(epoch)
    found = _past(folder, epoch)
    config = found.config
    device = config.device(device)
    data = config.load_data(data, device)
    network = config.build_network(network, data)
    trainer = make(
        network,
        data,
        schedule=config.schedule,
        switcher=config.switcher,
        seed=config.seed,
        device=device,
        precision=config.precision,
        exclude=_keep_fitting(config.exclude, network),
        weighted=_keep_fitting(config.weighted, network),
    )
    if trainer.history.groups != found.history.groups:
        raise ValueError(
            f"network must have the switch groups of the run in {str(folder)!r}, "
            f"{_describe_groups(found.history.groups)}, got "
            f"{_describe_groups(trainer.history.groups)}. Pass the original network=, or use the "
            "version of snnviz that made the run."
        )
    return _take_up_patiently(trainer, found, epoch)


def renew(trainer: AlternatingTrainer, folder: Path) -> Past:
    """Brings a trainer that was loaded from a folder to what is saved there now.

    Raises:
        FileNotFoundError, ValueError: as `load`.
    """
    return _take_up_patiently(trainer, past(folder), None).past


def _take_up_patiently(trainer: T, found: Past, epoch: int | None) -> Loaded[T]:
    folder = found.folder
    for left in reversed(range(_PATIENCE)):
        at = _choose_checkpoint(found, epoch)
        try:
            return _take_up(trainer, found, at)
        except (files.Damaged, FileNotFoundError) as error:
            # A run in progress may have removed it meanwhile.
            newer = past(folder, epoch)
            if not left or newer.pointer == found.pointer:
                raise _suggest_earlier(error, found, at) from error
            found = newer
    raise AssertionError("never reached")


def _keep_fitting(patterns: Sequence[str], network: nn.Module) -> list[str]:
    """Those that fit a layer: earlier versions also took, and saved, patterns that fit none."""
    return [pattern for pattern in patterns if fits_a_layer(pattern, network)]


def _past(folder: Path, epoch: int | None) -> Past:
    """The folder's contents; only up to the epoch if a later part is damaged."""
    try:
        return past(folder)
    except files.Damaged as error:
        part = tables.segment(error.file)
        if epoch is not None:
            return past(folder, epoch)
        if part is None:
            raise
        # If only the unfinished epoch's table is damaged, all earlier epochs are intact.
        good = _good_before(folder, None if part.kind == "unfinished" else part.first)
        raise _suggest_resume(error, folder, good) from error


def _good_before(folder: Path, epoch: int | None) -> Checkpoint | None:
    """The newest intact checkpoint of an epoch's end before `epoch`."""
    try:
        found = past(folder, epoch - 1 if epoch else 2**53)
    except ValueError:
        found = past(folder, 0)
    groups, most = (
        at_ends(found.checkpoints, found.history),
        checkpoint.most_bytes(found.checkpoints),
    )
    for number in sorted(groups, reverse=True)[:_TRIES]:
        if checkpoint.is_whole(groups[number][-1], folder, most):
            return groups[number][-1]
    return None


def _choose_checkpoint(found: Past, epoch: int | None) -> Checkpoint:
    groups = at_ends(found.checkpoints, found.history)
    if epoch is None:
        named = [at for at in found.checkpoints if at.file.name == last(found)]
        if not named:
            file = found.folder / "checkpoints" / last(found)
            missing = files.Damaged(file, "it is missing")
            latest = Checkpoint.of(file)
            assert latest is not None
            raise _suggest_earlier(missing, found, latest) from missing
        return named[0]
    ended = found.history.n_epochs
    if isinstance(epoch, bool) or not isinstance(epoch, int) or not 0 <= epoch <= ended:
        there = f"from 0 (the start) to {ended}" if ended else "only 0 (the start) so far"
        raise NoSuchEpoch(
            f"epoch must be one of the run in {str(found.folder)!r}, {there}, got {epoch!r}. "
            "To train more epochs, continue the run: ",
            Call("resume", found.folder),
            ".",
        )
    if epoch not in groups:
        kept = ", ".join(map(str, groups)) or "none"
        raise ValueError(
            f"epoch must be one whose checkpoint is in {str(found.folder)!r} ({kept}), "
            f"got {epoch!r}. To keep more checkpoints, make the trainer with a smaller keep_every."
        )
    return groups[epoch][-1]


def _take_up(trainer: T, found: Past, at: Checkpoint) -> Loaded[T]:
    """Loads a checkpoint into a new trainer, together with the history."""
    history = found.history
    groups = at_ends(found.checkpoints, history)
    ended = groups.get(at.epoch, [at])[0]
    start = groups.get(0, [None])[0]
    state = checkpoint.read(at, trainer, found.folder)
    initial = _state(start, trainer, found.folder, "the start", "reset()")
    if at == ended:
        epoch_end: Mapping[str, Any] = state
    elif ended == start:
        epoch_end = initial
    else:
        end = f"the end of epoch {at.epoch}"
        epoch_end = _state(ended, trainer, found.folder, end, "rollback()")
    if at.step > found.pointer.steps:
        raise files.Damaged(at.file, "it is ahead of the history")
    events = None if at.file.name == last(found) else at.events
    history.truncate(epochs=at.epoch, steps=at.step, events=events)
    trainer.take_up(state, epoch_end, initial, history)
    kept = [one for one in (start, ended) if one]
    return Loaded(trainer, found, at, ended, kept)


def _state(
    at: Checkpoint | None, trainer: AlternatingTrainer, folder: Path, what: str, way: str
) -> Mapping[str, Any]:
    """Reads an earlier state; training can continue without it."""
    try:
        if at is None:
            raise files.Damaged(folder / "checkpoints", f"the checkpoint of {what} is missing")
        return checkpoint.read(at, trainer, folder)
    except (OSError, ValueError) as error:
        tell(f"{error} The run continues without it, but {way} will not work.")
        return Lost(f"{way} cannot return to {what}: {error}")


def _suggest_earlier(error: Exception, found: Past, at: Checkpoint) -> Exception:
    groups = at_ends(found.checkpoints, found.history)
    earlier = [group[-1] for group in groups.values() if group[-1] < at]
    tried = sorted(earlier, reverse=True)[:_TRIES]
    most = checkpoint.most_bytes(found.checkpoints)
    good = next((one for one in tried if checkpoint.is_whole(one, found.folder, most)), None)
    return _suggest_resume(error, found.folder, good)


def _suggest_resume(error: Exception, folder: Path, good: Checkpoint | None) -> Exception:
    if isinstance(error, FileNotFoundError):
        error = files.Damaged(Path(str(error.filename)), "it is missing")
    if not isinstance(error, files.Damaged) or good is None:
        return error
    return DamagedLater(error, Call("resume", folder, good.epoch))


def _describe_groups(groups: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({n})" for name, n in groups.items())[:200]
