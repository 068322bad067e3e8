"""The page for everybody: keys alone, screen readers, light and dark, and small screens."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.simcampaign.service.page.browser import PATIENCE_MS, watched
from tests.simcampaign.service.server import Server, running

expect.set_options(timeout=PATIENCE_MS)

VIEWS = {
    "#/jobs": "Jobs",
    "#/jobs?status=lost": "Jobs",
    "#/jobs/failed": "Job failed",
    "#/queue": "Queue",
    "#/host": "Host",
    "#/submit": "Submit a job",
}
AXE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("access") / "home", "allow_commands = true") as server:
        server.wait(server.shell("echo nothing works; exit 3", jobid="failed", user="a-user-with-a-rather-long-name"))
        server.wait(server.shell("true", jobid="done"))
        server.shell("true", jobid="waits", held=True)
        server.shell("true", jobid="x" * 90, held=True, group="y" * 110)
        yield server
        server.clear()


def settled(page: Page, view: str) -> None:
    page.goto(f"/{view}")
    expect(page.get_by_role("heading", level=1)).to_have_text(VIEWS[view])
    expect(page.locator("main :is(table tbody tr, .facts dd, .empty, form input)").first).to_be_visible()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the source of axe-core, which checks pages for accessibility."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    packed = npm and subprocess.run([npm, "pack", AXE], cwd=folder, capture_output=True, timeout=120, check=False)
    archive = next(folder.glob("*.tgz"), None)
    if not packed or archive is None:
        pytest.skip(f"{AXE} cannot be had from npm")
    shutil.unpack_archive(archive, folder, filter="data")
    return (folder / "package" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_any_view(browser: Browser, server: Server, axe: str, scheme: Any) -> None:
    with watched(browser, str(server.http.base_url), color_scheme=scheme) as page:
        for view in VIEWS:
            settled(page, view)
            page.evaluate(axe)
            found = page.evaluate(
                "axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
            )
            faults = {each["id"]: [node["html"][:200] for node in each["nodes"]] for each in found["violations"]}
            assert faults == {}, view


@pytest.mark.parametrize("view", list(VIEWS))
def test_no_view_is_wider_than_a_small_phone(browser: Browser, server: Server, view: str) -> None:
    small = {"width": 380, "height": 780}
    with watched(browser, str(server.http.base_url), viewport=small) as page:
        settled(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        wide = page.evaluate(
            """() => [...document.querySelectorAll("main *, header *")].filter((each) => {
                const { right, width } = each.getBoundingClientRect();
                return width && right > innerWidth + 1 && !each.closest(".scroll, .unseen, pre, table");
            }).map((each) => each.outerHTML.slice(0, 100))"""
        )
        assert wide == []


def test_the_theme_is_that_of_the_system_until_a_person_chooses_one(browser: Browser, server: Server) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with watched(browser, str(server.http.base_url), color_scheme="dark") as page:
        dark = page.evaluate(background)
        page.emulate_media(color_scheme="light")
        light = page.evaluate(background)
        assert dark != light
        switch = page.get_by_role("button", name="Theme")
        switch.click()
        expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
        switch.click()
        expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert page.evaluate(background) == dark
        page.reload()
        expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
        assert page.evaluate(background) == dark


def test_a_person_with_a_keyboard_alone_finds_a_job_and_releases_it(page: Page, server: Server) -> None:
    job_id = server.shell("true", jobid="by-keys", held=True)
    expect(page.get_by_role("link", name=job_id)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.keyboard.press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type(job_id)
    expect(page.locator("table.jobs tbody tr")).to_have_count(1)
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('tbody') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.textContent") != "Release":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="State")).to_contain_text("completed")
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.get_by_role("heading", level=1)).to_have_text("Queue")


def test_the_list_of_shortcuts_opens_with_a_question_mark_and_turns_single_letters_off(page: Page) -> None:
    expect(page.get_by_role("link", name="done")).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("Go to Queue")
    dialog.get_by_label("Single letters are shortcuts").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    expect(page.get_by_role("heading", name="Jobs", level=1, include_hidden=True)).to_have_count(1)


def test_every_state_has_a_shape_and_a_label_beside_its_colour(page: Page) -> None:
    expect(page.get_by_role("link", name="failed", exact=True)).to_be_visible()
    shapes = page.evaluate(
        "[...document.querySelectorAll('.count-button svg')].map((each) => each.innerHTML)",
    )
    assert len(set(shapes)) == 7
    for cell in page.locator("table.jobs tbody .c-state").all_inner_texts():
        assert re.fullmatch(r"queued|held|running|completed|failed", cell.strip())


def test_files_of_the_page_are_asked_for_once_and_then_only_whether_they_are_new(server: Server) -> None:
    first = server.http.get("/page/main.js")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    again = server.http.get("/page/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("/page/nothing.js", "/page/__init__.py", "/page/..%2Fapp.py", "/page/"):
        assert server.http.get(path).status_code == 404, path


def test_the_page_has_neither_scripts_nor_styles_inside(server: Server) -> None:
    answer = server.http.get("/")
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    assert not re.search(r"<script>|<style|\son\w+=|style=", answer.text)
    folder = Path(__file__).parents[4] / "simcampaign" / "service" / "page"
    for file in folder.glob("*.js"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org)", text
        ), file
        assert len(text.splitlines()) < 400, file
