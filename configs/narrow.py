"""Narrowing a series to one run."""

from __future__ import annotations

from dataclasses import replace

from configs.mistakes import did_you_mean
from configs.series import InitConfig, SeriesConfig
from simcampaign.errors import ConfigError, Problem
from simcampaign.series import run_key, run_stem


def only(series: SeriesConfig, key: str) -> SeriesConfig:
    """Return ``series`` with nothing but the run whose key is ``key``. Raises ConfigError if it has no such run."""
    expanded = series.expand()
    stem, digits = key.rstrip("0123456789"), key[len(key.rstrip("0123456789")) :]
    for condition in expanded.conditions:
        condition_key = str(condition["key"])
        if run_stem(expanded.name, condition_key) != stem:
            continue
        seed = int(digits or "0")
        if seed not in expanded.seeds or run_key(expanded.name, condition_key, seed) != key:
            break
        group = expanded.group_of(condition)
        if group is None:
            raise ConfigError(
                [Problem("--only", key, "its group is set to null, so it is skipped", "see series.groups")]
            )
        inits = [
            InitConfig(init.name, init.key, [seed], list(init.extensions), group)
            for init in expanded.inits_of(group)
            if seed in init.seeds
        ]
        return replace(series, seeds=[seed], conditions=[dict(condition)], inits=inits, groups={group: ""})
    some = [run_key(expanded.name, str(condition["key"]), expanded.seeds[0]) for condition in expanded.conditions]
    nearest = did_you_mean(key, some) or f"e.g. {some[0]}"
    raise ConfigError([Problem("--only", key, "is no run of the series", nearest)])
