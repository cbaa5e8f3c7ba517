"""Which addresses a tool's webhook may lie at. Pure: it resolves nothing; what a name means is asked elsewhere.

A webhook is public unless its agent's policy grants networks to it. Ranges are those of IANA's registries:
https://www.iana.org/assignments/iana-ipv4-special-registry https://www.iana.org/assignments/iana-ipv6-special-registry

    never, whatever is granted   unspecified, link-local (the metadata services of clouds among them), multicast
    only where it is granted     loopback, private, shared (carrier-grade NAT), documentation, reserved
    always                       the rest

An address that carries another one (mapped, NAT64) is judged by that one; those that tunnel (6to4, Teredo) are not
public.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
        "100.100.100.200/32",  # Alibaba Cloud's metadata lie in the shared range.
        "::/128", "fe80::/10", "ff00::/8",
        "fd00:ec2::254/128",  # AWS's metadata lie in the private range.
    )
)  # fmt: skip
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(each)
    for each in (
        "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.ip_network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NUMERIC = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


def networks(written: Iterable[str]) -> tuple[Network, ...]:
    """CIDRs as networks; ValueError names the one that is none."""
    return tuple(ipaddress.ip_network(each) for each in written)


def allowed(address: str, granted: tuple[Network, ...]) -> bool:
    """Whether a webhook at this address may be asked. What is no address may not."""
    try:
        found = _carried(ipaddress.ip_address(address))
    except ValueError:
        return False
    if _in(found, _NEVER):
        return False
    return _in(found, granted) or _public(found)


def literal(host: str) -> bool:
    """Whether a URL's host is an address, in whatever spelling: 127.1, 2130706433 and 0x7f.1 are, too."""
    return ":" in host or _NUMERIC.fullmatch(host.removesuffix(".").rpartition(".")[2]) is not None


def _carried(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return not _in(address, _NOT_PUBLIC)
    return address in _GLOBAL_V6 and not _in(address, _NOT_PUBLIC_V6)


def _in(address: Address, ranges: Iterable[Network]) -> bool:
    return any(address.version == each.version and address in each for each in ranges)
