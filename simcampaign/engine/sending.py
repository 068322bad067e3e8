"""Sending requests to their site: intent first, then the files, then the site, then the remote id."""

from __future__ import annotations

import json
import logging
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from simcampaign.engine.jobfiles import (
    START,
    Contents,
    array_spec,
    files_to_put,
    fill,
    is_own,
    job_folder,
    recover,
    renewing,
)
from simcampaign.engine.keep import Keep
from simcampaign.engine.reconcile import attach
from simcampaign.engine.requests import Request
from simcampaign.engine.workplace import Workplace
from simcampaign.errors import ConfigError, LocationError, NetworkError, Problem, SimcampaignError
from simcampaign.jobs import ArraySpec, Cause, JobState, Resources
from simcampaign.ledger import ArrayState, JobRow, NewPart, NewRequest, PartRow, RequestRow
from simcampaign.retry import next_resources

logger = logging.getLogger("simcampaign")

Environments = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Material:
    """What a request needs beside what the ledger keeps of it."""

    contents: Contents
    """Files that were made in memory, or are not where they came from."""

    environments: Environments
    """The environment of each job."""


def read(row: RequestRow) -> Request:
    """Return what was asked for."""
    return Request.read(row.name, row.site, row.many, row.group, row.details)


def submit(
    place: Workplace, request: Request, contents: Mapping[str, bytes], environments: Environments
) -> tuple[RequestRow, bool]:
    """Write a request down and send it; returns it, and whether it was there already.

    Raises ``ConflictError`` if its name is another one's, ``SiteError`` if the site refuses it, ``NetworkError`` if it
    cannot be reached; after the latter the site may have it all the same, and looking at the job finds out.
    """
    check(place, request)
    token = secrets.token_hex(8)
    keep = Keep(token)
    digest = request.digest(environments)
    new = NewRequest(
        name=request.name,
        site=request.site,
        many=request.many,
        size=len(request.jobs),
        group=request.group,
        digest=digest,
        token=token,
        details=request.details(),
    )
    parts = _cut(place, range(len(request.jobs)), request.resources)
    material = Material(contents, environments)
    created: list[RequestRow] = []

    def write() -> list[PartRow]:
        row, written = place.requests.create(new, parts, place.owner)
        created.append(row)
        return written

    try:
        keep.save(contents, environments)
        with place.claiming(write) as written:
            if written:
                _send_first(place, created[0], written, material)
    finally:
        if not created or created[0].token != token:
            keep.remove()
    if not written:
        settle(place, created[0])
    return created[0], not written


def check(place: Workplace, request: Request) -> None:
    """Raise ``SiteError`` if the site could not run one of the jobs; nothing is created.

    Of the jobs that start one program the first is looked at.
    """
    place.host  # noqa: B018 - raises if there is none
    commands = (("sh", START) if is_own(job.command) else fill(job.command, request.resources) for job in request.jobs)
    for command in {command[0]: command for command in commands}.values():
        spec = ArraySpec(
            name="",
            file_set="",
            working_url="",
            output="./",
            command=command,
            jobs=(),
            resources=request.resources,
            options=request.options,
        )
        place.site.check(spec)


def _cut(place: Workplace, indices: Sequence[int], resources: Resources) -> list[NewPart]:
    """Cut jobs into arrays that are not larger than the site takes."""
    step = place.site.capabilities.max_array_size or len(indices)
    root = place.host.expand(place.site.scratch).rstrip("/")
    price = place.site.price_per_hour(resources)
    return [
        NewPart(indices[first : first + step], root, json.dumps(asdict(resources)), resources.cores, price)
        for first in range(0, len(indices), step)
    ]


def _send_first(place: Workplace, row: RequestRow, parts: Sequence[PartRow], material: Material) -> None:
    """Send a request that is new; one of which certainly nothing reached the site is forgotten."""
    try:
        _send(place, row, parts, material)
    except SimcampaignError:
        now = place.requests.parts([row.id])
        if all(part.array.state is ArrayState.ABANDONED for part in now):
            place.requests.withdraw(row.id)
            Keep(row.token).remove()
        raise


def _send(place: Workplace, row: RequestRow, parts: Sequence[PartRow], material: Material) -> None:
    """Send arrays one by one. Those that the site certainly does not have are given up if one cannot be sent."""
    left = list(parts)
    jobs, asked = _jobs_of(place, row), read(row)
    while left:
        part, sent = left[0], False
        request = asked.with_resources(Resources(**json.loads(part.resources)))
        indices = jobs[part.array.id]
        try:
            _stage(place, request, part, indices, material)
            place.ledger.renew([part.array.id], place.owner)
            spec = array_spec(request, part, indices, material.environments)
            sent = True
            remote_id = place.site.submit(spec)
        except NetworkError as error:
            if sent:  # in doubt: the next look asks the site by name
                raise NetworkError(
                    str(error.args[0]),
                    f"the site may have job {row.name} all the same: "
                    f"api.get_job(job_name={row.name!r}, site_name={row.site!r}).wait() finds out",
                ) from error
            _give_up(place, left, str(error.args[0]))
            raise
        except Exception as error:
            _give_up(place, left, str(error.args[0]) if error.args else str(error))
            raise
        place.ledger.submitted(part.array.id, remote_id)
        left.pop(0)


def _stage(place: Workplace, request: Request, part: PartRow, indices: Sequence[int], material: Material) -> None:
    files = files_to_put(request, part, indices, material.environments, material.contents)
    place.host.put(renewing(files, lambda: place.ledger.renew([part.array.id], place.owner)))


def _give_up(place: Workplace, parts: Sequence[PartRow], why: str) -> None:
    for part in parts:
        if place.requests.give_up(part.array.id, place.owner, JobState.LOST, f"was not submitted: {why}"):
            with suppress(SimcampaignError):
                place.host.remove(part.folder)


def _jobs_of(place: Workplace, row: RequestRow) -> dict[int, list[int]]:
    """Return the jobs of each array of a request, in the array's order."""
    found: dict[int, list[tuple[int, int]]] = {}
    for job in place.requests.jobs([row.id]):
        found.setdefault(job.array_id, []).append((job.array_index, job.index))
    return {array_id: [index for _, index in sorted(pairs)] for array_id, pairs in found.items()}


def settle(place: Workplace, row: RequestRow) -> None:
    """Look after intents of a request that nobody is at work on: a submitter died, or got no answer.

    What the site has is attached; what it certainly has not is sent anew. Raises ``SiteError`` or ``NetworkError`` if
    the site cannot be asked.
    """
    for part in place.requests.parts([row.id]):
        if part.array.state is not ArrayState.INTENT:
            continue
        with place.at_work(part.array) as free:
            if not (free and place.is_orphan(part.array) and place.ledger.take_over(part.array, place.owner)):
                continue
            if not attach(place, part.array):
                _send_instead(place, row, part)


def _send_instead(place: Workplace, row: RequestRow, part: PartRow) -> None:
    """Send the jobs of an intent of ours that never reached the site in a new array."""
    jobs = [job for job in place.requests.jobs([row.id]) if job.array_id == part.array.id]
    resources = Resources(**json.loads(part.resources))
    try:
        _again(place, row, [(resources, jobs)], part)
    except (LocationError, ConfigError) as error:
        logger.warning("Job %s was never submitted, and cannot be any more. %s", row.name, error)
        reason = f"was never submitted, as its submitter ended: {error.args[0]}"
        place.requests.give_up(part.array.id, place.owner, JobState.LOST, reason)


def try_again(
    place: Workplace, row: RequestRow, failed: Sequence[JobRow], change: Callable[[Resources], Resources]
) -> int:
    """Send jobs that failed anew, in as few arrays as their resources allow; returns how many jobs.

    Each is given what its cause calls for, see ``retry.next_resources``; ``change`` has the last word. Raises
    ``LocationError`` if an input is not what it was any more.
    """
    groups: dict[Resources, list[JobRow]] = {}
    for job in failed:
        had = Resources(**json.loads(job.resources))
        cause = job.cause or Cause.LOST
        groups.setdefault(change(next_resources(had, cause) or had), []).append(job)
    if groups:
        _again(place, row, list(groups.items()))
    return len(failed)


def _again(
    place: Workplace,
    row: RequestRow,
    groups: Sequence[tuple[Resources, Sequence[JobRow]]],
    instead_of: PartRow | None = None,
) -> None:
    request, keep = read(row), Keep(row.token)
    jobs = [job for _, group in groups for job in group]
    environments = _environments(request, keep, [job.index for job in jobs])
    folders = {job.index: job_folder(job, job.array_index) for job in jobs}
    files = [(file, f"{folders[index]}/{file.name}") for index in folders for file in request.jobs[index].files]
    with tempfile.TemporaryDirectory() as scratch:
        material = Material(recover(files, keep, place.host, Path(scratch)), environments)
        parts = [part for resources, group in groups for part in _cut(place, [job.index for job in group], resources)]
        abandoned = None if instead_of is None else instead_of.array

        def write() -> list[PartRow]:
            return place.requests.try_again(row, parts, place.owner, abandoned)

        with place.claiming(write) as written:
            _send(place, row, written, material)


def _environments(request: Request, keep: Keep, indices: Sequence[int]) -> Environments:
    """Return the environments of all jobs; raises ``ConfigError`` if values of these jobs' are not known here."""
    kept = keep.environments() or [{} for _ in request.jobs]
    missing = {name for index in indices for name in request.jobs[index].environment if name not in kept[index]}
    if missing:
        raise ConfigError(
            [
                Problem(f"environment.{name}", "(not known)", "values are kept only where the job was submitted")
                for name in sorted(missing)
            ],
            "try it again there, or submit it under another job_name",
        )
    return kept
