"""The names that job definitions and jobs have at the service: A-Z, a-z, 0-9, - and _, at most 128 characters."""

from __future__ import annotations

import hashlib
import re

LONGEST = 128
"""Characters that the service takes in a name."""

_DIGEST_CHARACTERS = 16
_NUMBER = re.compile(r"-\d+\Z")


def job_name(user: str, array_name: str) -> str:
    """Return the name by which an array is known at the service: ``(user)_(array name)``."""
    return _fit(f"{user}_{array_name}")


def definition_name(user: str, file_set: str) -> str:
    """Return the name of the job definition of a group: ``(user)_(group key)``.

    The group key is the file set without the number that tells the arrays of a day apart. A group whose own name ends
    in a number shares the name with another then, which does no harm: each gets a revision of its own.
    """
    return _fit(f"{user}_{_NUMBER.sub('', file_set)}")


def _fit(name: str) -> str:
    """Replace what the service does not take; of a name that is too long the end becomes a digest of the whole."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    if len(safe) <= LONGEST:
        return safe
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{safe[: LONGEST - _DIGEST_CHARACTERS - 1]}_{digest}"
