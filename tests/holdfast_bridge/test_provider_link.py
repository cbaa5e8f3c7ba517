"""A link comes about within its deadline or says of which class its failure was; its loss is told once."""

from __future__ import annotations

import socket

import picows
import pytest
from bridge_world import ScriptedProvider, provider

from holdfast_bridge import provider_link
from holdfast_bridge.provider_link import LoopbackLink, ProviderUnreachable, SocketLink

HEADERS = {"Authorization": "Bearer k"}


def ignore(*_: object) -> None:
    return None


async def failure(url: str, timeout_s: float = 1.0) -> tuple[str, bool]:
    with pytest.raises(ProviderUnreachable) as error:
        await provider_link.dial(url, HEADERS, on_message=ignore, on_lost=ignore, timeout_s=timeout_s)
    return error.value.error_class, error.value.retry_same


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, ("auth", False)), (429, ("rate", False)), (404, ("config", False)), (503, ("server", True))],
)
async def test_a_refusal_has_a_class(status: int, expected: tuple[str, bool]) -> None:
    async with provider() as (vendor, port):
        vendor.refuse = status
        assert await failure(f"ws://127.0.0.1:{port}/") == expected


async def test_nobody_there() -> None:
    assert await failure("ws://127.0.0.1:1/") == ("connect", True)


async def test_a_listener_that_never_answers_costs_no_more_than_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert await failure(f"ws://127.0.0.1:{port}/", timeout_s=0.1) == ("timeout", True)


async def linked(vendor: ScriptedProvider, port: int, lost: list[tuple[str, bool]]) -> SocketLink:
    link = await provider_link.dial(
        f"ws://127.0.0.1:{port}/", HEADERS, on_message=ignore, on_lost=lambda why, retry: lost.append((why, retry))
    )
    link.send(b'{"type":"session.update"}')
    await vendor.until(lambda: vendor.sessions[0].received)
    return link


async def test_the_loss_of_a_link_is_told_once_with_its_close_code() -> None:
    async with provider() as (vendor, port):
        lost: list[tuple[str, bool]] = []
        link = await linked(vendor, port, lost)
        transport = vendor.sessions[0].transport
        assert transport is not None
        transport.send_close(picows.WSCloseCode.INTERNAL_ERROR)
        await transport.wait_disconnected()
        assert lost == [("closed_1011", True)]
        link.send(b"into the void")
        assert len(lost) == 1


async def test_a_link_that_we_close_is_not_lost() -> None:
    async with provider() as (vendor, port):
        lost: list[tuple[str, bool]] = []
        link = await linked(vendor, port, lost)
        transport = vendor.sessions[0].transport
        assert transport is not None
        link.close()
        await transport.wait_disconnected()
        assert lost == []


def test_a_loop_back_is_mute_after_its_end() -> None:
    heard: list[bytes] = []
    link = LoopbackLink(heard.append)
    link.send(b"a")
    link.close()
    link.send(b"b")
    assert heard == [b"a"]


async def test_a_vendor_that_is_slow_to_answer_a_ping_may_be_given_more_time() -> None:
    async with provider() as (_, port):
        link = await provider_link.dial(
            f"ws://127.0.0.1:{port}/", {"Authorization": "x"}, on_message=lambda _: None,
            on_lost=lambda _word, _again: None, pong_within_s=30.0,
        )  # fmt: skip
        link.close()
