"""Folders that are written whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exchanged(folder: Path, files: tuple[str, ...]) -> Iterator[Path]:
    """A new folder to write in, which takes the place of the old one once all is written.

    Args:
        folder: its final name.
        files: what an old folder may hold; anything else in it is an error.

    Raises:
        FileExistsError: the folder holds other files.
    """
    others = sorted(p.name for p in folder.iterdir()) if folder.exists() else []
    others = [name for name in others if name not in files]
    if others:
        raise FileExistsError(
            f"folder {str(folder)!r} holds other files ({', '.join(others[:3])}); "
            "give the name of a new or empty folder."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    new, old = beside / "new", beside / "old"
    try:
        new.mkdir()
        yield new
        if folder.exists():  # an exchange in two steps: the old one is whole until the new is
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
