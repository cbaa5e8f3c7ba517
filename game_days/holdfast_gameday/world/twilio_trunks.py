"""Elastic SIP trunks as the simulated Twilio keeps them, and where a trunk sends a call.

    enabled entries, lowest priority first; among equal ones drawn by weight; none enabled: 32010

No request is answered here and no SIP is spoken.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

HOST = "https://trunking.twilio.com"


def iso8601(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(slots=True)
class OriginationUrl:
    sid: str
    account_sid: str
    trunk_sid: str
    created_at: float
    updated_at: float
    friendly_name: str
    sip_url: str
    priority: int = 10
    weight: int = 10
    enabled: bool = True

    def shown(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "trunk_sid": self.trunk_sid,
            "friendly_name": self.friendly_name,
            "sip_url": self.sip_url,
            "priority": self.priority,
            "weight": self.weight,
            "enabled": self.enabled,
            "date_created": iso8601(self.created_at),
            "date_updated": iso8601(self.updated_at),
            "url": f"{HOST}/v1/Trunks/{self.trunk_sid}/OriginationUrls/{self.sid}",
        }


@dataclass(slots=True)
class Trunk:
    sid: str
    account_sid: str
    created_at: float
    updated_at: float
    friendly_name: str = ""
    domain_name: str = ""
    disaster_recovery_url: str = ""
    disaster_recovery_method: str = "POST"
    secure: bool = False
    transfer_mode: str = "disable-all"
    origination_urls: dict[str, OriginationUrl] = field(default_factory=dict)

    def order(self, draw: random.Random) -> Iterator[OriginationUrl]:
        """Every enabled entry once, in the order in which a call tries them."""
        left = [entry for entry in self.origination_urls.values() if entry.enabled]
        while left:
            first = min(entry.priority for entry in left)
            equal = [entry for entry in left if entry.priority == first]
            (chosen,) = draw.choices(equal, [entry.weight for entry in equal])
            left.remove(chosen)
            yield chosen

    def shown(self) -> dict[str, object]:
        url = f"{HOST}/v1/Trunks/{self.sid}"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "domain_name": self.domain_name or None,
            "disaster_recovery_method": self.disaster_recovery_method,
            "disaster_recovery_url": self.disaster_recovery_url or None,
            "friendly_name": self.friendly_name,
            "secure": self.secure,
            "cnam_lookup_enabled": False,
            "symmetric_rtp_enabled": False,
            "recording": {"mode": "do-not-record", "trim": "do-not-trim"},
            "transfer_mode": self.transfer_mode,
            "transfer_caller_id": "from-transferee",
            "auth_type": "",
            "auth_type_set": [],
            "date_created": iso8601(self.created_at),
            "date_updated": iso8601(self.updated_at),
            "url": url,
            "links": {
                "origination_urls": f"{url}/OriginationUrls",
                "credential_lists": f"{url}/CredentialLists",
                "ip_access_control_lists": f"{url}/IpAccessControlLists",
                "phone_numbers": f"{url}/PhoneNumbers",
            },
        }
