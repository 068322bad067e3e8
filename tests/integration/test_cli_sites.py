"""The command line at a real cluster and at a server of AWS: add a site, look at it, run there, come back later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.services.aws import ACCOUNT, QUEUE, REGION, Aws
from tests.integration.services.slurm import NoSlurm, SlurmCluster, slurm_cluster


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    for name in ("SIMCAMPAIGN_SITES", "SIMCAMPAIGN_LEDGER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlurmCluster]:
    try:
        with slurm_cluster() as cluster:
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
            yield cluster
    except NoSlurm as error:
        pytest.skip(f"Slurm cannot be run here: {error}")


def typed(*arguments: str, status: int = 0) -> str:
    """Type a command in a process of its own; returns what it printed."""
    command = [sys.executable, "-m", "simcampaign", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == status, f"{arguments}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def document(*arguments: str, status: int = 0) -> Any:
    return json.loads(typed(*arguments, "--json", status=status))


@pytest.mark.usefixtures("cluster")
def test_a_cluster_is_added_examined_and_used_from_processes_that_know_nothing_of_each_other(home: Path) -> None:
    scratch = f"scratch={home}/scratch"
    settings = [part for each in (scratch, "poll_seconds=1", "executable=sh {input}") for part in ("--set", each)]
    added = document("sites", "add", "hpc", "--backend", "slurm", *settings, "--yes")
    assert added["written"], added
    assert all(finding["fine"] is not False for finding in added["findings"])
    queues = document("queues", "hpc")["queues"]
    assert any(queue["default"] and queue["cores"] for queue in queues), queues
    names = []
    for number in range(3):
        names.append(f"{number}.in")
        (home / names[-1]).write_text(f"echo at {number}\necho {number} > out\nexit {number // 2}\n")
    assert typed("submit", *names, "--site", "hpc", "--name", "three") == "three\n"
    (waited,) = document("wait", "three", "--timeout", "3m", status=1)["jobs"]
    assert waited["counts"] == {"finished": 2, "failed": 1}
    assert typed("logs", "three_0002") == "at 2\n"
    typed("copy", "three", "got")
    assert sorted(file.read_text() for file in (home / "got").glob("*/out")) == ["0\n", "1\n", "2\n"]
    (home / "0.in").write_text("sleep 600")
    typed("submit", "0.in", "--site", "hpc", "--name", "long")
    typed("cancel", "long")
    assert document("wait", "long", "--timeout", "3m", status=1)["jobs"][0]["status"] == "cancelled"
    typed("delete", "three", "long", "--yes")
    assert document("jobs")["jobs"] == []


@pytest.mark.usefixtures("home")
def test_a_queue_of_aws_batch_is_added_examined_and_listed(played_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in played_aws.environment.items():
        monkeypatch.setenv(name, value)
    fields = {"account": ACCOUNT, "region": REGION, "user": "ada", "queue": QUEUE, "job_role": "NoSuchRole"}
    settings = [part for name, value in fields.items() for part in ("--set", f"{name}={value}")]
    refused = document("sites", "add", "cloud", "--backend", "batch", *settings, "--yes", status=1)
    assert not refused["written"]
    assert {each["subject"]: each["fine"] for each in refused["findings"]} == {
        "credentials": True,
        f"queue {QUEUE}": True,
        "listing jobs": True,
        "logs": True,
        "role": False,
    }
    typed("sites", "add", "cloud", "--backend", "batch", *settings, "--yes", "--unchecked")
    assert [queue["name"] for queue in document("queues", "cloud")["queues"] if queue["default"]] == [QUEUE]
