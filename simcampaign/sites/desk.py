"""The desk of a detached site: everything that is done in the site's directory on the host where its jobs run.

    python3 desk.py ROOT < request.json > answer.json

One file, standard library only, Python 3.9 or later, so that it can be copied to a host, beside ``runner.py``. There
each request is one run of it: one JSON object comes in and one goes out, ``{"ok": …}`` or ``{"error": …, "hint": …}``.
On this host ``answer`` is called instead. ``do`` in a request names the operation, see ``OPERATIONS``; ``host`` is the
host on which it must happen, if that is known. Bytes travel as text of the same code points (Latin-1); an answer holds
``PAGE_BYTES`` of them at most and says how to ask for the rest.

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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from simcampaign.sites import runner
else:  # a copy, beside a copy of the runner
    import runner

PAGE_BYTES = 4 * 2**20
"""Bytes of journals or logs in one answer; more are asked for again."""
STALE_SECONDS = 86400.0
"""No submission takes this long: a draft that is older is rubbish."""
REFUSED_SECONDS = 7 * STALE_SECONDS
"""How long a name stays refused after it was looked for in vain."""
START_SECONDS = 60.0
"""A host that needs longer than this to start one Python process is not usable."""
SPARE_BYTES = 100 * 2**20
"""A disk with less room than this is not fit for jobs."""


class DeskError(Exception):
    """The desk refuses: a message, and what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


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
    if runner.PLACEHOLDER.search(program) or ("/" in program and program[0] != "/" and description["directory"]):
        return list(description["command"])  # differs from job to job: each is seen when it starts
    folders = os.environ.get("PATH", os.defpath) if path is None else path
    cwd = _cwd(description)
    found = shutil.which(os.path.join(cwd, program) if "/" in program else program, path=folders)  # noqa: PTH118
    if found is None:
        where = "is no program that can be run" if "/" in program else f"is not in PATH ({_short(folders)})"
        raise DeskError(
            f"command {program!r} {where}; nothing was submitted",
            "check its spelling, install it, or give its full path as the first word of `command`",
        )
    return [str(Path(cwd) / found), *arguments]


def create(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Write an array down and start its runner; one of this name that is here already is adopted."""
    name = request["name"]
    directory = directory_of(root, name)
    if not directory.is_dir():
        here = {"host": socket.gethostname(), "cwd": _cwd(request["description"])}
        description = {**request["description"], **here, **check(root, request)}
        description["slots"] = slots_of(description)
        try:
            _write_down(directory, description, request["jobs"])
        except OSError as error:
            raise DeskError(
                f"array {name} cannot be written to {directory}: {error.strerror}; nothing was submitted",
                "make room, or give the site another root, and run again",
            ) from error
    if not is_over(name, directory):
        ensure_runner(name, directory, request.get("runner"))
    return {"host": _home_of(name, directory)}


def find(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Say on which host the array of this name is; if on none, it can never be created from now on."""
    name = request["name"]
    directory = directory_of(root, name)
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(directory, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if not directory.is_dir():
                os.utime(directory)
    return {"host": _home_of(name, directory) if directory.is_dir() else None}


def status(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return of each array the journal from an offset on, and start a runner for each that needs one.

    ``arrays`` is ``{name: [offset, jobs that had ended by there]}``. The answer has for each null, if there is no such
    array, or ``journal``, ``more`` if that is not all of it, ``size`` in jobs, and ``error`` if the runner is not well.
    """
    told: dict[str, dict[str, Any] | None] = {}
    room = PAGE_BYTES
    for name, (offset, ended) in request["arrays"].items():
        directory = directory_of(root, name)
        try:
            data, more = _read_from(name, directory, offset, room)
            room -= len(data)
            each = {"journal": data.decode("latin-1"), "more": more, "size": size_of(name, directory)}
            told[name] = each
            if not (more or request.get("looks_only")) and ended + _ends(data) < each["size"]:
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
            found[name] = (directory_of(root, name) / "journal").stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            found[name] = -2
    return {"sizes": found}


def logs(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what jobs printed so far, ``[[index, text], …]``, from ``start`` on, and where to go on.

    ``start`` is ``[position in indices, offset, end of that log]``, an end of -1 for what it has now.
    """
    folder = directory_of(root, request["name"]) / "out"
    first, offset, end = request["start"]
    found: list[tuple[int, str]] = []
    room = PAGE_BYTES
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
    directory = directory_of(root, name)
    if not directory.is_dir():
        return {}
    if indices is None:
        (directory / "cancel").touch()
    else:
        # Between newlines of its own, a line that a full disk tore apart spoils no other, and is none itself.
        with (directory / "cancel-jobs").open("ab", buffering=0) as file:
            file.write(f"\n{json.dumps(list(indices))}\n".encode())
    if not is_over(name, directory) and not ensure_runner(name, directory, request.get("runner")):
        _wake_runner(directory)
    return {}


def clean(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the directory of an array that is over; one that is gone already is no error."""
    name = request["name"]
    directory = directory_of(root, name)
    try:
        over = is_over(name, directory)
    except DeskError:
        if directory.is_dir():
            raise
        return {}  # it is gone, perhaps cleaned by somebody else while it was read
    if not over:
        raise DeskError(f"array {name} is still active, so its files are kept", "wait for its end, or cancel it")
    trash = directory.with_name(f".old-{_unique()}")
    with contextlib.suppress(FileNotFoundError):  # somebody else is cleaning it, too
        directory.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)
    return {}


def directory_of(root: Path, name: str) -> Path:
    """Return the directory of an array; refuses names that lead elsewhere."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise DeskError(f"array name {name!r} cannot name a directory: it is empty, starts with '.', or has '/' in it")
    return root / "arrays" / name


def is_over(name: str, directory: Path) -> bool:
    """Say whether every job of an array has ended."""
    offset = ended = 0
    more = True
    while more:
        data, more = _read_from(name, directory, offset, PAGE_BYTES)
        ended += _ends(data)
        offset += len(data)
    return ended >= size_of(name, directory)


def size_of(name: str, directory: Path) -> int:
    """Return how many jobs an array has."""
    return int(_description_of(name, directory)["size"])


def _cwd(description: Mapping[str, Any]) -> str:
    """Return where the submitter is, or the home directory if it is on another host."""
    return description["cwd"] or os.path.expanduser("~")  # noqa: PTH111 - pathlib raises where there is no home


def _home_of(name: str, directory: Path) -> str:
    """Return the host that runs an array: directories may be shared by several."""
    return str(_description_of(name, directory).get("host", socket.gethostname()))


def _description_of(name: str, directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / "array.json").read_bytes())
        int(found["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeskError(f"the description of array {name} in {directory / 'array.json'} cannot be read") from error
    return dict(found)


def _write_down(directory: Path, description: Mapping[str, Any], jobs: Iterable[Sequence[Any]]) -> None:
    """Write an array down completely, then let it appear under its name; whoever is first wins."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    _sweep(directory.parent)
    draft = directory.with_name(f".new-{_unique()}")
    draft.mkdir(mode=0o700)
    try:
        (draft / "out").mkdir()
        (draft / "journal").touch()
        _write(draft / "jobs.jsonl", (f"{json.dumps(job)}\n" for job in jobs))
        _write(draft / "array.json", [json.dumps(description, indent=1)])
        with contextlib.suppress(FileExistsError):
            _rename_new(draft, directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(arrays: Path) -> None:
    """Remove what a killed submission or cleaning left half done, and names that were refused, long ago."""
    with os.scandir(arrays) as entries:
        for entry in entries:
            draft = entry.name.startswith(".")
            if not draft and entry.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime > (STALE_SECONDS if draft else REFUSED_SECONDS):
                    (shutil.rmtree if draft else os.unlink)(entry.path)


def _write(path: Path, texts: Iterable[str]) -> None:
    """Write a file that is on the disk when this returns."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(texts)
        file.flush()
        os.fsync(file.fileno())


def _rename_new(draft: Path, directory: Path) -> None:
    """Rename a directory; raises ``FileExistsError`` if another array has the name, ``DeskError`` if it is refused."""
    try:
        draft.rename(directory)
    except OSError as error:
        if directory.is_dir():
            raise FileExistsError(error.errno, error.strerror, str(directory)) from error
        if directory.is_file():
            raise DeskError(
                f"array {directory.name} was looked for before it arrived and given up, so its name is refused; "
                "nothing was submitted",
                "run again: what is missing is planned anew, under another name",
            ) from error
        raise


def _read_from(name: str, directory: Path, offset: int, most: int) -> tuple[bytes, bool]:
    """Return the journal from an offset on, whole lines if there is room for any, and whether there is more of it."""
    try:
        with (directory / "journal").open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(offset)
            data = file.read(min(most, max(0, size - offset)))
    except OSError as error:
        raise DeskError(f"the journal of array {name} in {directory} cannot be read: {error.strerror}") from error
    if size < offset:
        raise DeskError(f"the journal of array {name} in {directory} is shorter than it was at the last look")
    if offset + len(data) == size:
        return data, False
    whole = data.rfind(b"\n") + 1
    if not whole and most == PAGE_BYTES:
        raise DeskError(f"the journal of array {name} in {directory} has no end of line in {most} bytes from {offset}")
    return data[:whole], True


def _ends(data: bytes) -> int:
    """Return how many jobs ended in these whole lines of a journal."""
    whole = data[: data.rfind(b"\n") + 1]
    return whole.count(b'\n{"event":"end"') + whole.startswith(b'{"event":"end"')


# Runners


def ensure_runner(name: str, directory: Path, command: Sequence[str] | None) -> bool:
    """Start a runner for the array if none lives; say whether one was started.

    ``command`` is the program; None for the runner beside this file. It is called with the array's directory and the
    descriptor of the lock, and goes to the background by itself.
    """
    failed = directory / "runner.failed"
    if failed.exists():
        raise DeskError(
            f"the runner of array {name} gave up: {_short(failed.read_text(errors='replace'))}",
            f"see {directory / 'runner.log'}; then remove {failed} and look again",
        )
    try:
        lock = runner.take_lock(str(directory))
    except OSError as error:
        raise DeskError(f"array {name} in {directory} cannot be locked: {error.strerror}") from error
    if lock is None:
        return False
    program = [sys.executable, "-I", "-S", os.path.abspath(runner.__file__)]  # noqa: PTH100 - links stay
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
    if len(words) == 2 and runner.lives(int(words[0]), int(words[1])):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(words[0]), signal.SIGUSR1)


# Health


def doctor(root: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Look whether jobs can run here: ``[[subject, fine or null, detail], …]``."""
    cores = os.cpu_count() or 1
    slots = request["slots"] or cores
    version = ".".join(map(str, sys.version_info[:3]))
    findings: list[tuple[str, bool | None, str]] = [
        ("python", sys.version_info >= (3, 9), f"Python {version}, {sys.executable}"),
        ("slots", None if slots > cores else True, f"{slots} for jobs, on {cores} cores"),
        _memory(),
    ]
    for subject, folder in (("root", root), ("scratch", Path(os.path.expanduser(request["scratch"])))):  # noqa: PTH111
        findings.extend(_room(subject, folder))
    return {"host": socket.gethostname(), "findings": findings}


def _memory() -> tuple[str, bool | None, str]:
    if not runner.processes():
        return "memory", None, "there is no /proc here, so memory limits of jobs are not kept"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return "memory", True, f"{total // 2**20} MiB; limits of jobs are kept by looking every second"


def _room(subject: str, folder: Path) -> Iterator[tuple[str, bool | None, str]]:
    """Try to write, rename, lock and remove a file in a folder, as arrays and jobs will."""
    trial = folder / f".try-{_unique()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.mkdir()
        try:
            _write(trial / "file", ["x"])
            (trial / "file").rename(trial / "renamed")
            os.close(runner.take_lock(str(trial)) or os.open(os.devnull, os.O_RDONLY))
        finally:
            shutil.rmtree(trial)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield subject, False, f"{folder} cannot be written to: {error.strerror}; make it writable, or give another one"
        return
    yield subject, True, f"{folder} can be written to and locked"
    detail = f"{free // 2**20} MiB free in {folder}"
    yield f"disk of {subject}", free >= SPARE_BYTES, detail if free >= SPARE_BYTES else f"{detail}; make room"


# Here and there


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"


def _unique() -> str:
    return os.urandom(16).hex()


OPERATIONS: dict[str, Callable[[Path, Mapping[str, Any]], dict[str, Any]]] = {
    "check": check,
    "create": create,
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
