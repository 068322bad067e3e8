"""Deployments: the file that declares them, and those that are made from a config."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.utilities.schema_tools.validation import validate

from configs import load
from configs.contexts import AnyContextConfig
from configs.manifest import ManifestContextConfig, ManifestParametersConfig, ManifestSeriesConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig
from flows.__main__ import listed
from flows.deploying import changes
from tests.flows.prefect_parts import POOL, ROOT, make_pool
from tests.support import until

FILE = ROOT / "deployments/prefect.yaml"
TEXT = FILE.read_text(encoding="utf-8")
DECLARED: list[dict[str, Any]] = yaml.safe_load(TEXT)["deployments"]
EXAMPLES = {
    "run_campaign": ["configs/colony.yaml"],
    "run_local_simulations": ["configs/colony.yaml"],
    "run_docker_simulations": ["context=docker", "series=colony", "parameters=colony", "parameters.image=colony:1.0"],
    "run_cluster_simulations": ["context=cluster", "series=colony", "parameters=colony"],
    "run_solver_simulations": ["configs/waveguide.yaml"],
    "run_batch_simulations": ["context=batch", "series=colony", "parameters=colony", "parameters.image=colony:1.0"],
}
RUN = (AnyContextConfig, SeriesConfig, ParametersConfig)
MANIFEST = (ManifestContextConfig, ManifestSeriesConfig, ManifestParametersConfig)


def flow_of(deployment: dict[str, Any]) -> str:
    return str(deployment["entrypoint"].split(".")[1])


def read_parameters(deployment: dict[str, Any], kinds: tuple[Any, Any, Any]) -> Any:
    parts = {**deployment["parameters"]}
    return load(["::", *(f"{name}={json.dumps(value)}" for name, value in parts.items())], *kinds, directory=ROOT)


def test_every_flow_has_a_deployment_and_prefect_reads_the_file() -> None:
    assert sorted(map(flow_of, DECLARED)) == sorted(name for name, _ in listed())
    model = PrefectYamlModel.model_validate(yaml.safe_load(TEXT))
    assert len(model.deployments) == len(DECLARED)
    for each in model.deployments:
        assert each.concurrency_limit.model_dump(exclude_none=True) == {  # type: ignore[union-attr]
            "limit": 1,
            "collision_strategy": "CANCEL_NEW",
        }
        assert "simcampaign" in each.tags  # type: ignore[operator]
    assert [flow_of(each) for each in DECLARED if each.get("schedules")] == ["run_campaign"]


@pytest.mark.parametrize("deployment", DECLARED, ids=flow_of)
def test_the_parameters_of_a_deployment_are_those_of_the_examples(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    kinds = MANIFEST if flow == "summarize_manifest" else RUN
    declared = read_parameters(deployment, kinds)
    if flow in EXAMPLES:
        example = load(EXAMPLES[flow], *RUN, directory=ROOT)
        assert declared.context == example.context
        assert declared.expanded == example.expanded
        assert declared.parameters == example.parameters


POOLS = {
    "docker": {"image", "image_pull_policy", "networks", "auto_remove", "env"},
    "ecs": {
        *("image", "cluster", "launch_type", "cpu", "memory", "execution_role_arn", "task_role_arn", "vpc_id", "env"),
    },
    "kubernetes": {"image", "image_pull_policy", "namespace", "service_account_name", "finished_job_ttl", "env"},
}
"""The variables of each pool's job template that may be given, by Prefect's documentation of its workers."""


def uncommented() -> dict[str, Any]:
    """The file with its other pools, and each deployment once more for each of them."""
    lines = []
    for line in TEXT.splitlines():
        found = re.match(r"(  )# (  .*|(?:docker|ecs|kubernetes): .*)$", line)
        lines.append(f"{found[1]}{found[2]}" if found else line)
    text = "\n".join(lines)
    assert "&docker" in re.sub(r"#.*", "", text)
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("kind", POOLS)
def test_the_other_pools_are_valid_once_they_are_uncommented(kind: str) -> None:
    pool = uncommented()["definitions"][kind]
    model = PrefectYamlModel.model_validate({"deployments": [{**each, "work_pool": pool} for each in DECLARED]})
    for each in model.deployments:
        assert each.work_pool is not None
        assert each.work_pool.name == pool["name"]
        assert set(each.work_pool.job_variables) == POOLS[kind]
    assert pool["job_variables"]["env"]["SIMCAMPAIGN_LEDGER_URL"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner),
    max_leaves=10,
)
mappings = st.dictionaries(st.text("abc", min_size=1, max_size=2), plain, max_size=4)


@given(mappings, mappings)
def test_changes_are_told_exactly_where_something_differs(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert list(changes(old, old)) == []
    assert bool(list(changes(old, new))) == (json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True))
    added = [line for line in changes({}, new) if line.startswith("+ ")]
    assert len(added) == len(new)


def test_changes_name_their_path_and_both_values() -> None:
    old = {"series": {"seeds": "0-7", "conditions": [{"key": "a"}, {"key": "b"}]}, "gone": 1}
    new = {"series": {"seeds": "0-9", "conditions": [{"key": "a"}, {"key": "c", "x": 2}]}}
    assert list(changes(old, new)) == [
        '~ series.seeds: "0-7" → "0-9"',
        '~ series.conditions.1.key: "b" → "c"',
        "+ series.conditions.1.x: 2",
        "- gone: 1",
    ]


pytestmark = pytest.mark.timeout(900)  # servers and flows start slowly on a busy machine
FLOW = "flows.run_campaign"
LOCAL = "context.kind=local"


def test_a_deployment_is_made_from_a_config_and_written_over_only_when_the_person_agrees(place: Any, api: Any) -> None:
    make_pool(api.url)
    made = place.run("toy.yaml", LOCAL, "--deploy", "nightly", "--cron", "0 2 * * *", flow=FLOW)
    assert made.status == 0, made.text
    assert "deployment run-campaign/nightly is created" in made.out
    stored = api.deployment("run-campaign/nightly")
    assert stored["parameters"]["series"]["seeds"] == "0-2"
    assert stored["parameters"]["context"]["kind"] == "local"
    assert (stored["tags"], stored["work_pool_name"]) == (["simcampaign", "toy"], POOL)
    assert stored["global_concurrency_limit"]["limit"] == 1
    assert stored["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    [schedule] = stored["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 2 * * *", True)
    assert validate(stored["parameters"], stored["parameter_openapi_schema"]) == []

    asked = place.run("toy.yaml", LOCAL, "series.seeds=0-4", "--deploy", "nightly", flow=FLOW)
    assert asked.status == 2, asked.text
    assert '~ series.seeds: "0-2" → "0-4"' in asked.out
    assert "add --yes" in asked.err
    assert api.deployment("run-campaign/nightly")["parameters"] == stored["parameters"]

    agreed = place.run("toy.yaml", LOCAL, "series.seeds=0-4", "--deploy", "nightly", "--yes", flow=FLOW)
    assert agreed.status == 0, agreed.text
    renewed = api.deployment("run-campaign/nightly")
    assert renewed["parameters"]["series"]["seeds"] == "0-4"
    assert renewed["schedules"][0]["schedule"]["cron"] == "0 2 * * *", "a schedule stays that is not named"
    same = place.run("toy.yaml", LOCAL, "series.seeds=0-4", "--deploy", "nightly", flow=FLOW)
    assert (same.status, same.out) == (0, "deployment run-campaign/nightly is already as the config says.\n")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--deploy", "x", "--cron", "often"], 2, "--cron = 'often': is none"),
        (["--deploy", "x", "--pool", "nowhere"], 3, "prefect work-pool create nowhere --type process"),
        (["--deploy", "a/b"], 2, "--deploy = 'a/b': is no name"),
        (["--cron", "* * * * *"], 2, "--cron: belongs to a deployment; add --deploy NAME"),
    ],
)
def test_what_cannot_be_deployed_is_said_with_the_next_command(
    place: Any, api: Any, options: list[str], status: int, words: str
) -> None:
    make_pool(api.url)
    done = place.run("toy.yaml", LOCAL, *options, flow=FLOW)
    assert (done.status, words in done.err) == (status, True), done.text


def test_a_long_list_of_conditions_is_deployed_as_a_file(place: Any, api: Any) -> None:
    make_pool(api.url)
    conditions = [{"key": f"condition_number_{n:06d}", "do": "ok", "x": n} for n in range(8000)]
    place.configure(series={"conditions": conditions})
    done = place.run("toy.yaml", LOCAL, "--deploy", "long", flow=FLOW)
    assert done.status == 0, done.text
    stored = api.deployment("run-campaign/long")["parameters"]["series"]["conditions"]
    assert len(json.loads(Path(stored["from_file"]).read_text())) == 8000


def test_without_a_server_that_stays_nothing_is_deployed(place: Any) -> None:
    done = place.run("toy.yaml", LOCAL, "--deploy", "x", flow=FLOW)
    assert done.status == 3, done.text
    assert "prefect server start" in done.err


class Mailbox(BaseHTTPRequestHandler):
    """Takes what notification blocks post."""

    received: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_word_is_sent_when_runs_fail(place: Any, api: Any) -> None:
    Mailbox.received.clear()
    mailbox = ThreadingHTTPServer(("127.0.0.1", 0), Mailbox)
    threading.Thread(target=mailbox.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{mailbox.server_port}/"
        make_block = (
            "from prefect.blocks.notifications import CustomWebhookNotificationBlock as Block\n"
            f"Block(name='box', url={url!r}, json_data={{'subject': '{{{{subject}}}}', 'body': '{{{{body}}}}'}})"
            ".save('simulations')\n"
        )
        script = str(ROOT / "deployments/automations.py")
        for command in (["-c", make_block], [script, "custom-webhook/simulations"], [script, "custom-webhook/nothing"]):
            done = subprocess.run(
                [sys.executable, *command],
                cwd=place.root,
                env=place.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == (3 if "nothing" in command[-1] else 0), done.stdout + done.stderr
        [automation] = [each for each in api.post("automations/filter") if "campaign" in each["name"]]
        assert automation["enabled"]
        place.configure(series={"name": "poor", "conditions": [{"key": "p", "do": "once", "x": 1}], "seeds": "0-1"})
        ended = place.run("toy.yaml", LOCAL, "--until-complete", flow=FLOW)
        assert ended.status == 1, ended.text
        until(lambda: Mailbox.received)
        assert Mailbox.received[0]["subject"] == "poor: runs failed"
        assert "poor_p_000" in Mailbox.received[0]["body"]
        assert "application" in Mailbox.received[0]["body"]
    finally:
        mailbox.shutdown()
