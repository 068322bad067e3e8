"""A headless Chromium, and pages in it that are watched for errors and for requests to elsewhere."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 60_000
REFUSED = "Failed to load resource"
"""What a browser writes for each answer that is no success, however well the page takes it."""


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Run a Chromium of this machine, with a profile of its own."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def watched(browser: Browser, url: str, *, refusals: bool = False, **options: Any) -> Iterator[Page]:
    """Open the page of a service; at the end, nothing was asked of another host and nothing went wrong in scripts.

    ``refusals`` allows answers that are no success.
    """
    options = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", **options}
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    hosts: set[str] = set()

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (refusals and message.text.startswith(REFUSED)):
            errors.append(f"{message.text} ({message.location.get('url')})")

    def asked(request: Request) -> None:
        if urlsplit(request.url).scheme not in {"data", "blob"}:
            hosts.add(urlsplit(request.url).netloc)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", asked)
    try:
        page.goto("/")
        yield page
        assert not errors, errors
        assert hosts == {urlsplit(url).netloc}, hosts
    finally:
        context.close()


def row(page: Page, job_id: str) -> Locator:
    """Return the row of a job in the list that is shown."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=job_id, exact=True))
