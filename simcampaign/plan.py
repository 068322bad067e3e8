"""The plan: which runs are done, in flight, missing or incomplete and why, and how the rest is packed into jobs."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from simcampaign.errors import ConfigError, Problem
from simcampaign.packing import Packing, pack, ranges_text
from simcampaign.runs import TO_DO, RunState
from simcampaign.series import SEED_DIGITS, Condition, Series, run_stem

Codes = NDArray[np.uint8]
"""``RunState`` per run; shape ``(conditions, seeds)``."""


def files_present(
    manifest: pl.DataFrame, name: str, condition_keys: Sequence[str], seeds: Sequence[int], extensions: Sequence[str]
) -> NDArray[np.bool_]:
    """Return which files exist; shape ``(extensions, conditions, seeds)``.

    A key is taken apart into its stem and its seed, both small tables, so that no expected key is ever spelled out.
    """
    present = np.zeros((len(extensions), len(condition_keys), len(seeds)), dtype=bool)
    if not manifest.height or not present.size:
        return present
    stems = pl.DataFrame(
        {
            "STEM": [run_stem(name, key) for key in condition_keys],
            "CONDITION": np.arange(len(condition_keys), dtype=np.int64),
        }
    )
    positions = pl.DataFrame(
        {"SEED": np.asarray(seeds, dtype=np.int64), "POSITION": np.arange(len(seeds), dtype=np.int64)}
    )
    wanted = pl.DataFrame({"EXTENSION": list(extensions), "FILE": np.arange(len(extensions), dtype=np.int64)})
    digits = pl.col("KEY").str.slice(pl.col("STEM").str.len_chars())
    # 00001 and 1 are not the key of seed 1: only one spelling of a seed counts.
    spelled = (digits.str.len_bytes() == SEED_DIGITS) | (
        (digits.str.len_bytes() > SEED_DIGITS) & ~digits.str.starts_with("0")
    )
    rows = (
        manifest.lazy()
        .select("KEY", "EXTENSION")
        .join(wanted.lazy(), on="EXTENSION")
        .with_columns(pl.col("KEY").str.strip_chars_end("0123456789").alias("STEM"))
        .join(stems.lazy(), on="STEM")
        .filter(spelled)
        .with_columns(digits.cast(pl.Int64, strict=False).alias("SEED"))
        .join(positions.lazy(), on="SEED")
        .select("FILE", "CONDITION", "POSITION")
        .collect()
    )
    present[rows["FILE"].to_numpy(), rows["CONDITION"].to_numpy(), rows["POSITION"].to_numpy()] = True
    return present


def find_missing(
    manifest: pl.DataFrame,
    name: str,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    extensions: Sequence[str],
) -> pl.DataFrame:
    """Find the runs that are not done, over the whole series at once.

    Parameters
    ----------
    manifest
        Table with the columns ``KEY`` and ``EXTENSION``.
    name, conditions, seeds, extensions
        The series; a run is done when every extension is there.

    Returns
    -------
    One row a run, conditions and seeds in the order given: ``CONDITION`` (position), ``CONDITION_KEY``, ``SEED``,
    ``STATE`` (``missing`` or ``incomplete``) and ``LACKS`` (the extensions that are not there).
    """
    keys = [str(condition["key"]) for condition in conditions]
    present = files_present(manifest, name, keys, seeds, extensions)
    where_condition, where_seed = np.nonzero(~present.all(axis=0))
    there = present[:, where_condition, where_seed]
    lacks = pl.concat_list(
        [
            pl.when(pl.col(f"f{index}")).then(None).otherwise(pl.lit(extension))
            for index, extension in enumerate(extensions)
        ]
    ).list.drop_nulls()
    return pl.DataFrame(
        {
            "CONDITION": where_condition,
            "SEED": np.asarray(seeds, dtype=np.int64)[where_seed],
            **{f"f{index}": there[index] for index in range(len(extensions))},
        }
    ).select(
        "CONDITION",
        pl.lit(pl.Series(keys, dtype=pl.String)).gather(pl.col("CONDITION")).alias("CONDITION_KEY"),
        "SEED",
        pl.when(pl.any_horizontal([f"f{index}" for index in range(len(extensions))]))
        .then(pl.lit("incomplete"))
        .otherwise(pl.lit("missing"))
        .alias("STATE"),
        lacks.alias("LACKS"),
    )


def find_missing_conditions(
    manifest: pl.DataFrame,
    name: str,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    extensions: Sequence[str],
) -> list[dict[str, Any]]:
    """Find the runs that are not done, as new condition mappings with ``seed`` added, ordered as the series is."""
    keys = [str(condition["key"]) for condition in conditions]
    done = files_present(manifest, name, keys, seeds, extensions).all(axis=0)
    rows = zip(*(positions.tolist() for positions in np.nonzero(~done)), strict=True)
    return [{**conditions[condition], "seed": seeds[seed]} for condition, seed in rows]


@dataclass(frozen=True)
class Known:
    """What the ledger knows of a series' runs; each of shape ``(conditions, seeds)``."""

    in_flight: NDArray[np.bool_]
    """A job that has not ended holds the run."""

    finished: NDArray[np.bool_]
    """The run's last job ended well."""

    failed: NDArray[np.bool_]
    """The run's last job failed or was lost."""

    stale: NDArray[np.bool_]
    """The input that the run's last finished job had differs from the one that would be rendered now."""

    unfetched: NDArray[np.bool_]
    """The run's job ended well, and its files may still be on the host where it ran."""

    waiting: NDArray[np.bool_]
    """The run takes a file of another series that is not there yet."""

    @classmethod
    def nothing(cls, series: Series) -> Known:
        """Return what an empty ledger knows."""
        shape = (len(series.conditions), len(series.seeds))
        return cls(*(np.zeros(shape, dtype=bool) for _ in range(6)))


@dataclass(frozen=True)
class Plan:
    """What is to be done for a series. Nothing in it changes what it was made from."""

    series: Series
    codes: Codes
    present: NDArray[np.bool_]
    """Which files exist; shape ``(extensions, conditions, seeds)``."""

    groups: Mapping[str, Packing]
    """The inputs that are to be submitted, per group; groups without any are left out."""

    silent: NDArray[np.bool_]
    """Runs whose last job ended well but whose files are not all there; shape ``(conditions, seeds)``."""

    skipped: int = 0
    """Runs whose group is set to null, hence not planned."""

    selected: NDArray[np.bool_] | None = None
    """Runs to which this campaign run is limited; None for all."""

    digests: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Digest of each rendered input, per group; empty until the inputs were rendered."""

    @property
    def counts(self) -> dict[str, int]:
        """Runs per state, by label; states without runs are left out."""
        numbers = np.bincount(self.codes.ravel(), minlength=len(RunState))
        return {state.label: int(numbers[state]) for state in RunState if numbers[state]}

    @property
    def jobs(self) -> int:
        """Number of jobs to be submitted."""
        return sum(packing.size for packing in self.groups.values())

    @property
    def runs_to_do(self) -> int:
        """Number of runs to be submitted."""
        return sum(int((packing.end - packing.start + 1).sum()) for packing in self.groups.values())

    @property
    def complete(self) -> bool:
        """True if every planned run, or every selected one, is done (a stale one is)."""
        done = np.isin(self.codes, (RunState.DONE, RunState.STALE))
        if self.selected is not None:
            return bool(done[self.selected].all())
        return int(done.sum()) + self.skipped >= self.series.size

    def reasons(self) -> list[dict[str, Any]]:
        """Return state and reason of every run, runs alike in both on one row: condition, state, reason, seeds."""
        return list(_reasons(self))


def classify(present: NDArray[np.bool_], known: Known, refreshed: bool = True) -> Codes:
    """Decide the state of every run from the files that are there and what the ledger knows.

    ``refreshed`` says whether the manifest was listed after the ledger was read; if not, a run that the ledger knows
    as finished is not run again only because the manifest lacks it.
    """
    some, complete = present.any(axis=0), present.all(axis=0)
    codes = np.where(some, RunState.INCOMPLETE, RunState.MISSING).astype(np.uint8)
    codes[known.failed] = RunState.FAILED
    if not refreshed:
        codes[known.finished] = RunState.UNLISTED
    codes[known.finished & known.unfetched] = RunState.UNLISTED
    codes[known.waiting & np.isin(codes, TO_DO)] = RunState.WAITING
    codes[complete] = RunState.DONE
    codes[complete & known.stale] = RunState.STALE
    codes[known.in_flight] = RunState.IN_FLIGHT
    return codes


def make_plan(
    series: Series,
    manifest: pl.DataFrame,
    known: Known | None = None,
    *,
    seeds_per_job: int = 1,
    refreshed: bool = True,
    rerun_stale: bool = False,
    selected: NDArray[np.bool_] | None = None,
    barred: NDArray[np.bool_] | None = None,
) -> Plan:
    """Make the plan of a series from its manifest and what the ledger knows. Pure; 10^6 runs take about a second.

    ``selected``, of shape ``(conditions, seeds)``, limits what is to be submitted, and with it what is to be done;
    ``barred``, of the same shape, are runs that are to be done, but not to be submitted now.
    """
    keys = [str(condition["key"]) for condition in series.conditions]
    present = files_present(manifest, series.name, keys, series.seeds, series.extensions)
    known = known or Known.nothing(series)
    codes = classify(present, known, refreshed)
    to_do = np.isin(codes, [*TO_DO, RunState.STALE] if rerun_stale else TO_DO) & ~known.waiting
    if selected is not None:
        to_do &= selected
    if barred is not None:
        to_do &= ~barred
    seeds = np.asarray(series.seeds, dtype=np.int64)
    owner = np.array([_position(series, condition) for condition in series.conditions])
    groups: dict[str, Packing] = {}
    for position, group in enumerate(series.groups):
        conditions, columns = np.nonzero(to_do & (owner == position)[:, np.newaxis])
        if len(conditions):
            groups[group] = pack(conditions, seeds[columns], seeds_per_job)
    skipped = int((~np.isin(codes[owner < 0], (RunState.DONE, RunState.STALE))).sum())
    silent = known.finished & np.isin(codes, (RunState.MISSING, RunState.INCOMPLETE))
    return Plan(series, codes, present, groups, silent, skipped, selected)


def selection(series: Series, run_keys: Sequence[str]) -> NDArray[np.bool_]:
    """Return which runs have one of these keys; shape ``(conditions, seeds)``.

    Raises ``ConfigError`` naming every key that is no run of the series, with the nearest condition's.
    """
    mask = np.zeros((len(series.conditions), len(series.seeds)), dtype=bool)
    rows = {run_stem(series.name, str(condition["key"])): row for row, condition in enumerate(series.conditions)}
    columns = {f"{seed:0{SEED_DIGITS}d}": column for column, seed in enumerate(series.seeds)}
    problems = []
    for key in run_keys:
        stem = key.rstrip("0123456789")
        row, column = rows.get(stem), columns.get(key[len(stem) :])
        if row is None or column is None:
            near = next(iter(difflib.get_close_matches(stem, rows, n=1)), next(iter(rows)))
            remedy = f"e.g. {near}{next(iter(columns))}"
            problems.append(Problem("parameters.only", key, "is no run of the series", remedy))
        else:
            mask[row, column] = True
    if problems:
        raise ConfigError(problems)
    return mask


def _position(series: Series, condition: Condition) -> int:
    group = series.group_of(condition)
    return -1 if group is None else list(series.groups).index(group)


def _reasons(plan: Plan) -> Iterable[dict[str, Any]]:
    extensions = list(plan.series.extensions)
    weights = 1 << np.arange(len(extensions), dtype=np.int64)
    lacking = np.tensordot(weights, ~plan.present, axes=1)
    kinds = (lacking << 4) | (plan.silent.astype(np.int64) << 3) | plan.codes
    seeds = np.asarray(plan.series.seeds, dtype=np.int64)
    # Columns in the order of the seeds, then a stable sort: the seeds of each kind stay in order.
    by_seed = np.argsort(seeds)
    seeds, kinds = seeds[by_seed], kinds[:, by_seed]
    texts: dict[int, tuple[str, str]] = {}
    for condition, row in zip(plan.series.conditions, kinds, strict=True):
        order = np.argsort(row, kind="stable")
        cuts = np.flatnonzero(np.diff(row[order])) + 1
        for part in np.split(order, cuts):
            kind = int(row[part[0]])
            if kind not in texts:
                lacks = [extension for bit, extension in enumerate(extensions) if kind >> (4 + bit) & 1]
                state = RunState(kind & 7)
                texts[kind] = state.label, reason(state, lacks, len(extensions), bool(kind & 8))
            state_label, why = texts[kind]
            yield {
                "condition": str(condition["key"]),
                "state": state_label,
                "reason": why,
                "seeds": ranges_text(seeds[part].tolist()),
            }


def reason(state: RunState, lacks: Sequence[str], extensions: int, silent: bool) -> str:
    """Say in words why a run has its state; ``silent`` if its last job ended well all the same."""
    files = "has no file" if len(lacks) == extensions else f"lacks {', '.join(lacks)}"
    if silent:
        files += ", though its last job ended well: does the model write where it is told?"
    return {
        RunState.DONE: "has every file",
        RunState.MISSING: files,
        RunState.INCOMPLETE: files,
        RunState.FAILED: f"{files}; its last job failed",
        RunState.IN_FLIGHT: "a job that has not ended holds it",
        RunState.STALE: "has every file, but of another input than would be rendered now",
        RunState.UNLISTED: "its job finished, but the manifest lacks its files; refresh the manifest, or run the flow "
        "of the site that still has them",
        RunState.WAITING: "a file of another series that it takes is not there yet",
    }[state]


def digest_of(*parts: bytes | str) -> str:
    """Return 16 hexadecimal digits that stand for the parts, in order."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
