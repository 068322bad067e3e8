"""Rendering: what a template sees, what it cannot do, and how its errors speak."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import TemplateError
from simcampaign.jobs import RunRange
from simcampaign.templates import Template, context, digest

CONDITIONS: dict[str, dict[str, Any]] = {
    "A": {"key": "A", "temperature": 37.0, "drug": "none", "nested": {"list": [1, 2]}},
    "B": {"key": "B", "drug": "5-FU"},
}
ONE_RUN = context("colony", "_", [RunRange("A", 3, 3)], CONDITIONS)
MANY_RUNS = context("colony", "_", [RunRange("A", 0, 3), RunRange("B", 7, 7)], CONDITIONS)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
variables = st.dictionaries(st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True), plain, max_size=5)


def render(text: str, shown: dict[str, Any] = ONE_RUN) -> str:
    return Template.compile(text, "input.xml").render(shown)


def test_single_run_sees_its_variables_and_seed_at_top_level() -> None:
    assert render("{{ name }} {{ group }} {{ key }} {{ temperature }} {{ seed }}\n") == "colony _ A 37.0 3\n"


def test_every_input_lists_its_conditions_with_their_seed_ranges() -> None:
    text = "{% for c in conditions %}{{ c.key }}:{{ c.start_seed }}-{{ c.end_seed }} {{ c.drug }};{% endfor %}"
    assert render(text, MANY_RUNS) == "A:0-3 none;B:7-7 5-FU;"
    assert render(text, ONE_RUN) == "A:3-3 none;"


def test_input_of_several_runs_has_no_seed_and_says_what_to_do() -> None:
    with pytest.raises(TemplateError, match=r"variable 'seed' is not defined.*\n.*\n.*loop over `conditions`"):
        render("{{ seed }}", MANY_RUNS)


@pytest.mark.parametrize("own", ["name", "group", "conditions", "seed", "start_seed", "end_seed"])
def test_variables_of_a_condition_never_hide_what_a_template_is_promised(own: str) -> None:
    shown = context("colony", "g", [RunRange("A", 5, 5)], {"A": {"key": "A", own: "mine"}})
    assert (shown["name"], shown["group"], shown["seed"]) == ("colony", "g", 5)
    assert (shown["conditions"][0]["start_seed"], shown["conditions"][0]["end_seed"]) == (5, 5)


@given(st.lists(variables, min_size=1, max_size=4), st.booleans())
def test_rendering_any_conditions_changes_nothing_that_was_given(
    given_variables: list[dict[str, Any]], several: bool
) -> None:
    conditions = {f"c{index}": {**own, "key": f"c{index}"} for index, own in enumerate(given_variables)}
    before = copy.deepcopy(conditions)
    ranges = [RunRange(key, 0, 2 if several else 0) for key in conditions]
    shown = context("n", "g", ranges, conditions)
    text = "{% for c in conditions %}{{ c|tojson }}{% for v in c.values() %}{{ v }}{% endfor %}{% endfor %}"
    once = render(text, shown)
    assert conditions == before
    assert render(text, shown) == once


@given(variables)
def test_digest_of_an_input_does_not_depend_on_the_order_of_its_variables(own: dict[str, Any]) -> None:
    text = "{% for name, value in condition|dictsort(true) %}{{ name }}={{ value|tojson }};{% endfor %}"
    backwards = dict(reversed(own.items()))
    assert digest(render(text, {"condition": own})) == digest(render(text, {"condition": backwards}))


@given(st.text(), st.text())
def test_digest_is_sixteen_hex_digits_that_tell_texts_apart(one: str, other: str) -> None:
    assert re.fullmatch("[0-9a-f]{16}", digest(one))
    assert (digest(one) == digest(other)) == (one == other)


def test_digest_of_a_template_is_that_of_its_source() -> None:
    assert Template.compile("{{ seed }}\n", "t").digest == digest("{{ seed }}\n")
    assert digest("") == "e3b0c44298fc1c14"


def test_undefined_variable_names_variable_condition_template_and_line() -> None:
    with pytest.raises(TemplateError) as caught:
        render("<a>\n <b>{{ temprature }}</b>\n</a>")
    message = str(caught.value)
    for part in ("input.xml, line 2", "'temprature'", "condition A", "2 | <b>{{ temprature }}</b>", "'temperature'?"):
        assert part in message


def test_variable_that_only_some_conditions_have_names_the_condition_that_lacks_it() -> None:
    with pytest.raises(TemplateError, match=r"line 2: condition 'B' has no variable 'temperature'"):
        render("{% for c in conditions %}\n{{ c.temperature }}{% endfor %}", MANY_RUNS)


def test_undefined_variable_in_a_test_or_loop_is_not_taken_for_empty() -> None:
    for text in ("{% if nope %}x{% endif %}", "{% for x in nope %}{% endfor %}", "{{ nope.deeper }}", "{{ nope() }}"):
        with pytest.raises(TemplateError, match="'nope'"):
            render(text)


def test_optional_variables_can_have_a_default() -> None:
    assert render("{{ nope|default('0.5') }}{% if nope is defined %}x{% endif %}") == "0.5"


def test_error_in_a_macro_names_the_line_in_the_macro() -> None:
    with pytest.raises(TemplateError, match="line 2: variable 'nope'"):
        render("{% macro m() %}\n{{ nope }}{% endmacro %}\n\n{{ m() }}")


def test_syntax_error_names_template_line_text_and_reason() -> None:
    with pytest.raises(
        TemplateError, match=r"template input\.xml, line 2: syntax error: Expected.*\n  2 \| \{% if %\}"
    ):
        Template.compile("<a>\n{% if %}\n</a>", "input.xml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ key + 1 }}", "TypeError"),
        ("{% include 'other.xml' %}", "no loader"),
    ],
)
def test_any_other_error_while_rendering_is_told_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(TemplateError, match=rf"line 3: .*{reason}"):
        render(f"\n\n{text}")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ ().__class__.__bases__[0].__subclasses__() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ '{0.__class__}'.format('') }}",
    ],
)
def test_sandbox_keeps_templates_from_python(text: str) -> None:
    with pytest.raises(TemplateError, match=r"sandbox forbids it|is not defined|no attribute"):
        render(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ conditions.append(1) }}",
        "{{ conditions[0].update(drug='x') }}",
        "{{ conditions.clear() }}",
        "{{ nested.list.append(3) }}",
        "{{ conditions[0].pop('key') }}",
    ],
)
def test_templates_cannot_change_what_they_are_shown(text: str) -> None:
    before = json.dumps(ONE_RUN)
    with pytest.raises(TemplateError, match="sandbox forbids it"):
        render(text)
    assert json.dumps(ONE_RUN) == before


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ 'a' * 10**10 }}",
        "{{ 10**10 * 'a' }}",
        "{{ [0] * 10**10 }}",
        "{{ 9 ** 10000000 }}",
        "{{ (9 ** 1000) ** 1000 }}",
        "{{ 'a'.ljust(10**10) }}",
        "{{ 'a'|center(10**10) }}",
        "{{ 'a'|indent(10**10, true) }}",
        "{{ '%09999999999d' % 1 }}",
        "{{ '%.9999999999f'|format(1) }}",
        "{{ '%*d' % (9999999999, 1) }}",
        "{{ '{:9999999999}'.format(1) }}",
        "{{ '{:{w}}'.format(1, w=9999999999) }}",
        "{{ lipsum(n=10**9) }}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ 'x' * 100000 }}{% endfor %}{% endfor %}",
    ],
)
@pytest.mark.timeout(20)
def test_templates_that_would_fill_memory_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        render(text)


def test_ordinary_arithmetic_and_formats_work() -> None:
    text = (
        "{{ 2 ** 10 }} {{ '-' * 3 }} {{ '%04d' % seed }} {{ '{:.2f}'.format(temperature) }} {{ 'x:1234567'.upper() }}"
    )
    assert render(text) == "1024 --- 0003 37.00 X:1234567"


def test_xml_special_characters_are_written_as_they_are_unless_escaped() -> None:
    shown = context("n", "_", [RunRange("A", 0, 0)], {"A": {"key": "A", "gene": '<a & "b">'}})
    assert render("{{ gene }}|{{ gene|e }}", shown) == '<a & "b">|&lt;a &amp; &#34;b&#34;&gt;'


def test_last_line_break_is_kept() -> None:
    assert render("a\n") == "a\n"
    assert render("a") == "a"
