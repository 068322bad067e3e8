"""AWS Batch in this process: the calls that the site makes, their limits, and arrays of any size in no memory.

What it answers follows the API reference: an array's parent stays PENDING while its children run, a listing shows one
status, in pages, and filters hide ``jobStatus``. A test moves the jobs along with ``start`` and ``end``.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

LISTED, FILTERED, DESCRIBED = 1000, 100, 100
_STATUS = {"ClientException": 400, "TooManyRequestsException": 429, "ServerException": 500}


def refusal(operation: str, code: str, message: str) -> ClientError:
    """Return the error that boto3 raises for an answer of the service."""
    metadata = {"HTTPStatusCode": _STATUS[code]}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)


@dataclass
class Submitted:
    """A job or an array; children end in the order of their indices."""

    request: Mapping[str, Any]
    job_id: str
    created: float
    size: int | None
    running: int = 0
    ended: int = 0
    failed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What the service says of each child that failed, by its index."""

    @property
    def count(self) -> int:
        return self.size or 1

    @property
    def status(self) -> str:
        if self.ended == self.count:
            return "FAILED" if self.failed else "SUCCEEDED"
        return "PENDING" if self.size else "RUNNING" if self.running else "RUNNABLE"

    def times(self) -> dict[str, int]:
        created = round(self.created * 1000)
        return {"createdAt": created, "startedAt": created + 1000, "stoppedAt": created + 3000}


class SimulatedBatch:
    """A client for Batch, as boto3 makes one."""

    def __init__(self, *, submits_per_second: int | None = None, clock: Callable[[], float] = time.time) -> None:
        self.calls: Counter[str] = Counter()
        self.submitted: dict[str, Submitted] = {}
        self.definitions: list[dict[str, Any]] = []
        self._clock = clock
        self._submits_per_second = submits_per_second
        self._recent: deque[float] = deque()

    def start(self, job_id: str, count: int = 1) -> None:
        """Let that many more children run."""
        self.submitted[job_id].running += count

    def end(self, job_id: str, count: int | None = None, failed: Mapping[int, Mapping[str, Any]] | None = None) -> None:
        """Let the next ``count`` children end (None: all that are left), those in ``failed`` badly."""
        job = self.submitted[job_id]
        count = job.count - job.ended if count is None else count
        job.ended += count
        job.running = max(0, job.running - count)
        job.failed |= {index: dict(said) for index, said in (failed or {}).items()}

    def submit_job(self, **request: Any) -> dict[str, Any]:
        self.calls["submit_job"] += 1
        self._throttle()
        size = request.get("arrayProperties", {}).get("size")
        if size is not None and not 2 <= size <= 10_000:
            raise refusal("SubmitJob", "ClientException", "Array size must be between 2 and 10000")
        if not any(each["jobDefinitionArn"] == request["jobDefinition"] for each in self.definitions):
            raise refusal("SubmitJob", "ClientException", "JobDefinition does not exist")
        job_id = f"job-{len(self.submitted)}"
        self.submitted[job_id] = Submitted(request, job_id, self._clock(), size)
        return {"jobId": job_id, "jobName": request["jobName"]}

    def describe_jobs(self, jobs: list[str]) -> dict[str, Any]:
        self.calls["describe_jobs"] += 1
        if not 1 <= len(jobs) <= DESCRIBED:
            raise refusal("DescribeJobs", "ClientException", f"{len(jobs)} jobs; 1 to {DESCRIBED} can be described")
        return {"jobs": [self._describe(self.submitted[job_id]) for job_id in jobs if job_id in self.submitted]}

    def list_jobs(self, **request: Any) -> dict[str, Any]:
        self.calls["list_jobs"] += 1
        if ("jobQueue" in request) == ("arrayJobId" in request):
            raise refusal("ListJobs", "ClientException", "exactly one of jobQueue and arrayJobId must be given")
        summaries, page = self._summaries(request), FILTERED if "filters" in request else LISTED
        first = int(request.get("nextToken", 0))
        answer: dict[str, Any] = {"jobSummaryList": summaries[first : first + page]}
        return answer | ({"nextToken": str(first + page)} if first + page < len(summaries) else {})

    def terminate_job(self, jobId: str, reason: str) -> dict[str, Any]:  # noqa: N803 - the service's name
        self.calls["terminate_job"] += 1
        job = self.submitted[jobId]
        said = {"statusReason": reason, "isTerminated": True}
        self.end(jobId, failed=dict.fromkeys(range(job.ended, job.count), said))
        return {}

    def register_job_definition(self, **request: Any) -> dict[str, Any]:
        self.calls["register_job_definition"] += 1
        name = request["jobDefinitionName"]
        revision = 1 + sum(each["jobDefinitionName"] == name for each in self.definitions)
        arn = f"arn:aws:batch:us-east-1:123456789012:job-definition/{name}:{revision}"
        self.definitions.append({**request, "revision": revision, "jobDefinitionArn": arn, "status": "ACTIVE"})
        return {"jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision}

    def describe_job_definitions(self, **request: Any) -> dict[str, Any]:
        self.calls["describe_job_definitions"] += 1
        name = request["jobDefinitionName"]
        return {"jobDefinitions": [each for each in self.definitions if each["jobDefinitionName"] == name]}

    def _throttle(self) -> None:
        if self._submits_per_second is None:
            return
        now = self._clock()
        while self._recent and now - self._recent[0] >= 1:
            self._recent.popleft()
        if len(self._recent) >= self._submits_per_second:
            raise refusal("SubmitJob", "TooManyRequestsException", "Too Many Requests")
        self._recent.append(now)

    def _describe(self, job: Submitted) -> dict[str, Any]:
        said: dict[str, Any] = {
            "jobId": job.job_id,
            "jobName": job.request["jobName"],
            "jobQueue": f"arn:aws:batch:us-east-1:123456789012:job-queue/{job.request['jobQueue']}",
            "status": job.status,
            **job.times(),
        }
        if job.size is None:
            return said | job.failed.get(0, {})
        waiting = job.size - job.running - job.ended
        succeeded, failed = job.ended - len(job.failed), len(job.failed)
        summary = {"RUNNABLE": waiting, "RUNNING": job.running, "SUCCEEDED": succeeded, "FAILED": failed}
        zero = dict.fromkeys(("SUBMITTED", "PENDING", "STARTING"), 0)
        return said | {"arrayProperties": {"size": job.size, "statusSummary": zero | summary}}

    def _summaries(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "arrayJobId" in request:
            if "filters" in request:
                raise refusal("ListJobs", "ClientException", "filters do not apply to the children of an array")
            status = request.get("jobStatus", "RUNNING")
            return list(self._children(self.submitted[request["arrayJobId"]], status))
        (name,) = request["filters"][0]["values"]
        prefix = name[:-1].lower() if name.endswith("*") else None
        return [
            {"jobId": job.job_id, "jobName": own, "status": job.status, **job.times()}
            for job in self.submitted.values()
            if job.request["jobQueue"] == request["jobQueue"]
            and ((own := job.request["jobName"]).lower() == name.lower() or (prefix and own.lower().startswith(prefix)))
        ]

    def _children(self, job: Submitted, status: str) -> Iterator[dict[str, Any]]:
        for index in range(job.ended):
            if (index in job.failed) == (status == "FAILED"):
                said = {"jobId": f"{job.job_id}:{index}", "arrayProperties": {"index": index}, "status": status}
                yield said | {"jobName": job.request["jobName"], **job.times()} | job.failed.get(index, {})
