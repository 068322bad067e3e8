"""Write the reference of all flows and fields, docs/reference.md: ``make reference``."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from configs import describe
from flows.__main__ import listed
from simcampaign.errors import SimcampaignError

WIDTH = 100

HEAD = """# Reference

Every field of every flow, as `python -m flows.NAME --help` tells it. This page is generated: `make reference`.
"""

ERRORS = """## Errors

Every error that simcampaign raises on purpose belongs to one of these, sorted by who must act.
"""


def write_reference() -> str:
    """Return the page."""
    parts = [HEAD, *(_flow(name) for name, _ in listed()), ERRORS, _fenced(_error_tree())]
    return "\n".join(parts)


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
