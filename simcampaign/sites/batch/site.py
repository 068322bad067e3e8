"""The site for AWS Batch: one call submits an array, one call tells of a hundred."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from simcampaign.errors import ConfigError, SiteError
from simcampaign.jobs import ArrayReport, ArraySpec, JobReport, Resources
from simcampaign.mistakes import explain
from simcampaign.sites.base import Capabilities, Depot, Finding, Queue
from simcampaign.sites.batch.causes import CANCELLED_REASON
from simcampaign.sites.batch.definition import Account, overrides, same, wanted_definition
from simcampaign.sites.batch.doctor import Doctor
from simcampaign.sites.batch.health import examine
from simcampaign.sites.batch.logs import read_logs
from simcampaign.sites.batch.names import job_name
from simcampaign.sites.batch.options import BatchOptions
from simcampaign.sites.batch.queues import list_queues
from simcampaign.sites.batch.sizes import check_resources
from simcampaign.sites.batch.states import is_array, report_of
from simcampaign.sites.batch.status import Watcher, children, describe
from simcampaign.sites.batch.submission import Submitter
from simcampaign.sites.hosts.base import Host

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import ClientFactory, Service

_MIB_PER_GIB = 1024


class BatchSite:
    """Runs jobs as containers on AWS Batch, each array in one call.

    What is wrong with the environment of a job on its way there is told by ``check``. Credentials and endpoints come
    from the ordinary AWS chain: profiles, SSO, roles, ``AWS_ENDPOINT_URL``.
    """

    options: ClassVar[type[Any]] = BatchOptions
    host: Host | None = None
    depot: Depot | None = None
    scratch = ""

    def __init__(
        self,
        options: BatchOptions,
        *,
        name: str = "batch",
        settle_seconds: float = 5.0,
        client_factory: ClientFactory | None = None,
    ) -> None:
        """Describe the site; the service is not asked before something is submitted or looked for.

        ``settle_seconds`` is how long the service may take to list what it has just accepted. ``client_factory`` makes
        the boto3 client of a service from its name; it must not repeat SubmitJob by itself. Raises ``ConfigError`` for
        values that the service does not take.
        """
        given = _checked(options, name)
        self.name = name
        self.account = Account(
            given.account,
            given.region,
            given.user,
            given.job_role,
            given.registry,
            given.platform,
            given.attempts,
            dict(given.tags),
        )
        self.queue = given.queue
        self.fallback_queue = given.fallback_queue
        self.runnable_limit_seconds = given.runnable_limit_seconds
        self.capabilities = Capabilities(
            max_array_size=given.max_array_size, live_logs=True, cost=True, queues=True, cancels_jobs=True
        )
        self.settle_seconds = settle_seconds
        self._prices = (given.price_per_vcpu_hour, given.price_per_gb_hour)
        self._client_factory = client_factory
        self._definitions: list[tuple[dict[str, Any], str]] = []

    @classmethod
    def configure(cls, name: str, options: BatchOptions) -> Self:
        """Make a site of what a person wrote; the service is not asked yet. Raises ``ConfigError``."""
        return cls(options, name=name)

    def check(self, array: ArraySpec) -> None:
        """Raise ``SiteError`` if the service would refuse the array, or its jobs could not find their files."""
        if not array.image:
            raise SiteError("image: jobs of AWS Batch run in a container", "give parameters.image, e.g. model:1.0")
        if array.command:
            raise SiteError(f"command {array.command[0]!r}: on AWS Batch the image says what runs", "leave it out")
        if not array.working_url.startswith("s3://"):
            reason = "jobs of AWS Batch reach S3 only"
            raise SiteError(f"working_location = {array.working_url}: {reason}", "use the flow run_local_simulations")
        if array.directory:
            raise SiteError(f"directory {array.directory!r}: on AWS Batch the image says where", "leave it out")
        if array.options:
            asked = ", ".join(sorted(array.options))
            raise SiteError(f"{asked}: all jobs of a site of AWS Batch have the same", f"set it in site {self.name}")
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
        return resources.cores * per_vcpu + (resources.memory_mb or 0) / _MIB_PER_GIB * per_gb

    def cancel(self, remote_id: str, indices: Sequence[int] | None = None) -> None:
        """End what has not finished: one call for an array, or one for each index.

        One that the service does not know is no error.
        """
        for job_id in self._ids(remote_id, indices):
            try:
                self._service.batch("terminate_job", jobId=job_id, reason=CANCELLED_REASON)
            except SiteError:
                if self._described(job_id) is not None:
                    raise

    def _ids(self, remote_id: str, indices: Sequence[int] | None) -> list[str]:
        """Return the service's ids of the jobs with these indices; of all jobs it is that of their array."""
        if indices is None:
            return [remote_id]
        job = self._described(remote_id) if indices else None
        if job is None:
            return []
        return [f"{remote_id}:{index}" for index in indices] if is_array(job) else [remote_id]

    def clean(self, remote_id: str) -> None:
        """Remove nothing: the service forgets jobs by itself, and definitions are used again."""
        del remote_id

    def queues(self) -> Sequence[Queue]:
        """Return the job queues of the region, with the vCPUs of their machines: two calls."""
        try:
            return list_queues(self._service, self.queue)
        except (KeyError, TypeError, ValueError) as error:
            raise SiteError(f"AWS, DescribeJobQueues: an answer cannot be understood: {error!r}") from error

    def doctor(self) -> Iterator[Finding]:
        """Look at credentials, queues, machines, permissions and the role of jobs; nothing is submitted."""
        try:
            service = self._service
        except SiteError as error:
            yield Finding("boto3", fine=False, detail=str(error))
            return
        yield from examine(service, self.account, self._queues)

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

    @property
    def _queues(self) -> list[str]:
        return [self.queue, *([self.fallback_queue] if self.fallback_queue else [])]

    @cached_property
    def _service(self) -> Service:
        if importlib.util.find_spec("boto3") is None:
            raise SiteError("site batch needs boto3, which is not installed", "pip install 'simcampaign[aws]'")
        from simcampaign.sites.batch.service import Service  # noqa: PLC0415 - needs boto3

        return Service(self.account.region, self._client_factory)

    @cached_property
    def _submitter(self) -> Submitter:
        return Submitter(self._service, self._queues, self.settle_seconds)

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


def _checked(options: BatchOptions, name: str) -> BatchOptions:
    """Return the options after a look at every value. Raises ``ConfigError``."""
    try:
        return TypeAdapter(BatchOptions).validate_python(options)
    except ValidationError as error:
        raise ConfigError(explain(error, name, BatchOptions, vars(options))) from error
