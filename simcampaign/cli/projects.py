"""The verb ``submit-projects``: every HFSS project of a folder becomes a job of a job manager."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simcampaign.cli.output import print_json, print_line, say
from simcampaign.errors import ConfigError, LocationError, NetworkError, Problem

SECONDS = 60.0
"""How long an answer is waited for."""


class RefusedError(Exception):
    """The job manager does not take a project."""


def submit_projects(options: argparse.Namespace) -> int:
    """Submit the projects; 1 if any is refused."""
    folder = Path(options.folder).absolute()
    if not folder.is_dir():
        raise ConfigError([Problem("FOLDER", options.folder, "is no folder")])
    found = folder.rglob("*") if options.recursive else folder.iterdir()
    projects = choose(found)
    if not projects:
        remedy = "" if options.recursive else "--recursive looks into folders below, too"
        raise ConfigError([Problem("FOLDER", options.folder, "has no .aedt or .aedb in it", remedy)])
    token = _token(options.token_file)
    submitted, refused = [], []
    for project in projects:
        try:
            job_id = _submit(options.url, token, _config(project, options.cores))
        except RefusedError as error:
            refused.append({"project": str(project), "error": str(error)})
            say(f"{project}: {error}")
            continue
        submitted.append({"project": str(project), "job_id": job_id})
        if not options.json:
            print_line(f"{job_id} {project}")
    if options.json:
        print_json({"submitted": submitted, "refused": refused})
    return 1 if refused else 0


def choose(paths: Iterable[Path]) -> list[Path]:
    """Return the projects among paths, in order; of a project with both forms the ``.aedt``, which knows its ``.aedb``.

    What is inside of an ``.aedb`` or of results is none.
    """
    found: dict[Path, Path] = {}
    for path in sorted(paths):
        if path.suffix not in {".aedt", ".aedb"} or any(
            parent.suffix in {".aedb", ".aedtresults"} for parent in path.parents
        ):
            continue
        if path.suffix == ".aedt" or path.with_suffix("") not in found:
            found[path.with_suffix("")] = path
    return sorted(found.values())


def _config(project: Path, cores: int) -> dict[str, Any]:
    node = {"hostname": "localhost", "cores": cores, "max_cores": cores}
    return {"project_path": str(project), "machine_nodes": [node]}


def _token(file: str | None) -> str:
    if file is None:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LocationError(f"{file} cannot be read: {error}", f"ls -l {file}") from error


def _submit(url: str, token: str, config: dict[str, Any]) -> str:
    """Submit a job and return its id. Raises ``RefusedError``, or ``NetworkError`` if nobody answers."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    body = json.dumps({"config": config}).encode()
    request = urllib.request.Request(f"{url.rstrip('/')}/jobs/submit", body, headers)  # noqa: S310 - checked before
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return str(json.load(answer)["job_id"])
    except urllib.error.HTTPError as error:
        raise RefusedError(_reason(error)) from error
    except (OSError, ValueError, KeyError) as error:
        reason = getattr(error, "reason", error)
        raise NetworkError(f"no job manager answers at {url}: {reason}", "simcampaign serve") from error


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
