"""A site that is an LSF cluster, played by programs that print what LSF prints."""

from __future__ import annotations

from typing import Any

from simcampaign.jobs import JobState, Resources
from simcampaign.sites.cluster import ClusterSite, LsfSite
from tests.integration.cluster_jobs import Followed, shell_array
from tests.integration.scheduler_contract import MakeSite, SchedulerContract
from tests.integration.services.schedulers import Played


class TestLsfSite(SchedulerContract):
    kind = "lsf"
    site_class = LsfSite
    status_program = "bjobs"

    def test_a_system_that_knows_no_json_is_asked_for_its_table(self, site: ClusterSite[Any], played: Played) -> None:
        played.set(old=True)
        remote_id = site.submit(shell_array("old_0", "[ $1 != 1 ] || exec sleep 100", 3))
        followed = Followed(site, remote_id)
        followed.until_state([1], JobState.RUNNING)
        site.cancel(remote_id, [1])
        ends = followed.until_over(3)
        assert [ends[index].state for index in range(3)] == [
            JobState.FINISHED,
            JobState.CANCELLED,
            JobState.FINISHED,
        ]

    def test_queues_and_their_hosts_are_told(self, site: ClusterSite[Any]) -> None:
        normal, short = site.queues()
        assert (normal.name, normal.state, normal.nodes, normal.nodes_used) == ("normal", "up", 2, 1)
        assert (normal.cores, normal.cores_used) == (16, 3)
        assert (short.name, short.state, short.nodes, short.cores) == ("short", "down (Closed:Active)", 1, 8)

    def test_memory_gpus_and_ranks_are_asked_for(self, make_site: MakeSite) -> None:
        resources = Resources(cpus=2, ranks=2, memory_mb=1000, gpus=1)
        site = make_site(exclusive=True, mail="me@example.org", directives=["-R select[type==any]"])
        remote_id = site.submit(shell_array("ranks_0", "true", 2, resources))
        assert Followed(site, remote_id).until_over(2)[0].state is JobState.FINISHED
