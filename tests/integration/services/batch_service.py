"""The calls of the test server's Batch that moto answers otherwise than the service does.

Limits of SubmitJob and DescribeJobs; ListJobs with exactly one selector, its default state, its filters and its pages.
"""

from __future__ import annotations

import json
import os
import time
from types import ModuleType
from typing import Any

from moto.batch import models, responses, urls
from moto.batch.exceptions import ClientException

from tests.integration.services.batch_jobs import Job, children_of

LISTED_AFTER = float(os.environ.get("BATCH_LISTED_AFTER", "0"))
"""Seconds until ListJobs knows a job: the service is eventually consistent."""

ARRAY_SIZES = range(2, 10_001)
DESCRIBED_AT_ONCE = 100
LISTED_AT_ONCE = 1000
FILTERED_AT_ONCE = 100


class Backend(models.BatchBackend):  # type: ignore[misc]
    """A region's Batch."""

    @property
    def _url_module(self) -> ModuleType:
        return urls

    def submit(self, asked: dict[str, Any]) -> Job:
        """Submit a job, or an array with its children."""
        definition = self.get_job_definition(asked["jobDefinition"])
        if definition is None:
            raise ClientException(f"JobDefinition not found: {asked['jobDefinition']}")
        queue = self.get_job_queue(asked["jobQueue"])
        if queue is None:
            raise ClientException(f"JobQueue not found: {asked['jobQueue']}")
        if models.JOB_NAME_REGEX.match(asked["jobName"]) is None:
            raise ClientException("Job name should match valid pattern")
        size = (asked.get("arrayProperties") or {}).get("size")
        if size is not None and size not in ARRAY_SIZES:
            raise ClientException("Array size must be between 2 and 10000")
        if size is None:
            job = self._make(asked, definition, queue, {})
            job.start()
            return job
        parent = self._make(asked, definition, queue, {"size": size})
        parent._child_jobs = [
            self._make(asked, definition, queue, {"index": index}, f"{parent.job_id}:{index}") for index in range(size)
        ]
        for child in children_of(parent):
            child.start()
        return parent

    def _make(
        self, asked: dict[str, Any], definition: Any, queue: Any, array: dict[str, Any], job_id: str | None = None
    ) -> Job:
        job = Job(
            asked["jobName"],
            definition,
            queue,
            self,
            log_backend=self.logs_backend,
            container_overrides=asked.get("containerOverrides"),
            eks_properties_override=None,
            depends_on=asked.get("dependsOn"),
            parameters=asked.get("parameters"),
            all_jobs=self._jobs,
            timeout=asked.get("timeout"),
            array_properties=array,
            provided_job_id=job_id,
            tags=asked.get("tags"),
            retry_strategy=asked.get("retryStrategy"),
        )
        self._jobs[job.job_id] = job
        return job

    def describe_jobs(self, jobs: list[str] | None) -> list[dict[str, Any]]:
        if not jobs:
            raise ClientException("Array of job ids cannot be empty")
        if len(jobs) > DESCRIBED_AT_ONCE:
            raise ClientException("Cannot describe more than 100 jobs at a time")
        return [self._jobs[job_id].describe() for job_id in dict.fromkeys(jobs) if job_id in self._jobs]

    def summaries(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what ListJobs lists, before it is cut into pages."""
        if sum(bool(asked.get(name)) for name in ("jobQueue", "arrayJobId", "multiNodeJobId")) != 1:
            raise ClientException("Exactly one of jobQueue, arrayJobId, multiNodeJobId must be set")
        if array := asked.get("arrayJobId"):
            parent = self._jobs.get(array)
            listed = [child.describe_short() for child in children_of(parent)] if parent else []
        else:
            queue = self.get_job_queue(asked["jobQueue"])
            if queue is None:
                raise ClientException(f"JobQueue not found: {asked['jobQueue']}")
            listed = [job.describe_short() for job in list(queue.jobs) if job.index is None]
            known = (time.time() - LISTED_AFTER) * 1000
            listed = [each for each in listed if each["createdAt"] <= known] if LISTED_AFTER else listed
            if filters := asked.get("filters"):
                return [each for each in listed if all(_matches(each, one) for one in filters)]
        state = asked.get("jobStatus") or "RUNNING"
        return [each for each in listed if each["status"] == state]


def _matches(summary: dict[str, Any], asked: dict[str, Any]) -> bool:
    if asked["name"] != "JOB_NAME":
        raise ClientException(f"this server has no filter {asked['name']}")
    name = summary["jobName"].lower()
    return any(
        name.startswith(value[:-1].lower()) if value.endswith("*") else name == value.lower()
        for value in asked["values"]
    )


class Response(responses.BatchResponse):  # type: ignore[misc]
    """The calls as they come in."""

    @property
    def batch_backend(self) -> Backend:
        backend: Backend = models.batch_backends[self.current_account][self.region]
        return backend

    def submitjob(self) -> str:
        job = self.batch_backend.submit(json.loads(self.body))
        return json.dumps({"jobId": job.job_id, "jobName": job.job_name, "jobArn": job.arn})

    def listjobs(self) -> str:
        asked = json.loads(self.body)
        found = self.batch_backend.summaries(asked)
        most = FILTERED_AT_ONCE if asked.get("filters") else LISTED_AT_ONCE
        first, size = int(asked.get("nextToken") or 0), min(int(asked.get("maxResults") or most), most)
        page: dict[str, Any] = {"jobSummaryList": found[first : first + size]}
        if first + size < len(found):
            page["nextToken"] = str(first + size)
        return json.dumps(page)


def install() -> None:
    """Put these in the place of moto's."""
    models.batch_backends.backend = Backend
    for path in urls.url_paths:
        urls.url_paths[path] = Response.dispatch
