"""The lane to any other site that keeps files for jobs: each job of the queue is a request of its own name there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simcampaign.engine.ending import cancel
from simcampaign.engine.outputs import outputs
from simcampaign.engine.poller import look_at
from simcampaign.engine.requests import InputFile, JobRequest, Request, content_digest
from simcampaign.engine.sending import read, submit
from simcampaign.engine.workplace import Workplace
from simcampaign.errors import ConfigError, ConflictError, LocationError, SiteError
from simcampaign.ledger import JobRow, RequestRow
from simcampaign.ledger.queuerows import Change, QueueRow, QueueState
from simcampaign.service.core.book import Book
from simcampaign.service.core.lane import Lane, change_of
from simcampaign.service.core.work import Work
from simcampaign.sites.base import Site

logger = logging.getLogger("simcampaign")

SHORTEST_SECONDS, LONGEST_SECONDS, GROWTH = 1.0, 15.0, 1.5
"""Time between looks: it grows while nothing changes."""

IDLE_SECONDS = 60.0


class RequestLane(Lane):
    """Sends jobs one by one through the engine, which writes intents first and finds again what it sent."""

    def __init__(self, site: Site, book: Book, ended: Callable[[Sequence[Change]], None]) -> None:
        """Lead to ``site``."""
        super().__init__(site.name, book, ended)
        self.workplace = Workplace(book.ledger, site)
        self._rows: dict[str, tuple[QueueRow, RequestRow]] = {}
        self._interval = SHORTEST_SECONDS

    def recover(self, rows: Sequence[QueueRow]) -> None:
        """Send once more what was being handed over: what the site has already is found by its name."""
        for row in rows:
            self._submit(row)
            if row.cancelling:
                self.cancel(row)

    def send(self, rows: Sequence[QueueRow]) -> None:
        """Hand jobs over; one that the site refuses has failed."""
        for row in rows:
            if row.id in self._rows:
                continue
            if self.book.set_place([row.id], "request", 0).result() or self._is_placed(row):
                self._submit(row)
        self._interval = SHORTEST_SECONDS

    def _is_placed(self, row: QueueRow) -> bool:
        """Tell whether the job was placed at an earlier try, and not sent."""
        return self.book.get(row.id).state is QueueState.SCHEDULED

    def _submit(self, row: QueueRow) -> None:
        work = Work.read(row.work)
        try:
            request, contents = _request(row, work)
            known, fresh = submit(self.workplace, request, contents, [dict(work.environment)])
        except (SiteError, ConfigError, ConflictError, LocationError, OSError) as error:
            why = str(error.args[0]) if error.args else str(error)
            self._write([Change(row.id, QueueState.FAILED, cause="staging", message=f"was not submitted: {why}")])
            return
        self._rows[row.id] = (row, known)
        if not fresh:
            logger.info("Job %s was at site %s already", row.id, self.site_name)
        job = self._job(known)
        self.book.note(
            "job_scheduled", {"job_id": row.id, "scheduler_job_id": None if job is None else job.remote_id}, row.id
        )

    def look(self) -> float:
        """Ask the site once for all jobs."""
        if not self._rows:
            return IDLE_SECONDS
        look_at(self.workplace, {request.id for _, request in self._rows.values()})
        by_request = {request.id: row for row, request in self._rows.values()}
        news = []
        for job in self.workplace.requests.jobs(list(by_request)):
            row = by_request[job.request_id]
            change = change_of(row.id, job)
            if change.state not in {QueueState.SCHEDULED, row.state}:
                news.append(change)
        self._write(news)
        self._interval = SHORTEST_SECONDS if news else min(self._interval * GROWTH, LONGEST_SECONDS)
        return self._interval

    def _write(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        self.book.change(changes).result()
        for change in changes:
            known = self._rows.pop(change.id, None)
            if known is not None and not change.state.over:
                self._rows[change.id] = (replace(known[0], state=change.state), known[1])
        self.report(changes)

    def cancel(self, row: QueueRow) -> None:
        """Ask the site to end the job."""
        if row.id in self._rows:
            cancel(self.workplace, self._rows[row.id][1])
            self._interval = SHORTEST_SECONDS

    def log(self, row: QueueRow, offset: int = 0, most: int = -1) -> bytes:
        """Return what the job printed so far."""
        request = self._request(row)
        job = None if request is None else self._job(request)
        if job is None or not job.remote_id:
            return b""
        data = dict(self.workplace.site.logs(job.remote_id, [job.array_index])).get(job.array_index, b"")
        return data[offset:] if most < 0 else data[offset : offset + most]

    def files(self, row: QueueRow) -> Mapping[str, int]:
        """Return the outputs of the job."""
        request = self._request(row)
        job = None if request is None else self._job(request)
        if request is None or job is None:
            return {}
        return {each.name: each.size for each in outputs(self.workplace, read(request), [job]).get(0, ())}

    def fetch(self, row: QueueRow, copies: Mapping[str, Path]) -> None:
        """Copy files from the job's folder at the site."""
        request = self._request(row)
        job = None if request is None else self._job(request)
        if request is None or job is None:
            raise LocationError(f"job {row.id} left no files")
        there = {each.name: each.path for each in outputs(self.workplace, read(request), [job]).get(0, ())}
        for name in copies:
            if name not in there:
                raise LocationError(f"job {row.id} left no file {name}")
        self.workplace.host.get((there[name], target) for name, target in copies.items())

    def remove(self, row: QueueRow) -> None:
        """Remove the job's folder, and let its name be free again."""
        request = self._request(row)
        if request is not None:
            for part in self.workplace.requests.parts([request.id]):
                self.workplace.host.remove(part.folder)
            self.workplace.requests.archive(request.id)

    def _request(self, row: QueueRow) -> RequestRow | None:
        return next(iter(self.workplace.requests.find(row.id, self.site_name)), None)

    def _job(self, request: RequestRow) -> JobRow | None:
        return next(iter(self.workplace.requests.jobs([request.id])), None)


def _request(row: QueueRow, work: Work) -> tuple[Request, dict[str, bytes]]:
    contents: dict[str, bytes] = {}
    files = []
    for name, text in work.files.items():
        data = text.encode()
        digest = content_digest(data)
        contents[digest] = data
        files.append(InputFile(name, len(data), digest, ""))
    for name, source in work.paths.items():
        path = Path(source)
        files.append(InputFile(name, path.stat().st_size, content_digest(path), source))
    job = JobRequest(
        command=work.command,
        files=tuple(files),
        input=work.input,
        outputs=work.outputs,
        environment=tuple(sorted(work.environment)),
    )
    request = Request(
        name=row.id,
        site=row.site,
        many=False,
        jobs=(job,),
        resources=work.resources,
        options=work.options,
        group="queue",
    )
    return request, contents
