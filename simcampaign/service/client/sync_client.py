"""The client that waits for each answer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

from simcampaign.service.client import calls, talks
from simcampaign.service.client.calls import Call
from simcampaign.service.client.connection import BusyError, Connection, retrying
from simcampaign.service.client.records import (
    Array,
    Campaign,
    CampaignMap,
    Event,
    Job,
    Limits,
    Partition,
    QueueStanding,
    Resources,
    Status,
    Submitted,
    SubmittedArray,
)
from simcampaign.service.client.streams import Events, LogLines, Stream
from simcampaign.service.client.talks import Talk

T = TypeVar("T")


class Client(Connection[httpx.Client]):
    """A client of a job manager. Safe to use from many threads; ``with Client() as client:`` closes it at the end.

    What was interrupted is sent again, and a submission has a key by which it is queued once. Every method raises
    ``ConfigError``, ``ConflictError``, ``SiteError`` or ``NetworkError`` of ``simcampaign.errors``.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Describe the service.

        ``base_url`` is by default ``SIMCAMPAIGN_SERVICE_URL`` or http://127.0.0.1:8080, ``token`` is
        ``SIMCAMPAIGN_SERVICE_TOKEN`` if that is set; ``timeout`` is in seconds, for each part of one request.
        ``transport`` goes in place of the network.
        """
        super().__init__(base_url, token, timeout)
        self._http = httpx.Client(transport=transport, **self.options)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    # How anything is sent

    def _do(self, call: Call[T]) -> T:
        with self.explaining():
            for attempt in retrying(call):
                with attempt:
                    response = self._http.send(self.request(self._http, call))
                    return call.read(self.checked(response))
        raise AssertionError

    def _talk(self, talk: Talk[T]) -> Iterator[T]:
        answer: Any = None
        while True:
            try:
                step = talk.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Call):
                answer = self._do(step)
            elif isinstance(step, talks.Pause):
                time.sleep(step.seconds)
            else:
                yield step.value

    def _stream(self, stream: Stream[T]) -> Iterator[T]:
        while not stream.is_over():
            try:
                with self._http.stream("GET", stream.path, params=stream.params(), timeout=self.patience) as response:
                    if response.is_error:
                        response.read()
                    self.checked(response)
                    stream.begin()
                    for line in response.iter_lines():
                        if (item := stream.take(line)) is not None:
                            yield item
                        if stream.is_over():
                            return
            except (httpx.TransportError, BusyError) as error:
                stream.cut(self.url, error)
            time.sleep(stream.pause())

    # Jobs

    def submit(
        self, config: Mapping[str, Any], priority: int = 0, *, user: str | None = None, key: str | None = None
    ) -> Submitted:
        """Queue a job; it is on the disk once this returns. With the same ``key`` it is queued once."""
        return self._do(calls.submit(config, priority, user, key))

    def submit_application(
        self,
        application: str,
        fields: Mapping[str, Any] | None = None,
        *,
        priority: int = 0,
        user: str | None = None,
        key: str | None = None,
        **config: Any,
    ) -> Submitted:
        """Queue a job of an application that the server's owner declared; ``config`` are other fields of the job."""
        whole = {**config, "application": application, "fields": dict(fields or {})}
        return self._do(calls.submit(whole, priority, user, key))

    def dry_run(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what would be run; nothing is queued."""
        return self._do(calls.dry_run(config))

    def get(self, job_id: str) -> Job:
        """Return a job."""
        return self._do(calls.get(job_id))

    def jobs(self, **filters: Any) -> Iterator[Job]:
        """Iterate over jobs, page by page.

        Filters: ``status`` (one or several), ``site``, ``group``, ``user``, ``series``, ``array``, ``text``, ``since``
        (seconds since the epoch); and ``sort``, ``descending``, ``brief`` (without configs).
        """
        return self._talk(talks.pages(lambda cursor: calls.jobs(filters, cursor)))

    def cancel(self, job_id: str) -> bool:
        """Cancel a job; False if it was over already. The event ``job_cancelled`` says when it has ended."""
        return self._do(calls.cancel(job_id))

    def set_priority(self, job_id: str, priority: int) -> bool:
        """Give a job that waits another priority."""
        return self._do(calls.set_priority(job_id, priority))

    def hold(self, job_id: str) -> bool:
        """Hold a job that waits back."""
        return self._do(calls.hold(job_id))

    def release(self, job_id: str) -> bool:
        """Let a job that was held go on."""
        return self._do(calls.release(job_id))

    def retry(self, job_id: str) -> Submitted:
        """Queue a job that did not finish well once more, under a new id."""
        return self._do(calls.retry(job_id))

    def delete(self, job_id: str) -> bool:
        """Forget a job that is over, with its files."""
        return self._do(calls.delete(job_id))

    def files(self, job_id: str) -> dict[str, int]:
        """Return the files in a job's folder with their sizes in bytes."""
        return self._do(calls.files(job_id))

    def log(self, job_id: str, offset: int = 0) -> str:
        """Return what a job printed so far, from an offset in bytes on."""
        return "".join(self._talk(talks.whole_log(job_id, offset)))

    def follow_log(self, job_id: str, offset: int = 0) -> Iterator[str]:
        """Iterate over what a job prints, as it prints it, until it is over."""
        return self._stream(LogLines(job_id, offset))

    def events(self, since: int | None = None, *, job_id: str | None = None) -> Iterator[Event]:
        """Iterate over events as they happen, for ever, over breaks and restarts of the service, without gap.

        ``since`` is a sequence number that events are told behind; by default that of the newest event.
        """
        begin = self._do(calls.last_event()) if since is None else since
        return self._stream(Events(begin, job_id))

    def wait(self, job_ids: Iterable[str], timeout: float | None = None) -> list[Job]:
        """Wait until jobs are over and return them. Raises ``TimeoutError`` after ``timeout`` seconds."""
        return list(self._talk(talks.until_over(job_ids, timeout, time.monotonic)))

    # The service and its host

    def queue(self) -> QueueStanding:
        """Return how much waits and runs."""
        return self._do(calls.queue())

    def resources(self) -> Resources:
        """Return what the service's host has left."""
        return self._do(calls.resources())

    def limits(self) -> Limits:
        """Return what jobs may use of the service's host."""
        return self._do(calls.limits())

    def set_limits(self, **values: float) -> Limits:
        """Change limits, all or none: fields of ``Limits``."""
        return self._do(calls.set_limits(values))

    def partitions(self) -> list[Partition]:
        """Return the partitions of the clusters that are configured."""
        return self._do(calls.partitions())

    def status(self) -> Status:
        """Return what the service is and does."""
        return self._do(calls.status())

    # Campaigns

    def submit_campaign(
        self,
        context: str | Mapping[str, Any],
        series: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        kind: str | None = None,
        key: str | None = None,
    ) -> str:
        """Have a campaign kept going until every run is done, and return its id."""
        return self._do(calls.submit_campaign(context, series, parameters, kind, key))

    def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign: runs and jobs per state, costs, time left, failures."""
        return self._do(calls.campaign(campaign_id))

    def campaigns(self, **filters: Any) -> Iterator[Campaign]:
        """Iterate over campaigns. Filters: ``status``, ``user``, ``name``."""
        return self._talk(talks.pages(lambda cursor: calls.campaigns(filters, cursor)))

    def campaign_map(self, campaign_id: str, **window: int) -> CampaignMap:
        """Return where the runs of a window of conditions × seeds are.

        Window: ``condition_offset``, ``conditions``, ``seed_offset``, ``seeds``.
        """
        return self._do(calls.campaign_map(campaign_id, window))

    def pause_campaign(self, campaign_id: str) -> bool:
        """Submit nothing more of a campaign; its jobs go on."""
        return self._do(calls.change_campaign(campaign_id, "pause"))

    def resume_campaign(self, campaign_id: str) -> bool:
        """Go on with a campaign."""
        return self._do(calls.change_campaign(campaign_id, "resume"))

    def retry_campaign(self, campaign_id: str) -> bool:
        """Try the failed runs of a campaign again."""
        return self._do(calls.change_campaign(campaign_id, "retry"))

    def cancel_campaign(self, campaign_id: str) -> bool:
        """End a campaign and its jobs."""
        return self._do(calls.change_campaign(campaign_id, "cancel"))

    def delete_campaign(self, campaign_id: str) -> bool:
        """Forget a campaign that is over; its files stay."""
        return self._do(calls.delete_campaign(campaign_id))

    # Arrays

    def submit_array(
        self,
        config: Mapping[str, Any],
        jobs: Sequence[Mapping[str, Any]],
        priority: int = 0,
        *,
        user: str | None = None,
        key: str | None = None,
    ) -> SubmittedArray:
        """Queue many jobs, all or none: each has ``config`` and what ``jobs`` says of it otherwise."""
        return self._do(calls.submit_array(config, jobs, priority, user, key))

    def array(self, array_id: str) -> Array:
        """Return an array with its jobs per state; ``jobs(array=…)`` lists them."""
        return self._do(calls.array(array_id))

    def arrays(self, **filters: Any) -> Iterator[Array]:
        """Iterate over arrays. Filter: ``user``."""
        return self._talk(talks.pages(lambda cursor: calls.arrays(filters, cursor)))

    def cancel_array(self, array_id: str) -> bool:
        """Cancel the jobs of an array that are not over; False if all are."""
        return self._do(calls.cancel_array(array_id))

    def retry_array(self, array_id: str) -> SubmittedArray:
        """Queue the jobs of an array that did not finish well once more, under new ids."""
        return self._do(calls.retry_array(array_id))
