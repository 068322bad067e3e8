"""One browser for the tests of a module, and one page for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.simcampaign.service.page.browser import launched, watched
from tests.simcampaign.service.server import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """The job manager that a module calls ``shared``; no job is left in it after a test."""
    yield shared
    shared.clear()
    for job in shared.http.get("/jobs").json():
        shared.http.delete(f"/jobs/{job['id']}")


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with watched(browser, str(server.http.base_url)) as page:
        yield page
