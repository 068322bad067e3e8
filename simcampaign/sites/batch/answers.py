"""What comes back from the service besides results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simcampaign.errors import SiteError


@dataclass(frozen=True, slots=True)
class Trouble:
    """A submission without an answer that tells what became of it."""

    lost: bool
    """True if the service may have taken it all the same; False if it certainly did not."""

    reason: str


def code_of(error: SiteError) -> str:
    """Return the service's code of a refusal, e.g. ``ClientException``; empty if there is none."""
    response = getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def part(answer: Mapping[str, Any], key: str, operation: str) -> Any:
    """Return a part that every answer to this operation has; raises ``SiteError`` if this one has not."""
    if key not in answer:
        raise SiteError(f"AWS, {operation}: the answer has no {key}", "check AWS_ENDPOINT_URL")
    return answer[key]
