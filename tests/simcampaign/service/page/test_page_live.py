"""The page on a real service: what happens is seen at once, and what a person does is done."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.simcampaign.service.page.browser import PATIENCE_MS, row, watched
from tests.simcampaign.service.server import Server, running
from tests.support import until

expect.set_options(timeout=PATIENCE_MS)

SETTINGS = """allow_commands = true
[applications.greet]
executable = "/bin/echo"
arguments = ["Hello {name}", "{times}"]
[applications.greet.fields]
name = {type = "text"}
times = {type = "integer", default = 1, at_least = 1, at_most = 9}
"""
LOOK_AWAY = """away => {
    Object.defineProperty(document, 'hidden', { value: away, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page") / "home", SETTINGS) as server:
        yield server


def gated(server: Server, gate: Path, script: str = "true", **others: Any) -> str:
    """Submit a job that goes on when a file is there, and wait until it runs."""
    job_id = server.shell(f"until [ -e '{gate}' ]; do sleep 0.01; done; {script}", **others)
    until(lambda: server.job(job_id)["status"] == "running")
    return job_id


def held(server: Server, *ids: str, **others: Any) -> None:
    for job_id in ids:
        server.shell("true", jobid=job_id, held=True, **others)


def test_a_job_that_is_submitted_in_a_form_is_watched_until_its_end_without_a_reload(
    page: Page, server: Server
) -> None:
    page.get_by_role("link", name="Submit", exact=True).click()
    page.get_by_label("name", exact=True).fill("Ada <b>")
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_text("This would be accepted.")).to_be_visible()
    expect(page.get_by_text("/bin/echo 'Hello Ada <b>' 1")).to_be_visible()
    assert server.http.get("/jobs").json() == []
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_role("status").filter(has_text="Submitted:").get_by_role("link").click()
    expect(page.get_by_role("group", name="State")).to_contain_text("completed")
    expect(page.get_by_role("region", name="Log of job")).to_have_text("Hello Ada <b> 1\n")


def test_what_is_wrong_is_said_at_the_field_that_is_wrong(browser: Browser, server: Server) -> None:
    with watched(browser, str(server.http.base_url), refusals=True) as page:
        page.goto("/#/submit")
        page.get_by_label("name", exact=True).fill("-x")
        page.get_by_label("times").fill("99")
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_label("times")).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_label("times")).to_have_accessible_description(re.compile("must be 9 or less"))
        expect(page.get_by_label("name", exact=True)).to_have_accessible_description(re.compile("must not start with"))
        expect(page.get_by_role("alert").filter(has_text="2 places")).to_be_focused()
        page.get_by_label("What").select_option("json")
        page.get_by_label("Config").fill('{"site": "nowhere"')
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_label("Config")).to_have_accessible_description(re.compile("is no JSON"))
        page.get_by_label("Config").fill('{"site": "nowhere"}')
        page.get_by_role("button", name="Check only").click()
        expect(page.get_by_label("Config")).to_have_accessible_description(re.compile("nowhere|site"))


def test_jobs_of_others_appear_change_and_end_in_the_list_by_themselves(
    page: Page, server: Server, tmp_path: Path
) -> None:
    expect(page.get_by_text("There are no jobs yet.")).to_be_visible()
    job_id = gated(server, tmp_path / "gate", jobid="theirs", user="bob")
    expect(row(page, job_id)).to_contain_text("running")
    expect(page.get_by_role("button", name="1 running")).to_be_visible()
    (tmp_path / "gate").touch()
    expect(row(page, job_id)).to_contain_text("completed")
    expect(page.get_by_role("button", name="0 running")).to_be_visible()
    expect(page.locator("#announcements")).to_have_text("job theirs completed")


def test_a_log_is_read_while_it_grows_and_stays_where_a_reader_scrolled(
    page: Page, server: Server, tmp_path: Path
) -> None:
    lines = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done"
    job_id = server.shell(f"{lines}; until [ -e '{tmp_path / 'gate'}' ]; do sleep 0.01; done; echo last")
    page.goto(f"/#/jobs/{job_id}")
    log = page.get_by_role("region", name=f"Log of job {job_id}")
    expect(log).to_contain_text("line 199\n")
    at_end = "log => log.scrollHeight - log.scrollTop - log.clientHeight < 24"
    until(lambda: log.evaluate(at_end))
    log.evaluate("log => { log.scrollTop = 0; }")
    expect(page.get_by_label("Follow")).not_to_be_checked()
    (tmp_path / "gate").touch()
    expect(log).to_contain_text("last\n")
    assert log.evaluate("log => log.scrollTop") == 0
    page.get_by_label("Follow").check()
    until(lambda: log.evaluate(at_end))


def test_a_running_job_is_cancelled_after_a_question_and_tried_again(
    page: Page, server: Server, tmp_path: Path
) -> None:
    job_id = gated(server, tmp_path / "gate", jobid="stopped")
    row(page, job_id).get_by_role("button", name=f"Cancel job {job_id}").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert server.job(job_id)["status"] == "running"
    row(page, job_id).get_by_role("button", name=f"Cancel job {job_id}").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
    expect(row(page, job_id)).to_contain_text("cancelled")
    (tmp_path / "gate").touch()
    page.get_by_role("button", name=f"Retry job {job_id}").click()
    expect(row(page, f"{job_id}-r1")).to_contain_text("completed")


def test_a_job_that_started_since_the_page_was_told_is_not_ended_without_a_question(
    page: Page, server: Server, tmp_path: Path
) -> None:
    job_id = server.shell(f"until [ -e '{tmp_path / 'gate'}' ]; do sleep 0.01; done", jobid="begun", held=True)
    expect(row(page, job_id)).to_contain_text("held")
    with page.expect_event("requestfailed", lambda request: "/events" in request.url):
        page.evaluate(LOOK_AWAY, True)
    server.http.post(f"/jobs/{job_id}/release", json={})
    until(lambda: server.job(job_id)["status"] == "running")
    expect(row(page, job_id)).to_contain_text("held")
    row(page, job_id).get_by_role("button", name=f"Cancel job {job_id}").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Job {job_id} is running")
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    assert server.job(job_id)["status"] == "running"
    (tmp_path / "gate").touch()


def test_a_job_is_held_released_given_a_priority_and_deleted_on_its_own_page(page: Page, server: Server) -> None:
    held(server, "one")
    page.goto("/#/jobs/one")
    state = page.get_by_role("group", name="State")
    expect(state).to_contain_text("held")
    page.get_by_label("Priority").fill("7")
    page.get_by_role("button", name="Set").click()
    until(lambda: server.job("one")["priority"] == 7)
    page.get_by_role("button", name="Release").click()
    expect(state).to_contain_text("completed")
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete it").click()
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    assert server.http.get("/jobs/one").status_code == 404


def test_after_a_kill_and_a_restart_the_page_says_so_and_catches_up(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "home", "allow_commands = true") as server:
        url = str(server.http.base_url)
        job_id = gated(server, tmp_path / "gate")
        with watched(browser, url, refusals=True) as page:
            expect(row(page, job_id)).to_contain_text("running")
            stream = page.locator(".stream")
            expect(stream).to_have_text("Live")
            server.stop(signal.SIGKILL)
            expect(stream).to_have_text("Reconnecting…")
            (tmp_path / "gate").touch()
            server.options = ("--port", url.rpartition(":")[2].strip("/"))
            server.start()
            expect(stream).to_have_text("Live")
            expect(row(page, job_id)).to_contain_text("completed")
            later = server.shell("true", jobid="later")
            expect(row(page, later)).to_contain_text("completed")


def test_a_page_that_nobody_looks_at_lets_its_connections_go_and_catches_up_later(
    page: Page, server: Server, tmp_path: Path
) -> None:
    job_id = gated(server, tmp_path / "gate")
    page.goto(f"/#/jobs/{job_id}")
    expect(page.get_by_role("group", name="State")).to_contain_text("running")
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url.partition("?")[0].rpartition("/")[2]))
    page.evaluate(LOOK_AWAY, True)
    until(lambda: page.evaluate("1") and ended.count("events") == 2)
    (tmp_path / "gate").touch()
    server.wait(job_id)
    expect(page.get_by_role("group", name="State")).to_contain_text("running")
    page.evaluate(LOOK_AWAY, False)
    expect(page.get_by_role("group", name="State")).to_contain_text("completed")
