"""Where Azure OpenAI v1 is dialled, and with what: a mistake is named before it becomes a 401."""

from __future__ import annotations

import pytest

from holdfast_bridge.providers.azure import headers, openai_link_url

BASE = "wss://clinic.openai.azure.com/openai/v1/realtime"


def test_the_deployment_is_the_model_and_a_gateways_query_is_kept() -> None:
    url = openai_link_url(BASE, "front desk", {"tenant": "a b"})
    assert url == f"{BASE}?model=front+desk&tenant=a+b"


@pytest.mark.parametrize(
    ("base_url", "query", "field"),
    [
        (BASE, {"api-version": "2025-04-01-preview"}, "query"),
        (BASE, {"API-Version": ""}, "query"),
        (f"{BASE}?api-version=2025-04-01-preview", {}, "baseUrl"),
        (f"{BASE}?api-version=", {}, "baseUrl"),
        ("wss://clinic.openai.azure.com/openai/realtime", {}, "baseUrl"),
        ("wss://clinic.openai.azure.com/openai/realtime/", {}, "baseUrl"),
        (BASE, {"model": "another"}, "query"),
        (f"{BASE}?model=another", {}, "baseUrl"),
    ],
)
def test_what_azure_would_take_for_a_wrong_key_is_refused_by_field(
    base_url: str, query: dict[str, str], field: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: "):
        openai_link_url(base_url, "desk", query)


def test_a_gateways_own_query_is_kept() -> None:
    assert openai_link_url(f"{BASE}?tenant=a", "desk", {}) == f"{BASE}?tenant=a&model=desk"


@pytest.mark.parametrize(
    ("secret", "header"),
    [
        ("6f1a0f3b9c", {"api-key": "6f1a0f3b9c"}),
        ("eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl", {"Authorization": "Bearer eyJ0eXAi.eyJhdWQi.c2lnbmF0dXJl"}),
    ],
)
def test_a_key_has_its_own_header_and_a_token_of_entra_the_usual_one(secret: str, header: dict[str, str]) -> None:
    assert headers(secret) == header
