"""Where everything of a campaign lies in its location.

(name)/YYYY-MM-DD/inits/(name)_(group)_(seed).(extension)
(name)/YYYY-MM-DD/inputs/(name)_(group)_(index).(template's extension)
(name)/YYYY-MM-DD/outputs/(name)_(condition key)_(seed).(extension)
(name)/YYYY-MM-DD/logs/(job id).log
(name)/YYYY-MM-DD/pictures/
(name)/YYYY-MM-DD/(name).PLAN.json, (name).SUMMARY.txt, (name).SUMMARY.html

The second array of a group on one day has the file set ``(name)_(group)-2`` in place of ``(name)_(group)``, and so on:
a job finds its input by the file set and its index in the array, so no array may write over another's inputs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from simcampaign.series import SEED_DIGITS, Init

_DATE = r"\d{4}-\d{2}-\d{2}"

NO_OUTPUT_FOLDERS = re.compile(rf"(?:^|/)[^/]+/{_DATE}/(?:inits|inputs|logs|pictures)/|(?:^|/){_DATE}/[^/]+$")
"""Matches keys of a dated location that are not what a model wrote."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of one campaign run, relative to the working location.

    The date is fixed once per campaign run, so that a run over midnight stays in one place.
    """

    name: str
    date: str

    @classmethod
    def today(cls, name: str, now: datetime | None = None) -> Layout:
        """Return the layout of a campaign run that starts now (UTC)."""
        return cls(name, (now or datetime.now(UTC)).astimezone(UTC).date().isoformat())

    @property
    def root(self) -> str:
        """The dated location: ``(name)/YYYY-MM-DD``."""
        return f"{self.name}/{self.date}"

    @property
    def outputs(self) -> str:
        """Where models write."""
        return f"{self.root}/outputs"

    @property
    def pictures(self) -> str:
        """Pictures that the summary page shows."""
        return f"{self.root}/pictures"

    @property
    def plan(self) -> str:
        """The plan that was applied."""
        return f"{self.root}/{self.name}.PLAN.json"

    @property
    def summary_text(self) -> str:
        """The summary as text."""
        return f"{self.root}/{self.name}.SUMMARY.txt"

    @property
    def summary_page(self) -> str:
        """The summary as a page."""
        return f"{self.root}/{self.name}.SUMMARY.html"

    def input(self, file_set: str, index: int, extension: str) -> str:
        """One rendered input; ``file_set`` is its array's, ``extension`` the template's."""
        return f"{self.root}/inputs/{file_set}_{index}.{extension}"

    def init(self, file_set: str, seed: int, extension: str) -> str:
        """The initial file of a seed, shared by all runs of the array."""
        return f"{self.root}/inits/{file_set}_{seed:0{SEED_DIGITS}d}.{extension}"

    def log(self, job_id: str) -> str:
        """What a job printed."""
        return f"{self.root}/logs/{job_id}.log"


def init_source(init: Init, model: str, extension: str) -> str:
    """Return where an init comes from: ``(name)/inits/inits.(MODEL)/(name)_(key).(extension)``."""
    return f"{init.name}/inits/inits.{model.upper()}/{init.name}_{init.key}.{extension}"


def input_extension(template_key: str) -> str:
    """Return the extension that rendered inputs get: the template's without ``.j2``, ``xml`` if it has none."""
    name = PurePosixPath(template_key).name
    for ending in (".j2", ".jinja", ".jinja2"):
        name = name.removesuffix(ending)
    return PurePosixPath(name).suffix.lstrip(".") or "xml"
