"""Who may look: this machine, or whoever has the key."""

import base64
import binascii
import hmac

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from traffic.tiers import is_loopback

KEY_ENV = "FASTTIER_DASHBOARD_KEY"


def refusal(request: Request, key: str | None) -> Response | None:
    """What a request gets that may not look; None if it may."""
    if key:
        offered = _offered(request)
        if hmac.compare_digest(offered.encode(), key.encode()):
            return None
        headers = {"www-authenticate": 'Basic realm="fasttier", charset="UTF-8"'}
        return PlainTextResponse("this dashboard wants its key (any user name)", 401, headers)
    # A web page that rebinds its name to 127.0.0.1 sends its own name.
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if is_loopback(name.lower()):
        return None
    return PlainTextResponse(f"without a key ({KEY_ENV}) this dashboard answers only as localhost or 127.0.0.1", 403)


def _offered(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
