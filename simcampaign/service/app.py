"""The web application of a service: routes, errors in one form, and the gate before all of it."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp

from simcampaign import __version__
from simcampaign.errors import ConfigError, ConflictError, LocationError, NetworkError, SimcampaignError, SiteError
from simcampaign.service import wire
from simcampaign.service.assembly import Service
from simcampaign.service.logs import Tails
from simcampaign.service.news import News
from simcampaign.service.routes import (
    arrays,
    campaigns,
    changing,
    description,
    hosting,
    listing,
    overview,
    page,
    system,
)
from simcampaign.service.routes.direct import Submissions
from simcampaign.service.security.gate import Gate
from simcampaign.service.sockets.late import LateSockets

_STATUSES: dict[type[SimcampaignError], int] = {
    ConfigError: 400,
    ConflictError: 409,
    SiteError: 502,
    NetworkError: 503,
    LocationError: 503,
}
ABOUT = "A queue of simulations that many clients share. Errors are objects with `error`, and often `hint`."


def make_app(service: Service) -> ASGIApp:
    """Return the ASGI application of a service that is started; ending the application does not stop the service."""
    api = make_api(service)
    sockets = LateSockets(service, api.state.news, api.state.tails, Submissions(service, api))
    return Gate(sockets, service.settings, service.access)


def make_api(service: Service) -> FastAPI:
    """Return the routes of a service, without the gate before them."""
    api = FastAPI(
        title="simcampaign job manager",
        version=__version__,
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.service = service
    api.state.news = News(service)
    api.state.tails = Tails(service)
    for each in (listing, changing, arrays, campaigns, overview, hosting, system, description, page):
        api.include_router(each.router)
    # Who does not need these routes need not wait for them.
    if service.solver is not None:
        from simcampaign.service.solver import routes as solver_routes  # noqa: PLC0415

        api.include_router(solver_routes.router)
    if service.tidy3d is not None:
        from simcampaign.service.tidy3d import routes as tidy3d_routes  # noqa: PLC0415

        api.include_router(tidy3d_routes.router)
    api.add_exception_handler(SimcampaignError, _known_error)
    api.add_exception_handler(RequestValidationError, _wrong_request)
    api.add_exception_handler(StarletteHTTPException, _http_error)
    return api


async def _known_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SimcampaignError)  # noqa: S101 - what it was registered for
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
    return JSONResponse(wire.error(error), status)


async def _wrong_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it was registered for
    problems = [
        {"path": ".".join(map(str, each["loc"])), "reason": str(each["msg"]), "remedy": ""} for each in error.errors()
    ]
    text = "; ".join(f"{each['path']}: {each['reason']}" for each in problems)
    return JSONResponse({"success": False, "error": text, "problems": problems}, 400)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, (HTTPException, StarletteHTTPException))  # noqa: S101 - what it was registered for
    return JSONResponse({"success": False, "error": str(error.detail)}, error.status_code, headers=error.headers)
