"""Deployments made from a config: ``python -m flows.NAME CONFIG --deploy NAME``.

A deployment keeps the config as its parameters. One that is there is compared field by field, and written over only
when the person has seen what changes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

import configs
from configs.shrink import shrink
from simcampaign.errors import ABSENT, ConfigError, NetworkError, Problem, SiteError, shorten
from simcampaign.fields import reader
from simcampaign.places import data_folder

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.responses import DeploymentResponse

POOL = "simcampaign"
"""The work pool that is used if none is named."""

SCHEDULE = "campaign"
"""Name of a deployment's schedule."""

PLACES = ("SIMCAMPAIGN_HOME", "SIMCAMPAIGN_SITES")
"""Variables that tell where the ledger and the sites are; a worker on this machine must see the same."""


@dataclass(frozen=True)
class Order:
    """What a person typed of a deployment."""

    name: str
    cron: str | None = None
    """When to run it, as in a crontab; None leaves a schedule that is there as it is."""

    timezone: str = "UTC"
    pool: str = POOL
    yes: bool = False
    """True to write over a deployment that is there without asking."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what a person may type of a deployment."""
    group = parser.add_argument_group("deployments")
    group.add_argument("--deploy", metavar="NAME", help="create or update this Prefect deployment; run nothing")
    group.add_argument("--cron", metavar="WHEN", help='schedule of the deployment, e.g. "*/10 * * * *"')
    group.add_argument("--timezone", metavar="ZONE", help="time zone of the schedule, e.g. Europe/Zurich; default UTC")
    group.add_argument("--pool", metavar="POOL", help=f"work pool of the deployment; default {POOL}")
    group.add_argument("--yes", action="store_true", help="write over a deployment that is there without asking")


def order_of(options: argparse.Namespace) -> Order | None:
    """Return what was typed of a deployment; None if nothing was."""
    if options.deploy is not None:
        return Order(options.deploy, options.cron, options.timezone or "UTC", options.pool or POOL, options.yes)
    stray = [f"--{name}" for name in ("cron", "timezone", "pool", "yes") if getattr(options, name)]
    if stray:
        raise ConfigError([Problem(each, ABSENT, "belongs to a deployment", "add --deploy NAME") for each in stray])
    return None


def deploy(flow_name: str, loaded: configs.Loaded[Any, Any, Any], order: Order) -> bool:
    """Create or update a deployment of the flow in ``flows.flow_name``; returns False if the person declined.

    Raises ``ConfigError`` for a name, a schedule or a pool that cannot be, ``NetworkError`` if there is no server.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - Prefect takes seconds to import
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415

    if not PREFECT_API_URL.value():
        hint = "start one with `prefect server start`, then set PREFECT_API_URL as it says"
        raise NetworkError("--deploy needs a Prefect server that stays", hint)
    _check_name(order.name)
    flow = importlib.import_module(f"flows.{flow_name}").run_flow
    with _answering(), get_client(sync_client=True) as client:
        present = _present(client, f"{flow.name}/{order.name}")
        wanted = _wanted(client, flow, loaded, order, present)
        title = f"deployment {flow.name}/{order.name}"
        if present is not None:
            found = list(changes(_comparable(present), _comparable(wanted)))
            if not found:
                sys.stdout.write(f"{title} is already as the config says.\n")
                return True
            sys.stdout.write("\n".join([f"{title} changes:", *(f"  {line}" for line in found), ""]))
            if not order.yes and not _agreed():
                sys.stdout.write("Nothing was changed.\n")
                return False
        client.create_deployment(flow_id=client.create_flow_from_name(flow.name), **wanted)
    done = "created" if present is None else "updated"
    sys.stdout.write(
        f"{title} is {done}.\n"
        f"  a worker runs it:  prefect worker start --pool {order.pool}\n"
        f"  run it now:        prefect deployment run '{flow.name}/{order.name}'\n"
    )
    return True


@contextmanager
def _answering() -> Iterator[None]:
    """Say in our words what the server refuses, and that it cannot be reached."""
    import httpx  # noqa: PLC0415 - comes with Prefect

    try:
        yield
    except httpx.HTTPStatusError as error:
        raise ConfigError(
            [Problem("--deploy", ABSENT, f"Prefect refuses it: {shorten(error.response.text)}")]
        ) from error
    except httpx.HTTPError as error:
        hint = "check PREFECT_API_URL, and that the server runs: prefect server start"
        raise NetworkError(f"Prefect's server cannot be reached: {error}", hint) from error


def changes(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield a line for every value that differs: ``+ path: new``, ``- path: old`` or ``~ path: old → new``."""
    for name in dict.fromkeys([*old, *new]):
        here = f"{path}.{name}" if path else name
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if before == after and type(before) is type(after):
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from changes(before, after, here)
        elif isinstance(before, list) and isinstance(after, list):
            yield from changes(dict(_numbered(before)), dict(_numbered(after)), here)
        elif before is ABSENT:
            yield f"+ {here}: {_shown(after)}"
        elif after is ABSENT:
            yield f"- {here}: {_shown(before)}"
        else:
            yield f"~ {here}: {_shown(before)} → {_shown(after)}"


def _numbered(items: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((str(index), item) for index, item in enumerate(items))


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), 60)


def _wanted(
    client: SyncPrefectClient,
    flow: Any,
    loaded: configs.Loaded[Any, Any, Any],
    order: Order,
    present: DeploymentResponse | None,
) -> dict[str, Any]:
    """Return the deployment as Prefect's client takes it."""
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions  # noqa: PLC0415
    from prefect.utilities.callables import parameter_schema  # noqa: PLC0415

    series = shrink(loaded.series, data_folder() / "conditions")
    parts = {"context": loaded.context, "series": series, "parameters": loaded.parameters}
    here = _pool_type(client, order.pool) == "process"
    folder = {"prefect.deployments.steps.set_working_directory": {"directory": str(Path.cwd())}}
    environment = {"PREFECT_LOGGING_EXTRA_LOGGERS": "simcampaign"}
    if here:
        environment |= {name: str(Path(os.environ[name]).absolute()) for name in PLACES if os.environ.get(name)}
    return {
        "name": order.name,
        "description": flow.description,
        "entrypoint": f"{flow.__module__}.{flow.__name__}",
        "work_pool_name": order.pool,
        "job_variables": {"env": environment},
        "pull_steps": [folder] if here else [],
        "parameters": {name: reader(type(value)).dump_python(value, mode="json") for name, value in parts.items()},
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "tags": ["simcampaign", series.name],
        "schedules": _schedules(order, present),
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
    }


def _schedules(order: Order, present: DeploymentResponse | None) -> list[DeploymentScheduleCreate]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate  # noqa: PLC0415
    from prefect.client.schemas.schedules import CronSchedule  # noqa: PLC0415

    if order.cron is None:
        kept = present.schedules if present else []
        names = {"schedule", "active", "parameters", "slug"}
        return [DeploymentScheduleCreate(**{name: getattr(each, name) for name in names}) for each in kept]
    try:
        schedule = CronSchedule(cron=order.cron, timezone=order.timezone)
    except ValidationError as error:
        (wrong, *_) = error.errors()
        problem = Problem(
            f"--{wrong['loc'][0]}",
            wrong["input"],
            f"is none: {wrong.get('ctx', {}).get('error', wrong['msg'])}",
            'e.g. --cron "*/10 * * * *": every ten minutes; --timezone Europe/Zurich',
        )
        raise ConfigError([problem]) from error
    return [DeploymentScheduleCreate(schedule=schedule, active=True, slug=SCHEDULE)]


def _pool_type(client: SyncPrefectClient, pool: str) -> str:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    try:
        return client.read_work_pool(pool).type
    except ObjectNotFound as error:
        hint = f"prefect work-pool create {pool} --type process"
        raise SiteError(f"--pool {pool}: Prefect has no such work pool", hint) from error


def _present(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _comparable(deployment: DeploymentResponse | Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person sees of a deployment, as plain data."""
    said = deployment if isinstance(deployment, Mapping) else dict(deployment)
    limit, strategy = said.get("concurrency_limit"), said.get("concurrency_options")
    if limit is None and (given := said.get("global_concurrency_limit")) is not None:
        limit = given.limit
    return {
        **said["parameters"],
        "schedule": [
            f"{getattr(each.schedule, 'cron', each.schedule)} {each.schedule.timezone}"
            + ("" if each.active else " (paused)")
            for each in said["schedules"]
        ],
        "work pool": said["work_pool_name"],
        "folder and variables": [said["pull_steps"] or [], said["job_variables"]],
        "tags": sorted(said["tags"]),
        "entrypoint": said["entrypoint"],
        "runs at a time": [limit, strategy.collision_strategy.value if strategy else None],
        "form": said["parameter_openapi_schema"],
    }


def _check_name(name: str) -> None:
    if not name or any(character in "/%&><" for character in name):
        raise ConfigError([Problem("--deploy", name, "is no name: it must not be empty, nor hold / % & > <")])


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError([Problem("--yes", ABSENT, "is missing: nobody is there to be asked", "add --yes")])
    sys.stdout.flush()
    return input("Write over it? [y/N] ").strip().lower() in {"y", "yes"}
