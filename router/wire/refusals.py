"""Classifies a server's error: why it refused a request that another endpoint may accept. Pure.

    classify_refusal(400, b'{"error": {"code": "context_length_exceeded", ...}}') == "context_length"

Covers OpenAI and Azure (codes), Anthropic, vLLM, TGI, Ollama, Gemini, FastAPI and others.
"""

import re
from typing import Any, NamedTuple

from router.wire.errors import decoded, error_text, quoted_error, stated_delay_s
from traffic.retry_and_escalation import Refusal

ACCOUNT_STATUSES = frozenset({401, 402, 403, 404, 405, 407, 410})
"""Statuses that concern our key, credit, permission, URL or model, whatever the body; except content policy."""

_CODES: dict[str, Refusal] = {
    "request_too_large": "context_length",
    "exceed_context_size_error": "context_length",
    "model_max_prompt_tokens_exceeded": "context_length",
    "responsibleaipolicyviolation": "content_policy",
    "sexual_content_violation": "content_policy",
    "authentication_error": "account",
    "permission_error": "account",
    "permission_denied": "account",
    "billing_error": "account",
    "credits_exhausted": "account",
    "deploymentnotfound": "account",
    "not_found_error": "account",
    "unsupported_parameter": "unsupported",
    "unsupported_value": "unsupported",
}
"""Codes whose words say less than they mean; the others are classified by their words."""


class _Both(NamedTuple):
    """Two patterns in one sentence, in either order."""

    first: re.Pattern[str]
    second: re.Pattern[str]

    def search(self, text: str) -> bool:
        return any(self.first.search(part) and self.second.search(part) for part in re.split(r"[.!;] |。", text))


_CONTEXT = re.compile(
    r"context (?:length|window|limit|size)|prompt (?:is )?too long|input is too long"
    r"|longer than the (?:maximum )?model(?:'s)? (?:context|length)|maximum model length|too many (?:input )?tokens"
    r"|input (?:token count|tokens) .{0,60}exceed"
    r"|exceed.{0,40}(?:maximum|max)[^.]{0,30}tokens allowed|reduce the length of the (?:messages|prompt|input)"
    r"|(?:maximum|max) prompt length|model token limit|range of input length"
    r"|prompt (?:\([^)]{1,40}\) )?(?:token count |length )?(?:of )?(?:\d+ )?exceeds "
    r"(?:the |its )?(?:model|context|limit|max|available|allowed (?:length|tokens))"
    r"|tokens \+ .{0,20} must be <=|must have (?:less|fewer) than \d+ tokens"
)
_PROMPT_SIZE = _Both(
    re.compile(
        r"\b(?:prompt|inputs?|messages|request|conversation)\b.{0,60}\b(?:tokens?|length)\b|输入|上下文|prompt 超"
    ),
    re.compile(r"exceed|too (?:long|large|many)|(?:long|larg|great)er than|more than|only supports|超"),
)
_OTHER_LIMIT = re.compile(
    r"(?:output|completion|thinking|budget|image).{0,60}tokens|tokens per|\btpm\b|per (?:minute|day|hour)"
    r"|(?:name|id|key|description)\b.{0,40}length"
)
"""Limits that a shorter prompt would not meet, in words like those of `_PROMPT_SIZE`."""
_POLICY = re.compile(
    r"content (?:filter|management|moderation|safety|security) ?(?:ing)?|content polic|usage polic"
    r"|safety[ _](?:system|filter|polic|check)|flagged as potentially violating|prohibited[ _]content"
    r"|blocked by .{0,40}(?:filter|policy)|requires moderation|moderation block|flagged (?:by|for) |guardrail"
    r"|(?:inappropriate|(?<!case-)sensitive|unsafe|harmful|prohibited|disallowed|toxic)"
    r" (?:\S+ )?(?:content|information|material|data|text|language|words)\b"
    r"|content (?:exists )?risk|high risk|data ?inspection|(?:input|output) new_sensitive"
    r"|violat\w+ (?:\S+ ){0,4}(?:polic|guideline|terms of)|(?:cyber ?)?security risk|cyber policy"
    r"|敏感|不安全|违规|违法"
)
_MONEY = _Both(
    re.compile(
        r"\b(?:credits?|balance|funds|billing|invoices?|subscription|trial|spend(?:ing)?)\b|\barrear|good standing"
        r"|payment required|payment method|欠费|余额|充值|额度"
    ),
    re.compile(
        r"insufficient|too low|exhausted|used (?:\S+ )?(?:all|up)|depleted|not enough|no (?:remaining|more|available)"
        r"|out of|expired|overdue|past due|unpaid|hard limit|reached|exceeded|not active|inactive|purchase|check your"
        r"|top up|\barrear|good standing|payment required|payment method|欠费|不足|充值|用尽"
    ),
)
_ACCOUNT = re.compile(
    r"(?:insufficient|out of|not enough|exhausted|no remaining) quota"
    r"|exceeded (?:your )?current (?:\S+ )?quota|billing (?:account|details|limit|hard limit|is not|not)"
    r"|(?:reached|exceeded|hit) (?:your|the|its) (?:\S+ ){0,4}(?:usage|spend(?:ing)?|credit|budget) limits?"
    r"|usage limit (?:has been )?(?:reached|exceeded)|quota (?:is |has been )?exhausted"
    r"|budget (?:has been )?exceeded"
    r"|spend(?:ing)? limit|(?:invalid|incorrect|missing|expired|revoked|unauthori[sz]ed) "
    r"(?:[\w-]+ )?(?:api[ _-]?key|credentials?|authentication)"
    r"|api[ _-]?key (?:is |was |has been |not )*(?:invalid|expired|revoked|valid|found|disabled)"
    r"|(?:organi[sz]ation|account|workspace|project|team) (?:\S+ ){0,4}"
    r"(?:disabled|deactivated|suspended|restricted|banned|terminated|locked)"
    r"|model (?:\S+ ){0,6}(?:does not exist|not found|not exist|deprecated|decommissioned|retired|no longer"
    r"|not available|unavailable|shut down)|model (?:'' )?(?:is )?(?:not|un)[ -]?(?:supported|allowed|enabled)\b"
    r"|(?:no such|unknown|invalid|unsupported) model\b|not work with the specified model|do(?:es)? not have access to"
    r"|模型不存在"
)
_PLACE = re.compile(r"(?:location|country|region|territory)\b[^.]{0,20}not (?:supported|available|allowed)")
_UNSUPPORTED = re.compile(
    r"(?:unsupported|unrecognized|unknown|unexpected|invalid) (?:request )?"
    r"(?:parameter|argument|field|role|keyword|variant|name)"
    r"|(?:not|n't) (?:\w+ ){0,2}support|unsupported|only (?:be )?(?:supported|sent|allowed|accepted|used)\b"
    r"|only \S{1,20} (?:is|are) (?:supported|allowed|accepted)"
    r"|(?:is|are) (?:deprecated|no longer supported) (?:with|by|for|on|in) th(?:is|e) model"
    r"|system (?:messages?|prompts?) must be|roles must alternate"
    r"|extra inputs are not permitted|cannot both be (?:specified|set|used)|cannot find field"
    r"|additional properties are not allowed|at most 0 (?:image|video|audio)|tool choice requires|not a multimodal"
    r"|invalid type: (?:sequence|map|null), expected"
    r"|response_format (?:\S+ ){0,3}(?:is |are )?(?:unavailable|not available)"
)
_TEMPORARY = re.compile(
    r"too many requests|rate[ _-]?limit(?:ed|ing)? ?(?:reached|exceeded|error|exception|hit)|throttl"
    r"|(?:engine|server|service|system|model|currently|temporarily) (?:\S+ ){0,2}(?:overloaded|busy|at capacity)"
    r"|^overloaded|访问量过大|请求过多|繁忙|过载|限流|频率"
)
_HINT = re.compile(
    r"(?:reasoning[._]?effort|output_config\.effort|verbosity|service_tier|response_format\.type)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_PROMPT_FIELD = re.compile(r"(?:messages|input|prompt|instructions|contents)\b")


def classify_refusal(status: int, body: bytes) -> Refusal | None:
    """The reason of a 4xx for which another endpoint may answer; None if it concerns the request itself.

    `account`: our key, credit, permission or the model's name; also a 429 for an exhausted quota.
    """
    if not 400 <= status <= 500:
        return None
    error = _error_object(body)
    codes = _codes(error)
    # Quoted text may be the client's own.
    stated = (error_text(body) or "").lower()
    text = _QUOTED.sub("''", stated)
    coded = next((refusal for code in codes if (refusal := _by_code(code)) is not None), None)
    if status == 500:
        # Of llama.cpp and Ollama.
        return "context_length" if "context_length" in (coded, _by_words(text)) else None
    if status == 429:
        # Google states the same for limits per minute, with a delay.
        spent = _MONEY.search(text) and stated_delay_s(body) is None
        return "account" if coded == "account" or spent else None
    if coded == "content_policy" or (status == 403 and _POLICY.search(text)):
        return "content_policy"
    if status == 403 and _FORBIDDEN_PARAMETER.search(text):
        return "unsupported"
    if status in ACCOUNT_STATUSES:
        # GitHub limits rates with a 403.
        return None if status == 403 and is_temporary(status, body) else "account"
    if coded is not None:
        return coded
    if str(error.get("code")).lower() == "string_above_max_length":
        return "context_length" if _PROMPT_FIELD.match(str(error.get("param"))) else None
    # A value of a hint that only this model does not take.
    if _HINT.fullmatch(str(error.get("param"))) or _HINT.match(stated.lstrip("`'\"")):
        return "unsupported"
    refusal = _by_words(text)
    if refusal is None and status == 413:
        return "unsupported" if _OTHER_LIMIT.search(text) else "context_length"
    return refusal


def is_temporary(status: int, body: bytes) -> bool:
    """Whether a 4xx concerns the endpoint's load rather than the request or our account, which a 429 would say."""
    if not 400 <= status < 500 or status == 413 or status in ACCOUNT_STATUSES - {403}:
        return False
    text = _QUOTED.sub("''", (error_text(body) or "").lower())
    return any(_TEMPORARY.search(words) for words in (text, *map(_words, _codes(_error_object(body)))))


_FORBIDDEN_PARAMETER = re.compile(r"not allowed to request [\w ]{1,40} from this model")
_WORDINGS: tuple[tuple[re.Pattern[str] | _Both, Refusal], ...] = (
    (_POLICY, "content_policy"),
    (_PLACE, "account"),
    (_UNSUPPORTED, "unsupported"),
    (_MONEY, "account"),
    (_ACCOUNT, "account"),
)


def _by_words(text: str) -> Refusal | None:
    if _CONTEXT.search(text) or (_PROMPT_SIZE.search(text) and not _OTHER_LIMIT.search(text)):
        return "context_length"
    return next((refusal for pattern, refusal in _WORDINGS if pattern.search(text)), None)


def _by_code(code: str) -> Refusal | None:
    """The reason by a machine-readable name, or its words; a parameter is rejected in many codes for other reasons."""
    if (refusal := _CODES.get(code.lower())) is not None:
        return refusal
    words = _words(code)
    if _CONTEXT.search(words):
        return "context_length"
    if _POLICY.search(words):
        return "content_policy"
    return "account" if _MONEY.search(words) or _ACCOUNT.search(words) else None


def _words(code: str) -> str:
    """`InputTextSensitiveContent` and `input_text_sensitive_content` as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[_.#-]+", " ", code).lower()


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
    """Machine-readable names in an error: code, type, status, error_type, AWS's __type, Gemini's details[].reason."""
    codes = [error.get(key) for key in ("code", "type", "status", "error_type", "reason", "__type")]
    details = error.get("details")
    if isinstance(details, list):
        codes += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    inner = error.get("innererror")
    if isinstance(inner, dict):
        codes.append(inner.get("code"))
    return [str(code) for code in codes if code is not None]
