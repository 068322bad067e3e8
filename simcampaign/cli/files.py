"""The verbs ``logs`` and ``copy``."""

from __future__ import annotations

import argparse
import sys

from simcampaign.api import Job
from simcampaign.cli.output import print_json, print_line, size
from simcampaign.cli.views import find
from simcampaign.errors import ConfigError, Problem


def logs(options: argparse.Namespace) -> int:
    """Print what a job printed; of an array each line comes with the job's name before it."""
    if options.json and options.follow:
        raise ConfigError([Problem("--json", "--follow", "one document cannot be printed before the end")])
    job = find(options.name, options.site)
    if options.json:
        texts = {job.job_name: job.logs()} if isinstance(job, Job) else _texts(job.jobs, job.logs())
        print_json({"logs": [{"job_name": name, "text": text} for name, text in texts.items()]})
    elif isinstance(job, Job):
        if options.follow:
            for line in job.logs(follow=True):
                print_line(line)
        else:
            sys.stdout.write(job.logs())
    elif options.follow:
        for index, line in job.logs(follow=True):
            print_line(f"{job.jobs[index].job_name} | {line}")
    else:
        for name, text in _texts(job.jobs, job.logs()).items():
            sys.stdout.writelines(f"{name} | {line}\n" for line in text.splitlines())
    return 0


def _texts(jobs: list[Job], texts: list[str]) -> dict[str, str]:
    return {job.job_name: text for job, text in zip(jobs, texts, strict=True)}


def copy(options: argparse.Namespace) -> int:
    """Fetch the outputs of a job or an array."""
    copied = find(options.name, options.site).copy_output(options.destination)
    total = sum(copied.values())
    if options.json:
        files = [{"path": str(path), "bytes": count} for path, count in copied.items()]
        print_json({"files": files, "bytes": total})
    else:
        many = "file" if len(copied) == 1 else "files"
        print_line(f"{len(copied)} {many}, {size(total)}, in {options.destination}")
    return 0
