"""How a Chromium is found and installed, told of machines that are not there."""

import sys

import pytest

from tests.browser.chromium import Machine, find_chromium, install_chromium, main, ways

DOWNLOAD = (sys.executable, "-m", "playwright", "install", "--no-shell", "chromium")


@pytest.fixture(autouse=True)
def _unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)


def finds(there: set[str], starting: set[str]) -> str | None:
    """What is found of a, b and c, where some are there and some of them start."""
    which = {name: f"/bin/{name}" for name in there}.get
    return find_chromium(lambda: "abc", which, lambda path: path.removeprefix("/bin/") in starting)


@pytest.mark.parametrize(
    ("there", "starting", "found"),
    [
        ({"a", "b"}, {"a", "b"}, "/bin/a"),
        ({"b", "c"}, {"b", "c"}, "/bin/b"),
        ({"a", "c"}, {"c"}, "/bin/c"),  # such as Ubuntu's chromium-browser without its snap
        ({"a"}, set(), None),
        (set(), set(), None),
    ],
)
def test_the_first_that_starts(there: set[str], starting: set[str], found: str | None) -> None:
    assert finds(there, starting) == found


def test_the_named_one_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", "mine")
    assert finds({"a", "mine"}, {"a"}) == "/bin/mine"


def test_a_named_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHROMIUM", "/no/chrome")
    assert main() == 1
    assert capsys.readouterr() == (
        "",
        "CHROMIUM is '/no/chrome', and no such program was found. Give the path of a Chromium or "
        "Chrome, or unset it to have one looked for.\n",
    )


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine("debian", (), apt=True), ["apt-get", "own"]),
        (Machine("debian", ("sudo", "-n"), apt=True), ["sudo apt-get", "own"]),
        (Machine("debian", None, apt=True), ["own"]),
        (Machine("ubuntu", (), apt=True), ["libraries, own"]),
        (Machine("ubuntu", ("sudo", "-n"), apt=True), ["sudo libraries, own"]),
        (Machine("ubuntu", None, apt=True), ["own"]),
        (Machine("fedora", (), apt=False), ["own"]),
        (Machine("", ("sudo", "-n"), apt=False), ["own"]),  # macOS
    ],
)
def test_ways(machine: Machine, expected: list[str]) -> None:
    root = machine.as_root or ()
    options = ("-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=60")
    apt = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes", *options)
    package = ((*root, *apt, "update"),)
    package += ((*root, *apt, "install", "--no-install-recommends", "chromium"),)
    libraries = (*root, sys.executable, "-m", "playwright", "install-deps", "chromium")
    commands = {"own": (DOWNLOAD,), "libraries, own": (libraries, DOWNLOAD), "apt-get": package}
    wanted = [commands[each.removeprefix("sudo ")] for each in expected]
    assert [way.commands for way in ways(machine)] == wanted


@pytest.mark.parametrize(("helps", "ways_tried"), [("apt-get", 1), ("playwright", 2), ("", 2)])
def test_ways_are_tried_until_one_helps(
    helps: str, ways_tried: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    def find() -> str | None:
        return "/usr/bin/chromium" if any(helps and helps in command for command in ran) else None

    machine = Machine("debian", (), apt=True)
    assert install_chromium(machine, find, ran.append) == ("/usr/bin/chromium" if helps else None)
    tried = ways(machine)[:ways_tried]
    assert ran == [command for way in tried for command in way.commands]
    said = [f"No Chromium for the browser tests: {way.says} …" for way in tried]
    assert capsys.readouterr().out.splitlines() == said
