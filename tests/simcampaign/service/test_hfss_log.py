"""The log of HFSS: what is read from it, whatever it holds, and whose it is."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.service.applications.hfsslog import parse
from simcampaign.service.applications.ownlog import own_log

LOG = """\
Batch Solve/Save: /projects/board.aedt
Starting Batch Run: 09:30:00 AM  Oct 10, 2025
Running as user : ann
Using command line: "/opt/v252/ansysedt" -jobid sim-1 -ng -monitor -batchsolve main:Nominal:Setup1 /projects/board.aedt
[info] Project:board, Design:main (HFSS 3D Layout Design), Setup1: Initial meshing
[PROFILE] Initial mesh: Tetrahedra: 12345, Memory 512 M, Real Time 00:01:05, CPU Time 00:02:10
[PROFILE] Adaptive Pass 1: Frequency: 5GHz
[PROFILE]   Tetrahedra: 20000, Matrix size: 90000, Memory 1.5 G
[PROFILE]   Elapsed time : 00:00:30
[PROFILE] Adaptive Pass 2: Frequency: 5GHz
[PROFILE]   Tetrahedra: 26000, Matrix size: 120000, Memory 2 G, Max Mag. Delta S: 0.0123
[PROFILE]   Elapsed time : 00:00:45
[CONVERGE] Solution has converged at pass number 2
[info] Interpolating HFSS Frequency Sweep
[PROFILE] Frequency: 1GHz solved
[PROFILE] Frequency: 2.5 GHz solved
[PROFILE] 201 frequencies, Elapsed time : 00:03:00
"""
# Other words: the profile's own lines, a dash before frequencies, an end of the passes that names no number.
PROFILE = """\
Batch Solve/Save: /projects/patch.aedt
[info] Project:patch, Design:main (HFSS 3D Layout Design), Setup1
[PROFILE] Initial Meshing
[PROFILE] Mesh, Tetrahedra: 5000, Cores: 4
[PROFILE] Real Time 00:00:45 : CPU Time 00:01:42 : Memory 128.5 M
[PROFILE] Adaptive Pass 1, Frequency: 3GHz
[PROFILE] Matrix Assembly, Tetrahedra: 9000, Lumped ports: 2, Disk: 0 Bytes
[PROFILE] Matrix Solve, Type: DCS, Cores: 4, Matrix size: 39022, Matrix bandwidth: 20.8
[PROFILE] Real Time 00:00:05 : CPU Time 00:00:17 : Memory 404 M
[PROFILE] Elapsed time : 00:00:09
[PROFILE] Adaptive Pass 2, Frequency: 3GHz
[PROFILE] Matrix Solve, Type: DCS, Cores: 4, Matrix size: 51000, Matrix bandwidth: 20.9
[PROFILE] Max Mag. Delta S: 0.00721
[PROFILE] Adaptive Passes converged
[PROFILE] Interpolating HFSS Frequency Sweep, Solving Distributed - up to 2 frequencies in parallel
[PROFILE] Frequency - 1GHz, Elapsed time : 00:00:02
[PROFILE] Frequency - 500 MHz, Elapsed time : 00:00:03
[PROFILE] 401 Frequencies, Elapsed time : 00:00:31
"""
KEYS = {
    "project": {"name", "file", "design", "user", "cmd_line"},
    "init_mesh": {"tetrahedra", "memory_mb", "real_time_sec", "cpu_time_sec"},
    "sweep": {"type", "frequencies", "solved", "elapsed_sec"},
    "log_parser": {"is_converged"},
}
PASS = {"pass_nr", "freq_hz", "tetrahedra", "matrix_size", "memory_mb", "delta_s", "converged", "elapsed_sec"}


def test_a_log_is_read_with_the_keys_that_clients_know() -> None:
    read = parse(LOG).as_dict()
    assert set(read) == {*KEYS, "adaptive"}
    assert {name: set(read[name]) for name in KEYS} == KEYS
    assert (read["project"]["name"], read["project"]["user"]) == ("board", "ann")
    assert read["project"]["file"] == "/projects/board.aedt"
    assert "-jobid sim-1" in read["project"]["cmd_line"]
    assert list(read["init_mesh"].values()) == [12345, 512.0, 65, 130]
    first, second = read["adaptive"]
    assert set(first) == PASS
    assert (first["pass_nr"], first["freq_hz"], first["memory_mb"], first["converged"]) == (1, 5e9, 1536.0, False)
    assert (second["delta_s"], second["matrix_size"], second["elapsed_sec"]) == (0.0123, 120000, 45)
    assert second["converged"]
    assert read["sweep"] == {"type": "Interpolating", "frequencies": 201, "solved": [1e9, 2.5e9], "elapsed_sec": 180}
    assert read["log_parser"] == {"is_converged": True}


def test_the_profiles_own_words_are_understood_too() -> None:
    read = parse(PROFILE).as_dict()
    assert list(read["init_mesh"].values()) == [5000, 128.5, 45, 102]
    first, second = read["adaptive"]
    assert [first[name] for name in ("tetrahedra", "matrix_size", "memory_mb", "elapsed_sec")] == [9000, 39022, 404, 9]
    assert (second["delta_s"], second["converged"], first["converged"]) == (0.00721, True, False)
    assert read["sweep"] == {"type": "Interpolating", "frequencies": 401, "solved": [1e9, 5e8], "elapsed_sec": 31}


@pytest.mark.parametrize(
    "words",
    [
        "Solution has not converged",
        "Adaptive Passes did not converge",
        "Port 1 has converged, port 2 has not converged",
    ],
)
def test_a_solution_that_has_not_converged_is_not_said_to_have(words: str) -> None:
    assert not parse(f"Adaptive Pass 1\n{words}").as_dict()["log_parser"]["is_converged"]


def test_how_many_are_solved_at_once_is_no_count_of_frequencies() -> None:
    sweep = parse("Interpolating HFSS Frequency Sweep, Solving Distributed - up to 4 frequencies in parallel").sweep
    assert sweep is not None
    assert sweep.frequencies is None


def test_the_pass_that_converged_is_the_one_that_is_named() -> None:
    log = parse("Adaptive Pass 1\nAdaptive Pass 2\nSolution has converged at pass number 1\nAdaptive Passes converged")
    assert [each.converged for each in log.adaptive] == [True, False]


@given(
    st.lists(st.one_of(st.text(), st.sampled_from(LOG.splitlines()), st.binary().map(lambda b: b.decode("latin-1"))))
)
def test_any_text_is_taken_and_gives_json(lines: list[str]) -> None:
    read = parse("\n".join(lines)).as_dict()
    json.dumps(read, allow_nan=False)
    assert set(read) == {*KEYS, "adaptive"}


@given(st.text(alphabet="Memory: 0123456789.eKMGT-[]Frequency Hz\n", max_size=500))
def test_what_looks_like_figures_is_taken_too(text: str) -> None:
    json.dumps(parse(f"Initial mesh\nAdaptive Pass 1\n{text}").as_dict(), allow_nan=False)


@given(st.integers(0, len(LOG)))
def test_a_log_that_is_still_written_is_read_as_far_as_it_goes(length: int) -> None:
    assert set(parse(LOG[:length]).as_dict()) == {*KEYS, "adaptive"}


def write(folder: Path, name: str, text: str, at: float) -> None:
    place = folder / f"a [1].aedb.batchinfo{name}"
    place.mkdir()
    (place / "run.log").write_text(text)
    os.utime(place / "run.log", (at, at))


@pytest.fixture
def pattern(tmp_path: Path) -> str:
    return f"{glob.escape(str(tmp_path / 'a [1].aedb'))}.batchinfo*/*.log"


def test_the_log_that_names_the_job_is_its_own_and_no_other(tmp_path: Path, pattern: str) -> None:
    assert own_log(pattern, "one", 100.0, None) is None
    write(tmp_path, "1", "-jobid one -ng", 110.0)
    write(tmp_path, "2", "-jobid one-2 -ng", 120.0)
    assert own_log(pattern, "one", 100.0, None) == "-jobid one -ng"
    assert own_log(pattern, "one-2", 100.0, None) == "-jobid one-2 -ng"
    assert own_log(pattern, "other", 100.0, None) is None
    assert own_log(pattern, "one", None, None) is None, "it has not started"


def test_of_logs_without_a_name_that_of_the_jobs_time_is_its_own(tmp_path: Path, pattern: str) -> None:
    write(tmp_path, "1", "before", 50.0)
    write(tmp_path, "2", "during", 150.0)
    write(tmp_path, "3", "after", 250.0)
    assert own_log(pattern, "one", 100.0, 200.0) == "during"
    assert own_log(pattern, "late", 240.0, None) == "after"
    assert own_log(pattern, "later", 300.0, None) is None


def test_a_link_out_of_the_projects_folder_is_not_followed(tmp_path: Path, pattern: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret.log").write_text("Running as user : secret")
    place = inside / "a.aedb.batchinfo"
    place.mkdir()
    (place / "run.log").symlink_to(tmp_path / "secret.log")
    assert own_log(f"{inside}/a.aedb.batchinfo*/*.log", "one", 1.0, None) is None
