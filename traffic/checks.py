"""Checks of an answer: the router escalates on them, extract filters by them, evaluate counts them as format faults.

Strict: an answer with any fault in its form fails, because the application that reads it would fail too.
"""

import functools
import re
from typing import Any

import jsonschema
import msgspec
import referencing
import referencing.exceptions

from traffic import answers
from traffic.callsites import Checks
from traffic.errors import ConfigError

_SHOWN_CHARS = 40

COMPLETE = frozenset(
    """stop end_turn stop_sequence tool_calls tool_use function_call eos eos_token complete
    completed finished end""".split()
)
"""Finish reasons of complete answers in all providers' spellings, lower case."""
TRUNCATED = frozenset(
    """length max_tokens max_output_tokens max_length model_length token_limit incomplete
    model_context_window_exceeded context_length context_length_exceeded""".split()
)
FILTERED = frozenset(
    """content_filter content_filtered filtered refusal refused safety recitation blocklist
    prohibited_content spii guardrail_intervened image_safety language moderation blocked""".split()
)


def canonical(text: str, checks: Checks) -> str:
    """The answer without surrounding whitespace, and a set of labels in the order of the label set.

    Other faults of form are kept, since an application would fail on them. (`traffic.answers.resolve` corrects more,
    for logged answers.)
    """
    answer = text.strip()
    if checks.multiple is not None and _label_fault(answer, checks) is None:
        return answers.joined(_members(answer, checks) or (), checks)
    return answer


def failed_checks(text: str | None, finish_reason: str | None, checks: Checks) -> tuple[str, ...]:
    """Why the answer cannot be used, the most important reason first; empty if it can.

    Each reason is `name: explanation`, or the name alone: `filtered`, `empty`, `truncated`, `refusal`, `label`, `json`,
    `schema`, `length`. An answer of tool calls needs no text, unless a label or JSON is required.

    Raises: ConfigError if the call site's JSON schema is invalid.
    """
    failed = []
    reason = (finish_reason or "stop").lower()
    if reason in FILTERED:
        failed.append("filtered: stopped by the provider's content filter")
    if reason in TRUNCATED:
        failed.append("truncated: the answer hit the cap on output tokens")
    if text is None or not text.strip():
        wants_text = checks.labels or checks.needs_json
        if wants_text or finish_reason != "tool_calls":
            failed.append("empty")
        return tuple(failed)
    answer = canonical(text, checks)
    if checks.labels:
        fault = _label_fault(answer, checks)
        if fault is not None:
            failed.append(fault)
    elif checks.refuse_refusals and is_refusal(answer):
        failed.append(f"refusal: {_excerpt(answer)}")
    if checks.needs_json:
        failed.extend(_json_faults(answer, checks))
    if checks.max_chars is not None and len(answer) > checks.max_chars:
        failed.append(f"length: {len(answer)} characters, at most {checks.max_chars} are allowed")
    return tuple(failed)


def _label_fault(answer: str, checks: Checks) -> str | None:
    if checks.multiple is None:
        return (
            None if answer in checks.labels else f"label: {_excerpt(answer)} is not one of {len(checks.labels)} labels"
        )
    members = _members(answer, checks)
    if members is None:
        return f"label: {_excerpt(answer)} is not a JSON list of labels"
    unknown = [member for member in members if member not in checks.labels]
    if unknown:
        return f"label: {_excerpt(unknown[0])} is not one of {len(checks.labels)} labels"
    return "label: duplicate label" if len(set(members)) < len(members) else None


def _members(answer: str, checks: Checks) -> list[str] | None:
    """Members of a set of labels, as written; None if the answer is not in the call site's format."""
    if checks.multiple == "comma":
        return [member.strip() for member in answer.split(",")]
    try:
        members = parse_json(answer)
    except ValueError:
        return None
    is_list = isinstance(members, list) and all(isinstance(member, str) for member in members)
    return members if is_list else None


def parse_json(text: str) -> Any:
    """Parse a text that is one JSON value (strict: no prose around it, no NaN).

    Raises: ValueError, also for nesting too deep to decode and for text that is not Unicode.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from None


def is_refusal(text: str) -> bool:
    """Whether the answer begins by refusing the task, in English or one of twenty other languages.

    Requires a verb of the assistant's work after "cannot": "I cannot come on Friday" is not a refusal.
    """
    return _REFUSAL.match(text.replace("’", "'")) is not None


def _json_faults(answer: str, checks: Checks) -> list[str]:
    try:
        value = parse_json(answer)
    except ValueError as error:
        return [f"json: {error}"]
    if checks.json and not isinstance(value, dict):
        return [f"json: {type(value).__name__} instead of an object"]
    if checks.json_schema is None:
        return []
    validator = _validator(msgspec.json.encode(checks.json_schema))
    try:
        fault = next(validator.iter_errors(value), None)
    except referencing.exceptions.Unresolvable as unresolvable:
        raise ConfigError(f"json_schema: {unresolvable.ref} cannot be resolved; put it under $defs") from None
    return [f"schema: {fault.json_path}: {_excerpt(fault.message, 120)}"] if fault else []


@functools.lru_cache(maxsize=256)
def _validator(schema_json: bytes) -> Any:
    """The validator of a schema, in the dialect of its `$schema` (default 2020-12)."""
    schema = msgspec.json.decode(schema_json)
    dialect = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        dialect.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ConfigError(f"json_schema: {error.json_path}: {error.message}") from None
    # An empty registry, so that a $ref to a URL is never fetched.
    return dialect(schema, registry=referencing.Registry())


def _excerpt(text: str, limit: int = _SHOWN_CHARS) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= limit else flat[: limit - 1] + "…")


# Per language: an optional apology, "cannot", and a verb of the assistant's work.
_REFUSAL_OPENINGS = (
    r"""(?:(?:(?:i'?m |i am )?(?:very |so |really )?(?:sorry|afraid)|(?:i |my )?(?:sincere(?:ly)? )?apologi(?:[sz]e|es))
        [,.!]?(?: but)?(?: that)? )(?:i|we)
        (?: can't| cannot| can not| won't| will not| am unable to| am not able to)(?: \w+ly)?
        [ ](?:help|assist|comply|fulfil+|do that|answer|provide|support|process|create|generate|write|engage)\b""",
    # A company's "Unfortunately, we cannot" is an answer.
    r"""(?:(?:(?:unfortunately|regrettably),? )?i|we)
        (?: can't| cannot| can not| won't| will not| am unable to| am not able to|'m unable to|'m not able to)
        [ ](?:help(?: you)? with|assist|comply|fulfil+ (?:this|that|your)|do that|answer (?:this|that|your)|engage in
        |(?:provide|create|generate|write|share|process) (?:this|that|such|any|harmful|illegal|the requested))\b""",
    r"""as an? (?:ai|artificial intelligence|(?:large )?language model)(?: \w+){0,3},? i
        (?: can't| cannot| can not| am unable| am not able|'m unable|'m not able| must decline| do not have access
        | don't have access)\b""",
    r"i (?:must|have to|need to) (?:decline|refuse)\b",
    r"""(?:i'?m |i am )?sorry,? (?:but )?(?:this|that|your) (?:request|question|prompt|content|message)[ ]
        [^.!?\n]{0,40}?(?:violates|goes against|is against|is not (?:allowed|permitted)|conflicts with)\b""",
    r"""(?:(?:es )?tut mir (?:sehr )?leid,? (?:aber )?)?
        (?:leider kann ich|ich kann|(?:dabei|damit|hierbei|das|da) kann ich)[ ][^.!?\n]{0,60}?
        nicht (?:weiter)?(?:helfen|behilflich|beantworten|bereitstellen|erfüllen|nachkommen|unterstützen)\b""",
    r"""als (?:ki|künstliche intelligenz|sprachmodell)\b[^.!?\n]{0,30} (?:kann|darf) ich [^.!?\n]{0,60}?nicht\b""",
    r"""(?:(?:je suis )?(?:désolée?|navrée?),? (?:mais )?)?
        (?:je ne (?:peux|puis) (?:malheureusement )?pas|je ne suis pas en mesure de|il m'est impossible de)
        [ ](?:vous |t')?(?:aider|assister|répondre|fournir|satisfaire|traiter|donner suite)\b""",
    r"""(?:lo siento,? (?:pero )?)?no (?:puedo|me es posible)
        [ ](?:ayudar\w*|asistir(?:te|le|lo|les)|asistir con|responder|cumplir|proporcionar\w*|procesar|generar)\b""",
    r"(?:mi dispiace,? (?:ma )?)?non posso (?:aiutar\w*|assister\w*|rispondere|soddisfare|fornir\w*)\b",
    r"""(?:(?:sinto muito|desculpe|lamento),? (?:mas )?)?(?:eu )?não posso
        [ ](?:ajudar|ajudá-\w+|auxiliar|responder|atender|fornecer|processar)\b""",
    r"""(?:(?:(?:het )?spijt me|sorry|helaas),? (?:maar )?)?(?:ik kan|(?:dat|daar|hier) kan ik)[ ][^.!?\n]{0,60}?
        niet (?:bij |mee )?(?:helpen|beantwoorden|voldoen|assisteren)\b""",
    r"""(?:(?:bardzo )?(?:przykro mi|przepraszam),? (?:ale )?)?nie (?:mogę|jestem w stanie)[ ]
        (?:ci |panu |pani |państwu )?(?:pomóc|odpowiedzieć|udzielić|spełnić)\b""",
    r"""(?:(?:к сожалению|извините|простите|мне жаль),? (?:но )?)?я не могу (?:вам |тебе )?(?:с этим |в этом )?
        (?:помочь|ответить|предоставить|выполнить)\b""",
    r"""(?:вибачте|на жаль|перепрошую),? (?:але )?я не можу (?:вам |тобі )?(?:з цим |у цьому )?
        (?:допомогти|відповісти|надати)""",
    r"""(?:omlouvám se|bohužel|je mi líto),? (?:ale )?(?:s tím )?(?:vám |ti )?(?:nemohu|nemůžu)(?: vám| ti)?
        [ ](?:pomoci|odpovědět)""",
    r"""(?:tyvärr|ledsen,? men|beklager,?|desværre)(?: men)? (?:jag |jeg )?kan (?:jag |jeg )?(?:ikke|inte)
        [ ](?:hjälpa|hjælpe|hjelpe|svara)\w*""",
    r"(?:λυπάμαι|συγγνώμη|δυστυχώς),? (?:αλλά )?δεν μπορώ να (?:σας |σε )?(?:βοηθήσω|απαντήσω)",
    r"(?:ขออภัย|ขอโทษ)(?:ครับ|ค่ะ)? ?[^\n]{0,20}?ไม่สามารถ(?:ช่วย|ตอบ|ให้ข้อมูล|ดำเนินการ)",
    r"(?:אני )?מצטערת?,? (?:אבל |אך )?(?:אני )?לא (?:יכולה?|אוכל) (?:לעזור|לסייע|לענות|לספק)",
    r"xin lỗi,? (?:nhưng )?tôi không thể (?:giúp|hỗ trợ|trả lời|cung cấp)",
    r"maaf,? (?:tetapi |tapi )?saya tidak (?:dapat|bisa) (?:membantu|menjawab|memberikan|memenuhi)",
    r"""(?:عذر[اًا]{0,2}|آسف|أعتذر|للأسف)[،,]? ?(?:ولكن |لكن )?لا (?:أستطيع|يمكنني)
        [ ](?:مساعد|المساعدة|الإجابة|تقديم|تلبية)""",
    r"(?:क्षमा करें|माफ़? ?कीजिए|मुझे खेद है)[,।]? ?(?:लेकिन )?मैं [^।\n]{0,60}?(?:मदद|सहायता|उत्तर) नहीं (?:कर|दे) सक",
    r"""(?:üzgünüm|maalesef|özür dilerim),?[ ][^.!?\n]{0,60}?(?:yardımcı olamam|yanıtlayamam|cevaplayamam)\b""",
    r"""죄송(?:하지만|합니다만|합니다)[,.]?[ ][^.!?\n]{0,60}?
        (?:도와드릴|도울|답변드릴|답변할|제공할|제공해 드릴) 수가? 없""",
    r"""(?:(?:大変)?申し訳(?:ありません|ございません|ないです)[がけど、。]*)?[^。\n]{0,40}?
        (?:お答え|お応え|お手伝い|ご?対応|ご?提供)(?:する(?:こと(?:が|は))?)?(?:は|が)?(?:いた)?(?:し)?(?:できません|できかね|しかね|かね)""",
    r"""(?:(?:非常|很)?(?:抱歉|对不起|對不起)[,\uff0c\u3001\u3002!\uff01]?\s*(?:但是?)?)?我?(?:不能|无法|無法)
        (?:为您|為您)?(?:帮助|幫助|协助|協助|提供|满足|滿足|回答|处理|處理|完成(?:这|這|此|该|該))""",
)
# Line breaks and indentation inside the patterns are removed; spaces count.
_REFUSAL = re.compile(
    r"[\s\"'*_>#]*(?:" + "|".join(re.sub(r"\n\s*", "", opening) for opening in _REFUSAL_OPENINGS) + ")",
    re.IGNORECASE,
)
