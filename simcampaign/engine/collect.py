"""Collecting: logs to the location, and what is no longer needed removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from simcampaign.engine.campaign import Campaign
from simcampaign.engine.staging import remove_abandoned, remove_staged
from simcampaign.jobs import JobState
from simcampaign.layout import Layout
from simcampaign.ledger import ArrayRow, ArrayState, job_id
from simcampaign.logfilter import line_filter


def uncollected(campaign: Campaign) -> list[ArrayRow]:
    """Return the arrays of this site whose logs were not all saved yet."""
    arrays = campaign.ledger.arrays(campaign.id, uncollected=True)
    return [array for array in arrays if array.remote_id and array.site == campaign.site.name]


def is_settled(campaign: Campaign) -> bool:
    """Tell whether no job is in flight and nothing waits to be collected; writes nothing."""
    if campaign.recorded_id is None:
        return True
    return not campaign.ledger.arrays(campaign.recorded_id, uncollected=True)


def save_logs(campaign: Campaign, arrays: Sequence[ArrayRow]) -> int:
    """Save what the ended jobs of these arrays printed, filtered; returns how many logs were saved.

    Of an array that is not over, logs that were saved before are left alone: with many jobs it is looked at many times.
    """
    line_filter(campaign.settings.log_filter)  # a broken one is said before anything is fetched
    return campaign.working.write_many(file for array in arrays for file in _logs(campaign, array))


def _logs(campaign: Campaign, array: ArrayRow) -> Iterator[tuple[str, bytes]]:
    layout = Layout(campaign.series.name, array.date)
    keys = {index: layout.log(job_id(array.name, index)) for index in _ended(campaign, array)}
    if keys and array.state is not ArrayState.OVER:
        saved = {
            key for found in campaign.working.list(PurePosixPath(layout.log("_")).parent.as_posix()) for key in found
        }
        keys = {index: key for index, key in keys.items() if key not in saved}
    if keys:
        for index, data in campaign.site.logs(str(array.remote_id), list(keys), campaign.settings.log_filter):
            yield keys[index], data


def _ended(campaign: Campaign, array: ArrayRow) -> Iterable[int]:
    if array.state is ArrayState.OVER:
        return range(array.size)
    return [index for index, state in campaign.ledger.job_states(array.id).items() if not state.active]


def complete_times(campaign: Campaign, arrays: Sequence[ArrayRow]) -> None:
    """Write down the times of ended jobs that the site did not tell while it was watched; costs follow from them."""
    for array in arrays:
        if array.state is ArrayState.OVER:
            campaign.ledger.complete(array.id, campaign.site.details(str(array.remote_id)))


def clean(campaign: Campaign, arrays: Sequence[ArrayRow]) -> int:
    """Remove the inputs of finished jobs, inits that no job needs any more, and all files at the site.

    Only of arrays that are over; inputs of jobs that did not finish stay, so that one can look at them. Returns how
    many files of the location were removed.
    """
    removed = 0
    busy = _needed_inits(campaign)
    for array in arrays:
        if array.state is not ArrayState.OVER:
            continue
        keys = [*_finished_inputs(campaign, array), *(_inits(campaign, array) - busy)]
        remove_staged(campaign, array)
        campaign.working.delete_many(keys)
        removed += len(keys)
        campaign.site.clean(str(array.remote_id))
    remove_abandoned(campaign)
    return removed


def _finished_inputs(campaign: Campaign, array: ArrayRow) -> list[str]:
    layout = Layout(campaign.series.name, array.date)
    states = campaign.ledger.job_states(array.id)
    return [
        layout.input(array.file_set, index, array.input_extension)
        for index, state in states.items()
        if state is JobState.FINISHED
    ]


def _inits(campaign: Campaign, array: ArrayRow) -> set[str]:
    inits = campaign.series.inits_of(array.group)
    if not inits:
        return set()
    layout = Layout(campaign.series.name, array.date)
    ranges = (each for job in campaign.ledger.job_ranges(array.id).values() for each in job)
    seeds = {seed for each in ranges for seed in range(each.start_seed, each.end_seed + 1)}
    return {
        layout.init(array.file_set, seed, extension)
        for init in inits
        for seed in seeds.intersection(init.seeds)
        for extension in init.extensions
    }


def _needed_inits(campaign: Campaign) -> set[str]:
    if not campaign.series.inits:
        return set()
    open_arrays = campaign.ledger.arrays(campaign.id, open_only=True)
    return {key for array in open_arrays for key in _inits(campaign, array)}
