"""Builders for the bridge's control-side tests: settings, records and directories as the operator would mount them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast_bridge import agent_config, settings
from holdfast_bridge.core.journal import CallRecord

ZONE_KEY = "zone-key-of-the-tests"
CARRIER_TOKEN = "carrier-token-of-the-tests"
CALL = "CA" + "0" * 32


def agent_json(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "version": 1,
        "namespace": "clinic",
        "agent": "front-desk",
        "generation": 3,
        "region": "fra",
        "zone": "eu",
        "policyHost": "eu.voice.example.com",
        "regions": [
            {"name": "fra", "host": "fra.voice.example.com", "weight": 50},
            {"name": "ams", "host": "ams.voice.example.com", "weight": 50},
        ],
        "buddy": "ams",
        "persona": {"instructions": "Be kind.", "greeting": "Hello.", "disclosure": "I am a bot.", "language": "en"},
        "attempts": [{"name": "echo", "kind": "loopback"}],
        "tools": [],
        "turns": {"bargeIn": True, "silenceMs": 500},
        "limits": {"callsPerPod": 10, "maxCallSeconds": 3600},
        "carrier": {
            "name": "twilio-eu",
            "kind": "twilio",
            "accountSid": "AC" + "1" * 32,
            "apiUrl": "https://api.twilio.com",
        },
        "operatorUrl": "",
        "redisUrl": "",
        "drainSeconds": 60,
    }
    return base | changes


def config(**changes: Any) -> agent_config.AgentConfig:
    return agent_config.decode_agent(json.dumps(agent_json(**changes)).encode(), source="agent.json")


def built(**changes: Any) -> settings.Settings:
    return settings.Settings(
        agent=config(**changes),
        fleet=settings.FleetSecrets(
            zone_keys=(ZONE_KEY.encode(),),
            carrier_tokens=(CARRIER_TOKEN,),
            carrier_api_key="SK-key",
            carrier_api_secret="api-secret",
            operator_token="operator-token",
        ),
        provider_keys={},
        pod="pod-1",
        pod_uid="uid-1",
    )


def mounted(directory: Path, **changes: Any) -> Path:
    """The directory as kubelet would mount it."""
    (directory / "fleet").mkdir(parents=True, exist_ok=True)
    (directory / "agent.json").write_text(json.dumps(agent_json(**changes)))
    (directory / "fleet" / "zone-key").write_text(ZONE_KEY + "\n")
    (directory / "fleet" / "carrier-token").write_text(CARRIER_TOKEN)
    (directory / "fleet" / "carrier-api-key").write_text("SK-key")
    (directory / "fleet" / "carrier-api-secret").write_text("api-secret")
    (directory / "fleet" / "operator-token").write_text("operator-token")
    return directory


def record(call: str = CALL, **changes: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call": call,
        "agent": "clinic/front-desk",
        "epoch": 1,
        "seq": 1,
        "region": "fra",
        "pod": "pod-1",
        "started_at": 1000.0,
        "updated_at": 1005.0,
    }
    return CallRecord(**(values | changes))
