"""Classifies a server's error: why it refused a request that another endpoint may accept. Pure.

    classify_refusal(400, b'{"error": {"code": "context_length_exceeded", ...}}') == "context_length"

Covers OpenAI and Azure (codes), Anthropic, vLLM, TGI, Ollama, Gemini, FastAPI and others.
"""

import re
from typing import Any

from router.wire.errors import decoded, error_text, quoted_error, stated_delay_s
from traffic.retry_and_escalation import Refusal

ACCOUNT_STATUSES = frozenset({401, 402, 403, 404, 405, 407, 410})
"""Statuses that concern our key, credit, permission, URL or model, whatever the body; except content policy."""

_CODES: dict[str, Refusal] = {
    "context_length_exceeded": "context_length",
    "request_too_large": "context_length",
    "exceed_context_size_error": "context_length",
    "model_max_prompt_tokens_exceeded": "context_length",
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
    "budget_exceeded": "account",
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
    r"context (?:length|window|limit|size)|prompt is too long|input is too long"
    r"|longer than the (?:maximum )?model(?:'s)? (?:context|length)|maximum model length|too many (?:input )?tokens"
    r"|input (?:token count|tokens) .{0,60}exceed"
    r"|exceed.{0,40}(?:maximum|max)[^.]{0,30}tokens allowed|reduce the length of the (?:messages|prompt|input)"
    r"|(?:maximum|max) prompt length|model token limit|range of input length"
    r"|prompt (?:\([^)]{1,40}\) )?(?:token count |length )?(?:of )?(?:\d+ )?exceeds "
    r"(?:the |its )?(?:model|context|limit|max|available|allowed (?:length|tokens))"
    r"|tokens \+ .{0,20} must be <="
)
_POLICY = re.compile(
    r"content (?:filter|management|moderation) ?(?:ing)?|content polic|usage polic|safety (?:system|filter|polic)"
    r"|flagged as potentially violating|prohibited_content|blocked by .{0,40}(?:filter|policy)"
    r"|requires moderation|flagged (?:by|for) "
)
_ACCOUNT = re.compile(
    r"credit balance|(?:insufficient|out of|not enough|exhausted|no remaining) (?:credits?|balance|quota|funds)"
    r"|exceeded your current quota|check your (?:plan|billing)|billing (?:account|details|limit|hard limit|is not|not)"
    r"|(?:reached|exceeded|hit) (?:your|the|its) (?:\S+ ){0,4}(?:usage|spend(?:ing)?|credit|budget) limits?"
    r"|payment required|budget has been exceeded"
    r"|spend(?:ing)? limit|(?:invalid|incorrect|missing|expired|revoked|unauthori[sz]ed) "
    r"(?:[\w-]+ )?(?:api[ _-]?key|credentials?|authentication)"
    r"|api[ _-]?key (?:is |was |has been |not )*(?:invalid|expired|revoked|valid|found|disabled)"
    r"|(?:organi[sz]ation|account|workspace) (?:\S+ ){0,4}(?:disabled|deactivated|suspended)"
    r"|model (?:\S+ ){0,6}(?:does not exist|not found|not exist|deprecated|decommissioned|retired|no longer"
    r"|not available|unavailable|shut down)|(?:no such|unknown) model|do(?:es)? not have access to"
)
_UNSUPPORTED = re.compile(
    r"(?:unsupported|unrecognized|unknown|unexpected|invalid) (?:request )?"
    r"(?:parameter|argument|field|role|keyword|variant)"
    r"|unsupported value"
    r"|(?:is|are) not supported (?:with|by|for|on|in) (?:th(?:is|e) |reasoning )(?:models?|endpoint|api|deployment)"
    r"|(?:is|are) (?:deprecated|no longer supported) (?:with|by|for|on|in) th(?:is|e) model"
    r"|system (?:messages?|prompts?) must be|roles must alternate"
    r"|extra inputs are not permitted|cannot both be (?:specified|set|used)"
    r"|do(?:es not|esn't|n't| not) support (?:the )?"
    r"(?:parameters?|arguments?|reasoning|tools|tool|functions?|images?|streaming|system|json"
    r"|temperature|top_[pk]|(?:top_)?logprobs|(?:frequency|presence)_penalty|logit_bias|seed)\b"
    r"|additional properties are not allowed|at most 0 (?:image|video|audio)|tool choice requires"
    r"|response_format (?:\S+ ){0,3}(?:is |are )?(?:unavailable|not available)"
)
_HINT = re.compile(r"(?:reasoning[._]?effort|output_config\.effort|verbosity|service_tier)\b", re.IGNORECASE)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_PROMPT_FIELD = re.compile(r"(?:messages|input|prompt|instructions|contents)\b")


def classify_refusal(status: int, body: bytes) -> Refusal | None:
    """The reason of a 4xx for which another endpoint may answer; None if it concerns the request itself.

    `account`: our key, credit, permission or the model's name; also a 429 for an exhausted quota.
    """
    if not 400 <= status < 500:
        return None
    error = _error_object(body)
    coded = next((_CODES[code] for code in _codes(error) if code in _CODES), None)
    # Quoted text may be the client's own.
    stated = (error_text(body) or "").lower()
    text = _QUOTED.sub("''", stated)
    if status == 429:
        # Google states the same for limits per minute, with a delay.
        spent = _SPENT.search(text) is not None and stated_delay_s(body) is None
        return "account" if coded == "account" or spent else None
    if coded == "content_policy" or (status == 403 and _POLICY.search(text)):
        return "content_policy"
    if status == 403 and _FORBIDDEN_PARAMETER.search(text):
        return "unsupported"
    if status in ACCOUNT_STATUSES:
        return "account"
    if coded is not None:
        return coded
    if str(error.get("code")).lower() == "string_above_max_length":
        return "context_length" if _PROMPT_FIELD.match(str(error.get("param"))) else None
    # A value of a hint that only this model does not take.
    if _HINT.fullmatch(str(error.get("param"))) or _HINT.match(stated.lstrip("`'\"")):
        return "unsupported"
    for pattern, refusal in _WORDINGS:
        if pattern.search(text):
            return refusal
    return "context_length" if status == 413 else None


_FORBIDDEN_PARAMETER = re.compile(r"not allowed to request [\w ]{1,40} from this model")
_SPENT = re.compile(r"credit balance|insufficient (?:credit|balance|funds)|check your plan and billing")
_WORDINGS: tuple[tuple[re.Pattern[str], Refusal], ...] = (
    (_CONTEXT, "context_length"),
    (_POLICY, "content_policy"),
    (_UNSUPPORTED, "unsupported"),
    (_ACCOUNT, "account"),
)


def _error_object(body: bytes) -> dict[str, Any]:
    """The object that describes the error; vLLM and others omit the enclosing `error`, Gemini sends a list."""
    tree = decoded(body)
    if isinstance(tree, list) and tree:
        tree = tree[0]
    if not isinstance(tree, dict):
        return {}
    error = tree.get("error", tree)
    if not isinstance(error, dict):
        return tree
    message = error.get("message")
    quoted = quoted_error(message)[1].get("error") if isinstance(message, str) else None
    return error | quoted if isinstance(quoted, dict) else error


def stated_param(body: bytes) -> Any:
    """The parameter that OpenAI and others name in a field of the error."""
    return _error_object(body).get("param")


def _codes(error: dict[str, Any]) -> list[str]:
    """Machine-readable names in an error, lower case: code, type, status, error_type, Gemini's details[].reason."""
    codes = [error.get(key) for key in ("code", "type", "status", "error_type", "reason")]
    details = error.get("details")
    if isinstance(details, list):
        codes += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    inner = error.get("innererror")
    if isinstance(inner, dict):
        codes.append(inner.get("code"))
    return [str(code).lower() for code in codes if code is not None]
