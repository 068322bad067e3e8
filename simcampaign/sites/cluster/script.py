"""Rendering a job script: text that a scheduler and a shell will read, from values that nobody vouches for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from simcampaign.errors import SiteError, shorten

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f'\"\\`#$;]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


class Shell(str):
    """Text that a shell may read as it is."""

    __slots__ = ()


def quote(value: object) -> Shell:
    """Return one word of a shell's command line, for ``{{ value | quote }}``; control characters are refused."""
    text = str(value)
    if _CONTROL.search(text):
        raise SiteError(f"{shorten(repr(text))} cannot stand in a job script: it has a control character in it")
    return Shell(shlex.quote(text))


def own(lines: object) -> Shell:
    """Return lines that the owner of the site wrote for the script, for ``{{ options.prologue | own }}``."""
    return Shell(lines)


def directive(value: object) -> str:
    """Return a value that may stand in a directive line, which no shell reads and no quotes protect.

    Raises ``SiteError`` for blanks, line breaks, quotes and what could end the line or begin a comment.
    """
    text = str(value)
    if isinstance(value, Shell):
        return text
    if not text or _UNFIT.search(text):
        raise SiteError(
            f"{shorten(repr(text))} cannot stand in a directive of a job script: it is empty, or has a blank, a line "
            "break, a quote or one of \\ ` # $ ; in it",
            "correct it in the site's options, or in those of the array",
        )
    return text


@cache
def _environment() -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.PackageLoader("simcampaign.sites.cluster", "."),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        finalize=directive,  # so that no value goes unchecked
    )
    environment.filters.update(quote=quote, own=own)
    return environment


def render(template: str, variables: Mapping[str, Any]) -> str:
    """Render the template of this name that lies beside this file.

    Each ``{{ value }}`` is checked as a directive; ``| quote`` makes it a shell's word instead, ``| own`` leaves it as
    the owner of the site wrote it.
    """
    return _environment().get_template(template).render(variables)
