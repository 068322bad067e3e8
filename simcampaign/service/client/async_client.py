"""The client whose answers are awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
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


class AsyncClient(Connection[httpx.AsyncClient]):
    """A client of a job manager, for asyncio; ``async with AsyncClient() as client:`` closes it at the end.

    What was interrupted is sent again, and a submission has a key by which it is queued once. Every method raises
    ``ConfigError``, ``ConflictError``, ``SiteError`` or ``NetworkError`` of ``simcampaign.errors``.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Describe the service.

        ``base_url`` is by default ``SIMCAMPAIGN_SERVICE_URL`` or http://127.0.0.1:8080, ``token`` is
        ``SIMCAMPAIGN_SERVICE_TOKEN`` if that is set; ``timeout`` is in seconds, for each part of one request.
        ``transport`` goes in place of the network.
        """
        super().__init__(base_url, token, timeout)
        self._http = httpx.AsyncClient(transport=transport, **self.options)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    # How anything is sent

    async def _do(self, call: Call[T]) -> T:
        with self.explaining():
            async for attempt in retrying(call):
                with attempt:
                    response = await self._http.send(self.request(self._http, call))
                    return call.read(self.checked(response))
        raise AssertionError

    async def _talk(self, talk: Talk[T]) -> AsyncIterator[T]:
        answer: Any = None
        while True:
            try:
                step = talk.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Call):
                answer = await self._do(step)
            elif isinstance(step, talks.Pause):
                await asyncio.sleep(step.seconds)
            else:
                yield step.value

    async def _stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        while not stream.is_over():
            try:
                async with self._http.stream(
                    "GET", stream.path, params=stream.params(), timeout=self.patience
                ) as response:
                    if response.is_error:
                        await response.aread()
                    self.checked(response)
                    stream.begin()
                    async for line in response.aiter_lines():
                        if (item := stream.take(line)) is not None:
                            yield item
                        if stream.is_over():
                            return
            except (httpx.TransportError, BusyError) as error:
                stream.cut(self.url, error)
            await asyncio.sleep(stream.pause())

    # Jobs

    async def submit(
        self, config: Mapping[str, Any], priority: int = 0, *, user: str | None = None, key: str | None = None
    ) -> Submitted:
        """Queue a job; it is on the disk once this returns. With the same ``key`` it is queued once."""
        return await self._do(calls.submit(config, priority, user, key))

    async def submit_application(
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
        return await self._do(calls.submit(whole, priority, user, key))

    async def dry_run(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what would be run; nothing is queued."""
        return await self._do(calls.dry_run(config))

    async def get(self, job_id: str) -> Job:
        """Return a job."""
        return await self._do(calls.get(job_id))

    def jobs(self, **filters: Any) -> AsyncIterator[Job]:
        """Iterate over jobs, page by page.

        Filters: ``status`` (one or several), ``site``, ``group``, ``user``, ``series``, ``array``, ``text``, ``since``
        (seconds since the epoch); and ``sort``, ``descending``, ``brief`` (without configs).
        """
        return self._talk(talks.pages(lambda cursor: calls.jobs(filters, cursor)))

    async def cancel(self, job_id: str) -> bool:
        """Cancel a job; False if it was over already. The event ``job_cancelled`` says when it has ended."""
        return await self._do(calls.cancel(job_id))

    async def set_priority(self, job_id: str, priority: int) -> bool:
        """Give a job that waits another priority."""
        return await self._do(calls.set_priority(job_id, priority))

    async def hold(self, job_id: str) -> bool:
        """Hold a job that waits back."""
        return await self._do(calls.hold(job_id))

    async def release(self, job_id: str) -> bool:
        """Let a job that was held go on."""
        return await self._do(calls.release(job_id))

    async def retry(self, job_id: str) -> Submitted:
        """Queue a job that did not finish well once more, under a new id."""
        return await self._do(calls.retry(job_id))

    async def delete(self, job_id: str) -> bool:
        """Forget a job that is over, with its files."""
        return await self._do(calls.delete(job_id))

    async def files(self, job_id: str) -> dict[str, int]:
        """Return the files in a job's folder with their sizes in bytes."""
        return await self._do(calls.files(job_id))

    async def log(self, job_id: str, offset: int = 0) -> str:
        """Return what a job printed so far, from an offset in bytes on."""
        return "".join([part async for part in self._talk(talks.whole_log(job_id, offset))])

    def follow_log(self, job_id: str, offset: int = 0) -> AsyncIterator[str]:
        """Iterate over what a job prints, as it prints it, until it is over."""
        return self._stream(LogLines(job_id, offset))

    async def events(self, since: int | None = None, *, job_id: str | None = None) -> AsyncIterator[Event]:
        """Iterate over events as they happen, for ever, over breaks and restarts of the service, without gap.

        ``since`` is a sequence number that events are told behind; by default that of the newest event.
        """
        begin = await self._do(calls.last_event()) if since is None else since
        async for event in self._stream(Events(begin, job_id)):
            yield event

    async def wait(self, job_ids: Iterable[str], timeout: float | None = None) -> list[Job]:
        """Wait until jobs are over and return them. Raises ``TimeoutError`` after ``timeout`` seconds."""
        return [job async for job in self._talk(talks.until_over(job_ids, timeout, time.monotonic))]

    # The service and its host

    async def queue(self) -> QueueStanding:
        """Return how much waits and runs."""
        return await self._do(calls.queue())

    async def resources(self) -> Resources:
        """Return what the service's host has left."""
        return await self._do(calls.resources())

    async def limits(self) -> Limits:
        """Return what jobs may use of the service's host."""
        return await self._do(calls.limits())

    async def set_limits(self, **values: float) -> Limits:
        """Change limits, all or none: fields of ``Limits``."""
        return await self._do(calls.set_limits(values))

    async def partitions(self) -> list[Partition]:
        """Return the partitions of the clusters that are configured."""
        return await self._do(calls.partitions())

    async def status(self) -> Status:
        """Return what the service is and does."""
        return await self._do(calls.status())

    # Campaigns

    async def submit_campaign(
        self,
        context: str | Mapping[str, Any],
        series: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        kind: str | None = None,
        key: str | None = None,
    ) -> str:
        """Have a campaign kept going until every run is done, and return its id."""
        return await self._do(calls.submit_campaign(context, series, parameters, kind, key))

    async def campaign(self, campaign_id: str) -> Campaign:
        """Return a campaign: runs and jobs per state, costs, time left, failures."""
        return await self._do(calls.campaign(campaign_id))

    def campaigns(self, **filters: Any) -> AsyncIterator[Campaign]:
        """Iterate over campaigns. Filters: ``status``, ``user``, ``name``."""
        return self._talk(talks.pages(lambda cursor: calls.campaigns(filters, cursor)))

    async def campaign_map(self, campaign_id: str, **window: int) -> CampaignMap:
        """Return where the runs of a window of conditions × seeds are.

        Window: ``condition_offset``, ``conditions``, ``seed_offset``, ``seeds``.
        """
        return await self._do(calls.campaign_map(campaign_id, window))

    async def pause_campaign(self, campaign_id: str) -> bool:
        """Submit nothing more of a campaign; its jobs go on."""
        return await self._do(calls.change_campaign(campaign_id, "pause"))

    async def resume_campaign(self, campaign_id: str) -> bool:
        """Go on with a campaign."""
        return await self._do(calls.change_campaign(campaign_id, "resume"))

    async def retry_campaign(self, campaign_id: str) -> bool:
        """Try the failed runs of a campaign again."""
        return await self._do(calls.change_campaign(campaign_id, "retry"))

    async def cancel_campaign(self, campaign_id: str) -> bool:
        """End a campaign and its jobs."""
        return await self._do(calls.change_campaign(campaign_id, "cancel"))

    async def delete_campaign(self, campaign_id: str) -> bool:
        """Forget a campaign that is over; its files stay."""
        return await self._do(calls.delete_campaign(campaign_id))

    # Arrays

    async def submit_array(
        self,
        config: Mapping[str, Any],
        jobs: Sequence[Mapping[str, Any]],
        priority: int = 0,
        *,
        user: str | None = None,
        key: str | None = None,
    ) -> SubmittedArray:
        """Queue many jobs, all or none: each has ``config`` and what ``jobs`` says of it otherwise."""
        return await self._do(calls.submit_array(config, jobs, priority, user, key))

    async def array(self, array_id: str) -> Array:
        """Return an array with its jobs per state; ``jobs(array=…)`` lists them."""
        return await self._do(calls.array(array_id))

    def arrays(self, **filters: Any) -> AsyncIterator[Array]:
        """Iterate over arrays. Filter: ``user``."""
        return self._talk(talks.pages(lambda cursor: calls.arrays(filters, cursor)))

    async def cancel_array(self, array_id: str) -> bool:
        """Cancel the jobs of an array that are not over; False if all are."""
        return await self._do(calls.cancel_array(array_id))

    async def retry_array(self, array_id: str) -> SubmittedArray:
        """Queue the jobs of an array that did not finish well once more, under new ids."""
        return await self._do(calls.retry_array(array_id))
