"""One JupyterLab server and one Chromium for the browser tests.

A test has a page, a kernel and a folder of its own (`page`, `folder`), or those of its module, in
which its notebook is made again (`kept`): that is several times as fast.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, StorageState, expect

from tests.browser import jupyter
from tests.browser.chromium import MISSING, find_once

PATIENCE = 1000 * jupyter.PATIENCE  # ms
expect.set_options(timeout=PATIENCE)
# What the lab keeps in the browser when its hints have been read; see pointers.js.
DISMISSED = {"name": "snnviz-pointers", "value": "dismissed"}


class NoChromium(pytest.Item):
    """Stands for all browser tests where there is no Chromium, and fails."""

    def runtest(self) -> None:
        """Fail with what is missing and how to get it."""
        pytest.fail(MISSING, pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """What heads its failure."""
        return self.path, None, "the browser tests"


@pytest.hookimpl(trylast=True)  # when tests have been chosen by name, mark and place
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Without a Chromium all other tests run first, and then one fails for those of this folder."""
    here = Path(__file__).parent
    needy = [item for item in items if here in item.path.parents and _is_needy(item)]
    if not needy or _find():
        return
    config.hook.pytest_deselected(items=needy)
    place = needy[0].getparent(pytest.Package)
    assert place is not None, "tests/browser is a package"
    stand_in = NoChromium.from_parent(place, name=f"{len(needy)} tests need Chromium")
    items[:] = [item for item in items if item not in needy] + [stand_in]


def _is_needy(item: pytest.Item) -> bool:
    return "chromium" in getattr(item, "fixturenames", ())


def _find() -> str | None:
    try:
        return find_once()
    except FileNotFoundError as error:
        raise pytest.UsageError(str(error)) from None


# Scope "package", not "session": Playwright holds an event loop, which must be gone when tests
# elsewhere start one of their own.
@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[jupyter.Server]:
    """A JupyterLab server of the tests' own."""
    with jupyter.running_server(tmp_path_factory.mktemp("jupyter")) as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with jupyter.running_chromium() as browser:
        yield browser


@pytest.fixture
def folder(server: jupyter.Server, request: pytest.FixtureRequest) -> Path:
    """A folder in the root: `open_notebook(page, f"{folder.name}/….ipynb")`.

    This test's own, or where the notebook of `kept` lies, with nothing else in it at first.
    """
    if "kept" in request.fixturenames:
        return request.getfixturevalue("kept").folder
    path = server.root / re.sub(r"\W+", "_", request.node.name)
    path.mkdir()
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that failed leaves a screenshot, and its report says which dialogs were open."""
    report = yield
    fixtures = getattr(item, "funcargs", {})
    kept = fixtures.get("kept")
    page = kept.page if isinstance(kept, Kept) else fixtures.get("page")
    if report.failed and call.when != "teardown" and isinstance(page, Page):
        with suppress(Error):  # of a page that is gone
            report.sections += [("Dialog open in the page", d) for d in jupyter.open_dialogs(page)]
            jupyter.screenshot(page, "failed_" + re.sub(r"\W+", "_", item.name))
            report.sections += [("Broken widget", text) for text in jupyter.broken_widgets(page)]
        if isinstance(kept, Kept):
            kept.leave()
    return report


@contextmanager
def signed_in(server: jupyter.Server, chromium: Browser) -> Iterator[Page]:
    """A page signed in to the server; the kernels that came with it end with the block.

    The lab's hints for the first time were dismissed in its browser.
    """
    seen: StorageState = {"origins": [{"origin": server.url, "localStorage": [DISMISSED]}]}
    context = chromium.new_context(
        base_url=server.url,
        viewport=jupyter.VIEWPORT,
        reduced_motion="reduce",
        storage_state=seen,
    )
    context.set_default_timeout(PATIENCE)
    context.request.get(f"/login?token={server.token}", max_redirects=0)  # leaves its cookie
    key = {"Authorization": f"token {server.token}"}

    def sessions() -> set[str]:
        answer = context.request.get("/api/sessions", headers=key)
        return {session["id"] for session in answer.json()}

    others = sessions()
    try:
        yield context.new_page()
    finally:
        for session in sessions() - others:
            context.request.delete(f"/api/sessions/{session}", headers=key)
        context.close()


@pytest.fixture
def page(server: jupyter.Server, chromium: Browser) -> Iterator[Page]:
    """A page of this test's own."""
    with signed_in(server, chromium) as page:
        yield page


class Kept:
    """A page, a kernel and a folder for the tests of a module, one after the other.

    Kernel and folder are those of the modules before it, for a new kernel takes ten seconds to
    import all that a lab needs.
    """

    def __init__(self, server: jupyter.Server, chromium: Browser) -> None:
        self._browsing = lambda: signed_in(server, chromium)
        self._open: AbstractContextManager[Page] | None = None
        self._there: Page | None = None
        self.page: Page | None = None  # once this module has a notebook
        self.folder = server.root / "kept"

    def notebook(self, cells: Iterable[str]) -> Page:
        """The page with a notebook of these cells, which has run.

        After a test that failed, or that went elsewhere, page and kernel are new; otherwise the
        kernel has forgotten all but which modules it imported, and the page is loaded again for the
        first notebook of a module. Where the machine is very slow, Jupyter now and then loses a
        message between kernel and page, and a cell seems to run for ever or a widget to be broken:
        then it is tried once more, with a new page and kernel.
        """
        cells = list(cells)
        try:
            return self._run(cells)
        except (TimeoutError, Error) as error:
            print(f"The notebook did not come: {error}\nOnce more, with a new page and kernel.")
            self.leave()
            return self._run(cells)

    def _run(self, cells: Iterable[str]) -> Page:
        page, path = self._there, self.folder / "kept.ipynb"
        if page is not None and f"/lab/tree/{self.folder.name}/" not in page.url:
            self.leave()
            page = None
        if page is not None:
            jupyter.forget(page)
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.iterdir():  # the folder itself is where the kernel runs
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        jupyter.write_notebook(path, cells)
        if page is None:
            self._open = self._browsing()
            page = self._open.__enter__()
        page.set_viewport_size(jupyter.VIEWPORT)
        name = f"{self.folder.name}/{path.name}"
        if self.page:
            jupyter.open_again(page, name)
        else:
            self.page = self._there = page
            jupyter.open_notebook(page, name)
            jupyter.set_theme(page, jupyter.LIGHT)  # another module may have left it dark
        jupyter.run_all(page, timeout=120)
        jupyter.wait_for_widgets(page)
        return page

    def begin(self) -> None:
        """Let the next module begin, with the hints of the lab dismissed."""
        self.page = None
        if self._there is not None:
            mark = [DISMISSED["name"], DISMISSED["value"]]
            with suppress(Error):  # of a page that is gone
                self._there.evaluate("mark => localStorage.setItem(...mark)", mark)

    def leave(self) -> None:
        """Close the page and end its kernel, if there is one."""
        if self._open is not None:
            self._open.__exit__(None, None, None)
        self._open = self.page = self._there = None


@pytest.fixture(scope="package")
def _kept_by_all(server: jupyter.Server, chromium: Browser) -> Iterator[Kept]:
    kept = Kept(server, chromium)
    yield kept
    kept.leave()


@pytest.fixture(scope="module")
def kept(_kept_by_all: Kept) -> Kept:
    """What the tests of a module share; see `Kept.notebook`."""
    _kept_by_all.begin()
    return _kept_by_all
