"""The attempts of `tests.fakes.logs` in further log formats: one function per format, attempt -> line.

WRITERS["langfuse"](attempts(1, seed=3)[0])
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.fakes.logs import Attempt, litellm_line, native_line, pair_line


def _iso(a: Attempt, ms: float = 0) -> str:
    return (a.ts + timedelta(milliseconds=ms)).isoformat()


def _tags(a: Attempt) -> dict[str, Any]:
    tags: dict[str, Any] = {
        "feature": a.call_site,
        "plan": a.plan,
        "language": a.language,
        "user_id": a.user,
        "customer_id": a.customer,
        "session_id": a.session,
        "visibility": a.visibility,
    }
    if a.thumb:
        tags["feedback"] = json.dumps({"thumb": a.thumb, "corrected": a.corrected})
    return {key: value for key, value in tags.items() if value is not None}


def _error(a: Attempt) -> dict[str, Any]:
    return {"error": {"message": "no luck", "type": "server_error"}}


def _tool(a: Attempt) -> dict[str, Any]:
    function: dict[str, Any] = (a.tools or [{}])[0]["function"]
    return function


def _called(a: Attempt) -> dict[str, Any]:
    call: dict[str, Any] = (a.tool_calls or [{}])[0]
    return {"id": call["id"], "name": call["function"]["name"], "input": json.loads(call["function"]["arguments"])}


def langfuse_line(a: Attempt) -> bytes:
    usage = {}
    if a.status == 200 and a.usage_logged:
        usage = {"input": a.input_tokens - a.cached, "input_cached_tokens": a.cached, "output": a.output_tokens}
    row = {
        "id": a.id,
        "traceId": f"t-{a.session}",
        "type": "GENERATION",
        "name": a.call_site,
        "startTime": _iso(a),
        "endTime": _iso(a, a.latency_ms),
        "level": "DEFAULT" if a.status == 200 else "ERROR",
        "statusMessage": None if a.status == 200 else f"{a.status} no luck",
        "userId": a.user,
        "sessionId": a.session,
        "providedModelName": a.model,
        "modelParameters": {"temperature": 0.0, "max_tokens": 512, "stream": a.stream},
        "input": {"messages": a.messages} | ({"tools": a.tools} if a.tools else {}),
        "output": {"role": "assistant", "content": a.answer, "tool_calls": a.tool_calls} if a.status == 200 else None,
        "usageDetails": usage,
        "totalCost": a.cost_usd or None,
        "latency": a.latency_ms / 1000,
        "metadata": json.dumps(_tags(a) | {"finish_reason": a.finish}),
        "tags": [f"feature:{a.call_site}"],
    }
    return json.dumps(row).encode()


def helicone_line(a: Attempt) -> bytes:
    pair = json.loads(pair_line(a))
    pair["request"].pop("metadata")
    row = {
        "request_id": a.id,
        "response_id": a.id,
        "request_created_at": _iso(a),
        "response_created_at": _iso(a, a.latency_ms),
        "response_status": a.status,
        "request_body": pair["request"],
        "response_body": pair["response"],
        "request_properties": {key.capitalize(): value for key, value in _tags(a).items()},
        "request_user_id": a.user,
        "provider": "OPENAI",
        "latency": a.latency_ms,
        "cost": a.cost_usd or None,
        "cache_hit": a.cache_hit,
    }
    return json.dumps(row).encode()


def bedrock_line(a: Attempt) -> bytes:
    system, user = a.messages[0]["content"], a.messages[1]["content"]
    request: dict[str, Any] = {
        "system": [{"text": system}],
        "messages": [{"role": "user", "content": [{"text": user}]}],
        "inferenceConfig": {"maxTokens": 512, "temperature": 0.0},
    }
    content = [{"text": a.answer}]
    if a.tools:
        spec = _tool(a)
        schema = {"json": spec["parameters"]}
        request["toolConfig"] = {
            "tools": [{"toolSpec": {"name": spec["name"], "description": spec["description"], "inputSchema": schema}}]
        }
        called = _called(a)
        content = [{"toolUse": {"toolUseId": called["id"], "name": called["name"], "input": called["input"]}}]
    stop = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[a.finish or "stop"]
    usage = {
        "inputTokens": a.input_tokens - a.cached,
        "outputTokens": a.output_tokens,
        "cacheReadInputTokens": a.cached,
    }
    body: Any = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop,
        "metrics": {"latencyMs": a.latency_ms},
    } | ({"usage": usage} if a.usage_logged else {})
    if a.stream:
        body = [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": (a.answer or "")[:7]}, "contentBlockIndex": 0}},
            {"contentBlockDelta": {"delta": {"text": (a.answer or "")[7:]}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": stop}},
            {"metadata": {"metrics": {"latencyMs": a.latency_ms}} | ({"usage": usage} if a.usage_logged else {})},
        ]
    row: dict[str, Any] = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": _iso(a),
        "requestId": a.id,
        "operation": "ConverseStream" if a.stream else "Converse",
        "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "region": "us-east-1",
        "input": {"inputBodyJson": request},
        "requestMetadata": _tags(a),
    }
    if a.status == 200:
        row["output"] = {"outputContentType": "application/json", "outputBodyJson": body}
    else:
        row |= {"errorCode": "ThrottlingException", "status": str(a.status)}
    return json.dumps(row).encode()


def anthropic_line(a: Attempt) -> bytes:
    request: dict[str, Any] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 512,
        "temperature": 0.0,
        "system": a.messages[0]["content"],
        "messages": [{"role": "user", "content": a.messages[1]["content"]}],
        "metadata": {"user_id": a.user},
        "stream": a.stream,
    }
    content: list[dict[str, Any]] = [{"type": "text", "text": a.answer}]
    if a.tools:
        spec = _tool(a)
        request["tools"] = [
            {"name": spec["name"], "description": spec["description"], "input_schema": spec["parameters"]}
        ]
        content = [{"type": "tool_use", **_called(a)}]
    stop = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[a.finish or "stop"]
    usage = {
        "input_tokens": a.input_tokens - a.cached,
        "cache_read_input_tokens": a.cached,
        "output_tokens": a.output_tokens,
    }
    answer = {"id": f"msg-{a.id}", "type": "message", "role": "assistant", "content": content, "stop_reason": stop}
    answer |= {"usage": usage} if a.usage_logged else {}
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "no luck"}}
    row = {
        "id": a.id,
        "timestamp": _iso(a),
        "latency_ms": a.latency_ms,
        "status": a.status,
        "request": request,
        "response": answer if a.status == 200 else error,
        "tags": _tags(a),
    }
    return json.dumps(row).encode()


def _attribute(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"key": key, "value": {"arrayValue": {"values": [{"stringValue": item} for item in value]}}}
    if isinstance(value, bool):
        return {"key": key, "value": {"boolValue": value}}
    if isinstance(value, int):
        return {"key": key, "value": {"intValue": str(value)}}
    return {"key": key, "value": {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}}


def otel_span(a: Attempt) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "content": a.answer}]
    if a.tools:
        called = _called(a)
        parts = [{"type": "tool_call", "id": called["id"], "name": called["name"], "arguments": called["input"]}]
    messages = [{"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]} for m in a.messages]
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": a.model,
        "gen_ai.request.max_tokens": 512,
        "gen_ai.request.temperature": 0.0,
        "gen_ai.request.stream": a.stream,
        "gen_ai.conversation.id": a.session,
        "enduser.id": a.user,
        "app.request_id": a.id,
        "gen_ai.input.messages": json.dumps(messages),
    }
    if a.tools:
        attributes["gen_ai.tool.definitions"] = json.dumps([{"type": "function", **_tool(a)}])
    attributes |= {f"app.{key}": value for key, value in _tags(a).items()}
    if a.status == 200:
        attributes |= {
            "gen_ai.response.finish_reasons": [a.finish],
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": parts, "finish_reason": a.finish}]),
        }
        if a.usage_logged:
            attributes |= {
                "gen_ai.usage.input_tokens": a.input_tokens,
                "gen_ai.usage.cache_read.input_tokens": a.cached,
                "gen_ai.usage.output_tokens": a.output_tokens,
            }
    else:
        attributes |= {"error.type": str(a.status)}
    start = int(a.ts.timestamp()) * 10**9 + a.ts.microsecond * 1000
    return {
        "traceId": "0e51215659276f0e0fec97fd4c9ee0dc",
        "spanId": "60ed40ecdf76d435",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(a.latency_ms * 1e6)),
        "name": "chat",
        "status": {} if a.status == 200 else {"code": 2, "message": "no luck"},
        "attributes": [_attribute(key, value) for key, value in attributes.items()],
    }


def otel_line(*spans: Attempt) -> bytes:
    """One line of OTLP/JSON with a span per attempt, and one of a tool."""
    tool = {"spanId": "t", "traceId": "t", "attributes": [_attribute("gen_ai.operation.name", "execute_tool")]}
    listed = [*map(otel_span, spans), tool]
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": listed}]}]}).encode()


def responses_line(a: Attempt) -> bytes:
    request: dict[str, Any] = {
        "model": a.model,
        "instructions": a.messages[0]["content"],
        "input": a.messages[1]["content"],
        "temperature": 0.0,
        "max_output_tokens": 512,
        "stream": a.stream,
        "metadata": _tags(a),
    }
    items: list[dict[str, Any]] = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": a.answer}]},
    ]
    if a.tools:
        spec = _tool(a)
        request["tools"] = [{"type": "function", **spec}]
        called = _called(a)
        items = [
            {
                "type": "function_call",
                "call_id": called["id"],
                "name": called["name"],
                "arguments": json.dumps(called["input"]),
            }
        ]
    usage = {
        "input_tokens": a.input_tokens,
        "input_tokens_details": {"cached_tokens": a.cached},
        "output_tokens": a.output_tokens,
    }
    answer: dict[str, Any] = {"id": f"resp-{a.id}", "object": "response", "status": "completed", "output": items}
    answer |= {"usage": usage} if a.usage_logged else {}
    if a.finish == "length":
        answer |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    row = {
        "id": a.id,
        "timestamp": _iso(a),
        "latency_ms": a.latency_ms,
        "status": a.status,
        "request": request,
        "response": answer if a.status == 200 else _error(a),
    }
    return json.dumps(row).encode()


def flywheel_line(a: Attempt) -> bytes:
    pair = json.loads(pair_line(a))
    return json.dumps(
        {
            "timestamp": a.ts.timestamp(),
            "workload_id": a.call_site,
            "client_id": a.customer,
            "id": a.id,
            "request": pair["request"],
            "response": pair["response"],
            "status": a.status,
            "latency_ms": a.latency_ms,
        }
    ).encode()


def elastic_line(a: Attempt) -> bytes:
    return json.dumps({"_index": "llm", "_id": a.id, "_source": json.loads(pair_line(a))}).encode()


def shipped_line(a: Attempt) -> bytes:
    """A log shipper's row, with the application's own as text inside."""
    return json.dumps({"@timestamp": _iso(a), "stream": "stdout", "log": pair_line(a).decode() + "\n"}).encode()


WRITERS: dict[str, Callable[[Attempt], bytes]] = {
    "litellm": litellm_line,
    "openai_pairs": pair_line,
    "openai_responses": responses_line,
    "anthropic_pairs": anthropic_line,
    "bedrock": bedrock_line,
    "langfuse": langfuse_line,
    "helicone": helicone_line,
    "otel": otel_line,
    "flywheel": flywheel_line,
    "native": native_line,
}
