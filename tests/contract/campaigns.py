"""Campaigns at the fake site: the real engine, a real ledger and real files, by the cloud's clock."""

from __future__ import annotations

import runpy
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.errors import ConflictError, NetworkError, SiteError
from simcampaign.jobs import ArraySpec, JobSpec, JobState
from simcampaign.layout import Layout
from simcampaign.ledger import Ledger
from simcampaign.series import Series
from simcampaign.storage import Location
from tests.contract.cloud import Cloud, Performance
from tests.contract.fake import FakeSite, Fault

TEMPLATE = (
    "{% for c in conditions %}{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} {{ c.do }}\n{% endfor %}"
)
drive = runpy.run_path(str(Path(__file__).parents[1] / "simcampaign" / "engine" / "drive.py"))


class Crash(BaseException):
    """The process is no more."""


class Campaigns:
    """A place for campaigns of runs that take a second each; knows what was really started."""

    def __init__(self, root: Path, **cloud: Any) -> None:
        self.root = root
        (root / "templates").mkdir(parents=True)
        (root / "templates" / "toy.txt").write_text(TEMPLATE)
        self.cloud = Cloud(self._perform, **cloud)
        self.started: list[str] = []
        self.wrong: list[str] = []
        """Runs that were started although they were done, or ran already."""

        self._at: dict[str, tuple[str, int]] = {}
        self._done: set[str] = set()
        self._tried: set[str] = set()
        self._owners = count(1)
        self.ledger_url = f"sqlite:///{root / 'ledger.sqlite'}"
        self.seen: dict[tuple[str, int], JobState] = {}

    def campaign(
        self,
        conditions: str = "ok",
        seeds: Sequence[int] = range(3),
        *,
        fault: Callable[[str], Fault | None] = lambda call: None,
        between: Callable[[str], None] = lambda call: None,
        **settings: Any,
    ) -> Campaign:
        """Make a campaign in a process of its own, which everybody else takes for gone."""
        place = Location.open(str(self.root / "out"))
        given = {"model": "toy", "command": ("act",), "retries": 10_000, "retry_delay": 0.5, **settings}
        words = conditions.split()
        return Campaign(
            series=Series(
                "toy",
                [{"key": word, "do": word, "group": "ab"[i % 2]} for i, word in enumerate(words)],
                list(seeds),
                ["a", "b"],
                groups={"a": "", "b": ""},
                template_key="toy.txt",
            ),
            layout=Layout.today("toy"),
            working=place,
            manifest=place,
            ledger_url=self.ledger_url,
            settings=Settings(**given),
            templates=Location.open(str(self.root / "templates")),
            site=FakeSite(self.cloud, price=1.0, fault=fault, between=between),
            owner=f"{socket.gethostname()}:1:{next(self._owners)}.00",
        )

    run = staticmethod(drive["run"])

    def submit(self, campaign: Campaign) -> None:
        drive["submit"](campaign, *drive["plan_and_claim"](campaign))

    def try_to_run(self, campaign: Campaign) -> bool:
        """Run a campaign as a person does who starts it again after an error; say whether it is complete."""
        try:
            return bool(self.run(campaign).plan.complete)
        except (SiteError, NetworkError, ConflictError, Crash):
            return False
        finally:
            campaign.ledger.database.engine.dispose()

    def observe(self, campaign: Campaign) -> None:
        """Compare the ledger's states with those that were seen before: an end stays."""
        for array in campaign.ledger.arrays(campaign.id):
            for index, state in campaign.ledger.job_states(array.id).items():
                before = self.seen.get((array.name, index), JobState.QUEUED)
                assert before.active or state is before, f"{array.name} {index} went from {before} to {state}"
                self.seen[array.name, index] = state

    def wanted(self, campaign: Campaign) -> list[str]:
        return sorted(f"toy_{key}_{seed:04d}" for key in campaign.conditions for seed in campaign.series.seeds)

    def _perform(self, array: ArraySpec, job: JobSpec) -> Performance:
        lines = [line.split() for line in Path(job.input_path).read_text().splitlines()]
        runs = [f"{n}_{key}_{seed:04d}" for n, key, a, b, _ in lines for seed in range(int(a), int(b) + 1)]
        for run in runs:
            self._check_start(run)
            self._at[run] = (array.name, job.index)
        self.started += runs
        fails = any(do == "fails" or (do == "once" and not self._tried.issuperset(runs)) for *_, do in lines)
        self._tried |= set(runs)
        effect = (lambda: None) if fails else (lambda: self._write(Path(array.output), runs))
        return Performance(1.0 + len(self.started) % 3, 3 if fails else 0, b"said something\n", effect)

    def _check_start(self, run: str) -> None:
        if run in self._done:
            self.wrong.append(f"{run} was done")
        if run in self._at:
            name, index = self._at[run]
            known = self.cloud.known(name)
            if known is not None and self.cloud.arrays[known].states[index].active:
                self.wrong.append(f"{run} ran already")

    def _write(self, folder: Path, runs: Iterable[str]) -> None:
        for run in runs:
            self._done.add(run)
            for extension in "ab":
                (folder / f"{run}.{extension}").write_text("written")


class Probe:
    """Stands for an object and calls ``between`` before each of its calls."""

    def __init__(self, real: Any, between: Callable[[str], None]) -> None:
        self._real, self._between = real, between

    def __str__(self) -> str:
        return str(self._real)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            self._between(name)
            return value(*arguments, **named)

        return call


def probed(campaign: Campaign, between: Callable[[str], None]) -> Campaign:
    """Return the campaign with ``between`` called around every call of ledger and location, too."""
    ledger, working = Ledger(campaign.ledger_url), campaign.working
    probed = replace(campaign, working=Probe(working, between))  # type: ignore[arg-type]
    probed.__dict__["ledger"] = Probe(ledger, between)
    return probed


class CrashAt:
    """Raises ``Crash`` at the n-th point between two calls; the process stays gone after that."""

    def __init__(self, point: int | None) -> None:
        self.point, self.passed = point, 0
        self.calls: list[str] = []

    def __call__(self, call: str) -> None:
        if self.point is not None and self.passed >= self.point:
            raise Crash(call)
        self.passed += 1
        self.calls.append(call)
