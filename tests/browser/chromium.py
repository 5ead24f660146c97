"""The Chromium of the browser tests: it is found, or installed, or a message says how to get it.

`python -m tests.browser.chromium` does all of that, for `make test`.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
)
MISSING = f"""\
The browser tests need Chromium or Chrome, and none was found that starts. Install one:
  any system       {sys.executable} -m playwright install chromium
  Debian           sudo apt-get install chromium
  Ubuntu           sudo {sys.executable} -m playwright install-deps chromium
                   and then the line for any system
  macOS            brew install --cask chromium
  Windows          in WSL, as on Debian or Ubuntu
or set CHROMIUM to the path of the program, as in: make test CHROMIUM=/opt/chrome/chrome
`make quick` runs the tests that need no browser.
"""

# --- finding ----------------------------------------------------------------------------------


def _starts(path: str) -> bool:
    """Whether the program runs. Ubuntu's chromium-browser does not unless its snap is there."""
    if sys.platform == "win32":  # where asking Chrome for its version opens a window
        return True
    try:
        asked = subprocess.run([path, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _candidates() -> Iterator[str]:
    """Where a Chromium may be: the system's, then the one that Playwright has downloaded."""
    yield from _NAMES
    yield from _PLACES
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    yield own


def find_chromium(
    candidates: Callable[[], Iterable[str]] = _candidates,
    which: Callable[[str], str | None] = shutil.which,
    starts: Callable[[str], bool] = _starts,
) -> str | None:
    """The path of a Chromium: the one that CHROMIUM names, or the first candidate that starts.

    Raises:
        FileNotFoundError: CHROMIUM is set to something that is not there.
    """
    if named := os.environ.get("CHROMIUM"):
        if found := which(named):
            return found
        raise FileNotFoundError(
            f"CHROMIUM is {named!r}, and no such program was found. "
            "Give the path of a Chromium or Chrome, or unset it to have one looked for."
        )
    return next((found for name in candidates() if (found := which(name)) and starts(found)), None)


@cache
def find_once() -> str | None:
    """What `find_chromium` finds, asked once in a process."""
    return find_chromium()


# --- installing -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """What decides how a Chromium can be installed."""

    distribution: str  # ID of os-release, such as "debian"; "" elsewhere than on Linux
    as_root: tuple[str, ...] | None  # what to put before a command; None if there is no way
    apt: bool


@dataclass(frozen=True)
class Way:
    """A way to get a Chromium: what to say beforehand, and the commands."""

    says: str
    commands: tuple[tuple[str, ...], ...]


def this_machine() -> Machine:
    """The machine that this runs on."""
    try:
        distribution = platform.freedesktop_os_release()["ID"]
    except OSError:
        distribution = ""
    as_root: tuple[str, ...] | None = None
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        as_root = ()
    elif shutil.which("sudo"):
        asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
        as_root = ("sudo", "-n") if asked.returncode == 0 else None
    return Machine(distribution, as_root, bool(shutil.which("apt-get")))


def ways(machine: Machine) -> list[Way]:
    """The ways to try, in this order.

    Debian's package comes first where it may be installed: it brings the libraries that Chromium
    needs, and a server or container lacks them. Ubuntu has no such package (its own is a stub for
    a snap, which does not work in containers), so Playwright installs the libraries there.
    Playwright's own download needs no root, and works everywhere else.
    """
    download = (sys.executable, "-m", "playwright", "install", "--no-shell", "chromium")
    own = Way("downloading Playwright's own (about 170 MB)", (download,))
    if machine.as_root is None or not machine.apt:
        return [own]
    apt = (*machine.as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes")
    apt += ("-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=60")
    package = Way(
        "installing Debian's package chromium with apt-get (about 120 MB)",
        ((*apt, "update"), (*apt, "install", "--no-install-recommends", "chromium")),
    )
    libraries = (*machine.as_root, sys.executable, "-m", "playwright", "install-deps", "chromium")
    with_libraries = Way(
        "downloading Playwright's own (about 170 MB), and its libraries with apt-get",
        (libraries, download),
    )
    return {"debian": [package, own], "ubuntu": [with_libraries]}.get(machine.distribution, [own])


def _run(command: tuple[str, ...]) -> None:
    """Run one command. If it fails, its last line that is no part of a traceback is shown."""
    try:
        done = subprocess.run(
            command,
            env={"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "15000"} | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"  {error}", flush=True)
        return
    if done.returncode:
        print(f"  {' '.join(command)} failed: {_last_line(done.stdout)}", flush=True)


def _last_line(text: str) -> str:
    lines = (line for line in reversed(text.splitlines()) if line and not line[0].isspace())
    return next(lines, "no output")


def install_chromium(
    machine: Machine,
    find: Callable[[], str | None] = find_chromium,
    run: Callable[[tuple[str, ...]], None] = _run,
) -> str | None:
    """Try each way until a Chromium is found; it says what it does before doing it."""
    for way in ways(machine):
        print(f"No Chromium for the browser tests: {way.says} …", flush=True)
        for command in way.commands:
            run(command)
        if found := find():
            return found
    return None


def main() -> int:
    """Find or install one. Without any the tests run too, and fail at their end: tests/browser."""
    try:
        found = find_chromium()
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    if found is None and (found := install_chromium(this_machine())) is None:
        print("The browser tests will fail, after all others have run.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
