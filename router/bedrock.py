"""Signs requests to Amazon Bedrock (SigV4), with credentials from the usual AWS sources.

Requires botocore (the extra `bedrock`), imported on the first request.
"""

import asyncio
import functools
import re
from typing import Any

from traffic.tiers import Endpoint

_REGION = re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")


class NoCredentials(RuntimeError):
    """Credentials, region or library are missing; the message says which."""


async def signed(endpoint: Endpoint, url: str, payload: bytes) -> dict[str, str]:
    """Headers of a signed POST with a JSON body. Raises: NoCredentials."""
    # In a thread: credentials are read from files or, for a role, fetched over the network.
    return await asyncio.to_thread(_signed, region_of(endpoint), url, payload)


def region_of(endpoint: Endpoint) -> str | None:
    """The configured region, or the one in the base URL; None: from the environment."""
    match = _REGION.search(endpoint.base_url)
    return endpoint.region or (match[1] if match else None)


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
    effective_region = region or session.get_config_variable("region")
    if frozen is None or effective_region is None:
        raise NoCredentials("no AWS credentials" if frozen is None else "no AWS region: give the endpoint a `region`")
    request = AWSRequest("POST", url, data=payload, headers={"content-type": "application/json"})
    SigV4Auth(frozen, "bedrock", effective_region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@functools.cache
def _session() -> Any:
    try:
        from botocore.session import Session
    except ModuleNotFoundError:
        raise NoCredentials("botocore is not installed: pip install 'fasttier[bedrock]'") from None
    return Session()
