"""Parses URLs into host, port, TLS and proxy (from the environment), and defines connection errors."""

import base64
import functools
import urllib.request
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from traffic.tiers import is_loopback


class ConnectionFailed(ConnectionError):
    """No connection, or it broke before the answer was complete; the message has the cause."""


class ConnectTimeout(ConnectionFailed):
    """Timeout while connecting."""


class Address(NamedTuple):
    """Host, port and proxy of a URL; connections to equal addresses can be shared."""

    host: str
    port: int
    tls: bool
    proxy: str | None


class Location(NamedTuple):
    """Address and request head of a URL."""

    address: Address
    head: bytes
    """Path with query, HTTP version, and the headers derived from the URL."""


@functools.lru_cache(maxsize=1024)
def locate(url: str) -> Location:
    """Parse a URL. Raises: ConnectionFailed if it is invalid."""
    try:
        parts = urlsplit(url)
        tls, host = parts.scheme == "https", parts.hostname or ""
        port = parts.port or (443 if tls else 80)
        host.encode("idna")
    except ValueError as error:
        raise ConnectionFailed(f"not a URL: {error}") from None
    proxy = _proxy(parts.scheme, host)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = bracketed(host) + (f":{parts.port}" if parts.port else "")
    if proxy is not None and not tls:
        path = f"http://{authority}{path}"
    head = f" {path} HTTP/1.1\r\nhost: {authority}\r\n".encode("ascii", "backslashreplace")
    if proxy is not None and not tls:
        head += proxy_key(proxy)
    return Location(Address(host, port, tls, proxy), head)


def _proxy(scheme: str, host: str) -> str | None:
    """The proxy for a host from the environment; none for this machine."""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    proxy = urllib.request.getproxies().get(scheme)
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def host_of(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or 80


def proxy_key(proxy: str) -> bytes:
    """The header with the proxy's user and password, if its URL has them."""
    parts = urlsplit(proxy)
    if parts.username is None:
        return b""
    pair = unquote(f"{parts.username}:{parts.password or ''}").encode()
    return b"proxy-authorization: Basic " + base64.b64encode(pair) + b"\r\n"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
