"""The verbs ``run`` and ``submit``."""

from __future__ import annotations

import argparse
from typing import Any

from simcampaign import api
from simcampaign.cli.changing import read_value
from simcampaign.cli.output import print_json, print_line, say
from simcampaign.cli.views import view
from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.sites.registry import open_site


def run(options: argparse.Namespace) -> int:
    """Run inputs, wait, and fetch the outputs."""
    inputs, more = _inputs(options), {**_more(options), "verbose": not options.json}
    place = (options.site, options.to, options.overwrite, options.ranks, options.wall_time)
    job: api.Job | api.JobArray
    job = api.run_many(inputs, *place, **more) if len(inputs) > 1 else api.run(inputs[0], *place, **more)
    if options.json:
        print_json({**view(job).document(), "output_folder": options.to})
    return 0


def submit(options: argparse.Namespace) -> int:
    """Hand inputs to a site; prints the name to find them again by."""
    inputs, more = _inputs(options), _more(options)
    place = (options.site, options.ranks, options.wall_time)
    job: api.Job | api.JobArray
    job = api.run_many_async(inputs, *place, **more) if len(inputs) > 1 else api.run_async(inputs[0], *place, **more)
    if options.json:
        print_json(view(job).document())
        return 0
    print_line(job.job_name)
    if job.status.active:
        say(f"handed to site {job.site_name}; next: simcampaign wait {job.job_name}")
    else:
        remedy = f"to run it anew: simcampaign delete {job.job_name}, then submit it again"
        say(f"was submitted before and is {job.status}, so nothing is done; {remedy}")
    return 0


def _inputs(options: argparse.Namespace) -> list[Any]:
    """Return what is to be run: each input, or one command with the inputs as its files."""
    if options.command:
        return [api.Simulation(options.command, files=options.inputs)]
    if not options.inputs:
        remedy = "give input files, or a command after --"
        raise ConfigError([Problem("INPUT", ABSENT, "there is nothing to run", remedy)])
    return list(options.inputs)


def _more(options: argparse.Namespace) -> dict[str, Any]:
    """Return what else was said, under the names of the API; what was not said is left out."""
    kind = open_site(options.site).site.options if options.option else None
    given = {
        "memory_mb": options.memory_mb,
        "cpus": options.cpus,
        "gpus": options.gpus,
        "group": options.group or None,
        "job_name": options.name,
        "environment": dict(options.env) or None,
        "options": {name: read_value(kind, name, text) for name, text in options.option} or None,
    }
    return {name: value for name, value in given.items() if value is not None}
