"""Publishing: what there is, what failed and why, what it took - as text, as a page, and in the log."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from statistics import median

import numpy as np

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.document import plan_document
from simcampaign.engine.planning import Prepared, estimate_plan, prepare
from simcampaign.jobs import RunRange
from simcampaign.layout import Layout
from simcampaign.ledger import Failure
from simcampaign.plan import Plan
from simcampaign.report import page as pages
from simcampaign.report.render import render_page
from simcampaign.runs import RunState
from simcampaign.series import run_key
from simcampaign.summary import render_text, summarise

logger = logging.getLogger("simcampaign")

SHOWN_FAILURES = 50
"""Failures on the page."""

SAID_FAILURES = 3
"""Failures said in words at the end of a campaign run."""

TAIL_LINES = 8
"""Log lines shown of a failure."""

_PICTURES = {".png", ".svg", ".jpg", ".jpeg", ".gif", ".webp"}


@dataclass(frozen=True)
class Published:
    """Where the summary is, and what it says in short."""

    plan: Plan
    page: str
    """The page's place."""

    failures: str
    """The failures in words; empty if there is none."""


def publish(campaign: Campaign, applied: Prepared, command: str) -> Published:
    """Refresh the manifest, run the report command if the last job has ended, save plan and summary.

    ``applied`` is the plan that this campaign run submitted; ``command`` what a person types to run it again.
    """
    if applied.plan.jobs:
        document = json.dumps(plan_document(campaign, applied), indent=1)
        campaign.working.write(campaign.layout.plan, f"{document}\n".encode())
    prepared = prepare(campaign)
    if campaign.settings.report and RunState.IN_FLIGHT.label not in prepared.plan.counts:
        _run_report(campaign)
    failures = [_shown(campaign, failure, command) for failure in _current_failures(campaign, prepared.plan)]
    page = _page(campaign, prepared, failures, command)
    said = say_failures(failures)
    text = "\n".join(
        [render_text(page.summary), *(f"{n:>9,} {label}" for label, n in prepared.plan.counts.items()), said]
    )
    campaign.working.write(campaign.layout.summary_text, f"{text.rstrip()}\n".encode())
    campaign.working.write(campaign.layout.summary_page, render_page(page).encode())
    return Published(prepared.plan, campaign.working.url(campaign.layout.summary_page), said)


def _run_report(campaign: Campaign) -> None:
    working = campaign.working.url(campaign.layout.root)
    command = [argument.replace("{working}", working) for argument in campaign.settings.report]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        logger.warning("parameters.report: %s cannot be run: %s", shlex.join(command), error.strerror)
        return
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-TAIL_LINES:]
        logger.warning("parameters.report: %s ended with %d: %s", shlex.join(command), done.returncode, "\n".join(last))


def _current_failures(campaign: Campaign, plan: Plan) -> list[Failure]:
    """Return the newest failure of each run that is failed now; those of runs that were done since are history."""
    rows, columns = np.nonzero(plan.codes == RunState.FAILED)
    keys = campaign.condition_keys
    failed = {
        (keys[row], campaign.series.seeds[column]) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    }
    current = []
    for failure in campaign.ledger.failures(campaign.id, limit=SHOWN_FAILURES) if failed else ():
        runs = {(each.condition_key, seed) for each in failure.ranges for seed in _seeds(each)}
        if runs & failed:
            current.append(failure)
            failed -= runs
    return current


def _seeds(each: RunRange) -> range:
    return range(each.start_seed, each.end_seed + 1)


def _shown(campaign: Campaign, failure: Failure, command: str) -> pages.Failure:
    name = campaign.series.name
    keys = [run_key(name, each.condition_key, seed) for each in failure.ranges for seed in _seeds(each)]
    log_key = Layout(name, failure.date).log(failure.job_id)
    data = campaign.working.read_if_there(log_key)
    lines = (data or b"").decode(errors="replace").splitlines()
    return pages.Failure(
        run_keys=keys,
        cause=failure.cause.value if failure.cause else failure.state.value,
        exit_code=failure.exit_code,
        message=failure.message,
        log_tail="\n".join(lines[-TAIL_LINES:]),
        rerun=f"{command} --only {keys[0]}" if command and keys else "",
        log=_link(campaign, log_key) if data is not None else "",
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


def _page(campaign: Campaign, prepared: Prepared, failures: Sequence[pages.Failure], command: str) -> pages.Page:
    plan, layout = prepared.plan, campaign.layout
    return pages.Page(
        summary=summarise(prepared.manifest, campaign.series),
        conditions=campaign.series.conditions,
        seeds=campaign.series.seeds,
        codes=plan.codes,
        location=campaign.working.url(layout.root),
        made=datetime.now(UTC),
        usage=_usage(campaign, plan),
        failures=failures,
        arrays=_arrays(campaign),
        pictures=_pictures(campaign),
        links={
            label: _link(campaign, key)
            for label, key in {"logs": f"{layout.root}/logs", "outputs": layout.outputs, "plan": layout.plan}.items()
            if campaign.working.is_local and campaign.working.path(key).exists()
        },
        skipped=plan.skipped,
        next_command="" if plan.complete else command,
    )


def _usage(campaign: Campaign, plan: Plan) -> pages.Usage:
    seconds = campaign.ledger.run_seconds(campaign.id)
    used = campaign.ledger.usage(campaign.id)
    left = estimate_plan(campaign, plan)
    return pages.Usage(
        seconds_median=median(seconds) if seconds else None,
        seconds_min=min(seconds, default=None),
        seconds_max=max(seconds, default=None),
        core_hours_used=used.core_seconds / 3600 if used.jobs else None,
        core_hours_left=left.core_hours if plan.runs_to_do else None,
        cost_used=used.cost or None,
        cost_left=left.cost or None,
    )


def _arrays(campaign: Campaign) -> list[pages.ArrayLine]:
    arrays = campaign.ledger.arrays(campaign.id)
    counts = campaign.ledger.job_counts(array.id for array in arrays)
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


def _pictures(campaign: Campaign) -> list[pages.Picture]:
    found = []
    for keys in campaign.working.list(f"{campaign.layout.pictures}/"):
        for key in sorted(keys):
            path = PurePosixPath(key)
            if path.suffix.lower() in _PICTURES:
                text = campaign.working.read_if_there(str(path.with_suffix(".txt")))
                alt = text.decode(errors="replace").strip() if text else path.stem
                found.append(pages.Picture(_link(campaign, key), alt))
    return found


def _link(campaign: Campaign, key: str) -> str:
    """Return a link to ``key`` from the page, which lies in the dated location."""
    root = PurePosixPath(campaign.layout.root)
    path = PurePosixPath(key)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    return str(PurePosixPath("..", *path.parts[1:]))
