"""The desk of a detached site: everything that is done in the site's directory on the host where its jobs run.

    python3 desk.py ROOT < request.json > answer.json

Standard library only, Python 3.9 or later: with ``FILES`` it is copied to hosts that have nothing else. There each
request is one run of it: one JSON object comes in and one goes out, ``{"ok": …}`` or ``{"error": …, "hint": …}``.
On this host ``answer`` is called instead. ``do`` in a request names the operation, see ``OPERATIONS``; ``host`` is the
host on which it must happen, if that is known. Bytes travel as text of the same code points (Latin-1); an answer holds
4 MiB of them at most and says how to ask for the rest.

In ``ROOT/arrays/`` each array has a directory, see ``runner.py``. It appears there whole, by one rename: a request that
is cut off leaves nothing. A plain file under the name of an array says that the array was looked for and not found: it
can no longer appear, however late its request arrives.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from simcampaign.sites import arraydir, runner
    from simcampaign.sites.arraydir import DeskError
    from simcampaign.sites.background import take_lock
    from simcampaign.sites.deskhealth import doctor
    from simcampaign.sites.orders import PLACEHOLDER
    from simcampaign.sites.processes import lives
else:  # run as a program, beside copies of these
    import arraydir
    import runner
    from arraydir import DeskError
    from background import take_lock
    from deskhealth import doctor
    from orders import PLACEHOLDER
    from processes import lives

FILES = ("desk.py", "arraydir.py", "deskhealth.py", *runner.FILES)
"""What must lie in one directory for it to run."""
START_SECONDS = 60.0
"""A host that needs longer than this to start one Python process is not usable."""
ALONE = ("-E", "-s", "-S")
"""Python's options for programs that see only what lies beside them, and start fast."""


def answer(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out one request in the site's directory; raises ``DeskError``, or ``OSError`` where the disk refuses."""
    here = socket.gethostname()
    expected = request.get("host")
    if expected not in (None, here):
        subject = request.get("name") or ", ".join(list(request.get("arrays", ()))[:3])
        raise DeskError(
            f"array {subject} runs on host {expected}, not here on {here}",
            f"watch it there: run the same command on {expected}, or give {expected} as the site's host",
        )
    return OPERATIONS[request["do"]](root, request)


# Arrays


def check(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse a command that is not on this host, and more cores than there are; creates nothing."""
    del root
    description = request["description"]
    count = slots_of(description)
    if description["job_slots"] > count:
        raise DeskError(
            f"a job needs {description['job_slots']} cores, but this site has {count} slots, one for each core",
            "ask for fewer cpus or ranks, or give the site more slots",
        )
    return {"command": resolve(description, request["path"]) if "path" in request else description["command"]}


def slots_of(description: Mapping[str, Any]) -> int:
    """Return how many slots the jobs of the site share: as told, or one for each core."""
    return int(description["slots"] or os.cpu_count() or 1)


def resolve(description: Mapping[str, Any], path: str | None) -> list[str]:
    """Return the command with its program as an absolute path: a later runner may have another PATH.

    ``path`` is the PATH of the jobs; None for that of this process.
    """
    program, *arguments = description["command"]
    for key, value in description["values"].items():
        program = program.replace("{" + key + "}", value)
    if PLACEHOLDER.search(program) or ("/" in program and program[0] != "/" and description["directory"]):
        return list(description["command"])  # differs from job to job: each is seen when it starts
    folders = os.environ.get("PATH", os.defpath) if path is None else path
    cwd = _cwd(description)
    found = shutil.which(os.path.join(cwd, program) if "/" in program else program, path=folders)  # noqa: PTH118
    if found is None:
        where = "is no program that can be run" if "/" in program else f"is not in PATH ({arraydir.short(folders)})"
        raise DeskError(
            f"command {program!r} {where}; nothing was submitted",
            "check its spelling, install it, or give its full path as the first word of `command`",
        )
    return [str(Path(cwd) / found), *arguments]


def create(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Write an array down and start its runner; one of this name that is here already is adopted."""
    name = request["name"]
    directory = arraydir.directory_of(root, name)
    if not directory.is_dir():
        here = {"host": socket.gethostname(), "cwd": _cwd(request["description"])}
        description = {**request["description"], **here, **check(root, request)}
        description["slots"] = slots_of(description)
        try:
            arraydir.write_down(directory, description, request["jobs"])
        except OSError as error:
            raise DeskError(
                f"array {name} cannot be written to {directory}: {error.strerror}; nothing was submitted",
                "make room, or give the site another root, and run again",
            ) from error
    if not arraydir.is_over(name, directory):
        ensure_runner(name, directory, request.get("runner"))
    return {"host": arraydir.home_of(name, directory)}


def count(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many jobs an open array has; null if there is no such array."""
    directory = arraydir.directory_of(root, request["name"])
    return {"count": arraydir.lines_of(directory) if directory.is_dir() else None}


def extend(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Add jobs to an open array, behind those it has, and wake its runner; one client at a time may do so.

    A job is ``[index, job id, input path, seeds, own]``; ``own`` may have ``command``, ``directory``, ``told`` (more
    environment), ``timeout_seconds`` and ``memory_mb`` in place of the array's.
    """
    name = request["name"]
    directory = arraydir.directory_of(root, name)
    try:
        with (directory / "jobs.jsonl").open("ab", buffering=0) as file:
            file.write("".join(f"{json.dumps(job)}\n" for job in request["jobs"]).encode())
    except OSError as error:
        raise DeskError(f"jobs cannot be added to array {name} in {directory}: {error.strerror}") from error
    return wake(root, request)


def wake(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Have the runner of an open array look for jobs, or start one if none lives."""
    directory = arraydir.directory_of(root, request["name"])
    if not ensure_runner(request["name"], directory, request.get("runner")):
        _wake_runner(directory)
    return {}


def close(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Say that no more jobs come to an open array: it is over when those that it has have ended."""
    directory = arraydir.directory_of(root, request["name"])
    if directory.is_dir() and not (directory / "closed").exists():
        draft = directory / f".closed-{arraydir.unique()}"
        arraydir.write(draft, [str(arraydir.lines_of(directory))])
        draft.rename(directory / "closed")
        wake(root, request)
    return {}


def find(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Say on which host the array of this name is; if on none, it can never be created from now on."""
    name = request["name"]
    directory = arraydir.directory_of(root, name)
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(directory, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if not directory.is_dir():
                os.utime(directory)
    return {"host": arraydir.home_of(name, directory) if directory.is_dir() else None}


def status(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return of each array the journal from an offset on, and start a runner for each that needs one.

    ``arrays`` is ``{name: [offset, jobs that had ended by there]}``. The answer has for each null, if there is no such
    array, or ``journal``, ``more`` if that is not all of it, ``size`` in jobs, and ``error`` if the runner is not well.
    """
    told: dict[str, dict[str, Any] | None] = {}
    room = arraydir.PAGE_BYTES
    for name, (offset, ended) in request["arrays"].items():
        directory = arraydir.directory_of(root, name)
        try:
            data, more = arraydir.read_from(name, directory, offset, room)
            room -= len(data)
            each = {"journal": data.decode("latin-1"), "more": more, "size": arraydir.size_of(name, directory)}
            told[name] = each
            if not (more or request.get("looks_only")) and ended + arraydir.ends(data) < each["size"]:
                each["error"] = _try_runner(name, directory, request.get("runner"))
        except DeskError:
            if directory.is_dir():
                raise
            told[name] = None  # it is gone, perhaps since a moment ago
    return {"arrays": told}


def sizes(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the size of each array's journal in bytes; -2 if it is gone, which no file that was seen ever had."""
    found = {}
    for name in request["arrays"]:
        try:
            found[name] = (arraydir.directory_of(root, name) / "journal").stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            found[name] = -2
    return {"sizes": found}


def logs(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what jobs printed so far, ``[[index, text], …]``, from ``start`` on, and where to go on.

    ``start`` is ``[position in indices, offset, end of that log]``, an end of -1 for what it has now.
    """
    folder = arraydir.directory_of(root, request["name"]) / "out"
    first, offset, end = request["start"]
    found: list[tuple[int, str]] = []
    room = arraydir.PAGE_BYTES
    for position, index in enumerate(request["indices"][first:], first):
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            (folder / f"{int(index)}.log").open("rb") as file,
        ):
            end = os.fstat(file.fileno()).st_size if end < 0 else end
            file.seek(offset)
            data = file.read(min(room, end - offset))
            found += [(index, data.decode("latin-1"))] if data else []
            room -= len(data)
            if room <= 0:
                return {"logs": found, "next": [position, offset + len(data), end]}
        offset, end = 0, -1
    return {"logs": found, "next": None}


def cancel(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the runner to end all jobs, or those of ``indices``; an array that is gone is no error."""
    name, indices = request["name"], request["indices"]
    directory = arraydir.directory_of(root, name)
    if not directory.is_dir():
        return {}
    if indices is None:
        (directory / "cancel").touch()
    else:
        # Between newlines of its own, a line that a full disk tore apart spoils no other, and is none itself.
        with (directory / "cancel-jobs").open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(list(indices))}\n".encode())
    if not arraydir.is_over(name, directory) and not ensure_runner(name, directory, request.get("runner")):
        _wake_runner(directory)
    return {}


def clean(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the directory of an array that is over; one that is gone already is no error."""
    name = request["name"]
    directory = arraydir.directory_of(root, name)
    try:
        over = arraydir.is_over(name, directory)
    except DeskError:
        if directory.is_dir():
            raise
        return {}  # it is gone, perhaps cleaned by somebody else while it was read
    if not over:
        raise DeskError(f"array {name} is still active, so its files are kept", "wait for its end, or cancel it")
    trash = directory.with_name(f".old-{arraydir.unique()}")
    with contextlib.suppress(FileNotFoundError):  # somebody else is cleaning it, too
        directory.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)
    return {}


def _cwd(description: Mapping[str, Any]) -> str:
    """Return where the submitter is, or the home directory if it is on another host."""
    return description["cwd"] or os.path.expanduser("~")  # noqa: PTH111 - pathlib raises where there is no home


# Runners


def ensure_runner(name: str, directory: Path, command: Sequence[str] | None) -> bool:
    """Start a runner for the array if none lives; say whether one was started.

    ``command`` is the program; None for the runner beside this file. It is called with the array's directory and the
    descriptor of the lock, and goes to the background by itself.
    """
    failed = directory / "runner.failed"
    if failed.exists():
        raise DeskError(
            f"the runner of array {name} gave up: {arraydir.short(failed.read_text(errors='replace'))}",
            f"see {directory / 'runner.log'}; then remove {failed} and look again",
        )
    try:
        lock = take_lock(str(directory))
    except OSError as error:
        raise DeskError(f"array {name} in {directory} cannot be locked: {error.strerror}") from error
    if lock is None:
        return False
    program = [sys.executable, *ALONE, os.path.abspath(runner.__file__)]  # noqa: PTH100 - links stay
    try:
        # The lock is handed down, so that between this look and the runner's start nobody else can start one.
        done = subprocess.run(
            [*(command or program), str(directory), str(lock)],
            pass_fds=[lock],
            env=dict(os.environ),  # not what C code, e.g. readline, has put beside it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,
            timeout=START_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeskError(f"the runner of array {name} cannot be started: {error}") from error
    finally:
        os.close(lock)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise DeskError(f"the runner of array {name} cannot be started: {last or done.returncode}")
    return True


def _try_runner(name: str, directory: Path, command: Sequence[str] | None) -> list[str] | None:
    try:
        ensure_runner(name, directory, command)
    except DeskError as error:
        if directory.is_dir():
            return [error.message, error.hint]
    return None


def _wake_runner(directory: Path) -> None:
    """Have the runner look for cancel marks; a runner that has not yet written its pid will look by itself."""
    words = (directory / "runner.lock").read_text().split()
    if len(words) == 2 and lives(int(words[0]), int(words[1])):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(words[0]), signal.SIGUSR1)


# Here and there


OPERATIONS: dict[str, Callable[[Path, Mapping[str, Any]], dict[str, Any]]] = {
    "check": check,
    "create": create,
    "count": count,
    "extend": extend,
    "wake": wake,
    "close": close,
    "find": find,
    "status": status,
    "sizes": sizes,
    "logs": logs,
    "cancel": cancel,
    "clean": clean,
    "doctor": doctor,
}


def main(arguments: Sequence[str]) -> None:
    """Answer the request on standard input; ``arguments[0]`` is the site's directory."""
    try:
        told: dict[str, Any] = {"ok": answer(Path(arguments[0]), json.load(sys.stdin.buffer))}
    except DeskError as error:
        told = {"error": error.message, "hint": error.hint}
    except OSError as error:
        told = {"error": f"{error.filename or arguments[0]}: {error.strerror or error}", "hint": ""}
    sys.stdout.buffer.write(json.dumps(told, ensure_ascii=False).encode(errors="backslashreplace"))


if __name__ == "__main__":
    main(sys.argv[1:])
