"""The page on a real service: the order of the queue, the limits, filters, and text that clients choose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.simcampaign.service.page.browser import PATIENCE_MS, row, watched
from tests.simcampaign.service.server import Server, running
from tests.support import until

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page") / "home", "allow_commands = true") as server:
        yield server


def held(server: Server, *ids: str, **others: Any) -> None:
    for job_id in ids:
        server.shell("true", jobid=job_id, held=True, **others)


def order(page: Page) -> list[str]:
    return page.locator("table.queue tbody .c-id a").all_text_contents()


def test_a_priority_is_raised_by_a_button(page: Page, server: Server) -> None:
    held(server, "a", "b")
    page.goto("/#/queue")
    expect(row(page, "b")).to_be_visible()
    page.get_by_role("button", name="Raise the priority of job b").click()
    until(lambda: order(page) == ["b", "a"])
    assert server.job("b")["priority"] == 1
    page.get_by_role("button", name="Lower the priority of job b").click()
    until(lambda: order(page) == ["a", "b"])


def test_a_job_is_moved_in_the_queue_by_keys_and_keeps_the_focus(page: Page, server: Server) -> None:
    held(server, "a", "b", "c")
    page.goto("/#/queue")
    page.get_by_role("link", name="c", exact=True).focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#announcements")).to_have_text(re.compile("Job c: priority 1, place 1"))
    assert order(page) == ["c", "a", "b"]
    expect(page.get_by_role("link", name="c", exact=True)).to_be_focused()
    page.keyboard.press("Alt+ArrowDown")
    until(lambda: order(page)[0] == "a")
    page.keyboard.press("+")
    until(lambda: order(page)[0] == "c")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name="a", exact=True)).to_be_focused()


def test_a_job_is_dragged_to_another_place_and_its_priority_follows(page: Page, server: Server) -> None:
    held(server, "first", priority=5)
    held(server, "second", "third", priority=2)
    held(server, "last")
    page.goto("/#/queue")
    expect(row(page, "last")).to_be_visible()
    handle, target = row(page, "last").locator(".handle"), row(page, "second")
    start, end = handle.bounding_box(), target.bounding_box()
    assert start is not None
    assert end is not None
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(start["x"] + 5, end["y"] + 20, steps=4)
    page.mouse.move(start["x"] + 5, end["y"] + 4, steps=2)
    expect(page.locator(".drop-line")).to_be_visible()
    page.mouse.up()
    until(lambda: order(page) == ["first", "last", "second", "third"])
    assert server.job("last")["priority"] == 3


def test_limits_are_changed_and_a_wrong_one_is_refused_at_its_field(browser: Browser, server: Server) -> None:
    with watched(browser, str(server.http.base_url), refusals=True) as page:
        page.goto("/#/host")
        jobs = page.get_by_label("Jobs at a time")
        expect(jobs).to_have_value("2")
        expect(page.get_by_role("row", name="local local")).to_contain_text("usable")
        expect(page.locator(".spark-value").first).to_have_text(re.compile(r"\d+ %"))
        jobs.fill("0")
        page.get_by_role("button", name="Change limits").click()
        expect(jobs).to_have_accessible_description(re.compile("must be a whole number, 1 or more"))
        jobs.fill("3")
        page.get_by_role("button", name="Change limits").click()
        expect(page.locator(".toast").filter(has_text="The limits are changed")).to_be_visible()
        assert server.http.get("/pool/limits").json()["max_concurrent_jobs"] == 3
        server.http.put("/pool/limits", json={"max_concurrent_jobs": 2})
        expect(jobs).to_have_value("2")


def test_filters_are_in_the_address_and_counts_follow_them(page: Page, server: Server) -> None:
    held(server, "ann-1", "ann-2", user="ann")
    held(server, "bob-1", user="bob")
    page.get_by_label("User", exact=True).fill("ann")
    expect(row(page, "bob-1")).to_have_count(0)
    expect(page.get_by_role("button", name="2 All")).to_be_visible()
    page.get_by_role("button", name="2 queued").click()
    assert "user=ann" in page.url
    assert "status=queued" in page.url
    page.reload()
    expect(page.get_by_label("User", exact=True)).to_have_value("ann")
    expect(page.get_by_role("button", name="2 queued")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("table.jobs tbody tr")).to_have_count(2)
    page.get_by_label("Search").fill("nothing like it")
    expect(page.get_by_text("No job matches.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, "bob-1")).to_be_visible()


def test_what_clients_call_their_jobs_is_text_and_never_markup(page: Page, server: Server) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    job_id = server.submit(
        {
            "files": {"job.sh": f"echo '{evil}'; touch '{evil.replace('/', '')}'; exit 3"},
            "user": evil,
            "group": evil,
            "series": evil,
        }
    )
    server.shell("true", jobid="heir", user=evil, held=True)
    server.wait(job_id)
    expect(page.get_by_role("cell", name=evil).first).to_be_visible()
    page.goto(f"/#/jobs/{job_id}")
    expect(page.get_by_role("region", name="Log of job")).to_have_text(f"{evil}\n")
    expect(page.get_by_role("definition").filter(has_text=evil).first).to_be_visible()
    page.get_by_text("Config", exact=True).click()
    expect(page.get_by_role("region", name="Config")).to_contain_text("<script>alert(2)</script>")
    page.goto("/#/queue")
    expect(page.get_by_role("cell", name=evil).first).to_be_visible()
    assert dialogs == []
    assert page.locator("main img, main script").count() == 0


def test_an_address_of_a_job_that_is_not_there_says_so_and_is_text_too(browser: Browser, server: Server) -> None:
    with watched(browser, str(server.http.base_url), refusals=True) as page:
        page.goto("/#/jobs/%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
        expect(page.get_by_text("There is no such job.")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_have_text("Job <img src=x onerror=alert(1)>")
        assert page.locator("main img").count() == 0
