from hypothesis import given
from hypothesis import strategies as st

from traffic.edited_prompts import KEPT_CHARS, EditedPrompts

QUEUE = "Choose the queue of a message.\nInvoices and refunds belong to billing.\nAnswer with the queue alone."
REPLY = "Draft a reply to the customer.\nName the order and the date of delivery.\nSign as the team of the shop."
HOUSE = "You work for a shop of garden tools in Leeds.\nNever mention a competitor by name."
PROMPTS = EditedPrompts([("queue", [QUEUE]), ("reply", [REPLY])])


def test_a_prompt_is_recognised_with_a_sentence_changed_added_or_left_out() -> None:
    sentences = REPLY.split("\n")
    assert PROMPTS.find(REPLY) == 1
    assert PROMPTS.find("\n".join([*sentences[:2], "Sign with your first name."])) == 1
    assert PROMPTS.find("\n".join([*sentences, *(f"Rule {n}: apologise {n} times." for n in range(20))])) == 1
    assert PROMPTS.find("\n".join(sentences[1:])) == 1


def test_most_of_a_prompt_must_be_left() -> None:
    assert PROMPTS.find(f"{QUEUE.splitlines()[1]}\n{HOUSE}\nWrite a poem about the queue in the shop.") is None


def test_a_part_of_a_long_prompt_is_recognised_if_nothing_else_stands_there() -> None:
    long = EditedPrompts([("queue", [f"{QUEUE}\n" + "\n".join(f"Product {n} belongs to tools." for n in range(5))])])
    assert long.find(QUEUE) == 0
    assert long.find(f"{QUEUE}\n{REPLY}") is None


def test_a_persona_alone_is_not_the_prompt() -> None:
    rules = "\n".join(f"Product {n} of the shop belongs to the queue of tools." for n in range(9))
    persona = EditedPrompts([("queue", [f"{HOUSE}\n{rules}"])])
    assert persona.find(f"{HOUSE}\nTranslate to French.") is None


def test_sentences_of_several_call_sites_identify_none() -> None:
    shared = EditedPrompts([("queue", [f"{HOUSE}\n{QUEUE}"]), ("reply", [f"{HOUSE}\n{REPLY}"])])
    assert shared.find(f"{HOUSE}\nTranslate the message to German.") is None
    assert shared.find(f"{HOUSE}\n{QUEUE}\nRefunds of tools belong to returns.") == 0


def test_two_prompts_of_one_call_site_may_share_sentences() -> None:
    queue = EditedPrompts([("queue", [QUEUE]), ("queue", [f"{QUEUE}\nUse the queue returns for broken tools."])])
    assert queue.find(f"{QUEUE}\nUse the queue returns for broken tools.\nBe strict.") == 1


def test_a_text_of_two_call_sites_is_neither() -> None:
    assert PROMPTS.find(f"{QUEUE}\n{REPLY}") is None


def test_short_prompts_are_not_compared() -> None:
    short = "You are a helpful assistant."
    assert len(short) < KEPT_CHARS
    assert EditedPrompts([("chat", [short])]).find(f"{short} Answer in German.") is None


SENTENCES = [f"Rule {n}: tie up at berth {n} first." for n in range(12)]


@given(st.lists(st.sampled_from(SENTENCES), min_size=2, unique=True))
def test_a_prompt_of_its_own_sentences_is_found_in_any_order(sentences: list[str]) -> None:
    prompts = EditedPrompts([("a", ["\n".join(sentences)]), ("b", [REPLY])])
    assert prompts.find("\n".join(reversed(sentences))) == 0


@given(st.text(alphabet="ab .!?\n。", max_size=200))
def test_a_text_that_two_call_sites_have_is_neither(text: str) -> None:
    assert EditedPrompts([("a", [text, ""]), ("b", [text])]).find(text) is None
