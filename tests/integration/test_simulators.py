"""Real simulators as campaigns, with the configs that are there as examples: on this machine and on Slurm."""

from __future__ import annotations

import csv
import runpy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import pytest

from configs import load
from configs.cluster import ClusterContextConfig
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from flows import run_cluster_simulations, run_local_simulations
from simcampaign.engine.campaign import Campaign
from tests.integration.services.slurm import NoSlurm, slurm_cluster

ROOT = Path(__file__).parents[2]
drive = runpy.run_path(str(ROOT / "tests" / "simcampaign" / "engine" / "drive.py"))

Open = Callable[..., Campaign]


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    """A cluster whose commands are in this process's environment."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            with slurm_cluster() as cluster:
                for name, value in cluster.environment.items():
                    patch.setenv(name, value)
                yield
        except NoSlurm as error:
            pytest.skip(f"Slurm cannot be run here: {error}")


@pytest.fixture(params=["local", "slurm"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Open the campaign of an example with its flow, in a place of its own."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(tmp_path / "sites.toml"))
    monkeypatch.delenv("SIMCAMPAIGN_LEDGER_URL", raising=False)
    place = tmp_path / "a place"
    where = [f"context.{name}_location={place}" for name in ("working", "manifest")]
    if request.param == "slurm":
        request.getfixturevalue("slurm")
        scratch = tmp_path / "scratch"
        (tmp_path / "sites.toml").write_text(f'[hpc]\nbackend = "slurm"\nscratch = "{scratch}"\npoll_seconds = 1.0\n')

    def make(config: str, *changes: str) -> Campaign:
        arguments = [config, *where, *changes]
        if request.param == "slurm":
            loaded = load([*arguments, "context.site=hpc"], ClusterContextConfig, SeriesConfig, ParametersConfig)
            return run_cluster_simulations.open_campaign(loaded.context, loaded.series, loaded.parameters)
        here = load([*arguments, "context.slots=2"], LocalContextConfig, SeriesConfig, ParametersConfig)
        return run_local_simulations.open_campaign(here.context, here.series, here.parameters)

    return make


def tables(campaign: Campaign) -> dict[str, list[dict[str, float]]]:
    """The CSV outputs by run."""
    folder = campaign.working.path(campaign.layout.outputs)
    return {
        path.stem: [{name: float(value) for name, value in row.items()} for row in csv.DictReader(path.open())]
        for path in sorted(folder.glob("*.csv"))
    }


def report(campaign: Campaign, value: str) -> tuple[list[list[str]], str]:
    """What the report command left: its table without the header, and its words."""
    pictures = campaign.working.path(campaign.layout.pictures)
    assert (pictures / f"{value}.png").read_bytes().startswith(b"\x89PNG")
    _, *rows = csv.reader((pictures / f"{value}.csv").open())
    return rows, (pictures / f"{value}.txt").read_text()


@pytest.mark.skipif(shutil.which("lmp") is None, reason="LAMMPS is not installed")
def test_lammps_melts_a_crystal_above_its_melting_point_and_not_below(opened: Open) -> None:
    changes = ["series.seeds=0-1", "series.conditions.product.temperature=[0.3, 1.5]"]
    campaign = opened("configs/melting.yaml", *changes, "series.conditions.constants.steps=1000")
    assert drive["run"](campaign).plan.complete
    found = tables(campaign)
    assert list(found) == [f"melting_{key}_000{seed}" for key in ("t0.3", "t1.5") for seed in (0, 1)]
    assert all([row["step"] for row in table] == [100 * step for step in range(11)] for table in found.values())
    moved = {run: table[-1]["displacement"] for run, table in found.items()}
    assert all((moved[run] > 1) == ("t1.5" in run) for run in found), "atoms of a liquid leave their places"
    assert found["melting_t1.5_0000"] != found["melting_t1.5_0001"], "seeds differ"
    (cold, hot), words = report(campaign, "energy")
    assert cold[:2] == ["t0.3", "2"]
    assert float(cold[2]) < float(hot[2]) < 0
    assert words.startswith("potential energy per atom (ε) of melting against seeds")


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
def test_ngspice_finds_cutoffs_that_scatter_as_much_as_the_parts(opened: Open) -> None:
    campaign = opened("configs/lowpass.yaml", "series.seeds=0-9", "parameters.seeds_per_job=5")
    assert drive["run"](campaign).plan.complete
    found = tables(campaign)
    assert len(found) == 30
    exact = fmean(table[0]["cutoff_hz"] for run, table in found.items() if "within0.01" in run)
    assert exact == pytest.approx(159.15, rel=0.02)
    rows, words = report(campaign, "cutoff_hz")
    assert [row[:2] for row in rows] == [[f"within{each}", "10"] for each in ("0.01", "0.05", "0.20")]
    deviations = [float(row[3]) for row in rows]
    assert deviations == sorted(deviations)
    assert "(10 seeds)" in words
