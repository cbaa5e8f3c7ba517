"""What Deepgram's endpoints have in common: where a link is opened, and with which key. Pure; it knows none of them.

https://developers.deepgram.com/reference/authentication
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit


def link_url(base_url: str, endpoint: str, asked: Mapping[str, Any], query: Mapping[str, str]) -> str:
    """`base_url` ends before or with the endpoint's path; a list is asked once for each value; `query` overrides."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/").removesuffix(endpoint) + endpoint
    return urlunsplit(parts._replace(path=path, query=urlencode({**asked, **query}, doseq=True)))


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Token {key}"}
