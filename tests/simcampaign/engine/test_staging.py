"""Campaigns whose jobs run on a host that does not share our files: a real SSH server, the toy model, real kills."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from simcampaign.engine import staging
from simcampaign.engine.collect import clean, is_settled, uncollected
from simcampaign.engine.owner import identity
from simcampaign.engine.planning import prepare
from simcampaign.engine.reconcile import look, reconcile
from simcampaign.engine.staging import Fetcher, fetch
from simcampaign.engine.submission import check_submission, save_inputs, stage_files
from simcampaign.engine.watch import watch
from simcampaign.errors import LocationError, NetworkError, SiteError
from simcampaign.jobs import JobState
from simcampaign.series import Init
from simcampaign.sites.hosts import Entry, open_host
from simcampaign.sites.local import LocalSite
from simcampaign.storage import Location
from tests.integration.services.sshd import NoSshd, Sshd, SshServers, ssh_servers
from tests.support import until


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    try:
        with ssh_servers(tmp_path_factory.mktemp("sshd") / "s") as servers:
            yield servers
    except NoSshd as error:
        pytest.skip(str(error))


@pytest.fixture
def server(servers: SshServers) -> Sshd:
    return servers.hosts[0]


@pytest.fixture
def far(toy: Any, servers: SshServers) -> Iterator[Any]:
    """The toy's site, whose files are reached by SSH alone."""
    toy.site.host = open_host(servers.options())
    toy.site.scratch = f"~/{toy.root.name}"
    toy.there = servers.hosts[0].home / toy.root.name
    yield toy
    toy.site.host.close()


def there(far: Any) -> list[str]:
    """The files on the host, without the folders that no test knows."""
    return sorted("/".join(path.relative_to(far.there).parts[3:]) for path in far.there.rglob("*") if path.is_file())


def submitted(campaign: Any, far: Any) -> Any:
    """Submit a campaign and return its newest array."""
    far.submit(campaign, *far.plan_and_claim(campaign))
    return uncollected(campaign)[-1]


def ended(campaign: Any, *, jobs: int) -> None:
    """Look until so many jobs have ended, as a flow does that is killed before it fetches."""

    def count() -> bool:
        arrays = uncollected(campaign)
        look(campaign, arrays)
        states = campaign.ledger.job_counts(array.id for array in arrays).values()
        return sum(number for each in states for state, number in each.items() if not state.active) >= jobs

    until(count)


def test_jobs_find_inputs_on_their_host_and_outputs_come_here_and_nothing_stays_there(far: Any) -> None:
    init = Init(name="seeded", key="disc", group="_", seeds=[0, 1], extensions=["csv"])
    source = far.working / "seeded/inits/inits.TOY/seeded_disc.csv"
    source.parent.mkdir(parents=True)
    source.write_text("x\n")
    campaign = far.campaign("ok hold", range(2), series={"inits": [init]})
    submitted(campaign, far)
    ended(campaign, jobs=2)
    assert {name for name in there(far) if "outputs" not in name} == {
        *(f"inputs/toy_{index}.txt" for index in range(4)),
        *(f"inits/toy_{seed:04d}.csv" for seed in range(2)),
    }
    assert far.files("outputs") == set()
    far.let_go()
    assert far.run(campaign).plan.complete
    assert far.files("outputs") == {
        f"toy_{key}_000{seed}.{end}" for key in ("ok", "hold") for seed in (0, 1) for end in "ab"
    }
    assert there(far) == []
    assert sorted(far.noted()) == ["hold 0", "hold 1", "ok 0", "ok 1"]


def test_where_files_are_shared_nothing_is_copied(toy: Any) -> None:
    toy.site.scratch = str(toy.root / "scratch")
    assert toy.run(toy.campaign()).plan.complete
    assert not (toy.root / "scratch").exists()


def test_what_ended_jobs_wrote_comes_while_others_run(far: Any) -> None:
    campaign = far.campaign("ok hold", range(2))
    array = submitted(campaign, far)
    ended(campaign, jobs=2)
    assert fetch(campaign, [array]) == 4
    assert far.files("outputs") == {f"toy_ok_000{seed}.{end}" for seed in (0, 1) for end in "ab"}
    assert fetch(campaign, [array]) == 0, "what is here already is not fetched again"
    assert prepare(far.campaign("ok", range(2))).plan.complete, "and counts"
    far.let_go()
    assert far.run(campaign).plan.complete
    assert len(far.noted()) == 4


def test_a_flow_that_is_killed_before_the_fetch_leaves_no_run_to_run_again(far: Any) -> None:
    campaign = far.campaign()
    submitted(campaign, far)
    ended(campaign, jobs=3)
    again = replace(far.campaign(), owner=identity())
    assert not is_settled(again)
    reconcile(again)
    assert prepare(again).plan.complete
    assert far.run(again).plan.complete
    assert len(far.noted()) == 3


def test_a_dry_run_knows_of_files_that_are_still_there_and_asks_nobody(far: Any, server: Sshd) -> None:
    campaign = far.campaign("ok exit3")
    submitted(campaign, far)
    ended(campaign, jobs=6)
    server.cut(stop=True)
    try:
        plan = prepare(far.campaign("ok exit3"), save=False).plan
    finally:
        server.start()
    assert plan.counts == {"unlisted": 3, "failed": 3}
    assert "still has them" in next(row["reason"] for row in plan.reasons() if row["condition"] == "ok")


def test_another_sites_flow_does_not_run_again_what_was_not_fetched(
    far: Any, servers: SshServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.site.name = "hpc"
    submitted(far.campaign(), far)
    ended(far.campaign(), jobs=3)
    here = LocalSite(root=far.root / "other", name="local")
    elsewhere = replace(far.campaign(), site=here)
    assert prepare(elsewhere).plan.counts == {"missing": 3}, "a site that is no longer configured is given up"
    file = far.root / "sites.toml"
    file.write_text(f'[hpc]\nbackend = "slurm"\nhost = "node0"\nconfig_file = "{servers.config}"\n')
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(file))
    assert prepare(elsewhere).plan.counts == {"unlisted": 3}
    assert far.run(far.campaign()).plan.complete


def test_a_host_that_is_gone_is_told_as_such_and_nothing_is_lost(far: Any, server: Sshd) -> None:
    campaign = far.campaign("ok exit3")
    (array,) = [submitted(campaign, far)]
    ended(campaign, jobs=6)
    server.cut(stop=True)
    try:
        for doing in (lambda: fetch(campaign, [array]), lambda: prepare(campaign), lambda: far.run(campaign)):
            with pytest.raises(NetworkError, match="node0"):
                doing()
        assert set(campaign.ledger.job_states(array.id).values()) == {JobState.FINISHED, JobState.FAILED}
        assert not is_settled(campaign)
    finally:
        server.start()
    assert far.run(far.campaign("ok")).plan.complete
    assert far.noted().count("ok 0") == 1


def test_cleaning_fetches_what_is_left_before_it_removes_anything(far: Any) -> None:
    campaign = far.campaign()
    submitted(campaign, far)
    ended(campaign, jobs=3)
    clean(campaign, uncollected(campaign))
    assert len(far.files("outputs")) == 6
    assert there(far) == []


def test_what_was_put_for_an_array_that_was_never_submitted_goes_too(far: Any) -> None:
    dead = replace(far.campaign(), owner=f"{identity().rsplit(':', 2)[0]}:1:0.00")
    (submission,) = far.plan_and_claim(dead)[1]
    save_inputs(dead, submission)
    stage_files(dead, submission)
    assert len(there(far)) == 3
    assert far.run(far.campaign()).plan.complete
    assert there(far) == []
    assert len(far.noted()) == 3


def test_without_cleaning_files_stay_on_the_host_too(far: Any) -> None:
    assert far.run(far.campaign(clean_jobs=False)).plan.complete
    assert len(there(far)) == 9


def test_an_older_array_does_not_overwrite_what_a_later_one_wrote(far: Any) -> None:
    """The first array still has a file of a run that a later one was given, as it lacked another."""
    first = [{"key": "p", "do": "half", "x": 1}, {"key": "q", "do": "hold"}]
    campaign = far.campaign(first, range(1))
    submitted(campaign, far)
    ended(campaign, jobs=1)
    second = far.campaign([{"key": "p", "do": "ok", "x": 2}], range(1))
    later = submitted(second, far)
    ended(second, jobs=2)
    assert prepare(second).plan.complete
    clean(second, uncollected(second))
    second.ledger.collected(later.id)
    assert far.texts("outputs") == {"toy_p_0000.a": "2\n", "toy_p_0000.b": "2\n"}
    far.let_go()
    assert far.run(far.campaign(first, range(1))).plan.complete
    assert far.texts("outputs")["toy_p_0000.a"] == "2\n"
    assert far.noted().count("p 0") == 2


def test_a_name_that_leads_out_of_the_outputs_is_refused(far: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = far.campaign()
    submitted(campaign, far)
    ended(campaign, jobs=3)
    monkeypatch.setattr(far.site.host, "list", lambda _: [Entry("../../toy_ok_0000.a", 1, 1.0)])
    with pytest.raises(SiteError, match="leads out"):
        fetch(campaign, uncollected(campaign))


def test_staging_needs_a_directory_of_this_machine(far: Any) -> None:
    campaign = replace(far.campaign(), working=Location.open("s3://bucket/prefix"))
    with pytest.raises(LocationError, match="directory of this machine"):
        check_submission(campaign, prepare(far.campaign()).plan)


def test_while_jobs_run_it_is_fetched_now_and_then_and_a_failure_is_told_once(
    far: Any, server: Sshd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(staging, "FETCH_SECONDS", 0.0)
    campaign = far.campaign("ok hold")
    array = submitted(campaign, far)
    ended(campaign, jobs=3)
    fetcher = Fetcher(campaign)
    server.cut(stop=True)
    try:
        for _ in range(2):
            fetcher.look([array], 3)
    finally:
        server.start()
    assert [record.levelname for record in caplog.records if "cannot be fetched" in record.message] == ["WARNING"]
    fetcher.look([array], 3)
    assert len(far.files("outputs")) == 6
    watch(campaign, [array], lambda progress: fetcher.look([array], progress.total - progress.active), lambda: True)


def killed_again_and_again(far: Any, kills: int, dice: random.Random) -> None:
    """Kill whoever runs a campaign of three groups at random instants; in the end it is complete, each run once.

    One campaign after the other, until there were so many kills.
    """
    conditions = [{"key": f"c{index}", "group": "xyz"[index % 3]} for index in range(6)]
    number = done = 0
    while done < kills:
        far.notes, far.working = far.root / f"notes-{number}", far.root / f"out-{number}"
        far.ledger_url = f"sqlite:///{far.root / f'ledger-{number}.sqlite'}"
        campaign = far.campaign(conditions, range(10), series={"groups": dict.fromkeys("xyz", "")})
        for _ in range(dice.randint(1, 5)):
            done += killed(far.driver(campaign), dice)
        assert far.driver(campaign).communicate("go\n")[0] == "complete\n"
        assert len(far.noted()) == len(set(far.noted())) == 60
        assert len(far.files("outputs")) == 120
        assert is_settled(campaign)
        assert there(far) == []
        number += 1


def killed(driver: Any, dice: random.Random) -> bool:
    """Let a process run a campaign and kill it after a random time, half of them soon; False if it was over sooner."""
    timer = threading.Timer(dice.uniform(0, dice.choice((0.5, 4.0))), driver.send_signal, [signal.SIGKILL])
    timer.start()
    said = driver.communicate("go\n")[0]
    timer.cancel()
    assert driver.returncode == -signal.SIGKILL or said == "complete\n"
    return bool(driver.returncode)


def test_kills_at_any_instant_lose_no_output_and_run_nothing_twice(far: Any) -> None:
    killed_again_and_again(far, 3, random.Random(3))


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_many_kills_at_any_instant_lose_no_output_and_run_nothing_twice(far: Any) -> None:
    killed_again_and_again(far, 40, random.Random(4))
