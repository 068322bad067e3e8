"""The verbs ``cancel``, ``retry`` and ``delete``."""

from __future__ import annotations

import argparse

from simcampaign.api import Job, JobArray
from simcampaign.cli.asking import Person
from simcampaign.cli.output import print_json, print_line
from simcampaign.cli.views import find, find_all, update
from simcampaign.errors import ABSENT, ConfigError, Problem

_SHOWN = 10
"""Files that are shown of each job before it is deleted."""


def cancel(options: argparse.Namespace) -> int:
    """End jobs that have not ended."""
    found = find_all(options.names, options.site)
    update(found)
    ended = [each.job_name for each in found if not each.status.active]
    for each in found:
        each.cancel()
    asked = [each.job_name for each in found if each.job_name not in ended]
    if options.json:
        print_json({"cancelled": asked, "ended_before": ended})
        return 0
    for each in found:
        done = "had ended already" if each.job_name in ended else f"site {each.site_name} was asked to end it"
        print_line(f"{each.job_name}: {done}")
    return 0


def retry(options: argparse.Namespace) -> int:
    """Submit what failed once more."""
    job = find(options.name, options.site)
    update([job])
    given = {"memory_mb": options.memory_mb, "wall_time_in_seconds": options.wall_time}
    again = [job] if isinstance(job, Job) else job.retry_failed(**given)
    if isinstance(job, Job):
        job.retry(**given)
    names = [each.job_name for each in again]
    if options.json:
        print_json({"retried": names})
    elif names:
        print_line("\n".join(names))
    else:
        print_line(f"none of the jobs of {job.job_name} failed or was lost")
    return 0


def delete(options: argparse.Namespace) -> int:
    """Delete what jobs left at their site, after saying what that is and asking."""
    found = find_all(options.names, options.site)
    person = Person(asked=not (options.yes or options.json))
    if not options.yes:
        if not person.asked:
            raise ConfigError([Problem("--yes", ABSENT, "is missing, and there is nobody to ask")])
        for each in found:
            _show(each)
        if not person.agrees("Delete this for ever?", default=False):
            return 1
    removed = {each.job_name: each.delete() for each in found}
    if options.json:
        print_json({"deleted": [{"job_name": name, "files": files} for name, files in removed.items()]})
        return 0
    for name, files in removed.items():
        print_line(f"{name}: {len(files)} file{'' if len(files) == 1 else 's'} deleted")
        for file in files:
            print_line(f"  {file}")
    return 0


def _show(job: Job | JobArray) -> None:
    """Say what is lost with a job."""
    outputs = [] if job.is_archived else job.get_output_files()
    print_line(f"{job.job_name} at site {job.site_name}, {job.status}, its log and {len(outputs)} output files:")
    for name in outputs[:_SHOWN]:
        print_line(f"  {name}")
    if len(outputs) > _SHOWN:
        print_line(f"  … and {len(outputs) - _SHOWN} more")
