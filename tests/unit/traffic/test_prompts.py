"""Normalisation, templates, matching and pruning of prompts."""

from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.growth import assert_linear
from traffic.prompts import (
    MessagePattern,
    Messages,
    Template,
    canonical_messages,
    match,
    match_any,
    normalise,
    plain_messages,
    plain_request_hash,
    render,
    request_hash,
    system_hash,
)
from traffic.record import Message, decode_messages
from traffic.templates import find_templates, pruned_system

SYSTEM = "You sort the mail of a flower shop.\n\nAnswer with one word: order, complaint or other."
TEXTS = ["two dozen roses please", "the tulips were dead", "do you open on Sunday?", "I want my money back"]


def ask(text: str, system: str = SYSTEM) -> Messages:
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


def template_of(prompts: list[Messages], system: str = "sort") -> Template:
    (template,) = find_templates(prompts, system=system)
    return template


texts = st.text(max_size=60)
patterns = st.builds(MessagePattern, st.sampled_from(["system", "user", "assistant"]), texts, texts, st.booleans())
templates = st.lists(patterns, min_size=1, max_size=4).map(
    lambda original: Template(id="0" * 8, original=tuple(original), pruned=tuple(p for p in original if p.slot))
)


@given(st.text())
def test_normalise_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_normalise_unifies_whitespace_line_ends_and_unicode_composition() -> None:
    assert normalise("  Cafe\u0301 \t au  lait \r\nnoir\r\n\r\n ") == "Café au lait\nnoir"


def test_normalise_keeps_words_case_and_line_structure() -> None:
    assert normalise("One\n\n- Two") == "One\n\n- Two"


def test_request_hash_ignores_json_formatting() -> None:
    one = request_hash("a.b", canonical_messages(b'[{"role":"user","content":"caf\\u00e9"}]'), None)
    again = canonical_messages(msgspec.Raw('[ {"content": "café", "role": "user"} ]'.encode()))
    assert one == request_hash("a.b", again, [])
    assert len(one) == 16
    int(one, 16)


@pytest.mark.parametrize(
    "messages",
    [
        b'[{"role":"user","content":"caf\\u00e9 <b> \\n"}]',
        b'[{"role":"system","content":"A"},{"content":"B","role":"user"}]',
        b'[{"role":"system","content":"A"},{"content":"B","role":"user"},{"role":"assistant","content":"C"}]',
        b"[]",
    ],
)
@pytest.mark.parametrize("tools", [None, [{"type": "function"}]])
def test_plain_messages_are_hashed_like_all_others(messages: bytes, tools: list[dict[str, Any]] | None) -> None:
    plain = plain_messages(messages)
    general = decode_messages(messages)
    assert plain is not None
    assert [(message.role, message.text) for message in plain] == [(message.role, message.text) for message in general]
    canonical = canonical_messages(messages)
    for site in ("a.b", None):
        assert plain_request_hash(site, plain, tools) == request_hash(site, canonical, tools)


@pytest.mark.parametrize(
    "messages",
    [
        b'[{"role":"user","content":"hi","name":"Ann"}]',
        b'[{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}]',
        b'[{"role":"user","content":[{"type":"text","text":"hi"}]}]',
    ],
)
def test_messages_with_more_than_roles_and_texts_are_not_plain(messages: bytes) -> None:
    assert plain_messages(messages) is None


def test_request_hash_differs_by_call_site_messages_and_tools() -> None:
    messages = b'[{"role":"user","content":"hi"}]'
    hashes = {
        request_hash("a", messages, None),
        request_hash("b", messages, None),
        request_hash(None, messages, None),
        request_hash("a", b'[{"role":"user","content":"Hi"}]', None),
        request_hash("a", messages, [{"type": "function"}]),
    }
    assert len(hashes) == 5


def test_system_hash_ignores_whitespace_and_user_messages() -> None:
    one = system_hash([Message("system", "Be brief."), Message("user", "hi")])
    assert one == system_hash([Message("system", " Be  brief.\r\n"), Message("user", "other")])
    assert one != system_hash([Message("system", "Be short.")])


def test_system_hash_covers_all_leading_system_messages_and_no_later_ones() -> None:
    head = [Message("system", "A"), Message("developer", "B")]
    assert system_hash([*head, Message("user", "x"), Message("system", "C")]) == system_hash(head)
    assert system_hash(head) != system_hash(head[:1])


def test_system_hash_is_none_without_a_system_message() -> None:
    assert system_hash([Message("user", "hi"), Message("system", "late")]) is None


@pytest.mark.parametrize(
    "call_site, words",
    [
        ("support.intent", "intent"),
        ("crm/extract_json", "extract json"),
        ("mail:spamFilter.v2", "spam filter"),
        ("search", "search"),
        ("jobs.7", "jobs"),
        ("レビュー.分類", "分類"),
        ("1.2", "structured"),
        ("", "structured"),
    ],
)
def test_pruned_system_is_the_last_named_part_of_the_call_site(call_site: str, words: str) -> None:
    assert pruned_system(call_site, "structured") == words


@given(st.text(max_size=200))
def test_pruned_system_is_short_and_never_empty(call_site: str) -> None:
    assert 0 < len(pruned_system(call_site, "tool_use")) <= 32


def test_the_static_system_prompt_is_replaced_by_the_short_one() -> None:
    template = template_of([ask(text) for text in TEXTS])
    assert render(template, ["hello"]) == ask("hello", "sort")
    assert render(template, ["hello"], side="original") == ask("hello")


def test_without_a_pruned_system_prompt_only_the_slot_remains() -> None:
    template = template_of([ask(text) for text in TEXTS], system="")
    assert render(template, ["hello"]) == [{"role": "user", "content": "hello"}]


def test_fixed_text_around_the_users_text_becomes_prefix_and_suffix() -> None:
    template = template_of([ask(f"Message: {text}\n\nWhich one is it?") for text in TEXTS])
    assert template.original[1] == MessagePattern("user", "Message: ", "\n\nWhich one is it?", slot=True)
    assert match(template, ask("Message: a lily\n\nWhich one is it?")) == ("a lily",)
    assert match(template, ask("a lily")) is None


def test_a_few_texts_with_a_common_beginning_give_no_prefix() -> None:
    template = template_of([ask("can you send roses"), ask("can you send tulips")])
    assert template.original[1] == MessagePattern("user", slot=True)


def test_many_texts_with_a_common_beginning_give_a_prefix_that_ends_at_whitespace() -> None:
    template = template_of([ask(f"Order number 10{n} is late") for n in range(20, 60)])
    assert template.original[1] == MessagePattern("user", "Order number ", " is late", slot=True)


def test_a_prefix_that_would_leave_most_slots_empty_is_dropped() -> None:
    template = template_of([ask("Notes: ")] * 8 + [ask("Notes: late"), ask("Notes: early")])
    assert template.original[1] == MessagePattern("user", slot=True)


def test_constant_examples_between_system_and_user_are_fixed_and_pruned_away() -> None:
    def shot(text: str) -> Messages:
        example = [{"role": "user", "content": "roses!"}, {"role": "assistant", "content": "order"}]
        return [{"role": "system", "content": SYSTEM}, *example, {"role": "user", "content": text}]

    template = template_of([shot(text) for text in TEXTS])
    assert [p.slot for p in template.original] == [False, False, False, True]
    assert render(template, ["x"]) == ask("x", "sort")


def test_a_repeated_request_has_its_user_text_as_the_slot() -> None:
    template = template_of([ask("two dozen roses please")] * 5)
    assert match(template, ask("anything else")) == ("anything else",)


def test_requests_without_a_system_prompt_get_the_short_one_too() -> None:
    template = template_of([[{"role": "user", "content": f"Sort this mail:\n{text}"}] for text in TEXTS])
    assert render(template, ["x"]) == ask("x", "sort")


def test_several_slots_keep_their_distinguishing_labels() -> None:
    def two(question: str, answer: str) -> Messages:
        first = {"role": "user", "content": f"Question: {question}"}
        return [first, {"role": "user", "content": f"Reference: {answer}"}]

    template = template_of([two("a", "b"), two("c", "d"), two("e", "f")])
    assert render(template, ["q", "r"])[1:] == two("q", "r")


def test_a_system_prompt_below_the_support_gives_no_template() -> None:
    prompts = [ask(f"{text} {n}") for n in range(25) for text in TEXTS] + [ask("hi", "An experiment.")]
    (template,) = find_templates(prompts, min_support=0.02)
    assert match(template, ask("hi", "An experiment.")) is None


def test_templates_come_in_the_order_of_their_frequency_and_versions_share_the_pruned_prompt() -> None:
    newer = SYSTEM + "\nBe quick."
    prompts = [ask(text, newer) for text in TEXTS] + [ask(f"{text}!", SYSTEM) for text in TEXTS * 3]
    older, new = find_templates(prompts, system="sort")
    assert (older.original[0].prefix, new.original[0].prefix) == (SYSTEM, newer)
    assert render(older, ["x"]) == render(new, ["x"])


def test_unrelated_tasks_of_one_call_site_stay_distinct_after_pruning() -> None:
    prompts = [ask(text) for text in TEXTS] + [ask(text, "Translate into French.") for text in TEXTS * 2]
    first, second = find_templates(prompts, system="sort")
    assert render(first, ["x"])[0]["content"] == "sort"
    assert render(second, ["x"])[0]["content"] == "sort 2"


def test_conversations_and_single_requests_form_their_own_templates() -> None:
    talk = [{"role": "assistant", "content": "order"}, {"role": "user", "content": "no, a complaint"}]
    prompts = [ask(text) for text in TEXTS] + [[*ask(text), *talk] for text in TEXTS]
    assert sorted(len(t.original) for t in find_templates(prompts)) == [2, 4]


def test_the_id_depends_on_the_original_side_only() -> None:
    prompts = [ask(text) for text in TEXTS]
    assert template_of(prompts, "a").id == template_of(list(reversed(prompts)), "b").id


def test_no_prompts_give_no_templates() -> None:
    assert find_templates([]) == []


@given(templates, st.data())
def test_match_returns_the_slots_that_were_rendered(template: Template, data: st.DataObject) -> None:
    wanted = sum(pattern.slot for pattern in template.original)
    slots = tuple(data.draw(st.lists(texts, min_size=wanted, max_size=wanted)))
    assert match(template, render(template, slots, side="original")) == slots


@given(st.lists(st.sampled_from(["a", "rose", "\n", " ", "order"]), min_size=1, max_size=8), st.integers(0, 99))
def test_a_system_prompt_that_differs_by_one_word_matches_nothing(extra: list[str], position: int) -> None:
    template = template_of([ask(text) for text in TEXTS])
    words = SYSTEM.split(" ")
    words.insert(position % (len(words) + 1), "".join(extra) + "x")
    assert match(template, ask("hi", " ".join(words))) is None


@given(st.sampled_from([" ", "\t", "  \t"]), st.sampled_from(["\n", "\r\n", " \n"]))
def test_a_system_prompt_that_differs_in_whitespace_only_matches(space: str, line_end: str) -> None:
    template = template_of([ask(text) for text in TEXTS])
    changed = SYSTEM.replace("\n", line_end).replace(" ", space) + "\n"
    assert match(template, ask("hi", changed)) == ("hi",)


@pytest.mark.parametrize("sent", ["Message:  hi", " Message: hi", "Message:\thi", "Message: \n hi"])
def test_whitespace_around_a_prefix_may_differ(sent: str) -> None:
    template = template_of([ask(f"Message: {text}") for text in TEXTS])
    matched = match(template, ask(sent))
    assert matched is not None
    assert matched[0].strip() == "hi"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "system", "content": SYSTEM}],
        [{"role": "developer", "content": SYSTEM}, {"role": "user", "content": "x"}],
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": None, "tool_calls": [{"id": "1"}]}],
        [{"role": "system", "content": SYSTEM}, {"content": "x"}],
        [{"role": "system"}, {"role": "user", "content": "x"}],
    ],
)
def test_other_message_shapes_match_no_template(messages: Messages) -> None:
    assert match(template_of([ask(text) for text in TEXTS]), messages) is None


def test_requests_with_parts_or_tool_calls_give_no_template() -> None:
    parts = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]
    assert find_templates([parts] * 10) == []


def test_match_any_takes_the_first_template_that_matches() -> None:
    prompts = [ask(text) for text in TEXTS] + [ask(text, "Translate into French.") for text in TEXTS]
    templates = find_templates(prompts)
    hit = match_any(templates, ask("bonjour", "Translate into French."))
    assert hit is not None
    assert hit[0].original[0].prefix == "Translate into French."
    assert hit[1] == ("bonjour",)
    assert match_any(templates, ask("hi", "Something else.")) is None


def test_render_refuses_a_wrong_number_of_slots() -> None:
    with pytest.raises(ValueError, match="has 1 slots, got 2"):
        render(template_of([ask(text) for text in TEXTS]), ["a", "b"])


def test_hostile_whitespace_is_matched_in_linear_time() -> None:
    template = template_of([ask(f"Message: {text}\n\nWhich one is it?") for text in TEXTS])
    assert match(template, ask("Message:" + " \n" * 9 + "x")) is None
    assert_linear(lambda lines: partial(match, template, ask("Message:" + " \n" * lines + "x")), 200_000)
