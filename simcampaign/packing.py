"""Packing runs into inputs: consecutive seeds become ranges, ranges are packed in order into inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simcampaign.jobs import RunRange


@dataclass(frozen=True)
class Packing:
    """The inputs of one group as columns, one row a range; a million runs fit in tens of megabytes."""

    condition: NDArray[np.int64]
    """Position of the condition in the series, per range."""

    start: NDArray[np.int64]
    """First seed, per range."""

    end: NDArray[np.int64]
    """Last seed (included), per range."""

    first_range: NDArray[np.int64]
    """Per input, the row of its first range; one entry more at the end."""

    @property
    def size(self) -> int:
        """Number of inputs, hence of jobs."""
        return len(self.first_range) - 1

    def part(self, first: int, last: int) -> Packing:
        """Return inputs ``first`` to ``last - 1`` as a packing of their own."""
        rows = slice(self.first_range[first], self.first_range[last])
        bounds = self.first_range[first : last + 1] - self.first_range[first]
        return Packing(self.condition[rows], self.start[rows], self.end[rows], bounds)

    def ranges(self, index: int, keys: Sequence[str]) -> list[RunRange]:
        """Return the ranges of one input; ``keys`` are the condition keys in the series' order."""
        rows = slice(self.first_range[index], self.first_range[index + 1])
        columns = zip(self.condition[rows].tolist(), self.start[rows].tolist(), self.end[rows].tolist(), strict=True)
        return [RunRange(keys[condition], start, end) for condition, start, end in columns]

    def inputs(self, keys: Sequence[str]) -> Iterator[list[RunRange]]:
        """Yield the ranges of each input in order."""
        for index in range(self.size):
            yield self.ranges(index, keys)


def pack(conditions: NDArray[np.int64], seeds: NDArray[np.int64], seeds_per_job: int) -> Packing:
    """Pack runs into inputs of at most ``seeds_per_job`` seeds.

    Parameters
    ----------
    conditions, seeds
        Position of the condition and seed of each run; shape ``(runs,)``. Conditions keep their order;
        the seeds of a condition are sorted, so that as many as possible are consecutive.
    seeds_per_job
        Most seeds in one input, at least 1.
    """
    if seeds_per_job < 1:
        raise ValueError(f"seeds_per_job = {seeds_per_job}: must be at least 1")
    order = np.lexsort((seeds, conditions))
    conditions, seeds = conditions[order], seeds[order]
    position = np.arange(len(seeds))
    breaks = np.ones(len(seeds), dtype=bool)
    breaks[1:] = (conditions[1:] != conditions[:-1]) | (seeds[1:] != seeds[:-1] + 1)
    run_start = np.maximum.accumulate(np.where(breaks, position, 0))
    starts = np.flatnonzero((position - run_start) % seeds_per_job == 0)
    ends = np.append(starts[1:], len(seeds))[: len(starts)]
    return Packing(conditions[starts], seeds[starts], seeds[ends - 1], _fill(ends - starts, seeds_per_job))


def _fill(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return the first range of each input, filling inputs in order without going over ``limit`` seeds."""
    if limit == 1:
        return np.arange(len(sizes) + 1)
    first, room = [], 0
    for row, size in enumerate(sizes.tolist()):
        if size > room:
            first.append(row)
            room = limit
        room -= size
    return np.array([*first, len(sizes)], dtype=np.int64)


def ranges_text(seeds: Sequence[int]) -> str:
    """Write ascending seeds as the short text that a configuration reads: ``0-99,200``."""
    ranges: list[list[int]] = []
    for seed in seeds:
        if ranges and seed == ranges[-1][1] + 1:
            ranges[-1][1] = seed
        else:
            ranges.append([seed, seed])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
