"""How what was typed is read, and the help that tells it."""

from __future__ import annotations

import argparse
import difflib
import functools
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from simcampaign.cli.verbs import VERBS, Verb

WRONG = 2
"""Exit status after what was typed wrong."""

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


class Parser(argparse.ArgumentParser):
    """A parser whose complaints end with the next thing to type."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit."""
        sys.stderr.write(f"{self.prog}: {message}\n  → {self.prog} --help\n")
        sys.exit(WRONG)


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
    parser.set_defaults(json=False)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs", parser_class=Parser)
    for verb in VERBS:
        _add(verbs, verb, f"{parser.prog} {verb.name}")
    return parser


def write_help(width: int) -> Iterator[str]:
    """Yield the help of every verb, ``width`` columns wide, without what ``simcampaign --help`` tells of it."""
    formatter = functools.partial(argparse.RawDescriptionHelpFormatter, width=width)
    for verb in VERBS:
        for words, each in [([verb.name], verb), *(([verb.name, deed.name], deed) for deed in verb.below)]:
            parser = Parser(prog=" ".join(["simcampaign", *words]))
            _fill(parser, each)
            parser.formatter_class = formatter
            yield parser.format_help().rstrip()


def _add(parsers: argparse._SubParsersAction[Parser], verb: Verb, prog: str) -> None:
    _fill(parsers.add_parser(verb.name, prog=prog, help=verb.about, allow_abbrev=False), verb)


def _fill(parser: Parser, verb: Verb) -> None:
    """Give a parser all that a verb takes and says of itself."""
    parser.description = f"{verb.about[:1].upper()}{verb.about[1:]}.\n{verb.more}".strip()
    parser.epilog = f"examples:\n{verb.examples}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if verb.arguments is not None:
        verb.arguments(parser)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON document")
    parser.set_defaults(handler=verb.handler)
    if verb.below:
        below = parser.add_subparsers(dest="deed", metavar="DEED", title="deeds", parser_class=Parser)
        for each in verb.below:
            _add(below, each, f"{parser.prog} {each.name}")


def check_verb(parser: Parser, arguments: Sequence[str]) -> None:
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
