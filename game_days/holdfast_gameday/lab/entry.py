"""A region's public entry: HAProxy with TLS, kept in step with the cluster's Ingress objects.

It watches Ingresses, Services and EndpointSlices and reloads HAProxy; established connections stay with the process
that took them. It knows nothing of agents and calls. With the API server gone the last configuration stays in force.
"""

# ruff: noqa: ASYNC240 - the lab's own small files, on a local disk
import argparse
import asyncio
import json
import logging
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from holdfast_gameday.lab import entry_config, names

log = logging.getLogger("holdfast.lab.entry")
KINDS = {
    "ingresses": "/apis/networking.k8s.io/v1/ingresses",
    "services": "/api/v1/services",
    "slices": "/apis/discovery.k8s.io/v1/endpointslices",
}
SETTLE_S = 0.05  # a rollout changes several objects at once
PAUSE_S = 0.3  # between two reloads, so that HAProxy has finished the last one
RETRY_S = 0.3
FALTER = "falter-percent"
"""A file in the entry's folder; what share of requests it is to fail. None without it."""
WATCH_S = 300


@dataclass(slots=True)
class Cluster:
    """What was last seen of the cluster, by kind and then by namespace/name."""

    objects: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def replace(self, kind: str, items: list[dict[str, Any]]) -> None:
        self.objects[kind] = {_key(item): item for item in items}
        self.changed.set()

    def apply(self, kind: str, event: str, item: dict[str, Any]) -> None:
        if event == "DELETED":
            self.objects[kind].pop(_key(item), None)
        else:
            self.objects[kind][_key(item)] = item
        self.changed.set()

    def complete(self) -> bool:
        return self.objects.keys() == KINDS.keys()

    def configuration(self, listen: entry_config.Listen) -> str:
        wanted = entry_config.routes(self.objects["ingresses"].values(), names.INGRESS_CLASS)
        services, slices = list(self.objects["services"].values()), list(self.objects["slices"].values())
        backends = {route.backend: entry_config.endpoints(route, services, slices) for route in wanted}
        return entry_config.render(wanted, backends, listen)


def _key(item: dict[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


async def follow(session: aiohttp.ClientSession, kind: str, cluster: Cluster) -> None:
    """Lists, then watches, for ever; whatever goes wrong begins with a list again."""
    while True:
        try:
            async with asyncio.timeout(10), session.get(KINDS[kind]) as answer:
                answer.raise_for_status()
                listed = await answer.json()
            cluster.replace(kind, listed["items"])
            async for event in _watch(session, KINDS[kind], listed["metadata"]["resourceVersion"]):
                if event["type"] == "ERROR":
                    break
                if event["type"] != "BOOKMARK":
                    cluster.apply(kind, event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("watch broke", extra={"kind": kind, "error": str(error)})
            await asyncio.sleep(RETRY_S)


async def _watch(session: aiohttp.ClientSession, path: str, version: str) -> AsyncIterator[dict[str, Any]]:
    query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_S)}
    limit = aiohttp.ClientTimeout(total=None, connect=5, sock_read=WATCH_S + 30)
    async with session.get(path, params=query, timeout=limit) as answer:
        answer.raise_for_status()
        rest = b""
        async for chunk in answer.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)


async def _listening(socket: Path) -> None:
    """A signal sent before HAProxy has installed its handlers would end it."""
    async with asyncio.timeout(20):
        while not socket.exists():
            await asyncio.sleep(0.02)


async def heed(order: Path, cluster: Cluster, listen: entry_config.Listen) -> None:
    """Whoever runs the lab may have the entry falter; what is to be is in a file, and read again and again."""
    while True:
        wanted = float(order.read_text()) if order.exists() else 0.0
        if wanted != listen.faltering:
            listen.faltering = wanted
            cluster.changed.set()
        await asyncio.sleep(PAUSE_S)


async def keep_in_step(
    cluster: Cluster, listen: entry_config.Listen, config: Path, master: asyncio.subprocess.Process
) -> None:
    """SIGUSR2: the master starts a new worker and hands it the listening sockets; the old one keeps its calls."""
    await _listening(Path(listen.socket))
    await asyncio.sleep(PAUSE_S)
    while True:
        await cluster.changed.wait()
        await asyncio.sleep(SETTLE_S)
        cluster.changed.clear()
        if not cluster.complete():
            continue
        text = cluster.configuration(listen)
        if text == config.read_text():
            continue
        config.write_text(text)
        master.send_signal(signal.SIGUSR2)
        await asyncio.sleep(PAUSE_S)


async def serve(home: Path, bind: str) -> None:
    etc = home / "etc"
    listen = entry_config.Listen(bind=bind, certificate=str(etc / "entry.pem"), socket="/run/entry.sock")
    Path(listen.socket).unlink(missing_ok=True)
    config = etc / "haproxy.cfg"
    config.write_text(entry_config.render([], {}, listen))
    user = json.loads((etc / "entry.kubeconfig").read_text())
    token = user["users"][0]["user"]["token"]
    trust = ssl.create_default_context(cafile=str(etc / "ca.crt"))
    cluster = Cluster()
    with (home / "entry.log").open("ab") as access:
        master = await asyncio.create_subprocess_exec("haproxy", "-W", "-db", "-f", str(config), stdout=access)
    async with aiohttp.ClientSession(
        user["clusters"][0]["cluster"]["server"], headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=trust), read_bufsize=2**22,
    ) as session, asyncio.TaskGroup() as tasks:
        for kind in KINDS:
            tasks.create_task(follow(session, kind, cluster))
        tasks.create_task(keep_in_step(cluster, listen, config, master))
        tasks.create_task(heed(etc / FALTER, cluster, listen))
        tasks.create_task(_end_with(master))


async def _end_with(master: asyncio.subprocess.Process) -> None:
    """Without HAProxy there is no entry: ending here lets the region start both again."""
    raise SystemExit(f"HAProxy ended: {await master.wait()}")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--bind", required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.home, arguments.bind))


if __name__ == "__main__":
    main()
