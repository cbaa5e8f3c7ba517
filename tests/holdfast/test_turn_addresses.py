"""Addresses of relays, and of what relays must not reach."""

from __future__ import annotations

import pytest

from holdfast.core.relays import Transport
from holdfast.gather import turn_url
from holdfast.gather.turn_forbidden import DEFAULT_NETWORKS, Forbidden
from holdfast.gather.turn_url import TurnAddress


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("turn:fra.turn.example.com", TurnAddress("fra.turn.example.com", 3478, Transport.UDP)),
        ("turn:192.0.2.7:443?transport=tcp", TurnAddress("192.0.2.7", 443, Transport.TCP)),
        ("turn:[2001:db8::1]:80?transport=udp", TurnAddress("2001:db8::1", 80, Transport.UDP)),
        ("turns:fra.turn.example.com", TurnAddress("fra.turn.example.com", 5349, Transport.TLS)),
        ("turns:fra.turn.example.com:443?transport=tcp", TurnAddress("fra.turn.example.com", 443, Transport.TLS)),
    ],
)
def test_an_address_says_where_and_how(url: str, address: TurnAddress) -> None:
    assert turn_url.parse(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "", "stun:a.test", "turn://a.test", "turn:", "turn:a.test:0", "turn:a.test:65536", "turn:u:p@a.test",
        "turns:a.test?transport=udp", "turn:a.test?transport=sctp", "turn:a.test\n", "turn:a b",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_with_its_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"TURN|port"):
        turn_url.parse(url)


def test_of_each_forbidden_network_one_address_is_asked_for() -> None:
    assert Forbidden().samples() == (
        "127.0.0.1", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
    )  # fmt: skip
    assert Forbidden(networks=("192.0.2.9/32",)).samples() == ("192.0.2.9",)


def test_what_is_meant_to_be_reached_is_not_forbidden() -> None:
    pods = Forbidden(allowed=("10.0.0.0/9",))
    assert "10.0.0.1" not in pods.samples()
    assert pods.covers("10.200.0.1")
    assert not pods.covers("10.42.0.1")
    assert not pods.covers("192.0.2.1")
    assert not pods.covers("")


@pytest.mark.parametrize("network", ["10.0.0.1/8", "everything", "::1/128"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"host bits|permit|Expected|Only"):
        Forbidden(networks=(*DEFAULT_NETWORKS, network))
