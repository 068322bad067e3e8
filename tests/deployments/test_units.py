"""The units of systemd: valid, startable with the programs that the project has, and confined."""

from __future__ import annotations

import configparser
import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployments.commands import BIN, unknown_options

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deployments" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
INSTALLED = "/opt/simcampaign/.venv/bin"


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", sorted(UNITS.glob("*.*r*e*")), ids=lambda unit: unit.name)
def test_systemd_finds_no_fault(unit: Path, tmp_path: Path) -> None:
    for each in UNITS.iterdir():
        text = each.read_text(encoding="utf-8").replace(INSTALLED, str(BIN))
        (tmp_path / each.name.replace("@.", "@demo.")).write_text(text)
    checked = tmp_path / unit.name.replace("@.", "@demo.")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(checked)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or unit.stem in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_services_start_programs_of_the_project_with_options_that_they_have(unit: Path) -> None:
    program, *rest = shlex.split(read(unit)["Service"]["ExecStart"])
    assert program.startswith(f"{INSTALLED}/")
    name = program.removeprefix(f"{INSTALLED}/")
    assert (BIN / name).exists()
    if name == "python":
        assert importlib.util.find_spec(rest[1]) is not None
    else:
        assert unknown_options([name, *rest]) == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_services_run_as_a_user_of_their_own_and_write_below_their_folder_only(unit: Path) -> None:
    service = read(unit)["Service"]
    user = re.search(r"^u (\S+) ", (UNITS / "simcampaign.conf").read_text(encoding="utf-8"), re.MULTILINE)
    assert user is not None
    assert service["User"] == user[1]
    assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")
    assert service["StateDirectory"] == "simcampaign"


@pytest.mark.parametrize("name", ["simcampaign-manager.service", "prefect-worker@.service", "campaign@.service"])
def test_jobs_outlive_the_service_that_started_them(name: str) -> None:
    assert read(UNITS / name)["Service"]["KillMode"] == "process"
