"""Programs that fetch the same result at once do not take each other's file away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from simcampaign.web.link import Link

CONTENT = b"0123456789" * 1000


def test_a_quicker_download_of_the_same_file_leaves_a_slower_one_alone(tmp_path: Path) -> None:
    async def programs() -> None:
        begun, other_is_done = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            begun.set()
            await other_is_done.wait()
            yield CONTENT

        def slow(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=slowly())

        def quick(_: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=CONTENT)

        target, sha256 = tmp_path / "result.hdf5", hashlib.sha256(CONTENT).hexdigest()
        links = [Link("http://solver", transport=httpx.MockTransport(each)) for each in (slow, quick)]
        first = asyncio.ensure_future(links[0].download("/result", target, sha256))
        await begun.wait()
        await links[1].download("/result", target, sha256)
        assert target.read_bytes() == CONTENT
        target.unlink()
        other_is_done.set()
        await first
        assert target.read_bytes() == CONTENT
        assert [each.name for each in tmp_path.iterdir()] == ["result.hdf5"]

    asyncio.run(programs())
