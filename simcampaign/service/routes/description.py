"""The service's description for people, as a page without scripts that needs nothing from elsewhere."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def get_docs(request: Request) -> HTMLResponse:
    """Show what ``/openapi.json`` says."""
    import jinja2  # noqa: PLC0415 - nothing else of the service needs it

    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("simcampaign.service", "routes"),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
    )
    return HTMLResponse(pages.get_template("docs.html.j2").render(document=request.app.openapi()))
