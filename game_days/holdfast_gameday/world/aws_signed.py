"""Whether a request to a simulated AWS service was signed: Signature Version 4, checked as AWS checks it.

Written apart from the bridge's own signing, so that a mistake in one does not hide the same mistake in the other.
It knows no service and no clock.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

from holdfast_gameday.world.vendor_http import Asked

SKEW_S_MAX = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class AwsKey:
    name: str
    """By which faults and counts speak of it."""
    secret: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    exception: str
    message: str


def signer(asked: Asked, keys: Mapping[str, AwsKey], *, region: str, service: str, now: float) -> AwsKey | Refused:
    """Whose signature it is, among the keys by their ids."""
    given = asked.headers.get("authorization", "")
    if not given:
        return Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
    found = _AUTHORIZATION.fullmatch(given)
    if found is None:
        return Refused("IncompleteSignatureException", "Authorization header requires 'Signature' parameter.")
    key = keys.get(found["key"])
    if key is None or asked.headers.get("x-amz-security-token", "") != key.session_token:
        return Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
    if (found["region"], found["service"]) != (region, service):
        return Refused("InvalidSignatureException", "Credential should be scoped to a valid region.")
    at = asked.headers.get("x-amz-date", "")
    if not _recent(at, found["day"], now):
        return Refused("InvalidSignatureException", f"Signature expired: {at} is now earlier or later than allowed.")
    if not {"host", *(name for name in asked.headers if name.startswith("x-amz-"))} <= set(found["names"].split(";")):
        return Refused("InvalidSignatureException", "'host' and every 'x-amz-*' header must be signed.")
    if not hmac.compare_digest(_signature(asked, found, key.secret), found["signature"]):
        return Refused(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )
    return key


def _recent(at: str, day: str, now: float) -> bool:
    try:
        signed = calendar.timegm(time.strptime(at, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return False
    return at.startswith(day) and abs(now - signed) <= SKEW_S_MAX


def _signature(asked: Asked, found: re.Match[str], secret: str) -> str:
    names = found["names"].split(";")
    lines = "".join(f"{name}:{re.sub(' +', ' ', asked.headers.get(name, '').strip())}\n" for name in names)
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in parse_qsl(asked.query, keep_blank_values=True))
    query = "&".join("=".join(pair) for pair in pairs)
    payload = asked.headers.get("x-amz-content-sha256") or hashlib.sha256(asked.body).hexdigest()
    request = f"{asked.method}\n{quote(asked.path, safe='/~')}\n{query}\n{lines}\n{found['names']}\n{payload}"
    scope = f"{found['day']}/{found['region']}/{found['service']}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{asked.headers['x-amz-date']}\n{scope}\n{digest}"
    key = ("AWS4" + secret).encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()
