"""The API for programs that use asyncio: the same calls, to be awaited.

    job = await aio.run_async("melt.in", "hpc")
    await aio.wait(job)

Nothing here blocks the event loop, and any number of jobs may be waited for at once: one thread looks after each site.
A task that is cancelled leaves its job running.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar, Unpack

from simcampaign.api import listing, running, sites
from simcampaign.api.array import JobArray
from simcampaign.api.asked import More, RunMore
from simcampaign.api.inputs import Input
from simcampaign.api.job import Job
from simcampaign.errors import SimulationError
from simcampaign.jobs import JobState
from simcampaign.sites.base import Finding, Queue

AnyJob = TypeVar("AnyJob", Job, JobArray)


async def run(
    input_file: Input,
    site_name: str,
    output_folder: str | os.PathLike[str],
    overwrite: bool = False,
    ranks: int | None = None,
    wall_time_in_seconds: float | None = None,
    **more: Unpack[RunMore],
) -> Job:
    """Run one simulation; see ``api.run``."""
    work = await asyncio.to_thread(
        running.begin, input_file, site_name, output_folder, overwrite, ranks, wall_time_in_seconds, **more
    )
    await wait(work.job)
    return await asyncio.to_thread(work.finish)


async def run_many(
    input_files: Sequence[Input],
    site_name: str,
    output_folder: str | os.PathLike[str],
    overwrite: bool = False,
    ranks_per_job: int | None = None,
    wall_time_in_seconds_per_job: float | None = None,
    **more: Unpack[RunMore],
) -> JobArray:
    """Run many simulations as a job array; see ``api.run_many``."""
    seconds = wall_time_in_seconds_per_job
    work = await asyncio.to_thread(
        running.begin_many, input_files, site_name, output_folder, overwrite, ranks_per_job, seconds, **more
    )
    await wait(work.job)
    return await asyncio.to_thread(work.finish)


async def run_async(
    input_file: Input,
    site_name: str,
    ranks: int | None = None,
    wall_time_in_seconds: float | None = None,
    **more: Unpack[More],
) -> Job:
    """Submit one simulation; see ``api.run_async``."""
    return await asyncio.to_thread(running.run_async, input_file, site_name, ranks, wall_time_in_seconds, **more)


async def run_many_async(
    input_files: Sequence[Input],
    site_name: str,
    ranks_per_job: int | None = None,
    wall_time_in_seconds_per_job: float | None = None,
    **more: Unpack[More],
) -> JobArray:
    """Submit many simulations as a job array; see ``api.run_many_async``."""
    seconds = wall_time_in_seconds_per_job
    return await asyncio.to_thread(running.run_many_async, input_files, site_name, ranks_per_job, seconds, **more)


async def get_job(job_name: str, site_name: str | None = None) -> Job:
    """Return a job by its name; see ``api.get_job``."""
    return await asyncio.to_thread(listing.get_job, job_name, site_name)


async def get_job_array(job_name: str, site_name: str | None = None) -> JobArray:
    """Return a job array by its name; see ``api.get_job_array``."""
    return await asyncio.to_thread(listing.get_job_array, job_name, site_name)


async def get_jobs(
    site_name: str | None = None,
    status: listing.Status | None = None,
    group: str | None = None,
    since: datetime | float | None = None,
    limit: int = 100,
    after: Job | None = None,
) -> list[Job]:
    """Return jobs, newest first; see ``api.get_jobs``."""
    return await asyncio.to_thread(listing.get_jobs, site_name, status, group, since, limit, after)


async def get_job_arrays(
    site_name: str | None = None,
    status: listing.Status | None = None,
    group: str | None = None,
    since: datetime | float | None = None,
    limit: int = 100,
    after: JobArray | None = None,
) -> list[JobArray]:
    """Return job arrays, newest first; see ``api.get_job_arrays``."""
    return await asyncio.to_thread(listing.get_job_arrays, site_name, status, group, since, limit, after)


async def get_queues(site_name: str) -> list[Queue]:
    """Return the partitions or queues of a site; see ``api.get_queues``."""
    return await asyncio.to_thread(sites.get_queues, site_name)


async def doctor(site_name: str) -> list[Finding]:
    """Look whether jobs can run at a site; see ``api.doctor``."""
    return await asyncio.to_thread(sites.doctor, site_name)


async def wait(
    job: Job | JobArray, poll_interval_in_seconds: float | None = None, timeout_in_seconds: float | None = None
) -> JobState:
    """Wait for the end, well or not, and return the state; see ``Job.wait``."""
    waiter = await asyncio.to_thread(job.watch, poll_interval_in_seconds)
    if waiter is not None:
        try:
            await asyncio.wait_for(asyncio.wrap_future(waiter.ended), timeout_in_seconds)
        except TimeoutError:
            raise job.late(timeout_in_seconds) from None
        finally:
            job.unwatch(waiter)
    return await asyncio.to_thread(lambda: job.status)


async def result(job: AnyJob, timeout_in_seconds: float | None = None) -> AnyJob:
    """Wait for the end and return the job itself; raises ``SimulationError`` if it did not finish well."""
    error = await exception(job, timeout_in_seconds)
    if error is not None:
        raise error
    return job


async def exception(job: Job | JobArray, timeout_in_seconds: float | None = None) -> SimulationError | None:
    """Wait for the end and return why it did not finish well; None if it did."""
    await wait(job, timeout_in_seconds=timeout_in_seconds)
    return await asyncio.to_thread(job.exception)


async def as_completed(array: JobArray) -> AsyncIterator[Job]:
    """Yield each job of an array when it has ended, well or not."""
    waits = {asyncio.ensure_future(wait(job)): job for job in array.jobs}
    try:
        left = set(waits)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
                yield waits[each]
    finally:
        for each in waits:
            each.cancel()


async def update_status(job: Job | JobArray) -> JobState:
    """Ask the site and return where the job is now."""
    return await asyncio.to_thread(job.update_status)


async def get_output_files(job: Job | JobArray) -> list[str]:
    """Return the names of the files that it left so far."""
    return await asyncio.to_thread(job.get_output_files)


async def copy_output(job: Job | JobArray, destination: str | os.PathLike[str]) -> dict[Path, int]:
    """Copy the files that it left so far into a folder here; returns each with its size in bytes."""
    return await asyncio.to_thread(job.copy_output, destination)


async def logs(job: Job) -> str:
    """Return what a job printed so far."""
    return await asyncio.to_thread(job.logs)


async def cancel(job: Job | JobArray) -> None:
    """Ask the site to end it."""
    await asyncio.to_thread(job.cancel)


async def retry(job: Job, memory_mb: int | None = None, wall_time_in_seconds: float | None = None) -> None:
    """Submit a job that failed or was lost again; see ``Job.retry``."""
    await asyncio.to_thread(job.retry, memory_mb, wall_time_in_seconds)


async def retry_failed(
    array: JobArray, memory_mb: int | None = None, wall_time_in_seconds: float | None = None
) -> list[Job]:
    """Submit the jobs of an array that failed or were lost again; see ``JobArray.retry_failed``."""
    return await asyncio.to_thread(array.retry_failed, memory_mb, wall_time_in_seconds)


async def delete(job: Job | JobArray) -> list[str]:
    """Remove what the site has of it; returns what was removed."""
    return await asyncio.to_thread(job.delete)
