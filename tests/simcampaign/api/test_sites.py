"""Sites are looked at from Python: their names, their health, their queues."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign import api
from simcampaign.errors import ConfigError


def test_sites_are_named_and_examined() -> None:
    assert api.get_site_names() == ["local", "bare"]
    findings = api.doctor("bare")
    assert all(finding.fine is not False and finding.detail for finding in findings)
    assert "scratch" in [finding.subject for finding in findings]
    assert api.get_queues("bare") == []


def test_a_site_that_is_not_well_is_told_by_its_findings(tmp_path: Path) -> None:
    with (tmp_path / "sites.toml").open("a") as file:
        file.write('[far]\nbackend = "ssh"\nhost = "127.0.0.1"\nport = 1\n')
    [bad] = [finding for finding in api.doctor("far") if finding.fine is False]
    assert "cannot be reached" in bad.detail


@pytest.mark.parametrize("ask", [api.doctor, api.get_queues])
def test_a_misspelt_site_is_recognised(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ConfigError, match="did you mean `bare`"):
        ask("bear")
