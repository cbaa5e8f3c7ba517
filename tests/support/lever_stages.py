"""The vendors that the contract suites run against: one line each, by name, each an async context manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from lever_cloudflare import load_balancer, plain_load_balancer, tunnel
from lever_kamailio import two_proxies
from lever_memory import memory
from lever_telnyx import applications as telnyx_applications
from lever_telnyx import numbers as telnyx_numbers
from lever_telnyx import sip_connection as telnyx_sip_connection
from lever_twilio import applications, numbers, trunk, weighted_trunk
from lever_vendor import OriginVendor, PointingVendor

ORIGIN_VENDORS: Mapping[str, Callable[[], AbstractAsyncContextManager[OriginVendor]]] = {
    "memory": memory,
    "cloudflare load balancer": load_balancer,
    "cloudflare load balancer, unweighted": plain_load_balancer,
    "cloudflare tunnel": tunnel,
    "kamailio dispatcher": two_proxies,
    "telnyx sip connection": telnyx_sip_connection,
    "twilio trunk": trunk,
    "twilio trunk by weight": weighted_trunk,
}
POINTING_VENDORS: Mapping[str, Callable[[], AbstractAsyncContextManager[PointingVendor]]] = {
    "telnyx call control applications": telnyx_applications("callControl"),
    "telnyx numbers": telnyx_numbers,
    "telnyx texml applications": telnyx_applications("texml"),
    "twilio applications": applications,
    "twilio numbers": numbers,
}
# Those that are the real program: their cases run where Debian's package is.
PROGRAMS = frozenset({"kamailio dispatcher"})


def cases(vendors: Mapping[str, object]) -> list[Any]:
    """The vendors by name, as a fixture's parameters."""
    marks = {name: [pytest.mark.programs] if name in PROGRAMS else [] for name in vendors}
    return [pytest.param(name, marks=marks[name]) for name in sorted(vendors)]
