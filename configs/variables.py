"""The values of one variable: a list, or ``linspace``, ``logspace`` or ``range``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from simcampaign.errors import Problem
from simcampaign.mistakes import did_you_mean

MAX_VALUES = 10**6
"""Values of a variable, and conditions of a generator, are at most this many: what one campaign is built for."""

_FORMS = ("linspace", "logspace", "range")


def expand_values(raw: object, path: str, problems: list[Problem]) -> list[Any]:
    """Return the values that ``raw`` stands for; what is wrong with it is added to ``problems``.

    ``{linspace: [start, stop, n]}`` gives n evenly spaced numbers, both ends included; ``{logspace: [start, stop, n]}``
    n numbers from 10**start to 10**stop, both ends included (numpy's meaning); ``{range: [start, stop, step]}`` numbers
    from start in steps, stop not included, counted in decimal so that ``[0, 1, 0.1]`` gives ten.
    """
    if isinstance(raw, (list, tuple)):
        if not raw:
            problems.append(Problem(path, raw, "there is no value", "give at least one"))
        return list(raw)
    if not isinstance(raw, Mapping):
        remedy = "write it as a list, or under `constants` if it is the same everywhere"
        problems.append(Problem(path, raw, "must be a list of values", remedy))
        return []
    if len(raw) != 1 or next(iter(raw)) not in _FORMS:
        wrong = next((str(name) for name in raw if name not in _FORMS), "")
        remedy = did_you_mean(wrong, _FORMS) if wrong else f"one of: {', '.join(_FORMS)}"
        problems.append(Problem(path, raw, "must hold exactly one way to make values", remedy))
        return []
    form, arguments = next(iter(raw.items()))
    return _generate(form, arguments, f"{path}.{form}", problems)


def _generate(form: str, arguments: object, path: str, problems: list[Problem]) -> list[Any]:
    shape = "[start, stop, step]" if form == "range" else "[start, stop, n]"
    sizes = {2, 3} if form == "range" else {3}
    if not isinstance(arguments, (list, tuple)) or len(arguments) not in sizes or not all(map(_is_number, arguments)):
        problems.append(Problem(path, arguments, "must be three finite numbers", f"{form}: {shape}"))
        return []
    if form == "range":
        return _stepped(arguments, path, problems)
    start, stop, count = arguments
    if not isinstance(count, int) or not 1 <= count <= MAX_VALUES:
        problems.append(Problem(f"{path}[2]", count, f"must be an integer from 1 to {MAX_VALUES}", f"{form}: {shape}"))
        return []
    import numpy as np  # noqa: PLC0415 - most configs never need it

    if form == "linspace":
        return list(np.linspace(start, stop, count).tolist())
    if max(abs(start), abs(stop)) > 300:
        problems.append(Problem(path, arguments, "start and stop are exponents of 10, beyond what a number holds"))
        return []
    return list(np.logspace(start, stop, count).tolist())


def _stepped(arguments: list[Any] | tuple[Any, ...], path: str, problems: list[Problem]) -> list[Any]:
    whole = all(isinstance(argument, int) for argument in arguments)
    start, stop, step = (Decimal(repr(argument)) for argument in (*arguments, 1)[:3])
    if step == 0:
        problems.append(Problem(f"{path}[2]", arguments[2], "must not be zero"))
        return []
    count = math.ceil((stop - start) / step)
    if not 1 <= count <= MAX_VALUES:
        reason = "gives no value" if count < 1 else f"gives {count} values, more than {MAX_VALUES}"
        problems.append(Problem(path, list(arguments), reason, "range: [start, stop, step], stop not included"))
        return []
    numbers = (start + index * step for index in range(count))
    return [int(number) if whole else float(number) for number in numbers]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
