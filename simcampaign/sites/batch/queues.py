"""The job queues of a region, and the machines behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simcampaign.errors import shorten
from simcampaign.sites.base import Queue
from simcampaign.sites.batch.answers import part

if TYPE_CHECKING:
    from simcampaign.sites.batch.service import Service


def list_queues(service: Service, chosen: str) -> list[Queue]:
    """Return all job queues of the region; cores are the vCPUs that their machines have at most, and now."""
    machines = {
        each["computeEnvironmentArn"]: each
        for each in _pages(service, "describe_compute_environments", "computeEnvironments")
    }
    return [
        _queue(queue, [machines[name] for name in _machine_names(queue) if name in machines], chosen)
        for queue in _pages(service, "describe_job_queues", "jobQueues")
    ]


def describe_queue(service: Service, name: str) -> dict[str, Any] | None:
    """Return what the service says of a queue, or None if there is none of this name."""
    answer = service.batch("describe_job_queues", jobQueues=[name])
    return next(iter(part(answer, "jobQueues", "DescribeJobQueues")), None)


def describe_machines(service: Service, queue: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the service says of the compute environments of a queue."""
    names = _machine_names(queue)
    if not names:
        return []
    answer = service.batch("describe_compute_environments", computeEnvironments=names)
    return list(part(answer, "computeEnvironments", "DescribeComputeEnvironments"))


def fault_of_queue(queue: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a queue itself, or None."""
    if queue.get("state") == "DISABLED" or queue.get("status") == "INVALID":
        return said_of(f"the queue is {queue['state']}, {queue.get('status')}", queue)
    return None


def fault_of_machines(machines: Sequence[Mapping[str, Any]], vcpus: float) -> str | None:
    """Return what keeps all machines of a queue from running a job with ``vcpus``; None if one of them could."""
    if not machines:
        return "the queue has no compute environment"
    faults = [_machine_fault(each, vcpus) for each in machines]
    return None if None in faults else "; ".join(filter(None, faults))


def said_of(fault: str, thing: Mapping[str, Any]) -> str:
    """Return a fault with the reason that the service gives for the state of a thing, if it gives one."""
    reason = thing.get("statusReason")
    return f"{fault} ({shorten(str(reason))})" if reason else fault


def _machine_names(queue: Mapping[str, Any]) -> list[str]:
    return [each["computeEnvironment"] for each in queue.get("computeEnvironmentOrder", ())]


def _machine_fault(machines: Mapping[str, Any], vcpus: float) -> str | None:
    name = f"compute environment {machines['computeEnvironmentName']}"
    if machines.get("state") == "DISABLED":
        return said_of(f"{name} is DISABLED", machines)
    if machines.get("status") == "INVALID":
        return said_of(f"{name} is INVALID", machines)
    most = (machines.get("computeResources") or {}).get("maxvCpus")
    if most is not None and most < vcpus:
        return f"{name} has at most {most} vCPUs, a job needs {vcpus:g}"
    return None


def _queue(queue: Mapping[str, Any], machines: Sequence[Mapping[str, Any]], chosen: str) -> Queue:
    name = str(queue["jobQueueName"])
    status = queue.get("status", "VALID")
    return Queue(
        name,
        str(queue["state"]) if status == "VALID" else f"{queue['state']}, {status}",
        cores=_total(machines, "maxvCpus"),
        cores_used=_total(machines, "desiredvCpus"),
        default=chosen in {name, queue.get("jobQueueArn")},
    )


def _total(machines: Sequence[Mapping[str, Any]], key: str) -> int | None:
    """Return the sum over all machines; None if one of them does not tell, as those of Fargate for what they use."""
    numbers = [(each.get("computeResources") or {}).get(key) for each in machines]
    known = [int(number) for number in numbers if number is not None]
    return sum(known) if known and len(known) == len(numbers) else None


def _pages(service: Service, operation: str, key: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = service.batch(operation, **token)
        yield from part(page, key, operation)
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
