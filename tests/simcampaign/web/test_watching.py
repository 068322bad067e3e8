"""Waiting for many tasks asks little of the service; and shapes come back from files as they were."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcampaign.errors import LocationError
from simcampaign.web.busy import BusyError
from simcampaign.web.lanes import Lanes
from simcampaign.web.link import Link
from simcampaign.web.shapes import leaves, pack_shape, unpack_shape
from simcampaign.web.watching import Watch, unheard


class Service:
    """Answers questions for states as the solver does: it holds them until something happens."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.states: dict[str, str] = {}
        self._bell = asyncio.Condition()

    async def handle(self, request: httpx.Request) -> httpx.Response:
        seen: dict[str, str] = json.loads(request.content)["tasks"]
        self.asked.append(seen)

        def news() -> dict[str, Any]:
            changed = [each for each in seen if each in self.states and self.states[each] != seen[each]]
            tasks = [{"id": each, "status": self.states[each], "seen": self.states[each]} for each in changed]
            return {"tasks": tasks, "missing": [each for each in seen if each not in self.states]}

        async with self._bell:
            await self._bell.wait_for(lambda: any(news().values()))
            return httpx.Response(200, json=news())

    async def tell(self, **states: str) -> None:
        async with self._bell:
            self.states |= states
            self._bell.notify_all()


def test_who_comes_later_does_not_make_all_be_asked_after_again() -> None:
    async def program() -> list[dict[str, str]]:
        service = Service()
        watch = Watch(Link("http://solver", transport=httpx.MockTransport(service.handle)))
        names = [f"early{number}" for number in range(100)]
        await service.tell(**dict.fromkeys([*names, "late"], "running"))
        early = [asyncio.ensure_future(watch.over(name, unheard)) for name in names]
        while len(service.asked) < 2:  # they were told that all run, and wait again
            await asyncio.sleep(0.01)
        late = asyncio.ensure_future(watch.over("late", unheard))
        while len(service.asked) < 3:
            await asyncio.sleep(0.01)
        await service.tell(**dict.fromkeys([*names, "late"], "completed"))
        ended = await asyncio.gather(*early, late)
        assert {each["status"] for each in ended} == {"completed"}
        return service.asked

    asked = asyncio.run(program())
    assert [len(each) for each in asked[:3]] == [100, 100, 1]
    assert len(asked) < 10


def test_a_task_that_was_deleted_fails_for_itself_alone() -> None:
    async def program() -> None:
        service = Service()
        watch = Watch(Link("http://solver", transport=httpx.MockTransport(service.handle)))
        await service.tell(there="running")
        there, gone = (asyncio.ensure_future(watch.over(name, unheard)) for name in ("there", "gone"))
        with pytest.raises(LocationError, match="gone"):
            await gone
        await service.tell(there="completed")
        assert (await there)["status"] == "completed"

    asyncio.run(program())


def test_fewer_transfers_go_at_once_when_the_service_is_busy_and_more_when_all_is_well() -> None:
    async def program() -> None:
        lanes = Lanes(first=8, most=9)
        most = running = 0

        async def transfer() -> None:
            nonlocal most, running
            async with lanes.turn():
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1

        await asyncio.gather(*(transfer() for _ in range(100)))
        assert most in {8, 9}
        for _ in range(10):
            with pytest.raises(BusyError):
                async with lanes.turn():
                    raise BusyError("later")
        most = 0
        await asyncio.gather(*(transfer() for _ in range(3)))
        assert most in {1, 2}
        await asyncio.gather(*(transfer() for _ in range(200)))
        assert most == 9

    asyncio.run(program())


KEYS = st.text(max_size=3) | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text(max_size=2))
SHAPES = st.recursive(
    st.none(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(SHAPES)
def test_a_shape_comes_back_from_json_as_it_was(shape: Any) -> None:
    again = unpack_shape(json.loads(json.dumps(pack_shape(shape))))
    assert again == shape
    assert [place for place, _ in leaves(again)] == [place for place, _ in leaves(shape)]
