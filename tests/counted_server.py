"""Prefect's server as it is, with a count of the requests that it answers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from prefect.server.api.server import create_app as create_prefect_app

Call = Callable[..., Awaitable[None]]


def create_app() -> Call:
    """Return the server; it adds a dot to the file PREFECT_REQUESTS_COUNTED for each request to its API."""
    app, dots = create_prefect_app(), Path(os.environ["PREFECT_REQUESTS_COUNTED"])

    async def counted(scope: MutableMapping[str, Any], receive: Call, send: Call) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/api/"):
            with dots.open("a") as file:
                file.write(".")
        await app(scope, receive, send)

    return counted
