"""Conditions kept in a file of their own: CSV, Parquet, YAML or JSON."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.documents import read_yaml
from simcampaign.errors import ConfigError, Problem, SimcampaignError

if TYPE_CHECKING:
    import polars as pl

NAMES = ("key", "group")
"""Columns that are text, whatever they look like: a key ``001`` keeps its zeros."""


def read_conditions(path: str, kind: str, field: str, problems: list[Problem]) -> list[dict[str, Any]]:
    """Return the conditions in the file at ``path``, a row or list element each.

    The path's ending tells the format (``kind`` ``from_csv``: always CSV). Numbers, bools and text are told apart; an
    empty cell leaves its variable out of that condition. What is wrong is added to ``problems``, as about ``field``.
    """
    suffix = ".csv" if kind == "from_csv" else Path(path).suffix.lower()
    parse = _FORMATS.get(suffix)
    if parse is None:
        problems.append(Problem(field, path, "has an unknown ending", f"one of: {', '.join(_FORMATS)}"))
        return []
    try:
        rows = parse(_read(path), path)
    except FileNotFoundError:
        problems.append(Problem(field, path, "there is no such file", _nearest(Path(path))))
    except ConfigError as error:
        problems += error.problems
    except SimcampaignError as error:
        problems.append(Problem(field, path, str(error.args[0]), error.hint))
    except (OSError, ValueError) as error:
        problems.append(Problem(field, path, f"cannot be read: {' '.join(str(error).split())}"))
    else:
        return _checked(rows, path, field, problems)
    return []


def _read(path: str) -> bytes:
    if "://" not in path:
        return Path(path).read_bytes()
    from simcampaign.storage import Location  # noqa: PLC0415 - only addresses need an object store

    folder, _, name = path.rpartition("/")
    content = Location.open(folder).read_if_there(name)
    if content is None:
        raise FileNotFoundError(path)
    return content


def _nearest(path: Path) -> str:
    names = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    nearest = difflib.get_close_matches(path.name, names, n=3)
    return f"did you mean {' or '.join(nearest)}?" if nearest else ""


def _checked(rows: object, path: str, field: str, problems: list[Problem]) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problems.append(Problem(field, path, "must hold a list of conditions", "each a mapping with a `key`"))
        return []
    if not rows:
        problems.append(Problem(field, path, "holds no condition"))
    return rows


def _parse_csv(content: bytes, path: str) -> list[dict[str, Any]]:
    import polars as pl  # noqa: PLC0415 - takes a while to import

    header = content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode()
    try:
        columns = (
            pl.read_csv(io.StringIO(header + "\n"), has_header=False, infer_schema=False).row(0)
            if header.strip()
            else ()
        )
        repeated = sorted({str(name) for name in columns if columns.count(name) > 1})
        if repeated:
            raise ConfigError(
                [Problem(f"{path}, line 1", repeated, "columns are given twice", "give each column its own name")]
            )
        overrides = {name: pl.String for name in NAMES if name in columns}
        return _to_rows(pl.read_csv(content, infer_schema_length=None, schema_overrides=overrides))
    except pl.exceptions.PolarsError as error:
        raise ConfigError([Problem(path, None, f"is not a table: {_first_line(error)}")]) from error


def _parse_parquet(content: bytes, path: str) -> list[dict[str, Any]]:
    import polars as pl  # noqa: PLC0415 - takes a while to import

    try:
        return _to_rows(pl.read_parquet(io.BytesIO(content)))
    except pl.exceptions.PolarsError as error:
        raise ConfigError([Problem(path, None, f"is not a table: {_first_line(error)}")]) from error


def _to_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    import polars.selectors as cs  # noqa: PLC0415 - takes a while to import

    frame = frame.with_columns(cs.temporal().cast(str), cs.decimal().cast(float), cs.categorical().cast(str))
    return [{name: value for name, value in row.items() if value is not None} for row in frame.iter_rows(named=True)]


def _parse_yaml(content: bytes, path: str) -> Any:
    value, problems = read_yaml(content.decode("utf-8-sig"), path)
    if problems:
        raise ConfigError(problems)
    return value


def _parse_json(content: bytes, path: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            repeated = sorted(name for name in found if sum(name == other for other, _ in pairs) > 1)
            raise ConfigError([Problem(path, repeated, "is given twice in one object", "keep one of them")])
        return found

    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        spot = f"{path}, line {error.lineno}, column {error.colno}"
        line = error.doc.splitlines()[error.lineno - 1] if error.doc.strip() else ""
        raise ConfigError([Problem(spot, line.strip(), f"is not JSON: {error.msg}")]) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


_FORMATS: dict[str, Callable[[bytes, str], Any]] = {
    ".csv": _parse_csv,
    ".parquet": _parse_parquet,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
    ".json": _parse_json,
}
