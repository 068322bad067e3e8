"""Requests that nobody thought of, made from the service's own description."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simcampaign.service.server import running

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("options", [(), ("--solver",)], ids=["jobs", "solver"])
def test_no_request_makes_the_service_fail_hang_or_answer_what_it_does_not_describe(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    program = str(Path(sys.executable).with_name("schemathesis"))
    with running(tmp_path / "home", "allow_commands = true", *options) as server:
        server.shell("true", jobid="job-1")
        url = f"{str(server.http.base_url).rstrip('/')}/openapi.json"
        limits = ["--max-examples", "30", "--exclude-path", "/events", "--request-timeout", "20"]
        # The other routes are the same ones as without a solver.
        only = ["--include-path-regex", "^/solver/"] if options else []
        done = subprocess.run(
            [
                program,
                "run",
                url,
                *limits,
                *only,
                "--checks",
                CHECKS,
                "--phases",
                "examples,coverage,fuzzing",
                "--no-color",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert "Traceback" not in server.log.read_text()
