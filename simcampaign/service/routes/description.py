"""The service's description for people, as a page without scripts that needs nothing from elsewhere."""

from __future__ import annotations

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
_pages = jinja2.Environment(
    loader=jinja2.PackageLoader("simcampaign.service", "routes"), autoescape=True, undefined=jinja2.ChainableUndefined
)


@router.get("/docs", response_class=HTMLResponse)
def get_docs(request: Request) -> HTMLResponse:
    """Show what ``/openapi.json`` says."""
    return HTMLResponse(_pages.get_template("docs.html.j2").render(document=request.app.openapi()))
