"""Jobs of the test server's Batch that live as the service's jobs do.

moto runs a job once, forgets its exit code and reason, tells its children neither index nor attempt, and leaves parents
without a state. Here a job goes through its states in a slot of a pool, is tried again as its retry strategy says, and
keeps of each attempt what the service keeps.
"""

from __future__ import annotations

import copy
import fnmatch
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from moto.batch import models
from moto.batch.utils import JobStatus
from moto.core.utils import unix_time_millis

FINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED})
LOG_GROUP = "/aws/batch/job"
SLOTS = ThreadPoolExecutor(int(os.environ.get("BATCH_SLOTS", "8")), "batch-job")
"""Where jobs run; the service's compute environment."""

SERVICE_ENVIRONMENT = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
"""What stands for the credentials that the service lends a container of a job role."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: what the service says of it."""

    exit_code: int | None
    reason: str = ""
    """``container.reason``: why the container did not do what it should."""

    status_reason: str = "Essential container in task exited"
    retried: bool = True
    """False for an end after which the service tries no more: a timeout, a termination."""

    @property
    def well(self) -> bool:
        return self.exit_code == 0


class Job(models.Job):  # type: ignore[misc]
    """A job, or the parent of an array."""

    def __init__(self, *arguments: Any, retry_strategy: Mapping[str, Any] | None = None, **named: Any) -> None:
        named["container_overrides"] = copy.deepcopy(named.get("container_overrides"))
        super().__init__(*arguments, **named)
        self.retry_strategy = retry_strategy or self.job_definition.retry_strategy or {}
        self.reason = ""
        self.is_told_to_end = False

    @property
    def index(self) -> int | None:
        found: int | None = self.array_properties.get("index")
        return found

    @property
    def is_parent(self) -> bool:
        return self._child_jobs is not None

    @property
    def image(self) -> str:
        return str(self.job_definition.container_properties["image"])

    @property
    def command(self) -> list[str]:
        given = self._get_container_property("command", [])
        return list(self._add_parameters_to_command(given)) if given else []

    @property
    def memory_mib(self) -> int:
        return int(self._resource("MEMORY", "memory", "512"))

    @property
    def seconds(self) -> float | None:
        return self._get_attempt_duration()

    def _resource(self, kind: str, old_name: str, default: str) -> str:
        properties = self.job_definition.container_properties
        for source in (self.container_overrides, properties):
            for each in source.get("resourceRequirements") or []:
                if each["type"] == kind:
                    return str(each["value"])
        return str(properties.get(old_name, default))

    def told(self) -> dict[str, str]:
        """Return the environment that the job was submitted with."""
        sources = (self.job_definition.container_properties, self.container_overrides)
        return {each["name"]: each["value"] for source in sources for each in source.get("environment") or []}

    def _get_container_property(self, p: str, default: Any) -> Any:
        if p == "environment":
            return [{"name": name, "value": value} for name, value in self.told().items()]
        return super()._get_container_property(p, default)

    def environment(self) -> dict[str, str]:
        """Return the environment of the container."""
        own = {
            "AWS_BATCH_JOB_ID": self.job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(len(self.attempts)),
            "AWS_BATCH_JQ_NAME": self.job_queue.name,
        }
        if self.index is not None:
            own["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.index)
        lent = {name: os.environ[name] for name in SERVICE_ENVIRONMENT if name in os.environ}
        return {**lent, **self.told(), **own}

    def say(self, line: str) -> None:
        """Append a line to the job's log."""
        event = {"timestamp": int(unix_time_millis()), "message": line}
        self._log_backend.put_log_events(LOG_GROUP, self.log_stream_name, [event])

    def start(self) -> None:
        """Queue the job; a parent is not run."""
        self.status = JobStatus.RUNNABLE
        SLOTS.submit(self.run)

    def run(self) -> None:
        from tests.integration.services.containers import execute  # noqa: PLC0415 - it needs this module

        ended = Ended(None, status_reason="terminated before it started", retried=False)
        for attempt in count(1):
            if self.stop:
                break
            ended = self._attempt(execute)
            if ended.well or not ended.retried or not self._is_tried_again(ended, attempt):
                break
            self.status = JobStatus.RUNNABLE
        self._finish(ended)

    def _attempt(self, execute: Callable[[Job], Ended]) -> Ended:
        self.job_started_at = datetime.now()
        self.log_stream_name = f"{self.job_definition.name}/default/{uuid.uuid4().hex}"
        self._log_backend.ensure_log_group(LOG_GROUP)
        self._log_backend.ensure_log_stream(LOG_GROUP, self.log_stream_name)
        self._start_attempt()
        self.status = JobStatus.RUNNING
        try:
            ended = execute(self)
        except Exception as error:  # noqa: BLE001 - whatever broke, the job must not hang
            ended = Ended(None, f"InternalError: {error}", "Task failed to start")
        if self.stop:
            ended = Ended(ended.exit_code, status_reason=self.job_stopped_reason or "", retried=False)
        container = self.latest_attempt["container"]
        container |= {"logStreamName": self.log_stream_name}
        container |= {"exitCode": ended.exit_code} if ended.exit_code is not None else {}
        container |= {"reason": ended.reason} if ended.reason else {}
        self.latest_attempt |= {"stoppedAt": int(time.time() * 1000), "statusReason": ended.status_reason}
        return ended

    def _is_tried_again(self, ended: Ended, attempt: int) -> bool:
        if attempt >= int(self.retry_strategy.get("attempts", 1)):
            return False
        said = {
            "onExitCode": "" if ended.exit_code is None else str(ended.exit_code),
            "onReason": ended.reason,
            "onStatusReason": ended.status_reason,
        }
        for rule in self.retry_strategy.get("evaluateOnExit") or []:
            if all(fnmatch.fnmatch(said[name].lower(), rule[name].lower()) for name in said if rule.get(name)):
                return bool(rule["action"].upper() == "RETRY")
        return True

    def _finish(self, ended: Ended) -> None:
        self.exit_code, self.reason = ended.exit_code, ended.reason
        self.job_stopped_reason = self.job_stopped_reason or ended.status_reason
        self.job_stopped_at = datetime.now()
        self.job_stopped = True
        self.status = JobStatus.SUCCEEDED if ended.well and not self.stop else JobStatus.FAILED

    def terminate(self, reason: str) -> None:
        """End what has not ended: the job, or the children of a parent."""
        self.settle()
        if self.status in FINAL:
            return
        self.is_told_to_end = True
        if not self.is_parent:
            super().terminate(reason)
            return
        for child in self._child_jobs or []:
            if child.status not in FINAL:
                child.terminate(reason)

    def settle(self) -> None:
        """Bring a parent's state up to date: pending while a child is active."""
        if not self.is_parent or self.job_stopped:
            return
        states = [child.status for child in self._child_jobs or []]
        if not FINAL.issuperset(states):
            self.status = JobStatus.PENDING
            return
        self.job_stopped_at = max(child.job_stopped_at for child in self._child_jobs or [])
        if JobStatus.FAILED in states:
            self.job_stopped_reason = "Array Child Job failed"
        self.job_stopped = True
        self.status = JobStatus.FAILED if JobStatus.FAILED in states else JobStatus.SUCCEEDED

    def describe_short(self) -> dict[str, Any]:
        self.settle()
        short = dict(super().describe_short())
        if self.is_parent:
            short["arrayProperties"] = {"size": len(self._child_jobs or [])}
            short.pop("startedAt", None)
        elif self.index is not None:
            short["arrayProperties"] = {"index": self.index}
        if self.job_stopped and self.reason:
            short["container"] = {**short.get("container", {}), "reason": self.reason}
        return short

    def describe(self) -> dict[str, Any]:
        long = dict(super().describe())
        return {**long, "isCancelled": False, "isTerminated": self.is_told_to_end}

    def _container_details(self) -> dict[str, Any]:
        details = dict(super()._container_details())
        details["image"] = self.image
        details |= {"exitCode": self.exit_code} if self.exit_code is not None else {}
        details |= {"reason": self.reason} if self.reason else {}
        return details


def children_of(job: Job) -> Iterator[Job]:
    """Yield the children of a parent."""
    yield from job._child_jobs or []
