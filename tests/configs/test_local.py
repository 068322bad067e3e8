"""The local context: how many jobs run at the same time."""

import os

from configs.local import LocalContextConfig


def context(**changes) -> LocalContextConfig:
    places = {"working_location": "out", "manifest_location": "out", "template_location": "t", "command": "true"}
    return LocalContextConfig(**{**places, **changes})


def test_slots_are_as_given():
    assert context(slots=7, cpus_per_job=100.0).slot_count() == 7


def test_without_slots_there_are_as_many_as_cores_and_memory_allow():
    cores = os.cpu_count() or 1
    assert context().slot_count() == cores
    assert context(cpus_per_job=0.5).slot_count() == 2 * cores
    assert context(cpus_per_job=float(cores)).slot_count() == 1
    assert context(cpus_per_job=0.01, memory_per_job=10**9).slot_count() == 1


def test_the_site_has_as_many_slots_as_all_jobs_at_once_take_cores():
    assert context(slots=3, cpus_per_job=2.5).core_slots() == 9
    assert context(slots=3, cpus_per_job=0.5).core_slots() == 3
