"""One JupyterLab server and one Chromium for the browser tests; a page and a folder for each."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, expect

from tests.browser import jupyter

PATIENCE = 60e3  # ms; on a machine that others keep busy a figure is saved in half a minute
expect.set_options(timeout=PATIENCE)


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
    """A folder of this test's own in the root: `open_notebook(page, f"{folder.name}/….ipynb")`."""
    path = server.root / re.sub(r"\W+", "_", request.node.name)
    path.mkdir()
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that failed leaves a screenshot, and its report says which dialogs were open."""
    report = yield
    page = item.funcargs.get("page")
    if report.failed and call.when != "teardown" and isinstance(page, Page):
        with suppress(Error):  # of a page that is gone
            report.sections += [("Dialog open in the page", d) for d in jupyter.open_dialogs(page)]
            jupyter.screenshot(page, "failed_" + re.sub(r"\W+", "_", item.name))
    return report


@pytest.fixture
def page(server: jupyter.Server, chromium: Browser) -> Iterator[Page]:
    """A page signed in to the server; its kernel is ended with the test."""
    context = chromium.new_context(
        base_url=server.url, viewport={"width": 1400, "height": 1000}, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    context.request.get(f"/login?token={server.token}", max_redirects=0)  # leaves its cookie
    page = context.new_page()
    yield page
    key = {"Authorization": f"token {server.token}"}
    for session in context.request.get("/api/sessions", headers=key).json():
        context.request.delete(f"/api/sessions/{session['id']}", headers=key)
    context.close()
