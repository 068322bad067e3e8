"""Ending requests: cancelling what has not ended, and deleting what is no longer needed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from simcampaign.engine.jobfiles import job_folder
from simcampaign.engine.keep import Keep
from simcampaign.engine.reconcile import attach
from simcampaign.engine.workplace import Workplace
from simcampaign.errors import ConflictError
from simcampaign.jobs import JobState
from simcampaign.ledger import ArrayState, JobRow, RequestRow

MESSAGE = "cancelled before it reached the site"


def cancel(place: Workplace, row: RequestRow, indices: Collection[int] | None = None) -> None:
    """End what has not ended of a request, or of its jobs with these indices; returns when the site accepted it.

    Raises ``ConflictError`` if the request is just being submitted.
    """
    active = [job for job in place.requests.jobs([row.id]) if job.state.active]
    chosen = {job.array_id for job in active if indices is None or job.index in indices}
    for part in place.requests.parts([row.id]):
        if part.array.id not in chosen:
            continue
        members = [job for job in active if job.array_id == part.array.id]
        wanted = [job.array_index for job in members if indices is None or job.index in indices]
        remote_id = part.array.remote_id
        if part.array.state is ArrayState.INTENT:
            with place.at_work(part.array) as free:
                if not (free and place.is_orphan(part.array) and place.ledger.take_over(part.array, place.owner)):
                    raise ConflictError(f"job {row.name} is just being submitted", "cancel() it in a moment")
                if not attach(place, part.array):
                    place.requests.give_up(part.array.id, place.owner, JobState.CANCELLED, MESSAGE)
                    continue
            now = place.requests.parts([row.id])
            remote_id = next(each.array.remote_id for each in now if each.array.id == part.array.id)
        place.site.cancel(str(remote_id), None if len(wanted) == part.array.size else wanted)


def delete(place: Workplace, row: RequestRow) -> list[str]:
    """Remove all that the site has of a request, and move it to the archive; returns the paths of removed files.

    Raises ``ConflictError`` if one of its jobs is still active.
    """
    _check_ended(row, place.requests.jobs([row.id]))
    deleted: list[str] = []
    for part in place.requests.parts([row.id]):
        deleted += _remove(place, part.folder)
        if part.array.state is ArrayState.OVER and part.array.remote_id is not None:
            place.site.clean(part.array.remote_id)
    Keep(row.token).remove()
    place.requests.archive(row.id)
    return deleted


def delete_member(place: Workplace, row: RequestRow, job: JobRow) -> list[str]:
    """Remove the files of one job of an array; the array stays where it is. Returns the paths of removed files."""
    _check_ended(row, [job])
    return _remove(place, job_folder(job, job.array_index))


def _check_ended(row: RequestRow, jobs: Sequence[JobRow]) -> None:
    active = sum(job.state.active for job in jobs)
    if active:
        many = f": {active} of its {row.size} jobs have not ended" if row.many else ""
        raise ConflictError(
            f"job {row.name} is still active, so it is not deleted{many}", "wait for it, or cancel() it"
        )


def _remove(place: Workplace, folder: str) -> list[str]:
    found = [f"{folder}/{entry.path}" for entry in place.host.list(folder)]
    place.host.remove(folder)
    return found
