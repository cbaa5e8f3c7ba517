"""What a region's DNS server is told, and one question asked of it to see that it answers.

It knows the lab's table of names; everything else in the world does not exist.
"""

import secrets
import socket
import struct
from collections.abc import Mapping

ROOT_ZONE_HEAD = """$ORIGIN .
$TTL 5
. IN SOA ns.lab. lab.lab. 1 3600 600 86400 1
. IN NS ns.lab.
"""


def corefile(*, ip: str, kubeconfig: str, context: str, zone_file: str, cluster_domain: str) -> str:
    return f"""\
{cluster_domain}:53 in-addr.arpa:53 {{
    bind {ip}
    errors
    kubernetes {cluster_domain} in-addr.arpa {{
        kubeconfig {kubeconfig} {context}
        pods insecure
        ttl 2
    }}
}}
.:53 {{
    bind {ip}
    errors
    file {zone_file} . {{
        reload 1s
    }}
}}
"""


def zone(hosts: Mapping[str, str]) -> str:
    """A zone file rather than a hosts file: for an unknown name it can say that there is none."""
    return ROOT_ZONE_HEAD + "".join(f"{name}. IN A {address}\n" for name, address in sorted(hosts.items()))


def answers(server: str, name: str, *, timeout_s: float = 1.0) -> list[str]:
    """The A records of a name; empty when there is none, or no answer."""
    number = secrets.randbits(16)
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split("."))
    question = struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        try:
            sock.sendto(question, (server, 53))
            reply = sock.recv(4096)
        except OSError:
            return []
    if len(reply) < 12 or struct.unpack(">H", reply[:2])[0] != number:
        return []
    return _addresses(reply, len(question))


def _addresses(reply: bytes, offset: int) -> list[str]:
    count = struct.unpack(">H", reply[6:8])[0]
    found = []
    for _ in range(count):
        while reply[offset] and reply[offset] < 0xC0:
            offset += 1 + reply[offset]
        offset += 2 if reply[offset] >= 0xC0 else 1
        kind, _, _, length = struct.unpack(">HHIH", reply[offset : offset + 10])
        offset += 10
        if kind == 1:
            found.append(socket.inet_ntoa(reply[offset : offset + length]))
        offset += length
    return found
