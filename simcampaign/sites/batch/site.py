"""The site for AWS Batch: one call submits an array, one call tells of a hundred."""

from __future__ import annotations

import importlib.util
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from simcampaign.errors import ConfigError, Problem, SiteError
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, Resources
from simcampaign.sites.base import Capabilities
from simcampaign.sites.batch.causes import CANCELLED_REASON
from simcampaign.sites.batch.definition import Account, Platform, overrides, same, wanted_definition
from simcampaign.sites.batch.doctor import Doctor
from simcampaign.sites.batch.logs import read_logs
from simcampaign.sites.batch.names import job_name
from simcampaign.sites.batch.sizes import check_resources
from simcampaign.sites.batch.states import is_array, report_of
from simcampaign.sites.batch.status import Watcher, children, describe
from simcampaign.sites.batch.submission import Submitter

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import ClientFactory, Service

_MIB_PER_GIB = 1024
_LARGEST_ARRAY = 10_000
_MOST_ATTEMPTS = 10


class BatchSite:
    """Runs jobs as containers on AWS Batch, each array in one call.

    What is wrong with the environment of a job on its way there is told by ``check``. Credentials and endpoints come
    from the ordinary AWS chain: profiles, SSO, roles, ``AWS_ENDPOINT_URL``.
    """

    def __init__(  # noqa: PLR0913 - what an account is set up with
        self,
        *,
        account: str,
        region: str,
        user: str,
        queue: str,
        name: str = "batch",
        job_role: str = "BatchJobRole",
        registry: str | None = None,
        platform: Platform = "EC2",
        attempts: int = 1,
        tags: Mapping[str, str] | None = None,
        fallback_queue: str | None = None,
        runnable_limit_seconds: float = 900.0,
        max_array_size: int = _LARGEST_ARRAY,
        price_per_vcpu_hour: float = 0.0,
        price_per_gb_hour: float = 0.0,
        settle_seconds: float = 5.0,
        client_factory: ClientFactory | None = None,
    ) -> None:
        """Describe the site; the service is not asked before something is submitted or looked for.

        ``account`` is the number of the AWS account, ``user`` the first part of the names of images, definitions and
        jobs. ``job_role`` is the name or ARN of the role that jobs have, ``registry`` where images are (default: the
        account's in the region; empty: none). ``attempts`` is how often the service itself starts a job whose machine
        is taken away. An array that waits in ``queue`` longer than ``runnable_limit_seconds`` without any of its jobs
        being started is looked into; with ``fallback_queue`` it is ended, and what comes later goes there. Prices are
        in the user's currency, memory in GiB. ``settle_seconds`` is how long the service may take to list what it has
        just accepted. ``client_factory`` makes the boto3 client of a service from its name; it must not repeat
        SubmitJob by itself. Raises ``ConfigError`` for values that the service does not take.
        """
        self.name = name
        self.account = Account(account, region, user, job_role, registry, platform, attempts, dict(tags or {}))
        self.queue = queue
        self.fallback_queue = fallback_queue
        self.runnable_limit_seconds = runnable_limit_seconds
        self.capabilities = Capabilities(max_array_size=max_array_size)
        self.settle_seconds = settle_seconds
        self._prices = (price_per_vcpu_hour, price_per_gb_hour)
        self._client_factory = client_factory
        self._definitions: list[tuple[dict[str, Any], str]] = []
        problems = []
        if not re.fullmatch(r"\d{12}", account):
            problems.append(Problem("account", account, "is no account number", "give its 12 digits, in quotes"))
        if not re.match(r"[A-Za-z0-9]", user):
            problems.append(Problem("user", user, "must start with a letter or digit"))
        if not 1 <= attempts <= _MOST_ATTEMPTS:
            problems.append(Problem("attempts", attempts, "must be 1 to 10"))
        if not 2 <= max_array_size <= _LARGEST_ARRAY:
            problems.append(Problem("max_array_size", max_array_size, "must be 2 to 10000"))
        if problems:
            raise ConfigError(problems)

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the service would refuse the array, or its jobs could not find their files."""
        if not array.image:
            raise SiteError("image: jobs of AWS Batch run in a container", "give parameters.image, e.g. model:1.0")
        if array.command:
            raise SiteError(f"command {array.command[0]!r}: on AWS Batch the image says what runs", "leave it out")
        if not array.working_url.startswith("s3://"):
            reason = "jobs of AWS Batch reach S3 only"
            raise SiteError(f"working_location = {array.working_url}: {reason}", "use the flow run_local_simulations")
        check_resources(array.resources, self.account.platform)

    def submit(self, array: ArraySpec) -> str:
        """Submit an array, or a single job, under its own name and return the service's id of it.

        After a reply that was lost it is looked for by that name before it is sent again. Raises ``SiteError`` if the
        service refuses, ``NetworkError`` if it stays busy or cannot be reached; it may have the array all the same.
        """
        request: dict[str, Any] = {
            "jobName": job_name(self.account.user, array.name),
            "jobQueue": self._doctor.queue,
            "jobDefinition": self._definition(wanted_definition(self.account, array)),
            "containerOverrides": overrides(array),
        }
        if len(array.jobs) > 1:
            request["arrayProperties"] = {"size": len(array.jobs)}
        if self.account.tags:
            request |= {"tags": dict(self.account.tags), "propagateTags": True}
        try:
            return self._submitter.submit(request)
        except SiteError:
            self._definitions.clear()  # somebody may have deregistered it
            raise

    def find(self, name: str) -> str | None:
        """Return the service's id of the array with this name, or None if it has none after ``settle_seconds``."""
        return self._submitter.find(job_name(self.account.user, name))

    def status(self, cursors: Mapping[str, str]) -> Mapping[str, ArrayReport]:
        """Return what changed since the cursors: one call for a hundred arrays, more only where failures grew.

        Jobs that finished are told one by one when their array is over; before, they are counted. An array is unknown
        only if it is neither described nor listed for ``settle_seconds``.
        """
        try:
            return self._watcher.status(cursors)
        except (KeyError, TypeError, ValueError) as error:
            raise SiteError(f"AWS, DescribeJobs: an answer cannot be understood: {error!r}") from error

    def wait(self, remote_ids: Sequence[str], timeout_seconds: float) -> None:
        """Sleep: the service tells nothing by itself."""
        del remote_ids
        time.sleep(timeout_seconds)

    def logs(self, remote_id: str, indices: Sequence[int], pattern: str = "") -> Iterator[tuple[int, bytes]]:
        """Yield what jobs printed so far, with their indices; one without a log has a line that says why.

        ``pattern`` is one of CloudWatch's own.
        """

        job = self._described(remote_id)
        single = job is not None and not is_array(job)
        return read_logs(self._service, lambda index: remote_id if single else f"{remote_id}:{index}", indices, pattern)

    def running(self, remote_id: str, most: int) -> Sequence[int]:
        """Return indices of jobs that run now, at most ``most``."""
        job = self._described(remote_id)
        if job is None:
            return ()
        if not is_array(job):
            return [0] if job["status"] == "RUNNING" else []
        return [each.index for each in children(self._service, remote_id, "RUNNING")][:most]

    def details(self, remote_id: str) -> Sequence[JobReport]:
        """Return the jobs that finished, with their times; nothing if the service does not know the array any more."""

        job = self._described(remote_id)
        if job is None:
            return ()
        return children(self._service, remote_id, "SUCCEEDED") if is_array(job) else [report_of(job)]

    def price_per_hour(self, resources: Resources) -> float:
        """Return the price of an hour of a job: its vCPUs and its GiB of memory."""
        per_vcpu, per_gb = self._prices
        return resources.cpus * per_vcpu + (resources.memory_mb or 0) / _MIB_PER_GIB * per_gb

    def cancel(self, remote_id: str) -> None:
        """End what has not finished, one call for an array; one that the service does not know is no error."""
        try:
            self._service.batch("terminate_job", jobId=remote_id, reason=CANCELLED_REASON)
        except SiteError:
            if self._described(remote_id) is not None:
                raise

    def clean(self, remote_id: str) -> None:
        """Remove nothing: the service forgets jobs by itself, and definitions are used again."""
        del remote_id

    def _definition(self, wanted: dict[str, Any]) -> str:
        """Return the ARN of a definition that says what is wanted: an active one, or else a new revision."""
        known = next((arn for definition, arn in self._definitions if definition == wanted), None)
        if known is not None:
            return known
        arn = self._existing_definition(wanted)
        if arn is None:
            arn = str(self._service.batch("register_job_definition", **wanted)["jobDefinitionArn"])
        self._definitions.append((wanted, arn))
        return arn

    def _existing_definition(self, wanted: dict[str, Any]) -> str | None:
        pages: dict[str, Any] = {"jobDefinitionName": wanted["jobDefinitionName"], "status": "ACTIVE"}
        found: list[dict[str, Any]] = []
        while True:
            page = self._service.batch("describe_job_definitions", **pages)
            found += page["jobDefinitions"]
            if not page.get("nextToken"):
                break
            pages["nextToken"] = page["nextToken"]
        equal = [each for each in found if same(wanted, each)]
        return str(max(equal, key=lambda each: each["revision"])["jobDefinitionArn"]) if equal else None

    def _described(self, remote_id: str) -> dict[str, Any] | None:

        return next(describe(self._service, [remote_id]), None)

    @cached_property
    def _service(self) -> Service:
        if importlib.util.find_spec("boto3") is None:
            raise SiteError("site batch needs boto3, which is not installed", "pip install 'simcampaign[aws]'")
        from simcampaign.sites.batch.service import Service  # noqa: PLC0415 - needs boto3

        return Service(self.account.region, self._client_factory)

    @cached_property
    def _submitter(self) -> Submitter:
        queues = [self.queue, *([self.fallback_queue] if self.fallback_queue else [])]
        return Submitter(self._service, queues, self.settle_seconds)

    @cached_property
    def _watcher(self) -> Watcher:
        submitter = self._submitter
        return Watcher(
            self._service,
            knows=lambda name, job_id: job_id in submitter.listed(name),
            settle_seconds=self.settle_seconds,
            seen=self._doctor.look,
        )

    @cached_property
    def _doctor(self) -> Doctor:
        return Doctor(self._service, self.queue, self.fallback_queue, self.runnable_limit_seconds)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out clients, which cannot be carried to another process and are made again there."""
        made_again = {"_service", "_submitter", "_watcher", "_doctor"}
        return {key: value for key, value in self.__dict__.items() if key not in made_again}
