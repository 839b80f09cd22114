"""Classifies a server's error: why it refused a request that another endpoint may accept. Pure.

    classify_refusal(400, b'{"error": {"code": "context_length_exceeded", ...}}') == "context_length"

Covers OpenAI and Azure (codes), Anthropic, vLLM, TGI, Ollama, Gemini, FastAPI and others.
"""

import re
from typing import Any

from router.refusal_text import RefusalText
from router.wire.errors import MAX_TEXT_CHARS, decoded, error_text, quoted_error, stated_delay_s
from traffic.retry_and_escalation import Refusal

ACCOUNT_STATUSES = frozenset({401, 402, 403, 404, 405, 407, 410})
"""Statuses that concern our key, credit, permission, URL or model, whatever the body; except content policy."""

_CODES: dict[str, Refusal] = {
    "request_too_large": "context_length",
    "tokens_limit_reached": "context_length",
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


class _InOneSentence:
    """Patterns that one sentence has, in any order."""

    def __init__(self, *patterns: str) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def search(self, text: str) -> bool:
        sentences = re.split(r"[.!;] |。", text)
        return any(all(pattern.search(sentence) for pattern in self._patterns) for sentence in sentences)


_CONTEXT = re.compile(
    r"context (?:length|window|limit|size|is only)|(?:input|prompt|conversation) (?:is |are )?too (?:long|large|big)"
    r"|prompt 超长"
    r"|longer than the (?:maximum )?model(?:'s)? (?:context|length)|maximum model length|too many (?:input )?tokens"
    r"|input (?:token count|tokens) .{0,60}exceed"
    r"|exceed.{0,40}(?:maximum|max)[^.]{0,30}tokens allowed|reduce the length of the (?:messages|prompt|input)"
    r"|(?:maximum|max) prompt length|model token limit|range of input length"
    r"|prompt (?:\([^)]{1,40}\) )?(?:token count |length )?(?:of )?(?:\d+ )?exceeds "
    r"(?:the |its )?(?:model|context|limit|max|available|allowed (?:length|tokens))"
    r"|tokens \+ .{0,20} must be <=|must have (?:less|fewer) than \d+ tokens"
)
_PROMPT_SIZE = _InOneSentence(
    r"\b(?:prompt|inputs?|messages|request(?:ed)?|conversation)\b|输入|上下文",
    r"\btokens?(?:\b|_)|\blength\b|长",
    r"exceed|too (?:long|large|many)|(?:long|larg|great)er than|more than|over the|only supports|<=|超|> ?\d",
)
_OTHER_LIMIT = re.compile(
    r"(?:output|completion|thinking|budget|image).{0,60}tokens|tokens per|\btpm\b|per (?:minute|day|hour)"
    r"|(?<![a-z])(?:name|id|key|description|stop)\b.{0,40}length|\barray\b"
)
"""Limits that a shorter prompt would not meet, in words like those of `_PROMPT_SIZE`."""
_POLICY = re.compile(
    r"content (?:filter|management|moderation|safety|security) ?(?:ing)?|content polic|usage polic"
    r"|safety[ _](?:system|filter|polic|check)|flagged as potentially violating|prohibited[ _]content"
    r"|blocked by .{0,40}(?:filter|policy)|requires moderation|moderation block|flagged (?:by|for) |guardrail"
    r"|(?:inappropriate|(?<!case-)sensitive|unsafe|harmful|prohibited|disallowed|toxic|sexual|violent|hateful)"
    r" (?:\S+ )?(?:content|information|material|data|text|language|words)\b"
    r"|content (?:exists )?risk|high risk|data ?inspection|(?:input|output) new_sensitive"
    r"|violat\w+ (?:\S+ ){0,4}(?:polic|guideline|terms of)|(?:cyber ?)?security risk|cyber policy"
    r"|敏感|不安全|违规|违法"
)
_BLOCKED = _InOneSentence(
    r"block|reject|refus|flagged|filtered|detected",
    r"safety|polic|hate|harmful|moderat|violence|sexual|unsafe|inappropriate|toxic",
)
_MONEY = _InOneSentence(
    r"\b(?:credits?|balance|funds|billing|invoices?|subscription|plan|trial|spend(?:ing)?)\b|\barrear|good standing"
    r"|payment required|payment method|欠费|余额|充值|额度",
    r"insufficient|too low|exhausted|used (?:\S+ )?(?:all|up)|depleted|not enough|no (?:remaining|more|available)"
    r"|out of|expired|overdue|past due|unpaid|hard limit|reached|exceeded|not active|inactive|purchase|check your"
    r"|top up|add funds|update your|upgrade|not include|is zero"
    r"|negative|\barrear|good standing|payment required|payment method|欠费|不足|充值|用尽",
)
_SUBJECT = r"(?<!for this )(?<!with this )(?<!for the )(?<!with the )\b(?:models?|deployment|engine)\b"
"""The model as what an error is about."""
_ACCOUNT = re.compile(
    r"(?:insufficient|out of|not enough|exhausted|no remaining) (?:\S+ )?quota"
    r"|exceeded (?:your )?current (?:\S+ )?quota|billing (?:account|details|limit|hard limit|is not|not)"
    r"|(?:reached|exceeded|hit) (?:your|the|its) (?:\S+ ){0,4}(?:usage|spend(?:ing)?|credit|budget) limits?"
    r"|usage limit (?:has been )?(?:reached|exceeded)|quota (?:is |has been )?exhausted"
    r"|budget (?:has been )?exceeded"
    r"|spend(?:ing)? limit|(?:invalid|incorrect|missing|expired|revoked|unauthori[sz]ed|unrecognized) "
    r"(?:[\w-]+ )?(?:api[ _-]?(?:key|token)|credentials?|authentication)"
    r"|api[ _-]?key (?:is |was |has |been |not )*(?:invalid|expired|revoked|valid|found|disabled|authori[sz]ed|allowed)"
    r"|(?:organi[sz]ation|account|workspace|project|team) (?:\S+ ){0,4}"
    r"(?:disabled|deactivated|suspended|restricted|banned|terminated|locked)"
    rf"|{_SUBJECT} (?:\S+ ){{0,6}}(?:does not exist|not found|not exist|deprecated|decommissioned|retired"
    r"|no longer (?:available|supported|offered|active)|not available|unavailable|shut down)"
    r"|model (?:'' )?(?:is )?(?:not|un)[ -]?(?:supported|allowed|enabled)\b"
    r"|(?:no such|unknown|invalid|unsupported|not a valid) (?:model|deployment|engine)\b"
    r"|supported (?:\S+ )?model names are"
    r"|access to (?:\S+ )?model (?:is |was )?denied|not work with the specified model"
    r"|not have (?:access to|permission to use)"
    r"|模型不存在"
)
_PLACE = re.compile(r"(?:location|country|region|territory)\b[^.]{0,20}not (?:supported|available|allowed)")
_UNAVAILABLE = (
    r"not (?:\w+ )?(?:available|enabled|allowed|authori[sz]ed|implemented|permitted|active|offered|ready|deployed"
    r"|installed)\b|unavailable|disabled|offline|incompatible"
)
_UNSUPPORTED = re.compile(
    r"(?:unsupported|unrecognized|unknown|unexpected|invalid) (?:request )?"
    r"(?:parameter|argument|field|role|keyword|variant|name)"
    r"|(?:not|n't) (?:\w+ ){0,2}support|unsupported|only (?:be )?(?:support(?:s|ed)?|sent|allowed|accepted|used)\b"
    r"|only \S{1,20} (?:is|are) (?:supported|allowed|accepted)"
    r"|(?:is|are) (?:deprecated|no longer supported) (?:with|by|for|on|in) th(?:is|e) model"
    r"|system (?:messages?|prompts?) must be|roles must alternate|last (?:message|role)\b"
    r"|(?:on|with) an? (?:assistant|user)"
    r"|extra inputs are not permitted|cannot both be (?:specified|set|used)|cannot find field"
    r"|not (?:yet )?(?:recogni[sz]ed|implemented)|requires a different model"
    r"|additional properties are not allowed|at most 0 (?:image|video|audio)|tool choice requires|not a multimodal"
    r"|invalid type: (?:sequence|map|null), expected"
    r"|response_format (?:\S+ ){0,3}(?:is |are )?(?:unavailable|not available)"
    rf"|(?:{_UNAVAILABLE}) (?:for|with|on|by|in) th(?:is|e) (?:\S+ )?(?:model|deployment|engine)\b"
)
_FEATURE = _InOneSentence(
    r"\b(?:tools?|tool[ _](?:use|choice|calling)|functions?|images?|vision|audio|video|json|stream(?:ing)?|reasoning"
    r"|thinking|structured outputs?|logprobs|(?:system|developer) (?:prompts?|messages?|role))\b",
    rf"{_UNAVAILABLE}|cannot (?:process|handle|use|accept)|(?:not|n't) (?:allow|handle|offer|accept)\b",
)
_NO_FEATURE = _InOneSentence(r"\bno endpoints?\b", r"\b(?:support|requested parameters)\b")
"""OpenRouter's 404 for one request, not for a model."""
_MODEL = re.compile(rf"{_SUBJECT} (?:\S+ ){{0,3}}(?:is|are|was|were|been|currently) (?:\w+ )?(?:{_UNAVAILABLE})")
_LOAD = _InOneSentence(
    r"\b(?:requests|request (?:rate|queue)|rate[ _-]?limit\w*|concurren\w+|queue|pool)\b|请求|访问量",
    r"too many .*requests|(?:limit|rate)[^,]* (?:reached|exceeded|hit|too high)|too many concurrent"
    r"|(?:queue|pool) (?:\S+ ){0,2}(?:full|exhausted)|过大|过多|频繁|限流",
)
_BUSY = _InOneSentence(
    r"\b(?:servers?|services?|system|engine|model|workers?|gpu|capacity|currently)\b|系统|模型",
    r"overloaded|busy|at capacity|no capacity|capacity reached|temporarily unavailable|(?:is|still) loading"
    r"|繁忙|过载|过大",
)
_TEMPORARY = re.compile(
    r"too many requests|requests too (?:quickly|fast)|slow down|rate[ _-]?limit(?:ed| ?error| ?exception)|throttl"
    r"|^overloaded|频率"
)
_RATE = re.compile(r"rate[ _-]?limit|(?:\bper|/) ?(?:second|minute)\b")
"""Of a 429 that waiting ends, also if a larger plan would."""
_FAULT = re.compile(
    r"invalid|malformed|\b(?:bad|wrong|must|should|missing|empty|valid|string|array|list|integer|required|found)\b"
    r"|expect|duplicate|at (?:least|most)|between|unable to|could ?n[o']t|failed to|pars|decod|\[\d+\]|\.\d+\b"
    r"|\bmore than\b|too many|maximum|minimum|greater|less|appears|terminated|conflict|cannot end|unsupported|followed"
    r"|exceeds (?:\d|the allowed)|characters|download|fetch|^[a-z_.]+:|\b[kmg]b\b|metadata"
)
"""Words of validation."""
MIN_WORDS = 4
"""Shorter errors say too little to be judged."""
_HINT = re.compile(
    r"(?:reasoning[._]?effort|output_config\.effort|verbosity|service_tier|response_format\.type)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_PROMPT_FIELD = re.compile(r"(?:messages|input|prompt|instructions|contents)\b")


def classify_refusal(status: int, body: bytes, sent: bytes = b"") -> Refusal | None:
    """The reason of a 4xx for which another endpoint may answer; None if it concerns the request itself.

    `account`: our key, credit, permission or the model's name; also a 429 for an exhausted quota. `sent`: the body of
    the request, whose texts classify nothing where the error repeats them.
    """
    if not 400 <= status <= 500:
        return None
    error = _error_object(body)
    codes = _codes(error)
    stated = _own_text(body, sent)
    text = _unquoted(stated)
    coded = next((refusal for code in codes if (refusal := _by_code(code)) is not None), None)
    if status == 500:
        # Of llama.cpp and Ollama.
        return "context_length" if "context_length" in (coded, _by_words(text)) else None
    if status == 429:
        # Google states the same for limits per minute, with a delay.
        spent = _MONEY.search(text) and not _RATE.search(text) and stated_delay_s(body) is None
        return "account" if coded == "account" or spent else None
    if coded == "content_policy" or (status == 403 and _POLICY.search(text)):
        return "content_policy"
    if status in (403, 404) and (_FORBIDDEN_PARAMETER.search(text) or _NO_FEATURE.search(text)):
        return "unsupported"
    if status in ACCOUNT_STATUSES:
        # GitHub limits rates with a 403.
        return None if status == 403 and is_temporary(status, body, sent) else "account"
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
    if refusal is None and _blames_nothing(text, stated) and not is_temporary(status, body, sent):
        return "unknown"
    return refusal


def _own_text(body: bytes, sent: bytes) -> str:
    return RefusalText(error_text(body) or "", sent=sent).own_text.lower()


def _unquoted(stated: str) -> str:
    """Quoted text may be the client's own."""
    return _QUOTED.sub("''", stated)


def _blames_nothing(text: str, stated: str) -> bool:
    """Whether an error in words that nobody foresaw finds no fault in the request: another endpoint costs one attempt,
    which mostly answers."""
    return len(text.split()) >= MIN_WORDS and _FAULT.search(stated) is None


def is_temporary(status: int, body: bytes, sent: bytes = b"") -> bool:
    """Whether a 4xx concerns the endpoint's load rather than the request or our account, which a 429 would say."""
    if not 400 <= status < 500 or status == 413 or status in ACCOUNT_STATUSES - {403}:
        return False
    stated = (_unquoted(_own_text(body, sent)), *map(_words, _codes(_error_object(body))))
    return any(pattern.search(words) for words in stated for pattern in (_TEMPORARY, _LOAD, _BUSY))


_FORBIDDEN_PARAMETER = re.compile(r"not allowed to request [\w ]{1,40} from this model")
_WORDINGS: tuple[tuple[re.Pattern[str] | _InOneSentence, Refusal], ...] = (
    (_POLICY, "content_policy"),
    (_BLOCKED, "content_policy"),
    (_PLACE, "account"),
    (_UNSUPPORTED, "unsupported"),
    (_FEATURE, "unsupported"),
    (_MONEY, "account"),
    (_ACCOUNT, "account"),
    (_MODEL, "account"),
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
    return [str(code)[:MAX_TEXT_CHARS] for code in codes if code is not None]
