"""X-Twilio-Signature, as Twilio computes it. Written from its description, so that its own SDK can check us."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

HEADER = "X-Twilio-Signature"


def sign(url: str, params: Mapping[str, str], token: str) -> str:
    """Over the URL as it is requested (without fragment) and, for a form, each sorted name followed by its value."""
    text = url + "".join(name + params[name] for name in sorted(params))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()
