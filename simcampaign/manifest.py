"""The manifest: the table of files that exist, with the columns KEY, EXTENSION, LOCATION, FULL_KEY.

KEY is a file's name before its first dot, unless the key of a known run is longer (a condition key may hold a dot);
EXTENSION is the rest. A run of the series may have files at several locations and dates; each is a row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from fnmatch import translate

import polars as pl

from simcampaign.errors import LocationError
from simcampaign.layout import NO_OUTPUT_FOLDERS
from simcampaign.series import SEED_DIGITS, Series, run_stem

COLUMNS = ("KEY", "EXTENSION", "LOCATION", "FULL_KEY")
SCHEMA = pl.Schema({column: pl.String() for column in COLUMNS})


def empty() -> pl.DataFrame:
    """Return a manifest without files: that of a first campaign."""
    return pl.DataFrame(schema=SCHEMA)


def build(
    listings: Iterable[tuple[str, Sequence[str]]],
    series: Series | None = None,
    include: Sequence[str] = ("*",),
    exclude: Sequence[str] = (),
) -> pl.DataFrame:
    """Build a manifest from listings.

    Parameters
    ----------
    listings
        Pairs of a location and keys of files in it; one location may come in several pairs.
    series
        The series whose run keys are known; needed only to tell a key that holds a dot from its extension.
    include, exclude
        Glob patterns on the whole key; a file counts if one of ``include`` and none of ``exclude`` matches.
        Inits, inputs, logs and pictures of dated locations never count: no model wrote them.
    """
    chunks = [
        pl.DataFrame({"FULL_KEY": keys}, schema={"FULL_KEY": pl.String}).select(
            pl.lit(location).alias("LOCATION"), "FULL_KEY"
        )
        for location, keys in listings
        if keys
    ]
    if not chunks:
        return empty()
    files = pl.concat(chunks).filter(~pl.col("FULL_KEY").str.contains(NO_OUTPUT_FOLDERS.pattern))
    if list(include) != ["*"]:
        files = files.filter(_matches(include))
    if exclude:
        files = files.filter(~_matches(exclude))
    name = pl.col("FULL_KEY").str.split("/").list.last()
    files = files.with_columns(name.alias("NAME"))
    files = files.filter(~pl.col("NAME").str.starts_with("."))
    files = files.with_columns(_key_lengths(files["NAME"], series).alias("LENGTH"))
    return files.select(
        _folded(pl.col("NAME").str.slice(0, pl.col("LENGTH"))).alias("KEY"),
        pl.col("NAME").str.slice(pl.col("LENGTH") + 1).alias("EXTENSION"),
        "LOCATION",
        "FULL_KEY",
    ).sort("FULL_KEY", "LOCATION")


def _folded(keys: pl.Expr) -> pl.Expr:
    """Fold keys as ``simcampaign.series.fold`` does, so that a model that writes ``A__0001`` is understood."""
    return keys.str.replace_all("__+", "_").str.replace_all("_.", ".", literal=True)


def _matches(patterns: Sequence[str]) -> pl.Expr:
    # fnmatch's translation uses possessive groups that polars' regex engine lacks; its own subset of globs does not.
    expressions = [pl.col("FULL_KEY").str.contains(_as_regex(pattern)) for pattern in patterns]
    return pl.any_horizontal(expressions)


def _as_regex(pattern: str) -> str:
    return translate(pattern).replace("(?>", "(?:").replace(r"\Z", r"\z")


def _key_lengths(names: pl.Series, series: Series | None) -> pl.Series:
    """Length of KEY in each name: up to the first dot, or the longest known run key that ends before a dot."""
    lengths = names.str.extract(r"^([^.]*)").str.len_chars().alias("LENGTH")
    stems = [run_stem(series.name, str(condition["key"])) for condition in series.conditions] if series else []
    dotted = [stem for stem in stems if "." in stem]
    if not dotted:
        return lengths
    # A run key is stem + digits, so the digits before each further dot decide; a stem is matched as a whole.
    table = names.to_frame("NAME").with_row_index("ROW").filter(pl.col("NAME").str.count_matches(".", literal=True) > 1)
    pieces = table.select("ROW", "NAME", pl.col("NAME").str.extract(rf"^(.*_)\d{{{SEED_DIGITS},}}\.", 1).alias("STEM"))
    known = pl.Series("STEM", dotted).unique()
    longer: dict[int, int] = {}
    while pieces.height:
        hits = pieces.filter(pl.col("STEM").is_in(known.implode()))
        for row, name, stem in hits.iter_rows():
            digits = len(name) - len(stem) - len(name[len(stem) :].lstrip("0123456789"))
            longer.setdefault(row, len(stem) + digits)
        # The greedy match found the last candidate; look for an earlier one in what is left.
        rest = pieces.filter(pl.col("STEM").is_not_null() & ~pl.col("STEM").is_in(known.implode()))
        pieces = rest.select(
            "ROW", "NAME", pl.col("STEM").str.extract(rf"^(.*_)\d{{{SEED_DIGITS},}}\.", 1).alias("STEM")
        )
    if not longer:
        return lengths
    return lengths.scatter(list(longer), list(longer.values()))


def parse(data: bytes, key: str) -> pl.DataFrame:
    """Read a manifest from bytes: Parquet if ``key`` ends in ``.parquet``, else CSV.

    Raises ``LocationError`` that names the key if columns are missing or the data is cut off.
    """
    try:
        table = pl.read_parquet(io.BytesIO(data)) if key.endswith(".parquet") else _parse_csv(data)
    except (pl.exceptions.PolarsError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise LocationError(f"manifest {key}: cannot be read: {reason}", _REBUILD) from error
    absent = [column for column in COLUMNS if column not in table.columns]
    if absent:
        found = ", ".join(table.columns)
        raise LocationError(f"manifest {key}: lacks the column {', '.join(absent)}; it has {found}", _REBUILD)
    torn = table["FULL_KEY"].is_null()
    if torn.any():
        raise LocationError(f"manifest {key}: row {torn.arg_max()} (counted from 0) has no FULL_KEY", _REBUILD)
    return table.select(pl.col(COLUMNS).cast(pl.String)).unique(maintain_order=True)


_REBUILD = "build it again with: python -m flows.summarize_manifest CONFIG"


def _parse_csv(data: bytes) -> pl.DataFrame:
    if data and not data.endswith(b"\n"):
        raise ValueError("the last line is cut off")
    return pl.read_csv(io.BytesIO(data), infer_schema=False)


def serialise(manifest: pl.DataFrame, key: str) -> bytes:
    """Return the manifest as bytes: Parquet if ``key`` ends in ``.parquet``, else CSV."""
    buffer = io.BytesIO()
    if key.endswith(".parquet"):
        manifest.select(COLUMNS).write_parquet(buffer)
    else:
        manifest.select(COLUMNS).write_csv(buffer)
    return buffer.getvalue()
