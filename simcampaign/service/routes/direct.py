"""Submissions on a short way: to lead one to its function takes FastAPI longer than everything else takes to answer it.

What is not plainly valid, or is refused, goes FastAPI's way, so that there is one place where it is said why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import HTTPException
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from simcampaign.errors import SimcampaignError
from simcampaign.service.assembly import Service
from simcampaign.service.routes import changing
from simcampaign.service.security.refusals import handing_on

_READER = TypeAdapter(changing.Submission)
_KEY = re.compile(changing.KEY_PATTERN)


class Submissions:
    """Answers ``POST /jobs/submit``, and hands everything else to ``rest``."""

    def __init__(self, service: Service, rest: ASGIApp) -> None:
        """Submit to ``service``."""
        self._service, self._rest = service, rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != changing.SUBMIT:
            await self._rest(scope, receive, send)
            return
        request = Request(scope, receive)
        raw = await request.body()
        try:
            answer = await self._submit(request, raw)
        except (ValidationError, RecursionError, SimcampaignError, HTTPException):  # nothing was written
            whole = {"type": "http.request", "body": raw, "more_body": False}
            await self._rest(scope, handing_on(whole, receive), send)
        else:
            await answer(scope, receive, send)

    async def _submit(self, request: Request, raw: bytes) -> JSONResponse:
        keys = request.headers.getlist("idempotency-key")
        _check(keys)
        body = _READER.validate_json(raw)
        return JSONResponse(await changing.submit(body, self._service, request.state.identity, *keys))


def _check(keys: Sequence[str]) -> None:
    """Raise ``HTTPException`` for what is no idempotency key."""
    if len(keys) > 1 or not all(_KEY.fullmatch(each) and len(each) <= changing.LONGEST_KEY for each in keys):
        raise HTTPException(400, "no idempotency key")
