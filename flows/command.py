"""The command line that every flow module shares: ``python -m flows.NAME``.

Configurations are read, validated and planned before Prefect is imported: help, dry runs and errors come at once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import configs
from configs.shrink import shrink
from flows.deploying import add_options, deploy, order_of
from simcampaign.engine.campaign import Campaign
from simcampaign.engine.collect import is_settled
from simcampaign.engine.document import check_document, plan_document, read_document
from simcampaign.engine.planning import Prepared, prepare
from simcampaign.engine.preview import brief, detailed
from simcampaign.engine.submission import check_submission
from simcampaign.errors import ConfigError, LocationError, Problem, SimcampaignError, TemplateError
from simcampaign.places import data_folder
from simcampaign.plan import Plan
from simcampaign.runs import RunState
from tasks.caller import CALLER, Caller
from tasks.outcome import COMPLETE, INCOMPLETE, STOPPED, Outcome

WRONG, UNUSABLE = 2, 3

_ONCE = ("--only", "--apply", "--plan")

STATUS = """exit status:
  0    the series is complete
  1    something is missing, failed or still in flight
  2    the configuration or the template is wrong; nothing was created
  3    a location, a site or a service could not be used, or a reviewed plan no longer holds
  130  stopped by Ctrl-C; jobs that were submitted keep running
"""

USAGE = """
  python -m flows.{name} campaign.yaml                          one file
  python -m flows.{name} :: context.working_location=out ...    inline, also after a file
  python -m flows.{name} context=laptop series=colony parameters=quick
                           composed from configs/context/laptop.yaml, configs/series/colony.yaml, ...

Overrides such as series.seeds=0-9 (or --set series.seeds=0-9) may follow each of them.
"""


@dataclass(frozen=True)
class FlowCommand:
    """What a flow module tells the shared command line of itself."""

    name: str
    """The module's name in this package."""

    about: str
    """The module's docstring."""

    context: Any
    """A config, or a union of configs that their field ``kind`` tells apart."""

    series: type[Any]
    parameters: type[Any]

    open_campaign: Callable[[Any, Any, Any], Campaign] | None = None
    """Makes the campaign of a run flow, to plan it before Prefect is imported; other flows have no plan."""

    ticks: bool = False
    """True for the flow that does one tick and returns."""


def main(command: FlowCommand, arguments: Sequence[str] | None = None) -> int:
    """Run a flow's command line and return its exit status."""
    try:
        return _run(command, list(sys.argv[1:] if arguments is None else arguments))
    except (ConfigError, TemplateError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    except SimcampaignError as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return STOPPED


def _run(command: FlowCommand, arguments: list[str]) -> int:
    options, rest = _parser(command).parse_known_args(arguments)
    if options.help:
        sys.stdout.write(_help(command))
        return COMPLETE
    loaded = configs.load(rest, command.context, command.series, command.parameters)
    order = order_of(options)
    if order is not None:
        return COMPLETE if deploy(command.name, loaded, order) else INCOMPLETE
    if command.open_campaign is not None:
        if options.only:
            loaded = replace(loaded, parameters=replace(loaded.parameters, only=options.only))
        return _run_campaign(command.open_campaign, command, options, loaded, arguments)
    if options.dryrun:
        sys.stdout.write(loaded.text)
        return COMPLETE
    return _report(_run_flow(command, loaded, Caller(_typed(command, arguments))), options.json)


def _run_campaign(
    open_campaign: Callable[[Any, Any, Any], Campaign],
    command: FlowCommand,
    options: argparse.Namespace,
    loaded: configs.Loaded[Any, Any, Any],
    arguments: list[str],
) -> int:
    campaign = open_campaign(loaded.context, loaded.series, loaded.parameters)
    prepared = prepare(campaign, save=False)
    check = _reviewed(options.apply, campaign, prepared)
    if options.plan:
        _save_plan(options.plan, campaign, prepared)
    if options.dryrun or options.plan:
        as_json = f"{json.dumps(plan_document(campaign, prepared))}\n"
        sys.stdout.write(as_json if options.json else f"{loaded.text}\n{detailed(campaign, prepared)}")
        return COMPLETE
    sys.stderr.write(f"{brief(campaign, prepared)}\n")
    loops = command.ticks and options.until_complete
    waits = loops and RunState.WAITING.label in prepared.plan.counts
    if not prepared.plan.jobs and is_settled(campaign) and not waits:
        return _report(_settled(campaign, prepared.plan), options.json)
    check_submission(campaign, prepared.plan)
    caller = Caller(_typed(command, arguments), options.follow, loops, check)
    return _report(_run_flow(command, loaded, caller), options.json)


def _reviewed(source: str | None, campaign: Campaign, prepared: Prepared) -> Callable[[Campaign, Prepared], None]:
    """Return what holds every later plan against the reviewed one, after doing so for the present one."""
    if source is None:
        return lambda _campaign, _prepared: None
    try:
        document = read_document(Path(source).read_text(encoding="utf-8"), source)
    except OSError as error:
        problem = Problem("--apply", source, f"cannot be read: {error.strerror}", "save a plan with --plan FILE")
        raise ConfigError([problem]) from error
    check_document(document, campaign, prepared)
    return lambda campaign, prepared: check_document(document, campaign, prepared)


def _save_plan(target: str, campaign: Campaign, prepared: Prepared) -> None:
    try:
        Path(target).write_text(f"{json.dumps(plan_document(campaign, prepared), indent=1)}\n", encoding="utf-8")
    except OSError as error:
        raise LocationError(f"--plan {target}: cannot be written: {error.strerror}") from error
    sys.stderr.write(f"Plan saved: {target}. To apply it: the same command with --apply {shlex.quote(target)}\n")


def _settled(campaign: Campaign, plan: Plan) -> Outcome:
    """Return the outcome of a campaign run that has nothing to submit, to watch or to collect."""
    page = campaign.layout.summary_page
    which = "run" if plan.selected is None else "selected run"
    done = f"Nothing is left to do: every {which} of series {campaign.series.name} is done."
    return Outcome(
        complete=plan.complete,
        counts=plan.counts,
        submitted=0,
        active=0,
        end=done if plan.complete else "Nothing is to be submitted, yet the series is not complete; --dryrun says why.",
        stopped=False,
        cancelled=False,
        summary=campaign.working.url(page) if campaign.working.exists(page) else "",
        failures="",
        settled=True,
    )


def _typed(command: FlowCommand, arguments: Sequence[str]) -> str:
    """Return what a person types to run the series again: with this Python and this ledger, not only a part of it."""
    python = Path(sys.executable)
    if shutil.which("python") == str(python):
        python = Path("python")
    elif python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    home = os.environ.get("SIMCAMPAIGN_HOME")
    prefix = f"SIMCAMPAIGN_HOME={shlex.quote(home)} " if home else ""
    return prefix + shlex.join([str(python), "-m", f"flows.{command.name}", *_lasting(arguments)])


def _lasting(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments without those that were meant for this time alone."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _ONCE:
            next(rest, None)
        elif not argument.startswith(tuple(f"{option}=" for option in _ONCE)):
            yield argument


def _run_flow(
    command: FlowCommand,
    loaded: configs.Loaded[Any, Any, Any],
    caller: Caller,
) -> Any:
    """Import Prefect and run the flow in this process."""
    from flows.stage import prefect_server  # noqa: PLC0415 - Prefect takes seconds to import

    with prefect_server():
        CALLER.set(caller)
        flow = importlib.import_module(f"flows.{command.name}").run_flow
        series = shrink(loaded.series, data_folder() / "conditions")
        state = flow(context=loaded.context, series=series, parameters=loaded.parameters, return_state=True)
        outcome = state.result(raise_on_failure=False)  # that of a cancelled flow run, too
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _report(outcome: Any, as_json: bool) -> int:
    sys.stdout.write(f"{json.dumps(asdict(outcome)) if as_json else outcome}\n")
    return int(outcome.exit_status)


def _parser(command: FlowCommand) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m flows.{command.name}", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true", help="show this text and every field of the configuration")
    parser.add_argument(
        "--dryrun", action="store_true", help="show the composed configuration and the plan; run nothing"
    )
    parser.add_argument("--json", action="store_true", help="print machine-readable JSON on the standard output")
    if command.open_campaign is not None:
        if command.ticks:
            parser.add_argument("--until-complete", action="store_true", help="do one tick after another, here")
        parser.add_argument("--plan", metavar="FILE", help="save the plan to review it; run nothing")
        parser.add_argument("--apply", metavar="FILE", help="run a reviewed plan, only if nothing has moved since")
        parser.add_argument("--follow", action="store_true", help="print what a few of the running jobs print")
        parser.add_argument("--only", metavar="RUN", action="append", help="run this run alone, e.g. colony_rich_0003")
    add_options(parser)
    return parser


def _help(command: FlowCommand) -> str:
    fields = configs.describe(command.context, command.series, command.parameters)
    options = _parser(command).format_help().split("\n\n", 1)[1]
    return "\n".join(
        [
            command.about.strip(),
            "",
            "usage:",
            USAGE.format(name=command.name).strip("\n"),
            "",
            options,
            fields,
            "",
            STATUS,
        ]
    )
