"""What a refusal of the job manager means, in the errors of simcampaign."""

from __future__ import annotations

import json

from simcampaign.errors import (
    ABSENT,
    ConfigError,
    ConflictError,
    NetworkError,
    Problem,
    SimcampaignError,
    SiteError,
)
from simcampaign.service.client.calls import Answer

BUSY = frozenset({429, 500, 502, 503, 504})
"""Answers after which the same may work a little later."""


class BusyError(Exception):
    """The service answered, but not now."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refuse(answer: Answer) -> None:
    """Raise what an answer means if it is a refusal."""
    if answer.status in BUSY:
        raise BusyError(answer)
    if answer.status >= 400:
        raise meaning(answer)


def meaning(answer: Answer) -> SimcampaignError:
    """Return the error that a refusal means."""
    said = _said(answer.text)
    text = str(said.get("error") or f"the job manager answered with status {answer.status}")
    hint = str(said.get("hint") or "")
    if answer.status in {401, 403}:
        return SiteError(f"refused by the job manager: {text}", hint or "give token=…, or SIMCAMPAIGN_SERVICE_TOKEN")
    if answer.status == 409:
        return ConflictError(text, hint)
    if answer.status in {429, 503, 504}:
        return NetworkError(f"the job manager is busy: {text}", hint or "try again later")
    if answer.status >= 500 or answer.status < 400:
        return SiteError(f"the job manager failed: {text}", hint)
    return ConfigError(_problems(said) or [Problem("request", ABSENT, text)], hint)


def _said(text: str) -> dict[str, object]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _problems(said: dict[str, object]) -> list[Problem]:
    listed = said.get("problems")
    return [
        Problem(str(each.get("path", "")), ABSENT, str(each.get("reason", "")), str(each.get("remedy", "")))
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    ]
