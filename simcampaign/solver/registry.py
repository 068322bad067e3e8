"""Which types of simulations there are, and files of whatever type."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from types import MappingProxyType
from typing import Any

from simcampaign.errors import ConfigError, Problem
from simcampaign.mistakes import did_you_mean
from simcampaign.plugins import SOLVER_TYPES, Broken, Plugins
from simcampaign.solver.document import Document, load
from simcampaign.solver.hdf5 import read_type
from simcampaign.solver.kinds import SimulationType

GROUP = SOLVER_TYPES
"""Entry-point group of the types; another package may add some."""


def installed() -> Plugins[SimulationType]:
    """Return the types that are installed by name: each, or why it cannot be used."""
    return Plugins(GROUP, _accept)


def types() -> Mapping[str, SimulationType]:
    """Return the types that can be solved, by name; those that are broken are left out, ``installed`` has them."""
    return MappingProxyType({name: kind for name, kind in installed().items() if isinstance(kind, SimulationType)})


def type_of(simulation: Document) -> SimulationType:
    """Return the type of a simulation. Raises ConfigError if it is not installed."""
    return _find(simulation.type_name(), "simulation")


def read(path: str | os.PathLike[str]) -> Any:
    """Return the simulation in a file, of whatever type. Raises ConfigError if there is none."""
    content = load(Path(path))
    try:
        return _find(content.type, str(path)).simulation.from_content(content)
    except ConfigError as error:
        raise ConfigError(error.problems, error.hint or f"mend {path}") from error


def read_result(path: str | os.PathLike[str]) -> Any:
    """Return the result in a file, of whatever type. Raises ConfigError if there is none."""
    content = load(Path(path))
    return _result(content.type, path).from_content(content)


def result_class(path: str | os.PathLike[str]) -> type[Document]:
    """Return the class of the result in an HDF5 file, without reading that. Raises ConfigError if there is none."""
    return _result(read_type(Path(path)), path)


def _result(name: str, path: str | os.PathLike[str]) -> type[Document]:
    results = {kind.result.type_name(): kind.result for kind in types().values()}
    if name not in results:
        raise ConfigError([Problem(str(path), name, "is no type of result", did_you_mean(name, results))])
    return results[name]


def _find(name: str, path: str) -> SimulationType:
    known = installed()
    if name not in known:
        raise ConfigError([Problem(path, name, "there is no such type of simulation", did_you_mean(name, known))])
    kind = known[name]
    if isinstance(kind, Broken):
        raise ConfigError([Problem(path, name, f"this type cannot be used: {kind.reason}")])
    return kind


def _accept(kind: object, entry: EntryPoint) -> SimulationType | Broken:
    if not isinstance(kind, SimulationType):
        return Broken(f"{entry.value} is no SimulationType")
    if not kind.name == entry.name == kind.simulation.type_name():
        return Broken(f"{entry.value} must have the name of its entry point and of its class, {kind.name}")
    return kind
