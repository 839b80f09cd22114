"""What strangers, web pages and broken clients may try: raw bytes on the router's port."""

import json
import socket
from typing import Any

import httpx
import pytest

from tests.fakes.openai_server import Reply
from tests.fakes.router import RunningRouter, Setting, ask, body_of, log_lines, only, said

WRITE: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Write."}]}
PATH = b"POST /v1/chat/completions HTTP/1.1\r\n"
HEAD = PATH + b"host: 127.0.0.1\r\ncontent-type: application/json\r\n"


def send(router: RunningRouter, data: bytes) -> bytes:
    """The status line and what follows, until the server closes: ask for that, or send what makes it."""
    host, port = router.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def post(router: RunningRouter, body: bytes, *headers: bytes, head: bytes = HEAD) -> bytes:
    lines = b"".join(header + b"\r\n" for header in (*headers, b"connection: close"))
    return send(router, head + lines + b"content-length: %d\r\n\r\n" % len(body) + body)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def with_field(field: str, value: bytes) -> bytes:
    return json.dumps(WRITE).encode()[:-1] + b', "%s": %s}' % (field.encode(), value)


# ------------------------------------------------------------------------------- headers, log, metrics


def test_a_tag_with_line_ends_stays_one_line_everywhere(setting: Setting) -> None:
    router = setting.start()
    evil = "a\r\nset-cookie: x=1\r\n\r\n\x00b"
    response = ask(router, metadata={"call_site": evil, "plan": evil, "user_id": evil})
    assert "set-cookie" not in response.headers
    (line,) = log_lines(setting.home)
    assert json.loads(line)["call_site"] == evil
    assert "\nset-cookie" not in httpx.get(f"{router.url}/metrics").text


def test_a_broken_header_is_a_400_before_anything_is_asked(setting: Setting) -> None:
    router = setting.start()
    broken = (b"x-fasttier-call-site: a\x00b", b"x-fasttier-call-site: a\rb", b"x y: z", b": z")
    assert [status(post(router, json.dumps(WRITE).encode(), header)) for header in broken] == [400] * len(broken)
    assert not setting.hosted.asked


def test_bytes_that_are_no_text_in_a_header_do_not_break_the_log(setting: Setting) -> None:
    router = setting.start()
    assert status(post(router, json.dumps(WRITE).encode(), b"x-fasttier-call-site: caf\xe9 \xff")) == 200
    assert only(router.log).call_site == "caf\ufffd \ufffd"


def test_clients_cannot_choose_file_names(setting: Setting) -> None:
    router = setting.start()
    before = {path for path in setting.home.root.rglob("*") if path.is_dir()}
    for name in ("../../../tmp/x", "/etc/passwd", "..", "a/b\x00c"):
        assert said(ask(router, metadata={"call_site": name, "session_id": name, "trace_id": name})) == "refund"
    assert {path for path in setting.home.root.rglob("*") if path.is_dir()} - before <= {setting.home.log}
    assert all(path.name.startswith("requests-") for path in setting.home.log.iterdir())


def test_a_call_site_that_is_too_long_is_refused(setting: Setting) -> None:
    router = setting.start()
    answer = post(router, json.dumps(WRITE).encode(), b"x-fasttier-call-site: " + b"a" * 50_000)
    assert status(answer) == 400
    assert b"longer than 200 characters" in answer
    assert router.log == []


# --------------------------------------------------------------------------------------------- bodies


BROKEN = {
    "utf-8": b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "utf-8 where nobody looks": b'{"messages": [{"role": "user", "content": "x", "y": "\xff"}]}',
    "utf-8 in an unknown key": with_field("seed", b'"\xff"'),
    "NaN": with_field("temperature", b"NaN"),
    "infinity": with_field("temperature", b"1e999"),
    "an endless integer": with_field("max_tokens", b"9" * 5000),
    "one that nobody looks at": with_field("seed", b"9" * 5000),
    "yes": with_field("stream", b'"yes"'),
    "1": with_field("stream", b"1"),
    "a list": b"[]",
    "nothing": b"",
}


def test_a_lone_surrogate_is_replaced(setting: Setting) -> None:
    router = setting.start()
    text = rb"refund \\ud800 \ud83d\ude00 \ud83d"
    assert status(post(router, b'{"messages": [{"role": "user", "content": "' + text + b'"}]}')) == 200
    assert setting.hosted.chats[0].body["messages"][0]["content"] == "refund \\ud800 \U0001f600 \ufffd"


def test_invalid_json_or_parameters_are_a_400(setting: Setting) -> None:
    router = setting.start()
    assert {name: status(post(router, body)) for name, body in BROKEN.items()} == dict.fromkeys(BROKEN, 400)
    assert not setting.hosted.asked
    assert router.log == []


@pytest.mark.parametrize("field", ["logit_bias", "metadata", "response_format", "content"])
def test_a_deeply_nested_body_is_a_400(setting: Setting, field: str) -> None:
    router = setting.start()

    def sent(depth: int) -> int:
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        if field == "content":
            return status(post(router, b'{"messages": [{"role": "user", "content": [' + deep + b"]}]}"))
        return status(post(router, with_field(field, deep)))

    # In steps smaller than the stack between where a request is read and where its record is written.
    found = [sent(depth) for depth in (50, *range(800, 1000, 8), 5_000, 200_000)]
    assert found == sorted(found)
    assert (found[0], found[-1], set(found)) == (200, 400, {200, 400})


def test_duplicate_keys_are_resolved_equally_for_rules_log_and_model(setting: Setting) -> None:
    router = setting.start()
    body = b'{"messages": [{"role": "user", "content": "first"}], ' + json.dumps(WRITE).encode()[1:]
    assert status(post(router, body)) == 200
    assert setting.hosted.chats[0].body["messages"] == json.loads(bytes(only(router.log).messages)) == WRITE["messages"]


def test_ten_thousand_tags_are_accepted_and_not_forwarded(setting: Setting) -> None:
    router = setting.start()
    assert said(ask(router, metadata=body_of("")["metadata"] | {f"k{n}": "v" for n in range(10_000)})) == "refund"
    assert "metadata" not in setting.own.chats[0].body


# ------------------------------------------------------------------------------------------ smuggling


LENGTHS = (
    b"content-length: 5\r\ntransfer-encoding: chunked",
    b"transfer-encoding: chunked\r\ncontent-length: 5",
    b"content-length: 5\r\ncontent-length: 6",
    b"content-length: -5",
    b"content-length: 5, 5",
    b"transfer-encoding: xchunked",
    b"transfer-encoding : chunked",
)


def test_a_request_with_an_ambiguous_length_is_refused_and_the_connection_closed(setting: Setting) -> None:
    router = setting.start()
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"
    answers = {lines: send(router, HEAD + lines + b"\r\n\r\n" + smuggled) for lines in LENGTHS}
    found = {lines: (status(answer), answer.count(b"HTTP/1.1 ")) for lines, answer in answers.items()}
    assert found == dict.fromkeys(LENGTHS, (400, 1))
    assert not setting.hosted.asked


# ----------------------------------------------------------------------------- web pages, and strangers


def test_dns_rebinding_is_refused(setting: Setting) -> None:
    router = setting.start()
    for host in (b"evil.example", b"evil.example:8080", b"localhost.evil.example", b"127.0.0.1.nip.io"):
        head = PATH + b"host: " + host + b"\r\ncontent-type: application/json\r\n"
        assert status(post(router, json.dumps(WRITE).encode(), head=head)) == 403
        named = {"host": host.decode()}
        for path in ("/v1/models", "/metrics"):
            assert httpx.get(router.url + path, headers=named).status_code == 403
        assert httpx.get(f"{router.url}/health", headers=named).json() == {"status": "ok", "ready": True}
    assert not setting.hosted.asked


def test_every_loopback_name_is_accepted(setting: Setting) -> None:
    router = setting.start()
    for host in (b"localhost", b"LOCALHOST:8080", b"127.0.0.1:1", b"[::1]:8080", b"router.localhost"):
        head = PATH + b"host: " + host + b"\r\ncontent-type: application/json\r\n"
        assert status(post(router, json.dumps(WRITE).encode(), head=head)) == 200


def test_with_client_keys_any_host_name_is_accepted(setting: Setting) -> None:
    keys = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "client-secret"}
    router = setting.start(serving={"client_keys_env": "CLIENT_KEYS"}, environ=keys)
    head = PATH + b"host: llm.example\r\ncontent-type: application/json\r\nauthorization: Bearer client-secret\r\n"
    assert status(post(router, json.dumps(WRITE).encode(), head=head)) == 200


def test_other_origins_are_refused_by_cors(setting: Setting) -> None:
    router = setting.start()
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    preflight = httpx.options(
        f"{router.base_url}/chat/completions", headers=asked | {"access-control-request-headers": "content-type"}
    )
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        simple = httpx.post(
            f"{router.base_url}/chat/completions", content=json.dumps(WRITE), headers=asked | {"content-type": kind}
        )
        assert simple.status_code == 415


def test_without_a_key_only_the_bare_status_is_available(setting: Setting) -> None:
    keys = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "client-secret"}
    router = setting.start(serving={"client_keys_env": "CLIENT_KEYS"}, environ=keys)
    for key in ("", "Bearer", "Bearer client-secre", "Bearer client-secret2", "Basic client-secret"):
        headers = {"authorization": key} if key else {}
        for path in ("/v1/models", "/metrics"):
            assert httpx.get(router.url + path, headers=headers).status_code == 401
        for path in ("chat/completions", "messages", "completions", "embeddings"):
            assert httpx.post(f"{router.base_url}/{path}", json=WRITE, headers=headers).status_code == 401
        assert httpx.get(f"{router.url}/health", headers=headers).json() == {"status": "ok", "ready": True}
    assert not setting.hosted.asked


def test_a_number_out_of_range_is_a_400(setting: Setting) -> None:
    router = setting.start()
    messages = [{"role": "user", "content": body["content"]} for body in body_of("refund")["messages"]]
    too_large = b'"y": ' + b"9" * 5000 + b', "role"'
    sent = json.dumps(body_of("refund", messages=messages)).encode().replace(b'"role"', too_large, 1)
    assert status(post(router, sent)) == 400
    assert not setting.own.asked


UNREADABLE = {
    "utf-8": b"\xff\xfe{",
    "depth": b'{"model": ' + b"[" * 50_000 + b"]" * 50_000 + b', "choices": [{"message": {"content": "refund"}}]}',
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("stream", [False, True])
def test_an_unreadable_answer_escalates(setting: Setting, body: bytes, stream: bool) -> None:
    router = setting.start()
    setting.own.script(Reply(raw=body))
    sent = json.dumps(body_of("refund please", stream=stream)).encode()
    assert status(post(router, sent)) == 200
    failed, answered = router.log
    assert (failed.tier, answered.tier, answered.error) == (1, 2, None)
    assert failed.error
