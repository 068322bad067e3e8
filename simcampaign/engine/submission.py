"""Submitting: intent first, then the inputs, then the site, then the remote id."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import overload

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.document import save_document
from simcampaign.engine.planning import Prepared
from simcampaign.engine.reconcile import look
from simcampaign.engine.rendering import Renderer
from simcampaign.engine.staging import check_staging, job_url, put_files, staging_host
from simcampaign.errors import ConflictError, LocationError, SiteError
from simcampaign.jobs import ArraySpec, JobSpec, RunRange
from simcampaign.layout import init_source
from simcampaign.ledger import LEASE_SECONDS, Claimed, Intent, job_id
from simcampaign.packing import Packing, ranges_text
from simcampaign.plan import Plan, digest_of
from simcampaign.series import run_key
from simcampaign.templates import digest

logger = logging.getLogger("simcampaign")


@dataclass(frozen=True)
class Submission:
    """An array that was claimed and is to be handed to the site."""

    group: str
    packing: Packing
    digests: Sequence[str]
    claimed: Claimed


class Jobs(Sequence[JobSpec]):
    """The jobs of a submission, made when asked for: a million of them take no memory."""

    def __init__(self, campaign: Campaign, submission: Submission) -> None:
        """List the jobs of ``submission``."""
        self._campaign = campaign
        self._submission = submission

    def __len__(self) -> int:
        return self._submission.packing.size

    @overload
    def __getitem__(self, index: int) -> JobSpec: ...
    @overload
    def __getitem__(self, index: slice) -> list[JobSpec]: ...
    def __getitem__(self, index: int | slice) -> JobSpec | list[JobSpec]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        campaign, submission = self._campaign, self._submission
        ranges = submission.packing.ranges(index, campaign.condition_keys)
        seeds = sorted({seed for each in ranges for seed in range(each.start_seed, each.end_seed + 1)})
        key = campaign.layout.input(submission.claimed.file_set, index, campaign.input_extension)
        return JobSpec(
            index=index,
            job_id=job_id(submission.claimed.name, index),
            input_path=job_url(campaign, submission.claimed.name, key),
            seeds=ranges_text(seeds),
            run=_only_run(campaign.series.name, ranges),
        )


def _only_run(name: str, ranges: Sequence[RunRange]) -> str:
    """Return the key of the run if there is only one."""
    if len(ranges) != 1 or ranges[0].size != 1:
        return ""
    return run_key(name, ranges[0].condition_key, ranges[0].start_seed)


def array_spec(campaign: Campaign, claimed: Claimed, jobs: Sequence[JobSpec]) -> ArraySpec:
    """Return what the site is handed."""
    settings, layout = campaign.settings, campaign.layout
    working = job_url(campaign, claimed.name, layout.root)
    return ArraySpec(
        name=claimed.name,
        file_set=claimed.file_set,
        working_url=f"{working}/",
        output=f"{job_url(campaign, claimed.name, layout.outputs)}/",
        command=settings.command,
        jobs=jobs,
        resources=settings.resources,
        environment=settings.environment,
        model=settings.model,
        image=settings.image,
        directory="" if staging_host(campaign) is None else working,
        options=settings.options,
    )


def check_submission(campaign: Campaign, plan: Plan) -> None:
    """Raise what would stop the submission of a plan, before anything is created.

    That the site could not run the command, that the location cannot be written, that an init is not there.
    """
    check_staging(campaign)
    for group in plan.groups:
        campaign.site.check(array_spec(campaign, Claimed(0, "", ""), ()))
        for source, _ in _init_copies(campaign, group, "", plan.groups[group]):
            if not campaign.working.exists(source):
                hint = "check series.inits: the source is (name)/inits/inits.(MODEL)/(name)_(key).(extension)"
                raise LocationError(f"init {source}: is not in {campaign.working}", hint)
    campaign.working.check_writable()


def claim(campaign: Campaign, plan: Plan, version: int) -> list[Submission]:
    """Write the plan's arrays into the ledger as intents, all or none.

    Raises ``ConflictError`` if somebody else claimed runs of the series since ``version``.
    """
    parts = list(_parts(campaign, plan))
    claimed = campaign.ledger.claim(campaign.id, version, campaign.owner, [_intent(campaign, *part) for part in parts])
    return [Submission(*part, each) for part, each in zip(parts, claimed, strict=True)]


def _parts(campaign: Campaign, plan: Plan) -> Iterator[tuple[str, Packing, Sequence[str]]]:
    """Yield group, inputs and digests of each array: a group, split where the site takes no larger ones."""
    for group, packing in plan.groups.items():
        step = campaign.site.capabilities.max_array_size or packing.size
        for first in range(0, packing.size, step):
            last = min(first + step, packing.size)
            yield group, packing.part(first, last), plan.digests[group][first:last]


def _intent(campaign: Campaign, group: str, packing: Packing, digests: Sequence[str]) -> Intent:
    renderer = Renderer(campaign)
    pairs = zip(packing.inputs(campaign.condition_keys), digests, strict=True)
    return Intent(
        group=group,
        digest=_array_digest(campaign, group, digests),
        site=campaign.site.name,
        date=campaign.layout.date,
        model=campaign.settings.model,
        input_extension=campaign.input_extension,
        cpus=campaign.settings.resources.cpus,
        price_per_hour=campaign.site.price_per_hour(campaign.settings.resources),
        inputs=[renderer.entries(group, ranges, input_digest) for ranges, input_digest in pairs],
    )


def _array_digest(campaign: Campaign, group: str, digests: Sequence[str]) -> str:
    settings = campaign.settings
    place = (campaign.series.name, campaign.working.url(), group)
    return digest_of(*place, settings.model, settings.image, *settings.command, *digests)


def copy_inits(campaign: Campaign, submission: Submission) -> int:
    """Copy the inits of seeds that are to run; returns how many files were copied."""
    copies = _init_copies(campaign, submission.group, submission.claimed.file_set, submission.packing)
    campaign.working.copy_many(copies)
    return len(copies)


def _init_copies(campaign: Campaign, group: str, file_set: str, packing: Packing) -> list[tuple[str, str]]:
    inits = campaign.series.inits_of(group)
    if not inits:
        return []
    wanted = {
        seed
        for start, end in zip(packing.start.tolist(), packing.end.tolist(), strict=True)
        for seed in range(start, end + 1)
    }
    return [
        (init_source(init, campaign.settings.model, extension), campaign.layout.init(file_set, seed, extension))
        for init in inits
        for seed in init.seeds
        if seed in wanted
        for extension in init.extensions
    ]


def save_inputs(campaign: Campaign, submission: Submission) -> int:
    """Render the inputs again and save them; returns how many.

    Makes the folder of outputs, too, where the location is a directory: many a model does not make its own. Raises
    ``ConflictError`` if the template no longer renders what was claimed.
    """
    if campaign.working.is_local:
        campaign.working.path(campaign.layout.outputs).mkdir(parents=True, exist_ok=True)
    return campaign.working.write_many(_input_files(campaign, submission))


def _input_files(campaign: Campaign, submission: Submission) -> Iterator[tuple[str, bytes]]:
    renewed = time.monotonic()
    for index, text in enumerate(Renderer(campaign).inputs(submission.group, submission.packing)):
        key = campaign.layout.input(submission.claimed.file_set, index, campaign.input_extension)
        if digest(text) != submission.digests[index]:
            raise ConflictError(
                f"input {key}: the template renders differently than a moment ago", "run the flow again"
            )
        if time.monotonic() - renewed > LEASE_SECONDS / 3:
            campaign.ledger.renew([submission.claimed.array_id], campaign.owner)
            renewed = time.monotonic()
        yield key, text.encode()


def stage_files(campaign: Campaign, submission: Submission) -> int:
    """Put what was saved for an array to the host of its jobs, where they do not reach it here; returns bytes put."""
    file_set, layout = submission.claimed.file_set, campaign.layout
    inputs = (layout.input(file_set, index, campaign.input_extension) for index in range(submission.packing.size))
    inits = (key for _, key in _init_copies(campaign, submission.group, file_set, submission.packing))
    return put_files(campaign, submission.claimed, chain(inputs, inits))


def submit_array(campaign: Campaign, submission: Submission) -> str:
    """Hand an array to the site and write down its remote id, which is returned."""
    campaign.ledger.renew([submission.claimed.array_id], campaign.owner)
    jobs = Jobs(campaign, submission)
    remote_id = campaign.site.submit(array_spec(campaign, submission.claimed, jobs))
    campaign.ledger.submitted(submission.claimed.array_id, remote_id)
    if campaign.settings.budget is not None and campaign.site.depot is not None:
        # What it may cost counts from now on.
        look(campaign, campaign.ledger.arrays(campaign.id, ids=[submission.claimed.array_id]))
    return remote_id


def _over_budget(campaign: Campaign, submission: Submission) -> str:
    """Return why an array must be held back, empty if it need not; inputs that must be quoted are sent for that."""
    budget, depot = campaign.settings.budget, campaign.site.depot
    if budget is None or depot is None:
        return ""
    campaign.ledger.renew([submission.claimed.array_id], campaign.owner)
    quoted = depot.quote(array_spec(campaign, submission.claimed, Jobs(campaign, submission)))
    used = campaign.ledger.usage(campaign.id).cost + campaign.ledger.committed(campaign.id)
    if used + quoted <= budget:
        return ""
    return (
        f"{submission.packing.size:,} jobs may cost {quoted:.6g}, which with the {used:.6g} already used or started "
        f"would exceed parameters.budget = {budget:.6g}; none of them was started. Raise it, or run fewer at a time"
    )


def submit_all(
    campaign: Campaign,
    prepared: Prepared,
    submissions: Sequence[Submission],
    stage: Callable[[Submission], object],
    send: Callable[[Submission], object],
) -> list[Submission]:
    """Save the plan, then stage and send array by array; returns those that were sent.

    What certainly never reached the site is free again.

    ``stage`` saves what the jobs of an array need, ``send`` submits it. A site that refuses an array does not have it;
    one that cannot be reached may have it all the same: in doubt the intent stays, and the next campaign run asks the
    site before anything is submitted again. The first array that what its jobs are quoted at would carry beyond the
    budget ends it: it and all later ones are held back.
    """
    left, sent = list(submissions), []
    try:
        if submissions:
            save_document(campaign, prepared)
        for submission in submissions:
            stage(submission)
            if held := _over_budget(campaign, submission):
                logger.warning("%s.", held)
                break
            left.pop(0)
            try:
                send(submission)
            except SiteError:
                left.insert(0, submission)
                raise
            sent.append(submission)
    finally:
        for submission in left:
            campaign.ledger.abandon(submission.claimed.array_id)
    return sent
