"""A museum's audience team: long English prompts with examples in them, questions about pictures, tickets and loans."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    LAST,
    code,
    day,
    misspelt,
    money,
    name,
    pick,
    prose,
    sentence,
    transcript,
)

_MOODS = {
    "curious": ("what is behind the", "who painted the", "why is it so"),
    "bored": ("too long", "nothing to do for", "yawn"),
    "moved": ("I cried at", "goosebumps before", "stood an hour at"),
}
_ERAS = {
    "antiquity": ("amphora", "marble torso", "coin of Hadrian"),
    "middle ages": ("altar wing", "psalter leaf", "pilgrim badge"),
    "modern": ("poster", "steel chair", "photograph"),
}
_EXAMPLE = "\n\nExamples\n> {0}\n< {1}\n\nThe examples are from the pilot; the wording of guests differs.\n"


def _mood(r: random.Random) -> Turn:
    label = pick(r, tuple(_MOODS))
    return Turn(f"{pick(r, _MOODS[label])} room {r.randint(1, 40)}, {pick(r, FIRST)} ({pick(r, CITIES)})", label)


def _era(r: random.Random) -> Turn:
    label = pick(r, tuple(_ERAS))
    return Turn(
        f"Inv. {code(r)}: {pick(r, _ERAS[label])}, gift of {name(r)}",
        f'{{"era": "{label}", "sure": {pick(r, ("true", "true", "false"))}}}',
    )


def _loan(r: random.Random) -> Turn:
    who, what, start, end = pick(r, CITIES), code(r), day(r), day(r)
    return Turn(
        f"Dear colleagues, for our show in {who} we would like to borrow {what} from {start} until {end}. {sentence(r)} {name(r)}",
        json.dumps({"borrower": who, "object": what, "from": start, "until": end}),
    )


def _climate(r: random.Random) -> Turn:
    text = f"oil on panel, {r.randint(40, 70)}% humidity with steps of {r.randint(1, 9)}% in {r.randint(1, 12)} h, {r.randint(15, 28)} C, {r.randint(20, 300)} lux for {r.randint(2, 12)} h a day, {r.randint(1, 9)} months on show, {r.randint(1, 4)} old cracks"
    return Turn(text, pick(r, ("may travel", "may not travel", "with a climate box")))


def _attribution(r: random.Random) -> Turn:
    hands = r.sample(LAST, 3)
    text = f"The panel shows the red of {hands[0]}, underdrawing as {hands[1]} used it, wood felled after {r.randint(1450, 1650)}; {hands[2]} left the town in {r.randint(1450, 1650)}; the archive names {hands[0]} until {r.randint(1450, 1650)}. Whose hand is it?"
    return Turn(text, pick(r, hands))


def _ticket(r: random.Random) -> Turn:
    text = f"{r.randint(2, 5)} adults at {r.randint(8, 20)}, {r.randint(1, 6)} children at half price, group rate of {r.randint(5, 20)}% from {r.randint(5, 9)} people, audio guide {r.randint(2, 6)} each, voucher of {r.randint(5, 30)}. Total?"
    return Turn(text, money(r, 20, 200))


def _label(r: random.Random) -> Turn:
    text = f"This small bronze was found in {pick(r, CITIES)} and shows a dancer; it was restored in {r.randint(1890, 2020)} by {name(r)}."
    return Turn(misspelt(r, text), text)


def _guestbook(r: random.Random) -> Turn:
    bad = r.random() < 0.08
    return Turn(
        f"{sentence(r)} {pick(r, FIRST)} {'go back to where you came from' if bad else pick(r, ('lovely', 'thanks', 'cold café'))}",
        "hide" if bad else "show",
    )


def _tour(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, tuple(_ERAS))}, {r.randint(20, 90)} minutes, {pick(r, ('families', 'experts'))}", prose(r, 8)
    )


def _meeting(r: random.Random) -> Turn:
    return Turn(transcript(r, 24), prose(r, 2))


def _guide(r: random.Random) -> Turn:
    return Turn(
        f"<<{prose(r, 5)}>> <<{prose(r, 5)}>> Guest asks: where is {pick(r, ('the cloakroom', 'the Vermeer'))}?",
        prose(r, 2),
    )


def _curate(r: random.Random) -> Turn:
    text = f"theme {pick(r, ('water', 'exile', 'bread'))}, {r.randint(3, 9)} rooms, {r.randint(20, 90)} objects, {money(r, 1000, 90000)} budget, {pick(r, FIRST)} wants fewer texts"
    return Turn(
        text,
        f"First {sentence(r)} because {sentence(r)} Second {sentence(r)} Therefore {prose(r, 5)} Finally {sentence(r)}",
        reasoning_tokens=r.randint(300, 900),
    )


def _chat(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [{"role": "user", "content": f"tell me about {code(r)}"}]
    for _ in range(r.randint(1, 3)):
        asked += [
            {"role": "assistant", "content": prose(r, 3)},
            {"role": "user", "content": f"hm, and how does that fit with {pick(r, tuple(_ERAS))}? {sentence(r)}"},
        ]
    return Turn(asked, prose(r, 6))


def _agent(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [{"role": "user", "content": f"get {code(r)} to {pick(r, CITIES)} by {day(r)}"}]
    for n in range(r.randint(0, 3)):
        asked.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": f"c{n}", "type": "function", "function": {"name": "ask_courier", "arguments": "{}"}}
                ],
            }
        )
        asked.append({"role": "tool", "tool_call_id": f"c{n}", "content": f"{day(r)} {money(r)}"})
    return Turn(asked, "", ((pick(r, ("ask_courier", "insure", "book_courier")), json.dumps({"query": code(r)})),))


_HEAD = "The audience team of the Museum am Fluss uses this step. Guests write in a few words, staff in many.\n\nTask\n"
COMPANY = Company(
    "museum", False,
    (
        Site("wall.mood", 1, "classification", _mood, _HEAD + "How does the guest feel: curious, bored or moved?" + _EXAMPLE.format("so dull", "bored"), 4),
        Site("depot.era", 1, "classification", _era, _HEAD + "Era of the object and whether you are sure." + _EXAMPLE.format("coin", '{"era": "antiquity", "sure": true}'), 3),
        Site("loans.request", 1, "extraction", _loan, _HEAD + "Fill the loan form with borrower, object, from and until." + _EXAMPLE.format("...", '{"borrower": ...}'), 3),
        Site("loans.climate", 3, "reasoning", _climate, _HEAD + "The conservator's verdict on the journey." + _EXAMPLE.format("...", "may travel"), 1),
        Site("research.hand", 3, "reasoning", _attribution, _HEAD + "Name the painter." + _EXAMPLE.format("...", "Costa"), 0.8),
        Site("till.total", 3, "reasoning", _ticket, _HEAD + "The sum that the till shows." + _EXAMPLE.format("...", "41.50"), 1),
        Site("wall.label", 1, "rewrite", _label, _HEAD + "Wall labels with slips of the pen. Give them back clean." + _EXAMPLE.format("a smal bronze", "a small bronze"), 2),
        Site("book.moderate", 1, "moderation", _guestbook, _HEAD + "Guest book on the screen in the hall: show or hide." + _EXAMPLE.format("nice", "show"), 3),
        Site("tour.script", 2, "generation", _tour, _HEAD + "A script for the tour guide.", 1.3),
        Site("team.notes", 2, "summarization", _meeting, _HEAD + "What came out of the meeting?", 1.3),
        Site("guide.answer", 2, "generation", _guide, _HEAD + "Answer from what stands between the angle brackets.", 1.5),
        Site("show.concept", 3, "reasoning", _curate, _HEAD + "Make a concept for the show that the board can follow.", 0.7),
        Site("guide.talk", 3, "chat", _chat, _HEAD + "Talk with the guest about the collection.", 1),
        Site("loans.courier", 3, "tool_use", _agent, _HEAD + "See the transport through.", 0.8, tools=("ask_courier", "insure", "book_courier", "tell_registrar")),
    ),
)  # fmt: skip
