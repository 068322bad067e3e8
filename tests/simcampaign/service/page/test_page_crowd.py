"""The page on a ledger of a hundred thousand jobs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.simcampaign.service.page.browser import PATIENCE_MS
from tests.simcampaign.service.page.crowd import fill
from tests.simcampaign.service.server import Server, running

expect.set_options(timeout=PATIENCE_MS)
JOBS, WAITING = 100_000, 2_000

WATCH = """() => {
  window.longest = 0; window.blocked = 0; window.frames = [];
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      window.longest = Math.max(window.longest, duration);
      window.blocked += duration;
    }
  }).observe({ entryTypes: ["longtask"] });
  let before = performance.now();
  const frame = (now) => { window.frames.push(now - before); before = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""
SEEN = """() => {
  const frames = window.frames.slice(5).sort((one, other) => one - other);
  const at = (share) => frames[Math.floor(frames.length * share)];
  return { frames: frames.length, median_ms: at(0.5), p99_ms: at(0.99), longest_task_ms: window.longest,
           blocked_ms: window.blocked, nodes: document.querySelectorAll("*").length };
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("crowd") / "home"
    home.mkdir()
    fill(home / "ledger.sqlite", JOBS, WAITING)
    with running(home, "allow_commands = true") as server:
        yield server


@pytest.fixture
def report() -> Callable[[str, object], None]:
    """Return what shows figures where tests run with ``-s``; they depend on the machine, so none is asserted."""

    def show(what: str, figures: object) -> None:
        sys.stdout.write(f"\n{what}: {figures}\n")

    return show


def first(page: Page, table: str = "jobs") -> str:
    return page.locator(f"table.{table} tbody .c-id a").first.inner_text()


def test_a_hundred_thousand_jobs_are_paged_sorted_and_filtered_in_few_elements(
    page: Page, report: Callable[[str, object], None]
) -> None:
    page.evaluate(WATCH)
    expect(page.get_by_role("button", name="100,000 All")).to_be_visible()
    expect(page.get_by_text("1–50 of 100,000")).to_be_visible()
    assert first(page) == "crowd-099999"
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51–100 of 100,000")).to_be_visible()
    assert first(page) == "crowd-099949"
    page.keyboard.press("]")
    expect(page.get_by_text("101–150 of 100,000")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("51–100 of 100,000")).to_be_visible()
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("1–50 of 100,000")).to_be_visible()
    page.get_by_role("button", name="Job", exact=True).click()
    expect(page.get_by_role("columnheader", name="Job")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Job", exact=True).click()
    expect(page.locator("table.jobs tbody .c-id a").first).to_have_text("crowd-000000")
    page.get_by_label("Search").fill("CROWD-0123")
    expect(page.get_by_text("1–50 of 100", exact=True)).to_be_visible()
    page.get_by_role("button", name=re.compile(r"\d+ failed")).click()
    expect(page.locator("table.jobs tbody tr").first).to_contain_text("failed")
    seen = page.evaluate(SEEN)
    report("list of 100,000 jobs", seen)
    assert seen["nodes"] < 2_500


def test_jobs_that_come_while_one_reads_wait_behind_a_button(page: Page, server: Server) -> None:
    expect(page.get_by_text("1–50 of")).to_be_visible()
    page.locator("table.jobs tbody tr").nth(3).hover()
    before = first(page)
    new = server.shell("true", jobid="newcomer")
    button = page.get_by_role("button", name="Show 1 newer job")
    expect(button).to_be_visible()
    assert first(page) == before
    button.click()
    expect(page.get_by_role("link", name=new, exact=True)).to_be_visible()


def test_a_burst_of_events_leaves_the_page_at_work(
    page: Page, server: Server, report: Callable[[str, object], None]
) -> None:
    expect(page.get_by_text("1–50 of")).to_be_visible()
    page.evaluate(WATCH)
    ids = [server.shell("true", group="burst") for _ in range(100)]
    server.wait(*ids)
    page.get_by_label("Group", exact=True).fill("burst")
    expect(page.get_by_role("button", name="100 completed")).to_be_visible()
    seen = page.evaluate(SEEN)
    report("burst of 100 jobs", seen)


def test_a_long_queue_is_paged_in_its_order(page: Page) -> None:
    page.goto("/#/queue")
    expect(page.get_by_text("2,000 jobs wait, 2,000 held")).to_be_visible()
    assert first(page, "queue") == "crowd-098000"
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("51–100 of 2,000")).to_be_visible()
    assert page.locator("table.queue tbody .c-position").first.inner_text() == "51"
