"""Which lines of a log are kept: the text patterns of CloudWatch Logs, so that one setting works at every site.

``ERROR`` keeps lines with that term, ``ERROR disk`` those with both, ``"disk full"`` those with the phrase,
``?WARN ?ERROR`` those with either, ``ERROR -ignored`` leaves out what has the second, ``%regular expression%`` matches.
Terms are case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from simcampaign.errors import ConfigError, Problem

_TERM = re.compile(r'%(?P<regex>[^%]+)%|(?P<sign>[-?]?)(?:"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+))')


def line_filter(pattern: str) -> Callable[[str], bool]:
    """Compile a pattern; an empty one keeps every line. Raises ``ConfigError`` for a broken regular expression."""
    every: list[Callable[[str], bool]] = []
    either: list[str] = []
    for match in _TERM.finditer(pattern):
        term = match["phrase"] if match["phrase"] is not None else match["word"]
        if match["regex"]:
            every.append(_regex(match["regex"]))
        elif match["sign"] == "?":
            either.append(term)
        elif match["sign"] == "-":
            every.append(_without(term))
        else:
            every.append(_with(term))

    def keep(line: str) -> bool:
        return all(test(line) for test in every) and (not either or any(term in line for term in either))

    return keep


def _with(term: str) -> Callable[[str], bool]:
    return lambda line: term in line


def _without(term: str) -> Callable[[str], bool]:
    return lambda line: term not in line


def _regex(expression: str) -> Callable[[str], bool]:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        problem = Problem(
            "parameters.log_filter", expression, f"is no regular expression: {error}", "e.g. %Error|Warn%"
        )
        raise ConfigError([problem]) from error
    return lambda line: compiled.search(line) is not None


def filter_log(data: bytes, keep: Callable[[str], bool]) -> bytes:
    """Return the lines of a log that are kept, bytes that are no text replaced."""
    lines = data.decode(errors="replace").splitlines(keepends=True)
    return "".join(line for line in lines if keep(line.rstrip("\r\n"))).encode()
