"""The signature that AWS wants on a request (Signature Version 4). A pure function: the time is given.

It signs the host, the type of the content and every header of AWS's own, which is what has to be signed. Path and query
are signed as they stand in the URL, so the URL must be sent as it is. It knows no service.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsScope:
    """Who signs, and for which service in which region the signature holds."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    """Of temporary credentials; empty for lasting ones."""
    region: str
    service: str


@dataclass(frozen=True, slots=True)
class Unsigned:
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def signed_headers(request: Unsigned, scope: AwsScope, *, now: float) -> dict[str, str]:
    """The headers to send, with names in lower case: those given, the time, the token and the signature.

    `now`: seconds since 1970. AWS refuses a signature that is older than five minutes.
    """
    time = dt.datetime.fromtimestamp(int(now), tz=dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name.lower(): value for name, value in request.headers.items()} | {"x-amz-date": time}
    if scope.session_token:
        headers["x-amz-security-token"] = scope.session_token
    covered = {name: value for name, value in headers.items() if name == "content-type" or name.startswith("x-amz-")}
    covered["host"] = _host(request.url)
    names = ";".join(sorted(covered))
    where = f"{time[:8]}/{scope.region}/{scope.service}/aws4_request"
    canonical = _digest(_canonical(request, covered, names).encode())
    to_sign = f"{_ALGORITHM}\n{time}\n{where}\n{canonical}"
    signature = _mac(_key(scope, time[:8]), to_sign).hex()
    credential = f"{scope.access_key_id}/{where}"
    headers["authorization"] = f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return headers


def _canonical(request: Unsigned, covered: Mapping[str, str], names: str) -> str:
    parts = urlsplit(request.url)
    lines = [f"{name}:{' '.join(covered[name].split())}\n" for name in sorted(covered)]
    # The path is encoded once more than it is in the URL; only for S3 it would not be.
    path = quote(parts.path or "/", safe="/~")
    return "\n".join(
        (request.method, path, _canonical_query(parts.query), "".join(lines), names, _digest(request.body))
    )


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{name}={value}" for name, value in sorted((name, value) for name, _, value in pairs))


def _host(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{parts.port}"


def _key(scope: AwsScope, day: str) -> bytes:
    key = f"AWS4{scope.secret_access_key}".encode()
    for text in (day, scope.region, scope.service, "aws4_request"):
        key = _mac(key, text)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
