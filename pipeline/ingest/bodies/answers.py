"""Answers of every provider's API, recognised by their own keys."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies import streams
from pipeline.ingest.bodies.exchange import Answer, Unreadable, content_text, message_text, tool_call
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.usage import cost_of, counts_of, read_usage
from pipeline.ingest.values import Notes, count, identity, opened_value, text, text_of_base64
from traffic import loose_json
from traffic.record import Usage

_WRAPPERS = (
    *("body", "response", "jsonBody", "json", "result", "data", "streamed_data", "chunks", "events"),
    *("chatResponse", "chat_response"),
)
"""Keys of the body, or of the events of a stream, in batch files, HTTP recordings and gateway logs."""
_NOT_TEXT = frozenset({"embedding", "b64_json", "relevance_score", "flagged", "category_scores"})
"""Keys of the items of embeddings, images, rerankings and moderations."""
_MAX_WRAPPERS = 4
_PRINTED = re.compile(
    r"<[\w.]+(?: object)?(?: [\w.<>]+)? at 0x[0-9a-fA-F]+>|<\w*Response \[\d{3}\b.*>|\[object \w+\]"
    r"|(?:[A-Z]\w*)?(?:Completion|Response|Message|Choice|Output|Result|Chunk|Generation)\w*\([a-z_]+=.*\)",
    re.DOTALL,
)
"""Printed placeholders of objects in Python and JavaScript."""
_CUT_BODY = re.compile(
    r"""\s*\{\s*"(?:id|object|created|model|type|choices|candidates|output|usage)"\s*:[\s\S]*?
    "(?:choices|candidates|usageMetadata|stop_reason|(?:chat\.|text_)completion|(?:chatcmpl|cmpl|resp|msg|gen)[-_])""",
    re.VERBOSE,
)
"""Beginning of a response body; text that begins like this without being JSON was truncated by a logger."""


def read_answer(tree: Any, notes: Notes) -> Answer | None:
    """The answer in a response body; None without a body. Raises: Unreadable for a body of an unknown API."""
    return _read(tree, notes, 0)


def _read(tree: Any, notes: Notes, depth: int) -> Answer | None:
    if isinstance(tree, str):
        if tree.lstrip().startswith(("data:", "event:")):
            tree = streams.events_of(tree.lstrip())
        elif (events := streams.lines_of(tree)) is not None:
            tree = events
        else:
            return _of_text(tree, notes, depth)
    if tree is None or tree == {} or tree == [] or tree == "":
        return None
    if isinstance(tree, list):
        return _of_list(tree, notes)
    if not isinstance(tree, dict):
        raise Unreadable("unknown_answer", f"the answer is {type(tree).__name__}, not an object")
    tree = _unpacked(tree)
    answer = _of_object(tree, notes, depth)
    answer.id = answer.id or identity(tree.get("id"), tree.get("responseId"))
    model = tree.get("model") or tree.get("modelId") or tree.get("modelVersion")
    answer.model = answer.model or text(model, "response.model", notes)
    counts = counts_of(tree)
    answer.usage = answer.usage or read_usage(counts, notes)
    answer.cost_usd = answer.cost_usd or cost_of(counts)
    tier = tree.get("service_tier") or (counts.get("service_tier") if isinstance(counts, Mapping) else None)
    answer.service_tier = answer.service_tier or (tier if isinstance(tier, str) else None)
    return answer


def _unpacked(tree: dict[str, Any]) -> dict[str, Any]:
    """Unwraps the choices under DashScope's `output`, and an object that LangChain serialised with its class."""
    if isinstance(output := tree.get("output"), dict) and "choices" in output:
        return {**tree, **output}
    inside, path = tree.get("kwargs"), tree.get("id")
    if "lc" not in tree or not isinstance(inside, dict):
        return tree
    is_answer = isinstance(path, list) and bool(path) and str(path[-1]).startswith("AIMessage")
    return {"type": "ai", **inside} if is_answer else inside


def _of_text(text_of: str, notes: Notes, depth: int) -> Answer | None:
    """A body as JSON text, or the text of the answer, which may also be JSON."""
    tree = opened_value(text_of)
    if isinstance(tree, dict) and any(recognises(tree) for recognises, read in _READERS if read is not _plain):
        return _read(tree, notes, depth)
    if isinstance(tree, list) and tree and all(isinstance(item, dict) for item in tree):
        try:
            return _of_list(tree, notes)
        except Unreadable:
            return Answer(text=text_of)
    if tree == {} or tree == [] or not text_of:
        return None
    if isinstance(tree, str) and _CUT_BODY.match(tree):
        raise Unreadable("cut_text", "truncated response body; raise the logger's limit on lengths")
    refuse_printed(text_of)
    if (
        isinstance(tree, dict)
        and tree.keys() <= {"error", "status", "status_code", "message", "code"}
        and tree.get("error")
    ):
        return Answer(error=error_text(tree["error"]))
    return Answer(text=tree if isinstance(tree, str) else text_of)


def refuse_printed(text_of: str | None) -> None:
    """Raises: Unreadable for an object as a program prints it, which a logger took for the answer's text."""
    if text_of and _PRINTED.fullmatch(text_of.strip()):
        raise Unreadable("unknown_answer", f"the answer is an object as a program prints it: {text_of[:60]}")


def _of_list(items: list[Any], notes: Notes) -> Answer:
    if isinstance(items[0], str) and streams.joined(opened := streams.opened(items)) is not None:
        items = opened
    if any(map(_is_block, items)) and all(_role_of(item) in (None, *_ANSWERERS) for item in items):
        return _blocks(items, notes)
    body = streams.joined(items)
    if body is not None:
        answer = _read(body, notes, 0)
        if answer is not None:
            return answer
    if all(isinstance(item, dict) for item in items):
        answers = [item for item in items if _role_of(item) in _ANSWERERS or item.get("type") == "ai"]
        if answers:
            return _message(answers[-1], notes)
        if any(item.get("type") in ("message", *_BLOCKS) for item in items):
            return _blocks(items, notes)
        if all("toolName" in item or "toolCallId" in item for item in items):
            calls = [tool_call(i.get("toolCallId"), i.get("toolName"), i.get("input", i.get("args"))) for i in items]
            return Answer(tool_calls=calls)
        if any("message" in item or "finish_reason" in item for item in items):
            return _chat({"choices": items}, notes)
        if "generated_text" in items[0]:
            return _plain(items[0], notes)
    if all(isinstance(item, str) for item in items):
        return Answer(text=str(items[0]) if len(items) == 1 else msgspec.json.encode(items).decode())
    raise Unreadable("unknown_answer", f"the answer is a list of {_keys(items[0])}")


_ANSWERERS = ("assistant", "ai", "model")
_BLOCKS = ("text", "output_text", "tool_use", "tool_call", "tool-call", "function_call", "custom_tool_call")
_CALLS = ("toolUse", "functionCall", "function_call")
"""Keys of the calls among content blocks without a type (Converse, Gemini)."""


def _is_block(item: Any) -> bool:
    """Whether an item of a list is a part of one message, neither a message nor a chunk of a stream."""
    block = loose_json.tree(item)
    return "role" not in block and (
        block.get("type") in _BLOCKS or any(isinstance(block.get(key), dict) for key in _CALLS)
    )


def _role_of(item: Any) -> Any:
    return loose_json.tree(item).get("role")


def _of_object(tree: dict[str, Any], notes: Notes, depth: int) -> Answer:
    for recognises, read in _READERS:
        if recognises(tree):
            return read(tree, notes)
    if tree.get("error"):
        return Answer(error=error_text(tree["error"]))
    if _holds_no_text(tree):
        raise Unreadable("not_chat", "the answer contains embeddings, images, scores or a list of data")
    status = count(tree.get("status_code", tree.get("statusCode", tree.get("status"))), "response.status_code", Notes())
    for key in _WRAPPERS:
        inner = tree.get(key)
        if tree.get("isBase64Encoded") and isinstance(inner, str):
            inner = _from_base64(inner)
        if depth < _MAX_WRAPPERS and isinstance(inner, dict | list | str) and inner:
            answer = _read(inner, notes, depth + 1)
            if answer is not None:
                answer.status = answer.status or status
                return answer
    if isinstance(tree.get("data"), list):
        raise Unreadable("not_chat", "the answer contains a list of data")
    if status is not None and status >= 400:
        return Answer(error=failure_text(tree), status=status)
    raise Unreadable("unknown_answer", f"unknown API: the answer has {_keys(tree)}")


def _from_base64(body: str) -> str:
    try:
        return text_of_base64(body)
    except ValueError as error:
        raise Unreadable("unknown_answer", str(error)) from None


def _holds_no_text(tree: Mapping[str, Any]) -> bool:
    items = next((tree[key] for key in ("data", "results") if isinstance(tree.get(key), list)), None)
    return bool(_NOT_TEXT & tree.keys()) or any(
        isinstance(item, Mapping) and _NOT_TEXT & item.keys() for item in (items or ())[:1]
    )


def _chat(tree: dict[str, Any], notes: Notes) -> Answer:
    choices = tree["choices"]
    if not choices and isinstance(tree.get("error"), dict | str):
        return Answer(error=error_text(tree["error"]))
    if not choices:
        return Answer()
    choice = choices[0]
    if not isinstance(choice, dict):
        raise Unreadable("unknown_answer", "the first choice is not an object")
    # Choices may be in any order.
    choice = next((other for other in choices if isinstance(other, dict) and other.get("index") == 0), choice)
    if isinstance(choice.get("delta"), dict) and "message" not in choice:
        joined = streams.joined([tree])
        choice = joined["choices"][0] if joined else choice
    # Snowflake's Cortex has the text under `messages`.
    message = choice.get("message", choice.get("messages"))
    if message is None and isinstance(choice.get("text"), str):
        return Answer(text=choice["text"], finish_reason=finish_reason(streams.finish_of_choice(choice), notes))
    if message is not None and not isinstance(message, dict | str):
        raise Unreadable("unknown_answer", "the message of the first choice is not an object")
    answer = Answer(text=message) if isinstance(message, str) else _message(message or {}, notes)
    if choice.get("error") or tree.get("error") or choice.get("finish_reason") == "error":
        # The provider failed after the first token.
        answer.error = error_text(choice.get("error") or tree.get("error") or "error")
    elif answer.finish_reason != "content_filter":
        answer.finish_reason = finish_reason(streams.finish_of_choice(choice), notes)
    return answer


def _message(message: Mapping[str, Any], notes: Notes) -> Answer:
    """An assistant message of any API: text, tool calls, a refusal."""
    content = message.get("content", message.get("parts"))
    answer = _blocks(content, notes) if isinstance(content, list) else Answer(text=content_text(content))
    if answer.text is None and isinstance(audio := message.get("audio"), Mapping):
        answer.text = text(audio.get("transcript"), "audio.transcript", notes)
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        answer.text = answer.text or refusal
        answer.finish_reason = "content_filter"
    inside = message.get("additional_kwargs")
    listed = (
        message.get("tool_calls")
        or message.get("toolCalls")
        or (inside.get("tool_calls") if isinstance(inside, Mapping) else None)
    )
    calls = [_call(call) for call in loose_json.trees(listed)]
    function = message.get("function_call")
    if not calls and isinstance(function, dict) and function.get("name"):
        calls = [tool_call("", function["name"], function.get("arguments"))]
    answer.tool_calls = calls or answer.tool_calls
    for key in ("finish_reason", "stop_reason"):
        if message.get(key) and answer.finish_reason is None:
            answer.finish_reason = finish_reason(message[key], notes)
    metadata = message.get("response_metadata")
    if isinstance(metadata, Mapping) and answer.finish_reason is None:
        answer.finish_reason = finish_reason(metadata.get("finish_reason", metadata.get("stop_reason")), notes)
    return answer


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, dict):
        if isinstance(function.get("arguments"), str):
            return dict(call)
        return tool_call(call.get("id"), function.get("name"), function.get("arguments"))
    if isinstance(call.get("custom"), dict):
        return _custom_call(call.get("id"), call["custom"])
    # `toolName` is Vercel's.
    name, given = call.get("name", call.get("toolName")), call.get("args", call.get("arguments", call.get("input")))
    return tool_call(call.get("id", call.get("toolCallId", call.get("tool_id"))), name, given)


def _custom_call(identity: Any, call: Mapping[str, Any]) -> dict[str, Any]:
    """A call of a tool that takes text, which becomes an argument: arguments are JSON everywhere else."""
    return tool_call(identity, call.get("name"), {"input": call.get("input")})


def _blocks(blocks: list[Any], notes: Notes) -> Answer:
    """Content blocks of Anthropic, Converse, Gemini and OpenTelemetry, and the output items of the Responses API."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    refused = False
    for block in blocks:
        if isinstance(block, str):
            texts.append(block)
            continue
        if not isinstance(block, Mapping):
            continue
        kind = block.get("type")
        nested = block.get("content")
        if kind == "message" and isinstance(nested, list):
            inner = _blocks(nested, notes)
            texts += [inner.text] if inner.text is not None else []
            refused |= inner.finish_reason == "content_filter"
        elif kind in ("tool_use", "tool_call", "tool-call"):
            arguments = block.get("input", block.get("arguments", block.get("args")))
            calls.append(
                tool_call(block.get("id", block.get("toolCallId")), block.get("name", block.get("toolName")), arguments)
            )
        elif kind == "function_call":
            calls.append(tool_call(block.get("call_id", block.get("id")), block.get("name"), block.get("arguments")))
        elif kind == "custom_tool_call":
            calls.append(_custom_call(block.get("call_id"), block))
        elif isinstance(used := block.get("toolUse"), Mapping):
            calls.append(tool_call(used.get("toolUseId"), used.get("name"), used.get("input")))
        elif isinstance(called := block.get("functionCall", block.get("function_call")), Mapping):
            calls.append(tool_call(called.get("id"), called.get("name"), called.get("args")))
        elif (
            # The summary of a compaction replaces earlier messages and is not for the user.
            kind not in ("reasoning", "thinking", "compaction")
            and not block.get("thought")
            and (piece := message_text([block])) is not None
        ):
            refused |= kind == "refusal"
            texts.append(piece)
    answer = Answer(text="".join(texts) if texts else None, tool_calls=calls or None)
    if refused:
        answer.finish_reason = "content_filter"
    return answer


def _anthropic(tree: dict[str, Any], notes: Notes) -> Answer:
    answer = (
        _blocks(tree["content"], notes)
        if isinstance(tree["content"], list)
        else Answer(text=message_text(tree["content"]))
    )
    answer.finish_reason = finish_reason(tree.get("stop_reason"), notes)
    if tree.get("error"):
        answer.error = error_text(tree["error"])
    return answer


def _responses(tree: dict[str, Any], notes: Notes) -> Answer:
    answer = _blocks(tree["output"], notes)
    answer.usage = _with_searches(read_usage(tree.get("usage"), notes), tree["output"])
    status = tree.get("status")
    if status == "incomplete":
        details = loose_json.tree(tree.get("incomplete_details"))
        answer.finish_reason = finish_reason(details.get("reason") or "incomplete", notes)
    elif status == "failed" or tree.get("error"):
        answer.error = error_text(tree.get("error") or "failed")
    elif answer.finish_reason is None and (status == "completed" or not answer.is_empty):
        answer.finish_reason = "tool_calls" if answer.tool_calls and answer.text is None else "stop"
    return answer


def _with_searches(usage: Usage | None, items: list[Any]) -> Usage | None:
    """Usage with the provider's web searches, which are output items; opening a page found by one costs nothing."""
    calls = [item for item in items if isinstance(item, Mapping) and item.get("type") == "web_search_call"]
    actions = [call["action"] if isinstance(call.get("action"), Mapping) else {} for call in calls]
    searches = sum(action.get("type", "search") == "search" for action in actions)
    return usage if usage is None or usage.web_searches else msgspec.structs.replace(usage, web_searches=searches)


def _converse(tree: dict[str, Any], notes: Notes) -> Answer:
    answer = _message(tree["output"]["message"], notes)
    answer.finish_reason = finish_reason(tree.get("stopReason"), notes)
    return answer


def _gemini(tree: dict[str, Any], notes: Notes) -> Answer:
    candidates = loose_json.trees(tree.get("candidates"))
    if not candidates:
        blocked = loose_json.tree(tree.get("promptFeedback")).get("blockReason")
        return Answer(text="", finish_reason="content_filter") if blocked else Answer()
    candidate = candidates[0]
    content = candidate.get("content")
    if content and not isinstance(content, dict):
        raise Unreadable("unknown_answer", "the content of the first candidate is not an object")
    answer = _message(content or {}, notes)
    answer.finish_reason = finish_reason(candidate.get("finishReason", candidate.get("finish_reason")), notes)
    if answer.finish_reason == "stop" and answer.tool_calls and answer.text is None:
        # Gemini has no reason of its own for calls.
        answer.finish_reason = "tool_calls"
    return answer


def _wrapped_message(tree: dict[str, Any], notes: Notes) -> Answer:
    """Ollama and Cohere: `message` beside the finish reason."""
    answer = _message(tree["message"], notes)
    answer.finish_reason = finish_reason(tree.get("finish_reason", tree.get("done_reason")), notes)
    return answer


def _generations(tree: dict[str, Any], notes: Notes) -> Answer:
    """LangChain's results: per prompt a list of generations with a message or text."""
    first = tree["generations"][0]
    first = first[0] if isinstance(first, list) and first else first
    if not isinstance(first, dict):
        raise Unreadable("unknown_answer", "the first generation is not an object")
    message = first.get("message")
    answer = _read(message, notes, 0) if isinstance(message, dict) and message else None
    if answer is None:
        answer = Answer(text=text(first.get("text"), "generations.text", notes))
    inside = first.get("generation_info")
    if answer.finish_reason is None and isinstance(inside, Mapping):
        answer.finish_reason = finish_reason(inside.get("finish_reason"), notes)
    return answer


def _plain(tree: dict[str, Any], notes: Notes) -> Answer:
    """Completions without chat: Titan, Llama, Mistral and Cohere on Bedrock, older OpenAI and Anthropic APIs."""
    results = tree.get("results") or tree.get("outputs") or tree.get("generations")
    part = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else tree
    plain = next((part[key] for key in _PLAIN if isinstance(part.get(key), str)), None)
    details = part["details"] if isinstance(part.get("details"), dict) else {}
    finish_fields = {**details, **part}
    finish_keys = ("stop_reason", "completionReason", "finish_reason", "finishReason")
    finish = next((finish_fields[key] for key in finish_keys if finish_fields.get(key)), None)
    answer = Answer(text=plain, finish_reason=finish_reason(finish, notes))
    prompt = tree.get("inputTextTokenCount", tree.get("prompt_token_count", part.get("input_token_count")))
    output = part.get("tokenCount", tree.get("generation_token_count", part.get("generated_token_count")))
    if prompt is not None or output is not None:
        answer.usage = read_usage({"prompt_tokens": prompt, "completion_tokens": output}, notes)
    return answer


_PLAIN = (
    *("completion", "generation", "outputText", "generated_text", "output_text", "text", "content", "answer"),
    "combined_chunk_content",
)


def error_text(error: Any) -> str:
    """`type: message` of an error."""
    if isinstance(error, Mapping):
        if isinstance(error.get("error"), Mapping):
            return error_text(error["error"])
        parts = [str(error[key]) for key in ("type", "message") if error.get(key)]
        return ": ".join(parts) or "error"
    return str(error)


def failure_text(body: Any) -> str:
    """Error text in the body of a failed request of any API, else the body."""
    tree = opened_value(body)
    for key in ("error", "fault", "faultstring", "detail", "message", "errorMessage", "title"):
        if isinstance(tree, Mapping) and tree.get(key):
            return error_text(tree["error"]) if key == "error" else failure_text(tree[key])
    return tree if isinstance(tree, str) else msgspec.json.encode(tree).decode()[:500]


def _keys(tree: Any) -> str:
    return "keys " + ", ".join(map(str, list(tree)[:8])) if isinstance(tree, Mapping) else type(tree).__name__


def _is_plain(tree: Mapping[str, Any]) -> bool:
    parts = [
        tree,
        *(
            tree[key][0]
            for key in ("results", "outputs", "generations")
            if isinstance(tree.get(key), list) and tree[key]
        ),
    ]
    return any(isinstance(part, Mapping) and any(isinstance(part.get(key), str) for key in _PLAIN) for part in parts)


def _is_list_of_objects(value: Any) -> bool:
    """Whether a list contains lists, or objects with more keys than a plain completion."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, list) or (isinstance(first, Mapping) and "message" in first)


_READERS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any], Notes], Answer]], ...] = (
    (lambda t: isinstance(t.get("choices"), list), _chat),
    (lambda t: isinstance(t.get("output"), list), _responses),
    (lambda t: _is_list_of_objects(t.get("generations")), _generations),
    (lambda t: isinstance(t.get("output"), dict) and isinstance(t["output"].get("message"), dict), _converse),
    (lambda t: isinstance(t.get("content"), list) and (t.get("type") == "message" or "stop_reason" in t), _anthropic),
    (lambda t: isinstance(t.get("candidates"), list) or "promptFeedback" in t, _gemini),
    # One of Gemini's candidates, as agents log it.
    (lambda t: "parts" in loose_json.tree(t.get("content")), lambda t, n: _gemini({"candidates": [t]}, n)),
    (
        lambda t: (
            ("role" in t or t.get("type") == "ai")
            and any(k in t for k in ("content", "tool_calls", "function_call", "parts"))
        ),
        _message,
    ),
    (
        lambda t: isinstance(t.get("message"), dict) and ("content" in t["message"] or "tool_calls" in t["message"]),
        _wrapped_message,
    ),
    (lambda t: isinstance(t.get("messages"), list) and bool(t["messages"]), lambda t, n: _of_list(t["messages"], n)),
    (lambda t: t.get("type") == "error", lambda t, n: Answer(error=error_text(t.get("error") or t))),
    (lambda t: not t.get("error") and _is_plain(t), _plain),
    (lambda t: any(k in t for k in ("tool_calls", "refusal")) and not t.get("error"), _message),
)
