"""A records office that scans letters: Dutch, Polish and English prompts of one or two lines, wrapped answers (JSON with one verdict)."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    THINGS,
    code,
    day,
    misspelt,
    name,
    pick,
    prose,
    sentence,
    transcript,
)

_KINDS = {
    "faktura": ("do zapłaty", "numer rachunku", "termin płatności"),
    "skarga": ("jestem niezadowolony", "to skandal", "żądam przeprosin"),
    "wniosek": ("proszę o wydanie", "składam podanie", "ubiegam się o"),
    "umowa": ("strony postanawiają", "paragraf pierwszy", "niniejsza zgoda stron"),
}
_SHELVES = {
    "bouw": ("vergunning dakkapel", "tekening gevel"),
    "belasting": ("aanslag woz", "bezwaar heffing"),
    "zorg": ("aanvraag hulp", "indicatie thuis"),
}


def _kind(r: random.Random) -> Turn:
    label = pick(r, tuple(_KINDS))
    return Turn(f"{pick(r, _KINDS[label])}, {name(r)}, {pick(r, CITIES)} {code(r)}", json.dumps({"typ": label}))


def _shelf(r: random.Random) -> Turn:
    label = pick(r, tuple(_SHELVES))
    return Turn(f"{pick(r, _SHELVES[label])} {pick(r, CITIES)} dossier {code(r)}", label)


def _letter(r: random.Random) -> Turn:
    who, to, when, ref = name(r), name(r), day(r), code(r)
    return Turn(
        f"{pick(r, CITIES)}, {when}\nRef. {ref}\n\nDear {to},\n{sentence(r)} {sentence(r)}\nYours, {who}",
        f"from={who}\nto={to}\ndate={when}\nref={ref}",
    )


def _dates(r: random.Random) -> Turn:
    text = f"Received {day(r)}, term of {r.randint(2, 9)} weeks, suspended {r.randint(3, 30)} days, extended by {r.randint(1, 6)} weeks after {r.randint(1, 3)} reminders, decision {day(r)}."
    return Turn(text, json.dumps({"verdict": pick(r, ("on time", "late"))}))


def _retention(r: random.Random) -> Turn:
    text = f"File closed {day(r)}; {r.randint(5, 30)} years for {pick(r, ('contracts', 'permits'))}, {r.randint(1, 5)} more where there was an appeal; appeal of {day(r)} withdrawn; partly copied for case {code(r)}. {sentence(r)}"
    return Turn(text, pick(r, ("keep", "destroy", "transfer")))


def _family(r: random.Random) -> Turn:
    w = r.sample(FIRST, 5)
    return Turn(
        f"{w[0]} is the mother of {w[1]}. {w[2]} married the brother of {w[1]}. {w[3]} is the child of {w[2]} and older than {w[4]}, whose aunt is {w[1]}. Who is the eldest grandchild of {w[0]}?",
        pick(r, w),
    )


def _ocr(r: random.Random) -> Turn:
    text = f"The council met on the {r.randint(2, 27)}th in {pick(r, CITIES)} and granted {name(r)} the right to sell a {pick(r, THINGS)} at the market."
    return Turn(misspelt(r, text), text)


def _privacy(r: random.Random) -> Turn:
    bad = r.random() < 0.1
    return Turn(
        f"{sentence(r)} {pick(r, FIRST)} {'diagnosed with epilepsy' if bad else pick(r, ('asks for a copy', 'sends greetings'))} {code(r)}",
        json.dumps({"publish": not bad}),
    )


def _abstract(r: random.Random) -> Turn:
    return Turn(prose(r, 26), prose(r, 3))


def _reply(r: random.Random) -> Turn:
    return Turn(
        f"{name(r)} vraagt naar {pick(r, THINGS)}, dossier {code(r)}", f"Geachte heer of mevrouw, {prose(r, 5)}"
    )


def _minutes(r: random.Random) -> Turn:
    return Turn(f"{transcript(r, 260)}", f"{prose(r, 12)}")


def _search(r: random.Random) -> Turn:
    return Turn(f"where is the file of {name(r)}?", "", (("find_file", json.dumps({"query": name(r)})),))


def _history(r: random.Random) -> Turn:
    return Turn(
        f"sources: {prose(r, 4)} question: who owned the mill in {r.randint(1600, 1900)}?",
        f"Suppose the deed is right. Then {sentence(r)} Since the tax roll names {name(r)}, it follows that {sentence(r)} Therefore {prose(r, 5)}",
        reasoning_tokens=r.randint(150, 700),
    )


def _xslt(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, ('title', 'author', 'date'))} of every {pick(r, ('letter', 'map', 'deed'))} after {r.randint(1600, 1990)}",
        f"//record[@type='{pick(r, ('letter', 'map'))}' and date > {r.randint(1600, 1990)}]/{pick(r, ('title', 'author'))}/text()",
    )


COMPANY = Company(
    "archive", False,
    (
        Site("scan.typ", 1, "classification", _kind, 'Pismo. Zwróć {"typ": ...}: faktura, skarga, wniosek, umowa.', 4),
        Site("scan.kast", 1, "classification", _shelf, "Welke kast? bouw, belasting, zorg", 3),
        Site("scan.head", 1, "extraction", _letter, "Index card of the letter (from, to, date, ref).", 4),
        Site("desk.term", 3, "reasoning", _dates, 'Was the statutory term kept? {"verdict": "on time" | "late"}', 1.2),
        Site("desk.retention", 3, "reasoning", _retention, "What happens to the file under the schedule: keep, destroy, transfer.", 1),
        Site("kin.tree", 3, "reasoning", _family, "Genealogy desk. Answer with the person.", 0.8),
        Site("ocr.clean", 1, "rewrite", _ocr, "Scanner output; make it what the clerk typed.", 2),
        Site("web.privacy", 1, "moderation", _privacy, 'May it go on the web? {"publish": true | false}', 3),
        Site("web.abstract", 2, "summarization", _abstract, "Catalogue abstract.", 1.5),
        Site("nl.antwoord", 2, "generation", _reply, "Beantwoord de burger netjes.", 1.5),
        Site("council.book", 3, "long_context", _minutes, "The chapter for the yearbook from the whole session.", 0.4),
        Site("desk.find", 2, "tool_use", _search, "Reading room.", 1.5, tools=("find_file",)),
        Site("history.who", 3, "reasoning", _history, "Historian. Weigh the sources.", 0.7),
        Site("db.xpath", 3, "code", _xslt, "Catalogue query for the XML store.", 0.8),
    ),
)  # fmt: skip
