"""The vendors that the contract suites run against: one line each, by name, each an async context manager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

from lever_cloudflare import load_balancer
from lever_memory import memory
from lever_vendor import OriginVendor, PointingVendor

ORIGIN_VENDORS: Mapping[str, Callable[[], AbstractAsyncContextManager[OriginVendor]]] = {
    "memory": memory,
    "cloudflare load balancer": load_balancer,
}
POINTING_VENDORS: Mapping[str, Callable[[], AbstractAsyncContextManager[PointingVendor]]] = {}
