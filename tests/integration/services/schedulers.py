"""LSF and PBS for tests: programs that behave like theirs, in a folder, over a scheduler that really runs jobs.

Run as a program, it is one of those commands, or the scheduler itself: ``schedulers.py FOLDER KIND COMMAND …``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.integration.services.folders import remove_folder
from tests.integration.services.schedulers_core import ask, serve
from tests.integration.services.schedulers_lsf import Lsf
from tests.integration.services.schedulers_pbs import HOST, Pbs

KINDS = {
    "lsf": (Lsf, "bsub bjobs bkill bqueues bhosts bparams lsid"),
    "pbs": (Pbs, "qsub qstat qdel qselect pbsnodes"),
}
_DOWN = {
    "lsf": (255, "batch daemon not responding ... still trying\n"),
    "pbs": (255, f"Connection refused\nqstat: cannot connect to server {HOST} (errno=111)\n"),
}


@dataclass
class Played:
    """A scheduler that is played."""

    kind: str
    folder: Path
    daemon: ExitStack = field(default_factory=ExitStack)

    @property
    def environment(self) -> dict[str, str]:
        """What its users must be told."""
        return {"PATH": f"{self.folder / 'bin'}:{os.environ.get('PATH', '')}"}

    def set(self, **settings: Any) -> None:
        """Set how it is, e.g. ``history=True``, or ``cut={"qstat": 1}`` to cut the answers of a command short."""
        draft = self.folder / "settings.new"
        draft.write_text(json.dumps(settings))
        draft.rename(self.folder / "settings.json")

    def hold(self, is_held: bool) -> None:
        """Start no jobs, or do so again."""
        held = self.folder / "held"
        held.touch() if is_held else held.unlink(missing_ok=True)

    def start(self) -> None:
        """Start the scheduler's daemon, and wait until it answers."""
        from tests.integration.services.processes import daemon  # noqa: PLC0415 - commands start without it

        command = [sys.executable, __file__, str(self.folder), self.kind, "serve"]
        log = self.folder / "daemon.log"
        self.daemon.enter_context(daemon(command, log, lambda: ask(self.folder, "lsid", ["--version"], "") is not None))

    def stop(self) -> None:
        """End the daemon; jobs go on."""
        self.daemon.close()

    def forget(self) -> None:
        """Lose all arrays, as after the loss of a server's disk; their jobs go on."""
        self.stop()
        (self.folder / "state.json").write_text(json.dumps({"number": 100, "arrays": []}))
        self.start()

    def end_jobs(self) -> None:
        """End what still runs."""
        state = self.folder / "state.json"
        arrays = json.loads(state.read_text())["arrays"] if state.exists() else []
        for task in (task for array in arrays for task in array["tasks"].values()):
            if task["state"] == "running":
                with suppress(ProcessLookupError):
                    os.killpg(task["pid"], signal.SIGKILL)


@contextmanager
def played_scheduler(kind: str) -> Iterator[Played]:
    """Run a played scheduler while the context lasts; ``kind`` is ``lsf`` or ``pbs``."""
    folder = Path(tempfile.mkdtemp(prefix=kind, dir="/tmp"))  # a socket's path must be short
    programs = folder / "bin"
    programs.mkdir()
    for command in KINDS[kind][1].split():
        path = programs / command
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -I {__file__} {folder} {kind} {command} "$@"\n')
        path.chmod(0o755)
    played = Played(kind, folder)
    try:
        played.start()
        yield played
    finally:
        played.stop()
        played.end_jobs()
        remove_folder(folder)


def _main(folder: Path, kind: str, command: str, arguments: list[str]) -> int:
    if command == "serve":
        serve(KINDS[kind][0](folder))
        return 0
    stdin = sys.stdin.read() if command == "bsub" else ""
    answer = ask(folder, command, arguments, stdin)
    code, out, err = answer if answer is not None else (_DOWN[kind][0], "", _DOWN[kind][1])
    sys.stdout.write(out)
    sys.stderr.write(err)
    return code


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
