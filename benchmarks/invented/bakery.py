"""A chain of bakeries: chatty prompts in English and German, several prompts a call site, answers with a reason first."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    day,
    misspelt,
    money,
    name,
    pick,
    prose,
    sentence,
    transcript,
)

_BREADS = "rye loaf,seed roll,pretzel,croissant,sourdough,plum cake,baguette,cinnamon bun".split(",")
_TOPICS = {
    "allergens": ("is there nut in the", "lactose free", "gluten in your"),
    "order": ("I want to order", "please put aside", "can you bake"),
    "opening": ("are you open on Sunday", "when do you close", "holiday hours"),
    "praise": ("best ever", "my kids love", "thank you for the"),
    "complaint": ("it was stale", "found a hair in", "burnt again"),
}


def _topic(r: random.Random) -> Turn:
    label = pick(r, tuple(_TOPICS))
    return Turn(f"{pick(r, _TOPICS[label])} {pick(r, _BREADS)}, {pick(r, FIRST)} from {pick(r, CITIES)}", label)


def _order(r: random.Random) -> Turn:
    who, what, n, when = name(r), pick(r, _BREADS), r.randint(2, 60), day(r)
    return Turn(
        f"Hallo, {who} hier, ich hätte gern {n} {what} am {when}, hole selbst ab, {sentence(r)}",
        json.dumps({"kunde": who, "ware": what, "menge": n, "tag": when}),
    )


def _recipe(r: random.Random) -> Turn:
    text = f"{r.randint(20, 90)} {pick(r, _BREADS)} of {r.randint(60, 900)} g, {r.randint(55, 80)}% water, {r.randint(10, 30)}% starter that is half water, oven takes {r.randint(8, 24)} at once, {r.randint(20, 50)} min each"
    return Turn(text, f"{r.randint(3, 60)}.{r.randint(0, 9)} kg")


def _plan(r: random.Random) -> Turn:
    text = f"{pick(r, FIRST)} starts at {r.randint(1, 4)}, {pick(r, FIRST)} may lift no more than {r.randint(5, 20)} kg, two ovens, {r.randint(4, 9)} doughs with {r.randint(1, 18)} h rest, van at {r.randint(5, 7)}"
    return Turn(
        text,
        f"First the doughs with the longest rest, because {sentence(r)} Then {sentence(r)} Since the van leaves early, {prose(r, 6)}",
        reasoning_tokens=r.randint(200, 800),
    )


def _which(r: random.Random) -> Turn:
    listed = r.sample(_BREADS, 4)
    text = (
        f"Guest: {sentence(r)} has {r.randint(3, 12)} euro for {r.randint(2, 6)} people, no nuts. Today: "
        + "; ".join(f"{b} {money(r, 1, 9)} for {r.randint(1, 4)}" for b in listed)
    )
    return Turn(text, pick(r, listed))


def _claim(r: random.Random) -> Turn:
    text = f"Delivered {day(r)} {r.randint(4, 9)}:00, complaint {r.randint(1, 72)} h later, {r.randint(1, 40)} of {r.randint(41, 200)} pieces, photo {pick(r, ('yes', 'no'))}, contract: {r.randint(12, 48)} h, from {r.randint(5, 20)}% on, only with photo"
    return Turn(text, f"{sentence(r)} Decision: {pick(r, ('refund', 'no refund', 'half'))}")


def _hygiene(r: random.Random) -> Turn:
    bad = r.random() < 0.09
    return Turn(
        f"{pick(r, FIRST)}: {sentence(r)} {'mouse droppings behind the oven' if bad else pick(r, ('all clean', 'floor mopped', 'fridge at 4 degrees'))}",
        "alarm" if bad else "ok",
    )


def _sign(r: random.Random) -> Turn:
    text = f"Heute frisch gebacken: {pick(r, _BREADS)} mit Butter, solange der Vorrat reicht, nur in der Filiale {pick(r, CITIES)}."
    return Turn(misspelt(r, text), text)


def _stars(r: random.Random) -> Turn:
    n = r.randint(1, 5)
    cue = {1: "awful", 2: "not good", 3: "okay", 4: "really nice", 5: "outstanding"}[n]
    return Turn(f"{cue} {pick(r, _BREADS)} in {pick(r, CITIES)}, {pick(r, FIRST)}", str(n))


def _menu(r: random.Random) -> Turn:
    return Turn(f"{pick(r, _BREADS)}, {pick(r, ('spring', 'winter'))}, {money(r, 2, 9)}", prose(r, 3))


def _meeting(r: random.Random) -> Turn:
    return Turn(transcript(r, 25), f"* {sentence(r)}\n* {sentence(r)}\n* {sentence(r)}")


def _answer(r: random.Random) -> Turn:
    return Turn(
        f"Handbook:\n{prose(r, 12)}\n\nWhat do I do when {pick(r, ('the oven stops', 'a guest faints'))}?", prose(r, 3)
    )


def _excel(r: random.Random) -> Turn:
    return Turn(
        f"sum of {pick(r, _BREADS)} sold in {pick(r, CITIES)} where the price is over {r.randint(1, 5)}",
        f'=SUMIFS(D2:D{r.randint(50, 999)},A2:A999,"{pick(r, _BREADS)}",B2:B999,"{pick(r, CITIES)}",C2:C999,">{r.randint(1, 5)}")',
    )


def _stock(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, _BREADS)} left in {pick(r, CITIES)}?", "", (("get_stock", json.dumps({"query": pick(r, _BREADS)})),)
    )


def _asks(r: random.Random) -> str:
    return f"Good morning from the bakery in {pick(r, CITIES)}! "


COMPANY = Company(
    "bakery", False,
    (
        Site("box.topic", 1, "intent", _topic, lambda r: _asks(r) + "Somebody wrote to us. Is it about allergens, order, opening, praise or complaint? Just the word please.", 5),
        Site("box.order", 1, "extraction", _order, lambda r: _asks(r) + "Notier die Bestellung fürs System: kunde, ware, menge, tag, als JSON.", 4),
        Site("dough.flour", 3, "reasoning", _recipe, lambda r: _asks(r) + "How much flour do we need to weigh? Number and unit.", 1),
        Site("night.plan", 3, "reasoning", _plan, lambda r: _asks(r) + "Plan the night so that everything is in the van.", 0.7),
        Site("till.advice", 3, "reasoning", _which, lambda r: _asks(r) + "What should we sell this guest? One thing.", 0.8),
        Site("b2b.claim", 3, "reasoning", _claim, lambda r: _asks(r) + "A hotel complains. Think about the contract, then write Decision: and refund, no refund or half.", 1),
        Site("night.hygiene", 1, "moderation", _hygiene, lambda r: _asks(r) + "Night notes. ok or alarm?", 3),
        Site("sign.spell", 1, "rewrite", _sign, lambda r: _asks(r) + "Rechtschreibung vom Schild prüfen und das Schild neu schreiben, sonst nichts ändern.", 2),
        Site("web.stars", 1, "classification", _stars, lambda r: _asks(r) + "How many stars would this guest give, 1 to 5?", 3),
        Site("menu.text", 2, "generation", _menu, lambda r: _asks(r) + "A few lines for the menu board.", 1.5),
        Site("boss.notes", 2, "summarization", _meeting, lambda r: _asks(r) + "Put the meeting in a nutshell.", 1.5),
        Site("staff.handbook", 2, "generation", _answer, lambda r: _asks(r) + "A colleague asks. The handbook knows.", 1.5),
        Site("office.sheet", 3, "code", _excel, lambda r: _asks(r) + "What goes into the cell?", 0.8),
        Site("till.stock", 2, "tool_use", _stock, lambda r: _asks(r) + "Look it up.", 1.5, tools=("get_stock", "get_price")),
    ),
)  # fmt: skip
