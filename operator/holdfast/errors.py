"""The operator's own errors. Those of other people's libraries stop at the adapter and become one of these.

    FleetError
     ├── ClusterError                an answer of a Kubernetes API server, or its absence
     │    ├── ClusterUnreachable     no answer within the deadline: says nothing about the state of anything
     │    ├── Conflict               somebody else wrote first (409)
     │    ├── Forbidden              our credential may not (401, 403)
     │    ├── NotFound               no such object (404)
     │    └── Rejected               the object is wrong in the server's eyes (any other 4xx)
     └── DriverError                 a lever, a carrier or a credential for one refused, or gave no answer

No message carries a credential, a header or a body of a Secret.
"""

from __future__ import annotations


class FleetError(Exception):
    """Root of what the operator raises on purpose."""


class ClusterError(FleetError):
    """A Kubernetes API server answered with an error, or did not answer."""

    def __init__(self, cluster: str, message: str) -> None:
        super().__init__(f"cluster {cluster}: {message}")
        self.cluster = cluster


class ClusterUnreachable(ClusterError):
    """No usable answer in time. Unknown, never ill."""


class Conflict(ClusterError):
    """The object changed since it was read."""


class Forbidden(ClusterError):
    """The credential is not accepted or not allowed to do this."""


class NotFound(ClusterError):
    """The object, its kind or its namespace does not exist."""


class Rejected(ClusterError):
    """The API server refused the content."""


class DriverError(FleetError):
    """A vendor refused or was silent. `code` is stable and becomes the reason of a condition."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool,
        outcome_unknown: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.outcome_unknown = outcome_unknown
        self.retry_after_s = retry_after_s
