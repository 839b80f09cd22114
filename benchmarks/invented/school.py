"""A learning platform: friendly personas, multiple choice, grading, essays, mathematics; Italian, Portuguese and Dutch too."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, day, labelled, misspelt, name, pick, prose, sentence

_SUBJECTS = {
    "matematica": ("non capisco le frazioni", "aiuto con le equazioni", "i compiti di geometria"),
    "storia": ("quando cadde Roma", "la rivoluzione francese", "ricerca su Garibaldi"),
    "scienze": ("come respira una pianta", "il ciclo dell'acqua", "esperimento con i magneti"),
}


def _subject(r: random.Random) -> Turn:
    text, label = labelled(r, _SUBJECTS)
    return Turn(text, label)


def _choice(r: random.Random) -> Turn:
    a, b = r.randint(2, 30), r.randint(2, 30)
    options = [a * b, a + b, a * b + r.randint(1, 9), abs(a - b) + 40]
    listed = "\n".join(f"({letter}) {value}" for letter, value in zip("ABCD", options, strict=True))
    return Turn(
        f"{pick(r, FIRST)} fills {a} boxes with {b} {pick(r, ('pens', 'nuts', 'coins'))}, {sentence(r)} How many does it make in the end?\n{listed}",
        pick(r, "ABCD"),
    )


def _proof(r: random.Random) -> Turn:
    n = r.randint(2, 9)
    return Turn(
        f"The sum of {n} odd numbers is {'odd' if n % 2 else 'even'}; also for {r.randint(10, 99)} of them?",
        f"Suppose each is 2k+1. Then the sum is 2(k1+...+k{n}) + {n}. Since {n} = {n}, it follows that the parity is that of {n}. Therefore the claim holds. ∎ {sentence(r)}",
    )


def _grade(r: random.Random) -> Turn:
    text = f"Question: why do {pick(r, ('ships float', 'leaves fall', 'tides change'))}?\nRubric: cause (2), example (1), words used right (1).\nPupil: {prose(r, 4)}"
    return Turn(text, str(r.randint(0, 4)))


def _essay(r: random.Random) -> Turn:
    return Turn(f"Topic: {pick(r, CITIES)} in winter, {pick(r, FIRST)}'s class, level B{r.randint(1, 2)}", prose(r, 10))


def _explain(r: random.Random) -> Turn:
    return Turn(
        f"what is {pick(r, ('osmosis', 'a verb', 'gravity', 'inflation'))}? I am {r.randint(7, 15)}", prose(r, 4)
    )


def _correct(r: random.Random) -> Turn:
    text = f"O meu amigo {pick(r, FIRST)} mora em {pick(r, CITIES)} desde {day(r)} e gosta muito de jogar futebol com os colegas."
    return Turn(misspelt(r, text), text)


def _names(r: random.Random) -> Turn:
    child, adult, klas = name(r), name(r), f"{r.randint(1, 8)}{pick(r, 'ABC')}"
    return Turn(
        f"{child} uit groep {klas} is ziek, groet {adult}, terug op {day(r)}",
        json.dumps({"leerling": child, "groep": klas, "ouder": adult}),
    )


def _absent(r: random.Random) -> Turn:
    kinds = {
        "ziek": ("heeft koorts", "is misselijk"),
        "dokter": ("moet naar de tandarts", "heeft een afspraak in het ziekenhuis"),
        "verlof": ("gaat op reis", "heeft een bruiloft"),
        "te laat": ("de bus reed niet", "versliep zich"),
    }
    label = pick(r, tuple(kinds))
    return Turn(f"{pick(r, FIRST)} {pick(r, kinds[label])}, groet {pick(r, FIRST)} {r.randint(1, 99)}", label)


def _forum(r: random.Random) -> Turn:
    bad = r.random() < 0.1
    return Turn(
        f"{pick(r, FIRST)}: {sentence(r)} {'you are so stupid' if bad else pick(r, ('me too', 'thanks!', 'see you'))}",
        "remove" if bad else "keep",
    )


def _tutor(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [
        {
            "role": "user",
            "content": f"I think {r.randint(2, 9)}x + {r.randint(1, 9)} = {r.randint(10, 60)} has no answer",
        }
    ]
    for _ in range(r.randint(1, 4)):
        asked += [
            {"role": "assistant", "content": f"What happens if you subtract? {sentence(r)}"},
            {"role": "user", "content": f"then x = {r.randint(1, 9)}? because {sentence(r).lower()}"},
        ]
    return Turn(
        asked, f"Nearly. Since both sides were divided by {r.randint(2, 9)}, x = {r.randint(1, 9)}. {prose(r, 4)}"
    )


def _lesson(r: random.Random) -> Turn:
    return Turn(prose(r, 24), f"{prose(r, 3)}")


def _plan(r: random.Random) -> Turn:
    rooms = r.randint(3, 6)
    text = (
        f"{r.randint(8, 14)} classes, {rooms} rooms, {r.randint(5, 9)} teachers; "
        + "; ".join(f"{pick(r, FIRST)} not on {pick(r, ('Monday', 'Tuesday', 'Friday'))}" for _ in range(5))
        + f"; no class has two free hours in a row, sport only in room {rooms}"
    )
    return Turn(
        text,
        "\n".join(
            f"{d}: {pick(r, FIRST)} room {r.randint(1, rooms)}, then {pick(r, FIRST)} room {r.randint(1, rooms)}, because {sentence(r).lower()}"
            for d in ("Mon", "Tue", "Wed", "Thu", "Fri")
        ),
        reasoning_tokens=r.randint(400, 1800),
    )


def _true(r: random.Random) -> Turn:
    a = r.sample(("all", "no", "some", "not all"), 2)
    x = r.sample(("poets", "bakers", "singers", "climbers", "owls", "judges"), 3)
    return Turn(
        f"{a[0].title()} {x[0]} are {x[1]}. {a[1].title()} {x[1]} are {x[2]}. So {pick(r, ('some', 'no', 'all'))} {x[0]} are {x[2]}.",
        pick(r, ("follows", "does not follow")),
    )


def _word(r: random.Random) -> Turn:
    level = pick(r, ("A1", "A2", "B1", "B2"))
    words = {
        "A1": ("cat", "house", "eat"),
        "A2": ("weather", "ticket", "borrow"),
        "B1": ("neighbour", "suggest", "improve"),
        "B2": ("ambiguous", "reluctant", "substantial"),
    }
    return Turn(f"{pick(r, words[level])} ({pick(r, FIRST)}, {r.randint(1, 400)})", level)


def _mail(r: random.Random) -> Turn:
    return Turn(
        f"Alle famiglie: {pick(r, ('gita', 'recita', 'assemblea'))} il {day(r)}, portare {pick(r, ('pranzo', 'firma'))}",
        f"Gentili famiglie, {prose(r, 5)} Cordiali saluti",
    )


COMPANY = Company(
    "school", False,
    (
        Site("help.materia", 1, "classification", _subject, "Ciao! Sei la bussola della scuola. Ti arriva una domanda di un alunno e indichi la materia: matematica, storia o scienze.", 4),
        Site("test.items", 3, "reasoning", _choice, "You are a patient pupil who sits the test together with us. Give us your letter.", 1.5),
        Site("maths.club", 3, "reasoning", _proof, "You are Dr. Oval from the maths club. Convince the sceptics, leave nothing out.", 0.8),
        Site("marks.open", 3, "reasoning", _grade, "You are the second marker. The points you would give, as a figure.", 1),
        Site("library.texts", 2, "generation", _essay, "You are a children's author and fill our reading library.", 1),
        Site("kids.ask", 2, "generation", _explain, "You are Mia, the friendly owl of the app. Keep it simple and warm.", 2),
        Site("pt.correct", 1, "rewrite", _correct, "És a professora Rita. Devolve a frase do aluno sem erros.", 2),
        Site("nl.absence", 1, "extraction", _names, "Je bent de administratie. Zet het briefje om in leerling, groep, ouder (JSON).", 3),
        Site("nl.reason", 1, "classification", _absent, "Je bent de administratie. Reden van het briefje: ziek, dokter, verlof, te laat.", 3),
        Site("forum.watch", 1, "moderation", _forum, "You look after the forum of ten-year-olds: keep or remove.", 4),
        Site("tutor.talk", 3, "chat", _tutor, "You are Leo, who helps with homework and never gives the solution away at once.", 1.5),
        Site("lesson.short", 2, "summarization", _lesson, "You are the note taker. Pupils who were ill read what you leave.", 1.5),
        Site("office.timetable", 3, "reasoning", _plan, "You are the deputy head and make a timetable that breaks none of the wishes.", 0.7),
        Site("logic.game", 3, "reasoning", _true, "You are the referee of the logic game. follows / does not follow", 1),
        Site("words.level", 1, "classification", _word, "You are a dictionary editor: level of the word (A1 to B2).", 2),
        Site("it.families", 2, "generation", _mail, "Sei la segreteria. Scrivi alle famiglie.", 1),
    ),
)  # fmt: skip
