"""Arrays: many jobs that are described in one request, as one config and what each job has otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simcampaign.engine.requests import content_digest
from simcampaign.errors import ConfigError, Problem
from simcampaign.ledger.queuerows import NewArray, NewJob
from simcampaign.service.applications import Asker, new_job
from simcampaign.service.applications.asked import ID_FAULT, JOB_ID, LONGEST_ID, new_id
from simcampaign.service.settings import Settings

LARGEST = 10_000
"""Jobs in one array."""

MOST_PROBLEMS = 100
"""Mistakes that are told of one array; the rest is alike as a rule."""


@dataclass(frozen=True)
class Many:
    """An array with its jobs."""

    array: NewArray
    jobs: Sequence[NewJob]


def new_array(config: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]], settings: Settings, asker: Asker) -> Many:
    """Return the array of jobs that are each ``config`` with values of their own.

    Where both have a mapping, as ``files``, a job has what is in either. The array's id is ``config.jobid``, or made
    up; that of a job is the array's with its number. Raises ``ConfigError`` with the mistakes of all jobs.
    """
    array_id, problems = _array_id(config)
    made: list[NewJob] = []
    for number, own in enumerate(jobs):
        described = {**_merged(config, own), "jobid": f"{array_id}-{number}"}
        try:
            made.append(new_job(described, settings, asker))
        except ConfigError as error:
            problems += [replace(each, path=f"jobs[{number}]: {each.path}") for each in error.problems]
        if len(problems) >= MOST_PROBLEMS:
            break
    problems += [
        Problem(f"jobs[{number}].{name}", own[name], "is the same for the whole array", "write it in config")
        for number, own in enumerate(jobs)
        for name in ("jobid", "user")
        if name in own
    ][:MOST_PROBLEMS]
    if problems:
        raise ConfigError(problems[:MOST_PROBLEMS])
    content = json.dumps([dict(config), list(jobs)], sort_keys=True, ensure_ascii=False)
    array = NewArray(
        id=array_id,
        user=made[0].user,
        size=len(made),
        request_digest=content_digest(content.encode()),
        idempotency_key=asker.key,
    )
    return Many(array, [replace(job, array=array_id, idempotency_key=None) for job in made])


def _array_id(config: Mapping[str, Any]) -> tuple[str, list[Problem]]:
    given = config.get("jobid")
    if given is None:
        return new_id("array"), []
    longest = LONGEST_ID - len(str(LARGEST))
    if not isinstance(given, str) or not JOB_ID.fullmatch(given):
        return "array", [Problem("config.jobid", given, ID_FAULT)]
    if len(given) > longest:
        return "array", [Problem("config.jobid", given, f"is longer than {longest} characters")]
    return given, []


def _merged(config: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**config, **own}
    for name in config.keys() & own.keys():
        if isinstance(config[name], Mapping) and isinstance(own[name], Mapping):
            merged[name] = {**config[name], **own[name]}
    return merged
