"""A site that is a PBS cluster, played by programs that print what OpenPBS prints."""

from __future__ import annotations

from typing import Any

import pytest

from simcampaign.errors import SiteError
from simcampaign.jobs import Cause, JobState, Resources
from simcampaign.sites.cluster import ClusterSite, PbsSite
from tests.integration.cluster_jobs import Followed, shell_array
from tests.integration.scheduler_contract import MakeSite, SchedulerContract
from tests.integration.services.schedulers import Played


class TestPbsSite(SchedulerContract):
    kind = "pbs"
    site_class = PbsSite
    status_program = "qstat"

    @pytest.mark.parametrize("history", [True, False])
    def test_ended_jobs_are_known_with_and_without_a_history(
        self, site: ClusterSite[Any], played: Played, history: bool
    ) -> None:
        played.set(history=history)
        ends = Followed(site, site.submit(shell_array("history_0", "exit $1", 3))).until_over(3)
        assert [ends[index].exit_code for index in range(3)] == [0, 1, 2]
        assert [ends[index].cause for index in range(3)] == [None, Cause.APPLICATION, Cause.APPLICATION]

    def test_an_ended_array_is_found_by_its_name_where_there_is_a_history(
        self, site: ClusterSite[Any], played: Played
    ) -> None:
        played.set(history=True)
        remote_id = site.submit(shell_array("ended_0", "true", 2))
        Followed(site, remote_id).until_over(2)
        assert site.adapter.parse_found(site.host.run(site.adapter.find_command("ended_0")), "ended_0") == [
            remote_id.partition(":")[2]
        ]

    def test_queues_and_their_nodes_are_told(self, site: ClusterSite[Any]) -> None:
        work, short = site.queues()
        assert (work.name, work.state, work.default, work.max_seconds) == ("workq", "up", True, None)
        assert (work.nodes, work.nodes_used, work.cores, work.cores_used) == (2, 1, 8, 1)
        assert (work.memory_mb, work.memory_used_mb) == (16384, 1024)
        assert (short.name, short.state, short.default, short.max_seconds) == ("shortq", "down", False, 3600)

    def test_ranks_get_chunks_of_their_own(self, make_site: MakeSite) -> None:
        resources = Resources(cpus=2, ranks=3, memory_mb=1000, gpus=3)
        site = make_site(exclusive=True, project="p", directives=["-l software=lmp"])
        remote_id = site.submit(shell_array("ranks_0", "true", 2, resources))
        assert Followed(site, remote_id).until_over(2)[0].state is JobState.FINISHED

    def test_an_option_that_the_scheduler_does_not_know_is_refused(self, make_site: MakeSite) -> None:
        with pytest.raises(SiteError, match="unrecognized"):
            make_site(directives=["-Z 1"]).submit(shell_array("unknown_0", "true", 2))
