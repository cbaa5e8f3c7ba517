"""TLS contexts of the practice range. It makes no certificates; the lab (or a test) does."""

from __future__ import annotations

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def client_context(authority: Path | None) -> ssl.SSLContext:
    """Trusts only the given authority: a vendor that accepted any certificate would prove nothing."""
    if authority is None:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=str(authority))
