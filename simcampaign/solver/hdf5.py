"""The files of simulations and results: an HDF5 file with the text of the model and its arrays.

Root attributes ``type`` (text of fixed length) and ``version`` (integer); a dataset ``document``, one text in JSON of
fixed length, in which ``{"$array": NAME}`` stands for an array; a group ``arrays`` with the arrays as datasets. Nothing
else: no objects, no links to elsewhere, no types of variable length, so that a file from anybody can be read.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem

MAX_TEXT = 16 * 2**20
"""Bytes that the text of a document may have."""

MAX_BYTES = 4 * 2**30
"""Bytes that all arrays of a document may have together once they are unpacked."""

MAX_ATTRIBUTE = 1000
"""Bytes that an attribute may have."""

MAX_ARRAYS = 1000
"""Arrays that a document may have."""

MAX_AXES = 8
COMPRESS_FROM = 2**16
"""Arrays of this many bytes or more are compressed (gzip)."""

ARRAY = "$array"
_FILTERS = {"gzip", "shuffle", "fletcher32"}
_MEMBERS = {"document", "arrays"}


class Content(NamedTuple):
    """What a file holds: the name of its type, the version of that, and the tree of fields with arrays in place."""

    type: str
    version: int
    tree: Any


def pack(kind: str, version: int, tree: Any) -> bytes:
    """Return the bytes of a file. The same content gives the same bytes, with the same HDF5 library."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    text = json.dumps(take_out(tree, arrays), sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    if len(text) > MAX_TEXT:
        raise ConfigError([Problem("document", len(text), f"is longer than {MAX_TEXT} bytes without its arrays")])
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("v110", "v110")) as file:
        file.attrs["type"] = np.array(kind.encode(), dtype=h5py.string_dtype("utf-8", len(kind.encode())))
        file.attrs["version"] = version
        file.create_dataset("document", data=np.array(text, dtype=h5py.string_dtype("utf-8", len(text))))
        group = file.create_group("arrays")
        for name in sorted(arrays):
            packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
            group.create_dataset(name, data=arrays[name], **(packed if arrays[name].nbytes >= COMPRESS_FROM else {}))
    return memory.getvalue()


def take_out(value: Any, arrays: dict[str, np.ndarray[Any, Any]], path: str = "") -> Any:
    """Return the tree with a name in place of each array; the arrays are added to ``arrays`` under these names."""
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {ARRAY: path}
    if isinstance(value, Mapping):
        return {key: take_out(item, arrays, f"{path}.{key}" if path else str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [take_out(item, arrays, f"{path}.{index}") for index, item in enumerate(value)]
    return value


def unpack(path: Path, limit: int = MAX_BYTES) -> Content:
    """Read a file that somebody sent. Arrays may take at most ``limit`` bytes, all together, by what they declare.

    Raises ConfigError if it is no such file, LocationError if it cannot be read.
    """
    with _opened(path) as file:
        return _read(file, path, limit)


def read_type(path: Path) -> str:
    """Return the name of the type in a file; the rest is not looked at. Raises as ``unpack``."""
    with _opened(path) as file:
        return _type(file, path)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except FileNotFoundError as error:
        raise LocationError(f"{path} is not there") from error
    except PermissionError as error:
        raise LocationError(f"{path} cannot be read: {error.strerror}") from error
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, RecursionError) as error:
        raise _refuse(path, f"is no file of a simulation or a result: {error}") from error


def is_hdf5(path: Path) -> bool:
    """Return whether the file begins as HDF5 does. Raises LocationError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError as error:
        raise LocationError(f"{path} cannot be read: {error.strerror}") from error


def _refuse(path: Path, reason: str) -> ConfigError:
    return ConfigError([Problem(str(path), ABSENT, reason)])


def _read(file: h5py.File, path: Path, limit: int) -> Content:
    if set(file) != _MEMBERS:
        raise _refuse(path, "must hold `document` and `arrays`, and nothing else")
    kind = _type(file, path)
    version = _attribute(file, "version", h5py.h5t.TypeIntegerID, path)
    text = _dataset(file, "document", path)
    if text.shape != () or text.dtype.kind != "S" or text.dtype.itemsize > MAX_TEXT:
        raise _refuse(path, f"`document` must be one text of fixed length, at most {MAX_TEXT} bytes")
    tree = json.loads(bytes(text[()]).decode())
    arrays = _arrays(file, path, limit)
    return Content(kind, int(version), _put_in(tree, arrays, path))


def _type(file: h5py.File, path: Path) -> str:
    return str(_attribute(file, "type", h5py.h5t.TypeStringID, path).decode())


def _attribute(file: h5py.File, name: str, kind: type[h5py.h5t.TypeID], path: Path) -> Any:
    """Return an attribute of the root. A text of variable length is not even looked at: it lies elsewhere in the file,
    and where that place is garbled, the HDF5 library may never come back."""
    if name not in file.attrs:
        raise _refuse(path, f"has no attribute `{name}`")
    identity = file.attrs.get_id(name)
    stored = identity.get_type()
    fixed = isinstance(stored, kind) and not (isinstance(stored, h5py.h5t.TypeStringID) and stored.is_variable_str())
    if not fixed or identity.shape != () or identity.get_storage_size() > MAX_ATTRIBUTE:
        raise _refuse(path, f"must have `type`, a text of fixed length, and `version`, an integer; {name} is none")
    return file.attrs[name]


def _arrays(file: h5py.File, path: Path, limit: int) -> dict[str, np.ndarray[Any, Any]]:
    if (
        not isinstance(file.get("arrays", getlink=True), h5py.HardLink)
        or file.get("arrays", getclass=True) != h5py.Group
    ):
        raise _refuse(path, "`arrays` must be a group of this file")
    group = file["arrays"]
    if len(group) > MAX_ARRAYS:
        raise _refuse(path, f"has more than {MAX_ARRAYS} arrays")
    found = {name: _dataset(group, name, path) for name in group}
    for name, dataset in found.items():
        if dataset.dtype.kind not in ("f", "i", "u", "c", "b"):
            raise _refuse(path, f"array `{name}` must hold numbers, not {dataset.dtype}")
    if (total := sum(_declared(dataset) for dataset in found.values())) > limit:
        raise _refuse(path, f"its arrays take {total} bytes; {limit} are allowed")
    return {name: dataset[()] for name, dataset in found.items()}


def _dataset(group: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    """Return a dataset that lies in the file itself, plain and not too large to look at."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise _refuse(path, f"`{name}` is a link to elsewhere")
    if group.get(name, getclass=True) != h5py.Dataset:
        raise _refuse(path, f"`{name}` is no dataset")
    dataset = group[name]
    if dataset.shape is None or len(dataset.shape) > MAX_AXES:
        raise _refuse(path, f"`{name}` is empty or has more than {MAX_AXES} axes")
    if dataset.external or dataset.is_virtual:
        raise _refuse(path, f"`{name}` keeps its values in other files")
    if unknown := set(dataset._filters) - _FILTERS:
        raise _refuse(path, f"`{name}` is packed by a filter that is not allowed: {', '.join(sorted(unknown))}")
    return dataset


def _declared(dataset: h5py.Dataset) -> int:
    """Return the bytes that reading the dataset takes: all of it, or one chunk if that is larger."""
    items = [int(np.prod(shape, dtype=object)) for shape in (dataset.shape, dataset.chunks or ())]
    return max(items) * int(dataset.dtype.itemsize)


def _put_in(value: Any, arrays: Mapping[str, np.ndarray[Any, Any]], path: Path) -> Any:
    if isinstance(value, dict):
        if set(value) == {ARRAY}:
            name = value[ARRAY]
            if not isinstance(name, str) or name not in arrays:
                raise _refuse(path, f"its document names an array that is not there: {name!r}")
            return arrays[name]
        return {key: _put_in(item, arrays, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_in(item, arrays, path) for item in value]
    return value
