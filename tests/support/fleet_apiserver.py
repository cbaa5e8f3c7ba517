"""An API server in memory: compare-and-set on resourceVersion, and the ways in which real ones fail.

An httpx transport, so the client under test is the real one. It knows no schema and no server-side apply ownership:
what depends on those is tested on a real kube-apiserver.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx

from holdfast.kube import Access, Kube

Object = dict[str, Any]


@dataclass
class FakeApiServer:
    """Objects by path. `mode` is up, down (refuses), hang (never answers) or a status code to answer with."""

    name: str
    objects: dict[str, Object] = field(default_factory=dict)
    mode: str | int = "up"
    requests: list[tuple[str, str]] = field(default_factory=list)
    hang_after_write: bool = False
    _version: int = 0

    def client(self) -> Kube:
        """A real client of this server."""
        return Kube(Access(name=self.name, server=f"http://{self.name}"), transport=httpx.MockTransport(self.handle))

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if (failure := await self._failure()) is not None:
            return failure
        path, method = request.url.path, request.method
        self.requests.append((method, path))
        body = json.loads(request.content) if request.content else {}
        answer = getattr(self, f"_{method.lower()}")(path, body, request)
        if method != "GET":
            if self.hang_after_write:
                self.hang_after_write = False
                await asyncio.Event().wait()
            answer = await self._failure() or answer
        assert isinstance(answer, httpx.Response)
        return answer

    def give_back(self, *leases: str, namespace: str = "holdfast-system") -> None:
        """These Leases exist and are held by nobody; one that does not exist could just have been deleted."""
        for name in leases:
            path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"
            self._store(path, {"metadata": {"name": name}, "spec": {"holderIdentity": ""}})

    def writes(self, word: str = "") -> list[tuple[str, str]]:
        """The writes seen to paths which contain the word."""
        return [(m, p) for m, p in self.requests if m != "GET" and word in p]

    async def _failure(self) -> httpx.Response | None:
        if self.mode == "down":
            raise httpx.ConnectError("refused")
        if self.mode == "hang":
            await asyncio.Event().wait()
        return _status(self.mode) if isinstance(self.mode, int) else None

    def _get(self, path: str, _body: Object, request: httpx.Request) -> httpx.Response:
        if path in self.objects:
            return httpx.Response(200, json=self.objects[path])
        plural = path.rsplit("/", 1)[1]
        if not plural.endswith("s") or not _is_collection(path):
            return _status(404)
        items = [o for p, o in sorted(self.objects.items()) if _belongs(p, path, plural)]
        wanted = parse_qs(request.url.query.decode()).get("labelSelector", [""])[0]
        if wanted:
            key, _, value = wanted.partition("=")
            items = [o for o in items if o["metadata"].get("labels", {}).get(key) == value]
        return httpx.Response(200, json={"items": items})

    def _post(self, path: str, body: Object, _request: httpx.Request) -> httpx.Response:
        metadata = body["metadata"]
        name = metadata.get("name") or f"{metadata['generateName']}{self._version}"
        at = f"{path}/{name}"
        if at in self.objects:
            return _status(409)
        return self._store(at, body)

    def _put(self, path: str, body: Object, _request: httpx.Request) -> httpx.Response:
        if path not in self.objects:
            return _status(404)
        if body["metadata"].get("resourceVersion") != self.objects[path]["metadata"]["resourceVersion"]:
            return _status(409)
        return self._store(path, body)

    def _patch(self, path: str, body: Object, request: httpx.Request) -> httpx.Response:
        path = path.removesuffix("/status")
        applies = request.headers["content-type"] == "application/apply-patch+yaml"
        if path not in self.objects and not applies:
            return _status(404)
        return self._store(path, _merged(self.objects.get(path, {}), body))

    def _delete(self, path: str, body: Object, _request: httpx.Request) -> httpx.Response:
        if path not in self.objects:
            return _status(404)
        uid = (body.get("preconditions") or {}).get("uid")
        if uid and uid != self.objects[path]["metadata"].get("uid"):
            return _status(409)
        del self.objects[path]
        return httpx.Response(200, json={})

    def _store(self, path: str, body: Object) -> httpx.Response:
        self._version = max(self._version, 1) + 1
        old = self.objects.get(path, {})
        metadata = dict(body["metadata"]) | {"resourceVersion": str(self._version), "name": path.rsplit("/", 1)[1]}
        metadata.setdefault("uid", old.get("metadata", {}).get("uid", f"uid-{self.name}-{self._version}"))
        if "/namespaces/" in path:
            metadata["namespace"] = path.split("/namespaces/", 1)[1].split("/", maxsplit=1)[0]
        generation = old.get("metadata", {}).get("generation", 0)
        metadata["generation"] = generation + (1 if body.get("spec") != old.get("spec") else 0)
        self.objects[path] = json.loads(json.dumps(body | {"metadata": metadata}))
        return httpx.Response(200, json=self.objects[path])


def _status(code: int) -> httpx.Response:
    return httpx.Response(code, json={"kind": "Status", "message": f"status {code}"})


def _is_collection(path: str) -> bool:
    parts = path.strip("/").split("/")
    depth = len(parts) - (3 if parts[0] == "apis" else 2)
    return depth in {1, 3}


def _belongs(object_path: str, collection: str, plural: str) -> bool:
    root, _, rest = collection.partition(f"/{plural}")
    if rest or not object_path.startswith(root):
        return False
    tail = object_path.removeprefix(root).strip("/").split("/")
    return tail[-2] == plural and len(tail) in {2, 4}


def _merged(old: Object, new: Object) -> Object:
    out = dict(old)
    for key, value in new.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = _merged(out[key], value)
        else:
            out[key] = value
    return out
