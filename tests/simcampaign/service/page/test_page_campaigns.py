"""Campaigns on the page: a real service, the real local site, a toy model."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.simcampaign.service.page.browser import PATIENCE_MS, watched
from tests.simcampaign.service.test_campaigns import Lab

expect.set_options(timeout=PATIENCE_MS)


def test_a_campaign_is_watched_in_its_map_by_keys_and_as_a_table_and_cancelled(
    browser: Browser, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    lab.server.start()
    try:
        campaign = lab.submit("ok exit3 hold", seeds="0-3", name="growth", parameters={"seeds_per_job": 1})
        with watched(browser, str(lab.server.http.base_url)) as page:
            page.get_by_role("link", name="Campaigns", exact=True).click()
            page.get_by_role("link", name="growth", exact=True).click()
            expect(page.get_by_role("list", name="Legend")).to_contain_text("failed4")
            expect(page.locator(".tiles")).to_contain_text("4 of 12 runs")
            canvas = page.get_by_role("application")
            canvas.focus()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("ArrowDown")
            page.keyboard.press("End")
            expect(page.locator(".reading")).to_have_text("exit3, seed 3: failed")
            page.keyboard.press("Enter")
            expect(page.locator("details.failure[open]")).to_contain_text("growth_exit3_0003")
            expect(page.locator("details.failure[open] pre")).to_contain_text("ERROR the toy broke")
            page.get_by_text("The same as a table").click()
            expect(page.get_by_role("row", name=re.compile("^exit3"))).to_contain_text("4")
            page.get_by_role("button", name="Cancel", exact=True).click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel the campaign").click()
            expect(page.locator(".job-state .state")).to_have_text("cancelled")
            assert lab.get(campaign)["status"] == "cancelled"
    finally:
        lab.end()
