"""From what was typed to an exit status. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from simcampaign.cli.parser import WRONG, build_parser, check_verb
from simcampaign.errors import ConfigError, ConflictError, SimcampaignError, SimulationError, TemplateError

FAILED, UNUSABLE, STOPPED, CLOSED = 1, 3, 130, 141

_STATUSES = {ConfigError: WRONG, TemplateError: WRONG, ConflictError: WRONG, SimulationError: FAILED}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit as ended:  # argparse's, after help or a usage error
        return ended.code if isinstance(ended.code, int) else WRONG
    except SimcampaignError as error:
        sys.stderr.write(f"{error}\n")
        return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), UNUSABLE)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; jobs that were submitted keep running: simcampaign jobs\n")
        return STOPPED
    except BrokenPipeError:
        # Whoever read has gone; what is still buffered must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def _run(arguments: list[str]) -> int:
    command: list[str] = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, command = arguments[:at], arguments[at + 1 :]
    parser = build_parser()
    check_verb(parser, arguments)
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
