"""Write the reference of all flows and fields, docs/reference.md: ``make reference``."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from configs import describe
from configs.help import describe_fields
from flows.__main__ import listed
from simcampaign.cli.parser import write_help
from simcampaign.errors import SimcampaignError
from simcampaign.plugins import Broken
from simcampaign.sites.registry import SiteConfig, backends

WIDTH = 100

HEAD = """# Reference

Every field of every flow, as `python -m flows.NAME --help` tells it; every field of every backend's sites; and every
verb of the command line. This page is generated: `make reference`.
"""

SITES = """## Sites

What may be written about a site in `sites.toml`; see [sites.md](sites.md). Every site has these fields, and those of
its backend.
"""

COMMANDS = """## Command line

The verbs of `simcampaign`, as `simcampaign VERB --help` tells them.
"""

ERRORS = """## Errors

Every error that simcampaign raises on purpose belongs to one of these, sorted by who must act.
"""


def write_reference() -> str:
    """Return the page."""
    flows = (_flow(name) for name, _ in listed())
    commands = (_fenced(text) for text in write_help(WIDTH))
    parts = [HEAD, *flows, SITES, _fenced(describe_fields("site", SiteConfig, WIDTH)), *_backends()]
    return "\n".join([*parts, COMMANDS, *commands, ERRORS, _fenced(_error_tree())])


def _backends() -> Iterator[str]:
    """Yield a section for each backend of our own; those of other packages are not ours to describe."""
    installed = backends()
    for name in installed:
        kind = installed[name]
        if isinstance(kind, Broken):
            raise SystemExit(f"backend {name} cannot be used: {kind.reason}")
        if kind.__module__.startswith("simcampaign."):
            about = " ".join((inspect.getdoc(kind) or "").split())
            yield "\n".join([f"### {name}", "", about, "", _fenced(describe_fields(name, kind.options, WIDTH))])


def _flow(name: str) -> str:
    flow = importlib.import_module(f"flows.{name}")
    about, _, rest = (flow.__doc__ or "").partition("\n")
    fields = describe(flow.ContextConfig, flow.SeriesConfig, flow.ParametersConfig, width=WIDTH)
    return "\n".join([f"## {name}", "", about, "", _fenced(rest.strip("\n")), _fenced(fields)])


def _error_tree() -> str:
    text = inspect.getmodule(SimcampaignError).__doc__ or ""
    return inspect.cleandoc(text.partition("\n\n")[2].rpartition("\n\n")[0])


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(write_reference())
