"""A chain of clinics: long German and English prompts with headings, careful wording."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, day, labelled, misspelt, name, pick, prose, transcript

_DESKS = {
    "Termin": ("Ich möchte am Montag vorbeikommen", "Haben Sie diese Woche noch etwas frei", "Bitte verschieben Sie meinen Besuch"),
    "Rezept": ("Meine Tabletten gehen zu Ende", "Ich brauche wieder das Blutdruckmittel", "Folgeverordnung bitte"),
    "Rechnung": ("Die Abrechnung stimmt nicht", "Ich habe zweimal überwiesen", "Warum kostet das so viel"),
    "Befund": ("Sind die Laborwerte schon da", "Was ergab das Röntgenbild", "Ich warte auf das Ergebnis"),
}  # fmt: skip
_DRUGS = {"ibuprofen": 10, "amoxicillin": 25, "paracetamol": 15, "cefalexin": 20}


def _desk(r: random.Random) -> Turn:
    text, label = labelled(r, _DESKS)
    return Turn(text, label)


def _urgency(r: random.Random) -> Turn:
    calm = ("seit drei Wochen leichter Husten", "Warze am Fuß", "Impfpass verloren", "Zahnfleisch blutet manchmal")
    bad = ("plötzlich starke Brustschmerzen", "kann seit heute früh kaum atmen", "Sturz, Arm steht schief")
    urgent = r.random() < 0.25
    text = f"{pick(r, FIRST)}, {r.randint(3, 88)} Jahre: {pick(r, bad if urgent else calm)}. {pick(r, CITIES)}"
    return Turn(text, "ja" if urgent else "nein")


def _intake(r: random.Random) -> Turn:
    who, born, city = name(r), day(r), pick(r, CITIES)
    text = f"Guten Tag, hier ist {who}, geboren {born}, ich wohne jetzt in {city} und bin bei der AOK versichert."
    return Turn(text, json.dumps({"name": who, "geburtsdatum": born, "ort": city, "kasse": "AOK"}, ensure_ascii=False))


def _dose(r: random.Random) -> Turn:
    drug = pick(r, tuple(_DRUGS))
    kg, times, given = r.randint(8, 60), r.choice((2, 3, 4)), r.choice((100, 125, 250, 400, 500))
    text = (
        f"Child of {kg} kg. {drug}, {given} mg, {times} times a day, syrup of {r.choice((20, 40, 50))} mg per ml; the "
        f"last dose was {r.randint(2, 9)} hours ago and creatinine is {r.randint(20, 90)} umol/l."
    )
    return Turn(text, "within" if given <= kg * _DRUGS[drug] else "exceeds")


def _letter(r: random.Random) -> Turn:
    text = f"Patient: {name(r)}\nDiagnose: J{r.randint(10, 99)}.{r.randint(0, 9)}\nMedikation: 2x täglich"
    body = " ".join(
        pick(r, ("Wir danken für die Überweisung.", "Der Verlauf war gut.", "Die Lunge ist frei.", "Eine Kontrolle ist ratsam.",
                 "Die Wunde heilt gut.", "Wir empfehlen Ruhe.")) for _ in range(9)
    )  # fmt: skip
    return Turn(text, f"Sehr geehrte Kolleginnen und Kollegen,\n\n{body}\n\nMit freundlichen Grüßen")


def _shift(r: random.Random) -> Turn:
    text = transcript(r, 28)
    return Turn(text, f"- {prose(r, 2)}\n- Offen: {prose(r, 1)}")


def _tidy(r: random.Random) -> Turn:
    text = f"Die Patientin kam am {day(r)} in die Praxis und klagte über Schmerzen im linken Knie, Besserung in Ruhe."
    return Turn(misspelt(r, text), text)


def _differential(r: random.Random) -> Turn:
    signs = (
        "fever",
        "night sweats",
        "weight loss",
        "rash",
        "joint pain",
        "cough",
        "low sodium",
        "anaemia",
        "confusion",
    )
    found = r.sample(signs, 4)
    text = f"{r.randint(20, 80)} years, {found[0]} for {r.randint(2, 9)} weeks, then {found[1]}; now {found[2]} and {found[3]}."
    ill = r.sample(("tuberculosis", "lymphoma", "endocarditis", "sarcoidosis", "lupus", "brucellosis"), 3)
    said = (
        f"1. {ill[0]}: because {found[1]} follows {found[0]}, which means chronic inflammation. 2. {ill[1]}: since "
        f"{found[3]} is present it cannot be excluded; therefore a biopsy is first. 3. {ill[2]}: unlikely, as it implies "
        f"other signs. Next: blood cultures, CT of the chest, then reassess. {prose(r, 4)}"
    )
    return Turn(text, said, reasoning_tokens=r.randint(200, 900))


def _leaflet(r: random.Random) -> Turn:
    text = f"Frage: Darf ich {pick(r, tuple(_DRUGS))} mit Milch nehmen?\n\nTexte:\n[1] {prose(r, 7)}\n[2] {prose(r, 6)}"
    return Turn(text, f"Laut Text [1] {prose(r, 2)} Fragen Sie sonst in der Apotheke.")


def _consent(r: random.Random) -> Turn:
    ok = r.random() < 0.9
    text = f"{pick(r, FIRST)} schreibt: {'Alles gut bei mir' if ok else 'Ihr seid alle Betrüger'}. {pick(r, CITIES)} {r.randint(1, 99)}"
    return Turn(text, "zulässig" if ok else "beleidigend")


def _agent(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [
        {"role": "user", "content": f"Find {name(r)} a slot with a cardiologist before {day(r)}"}
    ]
    for n in range(r.randint(1, 4)):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "search_slots", "arguments": "{}"}}
        asked.append({"role": "assistant", "content": None, "tool_calls": [call]})
        asked.append({"role": "tool", "tool_call_id": f"c{n}", "content": f"{day(r)} full; {day(r)} free"})
    return Turn(asked, "", (("book_slot", json.dumps({"query": day(r)})),))


def _codes(r: random.Random) -> Turn:
    kinds = {
        "J45": "asthma",
        "E11": "type 2 diabetes",
        "I10": "high blood pressure",
        "M54": "back pain",
        "L20": "eczema",
    }
    icd = pick(r, tuple(kinds))
    return Turn(f"pt w/ {kinds[icd]}, f/u {r.randint(1, 12)} mo, {pick(r, CITIES)} site, {pick(r, FIRST)}", icd)


_HEAD = "# Rolle\nDu arbeitest für die Kliniken Auental.\n\n# Hintergrund\nDie Texte kommen aus dem Portal. Duze niemanden.\n\n# Aufgabe\n"
COMPANY = Company(
    "clinic", False,
    (
        Site("portal.desk", 1, "classification", _desk, _HEAD + "Welcher Schalter bekommt die Nachricht? Termin, Rezept, Rechnung, Befund. Sonst nichts.", 5),
        Site("portal.urgency", 1, "classification", _urgency, _HEAD + "Muss heute noch jemand anrufen? Das Feld nimmt ja oder nein.", 3),
        Site("portal.intake", 1, "extraction", _intake, _HEAD + "Fülle die Stammdaten: name, geburtsdatum, ort, kasse. Format ist JSON.", 3),
        Site("ward.dose", 3, "reasoning", _dose, "# Duty\nPaediatric dosing desk. Maximum single dose by weight, formulary of the house.\n\n# Result\nThe system understands two words: within, exceeds.", 2),
        Site("ward.letter", 2, "generation", _letter, _HEAD + "Aus den Stichworten wird ein Arztbrief, so wie ihn unser Haus verschickt.", 1.5),
        Site("ward.shift", 2, "summarization", _shift, _HEAD + "Die Schicht wechselt. Was muss die nächste wissen?", 1.5),
        Site("ward.tidy", 1, "rewrite", _tidy, _HEAD + "Diktate haben Fehler. Gib den Text fehlerfrei zurück, ohne ihn umzustellen.", 2),
        Site("ward.differential", 3, "reasoning", _differential, "# Duty\nYou sit next to the consultant. Read the case and tell us what it could be, in order, and what to do first.", 1),
        Site("portal.leaflet", 2, "generation", _leaflet, _HEAD + "Beantworte die Frage nur mit den Texten.", 1.5),
        Site("portal.tone", 1, "moderation", _consent, _HEAD + "Kommentare vor der Veröffentlichung: zulässig oder beleidigend.", 2),
        Site("desk.booker", 3, "tool_use", _agent, "Book what the patient wants. Use the functions until it is booked.", 1, tools=("search_slots", "book_slot", "cancel_slot", "notify", "look_up_patient")),
        Site("billing.icd", 1, "classification", _codes, "# Duty\nBilling line to ICD-10 chapter code.\n\n# Result\nThree characters, nothing around them.", 2),
    ),
)  # fmt: skip
