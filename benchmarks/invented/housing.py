"""A housing platform: ordinary product prompts in English, German, French and Spanish, some sites without tags' help."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    THINGS,
    code,
    day,
    labelled,
    misspelt,
    money,
    name,
    pick,
    prose,
    sentence,
    transcript,
)

_REQUESTS = {
    "repair": ("the tap drips", "heating is cold", "window does not close"),
    "viewing": ("when can I see the flat", "is it still free", "visit on Saturday"),
    "contract": ("when does my lease end", "I want to give notice", "add my partner to the lease"),
    "deposit": ("get my deposit back", "how much is the deposit", "deposit not returned"),
    "noise": ("neighbours party all night", "dog barks", "building site at six"),
}
_ROOMS = {
    "Küche": ("Herd", "Spüle", "Backofen"),
    "Bad": ("Dusche", "Wanne", "WC"),
    "Wohnzimmer": ("Sofa", "Kamin", "Fernseher"),
    "Balkon": ("Aussicht", "Pflanzen", "Geländer"),
}


def _request(r: random.Random) -> Turn:
    text, label = labelled(r, _REQUESTS, 0.12)
    return Turn(text, label)


def _room(r: random.Random) -> Turn:
    label = pick(r, tuple(_ROOMS))
    return Turn(
        f"{pick(r, _ROOMS[label])} in {pick(r, CITIES)}, Nr. {r.randint(1, 90)}, {pick(r, ('neu', 'hell', 'groß', 'alt'))}",
        label,
    )


def _listing(r: random.Random) -> Turn:
    rooms, size, rent, city = r.randint(1, 6), r.randint(20, 160), r.randint(400, 2500), pick(r, CITIES)
    text = f"{pick(r, ('Sunny', 'Quiet', 'Modern'))} flat in {city}, {rooms} rooms, {size} sqm, {rent} a month, from {day(r)}. {sentence(r)}"
    return Turn(text, json.dumps({"city": city, "rooms": rooms, "sqm": size, "rent": rent}))


def _tenant(r: random.Random) -> Turn:
    who, move, phone = name(r), day(r), f"+32 4{r.randint(10000000, 99999999)}"
    return Turn(
        f"Bonjour, je m'appelle {who}, j'emménage le {move}, mon numéro est le {phone}. {pick(r, FIRST)} vient avec moi.",
        json.dumps({"nom": who, "date": move, "telephone": phone}),
    )


def _scam(r: random.Random) -> Turn:
    bad = r.random() < 0.15
    return Turn(
        f"{pick(r, ('Pay the deposit by gift card, keys come by post', 'I am abroad, send passport and money first')) if bad else pick(r, ('The flat is free from May', 'Come by on Friday', 'Keys are with the caretaker'))}. {pick(r, FIRST)}, {pick(r, CITIES)}",
        "scam" if bad else "genuine",
    )


def _discrimination(r: random.Random) -> Turn:
    bad = r.random() < 0.06
    return Turn(
        f"{pick(r, ('No families please', 'Only young people')) if bad else pick(r, ('Balcony to the south', 'Near the tram', 'Freshly painted'))}, {r.randint(20, 160)} sqm, {pick(r, CITIES)}",
        "violates" if bad else "ok",
    )


def _typos(r: random.Random) -> Turn:
    text = f"La cocina es nueva y el salón da al parque, a cinco minutos del centro de {pick(r, CITIES)}, pregunta por {pick(r, FIRST)}."
    return Turn(misspelt(r, text), text)


def _shorten(r: random.Random) -> Turn:
    text = f"{pick(r, ('Lovely', 'Charming', 'Really nice'))} flat with a {pick(r, THINGS)}, close to everything in {pick(r, CITIES)}, {sentence(r)}"
    return Turn(text, f"Flat with a {text.split(' with a ')[1].split(',')[0]}, {pick(r, CITIES)}")


def _prorata(r: random.Random) -> Turn:
    text = (
        f"Rent {r.randint(500, 2000)} from the {r.randint(2, 27)}th of a month with {r.choice((28, 30, 31))} days, service charge {r.randint(50, 200)}, reduced by "
        f"{r.randint(5, 40)}% for {r.randint(3, 20)} days without heating, and {r.randint(1, 3)} months of deposit in {r.randint(2, 3)} parts. What is due at the start?"
    )
    return Turn(text, money(r, 500, 6000))


def _notice(r: random.Random) -> Turn:
    text = (
        f"Lease of {day(r)}, minimum term {r.randint(1, 3)} years, notice {r.randint(1, 6)} months to the end of a quarter, waived if a successor earns {r.randint(2, 4)} times the "
        f"rent. Letter dated {day(r)}, received {r.randint(1, 9)} days later, successor earns {r.randint(1500, 6000)}, rent {r.randint(500, 1800)}. {sentence(r)}"
    )
    return Turn(text, pick(r, ("valid", "invalid", "valid later")))


def _flatmates(r: random.Random) -> Turn:
    w = r.sample(FIRST, 4)
    return Turn(
        f"{w[0]}, {w[1]}, {w[2]} and {w[3]} share four rooms in a row. {w[0]} is not beside {w[1]}; {w[2]} has the first room or the last; {w[3]} is left of {w[0]}. Whose room is third?",
        pick(r, w),
    )


def _appraisal(r: random.Random) -> Turn:
    text = f"{r.randint(40, 200)} sqm, built {r.randint(1900, 2020)}, roof {r.randint(1, 40)} years, sold nearby: {money(r, 2000, 6000)}, {money(r, 2000, 6000)} per sqm, let at {r.randint(600, 2500)}"
    return Turn(
        text,
        f"The comparison gives {money(r, 2000, 6000)} per sqm; since the roof is old, {sentence(r)} Therefore the yield is {r.randint(2, 6)}%, which means {sentence(r)} {prose(r, 5)}",
        reasoning_tokens=r.randint(200, 700),
    )


def _advert(r: random.Random) -> Turn:
    return Turn(f"{r.randint(1, 5)} rooms, {pick(r, CITIES)}, {pick(r, THINGS)}, {r.randint(400, 2500)}", prose(r, 5))


def _visit(r: random.Random) -> Turn:
    return Turn(transcript(r, 24), prose(r, 3))


def _answer(r: random.Random) -> Turn:
    return Turn(
        f"Kontext:\n{prose(r, 8)}\n\nFrage: Wer zahlt {pick(r, ('den Schlüsseldienst', 'die Reinigung'))}?", prose(r, 2)
    )


def _calendar(r: random.Random) -> Turn:
    return Turn(f"book a viewing for {name(r)} on {day(r)}", "", (("create_viewing", json.dumps({"query": day(r)})),))


def _agent(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [
        {"role": "user", "content": f"move {name(r)} to another flat of the same size by {day(r)} and inform everybody"}
    ]
    for n in range(r.randint(0, 4)):
        asked.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": f"c{n}", "type": "function", "function": {"name": "search_flats", "arguments": "{}"}}
                ],
            }
        )
        asked.append(
            {"role": "tool", "tool_call_id": f"c{n}", "content": f"{code(r)} {r.randint(20, 160)} sqm free {day(r)}"}
        )
    return Turn(asked, "", ((pick(r, ("search_flats", "end_lease", "send_mail")), json.dumps({"query": code(r)})),))


COMPANY = Company(
    "housing", False,
    (
        Site("inbox.kind", 1, "intent", _request, "Tenants write to us. Tell us what the message is about: repair, viewing, contract, deposit or noise. Answer with that one word.", 5),
        Site("photos.room", 1, "classification", _room, "Du bekommst die Bildunterschrift eines Inserats. Nenne den Raum: Küche, Bad, Wohnzimmer oder Balkon. Nur der Raum, kein Satz.", 3),
        Site("listing.facts", 1, "extraction", _listing, "Get city, rooms, sqm and rent out of the advert and return them as JSON.", 4),
        Site("fr.contact", 1, "extraction", _tenant, "Relève le nom, la date et le téléphone dans le message. Réponds en JSON.", 2),
        Site("trust.scam", 1, "moderation", _scam, "Messages between users pass through you. Is it a scam or genuine?", 3),
        Site("trust.fair", 1, "moderation", _discrimination, "Adverts must not exclude groups of people. Say violates or ok.", 2),
        Site("es.proof", 1, "rewrite", _typos, "Corrige las faltas del anuncio y devuélvelo igual en lo demás.", 2),
        Site("listing.short", 1, "rewrite", _shorten, "Shorten the headline of the advert; keep the facts.", 1.5),
        Site("rent.due", 3, "reasoning", _prorata, "Tenants want to know what they pay at the start. Work it out and answer with the amount only.", 1),
        Site("lease.notice", 3, "reasoning", _notice, "Look at the lease and at the letter and decide whether the notice is valid, invalid or valid later. Answer with one of these.", 1.2),
        Site("game.rooms", 3, "reasoning", _flatmates, "The riddle of the week. Give the solution as one name.", 0.6),
        Site("value.report", 3, "reasoning", _appraisal, "Assess what the property is worth and explain how you get there.", 0.7),
        Site("listing.write", 2, "generation", _advert, "Write an attractive advert from the key facts.", 1.5),
        Site("visit.notes", 2, "summarization", _visit, "Sum up the viewing for the owner.", 1.2),
        Site("faq.answer", 2, "generation", _answer, "Beantworte die Frage des Mieters anhand des Kontexts.", 1.5),
        Site("viewing.book", 2, "tool_use", _calendar, "Book the viewing.", 1.2, tools=("create_viewing", "cancel_viewing")),
        Site("move.agent", 3, "tool_use", _agent, "Solve the tenant's request completely with the tools you have.", 0.8, tools=("search_flats", "end_lease", "send_mail", "book_movers", "create_lease")),
    ),
)  # fmt: skip
