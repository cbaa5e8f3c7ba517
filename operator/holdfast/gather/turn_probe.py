"""One probe of one relay over one transport: allocate with credentials, relay an echo, give everything back.

    stage        what is done                                                        its time-out
    credentials  ask the issuer                                                      credentials_s
    connect      open a socket; over TLS, check the certificate                      connect_s
    allocate     Allocate: 401, then with credentials                                allocate_s
    peer         the same once more on a second socket, which plays the peer         connect_s + allocate_s
    relay        bind each to the other's relayed address, echo one packet           relay_s
    forbidden    now and then: does it relay to addresses that it must not reach     forbidden_s
    done         Refresh with lifetime 0 for both, on every way out                  release_s

The peer is an allocation of our own, because vendors refuse private peers and a prober seldom has a public address.
It refuses to judge over time: one probe gives one outcome, and what outcomes mean is decided in `holdfast.core`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from holdfast.core import relays
from holdfast.core.relays import Sight
from holdfast.errors import DriverError
from holdfast.gather import turn_forbidden
from holdfast.gather.turn_end import Credential, End, Gone, Peer, Refused, words
from holdfast.gather.turn_forbidden import Forbidden
from holdfast.gather.turn_url import TurnAddress

ECHO_EVERY_S = 0.1
TRIES_MAX = 3
SEVERAL_TRIES = 3
FORBIDDEN, MISMATCH, UNAUTHORIZED, WRONG_CREDENTIALS = 403, 437, 401, 441
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each stage may take. `release_s` runs after the outcome is known, unless the relay answers well."""

    credentials_s: float = 3.0
    connect_s: float = 1.0
    allocate_s: float = 1.5
    relay_s: float = 1.5
    forbidden_s: float = 0.3
    release_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one probe. `stage` is where it ended; `elapsed_s` how long each stage took.

    `rtt_s`: the round trip to the relay, measured on relayed packets. `warning`: what a person should set right
    although the relay carries calls.
    """

    sight: Sight
    stage: str
    detail: str = ""
    elapsed_s: Mapping[str, float] = field(default_factory=dict)
    rtt_s: float | None = None
    warning: str = ""


class Credentials(Protocol):
    """Where the credentials of a probe come from. DriverError: the issuer, not the relay, is ill."""

    async def issue(self) -> Credential:
        """One that is valid now."""
        ...

    async def another(self, refused: Credential) -> Credential | None:
        """The relay took this one for wrong: the next worth trying at once, or None."""
        ...


class TurnProbe:
    """Makes probes. It holds nothing but the allocations that are still being given back."""

    def __init__(self, tls: ssl.SSLContext, timeouts: Timeouts | None = None) -> None:
        self._tls = tls
        self._timeouts = timeouts or Timeouts()
        self._releases: set[asyncio.Task[bool]] = set()

    async def probe(
        self, address: TurnAddress, credentials: Credentials, *, forbidden: Forbidden | None = None
    ) -> Outcome:
        """One whole probe. Nothing a relay or an issuer does is raised. `forbidden` None: not asked this time."""
        run = _Run(address, credentials, self._tls, self._timeouts)
        try:
            outcome = await _judged(run, forbidden)
        finally:
            releases = {asyncio.create_task(end.release(self._timeouts.release_s)) for end in run.ends}
            self._releases |= releases
            for release in releases:
                release.add_done_callback(self._releases.discard)
        if releases and outcome.sight is not Sight.ILL:
            await asyncio.wait(releases)
        return outcome

    async def settle(self) -> None:
        """Waits until every allocation is given back; at most as long as a release may take."""
        if self._releases:
            await asyncio.wait(self._releases)


async def _judged(run: _Run, forbidden: Forbidden | None) -> Outcome:
    try:
        return await run.through(forbidden)
    except TimeoutError:
        return run.outcome(run.if_silent, f"no end within {run.limit_s * 1000:.0f} ms")
    except DriverError as e:
        return run.outcome(Sight.OUR_FAULT, f"{e.code}: {e}")
    except Refused as e:
        return run.outcome(relays.sight(e.code), _meaning(e.code))
    except Gone as e:
        return run.outcome(Sight.ILL, str(e))
    except (socket.gaierror, UnicodeError):
        return run.outcome(Sight.OUR_FAULT, "the name does not resolve")
    except OSError as e:
        return run.outcome(Sight.ILL, words(e))


def _meaning(code: int) -> str:
    said = _MEANINGS.get(code)
    return f"{code} {said}" if said else f"error {code}"


_MEANINGS = {
    300: "try another server",
    401: "unauthorized: its secret is not ours, or the clocks differ",
    403: "forbidden: it takes no new allocations",
    437: "allocation mismatch",
    438: "stale nonce, twice",
    441: "wrong credentials",
    442: "it does not relay UDP",
    486: "allocation quota reached",
    508: "insufficient capacity",
}


class _Run:
    """One probe under way: how far it got, how long it took, and what must be given back."""

    def __init__(
        self, address: TurnAddress, credentials: Credentials, tls: ssl.SSLContext, timeouts: Timeouts
    ) -> None:
        self.ends: list[End] = []
        self.limit_s = 0.0
        self._address = address
        self._credentials = credentials
        self._tls = tls
        self._timeouts = timeouts
        self._credential = Credential("", "")
        self._warning = ""
        self._stage = ""
        self._elapsed: dict[str, float] = {}

    def outcome(self, sight: Sight, detail: str = "", *, rtt_s: float | None = None, warning: str = "") -> Outcome:
        said = f"{self._stage}: {detail}" if detail else ""
        return Outcome(sight, self._stage, said, dict(self._elapsed), rtt_s, warning)

    @property
    def if_silent(self) -> Sight:
        """An issuer that does not answer says nothing of the relay."""
        return Sight.OUR_FAULT if self._stage == "credentials" else Sight.ILL

    async def through(self, forbidden: Forbidden | None) -> Outcome:
        first, here = await self._allocation()
        if first.unauthenticated:
            return self.outcome(Sight.OPEN, "it allocates without credentials")
        both = self._timeouts.connect_s + self._timeouts.allocate_s
        second, there = await self._in("peer", both, self._peer())
        try:
            rtt_s, returned = await self._in("relay", self._timeouts.relay_s, _echo(first, here, second, there))
        except Refused as e:
            if e.code != FORBIDDEN:
                raise
            return self.outcome(Sight.POOR, "403 it refuses its own relayed addresses as peers, so no echo proves it")
        found = turn_forbidden.Finding()
        if forbidden is not None:
            found = await self._forbidden(first, forbidden)
        if found.relayed:
            return self.outcome(Sight.EXPOSED, found.words)
        self._stage = "done"
        sight = Sight.POOR if returned >= SEVERAL_TRIES else Sight.WELL
        detail = f"of the packets relayed, only number {returned} came back" if sight is Sight.POOR else ""
        return self.outcome(sight, detail, rtt_s=rtt_s, warning=found.words or self._warning)

    async def _allocation(self) -> tuple[End, Peer]:
        """The first allocation. Another credential, or another port, is tried where that can help."""
        self._credential = await self._in("credentials", self._timeouts.credentials_s, self._credentials.issue())
        tries = 1
        while True:
            end = await self._in("connect", self._timeouts.connect_s, self._open())
            try:
                return end, await self._in("allocate", self._timeouts.allocate_s, end.allocate())
            except Refused as e:
                if tries == TRIES_MAX or not (e.code == MISMATCH or await self._other_credential(e.code)):
                    raise
            tries += 1

    async def _other_credential(self, code: int) -> bool:
        if code not in (UNAUTHORIZED, WRONG_CREDENTIALS):
            return False
        try:
            async with asyncio.timeout(self._timeouts.credentials_s):
                other = await self._credentials.another(self._credential)
        except (TimeoutError, DriverError):
            return False
        if other is None:
            return False
        self._credential = other
        self._warning = "it does not take the newest credential yet"
        return True

    async def _peer(self) -> tuple[End, Peer]:
        end = await self._open()
        return end, await end.allocate()

    async def _open(self) -> End:
        end = await End.open(self._address, self._credential, self._tls)
        self.ends.append(end)
        return end

    async def _forbidden(self, end: End, forbidden: Forbidden) -> turn_forbidden.Finding:
        """Silence here is no fault: what is asked for is what must not be answered."""
        asked = turn_forbidden.ask(end, forbidden, port=self._address.port, wait_s=self._timeouts.forbidden_s)
        return await self._in("forbidden", None, asked)

    async def _in(self, stage: str, limit_s: float | None, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        self._stage, self.limit_s = stage, limit_s or 0.0
        began = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                return await work
        finally:
            self._elapsed[stage] = time.monotonic() - began


async def _echo(first: End, here: Peer, second: End, there: Peer) -> tuple[float, int]:
    """Send until one is back by way of the second allocation: a round trip to the relay, and the number of that one.

    A packet crosses to the relay and back twice, so that a round trip is half of what it takes.
    """
    token = secrets.token_bytes(12)
    binding = (asyncio.ensure_future(first.send(b"bind", there)), asyncio.ensure_future(second.send(b"bind", here)))
    try:
        await asyncio.gather(*binding)
    finally:
        for each in binding:
            each.cancel()
    reflecting = asyncio.create_task(_reflect(second, here, token))
    sent: list[float] = []
    waiting = asyncio.create_task(_answered(first, token))
    try:
        while not waiting.done():
            sent.append(time.monotonic())
            await first.send(token + len(sent).to_bytes(2, "big"), there)
            await asyncio.wait((waiting, reflecting), timeout=ECHO_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            if reflecting.done():
                reflecting.result()
        number = min(waiting.result(), len(sent))
        return (time.monotonic() - sent[number - 1]) / 2, number
    finally:
        reflecting.cancel()
        waiting.cancel()
        await asyncio.gather(reflecting, waiting, return_exceptions=True)


async def _reflect(end: End, towards: Peer, token: bytes) -> None:
    while True:
        data, _ = await end.hear()
        if data.startswith(token):
            await end.send(data, towards)


async def _answered(end: End, token: bytes) -> int:
    while True:
        data, _ = await end.hear()
        if data.startswith(token) and len(data) == len(token) + 2:
            return max(1, int.from_bytes(data[len(token) :], "big"))
