"""The page for people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, HTTPException, Response

from simcampaign.service.page import FILES

router = APIRouter(include_in_schema=False)

Seen = Annotated[str | None, Header(alias="if-none-match", max_length=1000)]


@router.get("/")
def get_page(seen: Seen = None) -> Response:
    """Return the page."""
    return get_file("index.html", seen)


@router.get("/page/{name}")
def get_file(name: str, seen: Seen = None) -> Response:
    """Return a file of the page; browsers ask each time whether theirs is still the newest."""
    file = FILES.get(name)
    if file is None:
        raise HTTPException(404, "The page has no such file")
    headers = {"etag": file.tag, "cache-control": "no-cache"}
    if seen is not None and file.tag in seen:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
