import sys
from types import ModuleType
from typing import Any

import pytest

from configs.references import escape_references, resolve_references, resolve_secret
from simcampaign.errors import ConfigError


def resolve(config: dict[str, Any], **environment: str) -> dict[str, Any]:
    resolved, problems = resolve_references(config, environment)
    assert not problems, problems
    return resolved


def faults(config: dict[str, Any]) -> dict[str, str]:
    return {problem.path: str(problem) for problem in resolve_references(config, {})[1]}


def test_environment_and_fields_are_filled_in_inside_longer_text() -> None:
    config = {
        "series": {"name": "s", "seeds": [1, 2]},
        "context": {"a": "${env:HERE}/${series.name}_${series.seeds[1]}"},
    }
    assert resolve(config, HERE="/h")["context"]["a"] == "/h/s_2"


def test_a_default_is_used_only_where_the_variable_is_not_set() -> None:
    config = {"context": {"a": "${env:A,x, y}", "b": "${env:B,x}", "c": "${env:C,}"}}
    assert resolve(config, B="")["context"] == {"a": "x, y", "b": "", "c": ""}


@pytest.mark.parametrize("value", [3, 1.5, True, None, [1, 2], {"a": 1}, "text"])
def test_a_reference_on_its_own_keeps_the_type(value: object) -> None:
    assert resolve({"series": {"x": value}, "context": {"y": ["${series.x}"]}})["context"]["y"] == [value]


def test_references_to_references_are_followed() -> None:
    config = {"context": {"a": "${context.b}!", "b": "${context.c}", "c": 7}}
    assert resolve(config)["context"] == {"a": "7!", "b": 7, "c": 7}


def test_an_escaped_reference_is_plain_text() -> None:
    assert resolve({"context": {"a": "echo $${HOME} $HOME"}})["context"]["a"] == "echo ${HOME} $HOME"


def test_what_the_environment_holds_is_not_read_as_a_reference() -> None:
    assert resolve({"context": {"a": "x${env:A}"}}, A="${env:B}")["context"]["a"] == "x${env:B}"


def test_escaping_and_resolving_give_back_the_same_text() -> None:
    config = {"context": {"a": ["${HOME}", "${secret:token}", "a ${b", {"c": "plain"}]}}
    assert resolve({"context": escape_references(config["context"])}) == config


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"context": {"a": "${context.a}"}}, "context.a", "leads back to itself"),
        ({"context": {"a": "x${env:NOPE}"}}, "context.a", "NOPE is not set"),
        ({"context": {"alpha": 1, "b": "${context.alpa}"}}, "context.b", "did you mean `context.alpha`?"),
        ({"context": {"b": "${HOME}"}}, "context.b", "${env:NAME}"),
        ({"context": {"b": "x${env:A"}}, "context.b", "not closed"),
        ({"context": {"b": "${env:A,${env:B}}"}}, "context.b", "one inside another"),
        ({"context": {"b": "${file:x}"}}, "context.b", "no kind of reference 'file'"),
        ({"context": {"b": "${secret:No Such}"}}, "context.b", "no name of a secret"),
        ({"context": {"a": [1], "b": "x${context.a}"}}, "context.b", "is a list or mapping"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(config: dict[str, Any], path: str, words: str) -> None:
    found = faults(config)
    assert list(found) == [path]
    assert words in found[path]


def test_a_circle_of_references_is_shown() -> None:
    found = faults({"context": {"a": "${series.b}"}, "series": {"b": "${context.a}"}})
    assert any("series.b → context.a → series.b" in text for text in found.values())


def test_a_few_references_cannot_fill_the_memory() -> None:
    context = {f"a{n}": f"${{context.a{n + 1}}}" * 10 for n in range(40)} | {"a40": "x" * 10}
    assert any("characters" in text for text in faults({"context": context}).values())


def test_secrets_stay_references_until_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = resolve({"context": {"a": "token=${secret:my-token} $${x}"}})
    assert resolved["context"]["a"] == "token=${secret:my-token} $${x}"
    put_prefect_in_place(monkeypatch, {"my-token": "hunter2"})
    assert resolve_secret(resolved["context"]["a"]) == "token=hunter2 ${x}"
    assert resolve_secret("$${secret:my-token}") == "${secret:my-token}"


def test_text_without_secrets_needs_no_prefect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect.blocks.system", None)
    assert resolve_secret("plain ${x}") == "plain ${x}"


def test_a_secret_that_is_not_there_is_named_without_any_value(monkeypatch: pytest.MonkeyPatch) -> None:
    put_prefect_in_place(monkeypatch, {"other": "hunter2"})
    with pytest.raises(ConfigError, match="my-token") as caught:
        resolve_secret("${secret:other}${secret:my-token}")
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__} {caught.value.problems}"


def put_prefect_in_place(monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]) -> None:
    """Stand in for Prefect's blocks: a real server takes twenty seconds to start."""

    class Secret:
        def __init__(self, value: str) -> None:
            self.value = value

        @classmethod
        def load(cls, name: str, *, _sync: bool) -> "Secret":
            if name not in secrets:
                raise ValueError(f"unable to find {name} among {secrets}")
            return cls(secrets[name])

        def get(self) -> str:
            return self.value

    module = ModuleType("prefect.blocks.system")
    module.Secret = Secret  # type: ignore[attr-defined]
    for name in ("prefect", "prefect.blocks"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "prefect.blocks.system", module)
