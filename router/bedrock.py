"""Signatures of requests to Amazon Bedrock (SigV4), with credentials as AWS tools find them.

Needs botocore (the extra `bedrock`); it is imported with the first request.
"""

import asyncio
import functools
import re
from typing import Any

from traffic.tiers import Endpoint

_REGION = re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")


class NoCredentials(RuntimeError):
    """There is nothing to sign with; the message says what is missing."""


async def signed(endpoint: Endpoint, url: str, payload: bytes) -> dict[str, str]:
    """The headers of a signed POST of JSON. Raises: NoCredentials."""
    # Credentials of a role are fetched over the network, and read from files otherwise.
    return await asyncio.to_thread(_signed, region_of(endpoint), url, payload)


def region_of(endpoint: Endpoint) -> str | None:
    """Stated, or of the base URL; None: the environment's."""
    found = _REGION.search(endpoint.base_url)
    return endpoint.region or (found[1] if found else None)


def _signed(region: str | None, url: str, payload: bytes) -> dict[str, str]:
    session = _session()
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError

    try:
        credentials = session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials is not None else None
    except BotoCoreError as error:
        raise NoCredentials(f"no AWS credentials: {error}") from None
    where = region or session.get_config_variable("region")
    if frozen is None or where is None:
        raise NoCredentials("no AWS credentials" if frozen is None else "no AWS region: give the endpoint a `region`")
    request = AWSRequest("POST", url, data=payload, headers={"content-type": "application/json"})
    SigV4Auth(frozen, "bedrock", where).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@functools.cache
def _session() -> Any:
    try:
        from botocore.session import Session
    except ModuleNotFoundError:
        raise NoCredentials("botocore is not installed: pip install 'fasttier[bedrock]'") from None
    return Session()
