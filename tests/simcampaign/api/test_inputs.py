"""What may be handed over to be simulated, and what is said of what may not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simcampaign import api
from simcampaign.errors import ConfigError
from tests.simcampaign.api.conftest import sh


def problems(*inputs: Any, **more: Any) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        api.run_many_async(inputs, "local", **more)
    assert api.get_jobs() == []
    return [str(problem) for problem in raised.value.problems]


def test_a_path_that_is_no_file_is_said_with_its_place_among_the_inputs() -> None:
    Path("fine").write_text("")
    Path("folder").mkdir()
    assert problems("fine", "missing", "folder") == [
        "input_files[1] = 'missing': cannot be read: no such file or directory",
        "input_files[2] = 'folder': is a folder; give one file, or Simulation(command, files=[FOLDER])",
    ]


def test_what_is_no_input_is_refused() -> None:
    found = problems(3, io.BytesIO(), None)
    assert ["is no input: int" in found[0], "is no input: BytesIO" in found[1], "NoneType" in found[2]] == [True] * 3


def test_no_input_at_all_is_refused() -> None:
    assert problems() == ["input_files = []: there is none; give at least one"]


def test_a_single_input_of_many_need_not_be_in_a_list() -> None:
    array = api.run_many_async(api.Simulation(sh(":")), "local")  # type: ignore[arg-type]
    assert len(array) == 1
    array.wait()
    with pytest.raises(ConfigError, match="is no input: int"):
        api.run_many_async(3, "local")  # type: ignore[arg-type]


def test_a_simulation_without_command_and_files_is_refused() -> None:
    assert "nothing to run" in problems(api.Simulation(), sh)[0]


def test_names_of_variables_are_checked_even_if_other_arguments_are_wrong() -> None:
    found = problems(api.Simulation(sh(":")), ranks_per_job=0, environment={"A B": "secret"})
    assert ["ranks_per_job = 0" in found[0], "environment = 'A B'" in found[1]] == [True, True]
    assert "secret" not in "".join(found)


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/../../b", "", ".", "a//b", "nul\0", ".simcampaign.sh"])
def test_names_that_lead_out_of_the_folder_are_refused(name: str) -> None:
    [problem] = problems(api.Simulation(sh(":"), {name: b""}))
    assert "input_files[0].files" in problem


@pytest.mark.parametrize("pattern", ["../*", "/etc/passwd", "a/../../*", 3])
def test_outputs_that_lead_out_of_the_folder_are_refused(pattern: Any) -> None:
    [problem] = problems(api.Simulation(sh(":"), outputs=[pattern]))
    assert "input_files[0].outputs" in problem


def test_what_is_no_name_of_a_site_is_refused() -> None:
    with pytest.raises(ConfigError, match="site_name = None"):
        api.run_async(api.Simulation(sh(":")), None)  # type: ignore[arg-type]


def test_two_files_of_one_name_are_refused() -> None:
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "same").write_text(folder)
    [problem] = problems(api.Simulation(sh(":"), ["a/same", "b/same"]))
    assert "is the name of two files" in problem


def test_an_object_that_cannot_write_itself_is_said_with_the_reason() -> None:
    class Broken:
        def write(self, path: Path) -> None:
            raise ValueError("no mesh")

    class Silent:
        def write(self, path: Path) -> None:
            pass

    broken, silent = problems(api.Simulation(sh(":"), {"x": Broken(), "y": Silent()}))
    assert "could not be written: ValueError: no mesh" in broken
    assert "Silent.write(path) wrote no file" in silent


def test_an_object_may_write_several_files_and_choose_its_ending() -> None:
    class Model:
        def write(self, path: Path) -> None:
            path.with_suffix(".dat").write_text("data")
            path.write_text("main")

    job = api.run_async(api.Simulation(["cat", "{input}", "x.dat"], {"x.in": Model()}), "local").result()
    assert job.logs() == "maindata"


def test_commands_and_variables_are_checked() -> None:
    found = problems(
        api.Simulation("echo 'open"),
        api.Simulation(["echo", "\0"]),
        api.Simulation(sh(":"), environment={"1A": "x", "B": "secret\0"}),
    )
    assert "cannot be split into arguments: no closing quotation" in found[0]
    assert "null characters" in found[1]
    assert "input_files[2].environment = '1A': is no name of a variable" in found[2]
    assert found[3] == "input_files[2].environment.B: must be text without null characters"


def test_arguments_are_checked_all_at_once_and_misspelt_ones_are_recognised() -> None:
    with pytest.raises(ConfigError) as raised:
        api.run_async("x", "locall", ranks=True, memory_mb=0, gpus=-1, enviroment={}, group="archive", job_name="a b")  # type: ignore[call-arg]
    text = str(raised.value)
    for part in (
        "run_async.ranks",
        "run_async.memory_mb = 0: must be 1 or more",
        "run_async.gpus = -1: must be 0 or more",
        "did you mean `environment`?",
        "run_async.group = 'archive'",
        "run_async.job_name = 'a b'",
        "did you mean `local`?",
        "input_file = 'x': cannot be read",
    ):
        assert part in text, text


def test_numbers_of_numpy_are_numbers() -> None:
    job = api.run_async(
        api.Simulation(sh(":")), "local", ranks=np.int64(2), wall_time_in_seconds=np.float32(30), memory_mb=np.int32(64)
    )
    assert job.resources.ranks == 2
    assert job.resources.memory_mb == 64
    job.wait()


def test_a_single_path_given_to_run_many_is_one_input() -> None:
    Path("in.sh").write_text("echo 1 > out\n")
    assert len(api.run_many("in.sh", "local", "results", verbose=False)) == 1
    assert Path("results/job_0000/out").exists()
