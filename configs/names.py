"""The types of fields that name files."""

from __future__ import annotations

from typing import Annotated

from pydantic.functional_validators import AfterValidator

from simcampaign.fields import told
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


_SAFE = r"(?!\.)(?!.*\.\.)[A-Za-z0-9._+=,@-]{1,120}"

Name = Annotated[
    str,
    AfterValidator(_check_name),
    told(rf"^{_SAFE}$", "a name of letters, digits and . _ + = , @ - that does not start with a dot"),
]
"""Text that is safe as part of a file name."""

PathKey = Annotated[
    str,
    AfterValidator(_check_path_key),
    told(rf"^{_SAFE}(/{_SAFE})*$", "names of letters, digits and . _ + = , @ -, joined by /"),
]
"""The place of a file below a location: names joined by ``/``."""
