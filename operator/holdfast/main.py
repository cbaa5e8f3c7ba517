"""The composition root: settings, clients, drivers, registry, loops. The only file that names concrete classes for all.

kopf runs one operator for the own cluster, beside the fleet's loops in the same event loop. When any of them ends, the
process ends: Kubernetes starts it anew, and the other pod of the region goes on meanwhile. The fleet always ends first,
because giving back what it holds is what the other pod waits for.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import certifi
import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from holdfast import bridges, clock, fleet_life, fleet_secrets, fleet_vendors, handlers, kube, settings, telemetry
from holdfast.core.place import Release
from holdfast.core.values import AgentRef, Reason
from holdfast.desired import Desired
from holdfast.fleet_accounts import Accounts
from holdfast.fleet_carriers import FleetCarriers
from holdfast.fleet_relays import FleetRelays
from holdfast.fleet_watching import FleetWatching
from holdfast.gather import canary, entry_probe, provider_probe, references
from holdfast.gather.latencies import Latencies

log = logging.getLogger(__name__)

CANARY = AgentRef("holdfast-system", "canary")


def wall() -> str:
    """Now, as RFC 3339 text with milliseconds, for people."""
    now = dt.datetime.fromtimestamp(time.time(), tz=dt.UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"


def wall_second() -> str:
    """The same to the second, as conditions and Events have it."""
    return dt.datetime.fromtimestamp(time.time(), tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def own_access(config: settings.Settings, environment: Mapping[str, str]) -> kube.Access:
    """In a pod the mounted files; by hand the context of a kubeconfig."""
    if path := environment.get("HOLDFAST_KUBECONFIG"):
        return kube.from_kubeconfig(config.region, Path(path), environment.get("HOLDFAST_CONTEXT"))
    return kube.in_cluster(config.region)


def registry_for(access: kube.Access) -> kopf.OperatorRegistry:
    """A registry of our own, with one way to log in: the same credential as our client's."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        token = Path(access.token_file).read_text(encoding="utf-8").strip() if access.token_file else None
        certificate, key = access.client_cert or (None, None)
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=access.ca_file,
            token=token,
            scheme="Bearer" if token else None,
            certificate_path=certificate,
            private_key_path=key,
        )

    return registry


def kopf_settings() -> kopf.OperatorSettings:
    """Bounded waits everywhere; no Events and no progress of kopf's own."""
    tuned = kopf.OperatorSettings()
    tuned.networking.request_timeout = 10.0
    tuned.networking.connect_timeout = 5.0
    tuned.networking.error_backoffs = (0.2, 0.5, 1.0, 2.0, 5.0)
    tuned.watching.server_timeout = 60  # An integer: it goes into the query as it is.
    tuned.watching.client_timeout = 70.0
    tuned.watching.connect_timeout = 5.0
    tuned.watching.reconnect_backoff = 0.5
    tuned.queueing.error_delays = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    tuned.posting.enabled = False
    tuned.peering.standalone = True
    tuned.scanning.disabled = True
    return tuned


class _Keys:
    """The keys by which a pod proves its agent: its zone's, or the probe key for the canary."""

    def __init__(self, desired: Desired, secrets: fleet_secrets.Secrets, probe_key: Path) -> None:
        self._desired = desired
        self._secrets = secrets
        self._probe_key = probe_key

    async def __call__(self, agent: AgentRef) -> Sequence[bytes]:
        if agent == CANARY:
            return (self._probe_key.read_bytes().strip(),) if self._probe_key.exists() else ()
        zone = self._desired.zone_of(agent)
        if zone is None:
            return ()
        held = await self._secrets.read(zone.signing_secret)
        return [held[name] for name in ("current", "previous") if held.get(name)]


def health_app(metrics: telemetry.Metrics, fleet: fleet_life.Fleet) -> web.Application:
    """Metrics, liveness (the event loop turns) and readiness (the region's Lease was reached)."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"active": fleet.active()})

    async def ready(_: web.Request) -> web.Response:
        failing = fleet.region_vote.failures()
        return web.json_response({"failing": dict(failing)}, status=503 if failing else 200)

    app = web.Application()
    app.router.add_get("/metrics", show)
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    return app


@asynccontextmanager
async def _clients(
    config: settings.Settings, access: kube.Access
) -> AsyncIterator[tuple[kube.Kube, dict[str, kube.Kube]]]:
    own = kube.Kube(access)
    peers = {
        peer.name: kube.Kube(kube.Access(peer.name, peer.server, ca_file=peer.ca_file, token_file=peer.token_file))
        for peer in config.peers
        if peer.name != config.region
    }
    try:
        yield own, peers
    finally:
        for client in (own, *peers.values()):
            await client.close()


async def operate(config: settings.Settings, identity: settings.Identity, environment: Mapping[str, str]) -> None:
    """Run one operator until it is told to stop."""
    access = own_access(config, environment)
    metrics, desired = telemetry.Metrics(), Desired()
    extra_ca = environment.get("SSL_CERT_FILE") or (config.extra_ca_file if config.extra_ca else None)
    tls = fleet_vendors.public_tls(extra_ca)
    connector = aiohttp.TCPConnector(force_close=True, limit=50, ttl_dns_cache=30)
    async with (
        _clients(config, access) as (own, peers),
        fleet_vendors.vendor_client(tls) as http,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        secrets = fleet_secrets.Secrets(own, config.namespace)
        events = handlers.Recorder(own, pod=identity.pod_name, wall=wall_second)
        accounts = Accounts(secrets=secrets, http=http, trusted=extra_ca or certifi.where(), clock=clock.now)
        vendors = fleet_vendors.Vendors(accounts=accounts, clock=clock.now)
        outside = _Outside(config, desired, secrets, accounts, tls)
        caller = canary.CanaryCaller(
            probe=entry_probe.EntryProbe(session, tls),
            key_file=Path(config.probe_key_file),
            on_outcome=_counting(metrics, outside.latencies),
        )
        world = fleet_life.World(
            region=config.region,
            namespace=config.namespace,
            pod=identity.pod_name,
            pod_uid=identity.pod_uid,
            zones=config.zones,
            own=own,
            peers=peers,
            call=caller.call,
            survey=lambda: references.survey(config.reference_targets, tls),
            levers=vendors.levers,
            pointers=vendors.pointers,
            probe_provider=provider_probe.ProviderProbe(tls=tls, secret=secrets.text),
            paused=config.paused,
            keys=_Keys(desired, secrets, Path(config.probe_key_file)),
            record=_recording(events),
            clock=clock.now,
            wall=wall,
            wall_s=time.time,
            dice=random.Random(),  # noqa: S311 - jitter, not a secret
            watch=outside.watch,
            latencies=outside.told,
        )
        fleet = fleet_life.Fleet(world=world, desired=desired, metrics=metrics)
        try:
            context = _context(config, fleet, events, own=own, secrets=secrets, desired=desired, extra_ca=extra_ca)
            await _serve_and_run(config, access, fleet, context, metrics)
        finally:
            await accounts.close()


class _Outside:
    """What is watched outside the fleet, and how long it took to answer."""

    def __init__(
        self,
        config: settings.Settings,
        desired: Desired,
        secrets: fleet_secrets.Secrets,
        accounts: Accounts,
        tls: ssl.SSLContext,
    ) -> None:
        self._config, self._desired, self._secrets, self._accounts, self._tls = config, desired, secrets, accounts, tls
        self.latencies = Latencies(clock=clock.now)
        self._watching: FleetWatching | None = None

    def watch(self, on_change: Callable[[], None]) -> FleetWatching:
        region, dice = self._config.region, random.Random()  # noqa: S311 - jitter, not a secret
        relays = FleetRelays(
            region=region, desired=self._desired, secrets=self._secrets.read, http=self._accounts.http,
            tls=self._tls, clock=clock.now, wall_s=time.time, on_change=on_change, dice=dice,
        )  # fmt: skip
        carriers = FleetCarriers(
            region=region, desired=self._desired, accounts=self._accounts, tls=self._tls, clock=clock.now,
            on_change=on_change, on_latency=self.latencies.note, dice=dice,
        )  # fmt: skip
        self._watching = FleetWatching(relays, carriers)
        return self._watching

    def told(self) -> Mapping[str, int]:
        relays = self._watching.relays.latencies() if self._watching else {}
        return {**self.latencies.recent(), **relays}


def _context(
    config: settings.Settings,
    fleet: fleet_life.Fleet,
    events: handlers.Recorder,
    *,
    own: kube.Kube,
    secrets: fleet_secrets.Secrets,
    desired: Desired,
    extra_ca: str | None,
) -> handlers.Context:
    return handlers.Context(
        kube=own,
        secrets=secrets,
        desired=desired,
        release=_release(config, extra_ca),
        active=fleet.active,
        events=events,
        wall=wall_second,
        regions=config.regions,
        canary_pods=config.canary_replicas,
        probe_secret=config.probe_secret,
        looks=lambda: {
            name: (loop.view, loop.plan) for name, loop in fleet.zone_loops().items() if loop.view is not None
        },
        attempts=fleet.pods.turned_order,
    )


async def _serve_and_run(
    config: settings.Settings,
    access: kube.Access,
    fleet: fleet_life.Fleet,
    context: handlers.Context,
    metrics: telemetry.Metrics,
) -> None:
    registry = registry_for(access)
    reconciler = handlers.register(registry, context)
    async with _watching(registry) as watches:
        runners = [
            await bridges.serve(bridges.poll_app(fleet.bridges), host="0.0.0.0", port=config.poll_port),  # noqa: S104
            await bridges.serve(health_app(metrics, fleet), host="0.0.0.0", port=config.metrics_port),  # noqa: S104
        ]
        try:
            await _together(fleet, reconciler, watches)
        finally:
            await asyncio.gather(*(runner.cleanup() for runner in runners))


def _recording(events: handlers.Recorder) -> Callable[[Mapping[str, Any], Reason, bool], Awaitable[None]]:
    async def record(about: Mapping[str, Any], reason: Reason, warning: bool) -> None:
        await events.record(about, reason, warning=warning)

    return record


def _counting(
    metrics: telemetry.Metrics, latencies: Latencies
) -> Callable[[str, entry_probe.Outcome], None]:
    def count(region: str, outcome: entry_probe.Outcome) -> None:
        if outcome.ok:
            latencies.note(f"region/{region}", outcome.elapsed_s)
        metrics.probes.labels(region, "ok" if outcome.ok else outcome.stage).inc()

    return count


@asynccontextmanager
async def _watching(registry: kopf.OperatorRegistry) -> AsyncIterator[Collection[asyncio.Task[Any]]]:
    """kopf's tasks, stopped at the end. In stopping it cancels every task younger than itself, so ours end before."""
    older, stop = asyncio.all_tasks(), asyncio.Event()
    watches = await kopf.spawn_tasks(
        registry=registry, settings=kopf_settings(), standalone=True, clusterwide=True, stop_flag=stop
    )
    try:
        yield watches
    finally:
        stop.set()
        await kopf.run_tasks(watches, ignored=older)


async def _together(
    fleet: fleet_life.Fleet, reconciler: handlers.Reconciler, watches: Collection[asyncio.Task[Any]]
) -> None:
    """Until a signal, or until kopf fails; then the loops are cancelled, and the Leases and the label given back."""
    told, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, told.set)  # In the place of kopf's own, which would end kopf first.
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in (fleet.run(), reconciler.run(), told.wait())]
        await asyncio.wait((tasks[-1], *watches), return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping", extra={"told": told.is_set()})
        for task in tasks:
            task.cancel()


def _release(config: settings.Settings, extra_ca_file: str | None) -> Release:
    extra_ca = Path(extra_ca_file).read_text(encoding="utf-8") if config.extra_ca and extra_ca_file else ""
    return Release(
        region=config.region,
        namespace=config.namespace,
        bridge_image=config.bridge_image,
        image_pull_policy=config.image_pull_policy,
        ingress_class=config.ingress_class,
        redis_url=config.redis_url,
        extra_ca=extra_ca,
        ingress_from=config.ingress_from,
        cluster_ranges=config.cluster_ranges,
    )


def main() -> None:
    """Start from the environment."""
    telemetry.configure_logging()
    config, identity = settings.load()
    log.info("starting", extra={"region": config.region, "pod": identity.pod_name})
    asyncio.run(operate(config, identity, os.environ))
