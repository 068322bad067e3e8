"""The way to the service: clients that retry what may be retried, and its errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from simcampaign.errors import NetworkError, SiteError
from simcampaign.sites.batch.answers import Trouble, part

ClientFactory = Callable[[str], Any]
"""From the name of a service to its boto3 client."""

_THROTTLED_STATUS = 429
_THROTTLED = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "RequestLimitExceeded",
        "SlowDown",
        "LimitExceededException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CREDENTIALS_HINT = "check the credentials: aws sts get-caller-identity"


class Service:
    """The clients of one region, made when first needed and safe to share between threads."""

    def __init__(self, region: str, factory: ClientFactory | None) -> None:
        """Talk to the services of ``region``.

        Without a factory the clients follow the ordinary AWS chain of credentials and endpoints. A client from a
        factory must not send SubmitJob twice by itself.
        """
        self._region = region
        self._factory = factory

    def batch(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call Batch; ``operation`` is a method of its client. Raises ``SiteError`` or ``NetworkError``."""
        return _call(self._batch, operation, arguments)

    def logs(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call CloudWatch Logs. Raises ``SiteError`` or ``NetworkError``."""
        return _call(self._logs, operation, arguments)

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Call another service, e.g. ``sts``, once in a while. Raises ``SiteError`` or ``NetworkError``."""
        return _call(self._client(service, Config(retries={"mode": "standard"})), operation, arguments)

    def list_jobs(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Yield job summaries from all pages of ListJobs."""
        token: dict[str, str] = {}
        while True:
            page = self.batch("list_jobs", **arguments, **token)
            yield from part(page, "jobSummaryList", "ListJobs")
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}

    def submit(self, **request: Any) -> str | Trouble:
        """Send SubmitJob exactly once and return the job's id, or why that is not known.

        Raises ``SiteError`` if the service refused.
        """
        try:
            job_id = self._submitter.submit_job(**request).get("jobId")
            return str(job_id) if job_id else Trouble(lost=True, reason="the answer has no jobId")
        except ClientError as error:
            if is_throttled(error):
                return Trouble(lost=False, reason=_said(error))
            if _status(error) >= 500:
                return Trouble(lost=True, reason=_said(error))
            raise _translate("submit_job", error) from error
        except NoConnectionError as error:
            return Trouble(lost=False, reason=str(error))
        except (HTTPClientError, ResponseParserError) as error:
            return Trouble(lost=True, reason=str(error))
        except BotoCoreError as error:
            raise _translate("submit_job", error) from error

    @cached_property
    def _batch(self) -> Any:
        return self._client("batch", Config(retries={"mode": "adaptive", "max_attempts": 10}))

    @cached_property
    def _submitter(self) -> Any:
        # A client that repeats a request after a cut connection would submit the array a second time.
        if self._factory is not None:
            return self._batch
        return self._client("batch", Config(retries={"mode": "standard", "total_max_attempts": 1}))

    @cached_property
    def _logs(self) -> Any:
        retries = {"mode": "adaptive", "max_attempts": 10}
        return self._client("logs", Config(retries=retries, max_pool_connections=32))

    def _client(self, name: str, config: Config) -> Any:
        if self._factory is not None:
            return self._factory(name)
        try:
            return boto3.session.Session(region_name=self._region).client(name, config=config)
        except BotoCoreError as error:
            raise _translate(f"the client for {name}", error) from error


def is_throttled(error: ClientError) -> bool:
    """Tell whether the service refused only because it was asked too often."""
    return _status(error) == _THROTTLED_STATUS or error.response.get("Error", {}).get("Code", "") in _THROTTLED


def _call(client: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = getattr(client, operation)(**arguments)
    except (ClientError, BotoCoreError, ResponseParserError) as error:
        raise _translate(operation, error) from error
    return answer


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _said(error: ClientError) -> str:
    told = error.response.get("Error", {})
    return f"{told.get('Code', 'error')}: {told.get('Message', '') or _status(error)}"


def _translate(operation: str, error: Exception) -> SiteError | NetworkError:
    """Return an error in our words, by who must act."""
    name = "".join(word.capitalize() for word in operation.split("_")) if operation.islower() else operation
    if isinstance(error, ClientError):
        return _translate_answer(name, error)
    if isinstance(error, (HTTPClientError, NoConnectionError)):
        return NetworkError(f"AWS, {name}: {error}", "check the network and AWS_ENDPOINT_URL, then run again")
    if isinstance(error, NoCredentialsError):
        return SiteError(f"AWS, {name}: no credentials were found", "give some: aws configure, or set AWS_PROFILE")
    if isinstance(error, ResponseParserError):
        return SiteError(f"AWS, {name}: the answer cannot be understood: {error}", "check AWS_ENDPOINT_URL")
    return SiteError(f"AWS, {name}: {error}", _CREDENTIALS_HINT)


def _translate_answer(name: str, error: ClientError) -> SiteError | NetworkError:
    code = error.response.get("Error", {}).get("Code", "")
    message = f"AWS, {name}: {_said(error)}"
    if is_throttled(error) or _status(error) >= 500:
        return NetworkError(message, "the service is busy; run again in a while")
    if code in _DENIED:
        return SiteError(message, f"the user needs the permission for {name}")
    if code in _CREDENTIALS:
        return SiteError(message, _CREDENTIALS_HINT)
    return SiteError(message)
