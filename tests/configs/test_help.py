import dataclasses

import pytest

import configs
from configs.local import LocalContextConfig
from configs.manifest import ManifestContextConfig, ManifestParametersConfig, ManifestSeriesConfig
from configs.parameters import ParametersConfig
from configs.series import InitConfig, SeriesConfig

RUN = (LocalContextConfig, SeriesConfig, ParametersConfig)
MANIFEST = (ManifestContextConfig, ManifestSeriesConfig, ManifestParametersConfig)


@pytest.mark.parametrize("kinds", [RUN, MANIFEST])
def test_every_field_is_documented_with_type_and_default(kinds: tuple[type, type, type]) -> None:
    lines = configs.describe(*kinds, width=100).splitlines()
    for part, kind in zip(("context", "series", "parameters"), kinds, strict=True):
        for field in dataclasses.fields(kind):
            head = next(index for index, line in enumerate(lines) if line.startswith(f"  {part}.{field.name} ("))
            assert "required" in lines[head] or "default" in lines[head]
            assert lines[head + 1].strip()


def test_types_and_defaults_are_in_plain_words() -> None:
    text = configs.describe(*RUN, width=200)
    for line in (
        "context.slots (integer (1 or more) or null; default null)",
        "context.command (text or list of text; required)",
        "parameters.terminate_jobs (true or false; default true)",
        'parameters.image (text; default "")',
        'series.groups (mapping of text to text or null; default {_: ""})',
        "series.seeds (list, text or range; required)",
    ):
        assert line in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_help_fits_the_terminal(width: int) -> None:
    assert max(map(len, configs.describe(*RUN, width=width).splitlines())) <= width


def test_the_fields_of_inits_are_named() -> None:
    names = ", ".join(field.name for field in dataclasses.fields(InitConfig))
    assert f"list of {{{names}}}" in configs.describe(*RUN, width=200)
