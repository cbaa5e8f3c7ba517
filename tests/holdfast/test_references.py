"""Reference targets: an answer is an answer, whatever it says."""

from __future__ import annotations

import asyncio
import ssl

from holdfast.gather.references import survey


async def test_reachable_and_unreachable_are_told_apart_in_order() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        seen = await survey(
            (f"http://127.0.0.1:{port}", "http://127.0.0.1:9", f"http://127.0.0.1:{port}/x"),
            ssl.create_default_context(),
        )
    assert seen == (True, False, True)
