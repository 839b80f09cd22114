"""Features and request type of a request, by rules; the answer is never read.

They follow from the instruction: the system prompt if it states a task; the user's message if there is no system
prompt, or if the system prompt leaves the task to the user (`instruction` tells which). Data inside a fixed task has no
effect, such as "can you solve a math problem" sent to an intent classifier.
"""

import functools
import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Literal

import msgspec

from traffic import forced_calls, hardness, programs, task_words
from traffic.callsites import CallSite, RequestType
from traffic.hardness import CJK
from traffic.phrases import signs, signs_of_system
from traffic.prompts import SYSTEM_ROLES
from traffic.record import Message, Params
from traffic.stated_answers import PROSE_KEYS

LONG_CONTEXT_TOKENS = 1500
"""Minimum for the type `long_context`: about three pages; a question with two or three short passages stays below."""

RATED_WORDS = 150
"""Words of a text from which on its rating weighs many things."""
PREMISE_WORDS = 30
"""Words of a message from which on a label may be a verdict on a case, where nothing says what kind of label it is."""

HIGH_EFFORT_TOKENS = 4096
_EFFORT_KEYS = frozenset({"reasoning", "reasoning_effort", "thinking", "thinking_config"})

ToolChoice = Literal["none", "auto", "required", "named"]

TASKS = frozenset(
    {"label", "options", "decision", "extraction", "rewrite", "summary", "explanation", "reasoning", "deliberation"}
    | {"analysis", "code", "multi_step", "open_chat", "advice", "fields", "rating"}
)
_tasks_of = attrgetter("names_fields", *(f"asks_{name}" for name in sorted(TASKS - {"fields"})))
_OF_SHORT_PROMPTS = frozenset({"technology", "judgement"})
_WRITING = frozenset({"generation", "draft"})
_SHORT_CHARS = 120
_PERSONA_CHARS = 300
"""Maximum of a system prompt that says who the assistant is and little else."""
_EASY_TO_ASK = frozenset({"label", "options", "extraction", "fields", "rewrite", "summary", "generation", "draft"})
"""Signs of what an open assistant is asked for that a standard model does as well."""
BOILERPLATE = re.compile(
    r".{0,50}|you are (?:an? |the )?[^.]{0,60}\b(?:assistant|ai|model|chatbot|bot|expert)\b[^.]{0,30}\.?"
    r"(?: [^.]{0,20}\b(?:concise|helpful|honest|friendly|polite|brief)\b[^.]{0,30}\.?)?",
    re.IGNORECASE,
)
_SCHEMA_PROSE_KEYS = PROSE_KEYS | {"description", "text", "content", "message", "title", "subject", "sections"}


class Features(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What rules can use (`FIELDS`). The last block is what the instruction asks for; all others are about form."""

    input_tokens_estimate: int = 0
    """Of messages, tools and schema: characters / 4, of Chinese, Japanese and Korean / 1.5."""
    system_chars: int = 0
    user_chars: int = 0
    """Length of all user messages."""
    last_user_chars: int = 0
    messages: int = 0
    turns: int = 0
    """Number of user messages."""
    assistant_turns: int = 0
    longest_assistant_chars: int = 0
    """Length of the longest earlier answer: labels only where a prompt shows examples as turns."""
    tool_results: int = 0
    """Number of tool results in the conversation."""
    has_tools: bool = False
    n_tools: int = 0
    tool_choice: ToolChoice = "auto"
    forced_choice: bool = False
    """The request forces one function that takes labels only: its arguments are the answer, as with a schema."""
    json_schema: bool = False
    json_object: bool = False
    schema_keys: int = 0
    """Number of properties of the schema, including nested ones."""
    schema_nullable: bool = False
    """At least half of the schema's properties may be null: values that a text may lack."""
    schema_prose: bool = False
    """The schema has free-text keys such as `summary` or `explanation`."""
    closed_labels: bool = False
    """The schema has an enum, or the instruction lists the labels."""
    max_tokens: int | None = None
    high_effort: bool = False
    """The request sets a high reasoning effort or a large thinking budget."""
    images: int = 0
    """Number of message parts that are not text: images, audio, files."""
    system_beginning: str = ""
    """What `heavy_words` is counted in."""
    user_texts: tuple[str, ...] = ()
    """What `code_fence` is looked for in."""
    instruction: Literal["system", "user", "ad_hoc"] = "user"
    """Where the task is stated: system prompt, user message, or the user's request to a general assistant."""
    asks_label: bool = False
    """The answer is exactly one label, one word, or yes or no."""
    asks_options: bool = False
    """The instruction states options and no task other than choosing one."""
    many_labels: bool = False
    """The instruction lists at least eight short labels; a verdict on a case is one of a few."""
    only_contract: bool = False
    """The instruction states only the form of a short answer; what is asked is in the message."""
    asks_yes_no: bool = False
    asks_knowledge: bool = False
    """To answer a question from what one knows."""
    asks_number: bool = False
    """The answer is a number, and no rating on a stated scale."""
    asks_rating: bool = False
    """The answer is a rating on a scale of numbers whose limits are stated."""
    names_topic: bool = False
    """The label is the kind, topic, language or mood of a text, or whether it mentions something."""
    asks_decision: bool = False
    """To classify or decide, but the answer need not be the bare label."""
    asks_moderation: bool = False
    asks_intent: bool = False
    asks_extraction: bool = False
    asks_json: bool = False
    names_fields: bool = False
    """The answer is JSON with named fields that hold values, not prose."""
    asks_rewrite: bool = False
    asks_edit: bool = False
    """To correct, mask, normalise or shorten: most of the text stays, or it becomes a line."""
    asks_summary: bool = False
    asks_explanation: bool = False
    asks_deliberation: bool = False
    """To think step by step, or to show the work."""
    asks_reasoning: bool = False
    asks_analysis: bool = False
    """A sentence orders to analyse, judge, plan or calculate something."""
    names_author: bool = False
    """Someone who writes texts, or how a text should be written: its tone, style or length."""
    asks_judgement: bool = False
    """To apply rules, a contract or professional knowledge to a case: liability, entitlement, dosage."""
    asks_code: bool = False
    names_technology: bool = False
    """A programming language, a database or an operating system."""
    asks_multi_step: bool = False
    asks_open_chat: bool = False
    """A general assistant: analysis, maths, code, any question."""
    asks_advice: bool = False
    """An adviser, a coach or a consultant."""
    asks_generation: bool = False
    asks_draft: bool = False
    """To write a letter, a reply, a description or the like."""
    orders_text: bool = False
    """A sentence orders to write, explain or plan something."""
    asks_one_call: bool = False
    """One function call, and no more."""
    asks_long_output: bool = False
    """An article, a report, or several hundred words."""

    # Read last, since these take a fifth of the time of all features and many requests are decided without them.
    @functools.cached_property
    def code_fence(self) -> bool:
        """A user message contains a fenced program, a diff or the definition of a function or class."""
        return any(map(programs.holds_code, self.user_texts))

    @property
    def heavy_words(self) -> int:
        """Points of the system prompt's words: those of heavy tasks less those of light ones (`task_words.yaml`)."""
        return task_words.balance(self.system_beginning)


_TEXTS = ("system_beginning", "user_texts")
FIELDS: dict[str, Any] = {
    **{field.name: field.type for field in msgspec.structs.fields(Features) if field.name not in _TEXTS},
    "code_fence": bool,
    "heavy_words": int,
}
"""Types of the fields that rules can use, by name."""


def features_of(
    messages: Sequence[Message],
    tools: Sequence[dict[str, Any]] | None = None,
    response_format: dict[str, Any] | None = None,
    params: Params | None = None,
) -> Features:
    """Features of a request. Reads only the beginning and end of long texts."""
    params = params or Params()
    forced = forced_calls.response_format(tools, params.other)
    texts: list[str] = []
    of_system: list[str] = []
    user: list[str] = []
    assistant_turns = longest_assistant_chars = tool_results = images = 0
    for message in messages:
        text, role = message.text, message.role
        texts.append(text)
        if role == "user":
            user.append(text)
        elif role in SYSTEM_ROLES:
            of_system.append(text)
        elif role == "assistant":
            assistant_turns += 1
            longest_assistant_chars = max(longest_assistant_chars, len(text))
        elif role in ("tool", "function"):
            tool_results += 1
        if isinstance(message.content, list):
            images += sum(part.get("type") != "text" for part in message.content)
    system = "\n\n".join(of_system)
    keys, enum, nullable = _schema_keys(forced or response_format)
    kind = (response_format or {}).get("type")
    schema = kind == "json_schema" or bool(keys)
    instruction, signs = _instruction(system, user, schema or bool(tools))
    return msgspec.structs.replace(
        _of_signs(signs),
        input_tokens_estimate=estimate_tokens(texts) + _json_tokens(tools) + _json_tokens(response_format),
        system_chars=len(system),
        system_beginning=system[: task_words.READ_CHARS],
        user_chars=sum(map(len, user)),
        last_user_chars=len(user[-1]) if user else 0,
        messages=len(messages),
        turns=len(user),
        assistant_turns=assistant_turns,
        longest_assistant_chars=longest_assistant_chars,
        tool_results=tool_results,
        has_tools=bool(tools),
        n_tools=len(tools or ()),
        tool_choice=_tool_choice(forced_calls.choice(params.other)),
        forced_choice=forced_calls.chooses(forced),
        json_schema=schema,
        json_object=kind == "json_object",
        schema_keys=len(keys),
        schema_nullable=2 * nullable >= len(keys) > 0,
        schema_prose=not _SCHEMA_PROSE_KEYS.isdisjoint(keys),
        closed_labels=enum or "list" in signs,
        max_tokens=params.max_tokens,
        high_effort=_high_effort(params.other) if params.other else False,
        images=images,
        user_texts=tuple(user),
        instruction=instruction,
    )


@functools.lru_cache(maxsize=1024)
def _of_signs(signs: frozenset[str]) -> Features:
    """The `asks_*` fields; cached, since the same few sets of signs recur."""
    return Features(
        asks_label="label" in signs,
        asks_options="options" in signs,
        many_labels="many" in signs,
        only_contract="contract" in signs,
        asks_yes_no="yes_no" in signs,
        asks_knowledge="knowledge" in signs,
        asks_number="number" in signs,
        asks_rating="rating" in signs,
        names_topic="topic" in signs,
        asks_decision="decision" in signs,
        asks_moderation="moderation" in signs,
        asks_intent="intent" in signs,
        asks_extraction="extraction" in signs,
        asks_json="json" in signs,
        names_fields="fields" in signs,
        asks_rewrite="rewrite" in signs,
        asks_edit="edit" in signs,
        asks_summary="summary" in signs,
        asks_explanation="explanation" in signs,
        asks_deliberation="deliberation" in signs,
        asks_reasoning="reasoning" in signs,
        asks_analysis="analysis" in signs,
        names_author="author" in signs,
        asks_judgement="judgement" in signs,
        asks_code="code" in signs,
        names_technology="technology" in signs,
        asks_multi_step="multi_step" in signs,
        asks_open_chat="open_chat" in signs,
        asks_advice="advice" in signs,
        asks_generation="generation" in signs,
        asks_long_output="long_output" in signs,
        asks_draft="draft" in signs,
        orders_text="order" in signs,
        asks_one_call="one_call" in signs,
    )


def request_type(features: Features, messages: Sequence[Message], call_site: CallSite | None = None) -> RequestType:
    """The playbook's request type; the registry entry of the call site takes precedence over the rules."""
    if call_site is not None and call_site.request_type is not None:
        return call_site.request_type
    f = features
    if f.has_tools and f.tool_choice != "none" and not (f.forced_choice and not f.tool_results):
        return "tool_use"
    if f.high_effort:
        return "reasoning"
    text = _last_user(messages)
    copies = f.asks_extraction and not (f.names_topic or f.asks_intent)
    asks_person = f.instruction == "user"
    # What a program returns is no answer.
    programs = f.asks_code and (f.names_technology or f.asks_generation or f.orders_text or asks_person)
    beyond_label = f.asks_deliberation or f.names_fields or f.asks_draft or copies or programs
    if f.asks_label and not (beyond_label or (f.asks_explanation and asks_person)):
        return _label_type(f, text)
    if f.asks_open_chat:
        return "chat"
    # Hard types take precedence: a wrong "easy" costs quality, a wrong "hard" costs cents.
    hard = _hard_type(f, text)
    if hard is not None:
        return hard
    # The fields of data to write a text from look like those of an answer.
    if not f.asks_draft and ((f.asks_extraction and not f.asks_summary) or (f.names_fields and not f.schema_prose)):
        return "extraction"
    if f.asks_options and not (f.asks_draft or f.names_author):
        return _label_type(f, text)
    return "rewrite" if f.asks_rewrite and not f.asks_draft else _prose_type(f, text)


def _hard_type(f: Features, text: str) -> RequestType | None:
    names_task = True in _tasks_of(f)
    free_task = f.instruction != "system" or not names_task
    transforms_text = f.asks_extraction or f.asks_rewrite or f.asks_summary
    # Fields without an order to extract may hold a verdict or a result; those of a topic are read off the message.
    reads_off = transforms_text or (f.names_fields and f.names_topic)
    judges = f.asks_judgement and not (reads_off or f.many_labels or f.asks_generation or f.orders_text)
    # Numbers to extract from, to rewrite or to write a text from are copied; nothing is calculated with them.
    writes = f.orders_text and f.asks_generation
    copies = f.names_fields or (writes if f.instruction == "system" else f.asks_extraction or f.asks_rewrite)
    is_hard = hardness.is_problem if copies else hardness.of_message
    analyses = f.asks_analysis and not (transforms_text or f.asks_decision or f.asks_options)
    if (
        f.asks_deliberation
        or f.asks_reasoning
        or analyses
        or (f.asks_number and not (transforms_text or f.names_fields))
        or judges
        or (f.asks_explanation and not f.asks_summary and hardness.is_problem(text))
        or _rates_long_text(f, text)
        or (free_task and not f.asks_draft and is_hard(text))
    ):
        return "reasoning"
    if f.asks_code or (free_task and f.code_fence) or (f.names_technology and not names_task):
        return "code"
    untyped = not (names_task or f.json_schema or f.asks_generation)
    return "long_context" if untyped and f.input_tokens_estimate >= LONG_CONTEXT_TOKENS else None


def _rates_long_text(f: Features, text: str) -> bool:
    return f.asks_rating and not hardness.words_below(text, RATED_WORDS)


def _label_type(f: Features, text: str) -> RequestType:
    """The answer is short; it needs reasoning unless something says that it can be read off the message."""
    read_off = f.names_topic or f.asks_moderation or f.asks_intent or f.many_labels
    least = PREMISE_WORDS if f.instruction == "system" else 2 * PREMISE_WORDS
    if (
        (f.asks_judgement and not f.many_labels)
        or f.asks_reasoning
        or f.asks_number
        or f.only_contract
        or (f.asks_yes_no and f.asks_knowledge and hardness.ends_with_bare_question(text))
        or _rates_long_text(f, text)
        or not (read_off or hardness.words_below(text, least))
        or (
            f.instruction == "system"
            and (f.code_fence or hardness.of_label(text, is_topic=f.names_topic and f.closed_labels))
        )
        or (f.instruction == "user" and not read_off and hardness.brings_options(text))
    ):
        return "reasoning"
    if f.input_tokens_estimate >= LONG_CONTEXT_TOKENS and not f.asks_label:
        return "long_context"
    return "intent" if f.asks_intent else "moderation" if f.asks_moderation else "classification"


def _prose_type(f: Features, text: str) -> RequestType:
    if f.input_tokens_estimate >= LONG_CONTEXT_TOKENS:
        return "long_context"
    if f.json_schema and f.closed_labels and f.schema_keys <= 3 and not f.schema_prose:
        return "intent" if f.asks_intent else "moderation" if f.asks_moderation else "classification"
    if f.json_schema and f.schema_nullable and not (f.schema_prose or f.asks_summary or f.asks_generation):
        return "extraction"
    if f.json_schema or f.json_object or (f.asks_json and not f.asks_summary):
        return "structured"
    if f.asks_summary:
        return "summarization"
    asks_freely = f.instruction == "user" and True not in _tasks_of(f) and hardness.is_bare_question(text)
    if (f.asks_advice or asks_freely) and not f.orders_text:
        return "chat"
    if f.asks_decision and not (f.asks_explanation or f.asks_draft):
        return "moderation" if f.asks_moderation else "classification"
    return "chat" if f.assistant_turns else "generation"


def estimate_tokens(texts: Sequence[str]) -> int:
    """Estimated tokens of chat messages: by characters, plus 4 per message and 3 for the start of the answer."""
    total = 3 + 4 * len(texts)
    for text in texts:
        if text.isascii():
            total += -(-len(text) // 4)
        else:
            dense = sum(map(len, CJK.findall(text)))
            total += -(-(len(text) - dense) // 4) + round(dense / 1.5)
    return total


def _json_tokens(value: Any) -> int:
    return len(msgspec.json.encode(value)) // 4 + 8 if value else 0


def _instruction(
    system: str, user: list[str], has_shape: bool
) -> tuple[Literal["system", "user", "ad_hoc"], frozenset[str]]:
    of_system = signs_of_system(system) if system else frozenset()
    if has_shape or not TASKS.isdisjoint(of_system):
        return "system", of_system
    if not user:
        return "system", of_system
    if not system or ("order" not in of_system and BOILERPLATE.fullmatch(system.strip())):
        return "user", signs(user[0], head=500, tail=200, repeats=False) | (of_system & _OF_SHORT_PROMPTS)
    # A system prompt without a known sign may still state the task ("Write a haiku."); a general assistant's does not.
    if of_system.isdisjoint(("helper", "wish")) and (len(system) < _SHORT_CHARS or not of_system.isdisjoint(_WRITING)):
        return "system", of_system
    of_user = signs(user[-1], head=400, tail=150, repeats=False, is_template=False)
    # Whoever helps with no stated task, and not with texts alone, is asked anything.
    open_ = (
        "helper" in of_system
        and len(system) <= _PERSONA_CHARS
        and of_system.isdisjoint(("author", "order", "list"))
        and _EASY_TO_ASK.isdisjoint(of_user)
    )
    return "ad_hoc", of_user | {"open_chat"} if open_ else of_user


def _last_user(messages: Sequence[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            return message.text[: hardness.READ_CHARS]
    return ""


def _high_effort(parameters: dict[str, Any]) -> bool:
    """Reads `reasoning_effort` of OpenAI's APIs, and the thinking budgets of Anthropic and Gemini."""
    if _EFFORT_KEYS.isdisjoint(parameters):
        return False
    nested = parameters.get("reasoning")
    effort = parameters.get("reasoning_effort") or (nested.get("effort") if isinstance(nested, dict) else None)
    thinking = parameters.get("thinking") or parameters.get("thinking_config")
    budget = (thinking.get("budget_tokens") or thinking.get("thinking_budget")) if isinstance(thinking, dict) else None
    return effort in ("high", "xhigh") or (isinstance(budget, int) and budget >= HIGH_EFFORT_TOKENS)


def _tool_choice(value: Any) -> ToolChoice:
    if isinstance(value, dict):
        return "named"
    return value if value in ("none", "required") else "auto"


def _schema_keys(response_format: dict[str, Any] | None) -> tuple[set[str], bool, int]:
    """Property names of a JSON Schema in lower case, whether it has an enum, and how many properties may be null."""
    if not response_format:
        return set(), False, 0
    keys: set[str] = set()
    enum = False
    nullable = 0
    # OpenAI's nesting or a bare schema; providers limit the depth.
    pending: list[Any] = [response_format.get("json_schema", response_format)]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            enum = enum or isinstance(node.get("enum"), list)
            properties = node.get("properties")
            if isinstance(properties, dict):
                keys.update(str(key).lower() for key in properties)
                nullable += sum(map(_may_be_null, properties.values()))
                pending += properties.values()
            pending += [node[key] for key in ("schema", "items", "anyOf", "oneOf", "allOf", "$defs") if key in node]
            if isinstance(node.get("$defs"), dict):
                pending += node["$defs"].values()
    return keys, enum, nullable


def _may_be_null(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    options = schema.get("anyOf") or schema.get("oneOf")
    return (
        kind == "null"
        or (isinstance(kind, list) and "null" in kind)
        or schema.get("nullable") is True
        or (isinstance(options, list) and any(map(_may_be_null, options)))
    )
