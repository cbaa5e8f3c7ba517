"""Where a tool's webhook may lie, whatever its address is dressed up as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_bridge.core.addresses import allowed, literal, networks

CLUSTER = networks(["10.96.0.0/12", "fd00:10::/64"])
EVERYTHING = networks(["0.0.0.0/0", "::/0"])


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_needs_no_grant(address: str) -> None:
    assert allowed(address, ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "240.0.0.1", "::1", "fd00::1",
        "2001:db8::1", "2002:7f00:1::", "2001::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
    ],
)  # fmt: skip
def test_what_is_not_public_needs_a_grant(address: str) -> None:
    assert not allowed(address, ())
    assert allowed(address, EVERYTHING)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
        "100.100.100.200", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe", "", "localhost", "127.1", "10.0.0.1/8",
    ],
)  # fmt: skip
def test_metadata_services_and_what_is_no_host_are_refused_whatever_is_granted(address: str) -> None:
    assert not allowed(address, EVERYTHING)


def test_a_grant_is_for_its_network_only() -> None:
    assert [allowed(each, CLUSTER) for each in ("10.96.0.10", "10.112.0.1", "fd00:10::1", "fd00:11::1")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert allowed("::ffff:10.96.0.10", CLUSTER)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "1.2.3.4.", "::1", "a.1"]
)
def test_an_address_is_known_in_every_spelling(host: str) -> None:
    assert literal(host)


@pytest.mark.parametrize("host", ["tools.example.com", "tools.example.com.", "a1", "1a.example", "x0x", "localhost"])
def test_a_name_is_not_an_address(host: str) -> None:
    assert not literal(host)


@given(st.ip_addresses(v=4))
def test_no_dress_changes_what_an_address_is(address: object) -> None:
    plain = str(address)
    for dressed in (f"::ffff:{plain}", f"64:ff9b::{plain}"):
        assert allowed(dressed, ()) == allowed(plain, ())


@given(st.text(max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    allowed(text, EVERYTHING)
    literal(text)
