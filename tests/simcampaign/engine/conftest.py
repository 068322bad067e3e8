"""Real campaigns of a toy model: the real local site, a real ledger and real files, no Prefect."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.layout import Layout
from simcampaign.series import Series
from simcampaign.sites.local import LocalSite
from simcampaign.storage import Location
from tests.driving import DRIVER, start_driver
from tests.support import is_idle, until

MODEL = Path(__file__).parents[2] / "toy_model.py"
TEMPLATE = """\
{# What the model reads. #}
{% for c in conditions %}
{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} {{ c.do }} {{ c.x }}
{% endfor %}
"""
drive = runpy.run_path(str(DRIVER))


class Toy:
    """A place for campaigns of the toy model."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.working = root / "out"
        self.template = root / "templates" / "toy.txt"
        self.template.parent.mkdir()
        self.template.write_text(TEMPLATE)
        self.notes = root / "notes"
        self.site = LocalSite(root=root / "site", slots=2, grace_seconds=0.3)
        self.ledger_url = f"sqlite:///{root / 'ledger.sqlite'}"

    def campaign(
        self,
        conditions: str | Sequence[Mapping[str, Any]] = "ok",
        seeds: Sequence[int] = range(3),
        *,
        working: Path | None = None,
        series: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Campaign:
        """Make a campaign; ``conditions`` are mappings, or words that say what each condition's runs do."""
        if isinstance(conditions, str):
            conditions = [{"key": word.partition(":")[0], "do": word} for word in conditions.split()]
        command = (sys.executable, "-I", "-S", str(MODEL), "{input}", "{output}", str(self.notes))
        given = {"model": "toy", "command": command, "retries": 100, "retry_delay": 0.5, **settings}
        place = Location.open(str(working or self.working))
        return Campaign(
            series=Series(
                "toy",
                [{"x": 0, "do": "ok", **condition} for condition in conditions],
                list(seeds),
                ["a", "b"],
                template_key="toy.txt",
                **(series or {}),
            ),
            layout=Layout.today("toy"),
            working=place,
            manifest=place,
            ledger_url=self.ledger_url,
            settings=Settings(**given),
            templates=Location.open(str(self.template.parent)),
            site=self.site,
        )

    run = staticmethod(drive["run"])
    """Run a campaign from its manifest to its summary; returns what was published."""

    plan_and_claim = staticmethod(drive["plan_and_claim"])
    submit = staticmethod(drive["submit"])

    def driver(self, campaign: Campaign, *words: str) -> subprocess.Popen[str]:
        return start_driver(campaign, self.root, *words)

    def noted(self, word: str = "start") -> list[str]:
        """The runs that really started (or ended), as ``KEY SEED``, in the order in which they did."""
        return [" ".join(line[1:3]) for line in self.events() if line[0] == word]

    def events(self) -> list[list[str]]:
        return [line.split() for line in self.notes.read_text().splitlines()] if self.notes.exists() else []

    def let_go(self) -> None:
        """Let the runs that hold end."""
        self.notes.with_name("notes.go").touch()

    def files(self, folder: str = "") -> set[str]:
        """The files below a folder of today's dated location, as paths relative to it."""
        base = self.working / Layout.today("toy").root / folder
        return {str(path.relative_to(base)) for path in base.rglob("*") if path.is_file()}

    def texts(self, folder: str) -> dict[str, str]:
        base = self.working / Layout.today("toy").root / folder
        return {name: (base / name).read_text() for name in sorted(self.files(folder))}

    def end(self) -> None:
        """Wait until no runner is left."""
        self.let_go()
        for directory in (self.site.root / "arrays").glob("*"):
            until(lambda: not directory.exists() or is_idle(directory))  # noqa: B023 - called at once


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    toy = Toy(tmp_path)
    yield toy
    toy.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for a few hundred kilobytes."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.decode()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
