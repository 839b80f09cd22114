"""pipeline/train/chat.py"""

import pytest

from benchmarks.gpu import models
from pipeline.train import chat
from pipeline.train.chat import IGNORED
from tests.fakes import tiny_models
from traffic.errors import InputError, Unsupported

PROMPT = [{"role": "system", "content": "intent"}, {"role": "user", "content": "where is my parcel?"}]
ANSWER = [{"role": "assistant", "content": "delivery"}]


@pytest.fixture(scope="module", params=["llama", "qwen2"])
def tokenizer(request):
    tokenizer = tiny_models.tokenizer(request.param)
    tokenizer.chat_template = chat.pin_template(tokenizer.chat_template)
    return tokenizer


def test_the_labels_are_the_completion_with_its_end_of_turn_and_nothing_after_it(tokenizer):
    row = chat.encode(tokenizer, PROMPT, ANSWER)
    supervised = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(supervised) == "delivery" + tokenizer.eos_token
    assert row.supervised == len(supervised)
    assert len(row.labels) == len(row.ids)


def test_the_prompt_equals_the_servers_rendering(tokenizer):
    row = chat.encode(tokenizer, PROMPT, ANSWER)
    assert row.ids[: row.prompt_length] == chat.encode_prompt(tokenizer, PROMPT)


def test_an_answer_that_quotes_the_prompt_is_not_truncated(tokenizer):
    row = chat.encode(tokenizer, PROMPT, [{"role": "assistant", "content": "where is my parcel? delivery"}])
    assert tokenizer.decode(row.ids[row.prompt_length :]) == "where is my parcel? delivery" + tokenizer.eos_token


def test_a_template_that_never_ends_an_answer_is_refused(tokenizer):
    endless = tiny_models.tokenizer("qwen2")
    endless.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}"
    with pytest.raises(InputError, match="never stop"):
        chat.encode(endless, PROMPT, ANSWER)


def test_a_template_that_renders_prompts_differently_before_an_answer_is_refused():
    shifty = tiny_models.tokenizer("qwen2")
    shifty.chat_template = "{{ messages | length }}" + models.CHATML
    with pytest.raises(InputError, match="renders a prompt differently"):
        chat.encode(shifty, PROMPT, ANSWER)


def test_the_date_in_a_llama_template_is_pinned():
    llama = tiny_models.tokenizer("llama")
    llama.chat_template = chat.pin_template(models.LLAMA3)
    assert f"Today Date: {chat.PINNED_DATE}" in llama.decode(chat.encode_prompt(llama, PROMPT))


def test_pinning_adds_nothing_else_to_the_prompt():
    free, pinned = tiny_models.tokenizer("llama"), tiny_models.tokenizer("llama")
    pinned.chat_template = chat.pin_template(models.LLAMA3)
    text = free.apply_chat_template(PROMPT, tokenize=False, date_string=chat.PINNED_DATE)
    assert pinned.apply_chat_template(PROMPT, tokenize=False) == text


def test_a_template_without_a_date_is_unchanged():
    assert chat.pin_template(models.CHATML) == models.CHATML


def test_a_template_whose_date_cannot_be_pinned_is_refused():
    with pytest.raises(Unsupported, match="current time"):
        chat.pin_template("{{ strftime_now('%H:%M') }}")


EXAMPLE = {"input_ids": [5, 6, 7, 8, 2], "labels": [IGNORED, IGNORED, IGNORED, 8, 2]}
OTHER = {"input_ids": [5, 6, 9, 2], "labels": [IGNORED, IGNORED, 9, 2]}
IDS = [[5, 6, 7, 8, 2], [5, 6, 9, 2, 0]]
LABELS = [[IGNORED, IGNORED, IGNORED, 8, 2], [IGNORED, IGNORED, 9, 2, IGNORED]]


def test_a_correctly_labelled_batch_passes():
    assert chat.check_batch(IDS, LABELS, [EXAMPLE, OTHER], end=2) is None


def test_a_packed_batch_is_checked_document_by_document():
    packed = {key: EXAMPLE[key] + OTHER[key] for key in EXAMPLE} | {"seq_lengths": [5, 4]}
    assert chat.check_batch([packed["input_ids"]], [packed["labels"]], [packed], end=2) is None
    cut = {key: EXAMPLE[key][:-1] + OTHER[key] for key in EXAMPLE} | {"seq_lengths": [4, 4]}
    assert "end-of-turn" in chat.check_batch([cut["input_ids"]], [cut["labels"]], [cut], end=2)


def test_a_batch_without_end_of_turn_labels_is_detected():
    unended = {"input_ids": [5, 6, 7, 8], "labels": [IGNORED, IGNORED, 7, 8]}
    assert "never stop" in chat.check_batch([[5, 6, 7, 8]], [[IGNORED, IGNORED, 7, 8]], [unended], end=2)


def test_loss_on_the_prompt_is_detected():
    everything = {"input_ids": [5, 6, 2], "labels": [5, 6, 2]}
    assert (
        chat.check_batch([[5, 6, 2]], [[5, 6, 2]], [everything], end=2) == "labels are not the completion's own tokens"
    )


def test_a_collator_that_drops_labels_is_detected():
    # What a collator does that masks the padding token where it is also the end-of-turn token.
    masked = [[IGNORED, IGNORED, IGNORED, 8, IGNORED], LABELS[1]]
    assert "carry loss after collation" in chat.check_batch(IDS, masked, [EXAMPLE, OTHER], end=2)
