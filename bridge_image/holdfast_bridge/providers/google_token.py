"""Access tokens for Vertex AI, planned: what to ask whom, what the answer means, and when to ask again. Pure.

A token is needed when a link is opened, so it is fetched early and kept; a call never waits for one. Two sources:

    metadata server    GKE's workload identity, or the machine's own service account: one request
    external account   workload identity federation from any other cluster: the pod's own service account token, a file
                       that the kubelet renews, is exchanged at Google's STS, and that for the service account's token

Keys of service accounts are not taken: they never end, they lie in files, and to sign with one the bridge would have to
carry a cryptography library. Nor are sources that run programs. It knows no sockets, no files and no clock.

https://docs.cloud.google.com/kubernetes-engine/docs/concepts/workload-identity
https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-kubernetes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import msgspec

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
METADATA_URL = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
EARLY_S = 240.0
"""The metadata server gives out a new token when the old one has less than five minutes left."""
LIFE_MAX_S = 43_200.0
"""No access token lives for longer than twelve hours."""
RETRY_S, RETRY_MAX_S = 1.0, 60.0
MAX_TOKEN = 16_384
METADATA_SERVER = b"metadata-server"
"""What stands in a key file in the place of credentials."""
TOKENS_BELOW = "/var/run/"
"""Where the kubelet's tokens are mounted. Who wrote the credentials must not get any other file of the pod shown."""
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind of token
_STS = "sts.googleapis.com"
_IAM = "iamcredentials.googleapis.com"


class Refusal(Enum):
    """Why credentials cannot be used; a sentence for the log is the operator's business."""

    UNREADABLE = "unreadable"
    KEY_OF_A_SERVICE_ACCOUNT = "key-of-a-service-account"
    UNKNOWN_KIND = "unknown-kind"
    NO_FILE = "no-file"
    FOREIGN_FILE = "foreign-file"
    FOREIGN_HOST = "foreign-host"


@dataclass(frozen=True, slots=True)
class MetadataServer:
    url: str = METADATA_URL


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalAccount:
    audience: str
    token_kind: str
    """Of the token in the file, in the words of RFC 8693."""
    path: str
    field: str = ""
    """Where in the file the token stands, when the file is JSON."""
    sts_url: str
    service_account_url: str = ""
    """Empty: what the exchange gives is used as it is."""


Source: TypeAlias = MetadataServer | ExternalAccount


@dataclass(frozen=True, slots=True)
class Ask:
    """One HTTP request, without redirects and without a proxy."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    last: bool = True
    """False: its answer only leads to the next request."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    expires_at: float
    """In the seconds of the clock that `now` was read from."""


@dataclass(frozen=True, slots=True)
class Failed:
    word: str
    """One of `core.failures`."""


class _Answer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float


class _Impersonated(msgspec.Struct, frozen=True, rename="camel"):
    access_token: str


class _FileSource(msgspec.Struct, frozen=True):
    file: str = ""
    format: dict[str, Any] = {}


class _Credentials(msgspec.Struct, frozen=True):
    type: str = ""
    audience: str = ""
    subject_token_type: str = ""
    token_url: str = ""
    service_account_impersonation_url: str = ""
    credential_source: _FileSource | None = None


def source_of(credentials: bytes) -> Source | Refusal:
    """`credentials`: as `gcloud iam workload-identity-pools create-cred-config` writes them, or `metadata-server`."""
    if credentials.strip() == METADATA_SERVER:
        return MetadataServer()
    try:
        given = msgspec.json.decode(credentials, type=_Credentials)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Refusal.UNREADABLE
    if given.type == "service_account":
        return Refusal.KEY_OF_A_SERVICE_ACCOUNT
    if given.type != "external_account":
        return Refusal.UNKNOWN_KIND
    found = given.credential_source
    if found is None or not found.file:
        return Refusal.NO_FILE
    if not found.file.startswith(TOKENS_BELOW) or ".." in found.file.split("/"):
        return Refusal.FOREIGN_FILE
    impersonation = given.service_account_impersonation_url
    if not _at(given.token_url, _STS) or (impersonation and not _at(impersonation, _IAM)):
        return Refusal.FOREIGN_HOST
    name = found.format.get("subject_token_field_name") if found.format.get("type") == "json" else ""
    return ExternalAccount(
        audience=given.audience,
        token_kind=given.subject_token_type,
        path=found.file,
        field=str(name or ""),
        sts_url=given.token_url,
        service_account_url=impersonation,
    )


def first(source: Source, *, file: bytes = b"") -> Ask | Failed:
    """`file`: what the source's file holds at this moment."""
    match source:
        case MetadataServer(url=url):
            return Ask("GET", url, {"Metadata-Flavor": "Google"})
        case ExternalAccount():
            token = _text(file, source.field)
            return _exchange(source, token) if token else Failed("auth")


def follow(source: Source, asked: Ask, *, status: int, body: bytes, now: float) -> Ask | Token | Failed:
    """What the answer to `asked` means."""
    if status != 200:
        return Failed("rate" if status == 429 else "auth" if 400 <= status < 500 and status != 408 else "server")
    try:
        if isinstance(source, ExternalAccount) and source.service_account_url and asked.last:
            # Its end is told as a date. We asked for an hour, and an hour it is, or it is asked for again early.
            found, life_s = msgspec.json.decode(body, type=_Impersonated).access_token, 3_600.0
        else:
            answer = msgspec.json.decode(body, type=_Answer)
            found, life_s = answer.access_token, answer.expires_in
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Failed("unreadable")
    if not _fits(found):
        return Failed("unreadable")
    if isinstance(source, ExternalAccount) and not asked.last:
        return _impersonate(source, found)
    return Token(found, now + min(max(0.0, life_s), LIFE_MAX_S))


def usable(token: Token, now: float) -> bool:
    """A link can be opened with it."""
    return now < token.expires_at


def ask_at(token: Token, now: float) -> float:
    """When to ask for the next one; of one that lives for a few minutes only, after half of its life."""
    return max(token.expires_at - EARLY_S, (now + token.expires_at) / 2)


def retry_at(now: float, failures: int) -> float:
    """After so many failures in a row, at least one. The old token is used until it ends."""
    return now + min(RETRY_MAX_S, RETRY_S * 2.0 ** min(failures - 1, 10))


def _exchange(source: ExternalAccount, token: str) -> Ask:
    asked = {
        "grant_type": _GRANT,
        "audience": source.audience,
        "scope": SCOPE,
        "requested_token_type": _ACCESS_TOKEN,
        "subject_token_type": source.token_kind,
        "subject_token": token,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Ask("POST", source.sts_url, headers, urlencode(asked).encode(), last=not source.service_account_url)


def _impersonate(source: ExternalAccount, token: str) -> Ask:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = msgspec.json.encode({"scope": [SCOPE], "lifetime": "3600s"})
    return Ask("POST", source.service_account_url, headers, body)


def _at(url: str, host: str) -> bool:
    """The pod's own token goes to Google and to nobody else."""
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.netloc == host


def _text(file: bytes, name: str) -> str:
    """The token in a file; empty when there is none that fits a header."""
    try:
        found = msgspec.json.decode(file, type=dict[str, Any]).get(name) if name else file.decode()
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    token = found.strip() if isinstance(found, str) else ""
    return token if _fits(token) else ""


def _fits(token: str) -> bool:
    return 0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable() and " " not in token
