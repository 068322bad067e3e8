"""Slots that several runners share: whoever needs several gets them, however their requests are interleaved."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

from simcampaign.sites.slots import Slots
from tests.support import until


class SlowSlots(Slots):
    """Slots on a host that is busy with other things between any two of our steps."""

    @staticmethod
    def _lock(descriptor: int) -> bool:
        time.sleep(random.uniform(0, 0.002))
        return Slots._lock(descriptor)


def test_two_runners_that_collect_at_the_same_time_both_get_there(tmp_path: Path) -> None:
    bell, ringer = os.pipe()
    before = threading.active_count()
    for attempt in range(30):
        runners = [SlowSlots(str(tmp_path / str(attempt)), 4, 3, ringer) for _ in range(2)]
        done: list[int] = []

        def run(number: int, runners: list[SlowSlots], done: list[int]) -> None:
            slots = runners[number].take() or until(runners[number].take, patience=10)
            runners[number].give(slots)
            runners[number].release()
            done.append(number)

        threads = [threading.Thread(target=run, args=(each, runners, done), daemon=True) for each in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(done) == [0, 1], "each waits for what the other has"
        # Slots that fall to a runner when it no longer needs any are left again at the next ring of its bell.
        until(lambda: [each.release() for each in runners] and threading.active_count() == before)  # noqa: B023
    os.close(ringer)
    os.close(bell)


def test_a_slot_too_little_for_another_job_is_left_to_others(tmp_path: Path) -> None:
    bell, ringer = os.pipe()
    os.set_blocking(ringer, False)
    large, small = Slots(str(tmp_path), 4, 3, ringer), Slots(str(tmp_path), 4, 1, ringer)
    assert len(large.take() or ()) == 3
    assert large.take() is None
    assert len(small.take() or ()) == 1
    assert small.take() is None
    os.close(bell)
