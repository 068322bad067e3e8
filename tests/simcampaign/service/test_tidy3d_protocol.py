"""Tidy3D's protocol as far as it needs no tidy3d: tasks, files with temporary keys, who may see what."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from simcampaign.service.tidy3d import words
from simcampaign.service.tidy3d.exchange import policy
from tests.integration.services.aws import KEYS, Aws, aws_server
from tests.simcampaign.service.server import Server, running

ADA, BOB = "token-of-ada-which-is-long", "token-of-bob-which-is-long"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    with aws_server(tmp_path_factory.mktemp("aws")) as aws:
        aws.client("s3").create_bucket(Bucket="exchange")
        yield aws


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, aws: Aws) -> Iterator[Server]:
    users = "".join(
        f'[users.{name}]\ntoken_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        for name, token in (("ada", ADA), ("bob", BOB))
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        settings = f'[solver.tidy3d]\nexchange = "s3://exchange/tasks"\n{users}'
        with running(tmp_path_factory.mktemp("tidy3d") / "home", settings, "--tidy3d") as server:
            yield server


class Person:
    """Somebody who calls with an API key."""

    def __init__(self, service: Server, token: str) -> None:
        self.http = httpx.Client(
            base_url=f"{service.http.base_url}/tidy3d-api", headers={"simcloud-api-key": token}, timeout=60
        )

    def __call__(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self.http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()["data"] if status == 200 else answer.json()["error"]

    def create(self, kind: str = "MODE_SOLVER", folder: str = "shelf") -> str:
        asked = {"taskName": "one", "taskType": kind, "callbackUrl": None, "parentTasks": None, "fileType": "Gz"}
        found = self("POST", f"/tidy3d/projects/{words.folder_id(folder)}/tasks", json=asked)
        assert "taskType" not in found, "clients give it again, and would stumble"
        return str(found["taskId"])

    def place(self, task: str, name: str, status: int = 200) -> Any:
        return self("GET", f"/tidy3d/py/tasks/{task}/file", status, params={"filename": name})


@pytest.fixture(scope="module")
def ada(service: Server) -> Person:
    return Person(service, ADA)


@pytest.fixture(scope="module")
def bob(service: Server) -> Person:
    return Person(service, BOB)


def put(aws: Aws, place: Any, data: bytes) -> None:
    """Upload as a client does, with the keys that it was given."""
    keys = place["userCredentials"]
    bucket, _, key = place["cloudpath"].removeprefix("s3://").partition("/")
    boto3.client(
        "s3",
        endpoint_url=aws.endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["accessKeyId"],
        aws_secret_access_key=keys["secretAccessKey"],
        aws_session_token=keys["sessionToken"],
    ).put_object(Bucket=bucket, Key=key, Body=data)


def test_without_a_key_or_with_another_service_s_nothing_is_answered(service: Server) -> None:
    assert Person(service, "")("GET", "/tidy3d/projects", 401)
    assert Person(service, "wrong")("GET", "/tidy3d/projects", 401) == "this token is not known"


def test_a_folder_is_there_as_soon_as_it_is_named(ada: Person) -> None:
    folder = ada("GET", "/tidy3d/project", params={"projectName": "Größe/1"})
    assert folder["projectName"] == "Größe/1"
    assert ada("POST", "/tidy3d/projects", json={"projectName": "Größe/1"}) == folder
    assert ada("GET", f"/tidy3d/projects/{folder['projectId']}/tasks") == []
    ada("GET", "/tidy3d/projects/folder-nonsense!/tasks", 404)


def test_keys_are_temporary_not_the_service_s_own_and_for_the_upload_alone_until_it_came(
    ada: Person, service: Server
) -> None:
    task = ada.create()
    place = ada.place(task, "mode_solver.hdf5.gz")
    assert place["cloudpath"] == f"s3://exchange/tasks/{task}/mode_solver.hdf5.gz"
    keys = place["userCredentials"]
    assert keys["accessKeyId"] != KEYS["AWS_ACCESS_KEY_ID"]
    assert keys["sessionToken"]
    left = datetime.fromisoformat(keys["expiration"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < left <= timedelta(hours=1)
    for name in ("output/mode_solver_data.hdf5.gz", "output/tidy3d.log", "simulation.hdf5.gz", "../other"):
        ada.place(task, name, 404)
    assert keys["secretAccessKey"] not in service.log.read_text()


def test_keys_allow_one_file_to_be_written_or_those_of_one_task_to_be_read() -> None:
    (write,) = json.loads(policy("exchange", "tasks/task-1/simulation.hdf5.gz", write=True))["Statement"]
    assert write["Resource"] == ["arn:aws:s3:::exchange/tasks/task-1/simulation.hdf5.gz"]
    assert "s3:PutObject" in write["Action"]
    (read,) = json.loads(policy("exchange", "tasks/task-1/", write=False))["Statement"]
    assert (read["Resource"], read["Action"]) == (["arn:aws:s3:::exchange/tasks/task-1/*"], ["s3:GetObject"])


def test_tasks_of_another_user_are_not_there(ada: Person, bob: Person) -> None:
    task = ada.create()
    for method, path in (
        ("GET", f"/tidy3d/tasks/{task}/detail"),
        ("POST", f"/tidy3d/tasks/{task}/metadata"),
        ("DELETE", f"/tidy3d/tasks/{task}"),
        ("GET", f"/rf/task/{task}/statistics"),
    ):
        bob(method, path, 404)
    bob.place(task, "mode_solver.hdf5.gz", 404)
    assert bob("GET", f"/tidy3d/projects/{words.folder_id('shelf')}/tasks") == []


def test_a_task_is_no_modeler_unless_it_was_made_as_one(ada: Person) -> None:
    ada("GET", f"/rf/task/{ada.create()}/statistics", 404)
    asked = {"groupName": "ports", "folderId": words.folder_id("shelf"), "taskType": "TERMINAL_CM", "fileType": "Gz"}
    task = ada("POST", "/rf/task", json=asked)["taskId"]
    assert ada("GET", f"/rf/task/{task}/statistics")["status"] == "draft"
    ada("DELETE", f"/tidy3d/group/{task}/versions", json={"versions": [task]})
    ada("GET", f"/rf/task/{task}/statistics", 404)


def test_what_was_not_uploaded_is_not_quoted_and_what_nothing_reads_is_refused(
    ada: Person, aws: Aws, tmp_path: Path
) -> None:
    task = ada.create("MODE")
    assert "has no simulation.hdf5.gz yet" in ada("POST", f"/tidy3d/tasks/{task}/metadata", 409, json={})
    put(aws, ada.place(task, "simulation.hdf5.gz"), gzip.compress(b"nothing"))
    ada("POST", f"/tidy3d/tasks/{task}/metadata", json={})
    told = ada("GET", f"/tidy3d/tasks/{task}/detail")
    assert (told["status"], told["metadataStatus"]) == ("validate_error", "validate_error")
    assert "owner named no environment of tidy3d" in told["message"]
    ada.place(task, "output/tidy3d_validation.json")
    kept = aws.client("s3").get_object(Bucket="exchange", Key=f"tasks/{task}/output/tidy3d_validation.json")
    assert json.load(kept["Body"])["validation_error"] == told["message"]
    assert "is invalid" in ada("POST", f"/tidy3d/tasks/{task}/submit", 409, json={"payType": "AUTO"})
    ada("DELETE", f"/tidy3d/tasks/{task}")
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="exchange", Prefix=f"tasks/{task}/")


@pytest.mark.parametrize("name", ["", "default", "Größe/1", "a" * 120])
def test_a_folder_s_name_comes_back_from_its_id(name: str) -> None:
    assert words.folder_name(words.folder_id(name)) == name
