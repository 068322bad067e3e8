"""What forms check: never stricter than the configs themselves, and with our words."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prefect.utilities.schema_tools.validation import validate
from pydantic import TypeAdapter

from configs.names import Name, PathKey
from configs.parameters import ParametersConfig
from simcampaign.series import key_fault

names = st.text(st.sampled_from("aZ09._+=,@-/ é\n"), max_size=12)


def refusals(kind: Any, value: Any) -> list[str]:
    schema = {"type": "object", "properties": {"field": TypeAdapter(kind).json_schema()}}
    return [error.message for error in validate({"field": value}, schema, preprocess=False)]


@given(names)
def test_a_form_takes_the_names_that_a_config_takes_and_says_what_else_is_wanted(name: str) -> None:
    refused = refusals(Name, name)
    if not key_fault(name):
        assert refused == []
    elif not name.endswith("\n"):  # a form's text ends without
        assert refused == ["'a name of letters, digits and . _ + = , @ - that does not start with a dot' was expected"]


@given(names)
def test_a_form_takes_the_places_that_a_config_takes(key: str) -> None:
    if not any(key_fault(part) for part in key.split("/")):
        assert refusals(PathKey, key) == []


def test_the_smallest_numbers_are_told_to_forms() -> None:
    said = TypeAdapter(ParametersConfig).json_schema()["properties"]
    assert said["retries"]["minimum"] == 1
    assert said["retry_delay"]["exclusiveMinimum"] == 0
