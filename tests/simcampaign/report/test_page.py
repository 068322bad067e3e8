"""The page of a campaign, as a browser or a screen reader finds it."""

import base64
import hashlib
import json
import zlib
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcampaign.manifest import SCHEMA
from simcampaign.report import ArrayLine, Failure, Page, Picture, Usage, render_page
from simcampaign.report.render import core_hours, duration, relative_link
from simcampaign.runs import RunState
from simcampaign.series import Series, run_key
from simcampaign.summary import summarise


class Document(HTMLParser):
    """The elements of a page, with their attributes and text."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self._path: list[str] = []
        self.feed(html)
        self.close()
        assert self._path == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._path.append(tag)

    def handle_endtag(self, tag):
        assert self._path.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((tuple(self._path), data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, inside: str = "main") -> str:
        return " ".join(" ".join(text.split()) for path, text in self.texts if inside in path)

    def data(self) -> tuple[dict, np.ndarray]:
        """What the map is drawn from."""
        packed = next(text for path, text in self.texts if path[-1] == "script" and "=" not in text[:50])
        index, codes = zlib.decompress(base64.b64decode(packed)).split(b"\n", 1)
        parsed = json.loads(index)
        return parsed, np.frombuffer(codes, np.uint8).reshape(len(parsed["keys"]), len(parsed["seeds"]))


def make_page(conditions=None, seeds=range(4), codes=None, name="colony", **others) -> Page:
    conditions = conditions or [{"key": "rich", "nutrient": 1.0}, {"key": "poor", "nutrient": 0.3}]
    codes = np.full((len(conditions), len(seeds)), RunState.DONE, np.uint8) if codes is None else codes
    series = Series(name, conditions, list(seeds), ["csv"])
    rows = [
        [run_key(name, conditions[row]["key"], seeds[column]), "csv", "out", ""]
        for row, column in zip(*np.nonzero(codes == RunState.DONE), strict=True)
    ]
    return Page(
        summary=summarise(pl.DataFrame(rows, schema=SCHEMA, orient="row"), series),
        conditions=conditions,
        seeds=list(seeds),
        codes=codes,
        location="out/colony/2026-01-31",
        made=datetime(2026, 1, 31, 14, 5, tzinfo=UTC),
        **others,
    )


FAILURE = Failure(
    run_keys=["colony_poor_0001", "colony_poor_0002"],
    cause="out_of_memory",
    exit_code=137,
    message="used more than 512 MiB",
    log_tail="first line\nlast line",
    rerun="python -m models.colony in.xml out/",
    log="logs/colony_3.log",
)

HOSTILE = "<script>alert('x')</script>\"><img src=http://example.org onerror=alert(1)>"


def full_page(**others) -> Page:
    codes = np.array([[2, 2, 2, 3], [2, 4, 4, 0]], np.uint8)
    given = {
        "usage": Usage(0.93, 0.71, 1.42, 0.0083, 120.5, 0.5, 12.0, "EUR"),
        "failures": [FAILURE],
        "arrays": [ArrayLine("colony-5f2a", "control", "local", 4, {"finished": 3, "failed": 1})],
        "pictures": [Picture("pictures/growth.png", "Growth curves")],
        "links": {"Logs": "logs/", "Inputs": "inputs/"},
        "next_command": "python -m flows.run_local_simulations campaign.yaml",
    }
    return make_page(codes=codes, **{**given, **others})


def test_the_page_says_how_the_campaign_stands():
    text = Document(render_page(full_page())).text()
    assert "4 of 8 runs are done; 2 failed, 1 in flight, 1 missing." in text
    assert "All 8 runs are done." in Document(render_page(make_page())).text()
    assert "python -m flows.run_local_simulations campaign.yaml" in text
    for fact in ("0.93 s from 0.71 s to 1.42 s", "0.0083 core-hours 0.50 EUR", "120 core-hours 12.00 EUR"):
        assert fact in text


def test_a_failure_shows_its_runs_cause_log_and_the_command_that_reruns_it():
    document = Document(render_page(full_page()))
    text = document.text()
    for part in (
        "1 failed job",
        "colony_poor_0001, colony_poor_0002",
        "out of memory, exit code 137",
        "used more than 512 MiB",
        "first line last line",
        "python -m models.colony in.xml out/",
    ):
        assert part in text
    assert {"href": "./logs/colony_3.log"} in document.all("a")
    assert [each["data-runs"] for each in document.all("details")] == ["colony_poor_0001 colony_poor_0002"]


def test_many_failures_are_counted_by_cause_and_the_page_stays_small():
    failures = [
        Failure(
            [f"colony_rich_{index:04d}"], "timeout" if index % 4 else "lost", log_tail="x" * 10_000 + "\nend\n" * 500
        )
        for index in range(10_000)
    ]
    html = render_page(full_page(failures=failures))
    text = Document(html).text()
    assert "10,000 failed jobs" in text
    assert "timeout: 7,500, lost: 2,500. The first 50 are below" in text
    assert len(html) < 200_000


def test_the_page_makes_no_network_request():
    html = render_page(full_page())
    document = Document(html)
    targets = [
        attributes.get(name) for _, attributes in document.elements for name in ("src", "href") if name in attributes
    ]
    assert "./pictures/growth.png" in targets
    assert all(target.startswith(("./", "#", "data:,")) for target in targets)
    assert not {tag for tag, _ in document.elements} & {"iframe", "object", "embed", "base", "form"}
    assert all(
        set(attributes) <= {"rel", "href"} and attributes["rel"] == "icon" for attributes in document.all("link")
    )
    assert "url(" not in html
    assert "@import" not in html


def test_only_the_pages_own_script_may_run():
    document = Document(render_page(full_page()))
    policy = next(each["content"] for each in document.all("meta") if "http-equiv" in each)
    script = [text for path, text in document.texts if path[-1] == "script"][-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_whatever_comes_from_outside_is_inert():
    failure = Failure([HOSTILE], HOSTILE, 1, HOSTILE, f"{HOSTILE}\n</pre>", HOSTILE, HOSTILE)
    page = make_page(
        conditions=[{"key": HOSTILE, HOSTILE: HOSTILE}],
        name=HOSTILE,
        codes=np.zeros((1, 4), np.uint8),
        failures=[failure],
        arrays=[ArrayLine(HOSTILE, HOSTILE, HOSTILE, 1, {HOSTILE: 1})],
        pictures=[Picture(HOSTILE, HOSTILE)],
        links={HOSTILE: "javascript:alert(1)"},
        next_command=HOSTILE,
        usage=Usage(cost_used=1.0, currency=HOSTILE),
    )
    harmless = Document(render_page(full_page(pictures=[Picture("a.png", "a")])))
    document = Document(render_page(page))
    assert len(document.all("script")) == len(harmless.all("script")) == 2
    assert len(document.all("img")) == 1
    assert not any(name.startswith("on") for _, attributes in document.elements for name in attributes)
    assert all(each["href"].startswith(("./", "#")) for each in document.all("a"))
    assert HOSTILE in document.text()


@given(st.text(max_size=30))
def test_no_scheme_gets_into_a_link(path):
    link = relative_link(path)
    assert link.startswith("./")
    assert not set(link) & set("\"'<>:\\ \n\t")


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_the_map_has_every_run(conditions, seeds, data):
    numbers = st.integers(0, len(RunState) - 1)
    size = conditions * seeds
    values = data.draw(st.lists(numbers, min_size=size, max_size=size))
    codes = np.array(values, np.uint8).reshape(conditions, seeds)
    each = [{"key": f"c{index}", "x": index} for index in range(conditions)]
    index, drawn = Document(render_page(make_page(each, range(9998, 9998 + seeds), codes))).data()
    assert np.array_equal(drawn, codes)
    assert index["seeds"] == list(range(9998, 9998 + seeds))
    assert [stem + "0001" for stem in index["stems"]] == [run_key("colony", one["key"], 1) for one in each]
    assert [state["label"] for state in index["states"]] == [state.label for state in RunState]


def test_every_state_has_a_sign_and_a_word_besides_its_colour():
    codes = np.arange(len(RunState), dtype=np.uint8).reshape(1, -1)
    document = Document(render_page(make_page([{"key": "A"}], range(len(RunState)), codes)))
    index, _ = document.data()
    assert len({state["glyph"] for state in index["states"]}) == len(RunState)
    legend = {each["data-state"] for each in document.all("span") if "data-state" in each}
    assert legend == {state.label for state in RunState}


def test_what_the_map_shows_is_also_a_table_and_can_be_reached_by_keyboard():
    document = Document(render_page(full_page()))
    assert next(each for each in document.all("canvas"))["tabindex"] == "0"
    text = document.text("table")
    assert "condition csv done in flight failed missing variables" in text
    assert "rich 3/4 (75.00 %) 3 1 nutrient = 1.0" in text
    assert "poor 1/4 (25.00 %) 1 2 1 nutrient = 0.3" in text
    assert "total 4/8 (50.00 %) 4 1 2 1" in text
    assert [each["alt"] for each in document.all("img")] == ["Growth curves"]
    identifiers = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in document.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, identifiers[0]) in identifiers


def test_a_million_runs_in_random_states_fit_in_three_megabytes():
    codes = np.random.default_rng(0).integers(0, len(RunState), (1000, 1000)).astype(np.uint8)
    conditions = [{"key": f"T{index}", "temperature": index / 7, "drug": "none"} for index in range(1000)]
    series = Series("colony", conditions, list(range(1000)), ["csv"])
    summary = summarise(pl.DataFrame(schema=SCHEMA), series)
    page = Page(summary, conditions, series.seeds, codes, "out", datetime(2026, 1, 31, tzinfo=UTC))
    html = render_page(page)
    assert len(html.encode()) < 3_000_000
    assert np.array_equal(Document(html).data()[1], codes)


def test_a_long_table_says_what_it_leaves_out():
    conditions = [{"key": f"c{index}"} for index in range(1200)]
    document = Document(render_page(make_page(conditions, range(1))))
    assert "The first 1,000 of 1,200" in document.text()
    assert len(document.data()[0]["keys"]) == 1200


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.9312, "0.931 s"), (12.5, "12.5 s"), (59.99, "1 min 00 s"), (200, "3 min 20 s"), (18_420, "5 h 07 min")],
)
def test_durations_are_easy_to_read(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(("hours", "shown"), [(0.00833, "0.00833"), (99.94, "99.9"), (135_000.4, "135,000")])
def test_core_hours_have_three_figures(hours, shown):
    assert core_hours(hours) == shown
