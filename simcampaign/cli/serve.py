"""The verb ``serve``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from simcampaign.cli.output import print_json, print_line
from simcampaign.errors import LocationError


def serve(options: argparse.Namespace) -> int:
    """Run the job manager until it is interrupted."""
    try:
        from simcampaign.service.serving import log_to_stderr  # noqa: PLC0415 - heavy, and an extra
        from simcampaign.service.serving import serve as run  # noqa: PLC0415
    except ImportError as error:
        raise LocationError(
            f"the job manager lacks a library: {error.name}", "pip install 'simcampaign[service]'"
        ) from error
    from simcampaign.service.assembly import Service  # noqa: PLC0415
    from simcampaign.service.settings import read_settings  # noqa: PLC0415

    settings = read_settings(
        Path(options.config) if options.config else None,
        host=options.host,
        port=options.port,
        ledger=options.ledger,
        token_file=options.token_file,
        allow_commands=options.allow_commands or None,
    )
    if options.solver:
        settings = replace(settings, solver=replace(settings.solver, enabled=True))
    if options.tidy3d:
        tidy3d = replace(settings.solver.tidy3d, enabled=True)
        settings = replace(settings, solver=replace(settings.solver, tidy3d=tidy3d))
    service = Service(settings)

    def ready(url: str) -> None:
        if options.json:
            print_json({"url": url})
        else:
            print_line(f"job manager at {url}")

    log_to_stderr()
    run(service, ready)
    return 0
