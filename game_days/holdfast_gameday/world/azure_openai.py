"""The simulated Azure OpenAI v1: `wss://…/openai/v1/realtime?model=DEPLOYMENT`, the GA dialect of `openai_session`.

What is Azure's own: the header, an `api-version` that is refused as if the key were wrong, and models that are known by
the names of their deployments, the one that transcribes among them. It knows neither the dated preview nor Voice Live.

https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-preview-api-migration-guide
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus

from holdfast_gameday.world.openai_realtime import SESSION_S_MAX, RealtimeLink, models
from holdfast_gameday.world.openai_response import Event, Pace
from holdfast_gameday.world.openai_session import GA, Dialect, Identity
from holdfast_gameday.world.vendor_faults import Fault
from holdfast_gameday.world.vendor_sockets import Admitted, Answer, Upgrade, Wire

PATH = "/openai/v1/realtime"
MODELS_PATH = "/openai/v1/models"
DEPLOYMENTS: Mapping[str, str] = {
    "gpt-realtime": "gpt-realtime", "gpt-4o-mini-transcribe": "gpt-4o-mini-transcribe",
}  # fmt: skip
DENIED = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an "
    "active subscription and use a correct regional API endpoint for your resource."
)
_NO_DEPLOYMENT = (
    "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, "
    "please wait a moment and try again."
)
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class AzureOpenAI:
    """One resource. `keys` and `tokens` (of Entra) map what a client shows to the name by which faults speak of it;
    `deployments` maps the names of deployments to their models."""

    kind = "azure-openai"

    def __init__(
        self,
        *,
        keys: Mapping[str, str],
        tokens: Mapping[str, str] | None = None,
        deployments: Mapping[str, str] = DEPLOYMENTS,
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
    ) -> None:
        self._keys = dict(keys)
        self._tokens = dict(tokens or {})
        self._deployments = dict(deployments)
        self._pace = pace
        self._prefix = secrets.token_hex(3)

    def admit(self, asked: Upgrade) -> Admitted | Answer:
        if asked.path not in (PATH, MODELS_PATH):
            return refused(404, "404", "Resource not found")
        # The v1 path has no versions: what is asked for with one is taken for another endpoint.
        name = None if "api-version" in asked.query else self._name(asked)
        if name is None:
            return refused(401, "401", DENIED)
        if asked.path == MODELS_PATH:
            return models(tuple(dict.fromkeys(self._deployments.values())), key_name=name)
        model = self._deployments.get(asked.one("model"))
        if model is None:
            return refused(404, "DeploymentNotFound", _NO_DEPLOYMENT)
        if "realtime" not in model:
            message = "The realtime operation does not work with the specified model"
            # Spelt as Azure spells it.
            return refused(400, "OpperationNotSupported", message)
        return Admitted(name, lambda wire, number: self._link(wire, number, model))

    def refusal(self, fault: Fault) -> Answer:
        return refused(fault.status, fault.error_code, "Refused on demand.", retry_after_s=fault.retry_after_s)

    def _name(self, asked: Upgrade) -> str | None:
        """The v1 path takes a key in either header: clients of OpenAI's know only the second."""
        if "api-key" in asked.headers:
            return self._keys.get(asked.headers["api-key"])
        scheme, _, shown = asked.headers.get("authorization", "").partition(" ")
        return self._tokens.get(shown, self._keys.get(shown)) if scheme == "Bearer" else None

    def _link(self, wire: Wire, number: int, model: str) -> RealtimeLink:
        who = Identity(number, self._prefix, model, int(time.time() + SESSION_S_MAX))
        outward = _Outward(self._deployments)
        return RealtimeLink(wire, who, pace=self._pace, dialect=Dialect(inward=GA.inward, outward=outward))


def refused(status: int, code: str, message: str, *, retry_after_s: int = 1) -> Answer:
    """In the words of Azure, of whichever of its services."""
    headers = {"Retry-After": str(retry_after_s)} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return Answer(status, {"error": {"code": code, "message": message}}, headers)


class _Outward:
    """Lets the words of a caller fail where the model that should transcribe them is not deployed; all else goes on."""

    def __init__(self, deployments: Collection[str]) -> None:
        self._deployments = deployments
        self._asked = ""

    def __call__(self, event: Event) -> Iterable[Event]:
        kind = event["type"]
        if kind == "session.updated":
            self._asked = (event["session"]["audio"]["input"].get("transcription") or {}).get("model") or ""
        if not kind.startswith(_TRANSCRIPTION) or self._asked in self._deployments:
            return (event,)
        if kind.endswith(".delta"):
            return ()
        item = event["item_id"]
        error = {
            "type": "server_error", "code": "DeploymentNotFound", "param": None,
            "message": f"Input transcription failed for item '{item}'.",
        }  # fmt: skip
        return ({"type": f"{_TRANSCRIPTION}.failed", "item_id": item, "content_index": 0, "error": error},)
