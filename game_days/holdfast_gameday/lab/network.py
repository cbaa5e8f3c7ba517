"""The lab's network: one namespace for the public internet, one per region, joined by a bridge and veths.

Nothing is made in the namespace of the machine itself, so its links, routes and packet filter stay as they were.
It knows addresses, not clusters.
"""

# ruff: noqa: ASYNC240 - the lab's own small files, on a local disk
import ctypes
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from holdfast_gameday.lab import names
from holdfast_gameday.lab.commands import LabError, run

NETNS = Path("/run/netns")
UPLINK = "wan0"  # a region's end of its veth
SLOW = "slow0"  # a region's way to its peers while links are slow
DROPS_MAX = 5
CLONE_NEWNET = 0x40000000
FAULT_CHAIN = "HOLDFAST-FAULT"


def exists(netns: str) -> bool:
    return (NETNS / netns).exists()


def inside(netns: str) -> list[str]:
    """The words to put before a command so that it runs in the namespace."""
    return ["nsenter", f"--net={NETNS / netns}"]


async def create(netns: str) -> None:
    """Like `ip netns add`, but without turning /run/netns into a mount of its own that would stay behind."""
    NETNS.mkdir(exist_ok=True)
    path = NETNS / netns
    path.touch()
    await run(["unshare", f"--net={path}", "true"])
    await run(["ip", "-n", netns, "link", "set", "lo", "up"])


async def remove(netns: str) -> None:
    path = NETNS / netns
    if not path.exists():
        return
    await run(["umount", "--lazy", path], check=False)
    path.unlink(missing_ok=True)
    try:
        NETNS.rmdir()
    except OSError:
        return  # others keep namespaces there


async def create_wan(*, uplink: str = "") -> None:
    """The public network. With an uplink, a bridge of this machine that others own, it is one more party on it."""
    wan = names.WAN
    await create(wan)
    if uplink:
        await run(["ip", "link", "add", "hf-wan0", "master", uplink, "up", "type", "veth",
                   "peer", "name", names.BRIDGE, "netns", wan])
    lines = [
        *([] if uplink else [
            f"link add {names.BRIDGE} type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
            f"addr add {names.GATEWAY}/{names.PREFIX} dev {names.BRIDGE}"]),
        *(f"addr add {address}/{names.PREFIX} dev {names.BRIDGE}" for address in names.WORLD_ADDRESSES),
        f"link set {names.BRIDGE} up",
    ]
    await _ip_batch(wan, lines)
    await _sysctl(wan, {"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "0"})


async def create_region(region: names.RegionNames) -> None:
    """The veth is born with both ends in their namespaces: the machine's own never sees it."""
    await create(region.netns)
    await run(["ip", "link", "add", UPLINK, "netns", region.netns, "type", "veth",
               "peer", "name", f"to-{region.name}", "netns", names.WAN])
    await _ip_batch(names.WAN, [f"link set to-{region.name} master {names.BRIDGE} up"])
    await _ip_batch(region.netns, [
        f"addr add {region.ip}/{names.PREFIX} dev {UPLINK}",
        f"link set {UPLINK} up",
        f"route add default via {names.GATEWAY}",
    ])
    await _sysctl(region.netns, {"net.ipv4.ip_forward": "1"})
    await _restore(region.netns, [
        "*raw", f":{FAULT_CHAIN} - [0:0]", f"-A PREROUTING -j {FAULT_CHAIN}", "COMMIT",
        "*mangle", f":{FAULT_CHAIN} - [0:0]", f"-A POSTROUTING -j {FAULT_CHAIN}", "COMMIT",
    ])


async def flush_cluster_rules(region: names.RegionNames) -> None:
    """As after a reboot: what the last cluster of this region wrote is gone, the faults in force stay.

    What leaves the region carries the region's address.
    """
    await _restore(region.netns, [
        "*filter", "COMMIT",
        "*nat", f"-A POSTROUTING -s {region.pod_range} -o {UPLINK} -j MASQUERADE",
        f"-A POSTROUTING -s {region.pod_range} -o {SLOW} -j SNAT --to-source {region.ip}", "COMMIT",
    ], flush=True)
    await run([*inside(region.netns), "conntrack", "-F"], check=False)


async def slow_down(region: names.RegionNames, *, world: bool) -> None:
    """Routes to the peers, and to the world if that is meant, lead into the slow link, which is there already.

    What comes out of its other end leaves by the uplink and was tracked when it went in; answers come in by the uplink.
    """
    peers = [each.ip for each in names.REGIONS.values() if each is not region]
    peers += names.WORLD_ADDRESSES if world else ()
    await _ip_batch(region.netns, [
        f"link set {SLOW} up", *(f"route replace {peer}/32 dev {SLOW} src {region.ip}" for peer in peers),
    ])
    loose = {f"net.ipv4.conf.{each}.rp_filter": "0" for each in ("all", UPLINK, SLOW)}
    await _sysctl(region.netns, loose)
    await _restore(region.netns, ["*raw", *(f"-A OUTPUT {_untracked(peer)}" for peer in peers), "COMMIT"])


async def speed_up(region: names.RegionNames) -> None:
    """As if it had never been slow."""
    await run(["ip", "-n", region.netns, "link", "del", SLOW], check=False)
    rules = (await run([*inside(region.netns), "iptables-save", "-t", "raw"])).splitlines()
    made = [rule.replace("-A ", "-D ", 1) for rule in rules if rule.startswith("-A OUTPUT ")]
    if made:
        await _restore(region.netns, ["*raw", *made, "COMMIT"])


def _untracked(peer: str) -> str:
    return f"-o {UPLINK} -d {peer} -j NOTRACK"


async def drop_pod_links(region: names.RegionNames) -> None:
    """As after a reboot: no pod of the last life is on the region's bridge any more.

    Sockets that die unheard, as in a silent loss, keep their pod's namespace for minutes after its last process, and
    with it an address that a new pod is given again.
    """
    for _ in range(DROPS_MAX):
        left = await _pod_links(region)
        if not left:
            return
        await remove_links(region.netns, left)
    raise LabError(f"{region.netns}: links of pods cannot be removed: {', '.join(left)}")


async def remove_links(netns: str, links: Sequence[str]) -> None:
    """Those that are still there. A namespace that ends by itself in this moment takes its own along."""
    lines = "\n".join(f"link del {name}" for name in links).encode()
    await run(["ip", "-n", netns, "-force", "-batch", "-"], stdin=lines, check=False)


async def _pod_links(region: names.RegionNames) -> list[str]:
    shown = json.loads(await run(["ip", "-n", region.netns, "-j", "link", "show", "type", "veth"]) or "[]")
    return [str(link["ifname"]) for link in shown if link.get("ifname") not in (None, UPLINK)]


def silence_rules() -> list[str]:
    """Everything that crosses the region's uplink is lost, in both directions, without an answer."""
    return [
        "*raw", f"-I {FAULT_CHAIN} -i {UPLINK} -m comment --comment silence -j DROP", "COMMIT",
        "*mangle", f"-I {FAULT_CHAIN} -o {UPLINK} -m comment --comment silence -j DROP", "COMMIT",
    ]


def cut_rules(address: str) -> list[str]:
    """What comes from or goes to one address is lost."""
    return [
        "*raw", f"-I {FAULT_CHAIN} -i {UPLINK} -s {address} -j DROP", "COMMIT",
        "*mangle", f"-I {FAULT_CHAIN} -o {UPLINK} -d {address} -j DROP", "COMMIT",
    ]


def loss_rules(percent: float) -> list[str]:
    """A share of all packets that cross the region's uplink is lost, each by chance, in both directions.

    What goes to another region is lost there only: each path loses this share once.
    """
    chance = f"-m statistic --mode random --probability {percent / 100:.6f} -m comment --comment loss -j DROP"
    return [
        "*raw", f"-I {FAULT_CHAIN} -i {UPLINK} {chance}", "COMMIT",
        "*mangle", f"-I {FAULT_CHAIN} -o {UPLINK} -d {names.WORLD_RANGE} {chance}", "COMMIT",
    ]


def loss_in(rules: list[str]) -> float:
    """The percentage in the rules in force; 0 without any."""
    found = [rule.split("--probability ")[1].split()[0] for rule in rules if "--comment loss" in rule]
    return float(found[0]) * 100 if found else 0.0


async def dropped_by_loss(netns: str) -> int:
    """How many packets the loss in force has taken so far."""
    told = await run([*inside(netns), "iptables-save", "-c"])
    return sum(int(rule[1:].partition(":")[0]) for rule in told.splitlines() if "--comment loss" in rule)


def ends(a: str, b: str) -> list[tuple[names.RegionNames, str]]:
    """The regions that must drop, each with the other side's address. One side may be of the world."""
    sides = [(names.REGIONS.get(a), b), (names.REGIONS.get(b), a)]
    ends = [(here, _address(there)) for here, there in sides if here is not None]
    if not ends:
        raise LabError(f"a cut needs at least one region of {', '.join(names.REGIONS)}: got {a} and {b}")
    return ends


def _address(name: str) -> str:
    if name in names.REGIONS:
        return names.REGIONS[name].ip
    return names.HOSTS.get(name, name)


def undo(rules: list[str]) -> list[str]:
    return [rule.replace("-I ", "-D ", 1) if rule.startswith("-I ") else rule for rule in rules]


async def apply(netns: str, rules: list[str]) -> None:
    await _restore(netns, rules)


async def rules_in_force(netns: str) -> list[str]:
    saved = await run([*inside(netns), "iptables-save"])
    return [line for line in saved.splitlines() if line.startswith(f"-A {FAULT_CHAIN} ")]


@contextmanager
def entered(netns: str) -> Iterator[None]:
    """The calling thread lives in the namespace until the end: its sockets, and the programs it starts, are born there.

    Threads started meanwhile inherit it. Sockets stay where they were made.
    """
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(netns)
        yield
        _setns(here)
    except BaseException:
        _setns(here)
        raise
    finally:
        os.close(here)


def enter(netns: str = names.WAN) -> None:
    """The calling thread, and every thread it starts later, lives in the namespace from now on."""
    try:
        there = os.open(NETNS / netns, os.O_RDONLY)
    except FileNotFoundError as error:
        raise LabError(f"the network {netns} does not exist: start the lab first (`make lab-up`)") from error
    try:
        _setns(there)
    finally:
        os.close(there)


def _setns(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise LabError(f"cannot enter the lab's network: {os.strerror(error)} (the lab needs root)")


async def _ip_batch(netns: str, lines: list[str]) -> None:
    await run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(lines).encode())


async def _sysctl(netns: str, values: dict[str, str]) -> None:
    await run([*inside(netns), "sysctl", "-q", "-e", *(f"{key}={value}" for key, value in values.items())], check=False)


async def _restore(netns: str, lines: list[str], *, flush: bool = False) -> None:
    flag = [] if flush else ["--noflush"]
    await run([*inside(netns), "iptables-restore", "-w", "5", *flag], stdin=("\n".join(lines) + "\n").encode())
