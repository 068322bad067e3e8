"""Files of simulations: what is written is read, and what others wrote is looked at before it is trusted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcampaign import solver
from simcampaign.errors import ConfigError, LocationError

GLASS = solver.OpticalMedium(index=1.444)
WARM = solver.GridField(x=[-1, 1], y=[-1, 0, 1], values=[[300, 310, 300], [301, 311, 301]])


def waveguide(**other: Any) -> solver.ModeSolver:
    core = solver.Rectangle(x=(-0.2, 0.2), y=(-0.1, 0.1), medium=solver.OpticalMedium(index=3.4, thermo_optic=2e-4))
    fields: dict[str, Any] = {"x": (-1, 1), "y": (-1, 1), "cell": 0.2, "frequencies": [1.9e14], "rectangles": [core]}
    return solver.ModeSolver(background=GLASS, **{**fields, **other})


@pytest.mark.parametrize("name", ["waveguide.hdf5", "waveguide.json"])
def test_a_file_gives_back_the_simulation_by_its_own_class_and_by_any(tmp_path: Path, name: str) -> None:
    written = waveguide(temperature=WARM, modes=2)
    written.to_file(tmp_path / name)
    assert solver.ModeSolver.from_file(tmp_path / name) == written
    again = solver.read(tmp_path / name)
    assert again == written
    assert solver.digest(again) == solver.digest(written)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=4),
    frequencies=st.lists(st.floats(1e3, 1e20), min_size=1, max_size=5),
)
def test_the_same_simulation_gives_the_same_bytes_and_another_another_digest(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], frequencies: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("files")
    field = {"x": [-1, 1], "y": [-1, 1], "values": np.reshape(values, (2, 2))}
    first, second = (waveguide(temperature=field, frequencies=frequencies) for _ in range(2))
    first.to_file(folder / "first")
    second.to_file(folder / "second")
    assert (folder / "first").read_bytes() == (folder / "second").read_bytes()
    assert solver.read(folder / "first") == first
    assert solver.digest(first) != solver.digest(waveguide(temperature=field, frequencies=[*frequencies, 7e5]))
    field["values"] = np.reshape(values, (2, 2)) + np.maximum(1, np.abs(values[0]))
    assert solver.digest(first) != solver.digest(waveguide(temperature=field, frequencies=frequencies))


def test_wrong_fields_are_told_all_at_once_with_place_value_and_reason() -> None:
    with pytest.raises(ConfigError) as caught:
        waveguide(x=(1, -1), cell="thin", frequencies=[], background_index=3, temperature={"x": [1], "y": [], "z": 0})
    told = str(caught.value)
    assert "ModeSolver.x = (1, -1): must go from a smaller to a larger coordinate" in told
    assert "ModeSolver.cell = 'thin': must be a number" in told
    assert "ModeSolver.frequencies = []: must not be empty" in told
    assert "ModeSolver.background_index = 3: there is no such field; did you mean `background`?" in told
    assert "ModeSolver.temperature.values: is missing" in told


def test_arrays_that_do_not_fit_their_grid_are_refused() -> None:
    for values, reason in (([[1, 2]], "must have the shape"), ([[1, np.nan], [1, 1]], "finite"), ("hot", "numbers")):
        with pytest.raises(ConfigError, match=reason):
            waveguide(temperature={"x": [-1, 1], "y": [-1, 1], "values": values})
    with pytest.raises(ConfigError, match="must reach over"):
        waveguide(temperature={"x": [-1, 0], "y": [-1, 1], "values": np.ones((2, 2))})


def test_references_are_listed_kept_in_files_and_filled_in(tmp_path: Path) -> None:
    waiting = waveguide(temperature=solver.Reference(task_id="heat-1", name="temperature"))
    waiting.to_file(tmp_path / "waiting")
    read = solver.read(tmp_path / "waiting")
    assert read == waiting
    assert read.references() == (solver.Reference(task_id="heat-1", name="temperature"),)
    with pytest.raises(ConfigError, match=r"temperature = 'heat-1': the result of this task is not at hand"):
        read.resolved({})
    with pytest.raises(ConfigError, match=r"no such field; one of: x, y, values"):
        read.resolved({"heat-1": WARM})
    assert waveguide().references() == ()


def spoil(change: Callable[[h5py.File], None]) -> Callable[[Path], None]:
    def spoil_file(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil_file


def replace(name: str, *arguments: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, *arguments, **options)

    return change


def link(name: str, target: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


VALUES = "arrays/temperature.values"
SPOILT = {
    "is a link to elsewhere": link(VALUES, h5py.ExternalLink("/etc/hostname", "x")),
    "link to elsewhere": link(VALUES, h5py.SoftLink("/arrays/temperature.x")),
    "must be a group": link("arrays", h5py.ExternalLink("other.h5", "/")),
    "must hold numbers": replace(VALUES, data=["a", "b"], dtype=h5py.string_dtype()),
    "must hold numbers, not object": replace(VALUES, (2,), dtype=h5py.ref_dtype),
    "must hold numbers, not .*f8": replace(VALUES, data=np.zeros(2, [("a", "f8")])),
    "take .* bytes": replace(VALUES, (10**6, 10**6), dtype="f8", chunks=(10, 10), compression="gzip"),
    "more than 8 axes": replace(VALUES, data=np.zeros((1,) * 9)),
    "values in other files": replace(VALUES, (2, 3), dtype="f8", external=[("/etc/hostname", 0, 48)]),
    "filter that is not allowed": replace(VALUES, data=np.zeros((2, 3)), chunks=(2, 3), compression="lzf"),
    "one text of fixed length": replace("document", data="{}", dtype=h5py.string_dtype()),
    "nothing else": lambda file: file.create_group("more"),
    "no attribute `type`": lambda file: file.attrs.__delitem__("type"),
    "type is none": lambda file: file.attrs.__setitem__("type", [b"ModeSolver"] * 3),
    "a text of fixed length": lambda file: file.attrs.__setitem__("type", "ModeSolver"),
    "version is none": lambda file: file.attrs.__setitem__("version", "1"),
    "no such type of simulation; did you mean `ModeSolver`": lambda file: file.attrs.__setitem__(
        "type", np.bytes_("ModeSolve")
    ),
    "is newer than": lambda file: file.attrs.__setitem__("version", 99),
    "array that is not there": lambda file: file.__delitem__(VALUES),
}


@pytest.mark.parametrize("reason", SPOILT)
def test_a_file_that_holds_what_it_should_not_is_refused(tmp_path: Path, reason: str) -> None:
    path = tmp_path / "sent"
    waveguide(temperature=WARM).to_file(path)
    spoil(SPOILT[reason])(path)
    with pytest.raises(ConfigError, match=reason):
        solver.read(path)


def test_no_cut_or_garbled_file_is_taken_for_a_simulation(tmp_path: Path) -> None:
    path = tmp_path / "sent"
    simulation = waveguide(temperature=WARM)
    simulation.to_file(path)
    whole = path.read_bytes()
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ConfigError):
            solver.read(path)
    path.write_text("[1, 2]")
    with pytest.raises(ConfigError, match="neither HDF5 nor a mapping in JSON"):
        solver.read(path)
    with pytest.raises(LocationError):
        solver.read(tmp_path / "absent")


GARBLE = """
import random, sys
from pathlib import Path
from simcampaign import solver
from simcampaign.errors import SimcampaignError

path = Path(sys.argv[1])
whole, luck = path.read_bytes(), random.Random(0)
for _ in range(100):
    garbled = bytearray(whole)
    for _ in range(luck.choice([1, 2, 20])):
        garbled[luck.randrange(len(whole))] = luck.randrange(256)
    path.write_bytes(garbled)
    try:
        solver.read(path)
    except SimcampaignError:
        pass
print("all read or refused")
"""


def test_no_garbled_byte_makes_reading_hang_or_break(tmp_path: Path) -> None:
    waveguide(temperature=WARM).to_file(tmp_path / "sent")
    command = [sys.executable, "-c", GARBLE, str(tmp_path / "sent")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("all read or refused\n", "", 0)


def test_a_simulation_is_no_result_and_no_simulation_of_another_type(tmp_path: Path) -> None:
    waveguide().to_file(tmp_path / "sent")
    with pytest.raises(ConfigError, match="is no type of result"):
        solver.read_result(tmp_path / "sent")
    with pytest.raises(ConfigError, match="is no ModeSolverData"):
        solver.ModeSolverData.from_file(tmp_path / "sent")
