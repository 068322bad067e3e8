"""The page for people: HTML, styles and plain ES modules, served as they are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Said here, as what a host knows of endings may be wrong, and browsers refuse modules of another type."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    content: bytes
    media_type: str
    tag: str
    """Changes with the content; an entity tag of HTTP."""


def _read() -> dict[str, PageFile]:
    found = {}
    for each in resources.files(__name__).iterdir():
        media_type = MEDIA_TYPES.get(each.name.rpartition(".")[2])
        if media_type is not None:
            content = each.read_bytes()
            found[each.name] = PageFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


FILES = MappingProxyType(_read())
"""The files of the page by name."""
