"""Azure OpenAI v1 (GA): the dialect of `openai_realtime` under another address and another header. Pure.

It knows no dialect, and neither the dated preview nor its `api-version`: the v1 path answers that with a bare 401,
which would be taken for a wrong key. Whoever has the address and the key asks here before dialling.

https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-preview-api-migration-guide
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from holdfast_bridge.providers import openai_realtime

_VERSION = "api-version"
_PREVIEW_PATH = "/openai/realtime"


def openai_link_url(base_url: str, deployment: str, query: Mapping[str, str]) -> str:
    """`base_url`: wss://RESOURCE.openai.azure.com/openai/v1/realtime. ValueError says which field is wrong."""
    parts = urlsplit(base_url)
    if parts.path.rstrip("/").endswith(_PREVIEW_PATH):
        raise ValueError("baseUrl: the dated preview has ended; the path of v1 is /openai/v1/realtime")
    for field, names in (("baseUrl", dict(parse_qsl(parts.query, keep_blank_values=True))), ("query", query)):
        if any(name.lower() == _VERSION for name in names):
            raise ValueError(f"{field}: the v1 path takes no {_VERSION}, and refuses it as if the key were wrong")
        if "model" in names:
            raise ValueError(f"{field}: the model is the deployment's name, which is given on its own")
    return openai_realtime.link_url(base_url, {"model": deployment}, query)


def headers(secret: str) -> dict[str, str]:
    """A resource's key, or a token of Entra for the scope https://ai.azure.com/.default; Voice Live takes the same.

    A token is told by its shape: three parts between dots, where a key has letters and digits only.
    """
    if secret.count(".") == 2:
        return {"Authorization": f"Bearer {secret}"}
    return {"api-key": secret}
