"""Reference targets: well-known places outside the fleet. An observer that reaches none of them doubts itself.

Any answer over a fresh TLS connection counts; what the answer says does not matter here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

REFERENCE_DEADLINE_S = 1.5
HTTPS_PORT = 443


async def reachable(url: str, tls: ssl.SSLContext, *, deadline_s: float = REFERENCE_DEADLINE_S) -> bool:
    """Whether a TLS handshake with the target ends in time. `http://` targets need only connect."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    try:
        async with asyncio.timeout(deadline_s):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (HTTPS_PORT if secure else 80), ssl=tls if secure else None
            )
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def survey(urls: Sequence[str], tls: ssl.SSLContext) -> tuple[bool, ...]:
    """All targets at once, in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(reachable(url, tls)) for url in urls]
    return tuple(task.result() for task in tasks)
