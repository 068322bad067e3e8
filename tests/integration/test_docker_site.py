"""Arrays of real containers, with docker, and with podman as root and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from simcampaign.errors import ConfigError, NetworkError, SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.docker.container import TOKEN_LABEL
from tests.integration.containers import ENGINES, Bench, Engine, Watched, bench_at, engine_of, submitted
from tests.integration.services.busybox import DEFAULT_SAYS
from tests.integration.services.relay import Relay
from tests.support import until

HOLD = "until [ -e {working}go ]; do sleep 0.05; done"
FOUND_AGAIN = """
import json, sys
from pathlib import Path
from simcampaign.sites.docker import DockerSite
from simcampaign.sites.docker.options import DockerOptions
site = DockerSite(options=DockerOptions(base_url=sys.argv[1]), root=Path(sys.argv[2]))
remote_id = site.find(sys.argv[3])
report = site.status({remote_id: ""})[remote_id]
print(json.dumps([remote_id, {each.index: each.state for each in report.changes}]))
"""


F = TypeVar("F", bound=Callable[..., None])


def everywhere(test: F) -> F:
    """Try it with podman without root, too: users, limits and the life of containers differ there."""
    test.__dict__["everywhere"] = True
    return test


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        kinds = ENGINES if hasattr(metafunc.function, "everywhere") else ENGINES[:2]
        metafunc.parametrize("engine", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with engine_of(request.param) as engine:
        yield engine


@pytest.fixture
def bench(engine: Engine) -> Iterator[Bench]:
    with bench_at(engine) as bench:
        yield bench


@pytest.fixture
def relay(engine: Engine) -> Iterator[Relay]:
    with Relay(engine.address.removeprefix("unix://")) as relay:
        yield relay


@pytest.fixture
def relayed(engine: Engine, relay: Relay) -> Iterator[Bench]:
    """A bench whose way to the daemon can be cut."""
    with bench_at(engine, relay.address) as bench:
        yield bench
        relay.lose("")
        relay.cut()
        relay.mend()


def states(watched: Watched) -> dict[int, JobState]:
    return {index: job.state for index, job in watched.jobs.items()}


@everywhere
def test_jobs_are_told_where_everything_is_inside_and_outputs_belong_to_the_person(bench: Bench) -> None:
    script = (
        'echo "$SIMULATION_TYPE $BATCH_WORKING_URL $FILE_SET_NAME $AWS_BATCH_JOB_ARRAY_INDEX $JOB_ARRAY_INDEX" > $0;'
        'echo "$SIMCAMPAIGN_INPUT $SIMCAMPAIGN_OUTPUT $SIMCAMPAIGN_JOB_ID $SIMCAMPAIGN_SEEDS $EXTRA" >> $0;'
        'echo "$@" >> $0; pwd >> $0'
    )
    words = ("{output}{job_id}.txt", "{input}", "{output}", "{working}", "{index}", "{seeds}", "{model}")
    array = bench.array(["sh", "-c", script, *words], size=2, model="toy", environment={"EXTRA": "a 'quoted' $word"})
    watched = submitted(bench.site(), array)
    watched.end(2)
    assert set(states(watched).values()) == {JobState.FINISHED}
    name = array.name
    for index in range(2):
        path = f"/mnt/inputs/{name}_{index}.txt"
        seeds = f"{index}-{index + 1}"
        assert bench.outputs()[f"{name}_{index}.txt"].splitlines() == [
            f"LOCAL /mnt/ {name}_set {index} {index}",
            f"{path} /mnt/outputs/ {name}_{index} {seeds} a 'quoted' $word",
            f"{path} /mnt/outputs/ /mnt/ {index} {seeds} toy",
            "/",
        ]
    owners = {path.stat().st_uid for path in (bench.working / "outputs").iterdir()}
    assert owners == {bench.engine.owner}


@everywhere
def test_a_job_starts_in_its_directory_and_its_files_stay_below_the_location(bench: Bench) -> None:
    array = bench.array("pwd > here", size=2)
    array = replace(array, directory=f"{array.working_url}{{job_id}}")
    for job in array.jobs:
        (bench.working / job.job_id).mkdir()
        os.chown(bench.working / job.job_id, bench.engine.owner, bench.engine.owner)
    submitted(bench.site(), array).end(2)
    for job in array.jobs:
        assert (bench.working / job.job_id / "here").read_text() == f"/mnt/{job.job_id}\n"


@everywhere
def test_ends_of_all_kinds_come_back_with_codes_causes_times_and_logs(bench: Bench) -> None:
    script = 'case {index} in 0) echo fine;; 1) echo out; echo err >&2; exit 3;; 2) printf "no end";; *) nope; esac'
    array = bench.array(script, size=4)
    site = bench.site()
    watched = submitted(site, array)
    jobs = watched.end(4)
    assert [jobs[index].exit_code for index in range(4)] == [0, 3, 0, 127]
    application = Cause.APPLICATION
    assert [jobs[index].cause for index in range(4)] == [None, application, None, application]
    assert all(job.started and job.ended and job.started <= job.ended for job in jobs.values())
    said = dict(site.logs(watched.remote_id, range(4)))
    assert (said[0], said[2]) == (b"fine\n", b"no end")
    assert said[1] in {b"out\nerr\n", b"err\nout\n"}
    matching = dict(site.logs(watched.remote_id, range(3), "err"))
    assert {index: data for index, data in matching.items() if data} == {1: b"err\n"}
    assert sorted(bench.containers(array.name)) == [0, 1, 2, 3], "containers are kept if nobody asked otherwise"


def test_without_a_command_the_image_runs_its_own(bench: Bench) -> None:
    site = bench.site()
    watched = submitted(site, bench.array([]))
    watched.end(1)
    assert dict(site.logs(watched.remote_id, [0])) == {0: f"{DEFAULT_SAYS}\n".encode()}


def test_a_memory_limit_bites_and_is_named_as_the_cause(bench: Bench) -> None:
    greedy = "dd if=/dev/zero of=/dev/null bs=200M count=1"
    site = bench.site()
    limited = submitted(site, bench.array(greedy, resources=Resources(0.5, 32)))
    enough = submitted(site, bench.array(greedy, resources=Resources(0.5, 400)))
    job = limited.end(1)[0]
    assert (job.state, job.cause, job.exit_code) == (JobState.FAILED, Cause.OUT_OF_MEMORY, 137)
    assert "32 MiB" in job.message
    assert enough.end(1)[0].state is JobState.FINISHED


@everywhere
def test_a_job_over_its_time_is_asked_to_end_and_then_killed(bench: Bench) -> None:
    script = (
        'echo began; [ {index} = 0 ] && trap "echo asked; exit 5" TERM || trap "" TERM; while :; do sleep 0.1; done'
    )
    site = bench.site()
    watched = submitted(site, bench.array(script, size=2, resources=Resources(0.5, timeout_seconds=1.0)))
    jobs = watched.end(2)
    assert {(job.state, job.cause) for job in jobs.values()} == {(JobState.FAILED, Cause.TIMEOUT)}
    assert "1 s" in jobs[0].message
    assert (jobs[0].exit_code, jobs[1].exit_code) == (5, 137)
    assert dict(site.logs(watched.remote_id, [0, 1])) == {0: b"began\nasked\n", 1: b"began\n"}


def test_running_jobs_are_named_and_read_along(bench: Bench) -> None:
    site = bench.site()
    watched = submitted(site, bench.array(f"echo waiting; {HOLD}", size=5))
    watched.running(0, 1, 2)
    assert set(site.running(watched.remote_id, 9)) == {0, 1, 2}, "three slots, and no more"
    until(lambda: dict(site.logs(watched.remote_id, [0, 4])) == {0: b"waiting\n"})
    (bench.working / "go").touch()
    watched.end(5)
    assert list(site.running(watched.remote_id, 9)) == []


def test_slots_are_shared_by_all_arrays_of_a_site_and_a_job_takes_one_for_each_core(bench: Bench) -> None:
    site = bench.site(slots=2)
    first = submitted(site, bench.array(f"echo 1 >> {{working}}notes; {HOLD}", resources=Resources(2.0)))
    first.running(0)
    second = submitted(site, bench.array("echo 2 >> {working}notes", size=2))
    with bench.engine.client as client:
        until(lambda: bench.directory(bench.names[1]).joinpath("journal").read_text())
        assert [label for label in client.containers() if label["Labels"].get(TOKEN_LABEL)], "one runs"
    assert bench.containers(bench.names[1]) == {}
    (bench.working / "go").touch()
    second.end(2)
    first.end(1)
    assert bench.notes() == ["1", "2", "2"]


@everywhere
def test_cancel_ends_what_runs_and_never_starts_what_waits(bench: Bench) -> None:
    array = bench.array(f"echo {{index}} >> {{working}}notes; {HOLD}", size=9)
    site = bench.site()
    watched = submitted(site, array)
    watched.running(0, 1, 2)
    site.cancel(watched.remote_id)
    watched.end(9)
    assert set(states(watched).values()) == {JobState.CANCELLED}
    assert sorted(bench.notes()) == ["0", "1", "2"]


def test_single_jobs_are_cancelled_and_the_others_left_alone(bench: Bench) -> None:
    site = bench.site()
    watched = submitted(site, bench.array(HOLD, size=5))
    watched.running(0, 1, 2)
    site.cancel(watched.remote_id, [1, 4])
    until(lambda: watched.look()[1].state is JobState.CANCELLED)
    (bench.working / "go").touch()
    watched.end(5)
    cancelled, finished = JobState.CANCELLED, JobState.FINISHED
    assert states(watched) == {0: finished, 1: cancelled, 2: finished, 3: finished, 4: cancelled}


def test_an_image_that_is_not_there_is_refused_with_what_to_type(bench: Bench) -> None:
    array = bench.array("true", image="no-such-image:1")
    for call in (bench.site().check, bench.site().submit):
        with pytest.raises(SiteError, match=r"(docker|podman) pull no-such-image:1"):
            call(array)
    assert not bench.directory(array.name).exists()


def test_more_than_the_host_has_and_addresses_of_stores_are_refused(bench: Bench) -> None:
    site = bench.site()
    with pytest.raises(SiteError, match="cpus = 1000"):
        site.check(bench.array("true", resources=Resources(1000)))
    with pytest.raises(SiteError, match="memory = 999999999 MiB"):
        site.check(bench.array("true", resources=Resources(0.5, 999_999_999)))
    with pytest.raises(SiteError, match="run_batch_simulations"):
        site.check(replace(bench.array("true"), working_url="s3://bucket/x/"))


def test_an_array_may_ask_for_options_of_its_own_and_wrong_ones_are_named(bench: Bench) -> None:
    site = bench.site()
    array = bench.array("id -u", options={"user": "1234:1234"})
    watched = submitted(site, array)
    watched.end(1)
    assert dict(site.logs(watched.remote_id, [0])) == {0: b"1234\n"}
    with pytest.raises(ConfigError, match="usr"):
        site.check(bench.array("true", options={"usr": "1234"}))


def test_a_program_that_is_not_in_the_image_fails_with_the_daemons_words(bench: Bench) -> None:
    job = submitted(bench.site(), bench.array(["no-such-program"])).end(1)[0]
    assert (job.state, job.cause) == (JobState.FAILED, Cause.INFRASTRUCTURE)
    assert "no-such-program" in job.message


@everywhere
def test_more_of_the_host_is_seen_read_only_and_there_is_no_network(bench: Bench) -> None:
    data = bench.root / "da,ta"
    data.mkdir()
    (data / "table").write_text("known\n")
    site = bench.site(mounts={"/data": str(data)})
    script = "cat /data/table; (echo x > /data/y) 2> /dev/null || echo read-only; ls /sys/class/net"
    watched = submitted(site, bench.array(script))
    watched.end(1)
    said = dict(site.logs(watched.remote_id, [0]))[0].decode()
    assert said == "known\nread-only\nlo\n"
    with pytest.raises(SiteError, match="not there"):
        bench.site(mounts={"/data": "/no/such/folder"}).submit(bench.array("true"))


@everywhere
def test_a_container_that_somebody_removed_is_lost_and_not_run_again(bench: Bench) -> None:
    array = bench.array(f"echo {{index}} >> {{working}}notes; {HOLD}", size=2)
    watched = submitted(bench.site(), array)
    watched.running(0, 1)
    with bench.engine.client as client:
        client.remove_container(bench.containers(array.name)[0]["Id"], force=True)
    until(lambda: not watched.look()[0].state.active)
    # A look between its end and its removal sees that it was killed from outside.
    assert watched.look()[0].state in {JobState.LOST, JobState.FAILED}
    assert watched.jobs[0].cause in {Cause.LOST, Cause.INFRASTRUCTURE}
    (bench.working / "go").touch()
    watched.end(2)
    assert watched.jobs[1].state is JobState.FINISHED
    assert sorted(bench.notes()) == ["0", "1"]


def test_containers_are_removed_only_if_that_was_asked_for_and_logs_survive(bench: Bench) -> None:
    site = bench.site(remove=True)
    array = bench.array("echo kept", size=3)
    watched = submitted(site, array)
    watched.end(3)
    until(lambda: bench.containers(array.name) == {})
    assert dict(site.logs(watched.remote_id, range(3))) == dict.fromkeys(range(3), b"kept\n")
    site.clean(watched.remote_id)
    assert site.find(array.name) is None


def test_an_array_is_found_again_by_a_new_process(bench: Bench) -> None:
    array = bench.array("exit {index}", size=2)
    watched = submitted(bench.site(), array)
    watched.end(2)
    command = [sys.executable, "-c", FOUND_AGAIN, bench.address, str(bench.root / "site"), array.name]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert json.loads(done.stdout) == [watched.remote_id, {"0": "finished", "1": "failed"}]


def test_while_the_daemon_is_gone_nothing_changes_and_everybody_is_told(relayed: Bench, relay: Relay) -> None:
    site = relayed.site()
    watched = submitted(site, relayed.array(f"echo {{index}} >> {{working}}notes; {HOLD}", size=4))
    watched.running(0, 1, 2)
    before = states(watched)
    relay.cut()
    (relayed.working / "go").touch()
    for call in (watched.look, lambda: site.submit(relayed.array("true")), lambda: site.find("x")):
        with pytest.raises(NetworkError, match="does not answer"):
            call()
    finding = next(each for each in site.doctor() if each.subject == "daemon")
    assert finding.fine is False
    with relayed.engine.client as client:
        until(lambda: not client.containers(filters={"label": [f"simcampaign.array={relayed.names[0]}"]}))
    assert states(watched) == before
    relay.mend()
    watched.end(4)
    assert set(states(watched).values()) == {JobState.FINISHED}
    assert sorted(relayed.notes()) == ["0", "1", "2", "3"]


@pytest.mark.parametrize("request_line", ["/containers/create", "/start HTTP"])
def test_answers_that_are_lost_start_nothing_twice(relayed: Bench, relay: Relay, request_line: str) -> None:
    relay.lose(request_line)
    watched = submitted(relayed.site(), relayed.array(f"echo {{index}} >> {{working}}notes; {HOLD}", size=3))
    until(lambda: relay.lost >= 2)
    relay.lose("")
    (relayed.working / "go").touch()
    watched.end(3)
    assert set(states(watched).values()) == {JobState.FINISHED}
    assert sorted(relayed.notes()) == ["0", "1", "2"]


@everywhere
def test_the_doctor_says_what_the_daemon_is_and_what_it_cannot_keep_to(bench: Bench) -> None:
    findings = {each.subject: each for each in bench.site().doctor()}
    assert all(each.fine is not False for each in findings.values())
    said = findings["daemon"].detail
    assert said.startswith("docker" if bench.engine.kind == "docker" else "podman")
    rootless = bench.engine.kind == "rootless"
    assert ("rootless" in said) == rootless
    if rootless:
        assert findings["memory limit"].fine is None
        assert "ignores" in findings["memory limit"].detail
    else:
        assert findings["memory limit"].fine is True
