"""What a person hands over to be simulated: a path, a ``Simulation``, or an object that writes its own input file."""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeAlias, runtime_checkable

from simcampaign.engine.jobfiles import START
from simcampaign.engine.requests import InputFile, JobRequest, content_digest
from simcampaign.errors import ABSENT, Problem
from simcampaign.sites.registry import LOCAL, ConfiguredSite, sites_file

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What names of environment variables look like; any shell takes them."""


@runtime_checkable
class Writable(Protocol):
    """An object that knows how to write its own input file."""

    def write(self, path: Path) -> object:
        """Write the input to this path; other files may be written beside it."""
        ...


PathLike: TypeAlias = "str | os.PathLike[str]"
Content: TypeAlias = "bytes | str | os.PathLike[str] | Writable"


@dataclass(frozen=True)
class Simulation:
    """One simulation in full: what is run, with which files, and what it leaves.

    ``Simulation("python model.py {input}", files=["model.py", "a.json"])``, for example.
    """

    command: str | Sequence[str] = ()
    """Program and arguments; text is split as a shell would, but never given to one. Left out: the site's executable.
    ``{input}`` stands for the first file, ``{ranks}``, ``{cpus}``, ``{gpus}``, ``{memory_mb}`` for what the job has,
    ``{python}`` for Python: at a site on this host the one that runs the call."""

    files: Sequence[PathLike] | Mapping[str, Content] = ()
    """Files and folders here that are put into the job's folder; or the names that they get there, each with its
    content: bytes, a path here, or an object with ``write(path)``."""

    outputs: str | Sequence[str] = ()
    """Patterns such as ``*.csv``, or folders: what is copied back. Left out: all that is not an unchanged input."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Extra environment variables."""


Input: TypeAlias = "PathLike | Simulation | Writable"


@dataclass
class Collected:
    """What was read of inputs, and what is wrong with them."""

    jobs: list[JobRequest] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    """Files that were made in memory, by digest."""

    environments: list[dict[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Collector:
    """Reads inputs for a site."""

    def __init__(self, site: ConfiguredSite | None, ranks: int | None, environment: Mapping[str, str]) -> None:
        """Collect for ``site``, None if it is not known; ``environment`` is what a person gives all jobs."""
        self._site = site
        self._ranks = ranks
        self._environment = {**(site.environment if site else {}), **environment}
        self._digests: dict[tuple[str, int, int], str] = {}
        self.found = Collected()

    def add(self, given: Input, path: str) -> None:
        """Read one input; ``path`` is what a problem is said of, e.g. ``input_files[3]``."""
        simulation = self._simulation(given, path)
        if simulation is None:
            return
        if isinstance(given, Simulation) and not given.command and not given.files:
            remedy = "give a command, or files of which the site's executable starts the first"
            self._wrong(f"{path}.command", ABSENT, "is missing, and so are files: there is nothing to run", remedy)
            return
        before = len(self.found.problems)
        files = self._files(simulation.files, f"{path}.files" if isinstance(given, Simulation) else path)
        command = self._command(simulation.command, path, isinstance(given, Simulation))
        environment = {**self._environment, **self._checked(simulation.environment, f"{path}.environment")}
        patterns = simulation.outputs
        outputs = (patterns,) if isinstance(patterns, str) else tuple(patterns)
        for each in outputs:
            if not isinstance(each, str) or PurePosixPath(each).is_absolute() or ".." in PurePosixPath(each).parts:
                self._wrong(f"{path}.outputs", each, "must be a pattern below the job's folder, e.g. *.csv")
        if len(self.found.problems) > before:
            return
        main = files[0].name if files else ""
        job = JobRequest(command, tuple(files), main, tuple(filter(None, outputs)), tuple(sorted(environment)))
        self.found.jobs.append(job)
        self.found.environments.append(environment)

    def _wrong(self, path: str, value: object, reason: str, remedy: str = "") -> None:
        self.found.problems.append(Problem(path, value, reason, remedy))

    def _simulation(self, given: Input, path: str) -> Simulation | None:
        if isinstance(given, Simulation):
            return given
        if isinstance(given, (str, os.PathLike)):
            if Path(given).is_dir():
                remedy = "give one file, or Simulation(command, files=[FOLDER])"
                self._wrong(path, os.fspath(given), "is a folder", remedy)
                return None
            return Simulation(files=[given])
        if isinstance(given, Writable) and not hasattr(given, "seek"):
            return Simulation(files={"input": given})
        remedy = "give a path, a Simulation(…), or an object with write(path)"
        self._wrong(path, given, f"is no input: {type(given).__name__}", remedy)
        return None

    def _command(self, given: str | Sequence[str], path: str, own: bool) -> tuple[str, ...]:
        name = f"{path}.command"
        try:
            command = tuple(shlex.split(given)) if isinstance(given, str) else tuple(given)
        except ValueError as error:
            self._wrong(name, given, f"cannot be split into arguments: {str(error).lower()}")
            return ()
        if not all(isinstance(word, str) and "\0" not in word for word in command):
            self._wrong(name, given, "must be text, or a list of texts without null characters")
            return ()
        site = self._site
        if site is None:
            return command
        command = command or site.executable
        if not command:
            remedy = f'add executable = "PROGRAM {{input}}" below [{site.name}] in {sites_file()}'
            remedy += ", or give Simulation(command, files)"
            where = name if own else f"{site.name}.executable"
            self._wrong(where, ABSENT, f"nothing says what site {site.name} starts an input file with", remedy)
            return ()
        python = sys.executable if site.backend == LOCAL else "python3"
        started = (*site.mpirun, *command) if self._ranks is not None else command
        return tuple(word.replace("{python}", python) for word in started)

    def _checked(self, environment: Mapping[str, str], path: str) -> Mapping[str, str]:
        for problem in environment_problems(environment, path):
            self.found.problems.append(problem)
        return environment

    def _files(self, given: Sequence[PathLike] | Mapping[str, Content], path: str) -> list[InputFile]:
        files: list[InputFile] = []
        for name, content, where in self._named(given, path):
            if fault := name_fault(name):
                self._wrong(where, name, fault)
            elif any(file.name == name for file in files):
                self._wrong(where, name, "is the name of two files", "files={'NAME': PATH, …} gives them names")
            else:
                files += self._read(name, content, where)
        return files

    def _named(
        self, given: Sequence[PathLike] | Mapping[str, Content], path: str
    ) -> Iterator[tuple[str, Content, str]]:
        """Yield each file with its name in the job's folder; of folders, all files below."""
        if isinstance(given, Mapping):
            pairs: Iterable[tuple[str, Content, str]] = (
                (name, each, f"{path}[{name!r}]") for name, each in given.items()
            )
        else:
            listed = [given] if isinstance(given, (str, os.PathLike)) else list(given)
            where = [path] if len(listed) == 1 else [f"{path}[{at}]" for at in range(len(listed))]
            pairs = ((Path(each).name, each, at) for each, at in zip(listed, where, strict=True))
        for name, content, at in pairs:
            if isinstance(content, (str, os.PathLike)) and Path(content).is_dir():
                folder = Path(content)
                for file in sorted(each for each in folder.rglob("*") if each.is_file()):
                    yield f"{name}/{file.relative_to(folder).as_posix()}", file, at
            else:
                yield name, content, at

    def _read(self, name: str, content: Content, path: str) -> list[InputFile]:
        if isinstance(content, bytes):
            return [self._made(name, content)]
        if isinstance(content, (str, os.PathLike)):
            return self._existing(name, Path(content), path)
        if hasattr(content, "write"):
            return self._written(name, content, path)
        self._wrong(path, content, f"is no file: {type(content).__name__}", "give bytes, a path, or write(path)")
        return []

    def _made(self, name: str, content: bytes) -> InputFile:
        digest = content_digest(content)
        self.found.contents[digest] = content
        return InputFile(name, len(content), digest, "")

    def _existing(self, name: str, file: Path, path: str) -> list[InputFile]:
        try:
            source = file.expanduser().absolute()
            status = source.stat()
            key = (str(source), status.st_size, status.st_mtime_ns)
            if key not in self._digests:
                self._digests[key] = content_digest(source)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._wrong(path, str(file), f"cannot be read: {reason.lower()}")
            return []
        return [InputFile(name, status.st_size, self._digests[key], str(source))]

    def _written(self, name: str, content: Writable, path: str) -> list[InputFile]:
        """Have an object write its input, and take all that it wrote."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                content.write(target)
            except Exception as error:  # noqa: BLE001 - a person's own code
                self._wrong(path, content, f"could not be written: {type(error).__name__}: {error}")
                return []
            files = sorted(each for each in Path(folder).rglob("*") if each.is_file())
            if not files:
                self._wrong(path, content, f"{type(content).__name__}.write(path) wrote no file")
            files.sort(key=lambda file: file != target)  # the input itself comes first
            return [self._made(file.relative_to(folder).as_posix(), file.read_bytes()) for file in files]


def name_fault(name: object) -> str:
    """Say what is wrong with a file's name in a job's folder; an empty string if nothing is."""
    if not isinstance(name, str) or not name or "\0" in name:
        return "must be the name of a file"
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.as_posix() != name:
        return "must lie in the job's folder: no leading '/', no '.' and no '..' in it"
    if path.parts[0] == START or any(part.startswith(".simcampaign-") for part in path.parts):
        return "is a name that simcampaign uses itself"
    return ""


def environment_problems(environment: Mapping[str, str], path: str) -> list[Problem]:
    """Return what is wrong with environment variables; values, which may be secrets, are not shown."""
    found = []
    for name, value in environment.items():
        if not isinstance(name, str) or not VARIABLE.fullmatch(name):
            reason = "is no name of a variable: letters, digits and _, no digit first"
            found.append(Problem(path, name, reason))
        elif not isinstance(value, str) or "\0" in value:
            found.append(Problem(f"{path}.{name}", ABSENT, "must be text without null characters"))
    return found
