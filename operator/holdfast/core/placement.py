"""The Kubernetes objects of one agent in one region: `objects(place)`. Pure: the same place gives the same bytes.

The manifests name only fields that Holdfast owns; whoever applies them decides whether anything differs. What may
change while calls are held (prompt, order of attempts, weights, keys) lies in files that the pod reads again, and
never in the pod template: only a change of the template replaces pods.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from holdfast.core import vertex
from holdfast.core.agents import Attempt
from holdfast.core.place import (
    MOUNT,
    OPERATOR_PORT,
    Place,
    agent_json,
    carrier_name,
    key_path,
    operator_token,
    signing_paths,
    tool_networks,
)
from holdfast.core.values import AgentRef, Zone

Manifest = dict[str, Any]

CONTROL_PORT = 8080
AUDIO_PORT = 8081
HTTPS = 443
USER = 65532
FLEET_KEYS = (
    "zone-key",
    "zone-key-previous",
    "carrier-token",
    "carrier-token-previous",
    "carrier-api-key",
    "carrier-api-secret",
    "operator-token",
)
"""What our Secret beside an agent may hold, in the order in which its proof names them."""
# A pod may finish what its drain left over before the kubelet ends it.


def objects(place: Place) -> tuple[Manifest, ...]:
    """Every object of the agent here, in the order to apply them in: what a pod needs is there before it."""
    return (
        config_map(place),
        secret(place),
        network_policy(place),
        service(place),
        deployment(place),
        disruption_budget(place),
        ingress(place),
    )


def labels(ref: AgentRef) -> dict[str, str]:
    """How our objects are found again."""
    return {
        **_selector(ref),
        "app.kubernetes.io/instance": ref.name,
        "app.kubernetes.io/managed-by": "holdfast",
        "app.kubernetes.io/part-of": "holdfast",
    }


def _selector(ref: AgentRef) -> dict[str, str]:
    return {"app.kubernetes.io/name": "holdfast-bridge", "holdfast.dev/agent": ref.name}


def _object(place: Place, api_version: str, kind: str) -> Manifest:
    metadata: dict[str, Any] = {
        "name": place.name,
        "namespace": place.ref.namespace,
        "labels": labels(place.ref),
    }
    if place.owner is not None:
        metadata["ownerReferences"] = [
            {
                "apiVersion": place.owner.api_version,
                "kind": place.owner.kind,
                "name": place.owner.name,
                "uid": place.owner.uid,
                "controller": True,
                # False: nobody may be made to wait for us by deleting the agent in the foreground.
                "blockOwnerDeletion": False,
            }
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def config_map(place: Place) -> Manifest:
    data = {"agent.json": json.dumps(agent_json(place), ensure_ascii=False, sort_keys=True, indent=1)}
    if place.release.extra_ca:
        data["ca.crt"] = place.release.extra_ca
    return {**_object(place, "v1", "ConfigMap"), "data": data}


def secret(place: Place) -> Manifest:
    keys = place.keys
    held = {
        "zone-key": keys.zone_key,
        "zone-key-previous": keys.zone_key_previous,
        "carrier-token": keys.carrier_token,
        "carrier-token-previous": keys.carrier_token_previous,
        "carrier-api-key": keys.carrier_api_key,
        "carrier-api-secret": keys.carrier_api_secret,
        "operator-token": operator_token(keys.zone_key, place.ref).encode(),
    }
    data = {name: base64.b64encode(value).decode() for name, value in held.items() if value is not None}
    return {**_object(place, "v1", "Secret"), "type": "Opaque", "data": data}


def proof(secret: Manifest) -> str:
    """What a pod shows that mounts this Secret as it is, without telling what is in it: see the bridge's settings."""
    text = {name: base64.b64decode(value).decode(errors="replace").strip() for name, value in secret["data"].items()}
    held = [text.get(name, "") for name in FLEET_KEYS]
    mac = hmac.new(held[0].encode(), f"fleet {json.dumps(held)}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def deployment(place: Place) -> Manifest:
    selector = _selector(place.ref)
    template = {
        "metadata": {"labels": labels(place.ref)},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": place.grace_s,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [_spread(selector, key) for key in _SPREAD_OVER],
            "containers": [_container(place)],
            "volumes": [
                {"name": "holdfast", "projected": {"defaultMode": 0o440, "sources": _sources(place)}},
                *_tokens(place),
            ],
        },
    }
    replicas = {} if place.replicas is None else {"replicas": place.replicas or place.spec.min_pods}
    return {
        **_object(place, "apps/v1", "Deployment"),
        "spec": {
            **replicas,
            "revisionHistoryLimit": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": selector},
            "template": template,
        },
    }


_SPREAD_OVER = ("topology.kubernetes.io/zone", "kubernetes.io/hostname")


def _spread(selector: Mapping[str, str], key: str) -> dict[str, Any]:
    # Soft: a pod in the wrong place answers calls, a pending one does not.
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(selector)},
    }


def _container(place: Place) -> dict[str, Any]:
    environment = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
    ]
    if place.release.extra_ca:
        environment.append({"name": "SSL_CERT_FILE", "value": f"{MOUNT}/ca/ca.crt"})
    return {
        "name": "bridge",
        "image": place.release.bridge_image,
        "imagePullPolicy": place.release.image_pull_policy,
        "env": environment,
        "ports": [
            {"name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP"},
            {"name": "audio", "containerPort": AUDIO_PORT, "protocol": "TCP"},
        ],
        "startupProbe": {
            "httpGet": {"path": "/healthz", "port": "control"}, "periodSeconds": 1, "failureThreshold": 60,
        },
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "control"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "control"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        },
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "holdfast", "mountPath": MOUNT, "readOnly": True},
            *({"name": each["name"], "mountPath": vertex.TOKENS, "readOnly": True} for each in _tokens(place)),
        ],
    }


def _sources(place: Place) -> list[dict[str, Any]]:
    """One projected volume: a pod sees an edit whole, and a missing Secret of the tenant stops no pod."""
    files = [{"key": "agent.json", "path": "agent.json"}]
    if place.release.extra_ca:
        files.append({"key": "ca.crt", "path": "ca/ca.crt"})
    # Optional per key: which of them exist may change without the template, and thus the pods, changing.
    fleet = [{"key": key, "path": f"fleet/{key}"} for key in FLEET_KEYS]
    return [
        {"configMap": {"name": place.name, "items": files}},
        {"secret": {"name": place.name, "items": fleet, "optional": True}},
        *(
            {
                "secret": {
                    "name": part.key.secret,
                    "items": [{"key": part.key.key, "path": key_path(part)}],
                    "optional": True,
                }
            }
            for part in sorted(_parts(place), key=lambda each: each.name)
            if part.key is not None
        ),
        *(
            {"secret": {"name": key.secret, "items": [{"key": key.key, "path": path}], "optional": True}}
            for tool in sorted(place.spec.tools, key=lambda each: each.name)
            for path, key in signing_paths(tool)
        ),
    ]


def _tokens(place: Place) -> list[dict[str, Any]]:
    """The pod's own tokens for those who take them for an identity; none of them is one for the API server."""
    sources = [
        {"serviceAccountToken": {"audience": audience, "expirationSeconds": vertex.TOKEN_LIFE_S, "path": name}}
        for name, audience in sorted(vertex.audiences(place.spec).items())
    ]
    return [{"name": "tokens", "projected": {"defaultMode": 0o440, "sources": sources}}] if sources else []


def _parts(place: Place) -> list[Attempt]:
    """All links and stages of all attempts, also of those that are not made here: which are may change under calls."""
    return [part for attempt in place.spec.attempts for part in attempt.parts]


def service(place: Place) -> Manifest:
    return {
        **_object(place, "v1", "Service"),
        "spec": {
            "type": "ClusterIP",
            "selector": _selector(place.ref),
            "ports": [
                {"name": "control", "port": CONTROL_PORT, "targetPort": "control", "protocol": "TCP"},
                {"name": "audio", "port": AUDIO_PORT, "targetPort": "audio", "protocol": "TCP"},
            ],
        },
    }


# Only the media upgrade may reach the audio port, and nothing but these may reach a pod from outside.
_PATHS = (
    ("media", "Exact", "audio"),
    ("voice", "Exact", "control"),
    ("fallback", "Exact", "control"),
    ("next", "Exact", "control"),
    ("journal", "Prefix", "control"),
)


def ingress(place: Place) -> Manifest:
    paths = [
        {
            "path": f"/a/{place.ref.namespace}/{place.ref.name}/{last}",
            "pathType": kind,
            "backend": {"service": {"name": place.name, "port": {"name": port}}},
        }
        for last, kind, port in _PATHS
    ]
    spec: dict[str, Any] = {
        "tls": [{"hosts": list(place.hosts)}],
        "rules": [{"host": host, "http": {"paths": paths}} for host in place.hosts],
    }
    if place.release.ingress_class:
        spec["ingressClassName"] = place.release.ingress_class
    return {**_object(place, "networking.k8s.io/v1", "Ingress"), "spec": spec}


def disruption_budget(place: Place) -> Manifest:
    return {
        **_object(place, "policy/v1", "PodDisruptionBudget"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _selector(place.ref)}},
    }


def network_policy(place: Place) -> Manifest:
    """In: the entry and our operator. Out: names, Redis, our operator, and TLS to providers, carrier and buddy.

    The canary has none of the last three, so nothing of it leaves the cluster. Google's STS is TLS as well; the
    metadata server is not, and is reached only from pods that have an attempt on Vertex AI which needs it.
    """
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.release.namespace}}}
    entry = [dict(peer) for peer in place.release.ingress_from]
    from_entry: dict[str, Any] = {"ports": [_tcp(CONTROL_PORT), _tcp(AUDIO_PORT)]}
    if entry:
        from_entry["from"] = [*entry, operator]
    redis = urlsplit(place.release.redis_url)
    embedded = (redis.hostname or "").startswith("holdfast-redis.")
    egress: list[dict[str, Any]] = [
        {"ports": [{"port": 53, "protocol": "UDP"}, _tcp(53)]},
        {"to": [_pods(operator, "holdfast-operator")], "ports": [_tcp(OPERATOR_PORT)]},
    ]
    if redis.hostname:
        to_redis: dict[str, Any] = {"ports": [_tcp(redis.port or 6379)]}
        if embedded:
            to_redis["to"] = [_pods(operator, "holdfast-redis")]
        egress.append(to_redis)
    if vertex.asks_the_machine(place.spec):
        egress += [{"to": [{"ipBlock": {"cidr": cidr}}], "ports": [_tcp(port)]} for cidr, port in vertex.METADATA]
    if place.zone is not None:
        egress.append({**_outside(place), "ports": [_tcp(port) for port in _tls_ports(place, place.zone)]})
        egress += _tools_within(place)
    return {
        **_object(place, "networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {
            "podSelector": {"matchLabels": _selector(place.ref)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [from_entry],
            "egress": egress,
        },
    }


def _tcp(port: int) -> dict[str, Any]:
    return {"port": port, "protocol": "TCP"}


def _pods(namespace: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**namespace, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}


def _outside(place: Place) -> dict[str, Any]:
    """Everywhere but the cluster's own ranges: elsewhere in it are the pods of other tenants."""
    ranges = place.release.cluster_ranges
    if not ranges:
        return {}
    blocks = []
    for whole, mark in (("0.0.0.0/0", "."), ("::/0", ":")):
        holes = [each for each in ranges if mark in each]
        blocks.append({"ipBlock": {"cidr": whole, "except": holes} if holes else {"cidr": whole}})
    return {"to": blocks}


def _tools_within(place: Place) -> list[dict[str, Any]]:
    """The networks that were granted to tools, at the ports of those that may lie there."""
    ports = {urlsplit(tool.url).port or HTTPS for tool in place.spec.tools if tool.in_cluster}
    granted = tool_networks(place.zone, place.ref.namespace)
    if not ports or not granted:
        return []
    return [{"to": [{"ipBlock": {"cidr": each}} for each in granted], "ports": [_tcp(port) for port in sorted(ports)]}]


def _tls_ports(place: Place, zone: Zone) -> list[int]:
    """443, and whatever port the URL of a gateway, a tool or the agent's carrier names."""
    carrier = carrier_name(place.spec, zone, place.ref.namespace)
    urls = [part.base_url for part in _parts(place)] + [tool.url for tool in place.spec.tools]
    urls += [each.api_url for each in zone.carriers if each.name == carrier]
    return sorted({HTTPS, *(port for url in urls if (port := urlsplit(url).port) is not None)})
