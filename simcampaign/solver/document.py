"""What simulations and results have in common: validated fields that a file keeps."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, ValidationError

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem
from simcampaign.mistakes import explain
from simcampaign.solver import hdf5
from simcampaign.solver.arrays import PART
from simcampaign.solver.reference import Reference, find, put_in


class Document(BaseModel):
    """A model that writes and reads its own file. Its type is the name of its class.

    Wrong fields raise ConfigError with every mistake in them.
    """

    model_config = PART

    version: ClassVar[int] = 1
    """Version of the file format of this type; files of newer ones are refused."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            name = type(self).__name__
            problems = explain(error, name, type(self), fields)
            # What is said about all of it names its fields itself.
            problems = [replace(each, value=ABSENT) if each.path == name else each for each in problems]
            raise ConfigError(problems) from error

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented  # what stands in for another may know better
        return digest(self) == digest(other)

    def __hash__(self) -> int:
        return hash(digest(self))

    @classmethod
    def type_name(cls) -> str:
        """Return the name that files of this type carry."""
        return cls.__name__

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write an HDF5 file, or one in JSON if the name ends in ``.json``; it is there whole or not at all."""
        target = Path(path)
        if target.suffix == ".json":
            tree = {"type": self.type_name(), "version": self.version, **self.model_dump(mode="json")}
            data = (json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
        else:
            data = hdf5.pack(self.type_name(), self.version, self.model_dump())
        write_whole(target, data)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of this type. Raises ConfigError if it is none, LocationError if it cannot be read."""
        content = load(Path(path))
        if content.type != cls.type_name():
            raise ConfigError([Problem(str(path), content.type, f"is no {cls.type_name()}")])
        return cls.from_content(content)

    @classmethod
    def from_content(cls, content: hdf5.Content) -> Self:
        """Return the document that a file held. Raises ConfigError with every mistake in it."""
        if content.version > cls.version:
            raise ConfigError(
                [Problem("version", content.version, f"is newer than this simcampaign knows of {content.type}")],
                "pip install --upgrade simcampaign",
            )
        if not isinstance(content.tree, Mapping):
            raise ConfigError([Problem(content.type, content.tree, "must be a mapping of fields")])
        return cls(**content.tree)

    def references(self) -> tuple[Reference, ...]:
        """Return the references that stand in place of data."""
        return tuple(reference for _, reference in find(self))

    def resolved(self, results: Mapping[str, Any]) -> Self:
        """Return the same with data in place of its references; ``results`` are the results by task id.

        Raises ConfigError if a result is not there, has no such data, or the data do not fit.
        """
        fields = put_in(self, results)
        assert isinstance(fields, dict)  # noqa: S101 - what put_in makes of a model
        return type(self)(**fields)


def digest(document: Document) -> str:
    """Return the SHA-256 of the content in hexadecimal, whatever file or library version holds it."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tree = hdf5.take_out(document.model_dump(), arrays)
    head = [document.type_name(), document.version, tree, {n: [str(a.dtype), a.shape] for n, a in arrays.items()}]
    sha = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name in sorted(arrays):
        sha.update(np.ascontiguousarray(arrays[name]).data)
    return sha.hexdigest()


def load(path: Path) -> hdf5.Content:
    """Return what a file holds, in HDF5 or JSON. Raises ConfigError if it is neither."""
    if hdf5.is_hdf5(path):
        return hdf5.unpack(path)
    try:
        if path.stat().st_size > hdf5.MAX_TEXT:
            raise ConfigError([Problem(str(path), ABSENT, f"is no HDF5, and longer than {hdf5.MAX_TEXT} bytes")])
        tree = json.loads(path.read_bytes())
        kind, version = tree.pop("type"), tree.pop("version", 1)
        if not isinstance(kind, str) or not isinstance(version, int):
            raise TypeError("type or version is none")  # noqa: TRY301 - told as the others below
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        reason = "is neither HDF5 nor a mapping in JSON with a `type`"
        raise ConfigError([Problem(str(path), ABSENT, reason)], "write it with simulation.to_file") from error
    return hdf5.Content(kind, version, tree)


def write_whole(target: Path, data: bytes) -> None:
    """Write a file through a temporary one beside it. Raises LocationError if that cannot be done."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LocationError(f"{target} cannot be written: {error.strerror}") from error
