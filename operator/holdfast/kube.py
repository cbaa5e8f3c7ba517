"""A thin asynchronous Kubernetes client, the same for the own cluster and for peers.

It knows HTTP, credentials and deadlines. It refuses to know what any object means, and it never retries: whoever
calls decides what an unknown outcome is worth.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from holdfast import errors

FIELD_MANAGER = "holdfast"
APPLY = "application/apply-patch+yaml"
DEADLINE_S = 5.0
IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_REREAD_S = 30.0

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """Where a kind lives in the API: enough to write its path, and nothing else."""

    api_version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of one object, or of the collection when no name is given."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


PODS = Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
CONFIG_MAPS = Resource("v1", "configmaps")
NAMESPACES = Resource("v1", "namespaces", namespaced=False)
EVENTS = Resource("v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")
AGENTS = Resource("holdfast.dev/v1alpha1", "voiceagents")
POLICIES = Resource("holdfast.dev/v1alpha1", "failoverpolicies", namespaced=False)
REGIONS = Resource("holdfast.dev/v1alpha1", "regions", namespaced=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How one API server is reached. Files, not values, so that a rotated token is picked up."""

    name: str
    server: str
    ca_file: str | None = None
    token_file: str | None = None
    client_cert: tuple[str, str] | None = None


def in_cluster(name: str) -> Access:
    """The own cluster, from the files every pod is given."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    return Access(
        name=name,
        server=f"https://{host}:{port}",
        ca_file=str(IN_CLUSTER / "ca.crt"),
        token_file=str(IN_CLUSTER / "token"),
    )


def from_kubeconfig(name: str, path: Path, context: str | None = None) -> Access:
    """One context of a kubeconfig file: for running an operator by hand and for tests."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    wanted = context or config["current-context"]
    chosen = _named(config["contexts"], wanted)["context"]
    cluster = _named(config["clusters"], chosen["cluster"])["cluster"]
    user = _named(config["users"], chosen["user"])["user"]
    cert = _material(user, "client-certificate", path.parent)
    key = _material(user, "client-key", path.parent)
    token = user.get("tokenFile")
    if user.get("token"):
        token = _spill(str(user["token"]).encode())
    return Access(
        name=name,
        server=str(cluster["server"]),
        ca_file=_material(cluster, "certificate-authority", path.parent),
        token_file=token,
        client_cert=(cert, key) if cert and key else None,
    )


def _named(entries: list[Object], name: str) -> Object:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise errors.Rejected(name, "the kubeconfig has no entry of this name")


def _material(section: Mapping[str, Any], key: str, folder: Path) -> str | None:
    if inline := section.get(f"{key}-data"):
        return _spill(base64.b64decode(inline))
    if path := section.get(key):
        return str(folder / path)
    return None


def _spill(content: bytes) -> str:
    """OpenSSL reads certificates from files only; ours is readable by us alone and lives as long as the process."""
    handle, path = tempfile.mkstemp(prefix="holdfast-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    return path


def tls(access: Access) -> ssl.SSLContext:
    """A TLS context that trusts this cluster's authority and nobody else."""
    context = ssl.create_default_context(cafile=access.ca_file)
    if access.client_cert is not None:
        context.load_cert_chain(*access.client_cert)
    return context


class _TokenFile:
    """The bearer token, read again now and then: projected tokens rotate."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._read_at = float("-inf")
        self._value: str | None = None

    def value(self) -> str | None:
        if self._path is None:
            return None
        now = time.monotonic()
        if now - self._read_at > TOKEN_REREAD_S:
            self._value = Path(self._path).read_text(encoding="utf-8").strip()
            self._read_at = now
        return self._value


class Kube:
    """One API server. Safe for concurrent use within one event loop."""

    def __init__(self, access: Access, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = access.name
        self._token = _TokenFile(access.token_file)
        self._http = httpx.AsyncClient(
            base_url=access.server,
            transport=transport,
            verify=tls(access) if access.server.startswith("https://") and transport is None else False,
            timeout=None,  # noqa: S113 - every request runs under asyncio.timeout, which also bounds slow bodies
            limits=httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=30),
            trust_env=False,
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        deadline_s: float = DEADLINE_S,
    ) -> Object:
        """One request and its JSON answer within the deadline, or one of our errors."""
        headers = {"Accept": "application/json", "User-Agent": "holdfast"}
        content = None
        if body is not None:
            headers["Content-Type"] = content_type
            content = json.dumps(body, separators=(",", ":")).encode()
        try:
            if token := self._token.value():
                headers["Authorization"] = f"Bearer {token}"
            async with asyncio.timeout(deadline_s):
                answer = await self._http.request(method, path, content=content, params=params, headers=headers)
        except TimeoutError as e:
            raise errors.ClusterUnreachable(self.name, f"no answer within {deadline_s:g} s") from e
        except (httpx.HTTPError, OSError) as e:
            raise errors.ClusterUnreachable(self.name, type(e).__name__) from e
        return self._checked(method, path, answer)

    def _checked(self, method: str, path: str, answer: httpx.Response) -> Object:
        if answer.is_success:
            try:
                parsed = answer.json()
            except ValueError as e:
                raise errors.ClusterUnreachable(self.name, "the answer is not JSON") from e
            return parsed if isinstance(parsed, dict) else {}
        what = f"{method} {path}: {answer.status_code} {_message(answer)}"
        match answer.status_code:
            case 401 | 403:
                raise errors.Forbidden(self.name, what)
            case 404 | 410:
                raise errors.NotFound(self.name, what)
            case 409:
                raise errors.Conflict(self.name, what)
            case 429 | 500 | 502 | 503 | 504:
                raise errors.ClusterUnreachable(self.name, what)
            case _:
                raise errors.Rejected(self.name, what)

    async def get(
        self, resource: Resource, name: str, *, namespace: str | None = None, deadline_s: float = DEADLINE_S
    ) -> Object:
        """One object, read from the server (never from a watch)."""
        return await self.request("GET", resource.path(namespace, name), deadline_s=deadline_s)

    async def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        selector: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> list[Object]:
        """All objects of a kind. An empty list means that the server said so; a failure always raises."""
        params = {"labelSelector": selector} if selector else None
        answer = await self.request("GET", resource.path(namespace), params=params, deadline_s=deadline_s)
        items: list[Object] = answer.get("items") or []
        return items

    async def create(
        self, resource: Resource, body: Object, *, namespace: str | None = None, deadline_s: float = DEADLINE_S
    ) -> Object:
        """Create; Conflict when the name is taken."""
        return await self.request("POST", resource.path(namespace), body=body, deadline_s=deadline_s)

    async def replace(
        self, resource: Resource, body: Object, *, namespace: str | None = None, deadline_s: float = DEADLINE_S
    ) -> Object:
        """Write back what was read: a compare-and-set on its resourceVersion. Conflict: somebody was first."""
        name = str(body["metadata"]["name"])
        return await self.request("PUT", resource.path(namespace, name), body=body, deadline_s=deadline_s)

    async def apply(
        self,
        resource: Resource,
        body: Object,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Object:
        """Server-side apply of the fields we own, forced: another writer's hold on our fields is drift."""
        return await self.request(
            "PATCH",
            resource.path(namespace, str(body["metadata"]["name"]), subresource),
            body=body,
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            content_type=APPLY,
            deadline_s=deadline_s,
        )

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Object,
        *,
        namespace: str | None = None,
        subresource: str | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> Object:
        """Merge patch: for single fields of objects which we do not own, such as a label of our pod."""
        return await self.request(
            "PATCH",
            resource.path(namespace, name, subresource),
            body=body,
            params={"fieldManager": FIELD_MANAGER},
            content_type="application/merge-patch+json",
            deadline_s=deadline_s,
        )

    async def apply_status(
        self,
        resource: Resource,
        name: str,
        status: Mapping[str, Any],
        *,
        kind: str,
        manager: str,
        namespace: str | None = None,
    ) -> Object:
        """Apply the status fields that `manager` owns; what other managers own in the same status stays theirs."""
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        return await self.request(
            "PATCH",
            resource.path(namespace, name, "status"),
            body={"apiVersion": resource.api_version, "kind": kind, "metadata": metadata, "status": status},
            params={"fieldManager": manager, "force": "true"},
            content_type=APPLY,
        )

    async def delete(
        self, resource: Resource, name: str, *, namespace: str | None = None, uid: str | None = None
    ) -> None:
        """Delete in the background; with a uid only that very object goes. Absent already is done already."""
        options: Object = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", resource.path(namespace, name), body=options)
        except errors.NotFound:
            return


def _message(answer: httpx.Response) -> str:
    """The server's own sentence, shortened. Status objects never repeat the content of a Secret."""
    try:
        return str(answer.json().get("message", ""))[:300]
    except (ValueError, AttributeError):
        return answer.reason_phrase
