"""A campaign from its manifest to its summary, with real jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError, ConflictError, LocationError, SiteError, TemplateError
from simcampaign.jobs import Cause, JobState
from simcampaign.ledger import ArrayState
from simcampaign.runs import RunState
from simcampaign.series import Init

TWO_GROUPS: list[dict[str, Any]] = [
    {"key": "p", "group": "first"},
    {"key": "q", "group": "second"},
    {"key": "r", "group": "first"},
]
GROUPS = {"groups": {"first": "", "second": ""}}


def test_a_series_becomes_results_once(toy: Any) -> None:
    first = toy.run(toy.campaign("ok fine:nap:0"))
    assert first.plan.complete
    assert sorted(toy.noted()) == [f"{key} {seed}" for key in ("fine", "ok") for seed in range(3)]
    assert sorted(toy.noted("end")) == sorted(toy.noted())
    assert toy.files("outputs") == {f"toy_{k}_000{s}.{e}" for k in ("ok", "fine") for s in range(3) for e in "ab"}
    assert len(toy.files("logs")) == 6
    assert toy.files("inputs") == set(), "inputs of finished jobs are removed"
    assert toy.files() >= {"toy.PLAN.json", "toy.SUMMARY.txt", "toy.SUMMARY.html"}
    assert (toy.working / "manifest.csv").read_text().count("outputs/toy_") == 12
    assert list((toy.site.root / "arrays").glob("*")) == [], "the site's own files are removed"
    again = toy.campaign("ok fine:nap:0")
    assert toy.run(again).plan.complete
    assert len(toy.noted()) == 6, "nothing was run again"
    assert json.loads((toy.working / again.layout.plan).read_text())["counts"] == {"missing": 6}


def test_the_model_sees_at_most_seeds_per_job_seeds_as_ranges(toy: Any) -> None:
    campaign = toy.campaign("p q", [0, 1, 2, 3, 7, 8, 9], seeds_per_job=3, clean_jobs=False)
    assert toy.run(campaign).plan.complete
    inputs = {name: re.findall(r"toy (\S+) (\d+) (\d+)", text) for name, text in toy.texts("inputs").items()}
    assert inputs == {
        "toy_0.txt": [("p", "0", "2")],
        "toy_1.txt": [("p", "3", "3")],
        "toy_2.txt": [("p", "7", "9")],
        "toy_3.txt": [("q", "0", "2")],
        "toy_4.txt": [("q", "3", "3")],
        "toy_5.txt": [("q", "7", "9")],
    }
    assert len(toy.noted()) == len(set(toy.noted())) == 14


def test_only_what_is_missing_is_run_and_packed(toy: Any) -> None:
    toy.run(toy.campaign("p q", range(4)))
    for name in ("toy_p_0001.a", "toy_q_0003.b"):
        (toy.working / toy.campaign().layout.outputs / name).unlink()
    toy.notes.unlink()
    assert toy.run(toy.campaign("p q", range(4), seeds_per_job=4)).plan.complete
    assert toy.noted() == ["p 1", "q 3"]


def test_each_group_is_an_array_of_its_own_and_a_null_group_is_skipped(toy: Any) -> None:
    skipped = toy.campaign(TWO_GROUPS, series={"groups": {"first": "", "second": None}}, clean_jobs=False)
    published = toy.run(skipped)
    assert published.plan.complete
    assert published.plan.skipped == 3
    assert {run.split()[0] for run in toy.noted()} == {"p", "r"}
    assert toy.files("inputs") == {f"toy_first_{index}.txt" for index in range(6)}
    assert toy.run(toy.campaign(TWO_GROUPS, series=GROUPS)).plan.complete
    groups = [array.group for array in skipped.ledger.arrays(skipped.id)]
    assert groups == ["first", "second"]
    assert len(toy.noted()) == len(set(toy.noted())) == 9


def inits(toy: Any, *places: str) -> dict[str, Any]:
    for place in places:
        path = toy.working / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(place)
    init = Init("old", "start", "first", (0, 1, 5), ("xml", "csv"))
    return {"series": {"groups": GROUPS["groups"], "inits": [init]}}


def test_inits_are_copied_only_for_missing_seeds_of_their_group(toy: Any) -> None:
    given = inits(toy, "old/inits/inits.TOY/old_start.xml", "old/inits/inits.TOY/old_start.csv")
    assert toy.run(toy.campaign(TWO_GROUPS, [0], clean_jobs=False, **given)).plan.complete
    assert toy.files("inits") == {"toy_first_0000.xml", "toy_first_0000.csv"}
    for file in toy.files("inits"):
        (toy.working / toy.campaign().layout.root / "inits" / file).unlink()
    assert toy.run(toy.campaign(TWO_GROUPS, range(3), clean_jobs=False, **given)).plan.complete
    assert toy.texts("inits") == {
        "toy_first-2_0001.xml": "old/inits/inits.TOY/old_start.xml",
        "toy_first-2_0001.csv": "old/inits/inits.TOY/old_start.csv",
    }, "seed 0 is done, seed 2 has no init, seed 5 is not in the series"


def test_an_init_that_is_not_there_is_refused_before_anything_is_created(toy: Any) -> None:
    campaign = toy.campaign(TWO_GROUPS, **inits(toy, "old/inits/inits.TOY/old_start.xml"))
    with pytest.raises(LocationError, match=r"init old/inits/inits.TOY/old_start.csv: is not in") as caught:
        toy.run(campaign)
    assert "series.inits" in caught.value.hint
    assert campaign.ledger.arrays(campaign.id) == []
    assert toy.files() == set()


def test_a_command_that_does_not_exist_leaves_nothing_behind(toy: Any) -> None:
    campaign = toy.campaign(command=("no-such-program", "{input}"))
    with pytest.raises(SiteError, match=r"'no-such-program'.* is not in PATH.*nothing was submitted"):
        toy.run(campaign)
    assert campaign.ledger.arrays(campaign.id) == []
    assert toy.files() == set()
    assert not toy.site.root.exists()


def test_a_location_that_cannot_be_written_leaves_nothing_behind(toy: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    campaign = toy.campaign(working=tmp_path / "file" / "below")
    with pytest.raises(LocationError, match=str(tmp_path / "file")):
        toy.run(campaign)
    assert campaign.ledger.arrays(campaign.id) == []
    assert toy.noted() == []


def test_a_full_disk_while_inputs_are_saved_frees_the_claims_and_forgets_nothing(toy: Any, small_disk: Path) -> None:
    toy.template.write_text(toy.template.read_text() + "{# padding #}" + "\n" * 100_000)
    campaign = toy.campaign("p q", range(5), working=small_disk)
    with pytest.raises(LocationError, match="disk full"):
        toy.run(campaign)
    assert [array.state for array in campaign.ledger.arrays(campaign.id)] == [ArrayState.ABANDONED]
    assert toy.noted() == []
    toy.template.write_text(toy.template.read_text().rstrip("\n"))
    for path in small_disk.rglob("*.txt"):
        path.unlink()
    assert toy.run(toy.campaign("p q", range(5), working=small_disk)).plan.complete
    assert len(toy.noted()) == len(set(toy.noted())) == 10


def test_a_model_that_ends_well_without_its_files_is_incomplete_not_done(toy: Any) -> None:
    campaign = toy.campaign("silent half ok", [0])
    plan = toy.run(campaign).plan
    assert not plan.complete
    assert plan.counts == {"missing": 1, "incomplete": 1, "done": 1}
    reasons = {row["condition"]: row["reason"] for row in plan.reasons()}
    assert reasons["silent"] == "has no file, though its last job ended well: does the model write where it is told?"
    assert reasons["half"] == "lacks b, though its last job ended well: does the model write where it is told?"
    toy.run(toy.campaign("silent half ok", [0]))
    assert sorted(toy.noted()) == ["half 0", "half 0", "ok 0", "silent 0", "silent 0"]


def test_a_failed_run_is_shown_with_cause_exit_code_log_and_command_and_run_again(toy: Any) -> None:
    campaign = toy.campaign("once ok", [4])
    published = toy.run(campaign)
    assert published.plan.counts == {"failed": 1, "done": 1}
    assert published.failures.splitlines() == [
        "FAILED toy_once_0004: application, exit code 3",
        "    | step 1 went well",
        "    | ERROR the toy broke",
        "    run it alone: run it again --only toy_once_0004",
    ]
    assert published.failures in (toy.working / campaign.layout.summary_text).read_text()
    page = Path(published.page).read_text()
    assert "toy_once_0004" in page
    assert "ERROR the toy broke" in page
    (failure,) = campaign.ledger.failures(campaign.id)
    assert (failure.state, failure.cause, failure.exit_code) == (JobState.FAILED, Cause.APPLICATION, 3)
    assert len(toy.files("inputs")) == 1, "the input of a failed job is kept"
    again = toy.run(toy.campaign("once ok", [4]))
    assert again.plan.complete
    assert again.failures == ""
    assert toy.noted().count("once 4") == 2


def test_log_filter_keeps_only_the_lines_that_match(toy: Any) -> None:
    toy.run(toy.campaign("exit3", [0], log_filter="ERROR"))
    assert list(toy.texts("logs").values()) == ["ERROR the toy broke\n"]


def test_save_logs_and_clean_jobs_can_be_switched_off(toy: Any) -> None:
    assert toy.run(toy.campaign("ok", [0], save_logs=False, clean_jobs=False)).plan.complete
    assert toy.files("logs") == set()
    assert toy.files("inputs") == {"toy_0.txt"}


def test_a_template_that_does_not_render_creates_nothing(toy: Any) -> None:
    toy.template.write_text("{{ name }}\n{{ temperature }}\n")
    campaign = toy.campaign()
    with pytest.raises(TemplateError, match=r"toy.txt, line 2: variable 'temperature' is not defined \(condition ok\)"):
        toy.run(campaign)
    assert campaign.ledger.arrays(campaign.id) == []
    assert toy.files() == set()


def test_a_template_that_changes_between_plan_and_saving_is_refused_and_frees_the_claims(toy: Any) -> None:
    campaign = toy.campaign("ok")
    claimed = toy.plan_and_claim(campaign)
    toy.template.write_text(toy.template.read_text() + "another line\n")
    del campaign.__dict__["template"]
    with pytest.raises(ConflictError, match="renders differently than a moment ago"):
        toy.submit(campaign, *claimed)
    assert [array.state for array in campaign.ledger.arrays(campaign.id)] == [ArrayState.ABANDONED]
    toy.template.write_text(toy.template.read_text().removesuffix("another line\n"))
    assert toy.run(toy.campaign("ok")).plan.complete
    assert len(toy.noted()) == 3


def test_an_output_is_stale_only_if_its_input_would_differ(toy: Any) -> None:
    def states(campaign: Any) -> dict[str, int]:
        counts: dict[str, int] = toy.run(campaign).plan.counts
        return counts

    packed = {"seeds_per_job": 4}
    conditions = [{"key": "p", "x": 1}, {"key": "q", "x": 1}]
    assert states(toy.campaign(conditions, **packed)) == {"done": 6}
    toy.template.write_text(f"{{# another comment #}}{toy.template.read_text()}")
    unused = [{**condition, "unused": 7} for condition in conditions]
    assert states(toy.campaign(unused, **packed)) == {"done": 6}, "nothing of it is rendered"
    assert states(toy.campaign(unused, seeds_per_job=1)) == {"done": 6}, "how runs were packed does not matter"
    changed = [conditions[0], {"key": "q", "x": 2}]
    assert states(toy.campaign(changed, **packed)) == {"done": 3, "stale": 3}
    assert toy.run(toy.campaign(changed, **packed)).plan.complete
    toy.notes.unlink()
    assert states(toy.campaign(changed, rerun_stale=True, **packed)) == {"done": 6}
    assert toy.noted() == ["q 0", "q 1", "q 2"]
    assert toy.texts("outputs")["toy_q_0000.a"] == "2\n"
    toy.template.write_text(toy.template.read_text().replace("{{ c.x }}", "1{{ c.x }}"))
    assert states(toy.campaign(changed, **packed)) == {"stale": 6}


def test_without_refresh_a_finished_run_is_unlisted_and_not_run_again(toy: Any) -> None:
    kept = {"update_manifest": False}
    plan = toy.run(toy.campaign("ok exit3", **kept)).plan
    assert plan.counts == {"unlisted": 3, "failed": 3}
    assert not (toy.working / "manifest.csv").exists()
    assert "refresh the manifest" in next(row["reason"] for row in plan.reasons() if row["condition"] == "ok")
    toy.notes.unlink()
    toy.run(toy.campaign("ok exit3", **kept))
    assert {run.split()[0] for run in toy.noted()} == {"exit3"}
    assert toy.run(toy.campaign("ok exit3")).plan.codes[0].tolist() == [RunState.DONE] * 3


def test_a_broken_log_filter_does_not_cost_the_results(toy: Any) -> None:
    with pytest.raises(ConfigError, match="log_filter"):
        toy.run(toy.campaign("ok", [0], log_filter="%(%"))
    assert toy.run(toy.campaign("ok", [0])).plan.complete
    assert toy.noted() == ["ok 0"]
