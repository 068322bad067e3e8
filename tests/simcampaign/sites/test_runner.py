"""The runner as a file of its own, as it is on a host that has no simcampaign."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from simcampaign.sites import desk, runner

FOLDER = Path(desk.__file__).parent


def array_directory(tmp_path: Path, size: int, command: list[str]) -> Path:
    """What a site writes down for a runner."""
    directory = tmp_path / "arrays" / "a"
    (directory / "out").mkdir(parents=True)
    (directory / "journal").touch()
    description = {
        "size": size,
        "token": "0123",
        "command": command,
        "cwd": str(tmp_path),
        "values": {"output": "", "working": "", "model": "", "image": ""},
        "told": {"FILE_SET_NAME": "a"},
        "told_each": {"JOB_ARRAY_INDEX": "index"},
        "timeout_seconds": None,
        "memory_mb": None,
        "slots": 1,
        "grace_seconds": 0.2,
    }
    (directory / "array.json").write_text(json.dumps(description))
    (directory / "jobs.jsonl").write_text("".join(f'[{job}, "a_{job}", "in", "0"]\n' for job in range(size)))
    return directory


def copy_to(folder: Path, files: Sequence[str]) -> Path:
    """Copy what a host is given; returns the first, the program."""
    folder.mkdir(exist_ok=True)
    for name in files:
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    return folder / files[0]


@pytest.mark.parametrize("file", desk.FILES)
def test_what_is_copied_is_python_3_9_and_needs_only_the_standard_library(file: str) -> None:
    tree = ast.parse((FOLDER / file).read_text(), feature_version=(3, 9))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    copied = {Path(name).stem for name in desk.FILES} | {"simcampaign"}  # the latter in this process only
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names | copied


def test_a_copy_runs_an_array_in_the_background_and_a_second_one_leaves_it_alone(tmp_path: Path) -> None:
    script = 'echo "$JOB_ARRAY_INDEX" >> ran; until [ -e go ]; do sleep 0.02; done'
    directory = array_directory(tmp_path, 3, ["sh", "-c", script])
    copy = copy_to(tmp_path / "copied", runner.FILES)
    for _ in range(3):
        subprocess.run([sys.executable, *desk.ALONE, copy, directory], check=True, timeout=20, cwd="/")
    (tmp_path / "go").touch()
    deadline = time.monotonic() + 20
    while (directory / "journal").read_text().count('"end"') < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    events = [json.loads(line) for line in (directory / "journal").read_text().splitlines()]
    assert [event["event"] for event in events] == ["runner", *["start", "end"] * 3]
    assert [event["code"] for event in events if event["event"] == "end"] == [0, 0, 0]
    assert (tmp_path / "ran").read_text() == "0\n1\n2\n"
