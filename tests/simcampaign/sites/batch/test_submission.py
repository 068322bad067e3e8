"""Submitting once: whatever happens to a request or its answer, the service has the array one time."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.batch import BatchSite
from tests.simcampaign.sites.batch.conftest import PLACE, Recorded, array_of, site_of
from tests.simcampaign.sites.batch.endpoint import CUT, Answer, Endpoint
from tests.simcampaign.sites.batch.simulated import SimulatedBatch

NAME = "ada_colony_rich_ab12_1"
ARN = "arn:aws:batch:us-east-1:123456789012:job-definition/ada_colony_rich:1"


class Played:
    """A service on a socket that has faults: each submission meets the next one of them, then none."""

    def __init__(self, *faults: Callable[[Played, dict[str, Any]], Answer]) -> None:
        self.faults = list(faults)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.hidden = 0
        """How many listings do not show the jobs yet."""

    def __call__(self, operation: str, request: dict[str, Any]) -> Answer:
        if operation == "submitjob":
            return self.faults.pop(0)(self, request) if self.faults else self.take(request)
        if operation == "listjobs":
            return self.list(request)
        if operation == "describejobdefinitions":
            return {"jobDefinitions": []}
        if operation == "terminatejob":
            self.jobs[request["jobId"]]["status"] = "FAILED"
            return {}
        return {"jobDefinitionName": "ada_colony_rich", "jobDefinitionArn": ARN, "revision": 1}

    def take(self, request: dict[str, Any]) -> Answer:
        job_id = f"job-{len(self.jobs)}"
        self.jobs[job_id] = {
            "jobId": job_id,
            "jobName": request["jobName"],
            "status": "PENDING",
            "createdAt": len(self.jobs),
            "queue": request["jobQueue"],
        }
        return {"jobId": job_id, "jobName": request["jobName"]}

    def list(self, request: dict[str, Any]) -> Answer:
        if self.hidden:
            self.hidden -= 1
            return {"jobSummaryList": []}
        return {"jobSummaryList": [job for job in self.jobs.values() if job["queue"] == request["jobQueue"]]}

    @property
    def active(self) -> list[str]:
        return [job_id for job_id, job in self.jobs.items() if job["status"] == "PENDING"]


def refused(status: int, code: str) -> Callable[[Played, dict[str, Any]], Answer]:
    return lambda played, request: (status, code)


def lost(answer: Answer) -> Callable[[Played, dict[str, Any]], Answer]:
    """The service takes the job, but the answer says nothing of it."""

    def take(played: Played, request: dict[str, Any]) -> Answer:
        played.take(request)
        return answer

    return take


def cut_before(played: Played, request: dict[str, Any]) -> Answer:
    return CUT


def twice(played: Played, request: dict[str, Any]) -> Answer:
    played.take(request)
    return played.take(request)


Place = Callable[..., tuple[BatchSite, Endpoint]]


@pytest.fixture
def site_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A site with its own clients, at an endpoint that plays a script."""
    with ExitStack() as stack:

        def start(played: Played, **settings: Any) -> tuple[BatchSite, Endpoint]:
            endpoint = stack.enter_context(Endpoint(played))
            monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", endpoint.url)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            monkeypatch.delenv("AWS_PROFILE", raising=False)
            return site_of(**PLACE, **{"settle_seconds": 0.1, **settings}), endpoint

        yield start


@pytest.mark.parametrize(
    "fault",
    [cut_before, refused(500, "ServerException"), refused(503, "ServiceUnavailable")],
    ids=["cut", "500", "503"],
)
def test_what_never_arrived_is_looked_for_and_then_sent_again(site_at: Place, fault: Any) -> None:
    played = Played(fault)
    site, endpoint = site_at(played)
    assert site.submit(array_of()) == "job-0"
    assert played.active == ["job-0"]
    asked = [each for each in endpoint.asked if each in {"submitjob", "listjobs"}]
    assert asked[:2] == ["submitjob", "listjobs"]
    assert endpoint.asked.count("submitjob") == 2


@pytest.mark.parametrize("answer", [CUT, (500, "ServerException"), {}], ids=["cut", "500", "empty"])
@pytest.mark.parametrize("hidden", [0, 2])
def test_what_arrived_is_found_after_the_answer_was_lost(site_at: Place, answer: Answer, hidden: int) -> None:
    played = Played(lost(answer))
    played.hidden = hidden
    site, endpoint = site_at(played, settle_seconds=30)
    assert site.submit(array_of()) == "job-0"
    assert len(played.jobs) == 1
    assert endpoint.asked.count("submitjob") == 1


def test_a_busy_service_is_asked_again_without_a_search(site_at: Place) -> None:
    played = Played(*[refused(429, "TooManyRequestsException")] * 4)
    site, endpoint = site_at(played)
    assert site.submit(array_of()) == "job-0"
    assert endpoint.asked.count("submitjob") == 5
    assert endpoint.asked.index("listjobs") > 4


def test_a_doubt_stays_while_the_search_fails(site_at: Place) -> None:
    played = Played(lost(CUT))
    searches = iter([(500, "ServerException")] * 3)
    listing = played.list
    played.list = lambda request: next(searches, None) or listing(request)  # type: ignore[method-assign]
    site, endpoint = site_at(played)
    assert site.submit(array_of()) == "job-0"
    assert endpoint.asked.count("submitjob") == 1


def test_an_array_that_cannot_be_looked_for_is_not_sent_again(site_at: Place) -> None:
    played = Played(lost(CUT))
    played.list = lambda request: (403, "AccessDeniedException")  # type: ignore[method-assign]
    site, endpoint = site_at(played)
    with pytest.raises(SiteError, match="permission for ListJobs"):
        site.submit(array_of())
    assert endpoint.asked.count("submitjob") == 1


def test_an_endpoint_where_nobody_listens_is_a_network_error() -> None:
    def nobody(**_: Any) -> Any:
        service.calls["nobody"] += 1
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    service = SimulatedBatch()
    service.submit_job = service.list_jobs = nobody  # type: ignore[method-assign]
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    with pytest.raises(NetworkError, match="cannot be submitted: Could not connect"):
        site.submit(array_of())
    assert service.calls["nobody"] > 1
    with pytest.raises(NetworkError, match="ListJobs: Could not connect"):
        site.find("colony_rich_ab12_1")


def test_a_request_that_was_delivered_twice_leaves_one_array(site_at: Place) -> None:
    played = Played(twice)
    site, endpoint = site_at(played)
    assert site.submit(array_of()) == "job-0"
    assert played.active == ["job-0"]
    assert endpoint.asked.count("terminatejob") == 1


def test_a_refusal_is_an_error_at_once(site_at: Place) -> None:
    played = Played(refused(400, "ClientException"))
    site, endpoint = site_at(played)
    with pytest.raises(SiteError, match="SubmitJob: ClientException"):
        site.submit(array_of())
    assert endpoint.asked.count("submitjob") == 1
    assert not played.jobs


def test_a_definition_that_is_gone_is_made_anew_at_the_next_try(site_at: Place) -> None:
    site, endpoint = site_at(Played(refused(400, "ClientException")))
    with pytest.raises(SiteError):
        site.submit(array_of())
    site.submit(array_of())
    site.submit(array_of(name="colony_rich_cd34_1"))
    assert endpoint.asked.count("registerjobdefinition") == 2


def test_a_service_that_stays_away_is_a_network_error(site_at: Place) -> None:
    played = Played(*[refused(429, "TooManyRequestsException")] * 100)
    site, _ = site_at(played)
    with pytest.raises(NetworkError, match=f"{NAME} cannot be submitted: TooManyRequestsException"):
        site.submit(array_of())
    assert not played.jobs


def test_an_array_and_a_single_job_are_submitted_as_what_they_are(site_at: Place) -> None:
    site, endpoint = site_at(Played(), tags={"project": "colonies"})
    site.submit(array_of(3))
    site.submit(array_of(1, name="colony_rich_cd34_1"))
    several, one = (
        request
        for operation, request in zip(endpoint.asked, endpoint.requests, strict=True)
        if operation == "submitjob"
    )
    assert several["arrayProperties"] == {"size": 3}
    assert several["jobName"] == NAME
    assert several["tags"] == {"project": "colonies"}
    assert several["jobDefinition"] == ARN
    assert "arrayProperties" not in one
    assert {"name": "AWS_BATCH_JOB_ARRAY_INDEX", "value": "0"} in one["containerOverrides"]["environment"]


def test_a_site_that_was_used_travels_to_another_process(site_at: Place) -> None:
    site, _ = site_at(Played())
    job_id = site.submit(array_of())
    copy = pickle.loads(pickle.dumps(site))  # noqa: S301 - our own
    assert copy.find("colony_rich_ab12_1") == job_id


def summary(job_id: str, name: str = NAME, status: str = "PENDING", created: int = 1) -> dict[str, Any]:
    return {"jobId": job_id, "jobName": name, "status": status, "createdAt": created}


def listing(queue: str = "main") -> dict[str, Any]:
    return {"jobQueue": queue, "filters": [{"name": "JOB_NAME", "values": [NAME]}]}


def test_find_wants_the_exact_name_from_all_pages_of_both_queues(recorded: Recorded) -> None:
    recorded.lists(summary("no", NAME.upper()), summary("nor", f"{NAME}0"), token="t", **listing())
    recorded.lists(summary("a:3"), after="t", **listing())
    recorded.lists(summary("yes"), **listing("spare"))
    assert recorded.site(fallback_queue="spare").find("colony_rich_ab12_1") == "yes"


def test_find_prefers_what_is_active_then_what_ended_last(recorded: Recorded) -> None:
    ended = [summary("old", status="FAILED", created=1), summary("new", status="SUCCEEDED", created=2)]
    recorded.lists(*ended, summary("active", created=3), **listing())
    recorded.lists(*ended, **listing())
    recorded.lists(**listing())
    found = [recorded.site().find("colony_rich_ab12_1") for _ in range(3)]
    assert found == ["active", "new", None]


def test_an_answer_without_a_list_is_an_error(site_at: Place) -> None:
    played = Played()
    played.list = lambda request: {}  # type: ignore[method-assign]
    site, _ = site_at(played)
    with pytest.raises(SiteError, match="ListJobs: the answer has no jobSummaryList"):
        site.find("colony_rich_ab12_1")


def test_a_queue_that_does_not_exist_is_an_error(recorded: Recorded) -> None:
    recorded.batch.add_client_error("list_jobs", "ClientException", "main does not exist", 400)
    with pytest.raises(SiteError, match="ListJobs: ClientException: main does not exist"):
        recorded.site().find("colony_rich_ab12_1")


def existing(revision: int, image: str = "colony:1.0") -> dict[str, Any]:
    """A definition of ours as the service shows it, made by the site itself."""
    service = SimulatedBatch()
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    site.submit(array_of(image=image))
    arn = f"{ARN.rpartition(':')[0]}:{revision}"
    return {**service.definitions[0], "revision": revision, "jobDefinitionArn": arn}


def submits(recorded: Recorded, definition: str) -> None:
    expected = {
        "jobName": NAME,
        "jobQueue": "main",
        "jobDefinition": definition,
        "arrayProperties": {"size": 3},
        "containerOverrides": {
            "environment": [
                {"name": "BATCH_WORKING_URL", "value": "s3://bucket/colony/2026-01-31/"},
                {"name": "FILE_SET_NAME", "value": "colony_rich"},
                {"name": "SIMCAMPAIGN_OUTPUT", "value": "s3://bucket/colony/2026-01-31/outputs/"},
            ]
        },
    }
    recorded.batch.add_response("submit_job", {"jobId": "a", "jobName": NAME}, expected)
    recorded.lists(summary("a"), **listing())


def test_the_newest_equal_definition_is_used_again(recorded: Recorded) -> None:
    asked = {"jobDefinitionName": "ada_colony_rich", "status": "ACTIVE"}
    shown = [existing(3, "colony:2.0"), existing(2), existing(1)]
    recorded.batch.add_response("describe_job_definitions", {"jobDefinitions": shown[:1], "nextToken": "t"}, {**asked})
    recorded.batch.add_response("describe_job_definitions", {"jobDefinitions": shown[1:]}, {**asked, "nextToken": "t"})
    submits(recorded, shown[1]["jobDefinitionArn"])
    assert recorded.site().submit(array_of()) == "a"


def test_without_an_equal_definition_there_is_a_new_revision() -> None:
    service = SimulatedBatch()
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    for image in ("colony:1.0", "colony:2.0", "colony:1.0"):
        site.submit(array_of(image=image, name=f"colony_rich_{image[-3]}_{len(service.submitted)}"))
    used = [job.request["jobDefinition"].rpartition(":")[2] for job in service.submitted.values()]
    assert used == ["1", "2", "1"]


def test_more_submissions_than_fifty_a_second_wait_for_their_turn() -> None:
    ticks = iter(range(10_000))
    service = SimulatedBatch(submits_per_second=5, clock=lambda: next(ticks) / 20)
    site = site_of(**PLACE, settle_seconds=0, client_factory=lambda _: service)
    ids = [site.submit(array_of(name=f"colony_rich_{number}_1")) for number in range(20)]
    assert len(set(ids)) == len(service.submitted) == 20
    assert service.calls["submit_job"] > 20
