"""Space-filling samples: Latin hypercubes and Sobol sequences, the same for the same seed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

from configs.variables import MAX_VALUES
from simcampaign.errors import ABSENT, Problem
from simcampaign.mistakes import did_you_mean

_FIELDS = ("variables", "n", "seed")


def draw_sample(kind: str, raw: object, path: str, problems: list[Problem]) -> dict[str, list[Any]]:
    """Return ``n`` values for each variable, from ``{variables: {x: [low, high]}, n: 20, seed: 1}``.

    ``kind`` is ``latin_hypercube`` or ``sobol`` (scrambled; it fills space evenly only if n is a power of two). The
    seed is 0 if it is not given. What is wrong is added to ``problems``, and the result is then empty.
    """
    before = len(problems)
    if not isinstance(raw, Mapping):
        problems.append(
            Problem(path, raw, "must be a mapping", f"{kind}: {{variables: {{x: [0, 1]}}, n: 20, seed: 1}}")
        )
        return {}
    problems += [
        Problem(f"{path}.{name}", raw[name], "there is no such field", did_you_mean(str(name), _FIELDS))
        for name in raw
        if name not in _FIELDS
    ]
    count, seed = raw.get("n", ABSENT), raw.get("seed", 0)
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_VALUES:
        problems.append(Problem(f"{path}.n", count, f"must be an integer from 1 to {MAX_VALUES}"))
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        problems.append(Problem(f"{path}.seed", seed, "must be an integer, not negative"))
    bounds = raw.get("variables", ABSENT)
    if not isinstance(bounds, Mapping) or not bounds:
        problems.append(Problem(f"{path}.variables", bounds, "must be a mapping of names to [low, high]"))
    else:
        for name, pair in bounds.items():
            if not _is_interval(pair):
                problems.append(
                    Problem(f"{path}.variables.{name}", pair, "must be two numbers, the lower one first", "[low, high]")
                )
    if len(problems) > before or not isinstance(bounds, Mapping):
        return {}
    return _draw(kind, dict(bounds), count, seed)


def _draw(kind: str, bounds: dict[str, Any], count: int, seed: int) -> dict[str, list[Any]]:
    from scipy.stats import qmc  # noqa: PLC0415 - takes a second to import

    engine = (qmc.Sobol if kind == "sobol" else qmc.LatinHypercube)(d=len(bounds), seed=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The balance properties")
        unit = engine.random(count)
    lows, highs = zip(*bounds.values(), strict=True)
    columns = qmc.scale(unit, lows, highs).T.tolist()
    return dict(zip(bounds, columns, strict=True))


def _is_interval(pair: object) -> bool:
    if not isinstance(pair, (list, tuple)) or len(pair) != 2:
        return False
    return all(isinstance(end, (int, float)) and math.isfinite(end) for end in pair) and pair[0] < pair[1]
