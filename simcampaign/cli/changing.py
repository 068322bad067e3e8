"""The deeds ``sites add`` and ``sites remove``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from simcampaign.cli.asking import Person
from simcampaign.cli.output import print_json, print_line, say
from simcampaign.cli.sites import follow_doctor, is_fine
from simcampaign.cli.tables import read_text, save_text, table_text, with_table, without_table
from simcampaign.docstrings import field_docstrings
from simcampaign.errors import ConfigError, Problem
from simcampaign.mistakes import did_you_mean
from simcampaign.plugins import Broken
from simcampaign.sites.base import Finding, Site
from simcampaign.sites.registry import (
    ConfiguredSite,
    SiteConfig,
    backends,
    check_name,
    configure_site,
    read_tables,
    sites_file,
)

_ASKED = ("host", "user", "queue", "partition", "account", "image")
"""Fields that are asked for though they may be left out, of backends that have them."""


def add(options: argparse.Namespace) -> int:
    """Ask for a new site, or take what was typed; show and test it; write it down."""
    person = Person(asked=not (options.yes or options.json))
    name = _check_new(options.site) if options.site else person.ask("Name of the new site", check=_check_new)
    backend = _check_backend(options.backend) if options.backend else _ask_backend(person, name)
    kind = _class_of(backend)
    table = {"backend": backend, **_assigned(kind, name, options.set)}
    if person.asked and not options.set:
        table |= _ask_fields(person, kind, name)
    configured = _configured(name, table)
    if not options.json:
        print_line(f"\n{table_text(name, table)}")
    findings = [] if options.unchecked else follow_doctor(configured, show=not options.json)
    fine = is_fine(findings)
    written = _confirm(person, fine)
    if written:
        file = sites_file()
        save_text(file, with_table(read_text(file), name, table))
    _report(options, name, table, findings, written)
    return 0 if fine else 1


def _configured(name: str, table: dict[str, Any]) -> ConfiguredSite:
    try:
        return configure_site(name, table)
    except ConfigError as error:
        raise ConfigError(
            error.problems, "set each with --set FIELD=VALUE; see: simcampaign sites add --help"
        ) from error


def remove(options: argparse.Namespace) -> int:
    """Take a site out of the file."""
    name, file = options.site, sites_file()
    tables = read_tables()
    if name not in tables:
        raise ConfigError([Problem("site", name, f"is not in {file}", did_you_mean(name, tables) if tables else "")])
    save_text(file, without_table(read_text(file), name))
    if options.json:
        print_json({"site": name, "file": str(file), "removed": True})
    else:
        print_line(f"{name} is no longer in {file}")
    return 0


def _check_new(name: str) -> str:
    """Return the name of a site that is not there yet."""
    problems = check_name(name)
    if name in read_tables():
        remedy = f"see: simcampaign sites show {name}"
        problems = [Problem("site", name, f"is already in {sites_file()}", remedy)]
    if problems:
        raise ConfigError(problems)
    return name


def _check_backend(name: str) -> str:
    """Return the name of a backend that can be used."""
    _class_of(name)
    return name


def _class_of(backend: str) -> type[Site]:
    installed = backends()
    if backend not in installed:
        raise ConfigError([Problem("backend", backend, "there is no such backend", did_you_mean(backend, installed))])
    kind = installed[backend]
    if isinstance(kind, Broken):
        raise ConfigError([Problem("backend", backend, f"cannot be used: {kind.reason}")])
    return kind


def _ask_backend(person: Person, name: str) -> str:
    installed = backends()
    usable = {each: kind for each in installed if not isinstance(kind := installed[each], Broken)}
    if person.asked:
        print_line("\nBackends:")
        for each, kind in usable.items():
            print_line(f"  {each:<12} {_first_line(kind)}")
    default = name if name in usable else ""
    return person.ask("Backend", default, field="--backend", check=_check_backend)


def _first_line(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _ask_fields(person: Person, kind: type[Site], name: str) -> dict[str, Any]:
    """Return what a person answers about the fields that are required or commonly needed."""
    print_line("\nEnter leaves out what is in brackets or empty.")
    answers: dict[str, Any] = {}
    for field, help_, required in _asked_fields(kind):
        if field == "user" and "host" not in answers:
            continue
        print_line(f"\n{help_}")

        def check(text: str, field: str = field) -> Any:
            return _checked(kind, name, field, text)

        answer = person.ask(field, None if required else "", field=f"{name}.{field}", check=check)
        if answer != "":
            answers[field] = answer
    return answers


def _asked_fields(kind: type[Site]) -> Iterator[tuple[str, str, bool]]:
    """Yield the name, the meaning and whether it must be given, of each field to ask for."""
    help_of = field_docstrings(kind.options)
    for each in dataclasses.fields(kind.options):
        required = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if required or each.name in _ASKED:
            yield each.name, help_of[each.name], required
    common = field_docstrings(SiteConfig)
    yield from ((field, common[field], False) for field in ("executable", "mpirun"))


def _checked(kind: type[Site], name: str, field: str, text: str) -> Any:
    """Return the value that ``text`` stands for. Raises ``ConfigError`` if the field does not take it."""
    hint = _hints(kind)[field]
    value = _value_of(hint, text)
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError as error:
        reasons = "; ".join(dict.fromkeys(each["msg"].removeprefix("Value error, ") for each in error.errors()))
        raise ConfigError([Problem(f"{name}.{field}", text, reasons[:1].lower() + reasons[1:])]) from error
    return value


def _assigned(kind: type[Site], name: str, settings: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields that were given as FIELD=VALUE; what is wrong with them is found later, all at once."""
    hints, table = _hints(kind), dict[str, Any]()
    for path, text in settings:
        field, _, key = path.partition(".")
        hint = hints.get(field, Any)
        if not key:
            table[field] = _value_of(hint, text)
            continue
        inner = get_args(hint)[1] if get_origin(hint) is dict else Any
        within = table.setdefault(field, {})
        if not isinstance(within, dict):
            raise ConfigError([Problem(f"{name}.{path}", text, f"{field} was given a value of its own before")])
        within[key] = _value_of(inner, text)
    return table


def _hints(kind: type[Site]) -> dict[str, Any]:
    own: dict[str, Any] = get_type_hints(kind.options, include_extras=True)
    return {**own, **get_type_hints(SiteConfig, include_extras=True)}


def read_value(kind: type[Any] | None, field: str, text: str) -> Any:
    """Return the value of a field of options that ``text`` stands for; of one that there is not, whatever it is."""
    hints = get_type_hints(kind, include_extras=True) if kind is not None else {}
    return _value_of(hints.get(field, Any), text)


def _value_of(hint: Any, text: str) -> Any:
    """Return the value of a field that ``text`` stands for: as TOML, as plain text, or as a list with commas."""
    candidates: list[Any] = []
    with contextlib.suppress(tomllib.TOMLDecodeError):
        candidates += [value for name, value in tomllib.loads(f"value = {text}").items() if name == "value"]
    candidates += [text, [part.strip() for part in text.split(",")]]
    for candidate in candidates:
        try:
            TypeAdapter(hint).validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return candidates[0]


def _confirm(person: Person, fine: bool) -> bool:
    """Tell whether the site is to be written down."""
    if not person.asked:
        return fine
    if fine:
        return person.agrees(f"Write it to {sites_file()}?", default=True)
    return person.agrees("Jobs will fail there as it is. Write it all the same?", default=False)


def _report(
    options: argparse.Namespace, name: str, table: dict[str, Any], findings: Sequence[Finding], written: bool
) -> None:
    file = sites_file()
    if options.json:
        found = [dataclasses.asdict(each) for each in findings]
        print_json({"site": name, "file": str(file), "written": written, "table": table, "findings": found})
    elif written:
        print_line(f"\n{name} is in {file}. Try it: simcampaign run INPUT --site {name} --to FOLDER")
    else:
        say(f"\n{name} was not written down.")
