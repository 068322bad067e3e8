"""The page of a series: gathered from its plan, its manifest and the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from statistics import median

import numpy as np
import polars as pl

from simcampaign.costs import Estimate
from simcampaign.engine.campaign import SeriesRecord
from simcampaign.jobs import RunRange
from simcampaign.layout import Layout
from simcampaign.ledger import Failure
from simcampaign.plan import Plan
from simcampaign.report import page as pages
from simcampaign.report.render import render_page
from simcampaign.runs import RunState
from simcampaign.series import run_key
from simcampaign.summary import render_text, summarise

SHOWN_FAILURES = 50
"""Failures on the page."""

SEARCHED_FAILURES = 10_000
"""Failed jobs, newest first, among which those of runs that are failed now are looked for."""

SAID_FAILURES = 3
"""Failures said in words at the end of a campaign run."""

TAIL_LINES = 8
"""Log lines shown of a failure."""

_PICTURES = {".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp"}


def save_summary(record: SeriesRecord, page: pages.Page) -> None:
    """Save the summary as text and as a page in the dated location."""
    counts = [f"{count:>9,} {state.label}" for state, count in page.counts.items() if count]
    text = "\n".join([render_text(page.summary), *counts, say_failures(page.failures)])
    record.working.write(record.layout.summary_text, f"{text.rstrip()}\n".encode())
    record.working.write(record.layout.summary_page, render_page(page).encode())


def build_page(
    record: SeriesRecord, plan: Plan, manifest: pl.DataFrame, left: Estimate, command: str = ""
) -> pages.Page:
    """Gather what the page of a series shows.

    ``left`` is the estimate of what is to do; ``command`` is what a person types to run the series, empty if unknown.
    """
    layout = record.layout
    return pages.Page(
        summary=summarise(manifest, record.series),
        conditions=record.series.conditions,
        seeds=record.series.seeds,
        codes=plan.codes,
        location=record.working.url(layout.root),
        made=datetime.now(UTC),
        usage=_usage(record, plan, left),
        failures=[_shown(record, *current, command) for current in current_failures(record, plan)],
        arrays=_arrays(record),
        pictures=_pictures(record),
        links={
            label: _link(record, key)
            for label, key in {"logs": f"{layout.root}/logs", "outputs": layout.outputs, "plan": layout.plan}.items()
            if record.working.is_local and record.working.path(key).exists()
        },
        skipped=plan.skipped,
        next_command="" if plan.complete else command,
    )


def _usage(record: SeriesRecord, plan: Plan, left: Estimate) -> pages.Usage:
    seconds = record.ledger.run_seconds(record.id)
    used = record.ledger.usage(record.id)
    return pages.Usage(
        seconds_median=median(seconds) if seconds else None,
        seconds_min=min(seconds, default=None),
        seconds_max=max(seconds, default=None),
        core_hours_used=used.core_seconds / 3600 if used.jobs else None,
        core_hours_left=left.core_hours if plan.runs_to_do else None,
        cost_used=used.cost or None,
        cost_left=left.cost or None,
    )


def _arrays(record: SeriesRecord) -> list[pages.ArrayLine]:
    arrays = record.ledger.arrays(record.id)
    counts = record.ledger.job_counts(array.id for array in arrays)
    return [
        pages.ArrayLine(
            name=array.name,
            group=array.group,
            site=array.site,
            jobs=array.size,
            states={state.value: count for state, count in counts[array.id].items()},
        )
        for array in arrays
        if array.remote_id
    ]


def _pictures(record: SeriesRecord) -> list[pages.Picture]:
    found = []
    for keys in record.working.list(f"{record.layout.pictures}/"):
        for key in sorted(keys):
            path = PurePosixPath(key)
            if path.suffix.lower() in _PICTURES:
                text = record.working.read_if_there(str(path.with_suffix(".txt")))
                alt = text.decode(errors="replace").strip() if text else path.stem
                found.append(pages.Picture(_link(record, key), alt))
    return found


def _link(record: SeriesRecord, key: str) -> str:
    """Return a link to ``key`` from the page, which lies in the dated location."""
    root = PurePosixPath(record.layout.root)
    path = PurePosixPath(key)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    return str(PurePosixPath("..", *path.parts[1:]))


def current_failures(record: SeriesRecord, plan: Plan, most: int = SHOWN_FAILURES) -> list[tuple[Failure, list[str]]]:
    """Return the newest failures, each with the keys of its runs that are failed now; the rest is history."""
    rows, columns = np.nonzero(plan.codes == RunState.FAILED)
    keys = record.condition_keys
    positions = zip(rows.tolist(), columns.tolist(), strict=True)
    failed = {(keys[row], record.series.seeds[column]) for row, column in positions}
    current = []
    for failure in record.ledger.failures(record.id, limit=SEARCHED_FAILURES) if failed else ():
        runs = [(each.condition_key, seed) for each in failure.ranges for seed in _seeds(each)]
        now = [run for run in runs if run in failed]
        if now:
            current.append((failure, [run_key(record.series.name, *run) for run in now]))
            failed.difference_update(now)
        if not failed or len(current) == most:
            break
    return current


def _seeds(each: RunRange) -> range:
    return range(each.start_seed, each.end_seed + 1)


def log_key(record: SeriesRecord, failure: Failure) -> str:
    """Return where the log of a failed job is, or would be."""
    return Layout(record.series.name, failure.date).log(failure.job_id)


def log_tail(record: SeriesRecord, failure: Failure) -> str | None:
    """Return the last lines of the log of a failed job; None if it was not saved."""
    data = record.working.read_if_there(log_key(record, failure))
    return None if data is None else "\n".join(data.decode(errors="replace").splitlines()[-TAIL_LINES:])


def _shown(record: SeriesRecord, failure: Failure, keys: Sequence[str], command: str) -> pages.Failure:
    tail = log_tail(record, failure)
    return pages.Failure(
        run_keys=keys,
        cause=failure.cause.value if failure.cause else failure.state.value,
        exit_code=failure.exit_code,
        message=failure.message,
        log_tail=tail or "",
        rerun=f"{command} --only {keys[0]}" if command and keys else "",
        log="" if tail is None else _link(record, log_key(record, failure)),
    )


def say_failures(failures: Sequence[pages.Failure]) -> str:
    """Write the first failures: key, cause, last log lines, and the command that runs it again alone."""
    lines: list[str] = []
    for failure in failures[:SAID_FAILURES]:
        code = "" if failure.exit_code is None else f", exit code {failure.exit_code}"
        runs = failure.run_keys[0] + (
            f" (and {len(failure.run_keys) - 1} more in its job)" if len(failure.run_keys) > 1 else ""
        )
        lines.append(f"FAILED {runs}: {failure.cause}{code}" + (f" - {failure.message}" if failure.message else ""))
        lines += [f"    | {line}" for line in failure.log_tail.splitlines()]
        lines += [f"    run it alone: {failure.rerun}"] if failure.rerun else []
    if len(failures) > SAID_FAILURES:
        lines.append(f"… and {len(failures) - SAID_FAILURES} more failed jobs; the summary lists them.")
    return "\n".join(lines)
