"""This host keeps the contract of hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from simcampaign.sites.hosts import Host, HostOptions, open_host
from tests.simcampaign.sites.hosts.contract import HostContract


class TestThisHost(HostContract):
    @pytest.fixture
    def host(self) -> Host:
        return open_host(HostOptions())

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        place = tmp_path / "place"
        place.mkdir()
        return place

    def test_its_paths_are_ours(self, host: Host) -> None:
        assert host.shared
        assert host.name == "this host"
