import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import configs
from configs.local import LocalContextConfig
from configs.manifest import ManifestContextConfig, ManifestParametersConfig, ManifestSeriesConfig
from configs.series import SeriesConfig
from simcampaign.errors import ConfigError

Load = Callable[..., Any]
Mistakes = Callable[..., dict[str, str]]

INLINE = (
    "::",
    "context.working_location=out",
    "context.manifest_location=out",
    "context.template_location=templates",
    "context.command=python -m model {input}",
    "series.name=demo",
    "series.template_key=demo.xml",
    "series.seeds=0-3",
    "series.extensions=[csv]",
    "series.conditions=[{key: a, x: 1}, {key: b, x: 2}]",
    "parameters.model=MODEL",
)


def write_part(directory: Path, part: str, name: str, text: str) -> Path:
    path = directory / "configs" / part / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def split_campaign(directory: Path) -> None:
    """Write the valid campaign as three parts."""
    lines = (directory / "campaign.yaml").read_text().splitlines()
    part, texts = "", dict[str, list[str]]()
    for line in lines:
        if line.startswith(" "):
            texts[part].append(line[2:])
        else:
            part = line.rstrip(":")
            texts[part] = []
    for part, text in texts.items():
        write_part(directory, part, "mine", "\n".join(text))


def test_a_file_the_command_line_and_parts_give_the_same_config(load: Load, directory: Path) -> None:
    split_campaign(directory)
    ways = [load("campaign.yaml"), load(*INLINE), load("context=mine", "series=mine", "parameters=mine")]
    assert ways[0].text == ways[1].text == ways[2].text
    assert ways[0].expanded.size == 8
    assert ways[0].expanded.seeds == [0, 1, 2, 3]
    assert [way.base for way in ways] == [directory, directory, directory / "configs" / "series"]


@pytest.mark.parametrize(
    "form",
    [["series.seeds=0-9"], ["--set", "series.seeds=0-9"], ["--set=series.seeds=0-9"], ["::", "series.seeds=0-9"]],
)
def test_overrides_apply_to_all_three_ways(load: Load, directory: Path, form: list[str]) -> None:
    split_campaign(directory)
    for way in (["campaign.yaml"], list(INLINE), ["context=mine", "series=mine", "parameters=mine"]):
        assert load(*way, *form).series.seeds == "0-9"


def test_a_part_given_by_name_replaces_that_of_the_file(load: Load, directory: Path) -> None:
    write_part(directory, "parameters", "quick", "model: OTHER\nretries: 3")
    loaded = load("campaign.yaml", "parameters=quick")
    assert (loaded.parameters.model, loaded.parameters.retries, loaded.series.name) == ("OTHER", 3, "demo")


def test_a_part_may_be_given_by_its_path(load: Load, directory: Path) -> None:
    (directory / "quick.yaml").write_text("model: OTHER")
    assert load("campaign.yaml", "parameters=quick.yaml").parameters.model == "OTHER"


def test_parts_of_the_installed_package_are_found_from_anywhere(load: Load) -> None:
    assert load("campaign.yaml", "series=colony").series.name == "colony"


def test_files_of_conditions_lie_beside_the_config_that_names_them(load: Load, directory: Path) -> None:
    path = write_part(
        directory,
        "series",
        "table",
        "{name: t, template_key: t.xml, seeds: 1, extensions: [csv], conditions: {from_csv: c.csv}}",
    )
    (path.parent / "c.csv").write_text("key,x\na,1\n")
    (directory / "c.csv").write_text("key,x\nb,2\nc,3\n")
    loaded = load("campaign.yaml", "series=table")
    assert loaded.series.conditions == {"from_csv": str(path.parent / "c.csv")}
    assert loaded.expanded.conditions == [{"key": "a", "x": 1}]
    overridden = load("campaign.yaml", "series=table", "series.conditions.from_csv=c.csv")
    assert [condition["key"] for condition in overridden.expanded.conditions] == ["b", "c"]


def test_the_shown_config_loads_as_the_same_config(
    load: Load, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "data")
    loaded = load(
        "campaign.yaml",
        "context.working_location=${env:WHERE}/${series.name}",
        "parameters.log_filter=$${x} 1e3",
        "context.command=run --token ${secret:cloud-token} $${y}",
        "parameters.image=08:30",
    )
    (directory / "again.yaml").write_text(loaded.text)
    again = load("again.yaml")
    assert again.text == loaded.text
    assert (again.context, again.series, again.parameters) == (loaded.context, loaded.series, loaded.parameters)
    assert again.context.working_location == "data/demo"
    assert again.parameters.log_filter == "${x} 1e3"
    assert again.context.command == "run --token ${secret:cloud-token} $${y}"


def test_the_parts_travel_as_parameters_and_come_back_the_same(load: Load) -> None:
    loaded = load("campaign.yaml", "series.seeds=0-99,200", "series.conditions={product: {x: [1, 2]}, key: 'x{x}'}")
    for config in (loaded.context, loaded.series, loaded.parameters):
        adapter = TypeAdapter(type(config))
        assert adapter.json_schema()["type"] == "object"
        assert adapter.validate_json(adapter.dump_json(config)) == config
    assert loaded.series.seeds == "0-99,200"
    assert loaded.series.expand() == loaded.expanded


def test_a_big_list_of_conditions_is_loaded_whole(load: Load, directory: Path) -> None:
    text = (directory / "campaign.yaml").read_text()
    rows = "".join(f"    - key: c{index}\n      x: {index}\n      rate: {index / 8}\n" for index in range(100_000))
    start, _, end = text.partition("    - {key: a, x: 1}\n    - {key: b, x: 2}\n")
    (directory / "big.yaml").write_text(start + rows + end)
    conditions = load("big.yaml").expanded.conditions
    assert len(conditions) == 100_000
    assert conditions[77_777] == {"key": "c77777", "x": 77_777, "rate": 77_777 / 8}


def test_a_mistake_made_a_thousand_times_does_not_flood_the_terminal(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("campaign.yaml", "series.conditions={product: {x: {range: [0, 1000]}}, key: same}")
    assert len(caught.value.problems) == 999
    assert "999 mistakes" in str(caught.value)
    assert "… and 899 more" in str(caught.value)


def test_every_mistake_of_all_parts_is_reported_at_once(mistakes: Mistakes) -> None:
    found = mistakes(
        "campaign.yaml",
        "context.slots=many",
        "context.working_location=s3://bucket",
        "context.comand=x",
        "series.name=5",
        "series.seeds=[0, 0, -1, x, 1.5]",
        "series.conditions[1].key=a",
        "series.groups._=",
        "series.groups.foo=bar",
        "series.inits=[{nam: a}]",
        "parameters.seeds_per_jobs=2",
        "parameters.retries=0",
        "parameters.report=[a, 1]",
        "contxt.x=1",
    )
    expected = {
        "context.slots": "must be an integer",
        "context.working_location": "run_batch_simulations",
        "context.comand": "did you mean `command`?",
        "series.name": 'put it in quotes: "5"',
        "series.seeds[1]": "given already at series.seeds[0]",
        "series.seeds[2]": "must not be negative",
        "series.seeds[3]": "'x' is neither a seed",
        "series.seeds[4]": "must be an integer",
        "series.conditions[1].key": "is also the key of series.conditions[0]",
        "series.groups.foo": "no condition belongs to this group",
        "series.inits[0].nam": "did you mean `name`?",
        "series.inits[0].name": "is missing",
        "series.inits[0].key": "is missing",
        "series.inits[0].seeds": "is missing",
        "series.inits[0].extensions": "is missing",
        "parameters.seeds_per_jobs": "did you mean `seeds_per_job`?",
        "parameters.retries": "must be 1 or more",
        "parameters.report[1]": "must be text",
        "contxt": "did you mean `context`?",
    }
    assert found.keys() == expected.keys()
    assert [path for path, words in expected.items() if words not in found[path]] == []


@pytest.mark.parametrize(
    ("override", "path", "words"),
    [
        ("series.conditions=[{x: 1}]", "series.conditions[0].key", "every condition needs a `key`"),
        ("series.conditions=[]", "series.conditions", "there is no condition"),
        ("series.conditions=5", "series.conditions", "must be a list of conditions"),
        ("series.conditions=[{key: a/b}]", "series.conditions[0].key", "not safe"),
        ("series.conditions=[{key: ..}]", "series.conditions[0].key", "must not start with '.'"),
        ('series.conditions=[{key: "a\\nb"}]', "series.conditions[0].key", "not safe"),
        ("series.conditions=[{key: a'b}]", "series.conditions[0].key", "not safe"),
        ("series.conditions=[{key: é}]", "series.conditions[0].key", "not safe"),
        ("series.conditions=[{key: 7}]", "series.conditions[0].key", "must be text"),
        (
            "series.conditions={product: {x: [1, 1]}, key: 'x{x}'}",
            "series.conditions#1.key",
            "the key of series.conditions#0",
        ),
        (
            "series.conditions={product: {x: [1]}, key: '{x.__class__}'}",
            "series.conditions.key",
            "reaches into a value",
        ),
        ("series.seeds=[]", "series.seeds", "there is no seed"),
        ("series.seeds=[true]", "series.seeds[0]", "must be an integer"),
        ("series.seeds=9-0", "series.seeds", "runs backwards"),
        ("series.seeds=[0-3, 9, 2]", "series.seeds[2]", "given already at series.seeds[0]"),
        ("series.groups={}", "series.groups", "there is no group"),
        ("series.groups={_: '', t: t}", "series.groups.t", "no condition belongs"),
        ("series.extensions=csv", "series.extensions", "must be a list"),
        ("series.extensions=[.csv]", "series.extensions[0]", "must not start with '.'"),
        ("series.inits=[{name: n, key: k, seeds: x, extensions: [csv]}]", "series.inits[0].seeds", "neither a seed"),
        ("series.inits=[{name: n, key: k, seeds: 1, extensions: []}]", "series.inits[0].extensions", "no extension"),
        ("series.template_key=../x.xml", "series.template_key", "'..'"),
        ("series.manifest_key=/x.csv", "series.manifest_key", "must not"),
        ("series=5", "series", "there is no series/5.yaml"),
        ("context.command=", "context.command", "must name a program"),
        ("context.command=run 'x", "context.command", "no closing quotation"),
        ("context.command=run {inputs}", "context.command", "did you mean {input}?"),
        ("context.timeout=.inf", "context.timeout", "must be a finite number"),
        ("context.cpus_per_job=0", "context.cpus_per_job", "must be greater than 0"),
        ("context.slots=true", "context.slots", "not true or false"),
        ("parameters.model=a/b", "parameters.model", "not safe"),
        ("parameters.save_logs=maybe", "parameters.save_logs", "must be true or false"),
        ("parameters.retry_delay=-1", "parameters.retry_delay", "must be greater than 0"),
        ("parameters.image=${env:NO_SUCH_VARIABLE}", "parameters.image", "NO_SUCH_VARIABLE is not set"),
        ("--wrong", "--wrong", "there is no such option"),
        ("--set=x", "--set", "is not PATH=VALUE"),
        ("other.yaml", "arguments", "more than one file"),
    ],
)
def test_one_mistake_is_reported_once_with_its_path(mistakes: Mistakes, override: str, path: str, words: str) -> None:
    found = mistakes("campaign.yaml", override)
    assert list(found) == [path]
    assert words in found[path]


def test_a_condition_of_an_unknown_group_is_never_skipped_in_silence(mistakes: Mistakes) -> None:
    found = mistakes(
        "campaign.yaml",
        "series.groups={treated: t}",
        "series.conditions[0].group=treated",
        "series.conditions[1].group=treatd",
    )
    assert list(found) == ["series.conditions[1].group"]
    assert "did you mean `treated`?" in found["series.conditions[1].group"]


def test_a_group_set_to_null_may_be_empty_and_hold_conditions(load: Load) -> None:
    loaded = load("campaign.yaml", "series.groups={_: '', skipped: null}", "series.conditions[1].group=skipped")
    assert loaded.expanded.group_of(loaded.expanded.conditions[1]) is None


def test_malformed_yaml_is_shown_with_file_line_column_and_text(mistakes: Mistakes, directory: Path) -> None:
    (directory / "bad.yaml").write_text("context:\n  command: a: b\n")
    found = mistakes("bad.yaml")
    assert list(found) == ["bad.yaml, line 2, column 13"]
    assert "command: a: b" in found["bad.yaml, line 2, column 13"]


def test_malformed_parts_are_all_shown_beside_the_mistakes_of_the_others(mistakes: Mistakes, directory: Path) -> None:
    broken = [write_part(directory, part, "bad", "a: [") for part in ("context", "series")]
    found = mistakes("context=bad", "series=bad", "parameters.model=a/b")
    assert [path.partition(",")[0] for path in found] == [*map(str, broken), "parameters.model"]


def test_a_duplicate_key_is_a_mistake_beside_the_others(mistakes: Mistakes, directory: Path) -> None:
    (directory / "twice.yaml").write_text((directory / "campaign.yaml").read_text() + "  model: OTHER\n  retries: 0\n")
    found = mistakes("twice.yaml")
    assert list(found) == ["twice.yaml, line 16, column 3", "parameters.retries"]


def test_a_file_that_does_not_exist_is_named_with_its_nearest(mistakes: Mistakes) -> None:
    found = mistakes("campain.yaml")
    assert list(found) == ["file"]
    assert "campain.yaml" in found["file"]
    assert "did you mean campaign.yaml?" in found["file"]


def test_a_part_that_does_not_exist_is_named_with_its_nearest(mistakes: Mistakes, directory: Path) -> None:
    write_part(directory, "context", "laptop", "{}")
    found = mistakes("campaign.yaml", "context=labtop")
    assert list(found) == ["context"]
    assert "did you mean laptop?" in found["context"]


def test_no_config_at_all_says_how_to_give_one(mistakes: Mistakes) -> None:
    found = mistakes()
    assert list(found) == ["arguments"]
    assert "context=NAME" in found["arguments"]


def test_a_file_that_holds_no_mapping_is_refused(mistakes: Mistakes, directory: Path) -> None:
    (directory / "list.yaml").write_text("- 1")
    assert "must hold a mapping" in mistakes("list.yaml")["list.yaml"]


def test_an_empty_file_lacks_every_required_field(mistakes: Mistakes, directory: Path) -> None:
    (directory / "empty.yaml").write_text("# nothing\n")
    found = mistakes("empty.yaml")
    assert {"context.command", "series.name", "series.conditions", "parameters.model"} <= found.keys()
    assert all("is missing" in words for words in found.values())


def test_secrets_are_never_fetched_or_shown_by_loading(
    load: Load, mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prefect.blocks.system", None)
    loaded = load("campaign.yaml", "context.command=run ${secret:cloud-token}", "parameters.image=x:${context.command}")
    assert loaded.parameters.image == "x:run ${secret:cloud-token}"
    assert "${secret:cloud-token}" in loaded.text
    assert "${secret:t}" in mistakes("campaign.yaml", "context.slots=${secret:t}")["context.slots"]


def test_nothing_is_created(load: Load, mistakes: Mistakes, directory: Path) -> None:
    load("campaign.yaml")
    mistakes("campaign.yaml", "series.seeds=x")
    assert [path.name for path in directory.iterdir()] == ["campaign.yaml"]


def test_commands_become_argument_lists(load: Load) -> None:
    loaded = load("campaign.yaml", "context.command=run 'a b' {input}", "parameters.report=[plot, a b]")
    assert loaded.context.arguments() == ("run", "a b", "{input}")
    assert loaded.parameters.report_arguments() == ("plot", "a b")


def test_a_wrong_value_in_an_instance_is_found_when_it_is_validated_again(load: Load) -> None:
    context = load("campaign.yaml").context
    context.slots = "two"
    with pytest.raises(ValueError, match="slots"):
        TypeAdapter(LocalContextConfig).validate_python(context)


def test_a_series_config_made_by_hand_expands_with_all_its_mistakes() -> None:
    config = SeriesConfig(name="s", template_key="t.xml", seeds="0-1,1", conditions=[{"x": 1}], extensions=[])
    with pytest.raises(ConfigError) as caught:
        config.expand()
    assert [problem.path for problem in caught.value.problems] == [
        "series.seeds[2]",
        "series.conditions[0].key",
        "series.extensions",
    ]


def test_the_manifest_flow_needs_no_extensions_nor_template(directory: Path) -> None:
    arguments = [
        "context.working_location=out",
        "context.manifest_location=s3://b/m",
        "series.name=s",
        "series.seeds=0-3",
        "series.conditions=[{key: a}]",
    ]
    kinds = (ManifestContextConfig, ManifestSeriesConfig, ManifestParametersConfig)
    loaded = configs.load(arguments, *kinds, directory=directory)
    assert (loaded.expanded.size, list(loaded.expanded.extensions)) == (4, [])
    assert loaded.parameters.include_filters == ["*"]
    with pytest.raises(ConfigError, match="did you mean `exclude_filters`"):
        configs.load([*arguments, "parameters.exclude_filter=[x]"], *kinds, directory=directory)


def test_importing_and_loading_leaves_the_slow_libraries_alone(directory: Path) -> None:
    code = (
        "import sys, configs\n"
        "from configs.local import LocalContextConfig as C\n"
        "from configs.parameters import ParametersConfig as P\n"
        "from configs.series import SeriesConfig as S\n"
        "configs.load(['campaign.yaml'], C, S, P)\n"
        "print([name for name in ('prefect', 'scipy', 'polars', 'sqlalchemy') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": str(Path(configs.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=directory, env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
