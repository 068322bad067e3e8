"""Making one HTML file of a page: style, script and data are inside; only pictures and links lead out, relatively."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from simcampaign.errors import shorten
from simcampaign.jobs import JobState
from simcampaign.report.page import Page, Usage
from simcampaign.runs import RunState
from simcampaign.series import Condition, run_stem
from simcampaign.summary import counted

FAILURES_SHOWN = 50
"""More failed jobs than this are counted by cause, and their logs are left in their folder."""

CONDITIONS_SHOWN = 1000
"""Rows of the table of conditions; the map and its filter have all of them."""

ARRAYS_SHOWN = 200
_FAILURES_OPEN = 5
_RUNS_SHOWN = 8
_LOG_LINES = 30
_LOG_WIDTH = 400

GLYPHS = {
    RunState.DONE: "✓",
    RunState.IN_FLIGHT: "▸",
    RunState.FAILED: "✕",
    RunState.INCOMPLETE: "◐",
    RunState.MISSING: "·",
    RunState.STALE: "↻",
    RunState.UNLISTED: "?",
    RunState.WAITING: "…",
}
"""A sign per state, in the order of the legend, so that no state is told by its colour alone."""

MEANINGS = {
    RunState.DONE: "every file is there",
    RunState.IN_FLIGHT: "a job holds it",
    RunState.FAILED: "its last job failed",
    RunState.INCOMPLETE: "some files are there",
    RunState.MISSING: "no file is there",
    RunState.STALE: "made from an older input",
    RunState.UNLISTED: "finished, not yet in the manifest",
    RunState.WAITING: "needs files of another series",
}


def render_page(page: Page) -> str:
    """Return the page as one HTML file that needs no network.

    Whatever comes from outside - keys, variables, messages, log lines, file names - is escaped; besides, the page's own
    policy lets no script run but its own.
    """
    parts = files("simcampaign.report")
    script = (parts / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        page=page,
        counts=page.counts,
        headline=headline(page),
        glyphs=GLYPHS,
        meanings=MEANINGS,
        css_name={state: state.label.replace(" ", "-") for state in RunState},
        facts=list(_facts(page.usage)),
        failures=[_failure(page, index) for index in range(min(len(page.failures), FAILURES_SHOWN))],
        failures_open=_FAILURES_OPEN,
        causes=_causes(page),
        rows=list(_rows(page)),
        arrays=page.arrays[:ARRAYS_SHOWN],
        job_states=[state.value for state in JobState],
        data=pack_data(page),
        style=(parts / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_digest=digest,
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(link=relative_link, number=lambda value: f"{value:,}", counted=counted)
    source = (files("simcampaign.report") / "page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)


def relative_link(path: str) -> str:
    """Return ``path`` as a link relative to the page; no scheme gets through, as its colon is quoted."""
    return f"./{quote(path.lstrip('/'), safe='/')}"


def headline(page: Page) -> str:
    """Say in one sentence how the campaign stands."""
    counts = page.counts
    total, done = page.codes.size, counts[RunState.DONE]
    if done == total:
        return f"All {counted(total, 'run')} are done." if total != 1 else "The one run is done."
    order = (
        RunState.FAILED,
        RunState.IN_FLIGHT,
        RunState.INCOMPLETE,
        RunState.MISSING,
        RunState.STALE,
        RunState.UNLISTED,
        RunState.WAITING,
    )
    others = [f"{counts[state]:,} {state.label}" for state in order if counts[state]]
    return f"{done:,} of {counted(total, 'run')} {'is' if done == 1 else 'are'} done; {', '.join(others)}."


def pack_data(page: Page) -> str:
    """Return what the map needs as base64 of zlib: a line of JSON, then a byte per run.

    A million runs in five states at random take about half a megabyte.
    """
    name = page.summary.name
    index = {
        "stems": [run_stem(name, str(condition["key"])) for condition in page.conditions],
        "keys": [str(condition["key"]) for condition in page.conditions],
        "variables": [describe(condition) for condition in page.conditions],
        "seeds": list(page.seeds),
        "states": [{"label": state.label, "glyph": GLYPHS[state]} for state in RunState],
    }
    raw = json.dumps(index, ensure_ascii=True).encode() + b"\n" + np.ascontiguousarray(page.codes, np.uint8).tobytes()
    return base64.b64encode(zlib.compress(raw, 9)).decode()


def describe(condition: Condition) -> str:
    """Return a condition's variables on one line: ``nutrient = 1.0, drug_dose = 3.0``."""
    return shorten(", ".join(f"{name} = {value}" for name, value in condition.items() if name != "key"), 300)


def _facts(usage: Usage) -> Iterator[tuple[str, str, str]]:
    """Yield label, value and remark of what is known."""
    if usage.seconds_median is not None:
        spread = ""
        if usage.seconds_min is not None and usage.seconds_max is not None:
            spread = f"from {duration(usage.seconds_min)} to {duration(usage.seconds_max)}"
        yield "Time per run", duration(usage.seconds_median), spread or "median"
    for label, hours, cost in (
        ("Used", usage.core_hours_used, usage.cost_used),
        ("Left to do", usage.core_hours_left, usage.cost_left),
    ):
        price = "" if cost is None else f"{cost:,.2f} {usage.currency}".strip()
        if hours is not None:
            yield label, f"{core_hours(hours)} core-hours", price or ("estimated" if label != "Used" else "")
        elif price:
            yield label, price, ""


def core_hours(hours: float) -> str:
    """Write hours with three figures, and without decimals from a hundred on."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def duration(seconds: float) -> str:
    """Write seconds as ``0.93 s``, ``12.5 s``, ``3 min 20 s`` or ``5 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 59.95 else "1 min 00 s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def _failure(page: Page, index: int) -> dict[str, Any]:
    failure = page.failures[index]
    lines = failure.log_tail.rstrip().splitlines()[-_LOG_LINES:]
    hidden = len(failure.run_keys) - _RUNS_SHOWN
    return {
        "title": ", ".join(failure.run_keys[:_RUNS_SHOWN]) + (f" and {hidden:,} more" if hidden > 0 else ""),
        "runs": " ".join(failure.run_keys[:1000]),
        "cause": failure.cause.replace("_", " "),
        "exit_code": failure.exit_code,
        "message": shorten(failure.message, 2000),
        "tail": "\n".join(shorten(line, _LOG_WIDTH) for line in lines),
        "rerun": failure.rerun,
        "log": failure.log,
    }


def _causes(page: Page) -> list[tuple[str, int]]:
    return Counter(failure.cause.replace("_", " ") for failure in page.failures).most_common()


def _rows(page: Page) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of conditions: key, variables, a cell per extension, runs per state."""
    columns = range(len(page.summary.extensions))
    for row, condition in enumerate(page.conditions[:CONDITIONS_SHOWN]):
        numbers = np.bincount(page.codes[row], minlength=len(RunState))
        yield {
            "key": str(condition["key"]),
            "variables": describe(condition),
            "cells": [page.summary.cell(row, column) for column in columns],
            "states": {state: int(numbers[state]) for state in RunState},
        }
