"""Runs one whole operator with a name service of its own, told by FLEET_NAMES where names lead.

What the operator does is not touched. On one machine the public hosts of several regions have no port 443 each, and
only root could give them one; so a host's name leads to a port of the loopback here, as a DNS of the test's own would.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from holdfast import main


def serve_names(ports: dict[str, int]) -> None:
    """From here on these names lead to these ports of 127.0.0.1, whatever port is asked for."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host in ports:
            host, port = "127.0.0.1", ports[host]
        return resolve(host, port, *more, **named)

    socket.getaddrinfo = getaddrinfo


if __name__ == "__main__":
    serve_names(json.loads(os.environ["FLEET_NAMES"]))
    main.main()
