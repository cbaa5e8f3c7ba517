"""The operator's own Secrets (zone keys, carriers, levers, the probe key), read from its namespace when needed.

Five seconds of cache, so that a rotation is seen at once and a burst costs one read. A value that was read before stays
usable while the API server is out of reach: the fleet must be able to write a lever exactly then. Values are never
logged; errors name the Secret and the key only.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping

from holdfast import errors, kube
from holdfast.errors import DriverError

FRESH_S = 5.0


class Secrets:
    """Reads Secrets of one namespace of the own cluster."""

    def __init__(self, client: kube.Kube, namespace: str) -> None:
        self._kube = client
        self._namespace = namespace
        self._cache: dict[str, tuple[float, Mapping[str, bytes]]] = {}

    async def read(self, name: str) -> Mapping[str, bytes]:
        """All keys of a Secret; a DriverError that names it when it is not there."""
        cached = self._cache.get(name)
        if cached is not None and time.monotonic() - cached[0] < FRESH_S:
            return cached[1]
        try:
            found = await self._kube.get(kube.SECRETS, name, namespace=self._namespace, deadline_s=1.5)
        except errors.ClusterUnreachable as e:
            if cached is not None:
                return cached[1]
            raise DriverError("SecretUnread", f"Secret {name} cannot be read now", retryable=True) from e
        except errors.ClusterError as e:
            self._cache.pop(name, None)
            raise DriverError(
                "SecretMissing", f"Secret {self._namespace}/{name} is missing or not readable", retryable=False
            ) from e
        values = _decoded(name, found.get("data") or {})
        self._cache[name] = (time.monotonic(), values)
        return values

    async def value(self, name: str, key: str) -> bytes:
        """One key of a Secret, without surrounding white space."""
        values = await self.read(name)
        if not values.get(key):
            raise DriverError(
                "SecretMissing", f"Secret {self._namespace}/{name} has no key {key}", retryable=False
            )
        return values[key]

    async def text(self, name: str, key: str) -> str:
        """The same as text."""
        return (await self.value(name, key)).decode()


def _decoded(name: str, data: Mapping[str, str]) -> Mapping[str, bytes]:
    try:
        return {key: base64.b64decode(value, validate=True).strip() for key, value in data.items()}
    except (binascii.Error, ValueError) as e:
        raise DriverError("SecretMissing", f"Secret {name} is not base64", retryable=False) from e
