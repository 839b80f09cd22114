"""Prompts inside user messages."""

import random

from pipeline.profile.user_prompts import user_prompts

NOUNS = "boat pier crew cabin deck rope storm tide gull fare ticket harbour".split()
PHRASES = ("was late again today.", "was very kind to us.", "is not where we were told.", "has no room for the dog.")


def texts(head: str, n: int, seed: int) -> list[str]:
    r = random.Random(seed)
    # Each task's messages have sentences of their own.
    return [f"{head}\nThe {NOUNS[seed]} {r.choice(PHRASES)} {' '.join(r.choices(NOUNS, k=6))}" for _ in range(n)]


def replies(*options: str, n: int) -> list[str]:
    return [options[k % len(options)] for k in range(n)]


def test_each_instruction_is_a_prompt_whatever_sentences_its_messages_share() -> None:
    sort, praise = "TASK: Which of the three trays does it belong to?", "TASK: Write a kind reply in our name."
    answers = replies("late", "bags", n=90) + replies("We thank you, and all of the crew thanks you too.", n=60)
    prompts = user_prompts(texts(sort, 90, 1) + texts(praise, 60, 2), answers)
    assert [len(prompt.members) for prompt in prompts] == [90, 60]
    assert [prompt.pattern.prefix.splitlines()[0] for prompt in prompts] == [sort, praise]


def test_tasks_that_begin_with_the_same_sentence_are_two_prompts() -> None:
    head = "You read the notes of the ferry company."
    sort, mood = f"{head} Is it late or early?", f"{head} How does the passenger feel today?"
    answers = replies("late", "early", n=60) + replies("calm", "angry", n=60)
    prompts = user_prompts(texts(sort, 60, 3) + texts(mood, 60, 4), answers)
    assert {sort, mood} == {prompt.pattern.prefix.splitlines()[0] for prompt in prompts}
