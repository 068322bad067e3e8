"""Waiting: in event loops, in threads, in several processes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from simcampaign import api
from simcampaign.errors import ConfigError, ConflictError, SimulationError
from tests.simcampaign.api.conftest import sh


def test_plain_calls_work_inside_a_running_event_loop() -> None:
    async def main() -> api.JobState:
        job = api.run_async(api.Simulation(sh("echo 1 > out")), "local")
        job.wait()
        api.run_many([api.Simulation(sh("echo 2 > out"))] * 2, "local", "results", verbose=False)
        return job.status

    assert asyncio.run(main()) == "finished"
    assert Path("results/job_0001/out").read_text() == "2\n"


def test_awaited_calls_leave_the_event_loop_free_however_many_they_are() -> None:
    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticker = asyncio.create_task(tick())
        runs = (
            api.aio.run(api.Simulation(sh(f"echo {index} > out")), "local", f"results-{index}", verbose=False)
            for index in range(20)
        )
        jobs = await asyncio.gather(*runs)
        ticker.cancel()
        assert [job.status for job in jobs] == ["finished"] * 20
        return ticks

    assert asyncio.run(main()) > 10
    assert [Path(f"results-{index}/out").read_text() for index in range(20)] == [f"{index}\n" for index in range(20)]


def test_every_call_has_a_twin_that_is_awaited() -> None:
    async def main() -> None:
        aio = api.aio
        job = await aio.run_async(api.Simulation(sh("echo 1 > out; echo said")), "local", job_name="one")
        assert await aio.get_job("one") == job
        assert await aio.result(job) == job
        assert await aio.update_status(job) == "finished"
        assert await aio.get_output_files(job) == ["out"]
        assert await aio.copy_output(job, "results") == {Path("results/out"): 2}
        assert await aio.logs(job) == "said\n"
        assert await aio.get_jobs() == [job]
        assert len(await aio.delete(job)) == 2
        acts = [sh("sleep 1"), sh("exit 1"), sh(":")]
        array = await aio.run_many_async([api.Simulation(act) for act in acts], "local", job_name="many")
        assert await aio.get_job_array("many") == array
        assert await aio.get_job_arrays() == [array]
        seen = [each.job_name async for each in aio.as_completed(array)]
        assert sorted(seen) == ["many_0000", "many_0001", "many_0002"]
        assert isinstance(await aio.exception(array), SimulationError)
        assert await aio.retry_failed(array) == [array.jobs[1]]
        with pytest.raises(SimulationError):
            await aio.result(array)
        done = await aio.run_many([api.Simulation(sh("echo 2 > out"))], "local", "many", verbose=False)
        assert done.status == "finished"
        long = await aio.run_async(api.Simulation(sh("sleep 60")), "local")
        with pytest.raises(TimeoutError, match="goes on"):
            await aio.wait(long, timeout_in_seconds=0.1)
        await aio.cancel(long)
        failed = await aio.run_async(api.Simulation(sh("exit 1")), "local")
        await aio.wait(failed)
        await aio.retry(failed)
        assert failed.status == "queued"
        assert await aio.get_queues("local") == []
        assert all(finding.fine for finding in await aio.doctor("local"))
        assert await aio.wait(long) == "cancelled"

    asyncio.run(main())


def test_a_task_that_is_cancelled_leaves_its_job_running() -> None:
    async def main() -> None:
        run = asyncio.create_task(api.aio.run(api.Simulation(sh("sleep 1")), "local", "out", job_name="left"))
        while not api.get_jobs():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())
    assert api.get_job("left").wait() == "finished"


def test_threads_that_submit_the_same_request_get_the_same_job() -> None:
    notes = Path("notes").absolute()
    simulation = api.Simulation(sh(f"echo ran >> {notes}; sleep 0.3"))
    start = threading.Barrier(8)

    def submit(_: int) -> api.Job:
        start.wait()
        return api.run_async(simulation, "local", job_name="one").result()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(submit, range(8)))) == 1
    assert notes.read_text() == "ran\n"


def test_threads_that_submit_different_requests_under_one_name_leave_one_winner() -> None:
    start = threading.Barrier(6)

    def submit(index: int) -> int:
        start.wait()
        try:
            api.run_async(api.Simulation(sh(f": {index}")), "local", job_name="one").wait()
        except ConflictError:
            return 0
        return 1

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(submit, range(6))) == 1


def test_processes_that_wait_for_one_job_all_hear_of_its_end() -> None:
    job = api.run_async(api.Simulation(sh("sleep 2; echo end > out")), "local", job_name="shared")
    code = "from simcampaign import api; print(api.get_job('shared').wait())"
    others = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert job.wait() == "finished"
    assert [other.communicate(timeout=60)[0] for other in others] == ["finished\n"] * 3


def test_one_thread_looks_after_all_jobs_of_a_site() -> None:
    jobs = [api.run_async(api.Simulation(sh("sleep 1")), "local") for _ in range(10)]
    before = threading.active_count()
    with ThreadPoolExecutor(10) as pool:
        states = [pool.submit(job.wait) for job in jobs]
        time.sleep(0.3)
        assert threading.active_count() - before == 10 + 1
        assert {state.result() for state in states} == {"finished"}


def test_news_of_a_short_job_come_at_once() -> None:
    job = api.run_async(api.Simulation(sh("sleep 0.3")), "local")
    job.wait(poll_interval_in_seconds=30)
    used = job.resources_used.wall_seconds
    assert used is not None
    assert used < 25


def test_an_interval_that_is_none_is_refused() -> None:
    job = api.run_async(api.Simulation(sh(":")), "local")
    with pytest.raises(ConfigError, match="poll_interval_in_seconds"):
        job.wait(poll_interval_in_seconds=0)
    job.wait()
