"""Campaigns on the test server whose jobs are played: the real engine, site, ledger and object store, no Prefect."""

from __future__ import annotations

import runpy
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcampaign.engine.campaign import Campaign, Settings
from simcampaign.jobs import Resources
from simcampaign.layout import Layout
from simcampaign.series import Series
from simcampaign.sites.batch import BatchOptions, BatchSite
from simcampaign.storage import Location
from tests.driving import DRIVER, start_driver
from tests.integration.proxy import Proxy
from tests.integration.services.aws import ACCOUNT, QUEUE, REGION, Aws

TEMPLATE = """\
{% for c in conditions %}
{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} {{ c.do }} {{ c.x }}
{% endfor %}
"""
SETTLE_SECONDS = 0.5


@dataclass
class Played:
    """A place for campaigns whose jobs are played."""

    aws: Aws
    proxy: Proxy
    bucket: str
    ledger_url: str
    root: Path

    def __post_init__(self) -> None:
        self.templates = self.root / "templates"
        self.templates.mkdir()
        (self.templates / "toy.txt").write_text(TEMPLATE)

    def campaign(
        self,
        conditions: str | Sequence[Mapping[str, Any]] = "ok",
        seeds: Sequence[int] = range(3),
        *,
        series: Mapping[str, Any] | None = None,
        site: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Campaign:
        """Make a campaign; ``conditions`` are mappings, or words that say what each condition's runs do."""
        if isinstance(conditions, str):
            conditions = [{"key": word.partition(":")[0], "do": word} for word in conditions.split()]
        place = Location.open(f"s3://{self.bucket}")
        given = {"model": "toy", "image": "played:1", "retries": 100, "retry_delay": 0.5, **settings}
        given.setdefault("resources", Resources(1, 64))
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
            templates=Location.open(str(self.templates)),
            site=self.site(**(site or {})),
        )

    def site(self, **options: Any) -> BatchSite:
        """The site; names of jobs begin with this place's bucket."""
        own = {name: options.pop(name) for name in ("settle_seconds", "client_factory") if name in options}
        given = BatchOptions(**{"account": ACCOUNT, "region": REGION, "user": self.bucket, "queue": QUEUE, **options})
        return BatchSite(given, **{"settle_seconds": SETTLE_SECONDS, **own})

    def run(self, campaign: Campaign) -> Any:
        """Run a campaign from its manifest to its summary; returns what was published."""
        return runpy.run_path(str(DRIVER))["run"](campaign)

    def submit(self, campaign: Campaign) -> None:
        """Plan a campaign and submit what is to be submitted."""
        drive = runpy.run_path(str(DRIVER))
        drive["submit"](campaign, *drive["plan_and_claim"](campaign))

    def driver(self, campaign: Campaign) -> subprocess.Popen[str]:
        return start_driver(campaign, self.root)

    def noted(self, word: str = "start") -> list[str]:
        """The runs that really started (or ended), in the order in which they did."""
        return self.aws.noted(self.bucket, word)

    def wanted(self, campaign: Campaign) -> list[str]:
        """The runs that the series asks for."""
        return sorted(f"toy_{key}_{seed:04d}" for key in campaign.conditions for seed in campaign.series.seeds)

    def submitted(self) -> Counter[str]:
        """How often each job name is on the server."""
        return Counter(job["jobName"] for job in self.aws.submitted(self.bucket))

    def keys(self, folder: str = "") -> set[str]:
        """The keys below a folder of today's dated location, relative to it."""
        root = f"{Layout.today('toy').root}/{folder}"
        pages = self.aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=root)
        return {each["Key"].removeprefix(root).lstrip("/") for page in pages for each in page.get("Contents", ())}

    def text(self, key: str) -> str:
        """What is in an object."""
        data = self.aws.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return str(data.decode())

    def check_once(self, campaign: Campaign) -> None:
        """Assert that each run was started once, that no name was submitted twice, and that the manifest has it all."""
        wanted = self.wanted(campaign)
        started = sorted(self.noted())
        assert sorted(set(started)) == wanted, "a run was forgotten"
        assert started == wanted, "a run was started twice"
        assert set(self.submitted().values()) == {1}, "an array was submitted twice"
        manifest = self.text("manifest.csv").splitlines()
        listed = {",".join(line.split(",")[:2]) for line in manifest[1:]}
        assert listed == {f"{run},{extension}" for run in wanted for extension in "ab"}
        assert len(manifest) == 1 + len(listed)
        assert campaign.ledger.arrays(campaign.id, open_only=True) == []
