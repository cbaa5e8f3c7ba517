"""What an agent's status is told besides what its calls met."""

from __future__ import annotations

import dataclasses

from provider_parts import DESK, SHOP, attempt, desired, entry

from holdfast import fleet_picture, kube
from holdfast.core.agents import AgentSpec


def conditions(*specs: tuple[object, AgentSpec]) -> dict[str, list[tuple[str, bool | None, str]]]:
    known = desired(*(dataclasses.replace(entry(ref), spec=spec) for ref, spec in specs))
    wanted = fleet_picture.statuses(
        desired=known, zones={}, observations=(), loads={}, fallbacks={}, calls={}, orders=lambda _: None,
        met=lambda _: (), losses=lambda *_: (), notes={}, wall_s=0.0,
    )  # fmt: skip
    return {
        name: [(each.type, each.status, each.reason.code) for each in told.conditions]
        for (kind, _, name), told in wanted.items() if kind == kube.AGENTS
    }  # fmt: skip


def test_an_agent_that_asks_its_vendors_to_store_nothing_is_told_where_only_a_contract_can() -> None:
    asks = dataclasses.replace(entry(DESK).spec, vendors_keep=False)
    silent = entry(SHOP, attempt("openai", "wss://eu.api.openai.com/v1/realtime")).spec
    assert conditions((DESK, asks), (SHOP, silent)) == {
        "front-desk": [("VendorStorageOff", False, "ByContractOnly")], "sales": [],
    }  # fmt: skip
