"""The guide as a site: it builds without a network and without a warning, and holds every page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a warning fails it."""
    target = tmp_path_factory.mktemp("site") / "site"
    nowhere = {f"{name}_proxy": "http://127.0.0.1:1" for name in ("http", "https", "all")}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT,
        env={**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_is_in_the_site_and_in_its_navigation(site: Path) -> None:
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")}
    assert pages == {page.stem for page in site.glob("*.html")} - {"404"}
    linked = set(re.findall(r'href="(\w+)\.html"', (site / "tutorial.html").read_text(encoding="utf-8")))
    assert pages - {"index", "tutorial"} <= linked


def test_the_reference_of_the_python_api_is_written_from_its_docstrings(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "python.html").read_text(encoding="utf-8"))
    assert "Run one simulation: wait for it, copy all its outputs and its log" in text
    assert "retry_failed" in text


def test_files_outside_of_the_guide_that_pages_link_to_come_along(site: Path) -> None:
    compose = ROOT / "deployments" / "compose.yaml"
    assert (site / "files" / "deployments" / "compose.yaml").read_bytes() == compose.read_bytes()


def test_the_site_asks_nothing_of_other_hosts(site: Path) -> None:
    fetched = re.compile(
        r'<(?:script|img|iframe)[^>]+src="(https?:[^"]+)"|<link[^>]+rel="stylesheet"[^>]+href="(https?:[^"]+)"'
    )
    found = {match for page in site.glob("*.html") for match in fetched.findall(page.read_text(encoding="utf-8"))}
    assert found == set()
