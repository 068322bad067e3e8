"""The text of the file of sites: a table is added or taken out, and all that a person wrote stays as it is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from simcampaign.errors import ConfigError, LocationError, Problem

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = re.compile(r"\s*\[")


def table_text(name: str, table: Mapping[str, object]) -> str:
    """Return a table as TOML."""
    fields = (f"{_key(field)} = {_value(value)}" for field, value in table.items())
    return "\n".join([f"[{_key(name)}]", *fields, ""])


def with_table(text: str, name: str, table: Mapping[str, object]) -> str:
    """Return the text with a table more at its end. Raises ``ConfigError`` if that cannot be read back as meant."""
    before = tomllib.loads(text)
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    after = f"{text}{gap}{table_text(name, table)}"
    if _read(after) != {**before, name: dict(table)}:
        reason = "cannot be written so that it is read back as it is meant"
        raise ConfigError([Problem(name, dict(table), reason)], "write the table yourself")
    return after


def without_table(text: str, name: str) -> str:
    """Return the text without a table and those below it; comments before the next one stay with that.

    Raises ``ConfigError`` if the table cannot be taken out without touching others.
    """
    wanted = tomllib.loads(text)
    del wanted[name]
    lines = text.splitlines(keepends=True)
    places = [place for place, line in enumerate(lines) if _HEADER.match(line)]
    ends = [*(_end(lines, following) for following in places[1:]), len(lines)]
    ours = [(start, end) for start, end in zip(places, ends, strict=False) if _belongs(lines[start], name)]
    dropped = {place for start, end in ours for place in range(start, end)}
    after = "".join(line for place, line in enumerate(lines) if place not in dropped)
    if ours and _read(after) == wanted:
        return after
    hint = f"delete the table yourself; it begins in line {ours[0][0] + 1}" if ours else "delete it yourself"
    raise ConfigError([Problem(name, "", "its table cannot be taken out without touching others")], hint)


def read_text(file: Path) -> str:
    """Return what is in the file, its line ends as they are; nothing if it is not there."""
    return file.read_bytes().decode() if file.exists() else ""


def save_text(file: Path, text: str) -> None:
    """Write the file whole or not at all, making its folder; a link is followed. Raises ``LocationError``."""
    target = file.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.write(text)
            Path(temporary).chmod(mode)
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise LocationError(f"{file} cannot be written: {error.strerror}", "set SIMCAMPAIGN_SITES") from error


def _end(lines: list[str], following: int) -> int:
    """Return where a table ends that another follows: before the comments and blank lines that lead to that one."""
    end = following
    while lines[end - 1].lstrip().startswith("#"):
        end -= 1
    return end


def _belongs(header: str, name: str) -> bool:
    """Tell whether a line is the header of this table or of one below it."""
    found = _read(header)
    return found is not None and list(found) == [name]


def _read(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(name))} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def _text(value: str) -> str:
    """Return text in quotes; the escapes of JSON are some of TOML's, which wants DEL escaped, too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
