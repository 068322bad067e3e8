"""The desk as a program of its own, as it is on a host that has no simcampaign: JSON in, JSON out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.sites import arraydir, desk
from simcampaign.sites.detached import DeskHere
from tests.support import is_idle, until

DESCRIPTION = {
    "size": 3,
    "token": "0123",
    "command": ["sh", "-c", "echo {index}"],
    "cwd": None,
    "directory": "",
    "values": {"output": "", "working": "", "model": "", "image": ""},
    "told": {},
    "told_each": {},
    "timeout_seconds": None,
    "memory_mb": None,
    "slots": 1,
    "job_slots": 1,
    "grace_seconds": 0.2,
}
JOBS = [[index, f"a_{index}", "in", "0"] for index in range(3)]


class Copy:
    """The desk's files, copied to a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / 'ro\'ot "of"\nthe site'
        self.program = folder / "copied" / "desk.py"
        self.program.parent.mkdir()
        for name in desk.FILES:
            (self.program.parent / name).write_bytes((Path(desk.__file__).parent / name).read_bytes())

    def ask(self, request: Mapping[str, Any] | bytes) -> dict[str, Any]:
        data = request if isinstance(request, bytes) else json.dumps(request).encode()
        command = [sys.executable, *desk.ALONE, self.program, self.root]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True, cwd="/")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def ends(self, name: str = "a") -> int:
        journal: str = self.ask({"do": "status", "arrays": {name: [0, 0]}})["ok"]["arrays"][name]["journal"]
        return journal.count('"event":"end"')


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_copy_does_everything_and_needs_nothing_else(copy: Copy) -> None:
    create = {"do": "create", "name": "a", "description": DESCRIPTION, "jobs": JOBS, "path": None}
    host = copy.ask(create)["ok"]["host"]
    assert copy.ask(create) == copy.ask({"do": "find", "name": "a"}) == {"ok": {"host": host}}
    until(lambda: copy.ends() == 3)
    request = {"do": "logs", "host": host, "name": "a", "indices": [2, 0], "start": [0, 0, -1]}
    assert copy.ask(request)["ok"] == {"logs": [[2, "2\n"], [0, "0\n"]], "next": None}
    until(lambda: is_idle(copy.root / "arrays" / "a"))
    assert copy.ask({"do": "clean", "host": host, "name": "a"}) == {"ok": {}}
    assert copy.ask({"do": "status", "host": host, "arrays": {"a": [0, 0]}})["ok"]["arrays"] == {"a": None}


def test_what_is_refused_is_an_answer_too(copy: Copy) -> None:
    create = {"do": "create", "name": "a", "description": {**DESCRIPTION, "command": ["nowhere"]}, "jobs": JOBS}
    answer = copy.ask({**create, "path": "/bin"})
    assert "command 'nowhere' is not in PATH (/bin)" in answer["error"]
    assert answer["hint"]
    assert "cannot name a directory" in copy.ask({"do": "find", "name": "../a"})["error"]
    assert "not here" in copy.ask({"do": "find", "host": "elsewhere", "name": "a"})["error"]
    copy.root.write_text("not a directory")
    assert "Not a directory" in copy.ask({"do": "find", "name": "a"})["error"]


def test_a_request_that_was_cut_off_does_nothing(copy: Copy) -> None:
    whole = json.dumps({"do": "create", "name": "a", "description": DESCRIPTION, "jobs": JOBS}).encode()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(subprocess.CalledProcessError):
            copy.ask(whole[:length])
    assert not copy.root.exists()


def test_the_environment_of_an_array_is_for_nobody_elses_eyes(copy: Copy) -> None:
    copy.ask({"do": "create", "name": "a", "description": DESCRIPTION, "jobs": JOBS})
    assert (copy.root / "arrays" / "a").stat().st_mode & 0o077 == 0
    until(lambda: copy.ends() == 3)


def test_long_journals_and_logs_come_in_parts_that_make_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arraydir, "PAGE_BYTES", 300)
    here = DeskHere(tmp_path)
    here.ask({"do": "create", "name": "a", "description": DESCRIPTION, "jobs": JOBS})
    directory = tmp_path / "arrays" / "a"
    until(lambda: (directory / "journal").read_text().count('"event":"end"') == 3)
    parts, offset, more = [], 0, True
    while more:
        told = here.ask({"do": "status", "arrays": {"a": [offset, 0]}, "looks_only": True})["arrays"]["a"]
        parts.append(told["journal"])
        offset, more = offset + len(told["journal"]), told["more"]
    assert len(parts) > 1
    assert all(part.endswith("\n") for part in parts)
    assert "".join(parts) == (directory / "journal").read_text()
    (directory / "out" / "1.log").write_bytes(bytes(range(256)) * 3)
    found, start = {0: "", 1: "", 2: ""}, [0, 0, -1]
    while start:
        answer = here.ask({"do": "logs", "name": "a", "indices": [0, 1, 2], "start": start})
        for index, text in answer["logs"]:
            found[index] += text
        start = answer["next"]
    assert {index: text.encode("latin-1") for index, text in found.items()} == {
        0: b"0\n",
        1: bytes(range(256)) * 3,
        2: b"2\n",
    }


def test_a_journal_that_is_one_endless_line_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    here = DeskHere(tmp_path)
    here.ask({"do": "create", "name": "a", "description": DESCRIPTION, "jobs": JOBS})
    directory = tmp_path / "arrays" / "a"
    until(lambda: (directory / "journal").read_text().count('"event":"end"') == 3)
    (directory / "journal").write_bytes(b"\0" * (arraydir.PAGE_BYTES + 1))
    with pytest.raises(SiteError, match="has no end of line"):
        here.ask({"do": "status", "arrays": {"a": [0, 0]}})
