"""Packing: consecutive seeds become ranges, ranges are packed in order into inputs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.jobs import RunRange
from simcampaign.packing import pack, ranges_text


def packed(runs: list[tuple[int, int]], seeds_per_job: int) -> list[list[RunRange]]:
    conditions = np.array([condition for condition, _ in runs], dtype=np.int64)
    seeds = np.array([seed for _, seed in runs], dtype=np.int64)
    return list(pack(conditions, seeds, seeds_per_job).inputs([f"c{index}" for index in range(50)]))


def test_one_seed_per_job_gives_one_input_per_run():
    assert packed([(0, 0), (0, 1), (1, 0)], 1) == [
        [RunRange("c0", 0, 0)],
        [RunRange("c0", 1, 1)],
        [RunRange("c1", 0, 0)],
    ]


def test_consecutive_seeds_become_ranges_of_at_most_seeds_per_job():
    assert packed([(0, seed) for seed in (0, 1, 2, 3, 4, 7)], 3) == [
        [RunRange("c0", 0, 2)],
        [RunRange("c0", 3, 4), RunRange("c0", 7, 7)],
    ]


def test_ranges_of_several_conditions_share_an_input_while_there_is_room():
    assert packed([(0, 0), (1, 0), (1, 1), (2, 5)], 3) == [
        [RunRange("c0", 0, 0), RunRange("c1", 0, 1)],
        [RunRange("c2", 5, 5)],
    ]


def test_nothing_to_pack_gives_no_input():
    assert packed([], 4) == []


RUNS = st.sets(st.tuples(st.integers(0, 6), st.integers(0, 40)), max_size=120)


@given(RUNS, st.integers(1, 12))
def test_every_run_is_in_exactly_one_input_and_no_input_is_too_large(runs, seeds_per_job):
    inputs = packed(list(runs), seeds_per_job)
    held = [
        (int(each.condition_key[1:]), seed)
        for ranges in inputs
        for each in ranges
        for seed in range(each.start_seed, each.end_seed + 1)
    ]
    assert sorted(held) == sorted(runs)
    assert all(0 < sum(each.size for each in ranges) <= seeds_per_job for ranges in inputs)
    assert held == sorted(held)


@given(RUNS, st.integers(1, 12), st.data())
def test_a_part_of_a_packing_holds_the_same_inputs(runs, seeds_per_job, data):
    runs = sorted(runs)
    columns = np.array(runs, dtype=np.int64).reshape(-1, 2)
    whole = pack(columns[:, 0], columns[:, 1], seeds_per_job)
    first = data.draw(st.integers(0, whole.size))
    last = data.draw(st.integers(first, whole.size))
    keys = [f"c{index}" for index in range(7)]
    assert list(whole.part(first, last).inputs(keys)) == list(whole.inputs(keys))[first:last]


@given(st.sets(st.integers(0, 60)))
def test_the_text_of_seeds_names_each_seed_once(seeds):
    text = ranges_text(sorted(seeds))
    named = [
        seed
        for part in text.split(",")
        if part
        for seed in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
    ]
    assert named == sorted(seeds)
