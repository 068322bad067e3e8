"""The command line itself: help, typos, exit statuses."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from simcampaign.cli.verbs import VERBS
from tests.simcampaign.cli.conftest import Type

NAMES = [verb.name for verb in VERBS]
DEEDS = [[verb.name, each.name] for verb in VERBS for each in verb.below]


@pytest.mark.parametrize("words", [[name] for name in NAMES] + DEEDS, ids=" ".join)
def test_every_verb_has_help_with_examples_and_json(type_: Type, words: list[str]) -> None:
    answer = type_(*words, "--help")
    assert answer.status == 0
    assert f"  simcampaign {' '.join(words)}" in answer.out.partition("examples:")[2]
    assert "--json" in answer.out


def test_the_help_lists_every_verb_and_every_exit_status(type_: Type) -> None:
    for answer in (type_("--help"), type_()):
        assert answer.status == 0
        listed = re.findall(r"^    ([a-z-]+)(?: |$)", answer.out, re.MULTILINE)
        assert [name for name in NAMES if name not in listed] == []
        assert all(f"\n  {status} " in answer.out for status in (0, 1, 2, 3, 130))


def test_help_loads_nothing_heavy_so_that_it_is_there_at_once() -> None:
    heavy = "{'pydantic', 'sqlalchemy', 'rich', 'prefect'}"
    code = f"import sys; from simcampaign.cli import main; main(['--help']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["stauts"], "did you mean `status`?"),
        (["sites", "ad"], "did you mean `sites add`?"),
        (["frobnicate"], "one of: run, submit, jobs"),
        (["wait"], "NAME"),
        (["wait", "x", "--timeout", "soon"], "'soon' is no time"),
        (["jobs", "--limit", "0"], "1 or more"),
        (["jobs", "--since", "yesterday"], "2026-01-31"),
        (["jobs", "--site"], "expected one argument"),
        (["jobs", "--sit", "x"], "unrecognized arguments"),
        (["run", "x.in"], "--to"),
        (["run", "x.in", "--to", "o", "--env", "A"], "NAME=VALUE"),
        (["jobs", "--", "ls"], "takes no command"),
    ],
)
def test_what_was_typed_wrong_is_said_with_what_to_type_next(type_: Type, typed: list[str], said: str) -> None:
    answer = type_(*typed)
    assert answer.status == 2
    assert said in answer.err
    assert "--help" in answer.err
    assert answer.out == ""


def test_the_version_is_told(type_: Type) -> None:
    answer = type_("--version")
    assert answer.status == 0
    assert answer.out.startswith("simcampaign ")


def test_a_reader_who_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m simcampaign sites --json | true"
    ended = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False)
    assert ended.returncode in {0, 141}
    assert ended.stderr == b""
