"""Ranges of indices: whatever is written can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import SiteError
from simcampaign.sites.cluster.look import Told
from simcampaign.sites.cluster.ranges import from_text, to_text

INDICES = st.frozensets(st.integers(0, 300) | st.integers(0, 10**6), max_size=200)


@given(INDICES)
def test_indices_come_back_as_they_were_written(indices: frozenset[int]) -> None:
    text = to_text(indices)
    assert sorted(from_text(text)) == sorted(indices)
    assert to_text(from_text(text)) == text


@given(INDICES, INDICES)
def test_cursors_come_back_as_they_were_written(ended: frozenset[int], running: frozenset[int]) -> None:
    told = Told(ended, running)
    assert Told.parse(str(told)) == told


@given(st.text(alphabet="0123456789,-:%[] x", max_size=12))
def test_any_other_text_is_refused_or_read(text: str) -> None:
    try:
        indices = list(from_text(text))
    except ValueError:
        with pytest.raises(SiteError, match="cursor"):
            Told.parse(f"{text};")
    else:
        assert all(index >= 0 for index in indices)


def test_steps_are_understood() -> None:
    assert list(from_text("3-9:3,20")) == [3, 6, 9, 20]


@pytest.mark.parametrize("text", ["9-3", "1-2-3", "0-99999999", "1:2", "-1", "1,,2", "0-5:0"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ind"):
        list(from_text(text))
