"""Campaigns in the job manager, over HTTP: a real service, the real local site, a toy model."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError, ConflictError
from simcampaign.service import Client
from tests.simcampaign.service.server import FREE, Server
from tests.support import is_idle, until

MODEL = Path(__file__).parents[2] / "toy_model.py"
TEMPLATE = """\
{% for c in conditions %}{{ name }} {{ c.key }} {{ c.start_seed }} {{ c.end_seed }} {{ c.do }} 0
{% endfor %}"""
OVER = {"complete", "incomplete", "cancelled", "failed"}


class Lab:
    """A job manager whose owner declared the context ``toy``."""

    def __init__(self, root: Path, more: str = "", fields: str = "") -> None:
        self.root = root
        (root / "templates").mkdir()
        (root / "templates" / "toy.txt").write_text(TEMPLATE)
        self.notes = root / "notes"
        self.notes.mkdir()
        command = [sys.executable, "-I", "-S", str(MODEL), "{input}", "{output}", str(self.notes / "{model}")]
        self.settings = f"""
            {more}
            [contexts.toy]
            kind = "local"
            working_location = "{root / "out"}"
            template_location = "{root / "templates"}"
            command = {command}
            slots = 4
            {fields}
        """
        self.server = Server(root / "home", self.settings, free=FREE.replace("= 2", "= 5", 1))

    def document(self, words: str = "ok", seeds: str = "0-2", name: str = "toy", **others: Any) -> dict[str, Any]:
        conditions = [{"key": word.partition(":")[0], "do": word} for word in words.split()]
        series = {
            "name": name,
            "template_key": "toy.txt",
            "seeds": seeds,
            "conditions": conditions,
            "extensions": ["a", "b"],
        }
        parameters = {"model": name, **others.pop("parameters", {})}
        return {"context": "toy", "series": series, "parameters": parameters, **others}

    def submit(self, *words: str, **others: Any) -> str:
        answer = self.server.http.post("/campaigns", json=self.document(*words, **others))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["campaign_id"])

    def get(self, campaign: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.http.get(f"/campaigns/{campaign}").json()
        return found

    def do(self, campaign: str, what: str) -> int:
        return self.server.http.post(f"/campaigns/{campaign}/{what}").status_code

    def wait(self, campaign: str, status: str = "complete") -> dict[str, Any]:
        found = until(lambda: seen if (seen := self.get(campaign))["status"] in OVER else None)
        assert found["status"] == status, found
        return found

    def started(self, name: str = "toy") -> list[str]:
        """The runs of a series that really started."""
        notes = self.notes / name
        lines = notes.read_text().splitlines() if notes.exists() else []
        return sorted(" ".join(line.split()[1:3]) for line in lines if line.startswith("start"))

    def go(self, name: str = "toy") -> None:
        """Let the runs of a series that hold end."""
        (self.notes / f"{name}.go").touch()

    def end(self) -> None:
        for notes in list(self.notes.iterdir()):
            self.go(notes.name)
        self.server.end()
        for directory in (self.root / "home" / "local" / "arrays").glob("*"):
            until(lambda: not directory.exists() or is_idle(directory))  # noqa: B023 - called at once


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(more: str = "", fields: str = "") -> Lab:
        lab = Lab(tmp_path, more, fields)
        labs.append(lab)
        lab.server.start()
        return lab

    yield make
    for lab in labs:
        lab.end()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), fields="parameters = {seconds_per_run = 1}")
    lab.server.start()
    yield lab
    lab.end()


def events(lab: Lab, campaign: str, last: str) -> list[tuple[str, dict[str, Any]]]:
    return lab.server.events(campaign, last)


def test_a_campaign_is_kept_going_until_every_run_is_done(lab: Lab) -> None:
    dry = lab.server.http.post("/campaigns", json=lab.document("ok more:ok", dry_run=True, name="whole")).json()
    assert (dry["dry_run"], dry["counts"], dry["jobs"]) == (True, {"missing": 6}, 6)
    assert lab.server.http.get("/campaigns", params={"name": "whole"}).json() == []
    campaign = lab.submit("ok more:ok", name="whole")
    done = lab.wait(campaign)
    assert (done["runs"], done["counts"], done["jobs"]) == (6, {"done": 6}, {"finished": 6})
    assert (done["name"], done["kind"], done["failures"], done["cost"]) == ("whole", "local", [], None)
    assert len(lab.started("whole")) == 6
    assert Path(done["summary"]).read_text().count("whole") > 1
    told = events(lab, campaign, "campaign_complete")
    assert {kind for kind, _ in told[:-1]} == {"campaign_progress"}
    assert told[-1][1]["counts"] == {"done": 6}
    counts = [event["counts"] for _, event in told[:-1]]
    assert all(one != other for one, other in itertools.pairwise(counts)), "only what is news is told"
    assert lab.server.http.delete(f"/campaigns/{campaign}").status_code == 200
    assert lab.server.http.get(f"/campaigns/{campaign}").status_code == 404
    again = lab.submit("ok more:ok third:ok", name="whole")
    assert lab.wait(again)["counts"] == {"done": 9}
    assert len(lab.started("whole")) == 9


def test_a_client_has_a_campaign_done_looks_at_it_and_changes_it(lab: Lab) -> None:
    told = lab.document("ok once", seeds="0-1", name="client")
    with Client(str(lab.server.http.base_url)) as client:
        campaign = client.submit_campaign(told["context"], told["series"], told["parameters"], key="one")
        assert client.submit_campaign(told["context"], told["series"], told["parameters"], key="one") == campaign
        seen = until(lambda: found if (found := client.campaign(campaign)).over else None)
        assert (seen.status, seen.runs, seen.counts) == ("incomplete", 4, {"done": 2, "failed": 2})
        assert {each["run"] for each in seen.failures} == {"client_once_0000", "client_once_0001"}
        grid = client.campaign_map(campaign, seeds=1)
        assert (list(grid.conditions), list(grid.seeds), grid.total_seeds) == (["ok", "once"], [0], 2)
        assert [[grid.legend[at] for at in row] for row in grid.states] == [["done"], ["failed"]]
        assert [each.id for each in client.campaigns(name="client")] == [campaign]
        with pytest.raises(ConflictError):
            client.pause_campaign(campaign)
        assert client.retry_campaign(campaign) is True
        done = until(lambda: found if (found := client.campaign(campaign)).over else None)
        assert (done.status, done.counts) == ("complete", {"done": 4})
        assert client.delete_campaign(campaign) is True
        assert list(client.campaigns(name="client")) == []
        with pytest.raises(ConfigError):
            client.campaign(campaign)


def test_what_fails_ends_the_campaign_and_is_tried_again_when_somebody_asks(lab: Lab) -> None:
    campaign = lab.submit("once ok", seeds="0", name="failing")
    failed = lab.wait(campaign, "incomplete")
    [failure] = failed["failures"]
    assert (failure["run"], failure["cause"]) == ("failing_once_0000", "application")
    assert failure["log_tail"] == "step 1 went well\nERROR the toy broke"
    assert lab.started("failing") == ["ok 0", "once 0"]
    assert lab.do(campaign, "retry") == 200
    assert lab.wait(campaign)["counts"] == {"done": 2}


def test_a_paused_campaign_submits_nothing_and_a_resumed_one_goes_on(lab: Lab) -> None:
    first = lab.submit("hold", seeds="0", name="paused")
    until(lambda: lab.started("paused") == ["hold 0"])
    assert lab.do(first, "pause") == 200
    assert lab.do(first, "pause") == 409
    lab.go("paused")
    until(lambda: lab.get(first)["counts"] == {"done": 1})
    assert lab.wait(first)["status"] == "complete"
    second = lab.submit("ok hold", seeds="0", name="resumed")
    until(lambda: lab.get(second)["counts"] == {"done": 1, "in flight": 1})
    assert lab.do(second, "pause") == 200
    assert lab.get(second)["status"] == "paused"
    assert lab.do(second, "resume") == 200
    lab.go("resumed")
    assert lab.wait(second)["counts"] == {"done": 2}


def test_a_cancelled_campaign_ends_its_jobs_and_says_when(lab: Lab) -> None:
    campaign = lab.submit("hold", seeds="0-9", name="cancelled")
    until(lambda: lab.get(campaign)["jobs"].get("running", 0) > 0)
    assert lab.do(campaign, "cancel") == 200
    over = lab.wait(campaign, "cancelled")
    assert over["jobs"] == {"cancelled": 10}
    assert lab.do(campaign, "cancel") == 409
    lab.go("cancelled")
    assert lab.do(campaign, "resume") == 200
    assert lab.wait(campaign, "incomplete")["counts"] == {"missing": 10}, "what was cancelled waits for a person"
    assert lab.do(campaign, "retry") == 200
    assert lab.wait(campaign)["counts"] == {"done": 10}


def test_the_map_shows_windows_of_conditions_and_seeds(lab: Lab) -> None:
    campaign = lab.submit("ok exit3 hold", seeds="0-1", name="mapped")
    seen = until(lambda: found if (found := codes(lab, campaign))[2] == ["running", "running"] else None)
    until(lambda: codes(lab, campaign)[:2] == [["done"] * 2, ["failed"] * 2])
    assert len(seen) == 3
    window = lab.server.http.get(
        f"/campaigns/{campaign}/map", params={"condition_offset": 1, "conditions": 1, "seed_offset": 1}
    ).json()
    assert (window["conditions"], window["seeds"]) == (["exit3"], [1])
    assert (window["total_conditions"], window["total_seeds"]) == (3, 2)
    lab.go("mapped")
    lab.wait(campaign, "incomplete")
    assert codes(lab, campaign) == [["done"] * 2, ["failed"] * 2, ["done"] * 2]


def codes(lab: Lab, campaign: str) -> list[list[str]]:
    found = lab.server.http.get(f"/campaigns/{campaign}/map").json()
    return [[found["legend"][state] for state in row] for row in found["states"]]


def test_campaigns_survive_the_death_of_the_service(lab: Lab) -> None:
    names = [f"series{number}" for number in range(3)]
    campaigns = [lab.submit("nap:0.2 ok", seeds="0-7", name=name) for name in names]
    for enough in (2, 12):
        until(lambda: sum(len(lab.started(name)) for name in names) >= enough)  # noqa: B023 - called at once
        lab.server.stop(signal.SIGKILL)
        lab.server.start()
    for name, campaign in zip(names, campaigns, strict=True):
        assert lab.wait(campaign)["counts"] == {"done": 16}
        assert len(lab.started(name)) == 16
    listed = [each["id"] for each in lab.server.http.get("/campaigns").json()]
    assert [each for each in listed if each in campaigns] == campaigns


def test_only_one_campaign_at_a_time_has_the_files_of_a_series(lab: Lab) -> None:
    headers = {"Idempotency-Key": "mine"}
    first = lab.server.http.post("/campaigns", json=lab.document("hold", name="alone"), headers=headers).json()
    again = lab.server.http.post("/campaigns", json=lab.document("hold", name="alone"), headers=headers).json()
    assert again["campaign_id"] == first["campaign_id"]
    assert lab.server.http.post("/campaigns", json=lab.document("ok", name="alone"), headers=headers).status_code == 409
    assert lab.server.http.post("/campaigns", json=lab.document("hold", name="alone")).status_code == 409
    assert lab.server.http.delete(f"/campaigns/{first['campaign_id']}").status_code == 409
    lab.go("alone")
    lab.wait(first["campaign_id"])


def test_jobs_of_campaigns_and_of_the_queue_run_beside_each_other(lab: Lab) -> None:
    campaign = lab.submit("hold", seeds="0-9", name="beside")
    until(lambda: len(lab.started("beside")) == 3)
    assert lab.server.wait(lab.server.shell("true"))[0]["status"] == "completed"
    assert len(lab.started("beside")) == 3, "there are four slots here, and one is the queue's"
    lab.go("beside")
    lab.wait(campaign)


def test_where_commands_are_allowed_clients_bring_their_own_context(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("allow_commands = true")
    command = [sys.executable, "-I", "-S", str(MODEL), "{input}", "{output}", str(lab.notes / "toy")]
    place = str(lab.root / "out")
    context = {"working_location": place, "manifest_location": place, "command": command, "image": "x"}
    wrong = lab.server.http.post("/campaigns", json=lab.document(context=context, kind="local"))
    assert wrong.status_code == 400
    assert {each["path"] for each in wrong.json()["problems"]} == {"context.image", "context.template_location"}
    del context["image"]
    context["template_location"] = str(lab.root / "templates")
    campaign = lab.submit("ok", context=context, kind="local", parameters={"budget": 5})
    assert lab.wait(campaign)["counts"] == {"done": 3}
    assert lab.server.http.put(f"/campaigns/{campaign}/budget", json={"budget": -1}).status_code == 400
    assert lab.server.http.put(f"/campaigns/{campaign}/budget", json={"budget": 7.5}).status_code == 200
    assert lab.server.http.get(f"/campaigns/{campaign}/document").json()["parameters"]["budget"] == 7.5


def test_a_second_service_on_the_same_ledger_is_refused(lab: Lab) -> None:
    command = [sys.executable, "-m", "simcampaign.service", "--port", "0"]
    done = subprocess.run(
        command, env={"SIMCAMPAIGN_HOME": str(lab.server.home), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "has this ledger already" in done.stderr


def problems(lab: Lab, document: dict[str, Any]) -> dict[str, str]:
    answer = lab.server.http.post("/campaigns", json=document)
    assert answer.status_code == 400, answer.text
    assert lab.server.http.get("/campaigns", params={"name": document["series"]["name"]}).json() == []
    return {each["path"]: each["reason"] for each in answer.json()["problems"]}


def test_clients_choose_no_programs_no_files_and_no_places(lab: Lab) -> None:
    refused = {"report": "id", "image": "evil", "log_filter": "(a+)+", "retries": 1}
    found = problems(lab, lab.document(parameters={**refused, "seconds_per_run": 2}))
    assert set(found) == {*(f"parameters.{name}" for name in refused), "parameters.seconds_per_run"}
    inline = lab.document(context={"working_location": "/", "command": "id"}, kind="local")
    assert set(problems(lab, inline)) == {"context"}
    assert set(problems(lab, lab.document(context="other"))) == {"context"}
    assert set(problems(lab, lab.document(kind="batch"))) == {"kind"}
    assert "user" in problems(lab, lab.document(user="../up"))
    files = lab.document()
    files["series"]["conditions"] = [{"from_csv": "/etc/passwd"}, {"key": "a", "do": "ok"}]
    files["series"]["template_key"] = "../../etc/passwd"
    files["series"]["name"] = "-rf"
    found = problems(lab, files)
    assert {"series.conditions.from_csv", "series.template_key", "series.name"} <= set(found)
    many = lab.document(seeds="0-999999")
    many["series"]["conditions"] = {"product": {"x": {"range": [0, 1000, 1]}}, "key": "c{x}", "constants": {"do": "ok"}}
    assert set(problems(lab, many)) == {"series"}


def test_users_have_folders_of_their_own_and_change_only_what_is_theirs(make_lab: Callable[..., Lab]) -> None:
    tokens = {name: f"{name}-{'x' * 24}" for name in ("ann", "bob", "eve", "root")}
    roles = {"ann": "submitter", "bob": "submitter", "eve": "viewer", "root": "admin"}
    from hashlib import sha256  # noqa: PLC0415 - only here

    users = "\n".join(
        f'[users.{name}]\ntoken_sha256 = "{sha256(token.encode()).hexdigest()}"\nrole = "{roles[name]}"'
        for name, token in tokens.items()
    )
    lab = make_lab(users)

    def be(name: str) -> None:
        lab.server.http.headers["authorization"] = f"Bearer {tokens[name]}"

    be("eve")
    assert lab.server.http.post("/campaigns", json=lab.document()).status_code == 403
    be("ann")
    of_ann = lab.submit("hold", seeds="0")
    be("bob")
    of_bob = lab.submit("hold", seeds="0")
    assert {lab.do(of_ann, what) for what in ("pause", "resume", "cancel", "retry")} == {403}
    assert lab.server.http.delete(f"/campaigns/{of_ann}").status_code == 403
    lab.go()
    assert lab.wait(of_bob)["user"] == "bob"
    be("root")
    lab.wait(of_ann)
    assert sorted(path.name for path in (lab.root / "out").iterdir()) == ["ann", "bob"]
    assert lab.started() == ["hold 0", "hold 0"]
    assert lab.server.http.delete(f"/campaigns/{of_ann}").status_code == 200


def test_a_mistake_in_a_context_is_told_when_the_service_starts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "service.toml").write_text('[contexts.lab]\nkind = "local"\nslots = 0\n[contexts.moon]\nkind = "moon"\n')
    command = [sys.executable, "-m", "simcampaign.service", "--port", "0"]
    done = subprocess.run(
        command, env={"SIMCAMPAIGN_HOME": str(home), "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    for path in ("contexts.lab.slots", "contexts.lab.command", "contexts.moon.kind"):
        assert f"service.{path}" in done.stderr


def test_a_campaign_whose_template_breaks_says_so_and_goes_on_once_it_is_mended(lab: Lab) -> None:
    template = lab.root / "templates" / "toy.txt"
    template.write_text("{{ nothing }}")
    campaign = lab.submit("ok", name="broken")
    failed = lab.wait(campaign, "failed")
    assert "nothing" in failed["message"]
    template.write_text(TEMPLATE)
    assert lab.do(campaign, "resume") == 200
    lab.wait(campaign)
