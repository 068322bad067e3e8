"""Seeds as a person writes them: a list, ``{start, stop}``, or text like ``"0-99,200"``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simcampaign.errors import ABSENT, Problem
from simcampaign.mistakes import did_you_mean

MAX_SEEDS = 10**6
"""A series holds at most this many seeds: what one campaign is built for."""

_PIECE = re.compile(r"\s*([0-9]{1,18})\s*(?:-\s*([0-9]{1,18})\s*)?\Z")
_FORMS = 'e.g. [0, 1, 2], "0-9,20" or {start: 0, stop: 10}'


def expand_seeds(raw: object, path: str = "series.seeds") -> tuple[list[int], list[Problem]]:
    """Return the seeds that ``raw`` stands for, in the order given, and what is wrong with it.

    ``raw`` is an integer, text in which ``a-b`` includes both ends, a list that mixes both, or a mapping with
    ``start``, ``stop`` (not included, as in Python's range) and optionally ``step``. That seeds are integers, not
    negative and not repeated is checked by ``Series.problems``, so a list's other elements come back as they are.
    """
    problems: list[Problem] = []
    if isinstance(raw, Mapping):
        return _expand_range(raw, path, problems), problems
    if isinstance(raw, str):
        return _expand_text(raw, path, problems), problems
    if isinstance(raw, int) and not isinstance(raw, bool):
        return [raw], problems
    if not isinstance(raw, (list, tuple)):
        return [], [Problem(path, raw, "must be a list, text or a range", _FORMS)]
    seeds: list[int] = []
    for index, item in enumerate(raw):
        if isinstance(item, str):
            seeds += _expand_text(item, f"{path}[{index}]", problems)
        else:
            seeds.append(item)
        if len(seeds) > MAX_SEEDS:
            return [], [*problems, _too_many(path, ABSENT, len(seeds))]
    return seeds, problems


def seed_places(raw: object) -> list[int]:
    """Return the index of the element that each seed came from, if ``raw`` is a list that holds text; else nothing."""
    if not isinstance(raw, (list, tuple)) or not any(isinstance(item, str) for item in raw):
        return []
    pieces = (expand_seeds(item)[0] if isinstance(item, str) else [item] for item in raw)
    return [index for index, piece in enumerate(pieces) for _ in piece]


def _expand_text(text: str, path: str, problems: list[Problem]) -> list[int]:
    seeds: list[int] = []
    for piece in text.split(","):
        match = _PIECE.match(piece)
        if not match:
            negative = piece.strip().startswith("-")
            reason = (
                "a seed must not be negative"
                if negative
                else f"{piece.strip()!r} is neither a seed nor a range of seeds"
            )
            problems.append(Problem(path, text, reason, 'e.g. "0-99,200"'))
            continue
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            problems.append(Problem(path, text, f"the range {piece.strip()} runs backwards", f"write {last}-{first}"))
        elif len(seeds) + last - first + 1 > MAX_SEEDS:
            problems.append(_too_many(path, text, len(seeds) + last - first + 1))
        else:
            seeds.extend(range(first, last + 1))
    return seeds


def _expand_range(raw: Mapping[object, object], path: str, problems: list[Problem]) -> list[int]:
    known = ("start", "stop", "step")
    for name, value in raw.items():
        if name not in known:
            problems.append(Problem(f"{path}.{name}", value, "there is no such field", did_you_mean(str(name), known)))
        elif isinstance(value, bool) or not isinstance(value, int):
            problems.append(Problem(f"{path}.{name}", value, "must be an integer"))
    problems += [
        Problem(f"{path}.{name}", ABSENT, "is missing", f"add `{name}: …`; stop is not included")
        for name in ("start", "stop")
        if name not in raw
    ]
    if problems:
        return []
    start, stop, step = (int(str(raw.get(name, 1))) for name in known)
    if step < 1:
        problems.append(Problem(f"{path}.step", step, "must be 1 or more"))
        return []
    seeds = range(start, stop, step)
    if not seeds:
        problems.append(
            Problem(path, dict(raw), "holds no seed", "stop is not included, so it must be greater than start")
        )
    elif len(seeds) > MAX_SEEDS:
        problems.append(_too_many(path, dict(raw), len(seeds)))
        return []
    return list(seeds)


def _too_many(path: str, value: object, count: int) -> Problem:
    return Problem(path, value, f"stands for {count} seeds, more than {MAX_SEEDS}", "split the series")
