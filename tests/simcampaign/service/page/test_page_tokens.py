"""The page of a service that wants tokens: who may do what, and what they see of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from simcampaign.service.security.access import digest
from tests.simcampaign.service.page.browser import PATIENCE_MS, watched
from tests.simcampaign.service.server import Server, running

expect.set_options(timeout=PATIENCE_MS)

TOKENS = {"vera": ("viewer", "v" * 24), "sam": ("submitter", "s" * 24), "root": ("admin", "r" * 24)}
USERS = "\n".join(
    f'[users.{name}]\ntoken_sha256 = "{digest(token)}"\nrole = "{role}"' for name, (role, token) in TOKENS.items()
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("tokens") / "home", f"allow_commands = true\n{USERS}") as server:
        server.http.headers["authorization"] = f"Bearer {TOKENS['root'][1]}"
        for job_id, user in (("of-sam", "sam"), ("of-root", "root")):
            server.shell("true", jobid=job_id, user=user, held=True)
        server.wait(server.shell("exit 1", jobid="failed", user="root"))
        yield server
        server.clear()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with watched(browser, str(server.http.base_url), refusals=True) as page:
        yield page


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Token").fill(TOKENS[name][1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".user")).to_have_text(name)
    expect(page.locator(".role")).to_have_text(TOKENS[name][0])


def test_without_a_token_the_page_asks_for_one_and_shows_nothing_else(page: Page) -> None:
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_label("Token")).to_be_focused()
    expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
    assert "of-sam" not in page.content()
    page.get_by_label("Token").fill("wrong-token-of-nobody-here")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("this token is not known")
    page.get_by_label("Token").fill("ünsinn")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("ASCII")


def test_a_viewer_sees_everything_and_finds_nothing_to_change(page: Page) -> None:
    sign_in(page, "vera")
    expect(page.get_by_role("link", name="of-sam")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^(Cancel|Retry) job"))).to_have_count(0)
    expect(page.get_by_role("link", name="Submit", exact=True)).to_have_count(0)
    page.goto("/#/queue")
    expect(page.get_by_role("link", name="of-sam")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("priority"))).to_have_count(0)
    page.goto("/#/host")
    expect(page.get_by_label("Jobs at a time")).to_be_disabled()
    page.goto("/#/jobs/of-sam")
    expect(page.get_by_role("group", name="State")).to_contain_text("held")
    expect(page.get_by_role("button", name="Release")).to_have_count(0)
    page.goto("/#/submit")
    expect(page.get_by_text("You may look, and not submit.")).to_be_visible()


def test_a_submitter_changes_jobs_of_its_own_only(page: Page, server: Server) -> None:
    sign_in(page, "sam")
    page.goto("/#/queue")
    expect(page.get_by_role("button", name="Raise the priority of job of-sam")).to_be_visible()
    expect(page.get_by_role("button", name="Raise the priority of job of-root")).to_have_count(0)
    page.get_by_role("button", name="Raise the priority of job of-sam").click()
    expect(page.locator("table.queue output").first).to_have_text("1")
    page.goto("/#/jobs/failed")
    expect(page.get_by_role("group", name="State")).to_contain_text("failed")
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)


def test_the_token_is_kept_in_the_tab_only_until_one_signs_out(page: Page) -> None:
    sign_in(page, "root")
    page.reload()
    expect(page.locator(".user")).to_have_text("root")
    assert page.evaluate("Object.values(localStorage).join()").find(TOKENS["root"][1]) < 0
    assert TOKENS["root"][1] not in page.url
    assert page.context.cookies() == []
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    sign_in(page, "vera")
