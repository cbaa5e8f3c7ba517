"""The TLS that a set of proxies asks for: a client certificate out of a Secret, and whom to trust.

Nothing of the Secret is written to a disk: OpenSSL reads certificate and key from memory that has a file's name.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping

from holdfast.levers.base import DriverError


def client_tls(secret: Mapping[str, bytes], *, lever: str, trusted: str) -> ssl.SSLContext:
    """With `tls.crt` and `tls.key` a client certificate, with `ca.crt` that authority alone; else those in `trusted`.

    The keys are those of a Secret of type kubernetes.io/tls. DriverError when what they hold does not fit together.
    """
    try:
        authority = secret.get("ca.crt", b"").decode("ascii")
        context = ssl.create_default_context(cadata=authority or None, cafile=None if authority else trusted)
        if "tls.crt" in secret or "tls.key" in secret:
            _load(context, secret.get("tls.crt", b"") + b"\n" + secret.get("tls.key", b""))
    except (ssl.SSLError, ValueError):
        # The chain of exceptions is cut: whatever a parser says of a key stays here.
        raise DriverError(
            "Unauthorized", f"lever {lever}: tls.crt, tls.key and ca.crt of the Secret do not fit", retryable=False
        ) from None
    return context


def _load(context: ssl.SSLContext, pair: bytes) -> None:
    with os.fdopen(os.memfd_create("client", os.MFD_CLOEXEC), "wb") as file:
        file.write(pair)
        file.flush()
        # An encrypted key would otherwise be asked for at a terminal that nobody sits at.
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password="")
