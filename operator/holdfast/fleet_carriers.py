"""This region's sight of the carriers: their APIs, their SIP addresses where a policy names them, and what calls meet.

One probe per account, however many zones and agents use it. Where a live call's own request to the API failed, it is
probed at once. What a verdict leads to is decided in `core.carriers`.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from holdfast.core import carriers, evidence, reports
from holdfast.core.carriers import CarrierFailure
from holdfast.core.means import Carrier
from holdfast.core.reports import Report
from holdfast.core.values import AgentRef, Observation, Probe, Tier, Verdict
from holdfast.desired import Desired
from holdfast.fleet_accounts import Accounts
from holdfast.gather import carrier_telnyx, carrier_twilio
from holdfast.gather.sip_message import target as sip_target
from holdfast.gather.sip_options import SipOptions
from holdfast.gather.watches import Manner, Watches

PROBE = Probe(interval_s=5.0, timeout_s=1.5, confirmations=2, confirm_every_s=0.4)


@dataclass(frozen=True, slots=True)
class _Answer:
    result: evidence.Result
    took_s: float = 0.0


class FleetCarriers:
    """`on_change` is called when a verdict turns, and on a first failure."""

    def __init__(
        self,
        *,
        region: str,
        desired: Desired,
        accounts: Accounts,
        tls: ssl.SSLContext,
        clock: Callable[[], float],
        on_change: Callable[[], None],
        on_latency: Callable[[str, float], None],
        dice: random.Random,
    ) -> None:
        self._region = region
        self._desired = desired
        self._accounts = accounts
        self._clock = clock
        self._on_latency = on_latency
        self._twilio = carrier_twilio.TwilioCarrierProbe(http=accounts.http, clock=clock)
        self._telnyx = carrier_telnyx.TelnyxCarrierProbe(http=accounts.http, clock=clock)
        self._sip = SipOptions(tls)
        self._watches: Watches[str, Carrier, _Answer] = Watches(
            Manner(
                kind="carrier",
                named=lambda carrier: carrier.name,
                ask=self._ask,
                result=lambda answer: answer.result,
                probe=lambda _carrier: PROBE,
            ),
            targets=self._targets,
            clock=clock,
            on_change=on_change,
            dice=dice,
            on_answer=self._answered,
        )

    async def run(self) -> None:
        """While this pod is its region's active one."""
        await self._watches.run()

    def observations(self, *, self_doubt: bool) -> Iterable[Observation]:
        """What this region says of every carrier now."""
        now = self._clock()
        return [
            Observation(
                observer=self._region,
                target=name,
                verdict=history.verdict,
                heard_age_s=0.0,
                held_s=max(0.0, now - history.since),
                self_doubt=self_doubt,
                detail=history.detail,
                tier=Tier.CARRIER,
            )
            for name, history in self._watches.histories().items()
        ]

    def suspect(self, carrier: str, why: str) -> None:
        """A live call's request to this carrier's API failed."""
        self._watches.suspect(carrier, evidence.Result(Verdict.DOWN, f"a call's request: {why}"))

    def _targets(self) -> Mapping[str, Carrier]:
        """Of the zones whose calls this region carries: a witness holds no carrier's keys."""
        return {
            carrier.name: carrier
            for zone in self._desired.zones.values()
            if self._region in zone.members
            for carrier in zone.carriers
        }

    def _answered(self, name: str, answer: _Answer, _history: evidence.History) -> None:
        if answer.result.verdict is Verdict.UP:
            self._on_latency(f"carrier/{name}", answer.took_s)

    async def _ask(self, carrier: Carrier) -> _Answer:
        """Its API and, where it has one, its SIP address: the worse of the two."""
        asked = [self._api(carrier), *([self._options(carrier)] if carrier.sip else [])]
        answers = await asyncio.gather(*asked)
        return max(answers, key=lambda answer: _WORSE[answer.result.verdict])

    async def _api(self, carrier: Carrier) -> _Answer:
        if carrier.kind == "telnyx":
            to = carrier_telnyx.Target(carrier.name, carrier.api_url)
            telnyx = await self._telnyx.ask(to, key=lambda: self._accounts.text(carrier.secret, "apiKey"))
            return _Answer(carrier_telnyx.result(telnyx), telnyx.took_s)
        api = self._accounts.twilio(carrier)
        account = carrier_twilio.Target(carrier.name, api.account.url("api"), carrier.account_sid)
        twilio = await self._twilio.ask(account, credentials=lambda: self._accounts.twilio_key(carrier))
        return _Answer(carrier_twilio.result(twilio), twilio.took_s)

    async def _options(self, carrier: Carrier) -> _Answer:
        try:
            to = sip_target(carrier.sip)
        except ValueError as e:
            return _Answer(evidence.Result(Verdict.UNKNOWN, f"sip: {e}"))
        outcome = await self._sip.ask(to, timeout_s=PROBE.timeout_s)
        return _Answer(
            evidence.Result(carriers.verdict(outcome.api_status), f"sip {outcome.detail}" if outcome.detail else ""),
            outcome.elapsed_s,
        )


class CarrierReports:
    """What pods count of their requests to carriers' APIs. `failed` is told of a carrier and how.

    Successes tell nothing: a pod that speaks well of a carrier must not outweigh what the operator sees itself.
    """

    def __init__(self, *, desired: Desired, failed: Callable[[str, str], None]) -> None:
        self._desired = desired
        self._failed = failed
        self._reports: dict[tuple[AgentRef, str], Report[CarrierFailure]] = {}

    def hear(self, agent: AgentRef, pod: str, report: Report[CarrierFailure]) -> None:
        """One report of one pod. A pod may speak of the carriers of its own zone only."""
        known = self._reports.get((agent, pod))
        self._reports[agent, pod] = report
        zone = self._desired.zone_of(agent)
        for carrier in zone.carriers if zone else ():
            failures = [each.failure for each in reports.news(known, report, carrier.name) if each.failure]
            if failures:
                self._failed(carrier.name, failures[-1].value)

    def forget(self, agent: AgentRef, pod: str) -> None:
        """A pod fell silent; what it told before stays true."""
        self._reports.pop((agent, pod), None)


_WORSE = {Verdict.UP: 0, Verdict.UNKNOWN: 1, Verdict.DEGRADED: 2, Verdict.DOWN: 3}
