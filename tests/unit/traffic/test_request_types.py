"""Request types by rules, with prompts of many companies."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.chat_requests import TOOL, features_for, schema, type_of
from traffic import hardness, policy
from traffic.callsites import CallSite, RequestType
from traffic.config import CONFIGS
from traffic.features import features_of, request_type
from traffic.record import Message, Params

WORDED = yaml.safe_load((Path(__file__).parent / "worded_requests.yaml").read_text(encoding="utf-8"))


RULES = policy.load(CONFIGS / "router.yaml")


NULLABLE: list[dict[str, Any]] = [
    {"type": ["string", "null"]},
    {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    {"type": "string", "nullable": True},
]


CASE = (
    "The tug left at noon although the pilot had not come aboard and the mate said that nobody had told him to wait. "
    * 2
)


def tier_of(system: str | None, *turns: str, **shape: Any) -> int:
    messages = [Message("user", turn) for turn in turns]
    features = features_for(system, *turns, **shape)
    return policy.decide(RULES, features, request_type(features, messages), None).tier


@pytest.mark.parametrize("value", NULLABLE)
def test_a_schema_of_values_that_may_be_null_is_an_extraction(value: dict[str, Any]) -> None:
    form = schema(berth=value, length=value, flag={"type": "string"})
    assert type_of("Turn the note into a record.", "x", response_format=form) == "extraction"


@pytest.mark.parametrize(
    "form",
    [
        schema(berth={"type": "string"}, length={"type": "number"}, flag=NULLABLE[0]),
        schema(berth=NULLABLE[0], explanation=NULLABLE[0]),
    ],
)
def test_other_schemas_may_have_a_value_that_is_null(form: dict[str, Any]) -> None:
    assert type_of("Turn the note into a record.", "x", response_format=form) == "structured"


def test_a_schema_to_generate_by_is_no_extraction() -> None:
    form = schema(name=NULLABLE[0], motto=NULLABLE[0])
    assert type_of("Invent a boat.", "x", response_format=form) == "structured"


@pytest.mark.parametrize(
    "system",
    [
        "Tone of the note: calm, tense, angry.",
        "You work for a harbour office. Section of the logbook: Arrivals, Repairs, Weather or Other.",
        'Are both notes about the same boat? Return {"same": true} or {"same": false}.',
        'Harbour radio. JSON {"urgent": bool, "kind": "rescue|traffic|weather"}',
    ],
)
def test_an_instruction_that_states_options_alone_asks_to_choose(system: str) -> None:
    assert tier_of(system, "the tug is late again") == 1


@pytest.mark.parametrize(
    "system, message, tier",
    [
        ("Outline the voyage report: weather, cargo, crew.", "the tug", 2),
        ('Answer the question. JSON {"answer": "text", "sure": bool}', "when does the tug leave", 2),
        (
            "Outcome of the claim: covered, partly, not covered.",
            "The hull cost 4,200 in all, of which 1,050 was paid; the excess is 300 and the limit 900.",
            3,
        ),
        ("Erstelle den Bericht: Wetter, Ladung, Mannschaft.", "der Schlepper", 2),
        ("Turn it into a status: what came, who waits, what is next.", "the tug", 2),
        ("Note the mooring fee.", "Fees: calm, tense, angry.", 2),
    ],
)
def test_options_beside_other_work_do_not_ask_to_choose(system: str, message: str, tier: int) -> None:
    assert tier_of(system, message) == tier


@pytest.mark.parametrize(
    "system, message",
    [
        ("What is owed? Number only.", "Berth 4, two nights."),
        ("Reply with the letter only.", "Which is larger? A) tug B) ferry"),
        ("Weigh the statements against each other. Answer PAY or REFUSE.", "He says it was late."),
        ("Who bears the loss? Answer master or owner.", CASE),
        ("Is the notice requirement of the charter satisfied? Answer yes or no.", CASE),
        ("Are all elements of the claim satisfied by the log? One word: yes or no.", CASE),
        ("La condition de préavis est-elle satisfaite ? Réponds par oui ou non.", CASE),
        ("¿Está satisfecho el requisito de forma? Responde sí o no.", CASE),
        ("Il requisito della forma è soddisfatto? Rispondi sì o no.", CASE),
    ],
)
def test_a_short_answer_that_cannot_be_read_off_the_message_is_reasoning(system: str, message: str) -> None:
    assert type_of(system, message) == "reasoning"


@pytest.mark.parametrize(
    "system, message",
    [
        ("Topic of the note: berth, customs or pilot.", CASE),
        ("Does the note mention an injury? Answer yes or no.", CASE),
        ("Answer master or owner.", "He says it was late."),
        ("Rate the berth from 1 to 5. Number only.", "Clean, but no power."),
        ("Is de beoordeling positief of negatief? Antwoord met één woord.", CASE),
        ("Cet avis est-il positif ou négatif ? Un seul mot.", CASE),
        ("Is the crew satisfied? Answer yes or no.", CASE),
    ],
)
def test_a_topic_a_mention_a_rating_or_a_short_message_is_a_label(system: str, message: str) -> None:
    assert type_of(system, message) == "classification"


def test_the_kind_of_a_claim_is_read_off_and_the_claim_itself_is_decided() -> None:
    kinds = "Answer with one word: hull, cargo or crew."
    assert type_of(f"Decide this claim type. {kinds}", "the tug hit the quay") == "classification"
    assert type_of(f"Decide each claim's category. {kinds}", "the tug hit the quay") == "classification"
    assert type_of("Decide this claim. Answer with one word: pay or refuse.", "the tug hit the quay") == "reasoning"


def test_an_order_for_one_case_does_not_make_a_reply_reasoning() -> None:
    system = "Write a friendly reply to the customer. If the order is late, then calculate the refund."
    assert type_of(system, "where is it") == "generation"


def test_examples_of_a_rewrite_as_earlier_turns_are_no_conversation() -> None:
    examples = ("tgu late", "tug late", "ferri erly", "ferry early")
    assert tier_of("Fix the spelling of the note. Output the note.", *examples, "brge on tim") == 1
    assert tier_of("Fix the spelling of the note. Output the note.", "tgu late", "The tug is late. " * 30, "brge") == 2


def test_options_after_the_material_of_a_message_ask_to_choose_however_many_they_are() -> None:
    topics = ", ".join(f"topic_{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
    assert tier_of(None, f"Harbour log.\n\n{CASE * 4}\n\nWhich topic is it? One of: {topics}.") == 1


def test_options_in_a_message_without_blank_lines_are_read_from_its_first_and_last_lines() -> None:
    message = "<request>\n<ask>Which topic? berth, customs or pilot.</ask>\n<note>\n"
    assert tier_of(None, f"{message}no free berth for the tug today\n</note>\n</request>") == 1


def test_what_a_policy_forbids_to_write_is_no_order_to_write() -> None:
    policy_text = (
        "1. Privacy. Write nothing that the crew must not see.\n\nTopics: berth, customs, pilot. Answer in two lines:"
    )
    assert tier_of(f"{policy_text}\ntopic: <one of the list>\nwhy: <a few words of the note>", "no berth for us") == 1


def test_a_request_that_is_an_object_itself_names_no_fields_of_its_answer() -> None:
    assert type_of(None, '{"task": "describe the boat", "name": "Alma", "length": "60 words"}') != "extraction"


@pytest.mark.parametrize(
    "instruction",
    [
        "Review the whole agreement with the harbour.",
        "Rank the risks of the crossing.",
        "You negotiate for the owner of the tug.",
        "Think about the tide before you write.",
        "Analyse the full table of landings.",
        "Say what is uncertain in the log.",
        "Argue like an experienced pilot against the fine.",
        "Plan a four-week unit on knots for twelve cadets.",
        "Estimate how many pilots each shift needs.",
        "As the harbour's surveyor, judge the state of the hull and say what you would repair first.",
    ],
)
def test_what_takes_strategy_or_an_argument_is_reasoning(instruction: str) -> None:
    assert type_of(instruction, "x") == "reasoning"


def test_a_label_out_of_stated_options_is_no_analysis_though_an_order_to_judge_stands_before_it() -> None:
    assert type_of("You are a harbour pilot. Judge the swell: low, medium, high.", "2 m from the west") != "reasoning"


def test_json_with_named_values_is_an_extraction_whatever_numbers_the_message_has() -> None:
    note = "Tug Alma, draught 3.2 m, 14 t of ore, 2 nights at berth 7, arrives with 5 crew and leaves after 40 hours"
    assert type_of("Note -> JSON {ship: str, draught: number, nights: int}", note) == "extraction"


def test_numbers_do_not_make_the_kind_of_a_text_hard_where_the_kinds_are_listed() -> None:
    scan = "Berth 4 fee 120.50, pilot 80, tugs 2 x 310, total 820.50 due within 14 days, reserved until further notice"
    assert type_of("What type of paper is it? Types: invoice, permit, log, other. Type only.", scan) == "classification"
    assert type_of("Does the fee have to be paid? yes or no", scan) == "reasoning"


def test_a_message_that_was_ordered_to_be_drafted_is_written_whatever_numbers_it_has() -> None:
    facts = "It arrives at 6 with a crew of 12 and a draught of 7 m and has to pay a fee of 300 and 80 for the pilot"
    assert type_of("Draft the email that tells the captain of the berth.", facts) == "generation"
    assert type_of("Fill the berth.", facts) == "reasoning"


def test_data_that_a_text_is_written_from_are_no_fields_of_the_answer() -> None:
    data = '{"vessel": "Elke", "calls": [{"type": "berth", "no": "4", "date": "2026-12-04", "from": "Kiel"}]}'
    assert type_of("", f"Turn the port call into a short e-mail to the agent.\n{data}") == "structured"
    assert type_of("", f"Take out the fields of the port call.\n{data}") == "extraction"


def test_one_of_many_listed_labels_is_no_verdict_on_a_case() -> None:
    labels = "berth crew customs fuel lost pilot repair tug water".split()
    mail = (
        "Good morning, our cook went ashore two days ago and nobody has seen him since. We sail at noon with a "
        "full crew or with a fine, so please tell the police on the quay, who do not answer their telephone at all"
    )
    assert type_of("Pick the single label:\n- " + "\n- ".join(labels) + "\n\nOnly the label.", mail) == "classification"
    assert type_of("Pick the single label:\n- " + "\n- ".join(labels[:3]) + "\n\nOnly the label.", mail) == "reasoning"
    assert features_for("Pick one label: " + ", ".join(labels) + ". Only the label.", mail).many_labels


def test_a_forced_choice_is_a_label_and_a_free_one_a_call() -> None:
    places = {"type": "object", "properties": {"to": {"type": "string", "enum": ["harbour", "customs"]}}}
    tools = [{"type": "function", "function": {"name": "send", "parameters": places}}]
    forced = Params(other={"tool_choice": {"type": "function", "function": {"name": "send"}}})
    assert type_of("You route mail.", "where is berth 4?", tools=tools, params=forced) == "classification"
    older = Params(other={"function_call": {"name": "send"}})
    assert type_of("You route mail.", "where is berth 4?", tools=tools, params=older) == "classification"
    assert type_of("You route mail.", "where is berth 4?", tools=tools) == "tool_use"
    assert (
        type_of("You route mail.", "where is berth 4?", tools=[TOOL], params=Params(other={"tool_choice": "required"}))
        == "tool_use"
    )


def test_an_enum_among_other_arguments_of_a_forced_call_is_no_label() -> None:
    weather = schema(berth={"type": "string"}, unit={"enum": ["knots", "beaufort"]})["json_schema"]["schema"]
    tools = [{"type": "function", "function": {"name": "wind", "parameters": weather}}]
    forced = Params(other={"tool_choice": "required"})
    assert type_of("You answer about the harbour.", "wind at berth 4?", tools=tools, params=forced) == "tool_use"


def test_a_forced_choice_after_the_result_of_a_tool_is_a_call() -> None:
    places = schema(to={"enum": ["harbour", "customs"]})["json_schema"]["schema"]
    tools = [{"type": "function", "function": {"name": "send", "parameters": places}}]
    messages = [Message("user", "where is berth 4?"), Message("tool", "harbour is closed")]
    features = features_of(messages, tools, None, Params(other={"tool_choice": "required"}))
    assert request_type(features, messages) == "tool_use"


@pytest.mark.parametrize(
    "instruction",
    ["Make this sound friendly.", "Say it in other words with the same meaning.", "Normalise the name of the ship."],
)
def test_other_words_with_the_same_meaning_are_a_rewrite(instruction: str) -> None:
    assert type_of(instruction, "you are late again") == "rewrite"


def test_what_a_manual_in_the_instruction_says_is_no_order_to_rewrite() -> None:
    assert type_of("Answer from this excerpt: to normalise loudness, open the mixer.", "where is it?") != "rewrite"


def test_a_detail_or_a_word_for_none_is_an_extraction() -> None:
    assert type_of("Bank lines. Give the berth number as B-## or UNKNOWN.", "FEE B 12 MAY") == "extraction"


def test_one_call_out_of_many_functions_is_no_agent() -> None:
    assert tier_of("Carry out the command with one function call.", "move the tug", tools=[TOOL] * 5) == 2
    assert tier_of("Carry out the command.", "move the tug", tools=[TOOL] * 5) == 3


def test_advice_and_a_bare_question_are_open_conversation() -> None:
    assert type_of("You are the coach of young captains.", "My mate does not listen to me.") == "chat"
    assert type_of(None, "Is it wise to buy an old tug?") == "chat"


def test_examples_of_a_label_as_earlier_turns_are_no_conversation() -> None:
    system = "Answer with exactly one label: order, complaint, praise."
    examples = ("too late", "complaint", "two more", "order", "well done", "praise")
    assert tier_of(system, *examples, "where is it") == 1
    question = "I am sorry to hear that; could you tell me which of the two parcels has not come yet?"
    assert tier_of(system, "too late", question, "the blue one", question, "yes", question, "where is it") == 2


def test_an_answer_of_very_few_tokens_is_a_label() -> None:
    message = "Tonfall der Meldung an die Werft? Der Kran steht seit gestern still."
    assert tier_of(None, message, params=Params(max_tokens=4)) == 1
    assert tier_of(None, message, params=Params(max_tokens=40)) == 2


@pytest.mark.parametrize("data", ["can you help me solve a math problem", "write python code", "prove it step by step"])
def test_data_does_not_change_the_type_of_a_fixed_task(data: str) -> None:
    assert type_of("Name the intent. Reply with exactly one intent from the catalogue.", data) == "intent"


def test_step_by_step_thinking_before_a_label_is_reasoning() -> None:
    assert type_of("Think step by step, then answer with exactly one label.", "x") == "reasoning"


def test_an_edit_with_an_explanation_is_more_than_an_edit() -> None:
    assert tier_of("Correct the sentence.", "The tug were late.") == 1
    assert tier_of("Correct the sentence and explain each mistake.", "The tug were late.") == 2


def test_a_text_that_states_a_verdict_is_written() -> None:
    assert type_of("Write the customer an email. Say yes if the refund was approved.", "lamp, 20 EUR") == "generation"


def test_a_person_who_asks_for_an_explanation_asks_for_more_than_a_label() -> None:
    question = "Is it safe to leave the boat in the lock? Answer yes or no"
    assert tier_of(None, f"{question}.") == 1
    assert tier_of(None, f"{question} and explain why.") > 1


@pytest.mark.parametrize("system", ["The figure goes into the form.", "Answer with exactly one label: yes, no."])
def test_running_text_with_several_quantities_is_reasoning(system: str) -> None:
    brief = "A berth of 12 m costs 30 a night, 9 more for each guest and 15% less from night 7 on; 4 guests stay."
    assert type_of(system, brief) == "reasoning"
    assert type_of(system, "Booked on 2026-03-04 at 10:30, code AB1234, see https://a.example/5/6/7/8") != "reasoning"


def test_hard_types_take_precedence_over_easy_ones() -> None:
    assert type_of("Rewrite the function in Rust and fix its bugs. Correct the grammar of comments.", "x") == "code"


def test_long_prose_input_is_long_context_and_a_long_label_request_is_not() -> None:
    assert type_of("Summarise the transcript.", "word " * 4000) == "long_context"
    assert type_of("Summarise the transcript.", "word " * 400) == "summarization"
    assert type_of("The topic. Answer with exactly one label: a, b.", "word " * 4000) == "classification"


def test_a_later_turn_without_a_fixed_task_is_chat() -> None:
    assert type_of(None, "hi") == "generation"
    features = features_for(None, "hi", "hello", "and now?")
    assert request_type(features, [Message("user", "and now?")]) == "chat"


def test_disabled_tools_are_not_tool_use() -> None:
    assert type_of("Write a poem.", "x", tools=[TOOL]) == "tool_use"
    assert type_of("Write a poem.", "x", tools=[TOOL], params=Params(other={"tool_choice": "none"})) == "generation"


def test_the_registry_takes_precedence_over_the_rules() -> None:
    entry = CallSite(name="a", request_type="summarization")
    assert request_type(features_for("Write code.", "x"), [], entry) == "summarization"
    assert request_type(features_for("Write code.", "x"), [], CallSite(name="a")) == "code"


@pytest.mark.parametrize("request_", WORDED, ids=lambda r: r["messages"][0]["content"][:50])
def test_paraphrased_requests_get_the_right_tier(request_: dict[str, Any]) -> None:
    messages = [Message(m["role"], m["content"]) for m in request_["messages"]]
    if "repeat_last" in request_:
        last = messages.pop()
        messages.append(Message(last.role, last.text * request_["repeat_last"]))
    features = features_of(
        messages,
        [TOOL] * request_.get("tools", 0),
        request_.get("response_format"),
        Params(max_tokens=request_.get("max_tokens")),
    )
    assert policy.decide(RULES, features, request_type(features, messages), None).tier == request_["tier"]


@given(st.text(max_size=300), st.none() | st.text(max_size=300))
def test_every_text_has_features_and_a_type(user: str, system: str | None) -> None:
    features = features_for(system, user)
    assert features.user_chars == len(user)
    assert request_type(features, [Message("user", user)]) in get_args(RequestType)


def test_a_loop_of_an_agent_in_text_is_reasoning() -> None:
    prompt = (
        "Tools:\nfind(name) - looks up a member\n\nThought: what to do\nAction: a tool\nAction Input: its input\n\n"
    )
    assert type_of(None, f"{prompt}Question: When does Ada's pass end?\nThought:") == "reasoning"


@pytest.mark.parametrize(
    "prompt, text",
    [
        ("Normalise the part's name to TYPE SIZE GRADE, upper case.", "bolt 12*16 grade 8.8, 3 of 40, lot 17"),
        ("Punctuate and case one line of a transcript. Return the line.", "it was nine when we met the three of them"),
    ],
)
def test_a_short_text_in_another_form_is_a_rewrite_whatever_numbers_it_has(prompt: str, text: str) -> None:
    assert type_of(None, f"{prompt}\n\n{text}") == "rewrite"


@pytest.mark.parametrize(
    "system",
    [
        'Grade the report 1-10 as {"grade": n}. Wrong facts cost most.',
        "Bewerte den Bericht von 1 bis 10. Nur die Zahl.",
        "Score each log entry from 0 to 100.",
    ],
)
def test_rating_a_long_text_is_a_judgement_and_rating_a_short_one_a_label(system: str) -> None:
    assert type_of(system, CASE * 4) == "reasoning"
    assert type_of(system, "The tug left at noon.") != "reasoning"


def test_what_an_assistant_is_to_be_like_is_no_list_of_options() -> None:
    companion = "You are Elin, a partner for talks on board. Be a good listener: exact, patient, friendly."
    assert type_of(companion, "Why do tides differ?") not in ("classification", "intent", "moderation")
    assert type_of("Passengers ask you about anything. Keep earlier turns in mind.", "Why do tides differ?") == "chat"


@pytest.mark.parametrize(
    "system",
    [
        "Watch log. Kinds: TIDE ENGINE CARGO CREW WEATHER\nSay the kind.",
        "Return <kind> with one of tide_turn engine_fault cargo_shift crew_change",
    ],
)
def test_names_in_a_row_are_options_without_commas(system: str) -> None:
    assert type_of(system, "the pump stopped at six") == "classification"


@pytest.mark.parametrize(
    "system",
    [
        "WARNING: NEVER SHARE THIS LOG WITH ANYONE\nReply to the crew.",
        "Style sheet for the ferry category: concrete, no superlatives, third person, 45-80 words. Facts follow.",
    ],
)
def test_a_warning_in_capitals_and_rules_of_style_are_no_options(system: str) -> None:
    assert type_of(system, "the pump stopped at six") not in ("classification", "intent", "moderation")


def test_numbers_may_be_words_in_a_word_problem() -> None:
    assert hardness.is_problem("Ten crates go ashore on each of three days. How many are ashore on Friday?")


@pytest.mark.parametrize(
    "system",
    [
        "Create two multiple choice questions on the note. Exactly one right option each.",
        "Write 3 quiz questions about the note, open ones and true/false.",
        "Write a multiple choice question on the note. Four options, one correct sentence each.",
    ],
)
def test_questions_that_are_to_be_written_are_no_label(system: str) -> None:
    assert tier_of(system, CASE) == 2
