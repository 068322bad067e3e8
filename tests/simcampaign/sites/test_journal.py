"""Reading a journal: however it is cut into looks, the same is known in the end."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import SiteError
from simcampaign.jobs import JobReport, JobState
from simcampaign.sites.journal import Cursor, read_journal

ENDS = st.one_of(
    st.fixed_dictionaries({"code": st.integers(0, 255), "rss": st.integers(0), "cpu": st.floats(0, 1e6)}),
    st.fixed_dictionaries({"signal": st.integers(1, 31), "rss": st.integers(0), "cpu": st.floats(0, 1e6)}),
    st.fixed_dictionaries(
        {
            "reason": st.sampled_from(["timeout", "out_of_memory", "cancelled", "lost", "not_started"]),
            "message": st.text(),
        }
    ),
)


@st.composite
def journals(draw: st.DrawFn) -> bytes:
    """The journal of some jobs, all started, then all ended."""
    count = draw(st.integers(0, 5))
    events: list[dict[str, object]] = [{"event": "runner", "pid": 1, "boot": "b", "time": 0.5}]
    events += [{"event": "start", "job": job, "pid": 9, "born": 1, "time": 1.5} for job in range(count)]
    events += [{"event": "end", "job": job, "time": 2.5, "began": 1.5, **draw(ENDS)} for job in range(count)]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@given(journals(), st.lists(st.integers(0, 2000)))
def test_the_places_at_which_a_growing_journal_is_looked_at_do_not_matter(data: bytes, cuts: list[int]) -> None:
    cursor = Cursor()
    known: dict[int, JobReport] = {}
    for cut in [*sorted(cuts), len(data)]:
        changes, cursor = read_journal(data[cursor.offset : max(cut, cursor.offset)], Cursor.parse(str(cursor)))
        known.update((report.index, report) for report in changes)
    at_once, end = read_journal(data, Cursor())
    assert cursor == end == Cursor(len(data), len(at_once))
    assert list(known.values()) == list(at_once)
    assert not any(report.state.active for report in at_once)


@pytest.mark.parametrize(
    "line", [b"\0\0\0", b"[]", b"17", b'{"event":"end","job":1}', b'{"event":"nap","job":1}', b"{", b""]
)
def test_a_whole_line_that_makes_no_sense_is_refused_with_its_place(line: bytes) -> None:
    first = b'{"event":"start","job":0,"pid":9,"born":1,"time":1.5}\n'
    with pytest.raises(SiteError, match=f"line at byte {len(first)} "):
        read_journal(first + line + b"\n", Cursor())


def test_a_torn_line_is_left_for_the_next_look() -> None:
    whole = b'{"event":"start","job":0,"pid":9,"born":1,"time":1.5}\n'
    changes, cursor = read_journal(whole + whole[:-1], Cursor())
    assert [report.state for report in changes] == [JobState.RUNNING]
    assert cursor == Cursor(len(whole), 0)


@pytest.mark.parametrize("text", ["x", "1", "1:", ":1", "-1:0", "1:2:3"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(SiteError, match="cursor"):
        Cursor.parse(text)
