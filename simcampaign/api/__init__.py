"""Run simulations from a script or a notebook, at any configured site.

    from simcampaign import api

    job = api.run("melt.in", "hpc", "results", ranks=8)                 # waits, and copies what the simulation left
    array = api.run_many_async(sorted(inputs), "hpc")                   # returns at once
    api.get_job_array(job_name=array.job_name).wait()                   # in another process, another day

``api.aio`` has the same calls for programs that use asyncio. Everything raises the errors of ``simcampaign.errors``.
"""

from simcampaign.api import aio
from simcampaign.api.array import JobArray
from simcampaign.api.inputs import Simulation
from simcampaign.api.job import Job, ResourcesUsed
from simcampaign.api.listing import get_job, get_job_array, get_job_arrays, get_jobs
from simcampaign.api.running import run, run_async, run_many, run_many_async
from simcampaign.api.sites import doctor, get_queues, get_site_names
from simcampaign.jobs import Cause, JobState
from simcampaign.sites.base import Finding, Queue

__all__ = [
    "Cause",
    "Finding",
    "Job",
    "JobArray",
    "JobState",
    "Queue",
    "ResourcesUsed",
    "Simulation",
    "aio",
    "doctor",
    "get_job",
    "get_job_array",
    "get_job_arrays",
    "get_jobs",
    "get_queues",
    "get_site_names",
    "run",
    "run_async",
    "run_many",
    "run_many_async",
]
