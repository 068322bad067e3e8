"""The guide is true: every command in it runs as it is written and answers what the page says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from configs import load
from configs.local import LocalContextConfig
from configs.parameters import ParametersConfig
from configs.series import SeriesConfig

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
GUIDE = sorted((ROOT / "docs").glob("*.md"))
TYPED = ("bash", "console")
LANGUAGES = (*TYPED, "yaml", "json", "python", "text", "csv")
MOST_NOT_RUN = 10
"""Blocks of the whole guide that may be marked as not run."""

PAGE_SECONDS = 900
"""A page takes a minute or less on an idle machine; CI machines are not idle."""

_FENCE = re.compile(
    r"(?:^<!-- (?P<mark>not run:.*?) -->\n)?^```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_STATUS = "echo $?"


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    body: str
    reason: str
    """Why it is not run; empty if nothing is said."""

    marked: bool
    file: str
    """The file that the reader is asked to save it as; empty if none."""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Step:
    """One thing typed, and the lines that must come back; ``…`` stands for anything."""

    block: Block
    typed: str
    expected: tuple[str, ...] = ()


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, match.start("language")) + 1,
            language=match["language"],
            body=match["body"],
            reason=(match["mark"] or "").removeprefix("not run:").strip(),
            marked=match["mark"] is not None,
            file=match["rest"].strip().removeprefix("file="),
        )
        for match in _FENCE.finditer(text)
    ]


def read_steps(page: Path) -> list[Step]:
    """Return what a reader of a page types, in order; saving a file is typed, too."""
    steps: list[Step] = []
    for block in read_blocks(page):
        if block.marked:
            continue
        if block.file:
            steps.append(Step(block, f"cat > '{block.file}' <<'END-OF-FILE'\n{block.body}END-OF-FILE"))
        elif block.language == "bash":
            steps.append(Step(block, f"set -e\n{block.body}set +e"))
        elif block.language == "console":
            steps += _read_session(block)
    return steps


def _read_session(block: Block) -> list[Step]:
    before, *answers = re.split(r"^\$ ", block.body, flags=re.MULTILINE)
    assert not before, f"{block}: a console block starts with a line `$ command`"
    pairs = (answer.partition("\n") for answer in answers)
    return [Step(block, command, tuple(expected.splitlines())) for command, _, expected in pairs]


def write_script(steps: list[Step]) -> str:
    """Return one shell script of all steps; after each it prints a mark with its number and exit status."""
    lines = []
    for number, step in enumerate(steps):
        looked_at = step.typed == _STATUS or [after.typed for after in steps[number + 1 : number + 2]] == [_STATUS]
        lines += [step.typed, f"status=$?; printf '\\n\\036%d %d\\n' {number} $status"]
        lines.append("(exit $status)" if looked_at else "[ $status = 0 ] || exit 1")
    return "\n".join([*lines, "exit 0", ""])


def missing_line(expected: tuple[str, ...], output: str) -> str | None:
    """Return the first expected line that does not come, in order, in ``output``; None if all do."""
    lines = iter(output.splitlines())
    for wanted in (line for line in expected if line != "…"):
        pattern = re.compile(".*".join(map(re.escape, wanted.rstrip().split("…"))))
        if not any(pattern.fullmatch(line.rstrip()) for line in lines):
            return wanted
    return None


def run_script(script: Path, project: Path, environment: Mapping[str, str]) -> str:
    """Run a script as a reader would; returns what it printed. It and its children end within ``PAGE_SECONDS``."""
    shell = subprocess.Popen(
        ["bash", "--norc", str(script)],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        return shell.communicate(timeout=PAGE_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        return shell.communicate()[0]


@pytest.mark.timeout(PAGE_SECONDS + 120)
@pytest.mark.parametrize("page", [page for page in GUIDE if read_steps(page)], ids=lambda page: page.stem)
def test_every_command_of_the_page_runs_and_answers_what_the_page_says(
    page: Path, reader: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    project, environment = reader
    steps = read_steps(page)
    script = tmp_path / "page.sh"
    script.write_text(write_script(steps))
    pieces = re.split(r"\n\036(\d+) (\d+)\n", run_script(script, project, environment))
    for number, step in enumerate(steps):
        output = pieces[3 * number]
        ended = len(pieces) > 3 * number + 2
        status = pieces[3 * number + 2] if ended else "unknown"
        said = f"{step.block}: $ {step.typed}\n{output}\n(exit status {status})"
        assert ended, f"did not end, or not within {PAGE_SECONDS} s:\n{said}"
        looked_at = [after.typed for after in steps[number + 1 : number + 2]] == [_STATUS]
        assert status == "0" or looked_at, f"failed:\n{said}"
        wanted = missing_line(step.expected, output)
        assert wanted is None, f"this line did not come: {wanted}\n{said}"


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    marked = [block for page in GUIDE for block in read_blocks(page) if block.marked]
    assert len(marked) <= MOST_NOT_RUN
    assert [str(block) for block in marked if len(block.reason) < 10] == []


@pytest.mark.parametrize("page", [README, *GUIDE], ids=lambda page: page.stem)
def test_every_block_is_of_a_known_kind_so_that_none_escapes(page: Path) -> None:
    blocks = read_blocks(page)
    assert [str(block) for block in blocks if block.language not in LANGUAGES] == []
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks)
    for block in blocks:
        if block.language == "yaml":
            assert yaml.safe_load(block.body), block


@pytest.mark.parametrize("page", [README, *GUIDE], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if "://" not in link]
    for link in links:
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_leads_to_every_page() -> None:
    links = set(_LINK.findall((ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in GUIDE} - {"index.md"} <= links


def test_the_readme_is_one_screen_with_the_two_commands() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 70
    typed = [
        line.split("#")[0].strip()
        for block in read_blocks(README)
        if block.language == "bash"
        for line in block.body.splitlines()
    ]
    assert typed == ["make demo", "make test"]
    for target in ("demo", "test"):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_picture_in_the_readme_is_small() -> None:
    picture = ROOT / "docs" / "images" / "summary.png"
    assert "docs/images/summary.png" in README.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 200_000


def test_the_config_in_the_readme_is_that_of_the_demo(tmp_path: Path) -> None:
    [block] = [block for block in read_blocks(README) if block.language == "yaml"]
    path = tmp_path / "colony.yaml"
    path.write_text(block.body)
    kinds = (LocalContextConfig, SeriesConfig, ParametersConfig)
    shown, demo = (load([str(each)], *kinds) for each in (path, ROOT / "configs" / "colony.yaml"))
    assert shown.context == demo.context
    assert shown.expanded == demo.expanded
    assert shown.parameters == demo.parameters
