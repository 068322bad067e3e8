"""Which solver is asked: the one that is configured, or this machine's own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem
from simcampaign.web import embedded


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A solver and who asks it."""

    url: str
    token: str
    name: str
    """Stays the same when this machine's own solver listens elsewhere."""


def find(url: str | None = None, token_file: str | None = None) -> Endpoint:
    """Return the solver at ``url``, or that of ``SIMCAMPAIGN_SOLVER_URL``; else this machine's own, which is started
    if it does not run.

    Its token is in ``token_file``, in ``SIMCAMPAIGN_SOLVER_TOKEN``, or in the file that
    ``SIMCAMPAIGN_SOLVER_TOKEN_FILE`` names.
    """
    if url := url or os.environ.get("SIMCAMPAIGN_SOLVER_URL"):
        if not url.startswith(("http://", "https://")):
            problem = Problem("SIMCAMPAIGN_SOLVER_URL", url, "must begin with http:// or https://")
            raise ConfigError([problem], "export SIMCAMPAIGN_SOLVER_URL=http://HOST:PORT")
        return Endpoint(url.rstrip("/"), _token(token_file), url.rstrip("/"))
    url, token, fresh = embedded.find_or_start()
    if fresh:
        sys.stderr.write(f"SIMCAMPAIGN_SOLVER_URL is not set, so a solver was started here: {url}\n")
    return Endpoint(url, token, "this machine")


def _token(file: str | None) -> str:
    if not file and (token := os.environ.get("SIMCAMPAIGN_SOLVER_TOKEN")):
        return token
    file = file or os.environ.get("SIMCAMPAIGN_SOLVER_TOKEN_FILE")
    if not file:
        return ""
    try:
        token = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise LocationError(f"token file {file} cannot be read: {error.strerror}", f"ls -l {file}") from error
    if not token:
        raise ConfigError([Problem("SIMCAMPAIGN_SOLVER_TOKEN_FILE", ABSENT, f"{file} is empty")])
    return token
