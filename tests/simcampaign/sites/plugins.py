"""A backend of another package."""

from __future__ import annotations

import textwrap

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
