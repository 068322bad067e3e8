"""The parameter forms of all deployments, in the pages of a real Prefect server, in a headless browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Page, expect, sync_playwright

from tests.flows.prefect_parts import ROOT, deploy_all, make_pool

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]
CHROMIUM = shutil.which("chromium")
SLOW = 60_000
"""Milliseconds: a page is rendered in one, on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def deployed(prefect_api: Any, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """All declared deployments."""
    folder = tmp_path_factory.mktemp("deployed")

    environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": prefect_api.url}
    make_pool(prefect_api.url)
    deploy_all(SimpleNamespace(root=folder, environment=environment), ROOT / "deployments/prefect.yaml")
    found: list[dict[str, Any]] = prefect_api.post("deployments/filter")
    return found


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """Open one page of a browser."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 2400})
        page.set_default_timeout(SLOW)
        yield page
        browser.close()


def open_form(page: Page, server: Any, deployment: dict[str, Any]) -> None:
    page.goto(f"{server.url}/v2/deployments/deployment/{deployment['id']}/run")
    expect(
        page.get_by_text("What is simulated").or_(page.get_by_text("The runs that the summary counts"))
    ).to_be_visible(timeout=SLOW)


def keep(page: Page, name: str) -> None:
    """Keep a picture where SIMCAMPAIGN_PICTURES says, to be looked at."""
    if folder := os.environ.get("SIMCAMPAIGN_PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def test_the_form_of_every_deployment_renders_with_help_and_without_an_error(
    page: Page, prefect_server: Any, deployed: list[dict[str, Any]]
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    declared = yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]
    assert len(deployed) == len(declared) > 0
    for deployment in deployed:
        open_form(page, prefect_server, deployment)
        flow = deployment["entrypoint"].split(".")[1]
        keep(page, flow)
        text = page.locator("main").inner_text()
        for words in ("Name of the series", "address that holds the", deployment["parameters"]["series"]["name"]):
            assert words in text, (flow, words)
        assert "rror" not in text.replace("Terror", ""), flow
    assert errors == []


@pytest.mark.parametrize(
    ("field", "wrong", "message"),
    [
        ("Name", "a/b", "a name of letters, digits and . _ + = , @ - that does not start with a dot"),
        ("Working Location", "s3://bucket", "a directory of this machine; for s3:// use a context of the kind batch"),
    ],
)
def test_a_wrong_value_is_refused_in_the_form_in_our_words(
    page: Page, prefect_server: Any, deployed: list[dict[str, Any]], field: str, wrong: str, message: str
) -> None:
    [local] = [each for each in deployed if "run_local" in each["entrypoint"]]
    runs = len(prefect_server.api.flow_runs(local))
    open_form(page, prefect_server, local)
    page.get_by_label(field, exact=True).first.fill(wrong)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text(message).first).to_be_visible(timeout=SLOW)
    keep(page, f"refused-{field.split(maxsplit=1)[0].lower()}")
    assert len(prefect_server.api.flow_runs(local)) == runs


def test_what_a_form_lets_pass_is_held_against_the_same_rules_by_the_server(
    prefect_server: Any, deployed: list[dict[str, Any]]
) -> None:
    [local] = [each for each in deployed if "run_local" in each["entrypoint"]]
    parameters = {**local["parameters"], "context": {**local["parameters"]["context"], "slots": 0}}
    answer = httpx.post(
        f"{prefect_server.api.url}/deployments/{local['id']}/create_flow_run",
        json={"parameters": parameters},
        timeout=60,
    )
    assert answer.status_code == 409
    assert "slots" in answer.text
