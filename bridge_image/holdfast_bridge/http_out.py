"""HTTP as a client: sessions for those who are not of the zone (vendors, tools' webhooks, carriers), bounded reading.

Nothing of them is remembered between two requests, so that no call leaves a trace in another, and nothing is unpacked
that they packed, so that what they send is as long as what has to be kept of it. It knows no vendor.
"""

from __future__ import annotations

import aiohttp


def session(connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
    )


async def whole(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer, or as much of it as `limit` octets: a single read gives only what has come by then."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) >= limit:
            break
    return bytes(body[:limit])
