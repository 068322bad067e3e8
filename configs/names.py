"""The types of fields that name files."""

from __future__ import annotations

from typing import Annotated

from pydantic.functional_validators import AfterValidator

from simcampaign.series import key_fault


def _check_path_key(key: str) -> str:
    for part in key.split("/"):
        fault = key_fault(part)
        if fault:
            raise ValueError(f"{part!r} {fault}" if part else "must not be empty, start or end with '/', or hold '//'")
    return key


def _check_name(name: str) -> str:
    fault = key_fault(name)
    if fault:
        raise ValueError(fault)
    return name


Name = Annotated[str, AfterValidator(_check_name)]
"""Text that is safe as part of a file name."""

PathKey = Annotated[str, AfterValidator(_check_path_key)]
"""The place of a file below a location: names joined by ``/``."""
