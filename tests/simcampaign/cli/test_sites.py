"""The verbs about sites: list, show, add, remove, queues, doctor."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.simcampaign.cli.conftest import Type
from tests.simcampaign.cli.terminal import Terminal

pytestmark = pytest.mark.usefixtures("toy")

FILE = """# Sites of ours.
[zoo]   # the first
backend = "toy"
depth = 2

[zoo.environment]
A = "[attic]"

# What follows is old.
[attic]
backend = "toy"
depth = 1
broken = true
"""


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "sites.toml"
    path.write_text(FILE)
    return path


def test_sites_are_listed_and_one_that_cannot_be_used_says_why(type_: Type, file: Path) -> None:
    file.write_text(f"{FILE}\n[cellar]\nbackend = 'toy'\n")
    answer = type_("sites")
    assert answer.status == 0
    assert [line.split()[:2] for line in answer.out.splitlines()[1:5]] == [
        ["local", "local"],
        ["zoo", "toy"],
        ["attic", "toy"],
        ["cellar", "toy"],
    ]
    assert re.search(r"cellar cannot be used:\n\s+cellar.depth: is missing", answer.out)


def test_the_list_as_json_has_all_sites_and_all_backends(type_: Type, file: Path) -> None:
    document = type_("sites", "--json").document
    assert document["file"] == str(file)
    assert [(each["name"], each["backend"], each["broken"]) for each in document["sites"][1:]] == [
        ("zoo", "toy", None),
        ("attic", "toy", None),
    ]
    assert {"local", "slurm", "toy"} <= {each["name"] for each in document["backends"]}


def test_without_any_site_the_list_says_how_to_add_one(type_: Type) -> None:
    answer = type_("sites")
    assert "local" in answer.out
    assert "simcampaign sites add" in answer.err


def test_a_site_is_shown_with_every_field_its_meaning_and_whether_it_was_set(type_: Type, file: Path) -> None:
    lines = type_("sites", "show", "zoo").out.splitlines()
    shown = {line.split()[0]: line for line in lines if line}
    assert "2" in shown["depth"]
    assert "default" not in shown["depth"]
    assert re.search(r"main +default +Which queue the toy stands in\.", shown["queue"])
    assert "A=[attic]" in shown["environment"]
    document = type_("sites", "show", "zoo", "--json").document
    assert document["fields"]["depth"] == 2
    assert document["fields"]["environment"] == {"A": "[attic]"}
    assert document["capabilities"]["queues"] is True


def test_queues_are_a_table_of_what_there_is_and_what_is_used(type_: Type, file: Path) -> None:
    lines = type_("queues", "zoo").out.splitlines()
    assert lines[0].split() == ["QUEUE", "STATE", "NODES", "CORES", "MEMORY", "MIB", "LONGEST"]
    assert lines[1].split() == ["main", "(default)", "up", "1", "/", "4", "16", "/", "64", "4096", "1-02:00"]
    assert lines[2].split() == ["other", "down"]
    queue = type_("queues", "zoo", "--json").document["queues"][0]
    assert (queue["name"], queue["cores"], queue["default"]) == ("main", 64, True)


def test_the_doctor_marks_each_finding_and_exits_with_1_if_jobs_will_fail(type_: Type, file: Path) -> None:
    fine = type_("doctor", "zoo")
    assert (fine.status, fine.out.splitlines()) == (
        0,
        ["✓ reachable: it lies in the box", "✓ works: so it seems", "· colour: grey"],
    )
    bad = type_("doctor", "attic")
    assert bad.status == 1
    assert "✗ works: it is in pieces" in bad.out
    document = type_("doctor", "attic", "--json").document
    assert document["fine"] is False
    assert [each["fine"] for each in document["findings"]] == [True, False, None]


def test_an_unknown_site_is_answered_with_the_nearest_one(type_: Type, file: Path) -> None:
    for verb in (["doctor"], ["queues"], ["sites", "show"], ["sites", "remove"]):
        answer = type_(*verb, "zo")
        assert answer.status == 2
        assert "did you mean `zoo`?" in answer.err


def test_a_site_is_added_without_questions_and_the_file_stays_as_it_was(type_: Type, file: Path) -> None:
    settings = ["depth=3", "colours=red, green", "executable=lmp -in {input}", "environment.A=1", "environment.B=x y"]
    answer = type_(
        "sites", "add", "shed", "--backend", "toy", *(part for each in settings for part in ("--set", each)), "--yes"
    )
    assert answer.status == 0, answer.err
    assert "✓ works" in answer.out
    text = file.read_text()
    assert text.startswith(FILE)
    assert tomllib.loads(text)["shed"] == {
        "backend": "toy",
        "depth": 3,
        "colours": ["red", "green"],
        "executable": "lmp -in {input}",
        "environment": {"A": "1", "B": "x y"},
    }
    assert type_("doctor", "shed").status == 0


def test_line_ends_and_a_link_to_the_file_stay_as_they_are(type_: Type, home: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_bytes(FILE.replace("\n", "\r\n").encode().rstrip())
    (home / "sites.toml").symlink_to(real)
    before = real.read_bytes()
    assert type_("sites", "add", "shed", "--backend", "toy", "--set", "depth=1", "--yes").status == 0
    assert real.read_bytes().startswith(before)
    assert (home / "sites.toml").is_symlink()
    assert type_("sites", "remove", "shed").status == 0
    assert real.read_bytes().rstrip() == before


@pytest.mark.parametrize("value", ['a "b" \\ c', "x\x7fy", "ü\t€", "'", "a # b", "1\nbackend = 'slurm'"])
def test_any_text_is_read_back_as_it_was_given(type_: Type, home: Path, value: str) -> None:
    answer = type_("sites", "add", "a.b", "--backend", "toy", "--set", "depth=1", "--set", f"queue={value}", "--yes")
    assert answer.status == 0, answer.err
    assert tomllib.loads((home / "sites.toml").read_text())["a.b"]["queue"] == value


def test_a_site_that_the_doctor_finds_bad_is_not_written_unless_unchecked(type_: Type, home: Path) -> None:
    typed = ["sites", "add", "shed", "--backend", "toy", "--set", "depth=3", "--set", "broken=true", "--yes"]
    answer = type_(*typed)
    assert answer.status == 1
    assert "was not written" in answer.err
    assert not (home / "sites.toml").exists()
    assert type_(*typed, "--unchecked").status == 0
    assert (home / "sites.toml").exists()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["zoo", "--backend", "toy", "--set", "depth=1"], "is already in"),
        (["../x", "--backend", "toy", "--set", "depth=1"], "letters, digits"),
        (["shed", "--backend", "toi", "--set", "depth=1"], "did you mean `toy`"),
        (["shed", "--backend", "toy", "--set", "dept=1"], "did you mean `depth`"),
        (["shed", "--backend", "toy", "--set", "depth=deep"], "shed.depth"),
        (["shed", "--backend", "toy"], "shed.depth: is missing"),
        (["shed"], "--backend: is missing"),
        ([], "NAME: is missing"),
        (["shed", "--backend", "toy", "--set", "depth"], "must be NAME=VALUE"),
    ],
)
def test_what_cannot_be_added_is_refused_and_the_file_stays(
    type_: Type, file: Path, typed: list[str], said: str
) -> None:
    answer = type_("sites", "add", *typed, "--yes")
    assert answer.status == 2
    assert said in answer.err
    assert file.read_text() == FILE


def test_a_site_is_removed_with_its_tables_and_comments_of_others_stay(type_: Type, file: Path) -> None:
    assert type_("sites", "remove", "zoo").status == 0
    assert file.read_text() == "# Sites of ours.\n# What follows is old.\n" + FILE.partition("old.\n")[2]
    assert type_("sites", "remove", "attic", "--json").document["removed"] is True
    assert "backend" not in file.read_text()


@pytest.mark.parametrize(
    "text", ['zoo = {backend = "toy", depth = 2}\n', '[zoo]\nqueue = """\n[attic]\n"""\ndepth=1\n']
)
def test_a_table_that_cannot_be_taken_out_safely_is_left_to_the_person(type_: Type, file: Path, text: str) -> None:
    file.write_text(text)
    answer = type_("sites", "remove", "zoo")
    if answer.status == 0:
        assert file.read_text() == ""
    else:
        assert "delete" in answer.err
        assert file.read_text() == text


@pytest.fixture
def path_of_toy(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(toy))


@pytest.mark.usefixtures("path_of_toy")
def test_a_person_is_asked_again_after_a_wrong_answer_and_the_doctor_comes_before_the_file(file: Path) -> None:
    person = Terminal(["sites", "add"])
    person.answer("Name of the new site: ", "zoo")
    person.expect("is already in")
    person.answer("Name of the new site: ", "shed")
    person.answer("Backend: ", "toi")
    person.expect("did you mean `toy`?")
    person.answer("Backend: ", "toy")
    person.expect("Which queue the toy stands in.")
    person.answer("queue: ", "side")
    person.expect("How deep the box is")
    person.answer("depth: ", "deep")
    person.answer("depth: ", "7")
    person.answer("executable: ", "")
    person.answer("mpirun: ", "")
    person.expect("✓ works")
    assert file.read_text() == FILE
    person.answer("[Y/n] ", "")
    assert person.end() == 0
    assert tomllib.loads(file.read_text())["shed"] == {"backend": "toy", "queue": "side", "depth": 7}
    assert file.read_text().startswith(FILE)


@pytest.mark.usefixtures("path_of_toy")
def test_a_person_may_decline(file: Path) -> None:
    person = Terminal(["sites", "add", "shed", "--backend", "toy", "--set", "depth=1", "--set", "broken=true"])
    person.answer("[y/N] ", "")
    assert person.end() == 1
    assert file.read_text() == FILE


@pytest.mark.usefixtures("path_of_toy")
def test_ctrl_c_while_asked_writes_nothing(file: Path) -> None:
    person = Terminal(["sites", "add"])
    person.expect("Name of the new site: ")
    person.interrupt()
    assert person.end() == 130
    assert file.read_text() == FILE
