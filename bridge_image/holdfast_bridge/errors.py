"""The errors of the bridge's shell; expected refusals are values and are not here.

    BridgeError
    ├── SettingsError     a mounted file is missing or says something that cannot be meant; names file and field
    ├── StoreError        a journal store did not answer in time or answered nonsense
    └── CarrierError      the carrier's REST API refused, or its answer never came
"""

from __future__ import annotations


class BridgeError(Exception):
    """Whatever the bridge's own code raises on purpose."""


class SettingsError(BridgeError):
    """A mounted file is missing or wrong. The text names the file and the field, never a value."""


class StoreError(BridgeError):
    """A journal store could not be asked. The call goes on without it."""


class CarrierError(BridgeError):
    """The carrier's REST API did not do what it was asked."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
