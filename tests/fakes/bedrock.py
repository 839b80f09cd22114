"""Amazon Bedrock's side of the wire: frames of an event stream, and the check of a request's signature."""

import json
import struct
import zlib
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.raw_upstream import Play, plain

ACCESS_KEY, SECRET_KEY, REGION = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1"
ENVIRON = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_EC2_METADATA_DISABLED": "true"}
EVENT_STREAM = "application/vnd.amazon.eventstream"


def frame(kind: str, body: Any, *, exception: bool = False) -> bytes:
    """One message of an event stream."""
    headers = {":exception-type" if exception else ":event-type": kind}
    headers |= {":content-type": "application/json", ":message-type": "exception" if exception else "event"}
    packed = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    data = json.dumps(body).encode()
    prelude = struct.pack(">II", 16 + len(packed) + len(data), len(packed))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + data
    return whole + struct.pack(">I", zlib.crc32(whole))


def badly_signed(head: str, body: bytes) -> Play | None:
    """A 403 where the signature is not the one that the secret key makes."""
    line, *lines = head.rstrip().split("\r\n")
    method, target, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    stated = headers.get("authorization", "")
    signed = stated.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(method, f"http://{headers['host']}{target}", data=body)
    for name in signed:
        request.headers[name] = headers.get(name, "")
    request.context["timestamp"] = headers.get("x-amz-date", "")
    signer = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "bedrock", REGION)
    scope = f"{ACCESS_KEY}/{headers.get('x-amz-date', '')[:8]}/{REGION}/bedrock/aws4_request"
    wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    if f"Credential={scope}" in stated and f"Signature={wanted}" in stated and "host" in signed:
        return None
    return plain({"message": "The request signature we calculated does not match"}, status=403)
