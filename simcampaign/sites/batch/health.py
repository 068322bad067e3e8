"""Whether jobs can run at AWS Batch: who asks, and whether the queue, its machines and the role are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.base import Finding
from simcampaign.sites.batch.answers import code_of
from simcampaign.sites.batch.definition import Account
from simcampaign.sites.batch.logs import GROUP
from simcampaign.sites.batch.queues import describe_machines, describe_queue, fault_of_machines, fault_of_queue

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service

_ABSENT = frozenset({"NoSuchEntity", "ResourceNotFoundException"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def examine(service: Service, account: Account, queues: list[str]) -> Iterator[Finding]:
    """Yield what is found about the account, the queues, the permissions and the role of a site.

    Nothing is submitted. After credentials that are not taken, or a service that cannot be reached, nothing else is
    asked.
    """
    credentials = _attempt("credentials", lambda: _credentials(service, account))
    yield credentials
    if credentials.fine is False:
        return
    for queue in queues:
        yield _attempt(f"queue {queue}", lambda queue=queue: _queue(service, account, queue))  # type: ignore[misc]
    yield _attempt("listing jobs", lambda: _listing(service, queues[0]))
    yield _attempt("logs", lambda: _logs(service))
    yield _attempt("role", lambda: _role(service, account))


def _attempt(subject: str, look: Callable[[], tuple[bool | None, str]]) -> Finding:
    """Return a finding; an error is one, too."""
    try:
        fine, detail = look()
    except (SiteError, NetworkError) as error:
        fine, detail = False, str(error)
    except (KeyError, TypeError, ValueError) as error:
        fine, detail = False, f"the answer cannot be understood: {error!r}; check AWS_ENDPOINT_URL"
    return Finding(subject, fine, detail)


def _credentials(service: Service, account: Account) -> tuple[bool, str]:
    caller = service.call("sts", "get_caller_identity")
    if caller["Account"] != account.account:
        return False, f"{caller['Arn']} is of account {caller['Account']}, not {account.account}; set AWS_PROFILE"
    return True, str(caller["Arn"])


def _queue(service: Service, account: Account, name: str) -> tuple[bool, str]:
    found = describe_queue(service, name)
    if found is None:
        return False, f"there is none in {account.region}"
    if fault := fault_of_queue(found):
        return False, fault
    machines = describe_machines(service, found)
    if fault := fault_of_machines(machines, vcpus=0):
        return False, fault
    if not any(_offers(each, account.platform) for each in machines):
        return False, f"its machines are not {account.platform}; set platform"
    return True, f"ENABLED, with {len(machines)} compute environment{'s' if len(machines) != 1 else ''}"


def _offers(machines: Mapping[str, Any], platform: str) -> bool:
    """Tell whether machines are of the platform; those that somebody manages without the service may be."""
    kind = (machines.get("computeResources") or {}).get("type")
    return kind is None or str(kind).startswith("FARGATE") == (platform == "FARGATE")


def _listing(service: Service, queue: str) -> tuple[bool, str]:
    filters = [{"name": "JOB_NAME", "values": ["none"]}]
    service.batch("list_jobs", jobQueue=queue, filters=filters, maxResults=1)
    return True, "arrays can be found again by their names"


def _logs(service: Service) -> tuple[bool, str]:
    try:
        service.logs("get_log_events", logGroupName=GROUP, logStreamName="none", limit=1)
    except SiteError as error:
        if code_of(error) not in _ABSENT:
            raise
    return True, f"those in {GROUP} may be read"


def _role(service: Service, account: Account) -> tuple[bool | None, str]:
    name = account.role_arn.rpartition("/")[2]
    try:
        service.call("iam", "get_role", RoleName=name)
    except SiteError as error:
        if code_of(error) in _ABSENT:
            return False, f"there is no {name} in account {account.account}; create it or set job_role"
        if code_of(error) in _DENIED:
            return None, f"{account.role_arn} could not be looked at, which jobs do not need"
        raise
    return True, account.role_arn
