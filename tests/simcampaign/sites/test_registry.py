"""The file of sites and the installed backends, those of other packages included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcampaign.errors import ConfigError, LocationError
from simcampaign.plugins import Broken
from simcampaign.sites.registry import backends, open_site, site_names, sites_file
from tests.packages import install
from tests.simcampaign.sites.plugins import TOY

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the file of sites."""
    file = tmp_path / "my sites.toml"
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(file))

    def save(text: str) -> Path:
        file.write_text(text, encoding="utf-8")
        return file

    return save


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a package that adds backends."""

    def add(package: str, module: str, **named: str) -> None:
        folder = install(tmp_path / f"path of {package}", package, module, "simcampaign.sites", named)
        monkeypatch.syspath_prepend(str(folder))

    yield add
    for name in ("bad", "other"):
        sys.modules.pop(name, None)


@pytest.fixture
def toy(plug: Callable[..., None]) -> None:
    plug("toysites", TOY, toy="toysites:ToySite")


def mistakes(name: str) -> dict[str, str]:
    """Open a site that has mistakes; returns what is said of each path."""
    with pytest.raises(ConfigError) as caught:
        open_site(name)
    return {problem.path: f"{problem.reason}; {problem.remedy}" for problem in caught.value.problems}


def test_the_file_is_where_the_variables_say_or_else_where_the_platform_keeps_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIMCAMPAIGN_SITES", raising=False)
    monkeypatch.delenv("SIMCAMPAIGN_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert sites_file() == tmp_path / "config" / "simcampaign" / "sites.toml"
    monkeypatch.setenv("SIMCAMPAIGN_HOME", str(tmp_path / "home"))
    assert sites_file() == tmp_path / "home" / "sites.toml"
    monkeypatch.setenv("SIMCAMPAIGN_SITES", "~/mine.toml")
    assert sites_file() == Path.home() / "mine.toml"


def test_local_is_there_without_any_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(tmp_path / "none.toml"))
    assert site_names() == ("local",)
    site = open_site("local")
    assert (site.name, site.backend, site.executable, site.mpirun, site.environment) == ("local", "local", (), (), {})
    assert site.site.name == "local"


def test_a_table_local_changes_how_inputs_are_started(write: Write) -> None:
    write('[local]\nexecutable = "lmp -in {input}"\nmpirun = ["mpirun", "-n", "{ranks}"]\nenvironment = {A = "1"}\n')
    site = open_site("local")
    assert site.executable == ("lmp", "-in", "{input}")
    assert site.mpirun == ("mpirun", "-n", "{ranks}")
    assert site.environment == {"A": "1"}


@pytest.mark.usefixtures("toy")
def test_sites_come_in_the_order_of_the_file_after_local(write: Write) -> None:
    write("[zoo]\nbackend = 'toy'\ndepth = 2\n[attic]\nbackend = 'toy'\n")
    assert site_names() == ("local", "zoo", "attic")


@pytest.mark.usefixtures("toy")
def test_another_package_adds_a_backend_with_options_of_its_own(write: Write) -> None:
    write("[zoo]\nbackend = 'toy'\ndepth = 2\ncolours = ['red']\n")
    zoo: Any = open_site("zoo").site
    assert (zoo.given.queue, zoo.given.depth, zoo.given.colours) == ("main", 2, ["red"])


@pytest.mark.usefixtures("toy")
def test_a_table_with_the_name_of_a_backend_need_not_say_it(write: Write) -> None:
    write("[toy]\ndepth = 1\n")
    assert open_site("toy").backend == "toy"


@pytest.mark.usefixtures("toy")
def test_every_mistake_of_a_table_is_said_at_once_with_what_would_be_right(write: Write) -> None:
    file = write(
        "[zoo]\nbackend = 'toy'\nexecutabel = 'x'\ncolour = 'red'\nqueue = 7\ncolours = 'red'\n"
        'mpirun = "mpirun \'x"\nenvironment = {OMP_NUM_THREADS = 4}\n'
    )
    found = mistakes("zoo")
    assert set(found) == {
        "zoo.executabel",
        "zoo.colour",
        "zoo.queue",
        "zoo.colours",
        "zoo.mpirun",
        "zoo.environment.OMP_NUM_THREADS",
        "zoo.depth",
    }
    assert "did you mean `executable`" in found["zoo.executabel"]
    assert "did you mean `colours`" in found["zoo.colour"]
    assert 'put it in quotes: "4"' in found["zoo.environment.OMP_NUM_THREADS"]
    assert "is missing; add `depth = …`" in found["zoo.depth"]
    with pytest.raises(ConfigError, match=f"edit {file}"):
        open_site("zoo")


@pytest.mark.usefixtures("toy")
def test_what_the_backend_itself_refuses_is_a_mistake_of_the_table(write: Write) -> None:
    write("[zoo]\nbackend = 'toy'\ndepth = 100\n")
    assert mistakes("zoo") == {"zoo.depth": "is deeper than any box; "}


@pytest.mark.usefixtures("toy")
def test_a_table_with_mistakes_does_not_keep_others_from_being_used(write: Write) -> None:
    write(
        "[attic]\nbackend = 'slurrm'\n[cellar]\n[zoo]\nbackend = 'toy'\ndepth = 2\n[[heap]]\n['a b']\nbackend = 'toy'\n"
    )
    assert "did you mean `slurm`" in mistakes("attic")["attic.backend"]
    assert "is missing" in mistakes("cellar")["cellar.backend"]
    assert "must be a table" in mistakes("heap")["heap"]
    assert set(mistakes("a b")) == {"site", "a b.depth"}
    assert open_site("zoo").name == "zoo"


@pytest.mark.parametrize(("typed", "said"), [("loca", "did you mean `local`"), ("x", "one of: local, hpc")])
def test_an_unknown_site_is_answered_with_the_nearest_one(write: Write, typed: str, said: str) -> None:
    write("[hpc]\nbackend = 'slurm'\n")
    assert said in mistakes(typed)["site"]


def test_a_file_that_is_no_toml_says_where(write: Write) -> None:
    file = write("[hpc]\nbackend = slurm\n")
    with pytest.raises(ConfigError, match=r"line 2") as caught:
        open_site("local")
    assert str(file) in str(caught.value)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCAMPAIGN_SITES", str(tmp_path))
    with pytest.raises(LocationError, match="cannot be read: Is a directory"):
        site_names()


@pytest.mark.usefixtures("toy")
def test_a_site_stays_the_same_until_its_table_changes(write: Write) -> None:
    table = "[zoo]\nbackend = 'toy'\ndepth = 2\n"
    write(table)
    site = open_site("zoo")
    write(f"{table}[attic]\nbackend = 'toy'\ndepth = 1\n")
    assert open_site("zoo") is site
    assert open_site("attic").site is not site.site
    write(table.replace("2", "3"))
    assert open_site("zoo").site is not site.site


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("module", "value", "said"),
    [
        ("raise RuntimeError('no licence')", "bad:Site", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "bad:Site", "SystemExit"),
        ("import not_there_at_all", "bad:Site", "No module named 'not_there_at_all'"),
        ("x = 1", "bad:Site", "no attribute 'Site'"),
        ("Site = 3", "bad:Site", "is no class"),
        ("class Site:\n    options = int\n    submit = None", "bad:Site", "has no configure, check, find"),
    ],
)
def test_a_broken_backend_is_listed_with_the_reason_and_harms_no_other(
    plug: Callable[..., None], write: Write, module: str, value: str, said: str
) -> None:
    plug("bad", module, bad=value)
    found = backends()
    assert isinstance(found["bad"], Broken)
    assert said in found["bad"].reason
    assert not isinstance(found["toy"], Broken)
    write("[mine]\nbackend = 'bad'\n[zoo]\nbackend = 'toy'\ndepth = 2\n")
    assert said in mistakes("mine")["mine.backend"]
    assert open_site("zoo").name == "zoo"


@pytest.mark.usefixtures("toy")
def test_a_backend_that_two_packages_offer_is_broken_and_names_both(plug: Callable[..., None]) -> None:
    plug("other", TOY, toy="other:ToySite")
    kind = backends()["toy"]
    assert isinstance(kind, Broken)
    assert "other:ToySite, toysites:ToySite" in kind.reason


def test_a_site_is_opened_without_importing_other_backends_or_heavy_libraries(tmp_path: Path) -> None:
    """Neither asking which backends there are, nor opening one, imports what the others need."""
    install(tmp_path, "loud", "print('imported')", "simcampaign.sites", {"loud": "loud:Site"})
    code = """
import sys
from simcampaign.sites.registry import backends, open_site, site_names
assert "loud" in backends() and site_names() == ("local",)
open_site("local")
heavy = {"asyncssh", "docker", "boto3", "prefect", "loud", "simcampaign.sites.cluster"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SIMCAMPAIGN_SITES": str(tmp_path / "none.toml")}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
