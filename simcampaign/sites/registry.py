"""Which sites there are: the backends that are installed, and the file in which a person configures sites."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import ValidationError

from simcampaign.errors import ABSENT, ConfigError, LocationError, Problem
from simcampaign.fields import STRICT, Command, reader, split_command
from simcampaign.mistakes import did_you_mean, explain
from simcampaign.places import data_folder
from simcampaign.plugins import Broken, Plugins
from simcampaign.sites.base import Site

GROUP = "simcampaign.sites"
"""Entry-point group of the backends; another package may add some."""

LOCAL = "local"
"""The site that is there without any file."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass
class SiteConfig:
    """What a person writes about any site; the other fields of its table belong to its backend."""

    __pydantic_config__ = STRICT

    backend: str
    """What the site is, e.g. slurm; may be left out of a table that has a backend's name."""

    executable: Command = ""
    """Program and arguments that the API starts an input file with, e.g. lmp -in {input}."""

    mpirun: Command = ""
    """What is put before the executable of a job with several ranks, e.g. mpirun -n {ranks}; empty for nothing."""

    environment: dict[str, str] = field(default_factory=dict)
    """Extra environment of every job."""


COMMON_FIELDS = tuple(each.name for each in dataclasses.fields(SiteConfig))
"""Fields that a site of any backend has."""


@dataclass(frozen=True)
class ConfiguredSite:
    """A site and how the API starts an input file there."""

    name: str
    backend: str
    site: Site
    executable: tuple[str, ...] = ()
    mpirun: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


Backends = Plugins[type[Site]]
"""The installed backends by name."""


def backends() -> Backends:
    """Return the installed backends: the class of each, or why it cannot be used."""
    return Plugins(GROUP, _accept)


def sites_file() -> Path:
    """Return the path of the file of sites: ``SIMCAMPAIGN_SITES``, or below ``SIMCAMPAIGN_HOME``, or the platform's."""
    if file := os.environ.get("SIMCAMPAIGN_SITES"):
        return Path(file).expanduser().absolute()
    if home := os.environ.get("SIMCAMPAIGN_HOME"):
        return Path(home).expanduser().absolute() / "sites.toml"
    return platformdirs.user_config_path("simcampaign") / "sites.toml"


def site_names() -> tuple[str, ...]:
    """Return the names of all sites, also of those whose table is wrong; ``local`` comes first.

    Raises ``ConfigError`` if the file is no TOML, ``LocationError`` if it cannot be read.
    """
    return tuple(dict.fromkeys((LOCAL, *read_tables())))


def open_site(name: str) -> ConfiguredSite:
    """Return the site with this name: the same one as long as its table and the data folder stay, as it holds
    connections.

    The site is not reached yet, and the tables of other sites are not looked at. Raises ``ConfigError`` with every
    mistake in its table, or if there is no such site.
    """
    tables = read_tables()
    if name not in tables and name != LOCAL:
        known = dict.fromkeys((LOCAL, *tables))
        place = sites_file()
        reason = f"there is no such site in {place}" if place.exists() else f"there is no file {place}"
        raise ConfigError([Problem("site", name, reason, did_you_mean(name, known))], f"simcampaign sites add {name}")
    table = tables.get(name, {})
    content = json.dumps([str(data_folder()), table], sort_keys=True, default=str)
    with _opened.lock:
        if name not in _opened.sites or _opened.sites[name][0] != content:
            _opened.sites[name] = (content, configure_site(name, table))
        return _opened.sites[name][1]


class _Opened:
    """The sites that this process has opened, each with what its table said."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.sites: dict[str, tuple[str, ConfiguredSite]] = {}


_opened = _Opened()
os.register_at_fork(after_in_child=_opened.__init__)  # type: ignore[misc]  # connections and threads stay the parent's


def read_tables() -> dict[str, object]:
    """Return what the file of sites says, by name of site; nothing if there is no file.

    Raises ``ConfigError`` if it is no TOML, ``LocationError`` if it cannot be read.
    """
    file = sites_file()
    try:
        seen = file.stat()
        return dict(_parsed(file, (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(file), ABSENT, f"is no TOML: {error}")], f"edit {file}") from error
    except OSError as error:
        raise LocationError(f"{file} cannot be read: {error.strerror}", "set SIMCAMPAIGN_SITES") from error


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _seen: tuple[int, ...]) -> dict[str, object]:
    """Return what a file says; it is read again when it was written, as a job manager asks for it with every job."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def configure_site(name: str, table: object) -> ConfiguredSite:
    """Return the site that a table describes. Raises ``ConfigError`` with every mistake in it."""
    try:
        return _configure(name, table)
    except ConfigError as error:
        raise ConfigError(error.problems, error.hint or f"edit {sites_file()}") from error


def _configure(name: str, table: object) -> ConfiguredSite:
    if not isinstance(table, Mapping):
        raise ConfigError([Problem(name, table, "must be a table", f"write [{name}], and a field on each line below")])
    problems = check_name(name)
    installed = backends()
    table = {**({"backend": name} if name in installed else {}), **table}
    kind = _backend(name, table, installed, problems)
    allowed = (*COMMON_FIELDS, *(each.name for each in dataclasses.fields(kind.options)))
    problems += [
        Problem(f"{name}.{key}", value, "there is no such field", did_you_mean(key, allowed))
        for key, value in table.items()
        if key not in allowed
    ]
    common = _read(SiteConfig, name, {key: value for key, value in table.items() if key in COMMON_FIELDS}, problems)
    own = {key: value for key, value in table.items() if key in allowed and key not in COMMON_FIELDS}
    options = _read(kind.options, name, own, problems)
    if problems:
        raise ConfigError(problems)
    return ConfiguredSite(
        name,
        common.backend,
        _make(kind, name, options),
        split_command(common.executable),
        split_command(common.mpirun),
        common.environment,
    )


def check_name(name: str) -> list[Problem]:
    """Return what is wrong with the name of a site; names of files are made of it."""
    if _NAME.fullmatch(name):
        return []
    reason = "must be 1 to 64 letters, digits and . _ -, and start with a letter or digit"
    return [Problem("site", name, reason)]


def _backend(name: str, table: Mapping[str, Any], installed: Backends, problems: list[Problem]) -> type[Site]:
    backend = table.get("backend", ABSENT)
    if not isinstance(backend, str) or backend not in installed:
        reason = "is missing" if backend is ABSENT else "there is no such backend"
        remedy = did_you_mean(str(backend), installed)
        raise ConfigError([*problems, Problem(f"{name}.backend", backend, reason, remedy)])
    kind = installed[backend]
    if isinstance(kind, Broken):
        problem = Problem(f"{name}.backend", backend, f"cannot be used: {kind.reason}")
        raise ConfigError([*problems, problem], "see: simcampaign sites")
    return kind


def _read(kind: type[Any], name: str, data: dict[str, Any], problems: list[Problem]) -> Any:
    """Return ``data`` as a ``kind``; what is wrong with it is added to the problems."""
    try:
        return reader(kind).validate_python(data)
    except ValidationError as error:
        found = explain(error, name, kind, data)
        problems += [dataclasses.replace(each, remedy=each.remedy.replace(": …`", " = …`")) for each in found]
        return None


def _make(kind: type[Site], name: str, options: Any) -> Site:
    try:
        return kind.configure(name, options)
    except ConfigError as error:
        problems = [
            each if each.path.split(".")[0] == name else dataclasses.replace(each, path=f"{name}.{each.path}")
            for each in error.problems
        ]
        raise ConfigError(problems, error.hint) from error


def _accept(kind: object, entry: EntryPoint) -> type[Site] | Broken:
    if not isinstance(kind, type):
        return Broken(f"{entry.value} is no class")
    lacks = [each for each in ("options", *_METHODS) if not hasattr(kind, each)]
    if lacks:
        return Broken(f"{entry.value} is no site: it has no {', '.join(lacks)}")
    site: type[Site] = kind
    if not dataclasses.is_dataclass(site.options):
        return Broken(f"{entry.value} is no site: its options are no dataclass")
    return site


_METHODS = tuple(name for name in vars(Site) if not name.startswith("_"))
