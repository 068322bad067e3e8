"""The exchange: a bucket where clients put simulations and fetch results, each with keys for that alone.

It holds nothing that is not at the desk, too, but for what was not taken in yet: a rule of the bucket may delete what
is old. boto3 is used throughout: temporary keys come from it alone, and it moves large files in parts.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from simcampaign.errors import ConfigError, LocationError, NetworkError, Problem
from simcampaign.service.solver.settings import Tidy3dConfig

SPARE_SECONDS = 600.0
"""Keys that end sooner are not given out again."""

_READ = ("s3:GetObject",)
_WRITE = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


@dataclass(frozen=True, slots=True)
class Keys:
    """Temporary keys."""

    access: str
    secret: str
    token: str
    expiration: datetime


def policy(bucket: str, key: str, *, write: bool) -> str:
    """Return what keys allow: reading all objects that begin with ``key``, or writing the one that is ``key``."""
    resource = f"arn:aws:s3:::{bucket}/{key}" + ("" if write else "*")
    statement = {"Effect": "Allow", "Action": list(_WRITE if write else _READ), "Resource": [resource]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))


class Exchange:
    """A bucket, or a prefix in one. Safe to share."""

    def __init__(self, config: Tidy3dConfig) -> None:
        """Open it. Raises ``ConfigError`` without a bucket, ``LocationError`` without boto3."""
        try:
            import boto3  # noqa: PLC0415 - an extra, and slow
            from botocore.config import Config  # noqa: PLC0415
        except ImportError as error:
            hint = "pip install 'simcampaign[aws]'"
            raise LocationError(
                "tidy3d's clients move their files over S3, for which boto3 is missing", hint
            ) from error
        scheme, _, place = config.exchange.partition("://")
        self.bucket, _, prefix = place.strip("/").partition("/")
        if scheme != "s3" or not self.bucket:
            reason = "must be s3://bucket or s3://bucket/prefix: tidy3d's clients move their files over S3"
            raise ConfigError([Problem("service.solver.tidy3d.exchange", config.exchange, reason)])
        self._prefix = f"{prefix}/" if prefix else ""
        self._config = config
        more = {
            "region_name": config.region or None,
            "config": Config(retries={"mode": "standard"}, max_pool_connections=32),
        }
        with self._told():
            self._s3 = boto3.client("s3", **more)
            self._sts = boto3.client("sts", **more)
        self._lock = threading.Lock()
        self._given: dict[tuple[str, bool], Keys] = {}

    def url(self, task_id: str, name: str) -> str:
        """Return where a file of a task is."""
        return f"s3://{self.bucket}/{self._key(task_id, name)}"

    def keys(self, task_id: str, name: str, *, write: bool) -> Keys:
        """Return keys with which one file of a task can be written, or all of them read."""
        key = self._key(task_id, name if write else "")
        least = time.time() + SPARE_SECONDS
        with self._lock:
            given = self._given.get((key, write))
        if given is None or given.expiration.timestamp() < least:
            given = self._issue(task_id, policy(self.bucket, key, write=write))
            with self._lock:
                self._given = {each: kept for each, kept in self._given.items() if kept.expiration.timestamp() >= least}
                self._given[key, write] = given
        return given

    def _issue(self, task_id: str, allowed: str) -> Keys:
        asked = {"Policy": allowed, "DurationSeconds": 60 * self._config.key_minutes}
        with self._told():
            if self._config.role_arn:
                answer = self._sts.assume_role(RoleArn=self._config.role_arn, RoleSessionName=task_id, **asked)
            else:
                answer = self._sts.get_federation_token(Name=task_id, **asked)
        found = answer["Credentials"]
        return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"], found["Expiration"])

    def size(self, task_id: str, name: str) -> int | None:
        """Return the size of a file, or None if it is not there."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with self._told():
            try:
                answer = self._s3.head_object(Bucket=self.bucket, Key=self._key(task_id, name))
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
        return int(answer["ContentLength"])

    def fetch(self, task_id: str, name: str, target: Path) -> None:
        """Copy a file of a task to this host."""
        with self._told():
            self._s3.download_file(self.bucket, self._key(task_id, name), str(target))

    def hand_out(self, task_id: str, name: str, source: Path) -> None:
        """Put a file there for its client, unless it is there."""
        if self.size(task_id, name) is None:
            with self._told():
                self._s3.upload_file(str(source), self.bucket, self._key(task_id, name))

    def write(self, task_id: str, name: str, data: bytes) -> None:
        """Put a small file there for its client."""
        with self._told():
            self._s3.put_object(Bucket=self.bucket, Key=self._key(task_id, name), Body=data)

    def remove(self, task_id: str) -> None:
        """Remove all files of a task."""
        with self._told():
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(task_id, "")
            )
            for page in pages:
                found = [{"Key": each["Key"]} for each in page.get("Contents", [])]
                if found:
                    self._s3.delete_objects(Bucket=self.bucket, Delete={"Objects": found, "Quiet": True})

    def _key(self, task_id: str, name: str) -> str:
        return f"{self._prefix}{task_id}/{name}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what boto3 raises into errors of ours; keys are in none of them."""
        from boto3.exceptions import Boto3Error  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (ClientError, Boto3Error) as error:
            reason = _code(error)
            hint = "check the bucket, and that this service may give keys: aws sts get-caller-identity"
            raise LocationError(f"the exchange {self._config.exchange} refused: {reason}", hint) from error
        except BotoCoreError as error:
            hint = "check the network and AWS_ENDPOINT_URL"
            raise NetworkError(f"the exchange {self._config.exchange} cannot be used: {error}", hint) from error


def _code(error: Any) -> str:
    """Return what AWS calls an error; its message may name more than a client should see."""
    answer = getattr(error, "response", None)
    return str(answer["Error"].get("Code", "unknown")) if isinstance(answer, dict) and "Error" in answer else str(error)
