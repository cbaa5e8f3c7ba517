"""The one vocabulary of what can go wrong, for the simulator and for live game days. Pure data.

A kind says what is broken, never how: the simulator does it to values, a game day to processes and packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Group(Enum):
    """What a fault strikes at; `at least two kinds` of a schedule are counted by kind, its mix is drawn by group."""

    REGION = "region"
    NETWORK = "network"
    PROBE = "probe"
    LEVER = "lever"
    PROCESS = "process"
    STORE = "store"
    DEPENDENCY = "dependency"
    PERSON = "person"


class Kind(Enum):
    """Each kind with its group, and a sentence in which {target} and {other} stand for whom it strikes."""

    KILL = ("kill", Group.REGION, "{target} is dead: its sockets close, its API server and operator are gone")
    BLACKHOLE = ("blackhole", Group.REGION, "{target} falls silent: nothing gets in or out, inside it all goes on")
    ENTRY_DOWN = ("entry-down", Group.REGION, "no pod of {target} answers calls, its API server does")
    FLAP = ("flap", Group.REGION, "the entry of {target} goes down and up, every {level:.0f} s")
    GRAY = ("gray", Group.REGION, "{target} fails {level:.0%} of its calls and answers every health check")
    CAPACITY = ("capacity", Group.REGION, "{target} has {level:.0%} of its pods")

    CUT = ("cut", Group.NETWORK, "{target} no longer reaches the API server of {other}")
    REPLIES_LOST = ("replies-lost", Group.NETWORK, "{other} hears {target}, its answers are lost")
    DUPLICATES = ("duplicates", Group.NETWORK, "requests of {target} to {other} arrive twice, answers late")
    SPLIT = ("split", Group.NETWORK, "{target} and {other} no longer reach each other, others reach both")
    LOSS = ("loss", Group.NETWORK, "{level:.0%} of what {target} sends or is sent is lost")
    API_DOWN = ("api-down", Group.NETWORK, "the API server of {target} is gone, its calls go on")
    API_READS_ONLY = ("api-reads-only", Group.NETWORK, "the API server of {target} answers reads and hangs on writes")
    VENDOR_CUT = ("vendor-cut", Group.NETWORK, "{target} no longer reaches the vendor of {other}")

    PROBE_CUT = ("probe-cut", Group.PROBE, "the probes of {target} no longer reach {other}, calls do")
    SLOW_PROBES = ("slow-probes", Group.PROBE, "{level:.0%} of the probes of {target} take too long")
    LIAR = ("liar", Group.PROBE, "{target} says that {other} is down, which it is not")
    FLATTERER = ("flatterer", Group.PROBE, "{target} says that everything is up")
    EGRESS = ("egress", Group.PROBE, "{target} reaches nothing outside but the API servers")

    LEVER_ERRORS = ("lever-errors", Group.LEVER, "{target} answers writes with 500 and does not do them")
    NO_ANSWER = ("no-answer", Group.LEVER, "{target} does writes and never answers")
    NOT_DONE = ("not-done", Group.LEVER, "{target} neither does writes nor answers")
    LATE = ("late", Group.LEVER, "{target} does writes {level:.0f} s after the sender gave up")
    PARTIAL = ("partial", Group.LEVER, "{target} does half of a write and answers 500")
    STALE_READS = ("stale-reads", Group.LEVER, "{target} answers reads as of {level:.0f} s ago")
    LOCK_OUT = ("lock-out", Group.LEVER, "{target} answers 429 to everything, for {level:.0f} s")

    PAUSE = ("pause", Group.PROCESS, "the operator of {target} is stopped, and goes on where it was")
    RESTART = ("restart", Group.PROCESS, "the operator of {target} dies and is started anew")
    DRIFT = ("drift", Group.PROCESS, "the clocks of {target} run {level:+.1%} wrong")
    WALL_JUMP = ("wall-jump", Group.PROCESS, "the wall clock of {target} jumps by {level:+.0f} s")

    EDIT = ("edit", Group.STORE, "somebody flips the origin of {target} at {other}")
    MARK_LOST = ("mark-lost", Group.STORE, "somebody takes our mark off the origin of {target} at {other}")
    GARBLED = ("garbled", Group.STORE, "the memory in the Lease of {target} is garbled")
    LEASE_DELETED = ("lease-deleted", Group.STORE, "somebody deletes the Lease of {target}")
    LEASES_DELETED = ("leases-deleted", Group.STORE, "somebody deletes the Leases of {target} and of all the others")
    RESTORED = ("restored", Group.STORE, "the etcd of {target} is restored as of {level:.0f} s ago")
    RELABELLED = ("relabelled", Group.STORE, "{target} is relabelled into another jurisdiction")

    PROVIDER = ("provider", Group.DEPENDENCY, "a speech provider fails, seen from {target}")
    PROVIDER_EVERYWHERE = ("provider-everywhere", Group.DEPENDENCY, "a speech provider fails, seen from everywhere")
    RELAY = ("relay", Group.DEPENDENCY, "the TURN relay of {target} fails")
    CARRIER = ("carrier", Group.DEPENDENCY, "the carrier {target} fails, seen from everywhere")
    PODS_ILL = ("pods-ill", Group.DEPENDENCY, "the pods of {target} are ill, which its operator alone can see")

    CORDON = ("cordon", Group.PERSON, "a person cordons {target}")
    OVERRIDE = ("override", Group.PERSON, "a person overrides the guard {other} for {target}")
    FREEZE = ("freeze", Group.PERSON, "a person pauses the fleet")
    GAME_DAY = ("game-day", Group.PERSON, "a game day shifts calls away from {target}")

    def __init__(self, word: str, group: Group, sentence: str) -> None:
        self.word = word
        self.group = group
        self.sentence = sentence


LEADER = "the leader"
"""Stands for whoever leads at that moment, where a fault of a process says whom it strikes."""

LIVE = (Kind.KILL, Kind.BLACKHOLE)
"""What a game day can do to real clusters so far."""

BY_WORD = {kind.word: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong at `at_s`, for `for_s` seconds. What `level` measures is in the kind's sentence."""

    kind: Kind
    target: str
    at_s: float
    for_s: float = 0.0
    other: str = ""
    level: float = 0.0

    @property
    def until_s(self) -> float:
        return self.at_s + self.for_s

    def describe(self) -> str:
        return self.kind.sentence.format(target=self.target, other=self.other, level=self.level)
