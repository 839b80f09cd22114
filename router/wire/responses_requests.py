"""Responses API clients: converts their requests to chat completions, and encodes their errors.

Instructions, input items (messages, function calls and their outputs), function and custom tools, tool choice, text
format, reasoning effort and sampling have an equivalent in chat completions. Parameters that need stored responses
(`previous_response_id`, `conversation`, `item_reference`) are rejected by name, because the router stores none; hosted
tools (`web_search` and others) are recorded as untranslatable.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from router.request import BadRequest, ChatRequest
from router.wire import custom_tools, openai
from router.wire.call_ids import without_signature
from router.wire.responses_tools import SEARCH, hosted, offered_tools, offers_tools, sent_name, tools_by_name, tools_of
from router.wire.sse import named_event
from router.wire.thinking import unsealed
from router.wire.translation import Translation
from router.wire.turns import in_order
from traffic.loose_json import Tree, dumped, tree, trees
from traffic.tool_calls import arguments_of, tool_call

WEB_SEARCH = "web_search"
FILE_URL = "input.input_file.file_url"
FOR_ANTHROPIC = (f"tools of type {WEB_SEARCH}", FILE_URL)
"""What only Anthropic's API has an equivalent of."""
_OFFERED = (WEB_SEARCH, "image_generation", SEARCH)
"""Hosted tools that Codex offers with every request. A hosted tool search is needless where all tools are sent."""
_NEEDS_A_STORE = ("previous_response_id", "conversation", "prompt")
_UNCHANGED = ("model", "temperature", "top_p", "stream", "parallel_tool_calls", "user", "metadata", "service_tier")
_UNCHANGED_TOO = (
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "safety_identifier",
    "top_logprobs",
)
_HINTS = ("context_management", "max_tool_calls")
"""Hints on context management and hosted tools."""
_NO_EFFECT = frozenset({"store", "include", "truncation", "stream_options", "background", "client_metadata"})
"""Parameters on storage, truncation and background answers, which have no effect here."""
_OWN_CALLS = ("local_shell_call", "shell_call", "apply_patch_call")
"""Calls of tools that OpenAI defines and clients run; in a conversation they are ordinary calls."""
_TEXT_PARTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})


def parse(data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Raises: BadRequest."""
    return _Translation().request(data, headers)


class _Translation(Translation):
    dialect, prompt = "responses", "input"

    def body(self, sent: Tree) -> Tree:
        sent = {key: value for key, value in sent.items() if value is not None}
        for key in _NEEDS_A_STORE:
            if key in sent:
                raise BadRequest(f"`{key}` is not supported: this router stores no responses; send the whole input")
        if sent.get("background"):
            raise BadRequest("`background` is not supported: this router stores no responses")
        tree: Tree = {"messages": self._messages(sent)}
        tree |= {key: sent[key] for key in (*_UNCHANGED, *_UNCHANGED_TOO) if key in sent}
        if "max_output_tokens" in sent:
            tree["max_completion_tokens"] = sent["max_output_tokens"]
        if "top_logprobs" in sent:
            tree["logprobs"] = True
        self._tools(sent, tree)
        self._text(sent.get("text", {}), tree)
        self._reasoning(sent.get("reasoning", {}), tree)
        known_keys = {"input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning"}
        known_keys |= {*_UNCHANGED, *_UNCHANGED_TOO, *_NO_EFFECT, *_HINTS}
        self.left_out += [key for key in _HINTS if key in sent]
        self.missing += [key for key in sent if key not in known_keys]
        return tree

    def _tools(self, sent: Tree, tree: Tree) -> None:
        offered, choice = offered_tools(sent.get("tools"), sent.get("input")), sent.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            allowed = {(tool.get("type"), tool.get("name")) for tool in trees(choice.get("tools"))}
            offered = [tool for tool in offered if (tool.get("type"), tool.get("name")) in allowed]
            choice = choice.get("mode", "auto")
        tools = [tool.as_function() for tool in tools_by_name(offered).values()]
        if tools:
            tree["tools"] = tools
        for kind in hosted(offered):
            name = WEB_SEARCH if kind.startswith(WEB_SEARCH) else kind
            if tools and choice != "required" and name in _OFFERED:
                # Agents offer it in addition to their own tools, so it is optional.
                self.left_out.append(name)
            else:
                self.missing.append(f"tools of type {name}")
        search = next((tool for tool in offered if str(tool.get("type")).startswith("web_search")), None)
        if search is not None:
            # For endpoints that have such a tool.
            options = ("user_location", "search_context_size")
            tree["web_search_options"] = {key: search[key] for key in options if search.get(key) is not None}
        if choice is None or not (tools or search):
            return
        if isinstance(choice, str):
            tree["tool_choice"] = choice
        elif choice["type"] in ("function", "custom"):
            name = sent_name(choice["name"], choice.get("namespace"))
            tree["tool_choice"] = {"type": "function", "function": {"name": name}}
        else:
            self.missing.append(f"tool_choice of type {choice['type']}")

    def _text(self, text: Tree, tree: Tree) -> None:
        self.missing += [f"text.{key}" for key in text if key not in ("format", "verbosity")]
        if text.get("verbosity") is not None:
            tree["verbosity"] = text["verbosity"]
        text_format = text.get("format") or {"type": "text"}
        if text_format["type"] == "json_schema":
            schema = {
                key: text_format[key] for key in ("name", "schema", "strict", "description") if key in text_format
            }
            tree["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif text_format["type"] == "json_object":
            tree["response_format"] = {"type": "json_object"}
        elif text_format["type"] != "text":
            self.missing.append(f"text.format of type {text_format['type']}")

    def _reasoning(self, reasoning: Tree, tree: Tree) -> None:
        # `summary` needs no translation: whatever reasoning the endpoint returns is forwarded.
        self.missing += [
            f"reasoning.{key}" for key in reasoning if key not in ("effort", "summary", "generate_summary", "context")
        ]
        if reasoning.get("effort") is not None:
            tree["reasoning_effort"] = reasoning["effort"]

    # ----------------------------------------------------------------------------------------- input

    def _messages(self, sent: Tree) -> list[Tree]:
        messages: list[Tree] = []
        if sent.get("instructions"):
            messages.append({"role": "system", "content": sent["instructions"]})
        value = sent.get("input", [])
        if isinstance(value, str):
            return [*messages, {"role": "user", "content": value}]
        for item in value:
            self._item(item, messages)
        # A turn with nothing but reasoning was interrupted.
        return [m for m in in_order(messages) if m.get("content") is not None or m.get("tool_calls")]

    def _item(self, item: Tree, messages: list[Tree]) -> None:
        kind = item.get("type", "message")
        if kind == "message":
            messages.append({"role": item["role"], "content": self._content(item["content"])})
        elif kind in ("function_call", "custom_tool_call"):
            if kind == "function_call":
                # Strict servers reject an empty text, which is no JSON.
                arguments = arguments_of(item["arguments"]) or "{}"
            else:
                arguments = custom_tools.arguments(item["input"])
            function = {"name": sent_name(item["name"], item.get("namespace")), "arguments": arguments}
            identity, extra = without_signature(item["call_id"])
            call = extra | {"id": identity, "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind in ("function_call_output", "custom_tool_call_output", *(f"{call}_output" for call in _OWN_CALLS)):
            self._output(item, messages)
        elif kind in _OWN_CALLS:
            own_keys = ("type", "id", "call_id", "status")
            arguments = dumped({key: value for key, value in item.items() if key not in own_keys})
            call = tool_call(item["call_id"], kind.removesuffix("_call"), arguments)
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "tool_search_call" and item.get("call_id"):
            call = tool_call(item["call_id"], SEARCH, dumped(item.get("arguments") or {}))
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        elif kind == "tool_search_output" and item.get("call_id"):
            names = [tool.sent_name for tool in tools_of(item["tools"])]
            self._output({"call_id": item["call_id"], "output": f"Tools: {', '.join(names) or 'none'}"}, messages)
        elif kind == "tool_search_call" or offers_tools(item):
            # Run by the server, or no part of the conversation.
            return
        elif kind == "item_reference":
            raise BadRequest("`item_reference` is not supported: this router stores no responses")
        elif kind == "reasoning":
            # A message of its own, which `in_order` merges with the turn that follows.
            texts = [part.get("text") for part in (*trees(item.get("content")), *trees(item.get("summary")))]
            reasoning = "\n\n".join(message for message in texts if isinstance(message, str))
            thoughts = {"reasoning_content": reasoning, "thinking_blocks": unsealed(item.get("encrypted_content"))}
            messages.append({"role": "assistant", "content": None} | {k: v for k, v in thoughts.items() if v})
        elif kind in ("web_search_call", "image_generation_call"):
            # Hosted tool calls of earlier turns; the answer contains their effect.
            self.left_out.append(f"input.{kind}")
        else:
            self.missing.append(f"input.{kind}")

    def _output(self, item: Tree, messages: list[Tree]) -> None:
        """Add a tool result, with its images and files."""
        output = item["output"]
        has_parts = isinstance(output, list) and all(tree(part).get("type") for part in output)
        if isinstance(output, dict) or (isinstance(output, list) and not has_parts):
            output = dumped(output)
        content = output if isinstance(output, str) else self._content(output or "")
        identity, _ = without_signature(item["call_id"])
        messages.append({"role": "tool", "tool_call_id": identity, "content": content})

    def _content(self, content: Any) -> str | list[Tree]:
        """A string if it is text only: templates and small servers handle that form best."""
        if isinstance(content, str):
            return content
        parts = [self._part(part) for part in content]
        if all(part["type"] == "text" for part in parts):
            return "".join(part["text"] for part in parts) if len(parts) < 2 else parts
        return parts

    def _part(self, part: Tree) -> Tree:
        kind = part["type"]
        if kind in _TEXT_PARTS:
            return {"type": "text", "text": part["text"]}
        if kind == "refusal":
            return {"type": "text", "text": part["refusal"]}
        if kind == "input_image" and part.get("image_url"):
            # Chat completions do not know `original`.
            detail = "high" if part.get("detail") == "original" else part.get("detail")
            # Some clients write it as in chat completions.
            image = {"url": tree(part["image_url"]).get("url", part["image_url"])} | (
                {"detail": detail} if detail else {}
            )
            return {"type": "image_url", "image_url": image}
        if kind == "input_file" and (part.get("file_data") or part.get("file_url")):
            if not part.get("file_data"):
                self.missing.append(FILE_URL)
            keys = ("filename", "file_data", "file_url")
            return {"type": "file", "file": {key: part[key] for key in keys if part.get(key)}}
        if kind == "input_audio":
            return part
        self.missing.append(f"input.{kind}")
        return part


error = openai.error


def error_of(status: int, body: bytes, code: str | None = None) -> bytes | None:
    """An endpoint's error in OpenAI's format; with a known code, which servers of chat completions may state otherwise,
    it is written anew."""
    return openai.error_of(status, body) if code is None else None


def error_event(body: bytes, request: ChatRequest) -> bytes:
    """Error event of a stream, and the failed response, which some clients wait for."""
    stated = msgspec.json.decode(body).get("error") or {}
    code = stated.get("code") or stated.get("type")
    error = {"type": "error", "code": code, "message": stated.get("message"), "param": None}
    opened: Tree = request.__dict__.get("response") or {"id": f"resp_{request.id}", "object": "response", "output": []}
    number = request.__dict__.get("response_events", 0)
    # The types of the router's errors are no codes, but for this one.
    is_code = stated.get("code") or code == "rate_limit_exceeded"
    failure = {"code": code if is_code else "server_error", "message": stated.get("message")}
    failed = opened | {"status": "failed", "error": failure}
    return joined(
        [
            error | {"sequence_number": number},
            {"type": "response.failed", "sequence_number": number + 1, "response": failed},
        ]
    )


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """The answer unchanged: `responses_answers` makes events of whole answers too if the client wants a stream."""
    del usage
    return body


def joined(events: list[Tree]) -> bytes:
    """Encoded events."""
    return b"".join(named_event(event["type"], msgspec.json.encode(event)) for event in events)
