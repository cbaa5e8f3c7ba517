"""A vendor's texts may hold what a caller said, a key, or what a terminal obeys: none of it is logged or counted."""

from __future__ import annotations

import json
import logging
import re

import picows
import pytest
from bridge_world import bridge, dial_in, provider, settings

from holdfast_bridge.core import failures

SECRET = "\x1b[31mxyzzy 4111 1111 1111 1111"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"type": "server_error", "code": SECRET, "message": SECRET}},
        {"type": "error", "error": {"type": SECRET, "code": "session_expired", "message": SECRET}},
        {"type": "response.done", "response": {"status": "failed", "status_details": {"error": {"code": SECRET}}}},
        {"type": SECRET, SECRET: SECRET},
    ],
)
async def test_what_a_vendor_calls_an_error_is_told_in_words_of_few(
    event: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with provider() as (vendor, port), bridge(settings(port, more={"second": port})) as b:
        socket = await dial_in(b.port.port)
        socket.start("good CA1 1")
        await vendor.until(lambda: vendor.sessions and vendor.sessions[0].received)
        vendor.sessions[0].send(event)
        transport = vendor.sessions[0].transport
        assert transport is not None
        transport.send_close(picows.WSCloseCode.INTERNAL_ERROR, SECRET.encode())
        await vendor.until(lambda: len(vendor.sessions) > 1)
        assert [word for _, ok, word in b.results if not ok]
    logged = json.dumps([{**record.__dict__, "args": str(record.args)} for record in caplog.records], default=str)
    told = f"{logged} {b.results} {b.counted}"
    assert "xyzzy" not in told
    assert re.search(r"4111\W?1111", told) is None  # A log's clock may well show 4111.
    assert "\\u001b" not in told


def test_a_close_code_of_a_vendors_own_is_no_word_of_its_own() -> None:
    assert {failures.closed(code, SECRET)[0] for code in range(3_000, 65_536)} == {"closed_private"}
