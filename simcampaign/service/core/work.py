"""Work: what is run for a job of the queue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from simcampaign.jobs import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A command with its files, and what it needs. It is kept in the ledger, so it holds no secrets."""

    command: tuple[str, ...]
    """Argument list; ``{input}``, ``{job_id}`` and ``{ranks}`` are replaced."""

    directory: str = ""
    """Absolute path of the directory where it starts, on the service's host; empty for a folder of its own."""

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that are written into its own folder: name → text."""

    paths: Mapping[str, str] = field(default_factory=dict)
    """Files of the service's host that it is given: name in its folder → absolute path."""

    input: str = ""
    """The name of the file that ``{input}`` stands for."""

    outputs: tuple[str, ...] = ()
    resources: Resources = field(default_factory=Resources)
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of the site's own options."""

    log: str = ""
    """Absolute pattern of the logs that the program writes beside its output; empty if it writes none."""

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def read(cls, text: str) -> Work:
        """Return what the ledger kept."""
        kept = json.loads(text)
        work = cls(**{**kept, "command": tuple(kept["command"]), "outputs": tuple(kept["outputs"])})
        return replace(work, resources=Resources(**kept["resources"]))
