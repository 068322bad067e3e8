"""Contexts: where and how campaigns of clients run. The server's owner decides that; clients give them by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcampaign.engine.kinds import find_kind
from simcampaign.errors import ABSENT, ConfigError, Problem
from simcampaign.mistakes import did_you_mean
from simcampaign.series import key_fault
from simcampaign.service.settings import Settings

if TYPE_CHECKING:  # half a second of imports that a service without campaigns does not need
    from simcampaign.engine.campaign import Campaign

HARMLESS = frozenset(
    {
        "model",
        "seeds_per_job",
        "save_logs",
        "clean_jobs",
        "update_manifest",
        "rerun_stale",
        "only",
        "budget",
        "seconds_per_run",
    }
)
"""Parameters that clients may give where commands are not allowed. The others name programs, images or patterns."""

READERS = ("from_csv", "from_file")
"""Generators of conditions that read files of the service's host."""

MOST_RUNS = 5_000_000
"""Runs of one campaign."""

OWN = ("kind", "shared", "parameters")
"""Fields of a context in the settings that are not the context's itself."""

_WORD = re.compile(r"[A-Za-z0-9][^/\x00-\x1f]*")
NOT_ALLOWED = "is not allowed: this server's owner decides what is run"
REMEDY = "name a context, or have the owner set allow_commands = true"


@dataclass(frozen=True)
class Wanted:
    """A campaign as a client describes it."""

    kind: str
    document: Mapping[str, Any]
    """What is kept: the context by name, or as a mapping where that is allowed; series and parameters."""

    user: str

    @property
    def text(self) -> str:
        """The document as JSON."""
        return json.dumps(self.document, sort_keys=True)


class Contexts:
    """The contexts of a server, and what makes campaigns with them."""

    def __init__(self, settings: Settings) -> None:
        """Read them. Raises ``ConfigError`` with every mistake."""
        self._settings = settings
        problems: list[Problem] = []
        for name, table in settings.contexts.items():
            problems += _table_problems(f"service.contexts.{name}", table)
        if problems:
            raise ConfigError(problems, "edit service.toml")

    def wanted(self, body: Mapping[str, Any], user: str) -> Wanted:
        """Return what a client asks for. Raises ``ConfigError`` with what it may not ask for."""
        context, problems = body["context"], list[Problem]()
        kind = body.get("kind")
        if isinstance(context, str):
            if context not in self._settings.contexts:
                raise ConfigError([_unknown(context, self._settings)])
            table = self._settings.contexts[context]
            if kind not in (None, table["kind"]):
                problems.append(Problem("kind", kind, f"is not that of context {context}", f"{table['kind']}"))
            kind = table["kind"]
            problems += _fixed(body["parameters"], table)
        elif not self._settings.allow_commands:
            raise ConfigError([Problem("context", ABSENT, NOT_ALLOWED, REMEDY)])
        elif kind is None:
            raise ConfigError([Problem("kind", ABSENT, "is missing", "e.g. local")])
        if fault := key_fault(user):
            problems.append(Problem("user", user, f"{fault}: files of campaigns lie in a folder of this name"))
        if not self._settings.allow_commands:
            problems += list(_forbidden(body["series"], body["parameters"]))
        parts = {name: body[name] for name in ("series", "parameters")}
        wanted = Wanted(str(kind), {"kind": kind, "context": context, **parts}, user)
        if problems:
            raise ConfigError([*problems, *self._further_problems(wanted)])
        return wanted

    def _further_problems(self, wanted: Wanted) -> list[Problem]:
        """Return what else is wrong, so that everything is said at once."""
        try:
            self.open(wanted)
        except ConfigError as error:
            return list(error.problems)
        return []

    def open(self, wanted: Wanted) -> Campaign:
        """Put a campaign together. Raises ``ConfigError`` with every mistake, also if its context is gone."""
        document, table = wanted.document, {}
        context, parameters = document["context"], document["parameters"]
        if isinstance(context, str):
            if context not in self._settings.contexts:
                raise ConfigError([_unknown(context, self._settings)])
            table = self._settings.contexts[context]
            place = self._place(table, wanted.user)
            fields = {name: value for name, value in table.items() if name not in OWN}
            context = {**fields, "working_location": place, "manifest_location": place}
            parameters = {**parameters, **table.get("parameters", {})}
        plain = {"context": context, "series": document["series"], "parameters": parameters}
        campaign = find_kind(wanted.kind).open(plain)
        if campaign.series.size > MOST_RUNS:
            reason = f"has {campaign.series.size:,} runs, more than {MOST_RUNS:,}"
            raise ConfigError([Problem("series", campaign.series.name, reason, "split it into several series")])
        return campaign

    @staticmethod
    def _place(table: Mapping[str, Any], user: str) -> str:
        """Return where the files of a user's campaigns are: below the context's location, unless all share that."""
        location = str(table["working_location"])
        if "://" not in location:
            location = str(Path(location).expanduser().absolute())
        return location if table.get("shared") else f"{location.rstrip('/')}/{user}"


def _table_problems(at: str, table: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if not isinstance(table.get("kind"), str):
        return [Problem(f"{at}.kind", table.get("kind", ABSENT), "must be the kind of campaigns", "e.g. local")]
    if not isinstance(table.get("shared", False), bool):
        problems.append(Problem(f"{at}.shared", table["shared"], "must be true or false"))
    if not isinstance(table.get("parameters", {}), Mapping):
        problems.append(Problem(f"{at}.parameters", table["parameters"], "must be a table"))
    try:
        kind = find_kind(table["kind"], f"{at}.kind")
    except ConfigError as error:
        return [*problems, *error.problems]
    fields = {name: value for name, value in table.items() if name not in OWN}
    fields.setdefault("manifest_location", fields.get("working_location"))
    found = kind.context_problems(fields)
    return [*problems, *(replace(each, path=f"{at}{each.path.removeprefix('context')}") for each in found)]


def _unknown(name: str, settings: Settings) -> Problem:
    remedy = did_you_mean(name, settings.contexts) if settings.contexts else "there is none"
    return Problem("context", name, "is not set up on this server", remedy)


def _fixed(parameters: Mapping[str, Any], table: Mapping[str, Any]) -> list[Problem]:
    fixed = table.get("parameters", {})
    return [
        Problem(f"parameters.{name}", parameters[name], "is fixed by this context", "leave it out")
        for name in parameters
        if name in fixed
    ]


def _forbidden(series: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what only clients may say who may run anything: each of these can lead to a program or file of theirs."""
    for name in parameters:
        if name not in HARMLESS:
            yield Problem(f"parameters.{name}", ABSENT, NOT_ALLOWED, f"one of: {', '.join(sorted(HARMLESS))}")
    named = [("series.name", series.get("name")), ("parameters.model", parameters.get("model"))]
    for path, word in named:
        if isinstance(word, str) and not _WORD.fullmatch(word):
            yield Problem(path, word, "must start with a letter or digit")
    conditions = series.get("conditions")
    for each in conditions if isinstance(conditions, list) else [conditions]:
        if isinstance(each, Mapping):
            for reader in READERS:
                if reader in each:
                    yield Problem(f"series.conditions.{reader}", ABSENT, "is not allowed: send the conditions")
