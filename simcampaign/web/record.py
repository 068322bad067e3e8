"""The record of a batch: one file, written before anything is asked of the solver, from which any program goes on.

A TAR archive that is not compressed: ``simulations/SHA256.hdf5``, each simulation once, and ``batch.json``. It is there
whole or not at all.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem
from simcampaign.web.link import Source, digest
from simcampaign.web.shapes import leaves, pack_shape

FORMAT = 1
INDEX = "batch.json"
ABOUT = "simcampaign batch"


@dataclass(frozen=True, slots=True)
class Entry:
    """One simulation, wherever in the shape it stands."""

    name: str
    sha256: str = ""
    size: int = 0
    task_id: str = ""
    """The task, where it is known from the start; then there is no simulation."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the shape."""

    name: str
    entry: int
    path: str
    """File of its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a batch is."""

    id: str
    endpoint: str
    """Name of the solver that has its tasks."""

    folder: str
    shape: Any
    """The shape as JSON; see ``shapes.pack_shape``."""

    entries: tuple[Entry, ...]
    places: tuple[Place, ...]
    callback_url: str = ""
    sources: dict[str, Source] = field(default_factory=dict)
    """Where the simulations lie, by their checksums."""

    def key(self, entry: Entry) -> str:
        """Return the key of a task: the same for the same simulation of the same batch, in whatever program."""
        return f"{self.id}-{entry.sha256[:32]}"

    def targets(self, number: int) -> list[Path]:
        """Return the files of the result of an entry."""
        return list(dict.fromkeys(Path(each.path) for each in self.places if each.entry == number))


def write(
    path: Path,
    simulations: Any,
    names: Sequence[str],
    targets: Sequence[Path],
    about: Record,
) -> Record:
    """Write the record of simulations in a shape, and return it; ``about`` says all the rest.

    ``names`` and ``targets`` are those of the leaves, in order. If a record of the same solver is there already, the
    tasks of its simulations are those of the new one. Raises ``ConfigError`` for a file that is something else,
    ``LocationError`` if it cannot be written.
    """
    if path.exists():
        before = read(path)
        about = replace(about, id=before.id) if before.endpoint == about.endpoint else about
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _fill(file, simulations, names, targets, about)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LocationError(f"{path} cannot be written: {error.strerror}", f"ls -ld {path.parent}") from error
    return read(path)


def _fill(file: Any, simulations: Any, names: Sequence[str], targets: Sequence[Path], about: Record) -> None:
    numbers: dict[str, int] = {}
    entries: list[Entry] = []
    places: list[Place] = []
    with (
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive,
        tempfile.TemporaryDirectory(prefix="simcampaign-") as folder,
    ):
        source = Path(folder) / "simulation.hdf5"
        for (_, simulation), name, target in zip(leaves(simulations), names, targets, strict=True):
            simulation.to_file(source)
            sha256 = digest(source)
            if sha256 not in numbers:
                numbers[sha256] = len(entries)
                entries.append(Entry(name, sha256, source.stat().st_size))
                archive.add(source, f"simulations/{sha256}.hdf5")
            places.append(Place(name, numbers[sha256], str(target.absolute())))
        _close(archive, replace(about, entries=tuple(entries), places=tuple(places)))
    file.flush()
    os.fsync(file.fileno())


def _close(archive: tarfile.TarFile, record: Record) -> None:
    text = {name: value for name, value in asdict(record).items() if name != "sources"}
    data = json.dumps({"about": ABOUT, "format": FORMAT, **text}, ensure_ascii=False).encode()
    member = tarfile.TarInfo(INDEX)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def new(endpoint: str, folder: str, shape: Any, callback_url: str = "") -> Record:
    """Return what is known of a batch before its simulations are written."""
    return Record(
        id=f"batch-{secrets.token_hex(8)}",
        endpoint=endpoint,
        folder=folder,
        shape=pack_shape(shape),
        entries=(),
        places=(),
        callback_url=callback_url,
    )


def of_tasks(endpoint: str, shape: Any, targets: Sequence[Path]) -> Record:
    """Return the record of tasks that exist, given by their ids in a shape. It has no file."""
    ids = [str(task_id) for _, task_id in leaves(shape)]
    numbers = {task_id: number for number, task_id in enumerate(dict.fromkeys(ids))}
    return replace(
        new(endpoint, "", shape),
        entries=tuple(Entry(task_id, task_id=task_id) for task_id in numbers),
        places=tuple(
            Place(task_id, numbers[task_id], str(target.absolute()))
            for task_id, target in zip(ids, targets, strict=True)
        ),
    )


def copy(record: Record, source: Path | None, target: Path) -> None:
    """Write a record to another file. Raises ``LocationError``."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        if source is not None:
            shutil.copyfile(source, temporary)
        else:
            with tarfile.open(temporary, mode="w") as archive:
                _close(archive, record)
        temporary.replace(target)
    except OSError as error:
        raise LocationError(f"{target} cannot be written: {error.strerror}", f"ls -ld {target.parent}") from error


def read(path: Path) -> Record:
    """Return the record in a file. Raises ``ConfigError`` if there is none in it, ``LocationError`` without a file."""
    try:
        with tarfile.open(path) as archive:
            members = {each.name: each for each in archive.getmembers() if each.isfile()}
            index = archive.extractfile(members[INDEX])
            assert index is not None  # noqa: S101 - it is a file
            tree = json.load(index)
        if tree.pop("about") != ABOUT or tree.pop("format") > FORMAT:
            raise ValueError("it is something else, or of a newer simcampaign")  # noqa: TRY301 - told as the others
        entries = tuple(Entry(**each) for each in tree.pop("entries"))
        places = tuple(Place(**each) for each in tree.pop("places"))
        sources = {each.sha256: _source(path, members, each) for each in entries if each.sha256}
        return Record(**{**tree, "entries": entries, "places": places, "sources": sources})
    except FileNotFoundError as error:
        raise LocationError(f"{path} is not there", f"ls {path.parent}") from error
    except OSError as error:
        raise LocationError(f"{path} cannot be read: {error.strerror}", f"ls -l {path}") from error
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        reason = f"is no record of a batch: {error}"
        raise ConfigError([Problem(str(path), ABSENT, reason)], "remove it, or give another batch_file") from error


def _source(path: Path, members: dict[str, tarfile.TarInfo], entry: Entry) -> Source:
    member = members[f"simulations/{entry.sha256}.hdf5"]
    return Source(path, member.size, member.offset_data)
