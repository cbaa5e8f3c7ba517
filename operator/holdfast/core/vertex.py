"""What attempts on Vertex AI ask of their pods: a token of the pod's own to exchange, or the metadata server.

An attempt's `options.vertex.audience` says which: a workload identity provider that is to be shown the pod's token, or
nothing, and then the machine vouches for the pod. What is asked with either is the bridge's business.

https://docs.cloud.google.com/iam/docs/workload-identity-federation-with-kubernetes
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.core.agents import AgentSpec
from holdfast.core.kinds import AUDIENCE

TOKENS = "/var/run/holdfast/tokens"
TOKEN_LIFE_S = 3_600
METADATA = (("169.254.169.254/32", 80), ("169.254.169.252/32", 988))
"""Compute Engine's metadata server, and where nodes of GKE answer in its place:
https://docs.cloud.google.com/kubernetes-engine/docs/how-to/workload-identity"""


def audiences(spec: AgentSpec) -> dict[str, str]:
    """Of the tokens to mount below TOKENS, by the attempt, which is the file's name. None for anybody but Google."""
    return {name: audience for name, audience in _asked(spec).items() if AUDIENCE.fullmatch(audience)}


def asks_the_machine(spec: AgentSpec) -> bool:
    return not all(_asked(spec).values())


def _asked(spec: AgentSpec) -> dict[str, str]:
    options = {each.name: each.options.get("vertex") for each in spec.attempts if each.kind == "gemini"}
    return {name: str(said.get("audience", "")) for name, said in options.items() if isinstance(said, Mapping) and said}
