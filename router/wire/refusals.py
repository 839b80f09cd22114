"""What a server's error means: its text in any form, and why it refused a request that another server might take. Pure.

    classify_refusal(400, b'{"error": {"code": "context_length_exceeded", ...}}') == "context_length"
    error_text(b'{"detail": [{"loc": ["body"], "msg": "Field required"}]}') == "body: Field required"

Servers of all protocols are read: OpenAI and Azure (codes), Anthropic, vLLM, TGI, Ollama, Gemini, FastAPI and others.
"""

import re
from typing import Any

import msgspec

from traffic.escalation import Refusal

CONTENT_POLICY_FINISH = "content_filter"
"""The finish reason of an answer (status 200) that a provider's filter stopped."""
MAX_TEXT_CHARS = 500
"""Of an error's text in the log and in replies."""
ACCOUNT_STATUSES = frozenset({401, 402, 403, 404, 405, 407, 410})
"""About our key, credit, permission, URL or model, whatever the body says; content policy is the exception."""

_CODES: dict[str, Refusal] = {
    "context_length_exceeded": "context_length",
    "request_too_large": "context_length",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "responsibleaipolicyviolation": "content_policy",
    "moderation_blocked": "content_policy",
    "sexual_content_violation": "content_policy",
    "invalid_api_key": "account",
    "api_key_invalid": "account",
    "authentication_error": "account",
    "permission_error": "account",
    "permission_denied": "account",
    "billing_error": "account",
    "billing_hard_limit_reached": "account",
    "billing_not_active": "account",
    "insufficient_quota": "account",
    "insufficient_balance": "account",
    "insufficient_credits": "account",
    "credits_exhausted": "account",
    "account_deactivated": "account",
    "model_not_found": "account",
    "model_not_available": "account",
    "model_decommissioned": "account",
    "deploymentnotfound": "account",
    "not_found_error": "account",
    "unsupported_parameter": "unsupported",
    "unsupported_value": "unsupported",
    "unsupported_model": "account",
}
_CONTEXT = re.compile(
    r"context (?:length|window|limit)|prompt is too long|input is too long|longer than the (?:maximum )?model(?:'s)? "
    r"(?:context|length)|maximum model length|too many (?:input )?tokens|input (?:token count|tokens) .{0,60}exceed"
    r"|exceed.{0,40}(?:maximum|max)[^.]{0,30}tokens allowed|reduce the length of the (?:messages|prompt|input)"
)
_POLICY = re.compile(
    r"content (?:filter|management|moderation) ?(?:ing)?|content polic|usage polic|safety (?:system|filter|polic)"
    r"|flagged as potentially violating|prohibited_content|blocked by .{0,40}(?:filter|policy)"
    r"|requires moderation|flagged (?:by|for) "
)
_ACCOUNT = re.compile(
    r"credit balance|(?:insufficient|out of|not enough|exhausted|no remaining) (?:credits?|balance|quota|funds)"
    r"|exceeded your current quota|check your (?:plan|billing)|billing (?:account|details|limit|hard limit|is not|not)"
    r"|payment required|spend(?:ing)? limit|(?:invalid|incorrect|missing|expired|revoked|unauthori[sz]ed) "
    r"(?:[\w-]+ )?(?:api[ _-]?key|credentials?|authentication)"
    r"|api[ _-]?key (?:is |was |has been |not )*(?:invalid|expired|revoked|valid|found|disabled)"
    r"|(?:organi[sz]ation|account|workspace) (?:\S+ ){0,4}(?:disabled|deactivated|suspended)"
    r"|model (?:\S+ ){0,6}(?:does not exist|not found|not exist|deprecated|decommissioned|retired|no longer"
    r"|not available|unavailable|shut down)|(?:no such|unknown) model|do(?:es)? not have access to"
)
_UNSUPPORTED = re.compile(
    r"(?:unsupported|unrecognized|unknown|unexpected) (?:request )?(?:parameter|argument|value|field|role|keyword)"
    r"|(?:is|are) not supported (?:with|by|for|on|in) th(?:is|e) (?:model|endpoint|api|deployment)"
    r"|extra inputs are not permitted|does not support (?:tools|tool|functions?|images?|streaming|system|json)"
    r"|additional properties are not allowed"
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_PROMPT_FIELD = re.compile(r"(?:messages|input|prompt|instructions|contents)\b")
_SECRET = re.compile(
    r"(?:sk|pk|rk|gsk|hf|xai|key|api)[-_][A-Za-z0-9*_\-]{6,}|Bearer\s+\S+|AIza[\w-]{10,}|eyJ[\w.-]{20,}"
)
_TEXT_KEYS = ("message", "msg", "detail", "details", "error_description", "error_message", "reason", "title", "errors")


def classify_refusal(status: int, body: bytes) -> Refusal | None:
    """Why a 4xx was sent, where another endpoint may answer; None where it is about the request itself.

    `account`: our key, credit, permission or the model's name; also of a 429 that no waiting ends (no quota left).
    """
    if not 400 <= status < 500:
        return None
    error = _error_object(body)
    coded = next((_CODES[code] for code in _codes(error) if code in _CODES), None)
    # What stands in quotes may be the client's own words.
    text = _QUOTED.sub("''", (error_text(body) or "").lower())
    if status == 429:
        return "account" if coded == "account" or _SPENT.search(text) else None
    if coded == "content_policy" or (status == 403 and _POLICY.search(text)):
        return "content_policy"
    if status in ACCOUNT_STATUSES:
        return "account"
    if coded is not None:
        return coded
    if str(error.get("code")).lower() == "string_above_max_length":
        return "context_length" if _PROMPT_FIELD.match(str(error.get("param"))) else None
    for pattern, refusal in _WORDINGS:
        if pattern.search(text):
            return refusal
    return "context_length" if status == 413 else None


_SPENT = re.compile(r"credit balance|insufficient (?:credit|balance|funds)|check your plan and billing")
_WORDINGS: tuple[tuple[re.Pattern[str], Refusal], ...] = (
    (_CONTEXT, "context_length"),
    (_POLICY, "content_policy"),
    (_UNSUPPORTED, "unsupported"),
    (_ACCOUNT, "account"),
)


def error_text(body: bytes) -> str | None:
    """The text of an error in any form, keys masked, at most 500 characters; None where the body holds none.

    Understood: `{"error": {"message"}}`, `{"error": "text"}`, flat `{"message"}`, `{"detail": "text" | [...]}`,
    `{"errors": [...]}`, a list around any of them, plain text, and the title of an HTML page.
    """
    text = _text_of(_decode(body))
    return masked(text) if text else None


def error_in(tree: Any) -> str | None:
    """The text of an error that came where an answer was expected (status 200, or an event of a stream); None if the
    decoded JSON is no error.
    """
    if not isinstance(tree, dict):
        return None
    named = tree.get("error") or (tree if tree.get("type") == "error" or tree.get("object") == "error" else None)
    if not named and not tree.get("choices") and "content" not in tree and "output" not in tree:
        named = {key: tree[key] for key in ("detail", "errors") if tree.get(key)}
    return masked(_text_of(named) or "an error without a text") if named else None


def masked(text: str) -> str:
    """One line without anything that looks like a key."""
    flat = " ".join(text.split())
    return _SECRET.sub("***", flat)[:MAX_TEXT_CHARS]


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace")
        if text.lstrip()[:1] == "<":
            title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return title.group(1) if title else ""
        return text


def _text_of(tree: Any, depth: int = 0) -> str:
    """The first readable text of an error's tree."""
    if isinstance(tree, str):
        return tree.strip()
    if depth > 6:
        return ""
    if isinstance(tree, list):
        parts = [_text_of(item, depth + 1) for item in tree[:5]]
        return "; ".join(part for part in parts if part)
    if not isinstance(tree, dict):
        return ""
    inner = tree.get("error")
    if inner and (text := _text_of(inner, depth + 1)):
        return text
    text = next((text for key in _TEXT_KEYS if (text := _text_of(tree.get(key), depth + 1))), "")
    where = tree.get("loc")
    if text and isinstance(where, list):
        return f"{'.'.join(map(str, where))}: {text}"
    return text or next((str(tree[key]) for key in ("code", "type", "status") if tree.get(key)), "")


def _error_object(body: bytes) -> dict[str, Any]:
    """The object that describes the error; vLLM and others leave out the `error` around it, Gemini sends a list."""
    tree = _decode(body)
    if isinstance(tree, list) and tree:
        tree = tree[0]
    if not isinstance(tree, dict):
        return {}
    error = tree.get("error", tree)
    return error if isinstance(error, dict) else tree


def _codes(error: dict[str, Any]) -> list[str]:
    """Machine-readable names in an error, lower case: code, type, status, error_type, Gemini's details[].reason."""
    found = [error.get(key) for key in ("code", "type", "status", "error_type", "reason")]
    details = error.get("details")
    if isinstance(details, list):
        found += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    inner = error.get("innererror")
    if isinstance(inner, dict):
        found.append(inner.get("code"))
    return [str(code).lower() for code in found if code is not None]
