"""The names and addresses of the lab: one table, so that nobody writes an address twice.

Data only. It knows neither how an address is plugged in nor who listens on it.
"""

import os
from dataclasses import dataclass
from typing import Final

LAB: Final = os.environ.get("HOLDFAST_LAB", "")
"""Empty, or a short word: labs of different words stand beside one another on one machine, each in its own networks."""
WAN: Final = f"hf{LAB}-wan"  # the network namespace that stands for the public internet
BRIDGE: Final = "hf0"
GATEWAY: Final = "172.30.0.1"
PREFIX: Final = 24
INGRESS_CLASS: Final = "holdfast-lab"
SERVICE_RANGE: Final = "10.96.0.0/16"
API_SERVICE: Final = "10.96.0.1"
CLUSTER_DOMAIN: Final = "cluster.local"


@dataclass(frozen=True, slots=True)
class RegionNames:
    """Where one region lives. `index` keeps the pod ranges of regions apart."""

    name: str
    index: int
    ip: str
    jurisdiction: str
    cloud: str

    @property
    def netns(self) -> str:
        return f"hf{LAB}-{self.name}"

    @property
    def host(self) -> str:
        return f"{self.name}.voice.example.com"

    @property
    def server(self) -> str:
        return f"https://{self.ip}:6443"

    @property
    def pod_range(self) -> str:
        return f"10.{100 + self.index}.0.0/16"


REGIONS: Final[dict[str, RegionNames]] = {
    region.name: region
    for region in (
        RegionNames(name="fra", index=1, ip="172.30.0.11", jurisdiction="eu", cloud="hetzner"),
        RegionNames(name="ams", index=2, ip="172.30.0.12", jurisdiction="eu", cloud="leaseweb"),
        RegionNames(name="iad", index=3, ip="172.30.0.13", jurisdiction="us", cloud="aws"),
    )
}

EDGE: Final = "172.30.0.103"
WORLD: Final[dict[str, str]] = {
    "api.twilio.com": "172.30.0.101",
    "api.cloudflare.com": "172.30.0.102",
    "eu.voice.example.com": EDGE,
    "us.voice.example.com": EDGE,
    "eu.api.openai.com": "172.30.0.104",
    "us.api.openai.com": "172.30.0.105",
    "tools.example.com": "172.30.0.106",
    "eu2.api.openai.com": "172.30.0.107",
    "turn-1.example.com": "172.30.0.108",
    "turn-2.example.com": "172.30.0.109",
    "api.telnyx.com": "172.30.0.110",
}

HOSTS: Final[dict[str, str]] = WORLD | {region.host: region.ip for region in REGIONS.values()}
WORLD_RANGE: Final = "172.30.0.96/27"
"""Every address of the world, and none of a region's."""
WORLD_ADDRESSES: Final[tuple[str, ...]] = tuple(sorted(set(WORLD.values())))
IMAGES: Final[tuple[str, ...]] = tuple(f"localhost/{name}:dev" for name in
                                       ("holdfast-operator", "holdfast-bridge", "holdfast-redis", "pause"))
