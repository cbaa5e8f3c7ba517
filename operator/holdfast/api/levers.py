"""Levers of a FailoverPolicy: the places where routing is written, one kind each. Which Region is which origin there is
said in `Region.spec.origins`, by the lever's name.
"""

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from holdfast.api import schema
from holdfast.api.carriers import SecretRef
from holdfast.api.schema import AS_SET, Model, cel, rules

CloudflareId = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-zA-Z]*$")]
AccountId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[0-9a-zA-Z]+$")]
HttpUrl = Annotated[str, Field(max_length=1024, pattern=r"^https?://[^\s/?#@]+([/?][^\s#]*)?$")]
FilePath = Annotated[str, Field(max_length=256, pattern=r"^(/[-._a-zA-Z0-9]+)+$")]

KINDS = (
    "cloudflareLoadBalancer",
    "cloudflareTunnel",
    "twilioApplication",
    "twilioNumber",
    "twilioTrunk",
    "telnyxApplication",
    "telnyxNumber",
    "telnyxSipConnection",
    "kamailioDispatcher",
)
OF_TWILIO = tuple(kind for kind in KINDS if kind.startswith("twilio"))
OF_TELNYX = tuple(kind for kind in KINDS if kind.startswith("telnyx"))


class CloudflareLoadBalancer(Model):
    """Pools at the edge, one per region: the pool's id is the origin. Key of the Secret: token."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "(self.zoneId == '') == (self.loadBalancerId == '')",
                "zoneId and loadBalancerId are given together: the balancer's own lists are kept right by both",
            ),
            cel(
                "self.steering == 'off' || self.loadBalancerId != ''",
                "steering is written into the balancer: give zoneId and loadBalancerId, too",
            ),
        )
    )
    account_id: AccountId
    zone_id: CloudflareId = ""
    load_balancer_id: CloudflareId = ""
    shares: bool = Field(default=False, description="Give a returning region its share by load shedding of its pool.")
    steering: Literal["off", "geo"] = Field(
        default="off", description="geo: the balancer's lists for regions and countries say which pool is first."
    )
    api_url: schema.HttpsUrl = "https://api.cloudflare.com/client/v4"
    credentials: SecretRef


class CloudflareTunnel(Model):
    """One remotely configured tunnel per region: the tunnel's id is the origin. Key of the Secret: token."""

    account_id: AccountId
    api_url: schema.HttpsUrl = "https://api.cloudflare.com/client/v4"
    credentials: SecretRef


class OfCarrier(Model):
    """Everything of one carrier account: the numbers that the policy names, or the application of each agent."""

    carrier: schema.Name


class TwilioTrunk(Model):
    """An Elastic SIP trunk with one OriginationUrl per region: its SIP address, or its handle, is the origin."""

    carrier: schema.Name
    trunk_sid: Annotated[str, Field(max_length=34, pattern=r"^TK[0-9a-fA-F]{32}$")]
    shares: bool = Field(default=False, description="Give each region its weight, and a returning one its share of it.")
    disaster_url: schema.HttpsUrl | None = Field(
        default=None, description="What answers when no entry of the trunk takes a call."
    )


class TelnyxSipConnection(Model):
    """An FQDN connection: the id of a region's FQDN is the origin."""

    carrier: schema.Name
    connection_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[-0-9a-zA-Z]+$")]
    method: Literal["sequential", "round-robin"] = "sequential"


class KamailioDispatcher(Model):
    """A dispatcher group at each of a set of proxies: a region's SIP addresses, with spaces between, are the origin.

    Keys of the Secret: token, or username and password; tls.crt and tls.key for a client certificate; ca.crt.
    """

    proxies: Annotated[
        tuple[HttpUrl, ...],
        Field(
            min_length=1,
            max_length=8,
            description="Where each proxy takes JSONRPC over HTTP.",
            json_schema_extra=AS_SET,
        ),
    ]
    group: Annotated[int, Field(ge=0, le=2_147_483_647)] = 1
    fence_table: Annotated[str, Field(max_length=32, pattern=r"^[a-zA-Z0-9_]*$")] = Field(
        default="", description="An htable of the proxies in which each region's epoch is kept."
    )
    list_files: Annotated[tuple[FilePath, ...], Field(max_length=8, json_schema_extra=AS_SET)] = Field(
        default=(), description="The dispatcher's list files, as the operator sees them."
    )
    credentials: SecretRef | None = None


class Lever(Model):
    """A place where routing is written. Levers are tried in order: one that is out of hand is gone round."""

    model_config = pydantic.ConfigDict(
        json_schema_extra=rules(
            cel(
                "[" + ", ".join(f"has(self.{kind})" for kind in KINDS) + "].exists_one(each, each)",
                "a lever is of one kind: name exactly one of " + ", ".join(KINDS),
            )
        )
    )
    name: schema.Name
    drift: Literal["report", "enforce"] = Field(
        default="report",
        description="What becomes of that which others change there. A region that is out is kept out in any case.",
    )
    dry_run: bool = Field(default=False, description="Read it, show what would be written, and write nothing.")
    cloudflare_load_balancer: CloudflareLoadBalancer | None = None
    cloudflare_tunnel: CloudflareTunnel | None = None
    twilio_application: OfCarrier | None = None
    twilio_number: OfCarrier | None = None
    twilio_trunk: TwilioTrunk | None = None
    telnyx_application: OfCarrier | None = None
    telnyx_number: OfCarrier | None = None
    telnyx_sip_connection: TelnyxSipConnection | None = None
    kamailio_dispatcher: KamailioDispatcher | None = None


def _of_carrier(kinds: tuple[str, ...], vendor: str) -> schema.Json:
    named = " && ".join(
        f"(!has(lever.{kind}) || self.carriers.exists(c, c.name == lever.{kind}.carrier && has(c.{vendor})))"
        for kind in kinds
    )
    has_any = " || ".join(f"has(lever.{kind})" for kind in kinds)
    return cel(
        f"!has(self.levers) || self.levers.all(lever, !({has_any}) || (has(self.carriers) && {named}))",
        f"a lever of {vendor} must name a carrier of this policy that is {vendor}",
        at=".levers",
    )


CARRIER_RULES = (_of_carrier(OF_TWILIO, "twilio"), _of_carrier(OF_TELNYX, "telnyx"))
