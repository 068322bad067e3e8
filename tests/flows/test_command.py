"""The command line that flows share: help, dry runs, plans and errors, which come without Prefect."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
RUN_EACH = """
import io, json, runpy, sys
from contextlib import redirect_stderr, redirect_stdout
results = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["flow", *arguments]
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            runpy.run_module("flows.run_local_simulations", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        results.append([end.code, out.getvalue(), err.getvalue(), "prefect" in sys.modules])
print(json.dumps(results))
"""


@pytest.fixture
def command(place: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the flow's module as a program, in this process; for what ends before Prefect is imported."""
    monkeypatch.chdir(place.root)
    for name in ("SIMCAMPAIGN_HOME", "PREFECT_HOME"):
        monkeypatch.setenv(name, place.environment[name])
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)

    def run(*arguments: str, flow: str = "flows.run_local_simulations") -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", [flow, *arguments])
        capsys.readouterr()
        monkeypatch.delitem(sys.modules, flow, raising=False)
        with pytest.raises(SystemExit) as end:
            runpy.run_module(flow, run_name="__main__", alter_sys=True)
        return (end.value.code, *capsys.readouterr())

    return run


def nothing_created(place: Any) -> bool:
    homes = [Path(place.environment[name]) for name in ("SIMCAMPAIGN_HOME", "PREFECT_HOME")]
    return place.files() == set() and not any(home.exists() for home in homes)


def test_help_dry_runs_and_errors_come_without_prefect_and_create_nothing(place: Any) -> None:
    given = [
        ["--help"],
        ["toy.yaml", "--dryrun"],
        ["toy.yaml", "--dryrun", "--json"],
        ["toy.yaml", "series.sedes=1"],
        ["toy.yaml", "context.template_location=elsewhere"],
        ["toy.yaml", "context.command=no-such-program {input}"],
        ["toy.yaml", "--apply", "plan.json"],
        ["toy.yaml", "--only", "toy_p_0009"],
        [],
    ]
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH, json.dumps(given)],
        cwd=place.root,
        env=place.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout)
    assert [status for status, *_ in results] == [0, 0, 0, 2, 3, 3, 2, 2, 2]
    assert not any(imported for *_, imported in results)
    assert nothing_created(place)
    texts = [out + err for _, out, err, _ in results]
    assert "python -m flows.run_local_simulations campaign.yaml" in texts[0]
    assert "6 missing" in texts[1]
    assert json.loads(results[2][1])["counts"] == {"missing": 6}
    assert "series.sedes" in texts[3]
    assert "template toy.txt: is not in" in texts[4]
    assert "'no-such-program'" in texts[5]
    assert "--apply = 'plan.json': cannot be read" in texts[6]
    assert "is no run of the series" in texts[7]


def test_help_documents_every_field_every_option_and_the_exit_status(command: Command) -> None:
    status, out, _ = command("--help")
    assert status == 0
    for word in ("context.working_location", "series.seeds", "parameters.terminate_jobs", "--dryrun", "--plan FILE"):
        assert word in out
    assert "exit status" in out
    assert "130" in out


def test_flows_are_listed_with_what_they_do(command: Command) -> None:
    status, out, _ = command(flow="flows")
    assert status == 0
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["run_local_simulations", "Run a campaign on this machine."] in lines
    assert "summarize_manifest" in [line[0] for line in lines if line]


def test_a_dry_run_shows_config_counts_reasons_jobs_estimate_and_first_input(place: Any, command: Command) -> None:
    place.configure(parameters={"seeds_per_job": 2, "seconds_per_run": 3600})
    status, out, _ = command("toy.yaml", "series.seeds=0-4", "--dryrun")
    assert status == 0
    assert "working_location: out" in out
    assert "terminate_jobs: true" in out, "defaults are shown, too"
    assert "Series toy: 2 conditions × 5 seeds = 10 runs\n  10 missing\n  No manifest yet: this is the first" in out
    assert "To submit: 10 runs as 6 jobs (6) on site local" in out
    assert "10 core-hours (10 runs × 3.6e+03 s, declared)" in out
    assert "10 missing: has no file (p seeds 0-4; q seeds 0-4)" in out
    assert out.rstrip().endswith("toy p 0 1 ok 1")
    assert nothing_created(place)


def test_the_three_ways_to_give_a_config_show_the_same_plan(place: Any, command: Command) -> None:
    config = json.loads((place.root / "toy.yaml").read_text())
    inline = [f"{part}.{name}={json.dumps(value)}" for part, fields in config.items() for name, value in fields.items()]
    for part, name in (("context", "laptop"), ("series", "toy"), ("parameters", "quick")):
        (place.root / "configs" / part).mkdir(parents=True)
        (place.root / "configs" / part / f"{name}.yaml").write_text(json.dumps(config[part]))
    ways = [["toy.yaml"], ["::", *inline], ["context=laptop", "series=toy", "parameters=quick"]]
    plans = [json.loads(command(*way, "--set", "series.seeds=0-9", "--dryrun", "--json")[1]) for way in ways]
    assert plans[0]["counts"] == {"missing": 20}
    assert len({plan["digest"] for plan in plans}) == 1


def test_a_plan_is_saved_and_applied_only_while_nothing_moved(place: Any, command: Command) -> None:
    status, _, err = command("toy.yaml", "--plan", "plan.json")
    assert status == 0
    assert "Plan saved: plan.json" in err
    assert place.files() == {"plan.json"}
    status, _, err = command("toy.yaml", "series.seeds=0-3", "--apply", "plan.json")
    assert status == 3
    assert "moved:\n  - the configuration" in err
    (place.root / "templates/toy.txt").write_text("something else\n")
    status, _, err = command("toy.yaml", "--apply", "plan.json")
    assert status == 3
    assert "moved:\n  - the template" in err
    assert place.files() == {"plan.json"}
    status, _, err = command("toy.yaml", "--plan", "no/such/folder/plan.json")
    assert (status, "--plan no/such/folder/plan.json: cannot be written" in err) == (3, True)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["series.conditions=[{key: a}, {key: a}]"], "series.conditions[1].key = 'a': is also the key"),
        (["series.conditions=[{x: 1}]"], "every condition needs a `key`"),
        (["parameters.retires=3"], "did you mean `retries`?"),
        (["series.seeds=[0, 0]"], "series.seeds[1] = 0: is given already at series.seeds[0]"),
        (["series.seeds=[-1]"], "must not be negative"),
        (["series.seeds=[1.5]"], "must be an integer"),
        (["series.groups={_: '', t: ''}"], "no condition belongs to this group"),
        (["series.conditions=[{key: a/b}]"], "not safe in file names"),
        (["series.conditions=[{key: a..b}]"], "must not start with '.' or '/', nor contain '..'"),
        (['series.conditions=[{key: "a\\nb"}]'], "not safe in file names"),
        (["series.conditions=[{key: a'b}]"], "not safe in file names"),
        (["series.conditions=[{key: é}]"], "not safe in file names"),
        (["series.seeds=[x]", "context.slots=many"], "2 mistakes in the configuration; nothing was created"),
    ],
)
def test_a_wrong_config_ends_with_2_and_creates_nothing(
    place: Any, command: Command, overrides: list[str], words: str
) -> None:
    status, out, err = command("toy.yaml", *overrides)
    assert (status, out) == (2, "")
    assert words in err
    assert nothing_created(place)


def test_malformed_yaml_ends_with_2_and_names_the_line(place: Any, command: Command) -> None:
    (place.root / "toy.yaml").write_text("context:\n  slots: [1\nseries: {}\n")
    status, _, err = command("toy.yaml")
    assert status == 2
    assert "toy.yaml" in err
    assert "line 3" in err


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ name }}\n{{ heat }}", "template toy.txt, line 2: variable 'heat' is not defined (condition p)"),
        ("{{ name }}\n{% for %}", "template toy.txt, line 2: "),
        ("{{ ''.__class__ }}", "the sandbox forbids it"),
    ],
)
def test_a_wrong_template_ends_with_2_and_creates_nothing(
    place: Any, command: Command, template: str, words: str
) -> None:
    (place.root / "templates/toy.txt").write_text(template)
    status, out, err = command("toy.yaml")
    assert (status, out) == (2, "")
    assert words in err
    assert nothing_created(place)


HEAD = "KEY,EXTENSION,LOCATION,FULL_KEY\n"
ROW = "toy_p_0000,a,out,toy/2026-01-01/outputs/toy_p_0000.a\n"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("KEY,EXTENSION\nx,y\n", "lacks the column LOCATION, FULL_KEY"),
        (HEAD + ROW.rstrip("\n"), "the last line is cut off"),
        (HEAD + ROW + ROW[:14] + "\n", "row 1 (counted from 0) has no FULL_KEY"),
    ],
)
@pytest.mark.parametrize("update", [True, False])
def test_a_damaged_manifest_ends_with_3_and_stays_as_it_is(
    place: Any, command: Command, manifest: str, words: str, update: bool
) -> None:
    place.configure(parameters={"update_manifest": update})
    (place.root / "out").mkdir()
    (place.root / "out/manifest.csv").write_text(manifest)
    status, out, err = command("toy.yaml")
    assert (status, out) == (3, "")
    assert "manifest manifest.csv: " in err
    assert words in err
    assert "summarize_manifest" in err
    assert (place.root / "out/manifest.csv").read_text() == manifest
    assert place.noted() == []


def test_duplicate_rows_of_a_manifest_count_once(place: Any, command: Command) -> None:
    place.configure(parameters={"update_manifest": False})
    (place.root / "out").mkdir()
    (place.root / "out/manifest.csv").write_text(HEAD + ROW + ROW)
    status, out, _ = command("toy.yaml", "--dryrun", "--json")
    assert (status, json.loads(out)["counts"]) == (0, {"missing": 5, "incomplete": 1})


def test_a_location_that_cannot_be_written_ends_with_3_and_creates_nothing(place: Any, command: Command) -> None:
    (place.root / "blocked").write_text("a file")
    before = place.files()
    status, _, err = command("toy.yaml", "context.working_location=blocked/out", "context.manifest_location=blocked")
    assert status == 3
    assert str(place.root / "blocked") in err
    assert place.files() == before
    assert not Path(place.environment["PREFECT_HOME"]).exists()


def test_secrets_are_never_printed(place: Any, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_IMAGE", "an-image")
    status, out, _ = command("toy.yaml", "parameters.image=${secret:vault}/${env:TOY_IMAGE}", "--dryrun")
    assert status == 0
    assert "${secret:vault}/an-image" in out
