"""Which objects of our peers to copy, and which copies to delete, so that every region of a zone has them.

An object belongs to the region where it was applied; everywhere else it is a copy that names its origin.
Copies are pulled, never pushed, and absence proves nothing: a copy goes only by a tombstone of its origin.

    here        at a peer                               then
    nothing     an object                               apply a copy (none when peers disagree)
    copy        its origin, higher generation           apply
    copy        its origin, lower generation            refuse: the origin was set back
    copy        a tombstone of its origin               delete, or apply what replaced it
    copy        origin region lists, and lacks it       keep, Orphaned
    copy        origin region out of reach              keep
    copy        the same state, our write not heard     apply again
    copy        the same state, kept otherwise here     apply once again, then CopyDiffers: the CRDs do
    edited copy anything                                adopt: we are the origin now
    own         a foreign object, another spec          keep, SpecConflict on both sides
    own         an equal spec, or copies of ours        nothing: applied everywhere by GitOps is fine

It does not know what is in a spec, only its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from holdfast.core import reasons
from holdfast.core.values import Reason

TOMBSTONE_KEPT_S = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, order=True)
class Key:
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was applied, and which state of it this is. `digest` is of the spec as it was copied."""

    region: str
    uid: str
    generation: int
    digest: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object as one cluster holds it; `origin` None: it was applied there.

    `written` is the generation that our own write of a copy made, None while that is not known. A later one is
    somebody's edit. The digest alone would not tell: a newer CRD adds its defaults to every object that it reads.
    """

    key: Key
    uid: str
    generation: int
    digest: str
    origin: Origin | None = None
    written: int | None = None

    @property
    def edited(self) -> bool:
        """A copy that somebody changed here."""
        if self.origin is None or self.written is None:
            return False
        return self.generation != self.written and self.digest != self.origin.digest

    def lineage(self, region: str) -> Origin:
        """What this object is a state of, when `region` holds it."""
        if self.origin is None or self.edited:
            return Origin(region, self.uid, self.generation, self.digest)
        return self.origin


@dataclass(frozen=True, slots=True)
class Tombstone:
    """An object was deleted in the region where it had been applied."""

    key: Key
    uid: str
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Peer:
    """What a peer listed just now. A peer out of reach is simply not given."""

    region: str
    objects: tuple[Object, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()


@dataclass(frozen=True, slots=True)
class Apply:
    """Write the peer's spec here, as a copy of `origin`."""

    key: Key
    peer: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete our copy, if its uid is still this one."""

    key: Key
    uid: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take the origin's marks off: somebody edited the copy here, so it belongs here now."""

    key: Key


@dataclass(frozen=True, slots=True)
class Note:
    """Say so in a condition of our object, and change nothing."""

    key: Key
    reason: Reason


Action = Apply | Delete | Adopt | Note


@dataclass(frozen=True, slots=True)
class _Offer:
    peer: str
    origin: Origin

    @property
    def first_hand(self) -> bool:
        return self.peer == self.origin.region


def digest(spec: Mapping[str, Any]) -> str:
    """The same for equal specs, whatever the order of their keys."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def plan(
    *,
    region: str,
    objects: Iterable[Object],
    peers: Iterable[Peer],
    tombstones: Iterable[Tombstone],
    tried: Mapping[Key, Origin] = MappingProxyType({}),
) -> tuple[Action, ...]:
    """What to do in our own cluster, in the order of the keys.

    `tombstones` are those kept here: of our own objects, and of every copy that was ever deleted here, so
    that a peer which has not heard yet cannot bring one back. `tried` are the states that this operator has written
    since it started: where one of them is kept otherwise than it was sent, writing it again would change nothing.
    """
    here = {held.key: held for held in objects}
    reached = {peer.region: peer for peer in peers}
    gone = {stone.uid for stone in tombstones}
    gone |= {stone.uid for peer in reached.values() for stone in peer.tombstones}
    offers: dict[Key, list[_Offer]] = {}
    for peer in reached.values():
        for offered in peer.objects:
            origin = offered.lineage(peer.region)
            if origin.uid not in gone:
                offers.setdefault(offered.key, []).append(_Offer(peer.region, origin))
    actions: list[Action] = []
    for key in sorted(here.keys() | offers.keys()):
        offered_here = sorted(offers.get(key, []), key=lambda o: (-o.origin.generation, not o.first_hand, o.peer))
        held = here.get(key)
        if held is None:
            actions.extend(_absent(key, region, offered_here))
        elif held.edited:
            actions.append(Adopt(key))
        elif held.origin is None:
            actions.extend(_own(held, offered_here))
        else:
            actions.extend(_copy(held, held.origin, offered_here, reached=reached, gone=gone, tried=tried))
    return tuple(actions)


def deleted(*, before: Iterable[Object], after: Iterable[Object]) -> tuple[Tombstone, ...]:
    """One tombstone for each object of our own that is gone. A copy that somebody deletes here is pulled again."""
    left = {held.uid for held in after}
    return tuple(Tombstone(held.key, held.uid) for held in before if held.origin is None and held.uid not in left)


def buried(actions: Iterable[Action], objects: Iterable[Object]) -> tuple[Tombstone, ...]:
    """The tombstones to keep here for the copies that a plan deletes."""
    origins = {held.uid: held.origin.uid for held in objects if held.origin is not None}
    return tuple(Tombstone(act.key, origins[act.uid]) for act in actions if isinstance(act, Delete))


def kept(stones: Iterable[Tombstone]) -> tuple[Tombstone, ...]:
    return tuple(stone for stone in stones if stone.age_s < TOMBSTONE_KEPT_S)


def _absent(key: Key, region: str, offers: list[_Offer]) -> Iterator[Action]:
    # A copy of what was ours and is gone here waits for our tombstone; taking it back would revive it.
    foreign = [offer for offer in offers if offer.origin.region != region]
    one_object = len({offer.origin.uid for offer in foreign}) == 1
    one_spec = len({offer.origin.digest for offer in foreign}) == 1
    if one_object or one_spec:
        yield Apply(key, foreign[0].peer, foreign[0].origin)


def _own(held: Object, offers: list[_Offer]) -> Iterator[Action]:
    others = sorted({o.origin.region for o in offers if o.origin.uid != held.uid and o.origin.digest != held.digest})
    if others:
        yield Note(held.key, Reason(reasons.SPEC_CONFLICT, f"another spec was applied in {', '.join(others)}"))


def _copy(
    held: Object,
    origin: Origin,
    offers: list[_Offer],
    *,
    reached: Mapping[str, Peer],
    gone: set[str],
    tried: Mapping[Key, Origin],
) -> Iterator[Action]:
    same = [offer for offer in offers if offer.origin.uid == origin.uid]
    others = [offer for offer in offers if offer.origin.uid != origin.uid]
    # What the origin itself says of the state that is held here: a copy of it may be kept otherwise there too.
    told = next((o.origin for o in same if o.first_hand and o.origin.generation == origin.generation), None)
    if origin.uid in gone:
        # What was deleted and applied anew is replaced in place: its calls need not notice.
        replaced = list(_absent(held.key, "", others))
        yield from replaced or [Delete(held.key, held.uid)]
    elif same and same[0].origin.generation > origin.generation:
        yield Apply(held.key, same[0].peer, same[0].origin)
    elif told is not None and (held.written is None or (held.digest != told.digest and tried.get(held.key) != told)):
        yield Apply(held.key, origin.region, told)
    elif told is not None and held.digest != told.digest:
        message = f"this cluster keeps another spec than {origin.region} sent: their CRDs differ"
        yield Note(held.key, Reason(reasons.COPY_DIFFERS, message))
    elif any(offer.first_hand and offer.origin.generation < origin.generation for offer in same):
        message = f"{origin.region} offers an older generation than {origin.generation}, which is kept"
        yield Note(held.key, Reason(reasons.LOWER_GENERATION, message))
    elif any(offer.origin.digest != held.digest for offer in others):
        regions = sorted({offer.origin.region for offer in others})
        yield Note(held.key, Reason(reasons.SPEC_CONFLICT, f"another spec was applied in {', '.join(regions)}"))
    elif origin.region in reached and not any(offer.peer == origin.region for offer in offers):
        message = f"{origin.region}, where it was applied, no longer lists it and has no tombstone"
        yield Note(held.key, Reason(reasons.ORPHANED, message))
