"""The plan as a document: saved, reviewed, and applied only if nothing moved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simcampaign.engine.document import check_document, plan_document, read_document
from simcampaign.engine.planning import prepare
from simcampaign.errors import ConfigError, ConflictError


def saved(toy: Any, campaign: Any) -> Any:
    return json.loads(json.dumps(plan_document(campaign, prepare(campaign, save=False))))


def moved(document: Any, campaign: Any) -> str:
    with pytest.raises(ConflictError, match="no longer the one that was reviewed") as caught:
        check_document(document, campaign, prepare(campaign, save=False))
    assert "--plan FILE" in caught.value.hint
    return str(caught.value)


def test_a_document_tells_counts_reasons_jobs_and_digests_and_planning_creates_nothing(toy: Any) -> None:
    campaign = toy.campaign("p q", [0, 1, 2], seeds_per_job=2)
    document = saved(toy, campaign)
    assert document["counts"] == {"missing": 6}
    assert document["runs"][0] == {"condition": "p", "state": "missing", "reason": "has no file", "seeds": "0-2"}
    assert [job["runs"] for job in document["jobs"]] == [[["p", 0, 1]], [["p", 2, 2]], [["q", 0, 1]], [["q", 2, 2]]]
    assert len({job["digest"] for job in document["jobs"]}) == 4
    assert {path.name for path in toy.root.iterdir() if path.name != "home"} == {"templates"}


def test_an_unmoved_plan_is_accepted(toy: Any) -> None:
    document = saved(toy, toy.campaign("p q"))
    again = toy.campaign("p q")
    check_document(document, again, prepare(again, save=False))


def test_what_moved_is_named(toy: Any) -> None:
    document = saved(toy, toy.campaign("p hold"))
    assert "configuration" in moved(document, toy.campaign("p hold", seeds_per_job=2))
    assert "configuration" in moved(document, toy.campaign("p hold q"))
    text = toy.template.read_text()
    toy.template.write_text("another line\n" + text)
    assert "the template" in moved(document, toy.campaign("p hold"))
    toy.template.write_text(text)
    output = toy.working / toy.campaign().layout.outputs / "toy_p_0000.a"
    output.parent.mkdir(parents=True)
    output.write_text("")
    said = moved(document, toy.campaign("p hold"))
    assert "the manifest" in said
    assert "template" not in said
    assert "configuration" not in said
    output.unlink()
    campaign = toy.campaign("p hold")
    toy.submit(campaign, *toy.plan_and_claim(campaign))
    said = moved(document, toy.campaign("p hold"))
    assert "the jobs in flight" in said
    assert "template" not in said


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"format": "another"}', '{"format": "simcampaign plan 1"}'])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="save a plan with --plan FILE"):
        read_document(text, "plan.json")
