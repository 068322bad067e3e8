"""A bucket, or a prefix in one, as a store: obstore's S3 client with retries, bulk writes and parallel listing."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from simcampaign.errors import LocationError, NetworkError
from simcampaign.storage.keyspace import list_in_parallel
from simcampaign.storage.listing import TEMPORARY, KeyLists

if TYPE_CHECKING:
    from obstore.auth.boto3 import Boto3CredentialProvider

TRIES = 5
LISTERS = 8
"""Parts of a listing that are read at once."""

DELETED_AT_ONCE = 1000
"""Keys in one request to delete; the limit of S3's DeleteObjects."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_REFUSED = re.compile(r"status code: (?!408|429)[34]\d\d")
_INSTANCE_ROLES = "169.254.169.254"
_T = TypeVar("_T")
_Item = TypeVar("_Item")


class Bucket:
    """A bucket, or all keys in it that begin with a prefix."""

    def __init__(self, bucket: str, prefix: str, concurrency: int, region: str | None = None) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self._store: S3Store = _client(bucket, concurrency, region)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bucket) and (other.bucket, other.prefix) == (self.bucket, self.prefix)

    def __hash__(self) -> int:
        return hash((self.bucket, self.prefix))

    def url(self, key: str) -> str:
        """Return ``s3://bucket/prefix/key``."""
        return f"s3://{self.bucket}/{self.prefix}{key}".removesuffix("/")

    def read(self, key: str) -> bytes | None:
        """Return what is in an object, or None."""
        return self._if_there(lambda: bytes(self._store.get(self.prefix + key).bytes()), f"read {self.url(key)}")

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        return self._if_there(lambda: self._store.head(self.prefix + key), f"look for {self.url(key)}") is not None

    def write_many(self, items: Iterable[tuple[str, bytes]], concurrency: int) -> int:
        """Put objects, several at once."""

        def put(item: tuple[str, bytes]) -> None:
            key, data = item
            self._told(lambda: self._store.put(self.prefix + key, data), f"write {self.url(key)}")

        return _each(put, items, concurrency)

    def upload(self, key: str, source: Path) -> None:
        """Put a file, a large one in parts."""
        self._told(lambda: self._store.put(self.prefix + key, source), f"write {self.url(key)}")

    def download(self, key: str, target: Path) -> bool:
        """Get an object piece by piece."""

        def get() -> bool:
            pieces = self._store.get(self.prefix + key).stream()
            with target.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
            return True

        return bool(self._if_there(get, f"read {self.url(key)}"))

    def copy_many(self, pairs: Iterable[tuple[str, str]], concurrency: int) -> int:
        """Copy objects within the bucket, several at once, without moving their contents here."""

        def copy(pair: tuple[str, str]) -> None:
            source, target = pair
            what = f"copy {self.url(source)} to {self.url(target)}"
            self._told(lambda: self._store.copy(self.prefix + source, self.prefix + target), what)

        return _each(copy, pairs, concurrency)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects, as many in a request as S3 takes."""
        remaining = iter(keys)
        while chunk := list(islice(remaining, DELETED_AT_ONCE)):
            paths = [self.prefix + key for key in chunk]
            self._told(lambda paths=paths: self._store.delete(paths), f"delete {self.url(chunk[0])} …")  # type: ignore[misc]

    def list(self, prefix: str) -> KeyLists:
        """Yield the keys below a folder."""
        start = len(self.prefix)
        folder = self.prefix + (f"{prefix}/" if prefix else "")
        # A directory bucket (S3 Express) lists in no order, so that its listing cannot be split by key.
        listers = 1 if self.bucket.endswith("--x-s3") else LISTERS
        with closing(list_in_parallel(self._store, folder, listers)) as chunks:
            while (chunk := self._told(lambda: next(chunks, None), f"list {self.url(prefix)}")) is not None:
                keys = [key[start:] for key in chunk]
                yield [key for key in keys if not key.rpartition("/")[2].startswith(TEMPORARY)]

    def scan(self, prefix: str, _cache: Path | None) -> KeyLists:
        """Yield the keys below a folder; a bucket tells of no changes, so that this is a full listing."""
        return self.list(prefix)

    def check_writable(self) -> None:
        """Put an object and delete it."""
        key = f"{TEMPORARY}{secrets.token_hex(8)}"
        self.write_many([(key, b"\n")], 1)
        self.delete_many([key])

    def _if_there(self, call: Callable[[], _T], what: str) -> _T | None:
        def attempt() -> _T | None:
            try:
                return call()
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

        return self._told(attempt, what)

    def _told(self, call: Callable[[], _T], what: str) -> _T:
        try:
            return call()
        except (OSError, ValueError, BaseError) as error:
            raise _fault(error, what, self.bucket) from error


def _credentials() -> Boto3CredentialProvider | None:
    """Return the ordinary AWS chain (profiles, SSO, roles …) if boto3 is there and finds any; obstore knows less."""
    if importlib.util.find_spec("boto3") is None:
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 - boto3 is an extra, and slow

    try:
        return Boto3CredentialProvider()
    except ValueError:  # it found none; then obstore's own words say what was looked for
        return None


def _client(bucket: str, concurrency: int, region: str | None) -> S3Store:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    loopback = urlsplit(endpoint).hostname in _LOOPBACK
    try:
        return S3Store(
            bucket,
            credential_provider=_credentials(),
            config={"region": region} if region else None,
            client_options={
                "timeout": timedelta(minutes=5),
                "read_timeout": timedelta(seconds=30),
                "connect_timeout": timedelta(seconds=5),
                "pool_max_idle_per_host": str(concurrency),
                **({"allow_http": True} if loopback else {}),
            },
            retry_config={
                "max_retries": TRIES - 1,
                "retry_timeout": timedelta(minutes=2),
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=10),
                    "base": 3,
                },
            },
        )
    except (ValueError, BaseError) as error:
        raise _fault(error, f"open s3://{bucket}", bucket) from error


def _each(work: Callable[[_Item], None], items: Iterable[_Item], concurrency: int) -> int:
    """Do ``work`` for each item by ``concurrency`` threads, taking items only when needed; the first error ends it."""
    count = 0
    pending: deque[Future[None]] = deque()
    with ThreadPoolExecutor(concurrency, "storage") as threads:
        try:
            for item in items:
                if len(pending) >= 2 * concurrency:
                    pending.popleft().result()
                pending.append(threads.submit(work, item))
                count += 1
            while pending:
                pending.popleft().result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    return count


def _fault(error: Exception, what: str, bucket: str) -> LocationError | NetworkError:
    told = str(error).partition("\n\nDebug source")[0]
    rules = (
        (
            "NoSuchBucket" in told,
            f"there is no bucket {bucket!r}",
            "check its name, the account and AWS_ENDPOINT_URL",
        ),
        (isinstance(error, FileNotFoundError), "there is no such file", ""),
        (isinstance(error, InvalidPathError), told, "rename or delete that object"),
        (
            _INSTANCE_ROLES in told,
            "there are no credentials, and this machine has no role",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            isinstance(error, PermissionDeniedError | UnauthenticatedError) or "AccessDenied" in told,
            f"permission denied: {told}",
            "check the credentials: aws sts get-caller-identity",
        ),
        (
            "BadScheme" in str(error),
            "an endpoint with http:// is allowed on this machine only",
            "use https, or set AWS_ALLOW_HTTP=true if the network is trusted",
        ),
        (
            isinstance(error, ValueError) or _REFUSED.search(told),
            told,
            "check bucket, AWS_REGION and AWS_ENDPOINT_URL",
        ),
    )
    for holds, reason, hint in rules:
        if holds:
            return LocationError(f"cannot {what}: {reason}", hint)
    hint = "check the network and AWS_ENDPOINT_URL, then type the same command again"
    return NetworkError(f"cannot {what}: {told}", hint)
