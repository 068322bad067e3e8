"""From what was typed to an exit status. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from simcampaign.cli.verbs import VERBS, Verb
from simcampaign.errors import ConfigError, ConflictError, SimcampaignError, SimulationError, TemplateError

FAILED, WRONG, UNUSABLE, STOPPED, CLOSED = 1, 2, 3, 130, 141

ABOUT = """Run simulations on this machine, in containers, on a cluster or in the cloud, and find them again.

Sites are configured in one file; `simcampaign sites add` asks and tests. The site `local` is always there.
For campaigns of conditions and seeds see `python -m flows`."""

STATUS = """exit status:
  0    done; every job that was named has finished
  1    a job failed, was cancelled, was lost or has not ended yet; a site is not well
  2    what was typed or configured is wrong, or something is in the way
  3    a site, a location or a service could not be used or reached
  130  stopped by Ctrl-C; jobs that were submitted keep running
"""

EXAMPLES = """examples:
  simcampaign run melt.in --to out                           run an input file on this machine, wait, fetch
  simcampaign submit melt.in --site hpc --ranks 16           hand it to a cluster and return at once
  simcampaign jobs --since 2d                                what became of the jobs of the last two days
  simcampaign wait melt-1 && simcampaign copy melt-1 out     later, also after a reboot
  simcampaign doctor hpc                                     why does nothing run there?
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as ended:  # argparse's, after help or a usage error
        return ended.code if isinstance(ended.code, int) else WRONG
    except (ConfigError, TemplateError, ConflictError) as error:
        sys.stderr.write(f"{error}\n")
        return WRONG
    except SimulationError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except SimcampaignError as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE
    except KeyboardInterrupt:
        sys.stderr.write("stopped; jobs that were submitted keep running: simcampaign jobs\n")
        return STOPPED
    except BrokenPipeError:
        # Whoever read has gone; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


class Parser(argparse.ArgumentParser):
    """A parser whose complaints end with the next thing to type."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit."""
        sys.stderr.write(f"{self.prog}: {message}\n  → {self.prog} --help\n")
        sys.exit(WRONG)


def _run(arguments: list[str]) -> int:
    command: list[str] = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    parser = build_parser()
    _check_verb(parser, arguments)
    options = parser.parse_args(arguments)
    if command and not hasattr(options, "command"):
        parser.error(f"{options.verb} takes no command after --")
    if command:
        options.command = command
    if not hasattr(options, "handler"):
        sys.stdout.write(parser.format_help())
        return 0
    module, _, function = options.handler.partition(":")
    status = int(getattr(importlib.import_module(module), function)(options))
    sys.stdout.flush()
    return status


def build_parser() -> Parser:
    """Return the parser of all verbs."""
    parser = Parser(
        prog="simcampaign",
        description=ABOUT,
        epilog=f"{EXAMPLES}\n{STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="store_const",
        const="simcampaign.cli.version:show",
        dest="handler",
        default=argparse.SUPPRESS,
        help="show which this is",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=Parser)
    for verb in VERBS:
        _add(verbs, verb, f"{parser.prog} {verb.name}")
    return parser


def _add(parsers: argparse._SubParsersAction[Parser], verb: Verb, prog: str) -> None:
    parser = parsers.add_parser(
        verb.name,
        prog=prog,
        help=verb.about,
        description=f"{verb.about[:1].upper()}{verb.about[1:]}. {verb.more}".strip(),
        epilog=f"examples:\n{verb.examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if verb.arguments is not None:
        verb.arguments(parser)
    parser.add_argument("--json", action="store_true", default=False, help="print one JSON document")
    parser.set_defaults(handler=verb.handler)
    if verb.below:
        below = parser.add_subparsers(dest="deed", metavar="DEED", title="deeds", parser_class=Parser)
        for each in verb.below:
            _add(below, each, f"{prog} {each.name}")


def _check_verb(parser: Parser, arguments: Sequence[str]) -> None:
    """Answer a verb that there is not with the nearest one; argparse would list them all."""
    place, known = "", {verb.name: verb for verb in VERBS}
    for word in arguments:
        if word.startswith("-"):
            return
        if word not in known:
            nearest = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
            meant = f"did you mean `{place}{nearest[0]}`?" if nearest else f"one of: {', '.join(known)}"
            parser.error(f"there is no verb `{place}{word}`; {meant}")
        verb = known[word]
        if not verb.below:
            return
        place, known = f"{place}{word} ", {each.name: each for each in verb.below}
