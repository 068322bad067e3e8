"""Logs from CloudWatch: the stream that is told, all pages, and a reason where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.errors import SiteError
from tests.simcampaign.sites.batch.conftest import Recorded, child, parent, single

GROUP = "/aws/batch/job"


def with_log(index: int, stream: str = "ada_colony_rich/default/0f3c", **container: Any) -> dict[str, Any]:
    job = child(index, "SUCCEEDED", container={"exitCode": 0, "logStreamName": stream, **container})
    return {**parent("x"), **job}


def answers(recorded: Recorded, lines: list[str], token: str, after: str | None = None, **place: Any) -> None:
    events = [{"timestamp": number, "message": line} for number, line in enumerate(lines)]
    expected = {"logGroupName": GROUP, "logStreamName": "ada_colony_rich/default/0f3c", "startFromHead": True, **place}
    if after is not None:
        expected["nextToken"] = after
    recorded.logs.add_response("get_log_events", {"events": events, "nextForwardToken": token}, expected)


def logs(recorded: Recorded, *indices: int, job_id: str = "a", pattern: str = "") -> dict[int, bytes]:
    return dict(recorded.site().logs(job_id, indices, pattern))


def test_pages_are_read_until_the_token_repeats_also_over_empty_ones(recorded: Recorded) -> None:
    recorded.describes(parent())
    recorded.describes(with_log(3))
    answers(recorded, ["t = 0 h", "t = 12 h"], "f/1")
    answers(recorded, [], "f/2", after="f/1")
    answers(recorded, ["fertig: 5 µm"], "f/3", after="f/2")
    answers(recorded, [], "f/3", after="f/3")
    assert logs(recorded, 3) == {3: "t = 0 h\nt = 12 h\nfertig: 5 µm\n".encode()}


def test_children_are_described_a_hundred_a_call(recorded: Recorded) -> None:
    recorded.describes(parent(size=250))
    for first, last in ((0, 100), (100, 200), (200, 250)):
        jobs = [{**parent("x"), **child(index, "RUNNABLE")} for index in range(first, last)]
        recorded.describes(*jobs)
    found = logs(recorded, *range(250))
    assert list(found) == list(range(250))
    assert set(found.values()) == {f"(no log: job {i} is RUNNABLE and printed nothing)\n".encode() for i in range(250)}


def test_a_group_that_the_definition_names_is_asked(recorded: Recorded) -> None:
    configuration = {"logDriver": "awslogs", "options": {"awslogs-group": "/campaigns"}}
    recorded.describes(parent())
    recorded.describes(with_log(0, logConfiguration=configuration))
    answers(recorded, ["x"], "f/1", logGroupName="/campaigns")
    answers(recorded, [], "f/1", after="f/1", logGroupName="/campaigns")
    assert logs(recorded, 0) == {0: b"x\n"}


def test_only_with_a_pattern_the_service_filters(recorded: Recorded) -> None:
    recorded.describes(parent())
    recorded.describes(with_log(0))
    place = {"logGroupName": GROUP, "logStreamNames": ["ada_colony_rich/default/0f3c"], "filterPattern": "?WARN ?ERROR"}
    event = {"logStreamName": "ada_colony_rich/default/0f3c", "message": "WARN: small"}
    recorded.logs.add_response("filter_log_events", {"events": [], "nextToken": "n"}, place)
    recorded.logs.add_response("filter_log_events", {"events": [event]}, {**place, "nextToken": "n"})
    assert logs(recorded, 0, pattern="?WARN ?ERROR") == {0: b"WARN: small\n"}


def test_a_job_without_a_stream_has_a_log_that_says_why(recorded: Recorded) -> None:
    reason = "CannotPullContainerError: manifest for ada/colony:1.0 not found"
    failed = child(0, statusReason="Task failed to start", container={"reason": reason})
    recorded.describes(parent())
    recorded.describes({**parent("x"), **failed}, asked=["a:0", "a:1"])
    found = logs(recorded, 0, 1)
    assert found[0] == f"(no log: job 0 is FAILED: Task failed to start; {reason})\n".encode()
    assert found[1] == b"(no log: AWS Batch does not know the job any more)\n"


def test_a_stream_that_is_named_but_does_not_exist_says_why(recorded: Recorded) -> None:
    recorded.describes(parent())
    recorded.describes(with_log(0))
    recorded.logs.add_client_error("get_log_events", "ResourceNotFoundException", "no stream", 400)
    assert b"ada_colony_rich/default/0f3c does not exist; job 0 is SUCCEEDED" in logs(recorded, 0)[0]


def test_a_refusal_is_an_error_that_names_the_permission(recorded: Recorded) -> None:
    recorded.describes(parent())
    recorded.describes(with_log(0))
    recorded.logs.add_client_error("get_log_events", "AccessDeniedException", "not authorised", 400)
    with pytest.raises(SiteError, match="permission for GetLogEvents"):
        logs(recorded, 0)


def test_the_log_is_that_of_the_last_attempt(recorded: Recorded) -> None:
    attempts = [{"container": {"logStreamName": f"ada_colony_rich/default/{name}"}} for name in ("0000", "0f3c")]
    recorded.describes(single("FAILED", attempts=attempts))
    recorded.describes(single("FAILED", attempts=attempts))
    answers(recorded, ["second try"], "f/1")
    answers(recorded, [], "f/1", after="f/1")
    assert logs(recorded, 0, job_id="s") == {0: b"second try\n"}
