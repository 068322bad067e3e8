"""Other packages that add backends: modules with real metadata, in a directory on the path."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

TOY = textwrap.dedent('''
    """A site that runs nothing, made by another package."""

    from dataclasses import dataclass, field

    from simcampaign.errors import ConfigError, Problem
    from simcampaign.fields import STRICT, Count, Text
    from simcampaign.sites.base import Capabilities, Finding, Queue


    @dataclass
    class BaseOptions:
        """What any toy has."""

        __pydantic_config__ = STRICT

        queue: Text = "main"
        """Which queue the toy stands in."""


    @dataclass(kw_only=True)
    class ToyOptions(BaseOptions):
        """What a toy has."""

        __pydantic_config__ = STRICT

        depth: Count
        """How deep the box is that the toy lies in."""

        colours: list[Text] = field(default_factory=list)
        """Colours that it has."""

        broken: bool = False
        """True if it does not work."""


    class ToySite:
        """Runs nothing, for children.

        More about it.
        """

        capabilities = Capabilities(queues=True)
        options = ToyOptions
        host = None
        depot = None
        scratch = ""

        def __init__(self, name, options):
            self.name, self.given = name, options

        @classmethod
        def configure(cls, name, options):
            if options.depth > 99:
                raise ConfigError([Problem("depth", options.depth, "is deeper than any box")])
            return cls(name, options)

        def queues(self):
            used = {"nodes": 4, "nodes_used": 1, "cores": 64, "cores_used": 16, "memory_mb": 4096, "max_seconds": 93600}
            return [Queue(self.given.queue, "up", default=True, **used), Queue("other", "down")]

        def doctor(self):
            yield Finding("reachable", True, "it lies in the box")
            yield Finding("works", not self.given.broken, "so it seems" if not self.given.broken else "it is in pieces")
            yield Finding("colour", None, "grey")

        check = submit = find = status = wait = logs = running = details = price_per_hour = cancel = clean = None
''')
"""Module of a backend ``toy``."""


def install(folder: Path, package: str, module: str, backends: Mapping[str, str]) -> Path:
    """Put a package with this module and these entry points into a folder, as pip would; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{package}.py").write_text(module)
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    entries = "".join(f"{name} = {value}\n" for name, value in backends.items())
    (about / "entry_points.txt").write_text(f"[simcampaign.sites]\n{entries}")
    return folder
