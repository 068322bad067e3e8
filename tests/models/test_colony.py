"""The colony model, called as a job calls it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.colony import inits, pictures
from models.colony.__main__ import main
from models.colony.campaign import read_campaign

ROOT = Path(__file__).parents[2]
QUICK = '<parameter name="steps" value="60"/>'


@pytest.fixture(autouse=True)
def outside_a_job(tmp_path, monkeypatch):
    for variable in ("BATCH_WORKING_URL", "FILE_SET_NAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def campaign(path: Path, *conditions: str) -> Path:
    path.write_text(f'<campaign name="colony">{"".join(conditions)}</campaign>', encoding="utf-8")
    return path


def condition(key: str = "A", seeds: tuple[int, int] = (0, 1), parameters: str = QUICK) -> str:
    return f'<condition key="{key}" start_seed="{seeds[0]}" end_seed="{seeds[1]}">{parameters}</condition>'


def with_parameter(name: str, value: str) -> str:
    parameter = f'<parameter name="{name}" value="{value}"/>'
    return f'<campaign name="c">{condition(parameters=parameter)}</campaign>'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_condition_and_seed_leaves_both_files(tmp_path):
    source = campaign(tmp_path / "in.xml", condition("A", (0, 1)), condition("B_2", (9999, 10000)))
    assert main([str(source), str(tmp_path / "out")]) == 0
    runs = ["colony_A_0000", "colony_A_0001", "colony_B_2_10000", "colony_B_2_9999"]
    assert names(tmp_path / "out") == sorted(f"{run}.{extension}" for run in runs for extension in ("csv", "h5"))


def test_same_seed_gives_same_bytes_and_another_seed_does_not(tmp_path):
    source = campaign(tmp_path / "in.xml", condition(parameters='<parameter name="steps" value="200"/>'))
    for folder in ("one", "two"):
        main([str(source), str(tmp_path / folder)])
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    first, second = (tmp_path / "one" / f"colony_A_000{seed}.csv" for seed in (0, 1))
    assert first.read_text() != second.read_text()


def test_time_series_and_final_cells_agree(tmp_path):
    source = campaign(tmp_path / "in.xml", condition(seeds=(3, 3), parameters='<parameter name="steps" value="400"/>'))
    main([str(source), str(tmp_path)])
    table = np.genfromtxt(tmp_path / "colony_A_0003.csv", delimiter=",", names=True)
    with h5py.File(tmp_path / "colony_A_0003.h5") as file:
        assert file.attrs["condition"] == "A"
        assert file.attrs["seed"] == 3
        assert len(file["position_um"]) == table["cells"][-1] + table["dead"][-1]
        assert np.count_nonzero(file["alive"]) == table["cells"][-1]
        assert np.hypot(*np.asarray(file["position_um"]).T).max() < 3 * table["radius_um"][-1]
    assert table["cells"][0] == 1
    assert table["time_h"][-1] == 20


def test_more_food_grows_a_bigger_colony_and_a_drug_shrinks_it(tmp_path):
    steps = '<parameter name="steps" value="600"/>'
    source = campaign(
        tmp_path / "in.xml",
        condition("rich", (0, 0), steps),
        condition("poor", (0, 0), f'{steps}<parameter name="nutrient" value="0.2"/>'),
        condition("drug", (0, 0), f'{steps}<parameter name="drug_dose" value="3"/>'),
    )
    main([str(source), str(tmp_path)])
    cells = {
        key: np.genfromtxt(tmp_path / f"colony_{key}_0000.csv", delimiter=",", names=True)["cells"]
        for key in ("rich", "poor", "drug")
    }
    assert cells["rich"][-1] > 2 * cells["poor"][-1] > 0
    before, after = cells["drug"][48], cells["drug"][-1]
    assert after < before == cells["rich"][48]


def test_a_run_starts_from_the_founders_of_its_seed_and_group(tmp_path, monkeypatch, capsys):
    (tmp_path / "inits").mkdir()
    (tmp_path / "inits" / "colony_treated_0001.csv").write_text(inits.disc(), encoding="utf-8")
    monkeypatch.setenv("BATCH_WORKING_URL", f"{tmp_path}/")
    monkeypatch.setenv("FILE_SET_NAME", "colony_treated")
    main([str(campaign(tmp_path / "in.xml", condition())), str(tmp_path / "out")])
    first_rows = [(tmp_path / "out" / f"colony_A_000{seed}.csv").read_text().splitlines()[1] for seed in (0, 1)]
    assert [row.split(",")[1] for row in first_rows] == ["1", "37"]
    printed = capsys.readouterr().out
    assert "colony_A_0000: starts from one cell" in printed
    assert "colony_A_0001: starts from 37 cells" in printed


@pytest.mark.parametrize(
    ("founders", "reason"),
    [
        ("x,y\n0,0\n", "first line is 'x,y'"),
        ("x_um,y_um\n", "no founder cell"),
        ("x_um,y_um\n0,zero\n", "zero"),
        ("x_um,y_um\n0,0\n1,1\n", "share a site"),
        ("x_um,y_um\n0,9000\n", "outside the dish"),
        ("", "founder cells"),
    ],
)
def test_bad_founders_are_refused(tmp_path, capsys, founders, reason):
    (tmp_path / "inits").mkdir()
    (tmp_path / "inits" / "colony_0000.csv").write_text(founders, encoding="utf-8")
    assert main([str(campaign(tmp_path / "in.xml", condition())), str(tmp_path / "out")]) == 2
    complaint = capsys.readouterr().err
    assert "colony_0000.csv" in complaint
    assert reason in complaint


def test_fail_at_exits_3_after_saying_what_broke_and_leaves_no_file_of_that_run(tmp_path, capsys):
    failing = condition("bad", (0, 0), f'{QUICK}<parameter name="fail_at" value="1.5"/>')
    source = campaign(tmp_path / "in.xml", condition("good", (0, 0)), failing)
    assert main([str(source), str(tmp_path / "out")]) == 3
    assert "colony_bad_0000: broke down at t = 1.5 h" in capsys.readouterr().err
    assert names(tmp_path / "out") == ["colony_good_0000.csv", "colony_good_0000.h5"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<campaign", "is not XML"),
        ("<other/>", "starts with <other>"),
        ("<campaign/>", "name = ''"),
        ('<campaign name="../x"/>', "no part of a file name"),
        ('<campaign name="c"/>', "has no <condition>"),
        ('<campaign name="c"><condition key="a/b" start_seed="0" end_seed="1"/></campaign>', "key = 'a/b'"),
        ('<campaign name="c"><condition key="A" start_seed="-1" end_seed="1"/></campaign>', "start_seed = '-1'"),
        ('<campaign name="c"><condition key="A" start_seed="2" end_seed="1"/></campaign>', "before start_seed = 2"),
        (with_parameter("nutrien", "1"), "nutrient?"),
        (with_parameter("steps", "1.5"), "integer"),
        (with_parameter("nutrient", "nan"), "finite"),
        (with_parameter("nutrient", "-1"), "0 or more"),
    ],
)
def test_bad_input_is_refused_with_file_value_and_reason(tmp_path, capsys, text, told):
    path = tmp_path / "in.xml"
    path.write_text(text, encoding="utf-8")
    assert main([str(path), str(tmp_path / "out")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"colony: {path}: ")
    assert told in complaint
    assert not (tmp_path / "out").exists()


def test_missing_input_and_unwritable_output_are_refused(tmp_path, capsys):
    assert main([str(tmp_path / "none.xml"), str(tmp_path)]) == 2
    assert "none.xml: cannot be read" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([str(campaign(tmp_path / "in.xml", condition())), str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_killed_model_leaves_no_half_file(tmp_path):
    source = campaign(tmp_path / "in.xml", condition(seeds=(0, 400), parameters='<parameter name="steps" value="20"/>'))
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "models.colony", str(source), str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while len(list(out.glob("colony_*.h5"))) < 20:
        assert time.monotonic() < deadline
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in out.glob("colony_*.csv"):
        assert len(path.read_text().splitlines()) == 4
    for path in out.glob("colony_*.h5"):
        with h5py.File(path) as file:
            assert set(file) == {"position_um", "alive", "age_h"}


def test_starting_the_model_does_not_import_matplotlib(tmp_path):
    source = campaign(tmp_path / "in.xml", condition())
    code = (
        "import sys; from models.colony.__main__ import main; "
        f"main([{str(source)!r}, {str(tmp_path)!r}]); assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def demo_series() -> dict:
    return yaml.safe_load((ROOT / "configs" / "series" / "colony.yaml").read_text(encoding="utf-8"))


def test_the_template_renders_what_the_model_reads(tmp_path):
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    template = environment.from_string((ROOT / "templates" / "colony.xml").read_text(encoding="utf-8"))
    series = demo_series()
    conditions = [{**each, "start_seed": 2, "end_seed": 3} for each in series["conditions"]]
    path = tmp_path / "in.xml"
    path.write_text(template.render(name=series["name"], conditions=conditions), encoding="utf-8")
    read = read_campaign(path)
    assert read.name == "colony"
    assert [(each.key, each.start_seed, each.end_seed) for each in read.conditions] == [
        (each["key"], 2, 3) for each in conditions
    ]
    assert [each.parameters.drug_dose for each in read.conditions] == [0, 0, 1, 3]
    assert [each.parameters.nutrient for each in read.conditions] == [1, 0.3, 1, 1]


def test_the_example_in_one_file_is_the_composed_one():
    whole = yaml.safe_load((ROOT / "configs" / "colony.yaml").read_text(encoding="utf-8"))
    parts = {"context": "context/demo.yaml", "series": "series/colony.yaml", "parameters": "parameters/colony.yaml"}
    assert whole == {
        field: yaml.safe_load((ROOT / "configs" / path).read_text(encoding="utf-8")) for field, path in parts.items()
    }


def test_inits_makes_the_source_that_the_series_asks_for(tmp_path, capsys):
    assert inits.main([str(tmp_path)]) == 0
    for init in demo_series()["inits"]:
        name, key = init["name"], init["key"]
        assert (tmp_path / name / "inits" / "inits.COLONY" / f"{name}_{key}.csv").read_text() == inits.disc()
    (tmp_path / "file").touch()
    assert inits.main([str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.fixture
def two_days(tmp_path):
    """A series whose condition A was simulated on two days; on the second day seed 1 was done again and 2 was added."""
    for day, seeds in (("2026-01-30", (0, 1)), ("2026-01-31", (1, 2))):
        outputs = tmp_path / "colony" / day / "outputs"
        source = campaign(
            tmp_path / "in.xml",
            condition("A", seeds),
            condition("B", seeds, f'{QUICK}<parameter name="drug_dose" value="1"/>'),
        )
        main([str(source), str(outputs)])
    return tmp_path


def test_the_picture_shows_the_runs_of_all_days(two_days, capsys):
    latest = two_days / "colony" / "2026-01-31" / "pictures"
    assert pictures.main([f"{two_days}/colony/2026-01-31/"]) == 0
    assert f"picture: {latest}/growth.png" in capsys.readouterr().out
    assert (latest / "growth.png").read_bytes().startswith(b"\x89PNG")
    assert "A ends at" in (latest / "growth.txt").read_text()
    assert "(mean of 3 seeds)" in (latest / "growth.txt").read_text()
    assert names(latest) == ["growth.png", "growth.txt"]


def test_a_working_location_draws_into_the_latest_day_of_the_named_series(two_days, capsys):
    (two_days / "other" / "2026-02-01").mkdir(parents=True)
    assert pictures.main([str(two_days)]) == 2
    assert "--name" in capsys.readouterr().err
    assert pictures.main([str(two_days), "--name", "colony"]) == 0
    assert (two_days / "colony" / "2026-01-31" / "pictures" / "growth.png").exists()


def test_nothing_to_draw_and_foreign_files_are_said(two_days, capsys):
    assert pictures.main([str(two_days), "--name", "absent"]) == 2
    assert "no dated folder of absent" in capsys.readouterr().err
    (two_days / "colony" / "2026-01-31" / "outputs" / "colony_A_0005.csv").write_text("a,b\n1,2\n")
    assert pictures.main([str(two_days), "--name", "colony"]) == 2
    assert "colony_A_0005.csv: is no time series" in capsys.readouterr().err
