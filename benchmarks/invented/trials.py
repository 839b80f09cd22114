"""A clinical research platform: JSON instructions, nested JSON answers, labels with a rationale, R code."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, code, day, misspelt, name, pick, prose, sentence

_DRUGS = "abelomab,cortazine,dexipran,elvotide,fenastat,glimorex,hexalide,imbruvex".split(",")
_TERMS = {
    "headache": ("head pounding", "pain in the head", "terrible migraine-like pain"),
    "nausea": ("felt sick", "queasy after the dose", "about to throw up"),
    "rash": ("red spots on the arm", "itchy skin", "hives"),
    "fatigue": ("so tired", "no energy", "slept all day"),
    "dizziness": ("the room was spinning", "light-headed", "nearly fell over"),
    "insomnia": ("awake until four", "could not sleep"),
}
_DESIGN = {
    "rct": ("patients were randomised to", "double-blind, placebo-controlled"),
    "cohort": ("participants were followed for", "prospective registry of"),
    "case_report": ("we describe a patient with", "a man presented with"),
    "review": ("we searched three databases", "the literature was screened"),
    "animal": ("mice were fed", "in a rat model"),
}
_MAIL = {
    "Terminverschiebung": ("ich muss meinen Termin verlegen", "kann ich später kommen"),
    "Nebenwirkung": ("seit der Einnahme ist mir schlecht", "ich habe Ausschlag bekommen"),
    "Fahrtkosten": ("wann bekomme ich das Fahrgeld", "anbei die Fahrkarte"),
    "Abbruch": ("ich möchte nicht mehr teilnehmen", "ich steige aus der Studie aus"),
}
_DOCS = {
    "CV": ("curriculum vitae of the investigator", "education and appointments"),
    "CONSENT": ("I agree to take part", "you may withdraw at any time"),
    "LAB_CERT": ("accreditation of the laboratory", "valid until"),
    "ETHICS": ("the committee approves", "vote of the board"),
    "OTHER": ("invoice", "parking permit"),
}
_MESH = {"Adult": "adults", "Child": "children", "Female": "women", "Male": "men", "Aged": "people over 65"}


def _coding(r: random.Random) -> Turn:
    term = pick(r, tuple(_TERMS))
    return Turn(
        f"verbatim: {pick(r, _TERMS[term])}, {pick(r, ('since', 'on'))} {day(r)}, subject {code(r)}",
        json.dumps({"term": term.capitalize(), "code": str(10000 + sorted(_TERMS).index(term))}),
    )


def _design(r: random.Random) -> Turn:
    label = pick(r, tuple(_DESIGN))
    return Turn(
        f"Abstract: {sentence(r)} {pick(r, _DESIGN[label])} {pick(r, _DRUGS)}. {prose(r, 5)}",
        f'Answer: {label}\nRationale: the abstract says "{pick(r, _DESIGN[label])}".',
    )


def _mesh(r: random.Random) -> Turn:
    found = [each for each in _MESH if r.random() < 0.4] or ["Adult"]
    return Turn(f"{pick(r, _DRUGS)} in {' and '.join(_MESH[each] for each in found)}: {sentence(r)}", "; ".join(found))


def _pico(r: random.Random) -> Turn:
    n, drug, dose, weeks, other = (
        r.randint(20, 900),
        pick(r, _DRUGS),
        r.choice((5, 10, 20, 50)),
        r.randint(4, 52),
        pick(r, _DRUGS),
    )
    place = pick(r, CITIES)
    text = f"Methods: In {place}, {n} adults were randomised to {drug} {dose} mg or {other} for {weeks} weeks. {prose(r, 3)} Primary outcome was {pick(r, ('pain score', 'blood pressure', 'relapse'))}."
    outcome = text.split("Primary outcome was ")[1].rstrip(".")
    return Turn(
        text,
        json.dumps(
            {
                "population": {"n": n, "setting": place},
                "intervention": {"name": drug, "dose_mg": dose},
                "comparator": {"name": other},
                "outcomes": [{"name": outcome, "weeks": weeks}],
            }
        ),
    )


def _mail(r: random.Random) -> Turn:
    label = pick(r, tuple(_MAIL))
    return Turn(
        f"Guten Tag, {pick(r, _MAIL[label])}. Probanden-Nr. {code(r)}, {pick(r, CITIES)}. Viele Grüße, {pick(r, FIRST)}",
        f"Kategorie: {label}",
    )


def _document(r: random.Random) -> Turn:
    label = pick(r, tuple(_DOCS))
    return Turn(f"{pick(r, _DOCS[label])} {day(r)}\n{prose(r, 8)}", label)


def _labs(r: random.Random) -> Turn:
    who, hb, crea, alt, at = (
        code(r),
        f"{r.randint(8, 17)}.{r.randint(0, 9)}",
        f"0.{r.randint(50, 99)}",
        str(r.randint(10, 90)),
        day(r),
    )
    return Turn(
        f"subj {who} drawn {at}: Hb {hb} g/dL, creatinine {crea} mg/dL, ALT {alt} U/L. {sentence(r)}",
        json.dumps(
            {
                "subject": who,
                "date": at,
                "results": [
                    {"test": "Hb", "value": float(hb), "unit": "g/dL"},
                    {"test": "creatinine", "value": float(crea), "unit": "mg/dL"},
                    {"test": "ALT", "value": int(alt), "unit": "U/L"},
                ],
            }
        ),
    )


def _style(r: random.Random) -> Turn:
    text = prose(r, r.randint(10, 20))
    return Turn(f"Original:\n{misspelt(r, text)}", f"Corrected:\n{text}")


def _deid(r: random.Random) -> Turn:
    who, a, b = name(r), prose(r, 3), sentence(r)
    at = day(r)
    return Turn(f"{a} {who}, born {at}, was seen again. {b}", f"{a} <PATIENT>, born <DATE>, was seen again. {b}")


def _serious(r: random.Random) -> Turn:
    bad = r.random() < 0.35
    cue = (
        pick(r, ("admitted to hospital overnight", "life-threatening", "persistent disability"))
        if bad
        else pick(r, ("mild, went away", "took an aspirin", "no action taken"))
    )
    return Turn(f"{pick(r, _TERMS[pick(r, tuple(_TERMS))])}, {cue}. {sentence(r)}", "SERIOUS" if bad else "NON-SERIOUS")


def _screen(r: random.Random) -> Turn:
    label = pick(r, tuple(_DESIGN))
    return Turn(
        f"TITLE {sentence(r)} ABSTRACT {pick(r, _DESIGN[label])} {pick(r, _DRUGS)}. {prose(r, 4)}",
        "Include" if label in ("rct", "cohort") else "Exclude",
    )


def _lay(r: random.Random) -> Turn:
    return Turn(prose(r, 14), f"### What was tested\n{prose(r, 2)}\n\n### What was found\n{prose(r, 2)}")


def _letter(r: random.Random) -> Turn:
    return Turn(
        f"Paciente {pick(r, FIRST)}, visita el {day(r)}, en ayunas, traer medicación. {sentence(r)}",
        f"Estimado/a {pick(r, FIRST)}:\n\n{prose(r, 4)}\n\nAtentamente",
    )


def _evidence(r: random.Random) -> Turn:
    docs = "\n".join(f"<doc id='{n}'>{prose(r, 6)}</doc>" for n in range(1, 6))
    return Turn(
        f"{docs}\n<q>Does {pick(r, _DRUGS)} shorten the stay in hospital?</q>",
        f"{sentence(r)} (doc {r.randint(1, 5)}). {sentence(r)} (doc {r.randint(1, 5)}).",
    )


def _narrative(r: random.Random) -> Turn:
    return Turn(
        json.dumps(
            {
                "subject": code(r),
                "event": pick(r, tuple(_TERMS)),
                "onset": day(r),
                "drug": pick(r, _DRUGS),
                "outcome": pick(r, ("recovered", "ongoing")),
            }
        ),
        prose(r, r.randint(6, 9)),
    )


def _minutes(r: random.Random) -> Turn:
    return Turn(
        "\n".join(f"{pick(r, FIRST)}: {sentence(r)}" for _ in range(30)),
        json.dumps(
            {"summary": prose(r, 2), "actions": [{"who": pick(r, FIRST), "what": sentence(r)} for _ in range(3)]}
        ),
    )


def _causality(r: random.Random) -> Turn:
    gap, again, other = r.randint(0, 40), r.random() < 0.5, r.random() < 0.4
    text = f"{pick(r, _DRUGS)} started {day(r)}; {pick(r, tuple(_TERMS))} {gap} days later. Dechallenge: {pick(r, ('improved', 'no change', 'not done'))}. Rechallenge: {'recurred' if again else 'not done'}. Concomitant: {pick(r, _DRUGS) if other else 'none'}. History: {sentence(r)}"
    label = (
        "Certain"
        if again and gap < 8 and not other
        else "Probable"
        if gap < 15 and not other
        else "Possible"
        if gap < 30
        else "Unlikely"
    )
    return Turn(
        text,
        f"{label}\n\nThe event began {gap} days after the first dose{' and came back on rechallenge' if again else ''}; {'another drug may explain it' if other else 'no other cause is known'}.",
    )


def _eligible(r: random.Random) -> Turn:
    age, bmi, egfr, months = r.randint(16, 85), r.randint(17, 42), r.randint(25, 110), r.randint(0, 14)
    text = f"Criteria: age 18-75; BMI 20-35; eGFR >= 45, or >= 30 if not on {pick(r, _DRUGS)}; no stroke in the last 6 months unless lacunar.\nPatient: {age} y, BMI {bmi}, eGFR {egfr}, on {pick(r, _DRUGS)}, stroke {months} months ago, {pick(r, ('lacunar', 'cortical'))}. {sentence(r)}"
    return Turn(text, json.dumps({"eligible": 18 <= age <= 75 and 20 <= bmi <= 35 and egfr >= 45 and months >= 6}))


def _dose(r: random.Random) -> Turn:
    weight, per, cap, conc = (
        r.randint(42, 120),
        r.choice((1.5, 2, 2.5)),
        r.choice((150, 200, 240)),
        r.choice((10, 20, 25)),
    )
    return Turn(
        f"{weight} kg, {per} mg/kg, max {cap} mg, vial {conc} mg/mL, {r.choice((25, 50))}% reduction in renal impairment, eGFR {r.randint(20, 90)}.",
        f"{min(weight * per, cap) / conc:.1f} mL",
    )


def _rcode(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, ('Kaplan-Meier by arm', 'mixed model with random site', 'forest plot'))}; outcome {pick(r, ('relapse', 'death'))}; adjust for {pick(r, ('age', 'sex', 'site'))}",
        f"```r\nlibrary(survival)\nfit <- survfit(Surv(time, status) ~ arm, data = d)\nsummary(fit, times = c({r.randint(1, 12)}, {r.randint(13, 24)}))\nplot(fit)\n```",
    )


def _protocol(r: random.Random) -> Turn:
    return Turn(
        f"PROTOCOL\n{prose(r, 420)}\n\nAMENDMENT\n{prose(r, 60)}\n\nWhich sections contradict each other after the amendment?",
        f"{prose(r, 8)}\n\n- {sentence(r)}\n- {sentence(r)}",
    )


def _site_agent(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"Find out why site {code(r)} in {pick(r, CITIES)} enrols so slowly and fix what you can.",
        }
    ]
    for n in range(r.randint(0, 5)):
        said = sentence(r)
        turns += called(
            f"s{n}", "query_edc", {}, json.dumps({"screened": r.randint(0, 40), "failed": r.randint(0, 20)}), said
        )
    return Turn(turns, "", ((pick(r, ("query_edc", "message_site", "open_query")), json.dumps({"query": code(r)})),))


def _stats(r: random.Random) -> Turn:
    return Turn(
        f"We have {r.randint(40, 300)} per arm, {r.randint(5, 30)}% dropout, and the interim showed a difference of {r.randint(1, 9)} points. {sentence(r)} Can we stop early?",
        prose(r, r.randint(8, 14)),
    )


SITES = (
    Site("ae.coding", 1, "classification", _coding, '{"task": "code the adverse event", "dictionary": ' + json.dumps(sorted(_TERMS)) + ', "output": {"term": "string", "code": "string"}}', 7),
    Site("lit.design", 1, "classification", _design, "Determine the study design (rct, cohort, case_report, review, animal). Use the form:\nAnswer: <design>\nRationale: <one sentence>", 6),
    Site("lit.mesh", 1, "classification", _mesh, "Check tags for the citation. Adult, Child, Female, Male, Aged. Separate several with a semicolon.", 4),
    Site("lit.pico", 1, "extraction", _pico, "Extract PICO elements into the schema:\n{population: {n, setting}, intervention: {name, dose_mg}, comparator: {name}, outcomes: [{name, weeks}]}", 5),
    Site("lit.screen", 1, "classification", _screen, "Screening for a systematic review of comparative human studies. Include or Exclude?", 5),
    Site("mail.kategorie", 1, "intent", _mail, "Ordne die E-Mail eines Studienteilnehmers zu: Terminverschiebung, Nebenwirkung, Fahrtkosten, Abbruch.", 4),
    Site("tmf.filing", 1, "classification", _document, "File the document. " + " / ".join(_DOCS), 4),
    Site("lab.parse", 1, "extraction", _labs, "Parse lab lines to JSON.", 4),
    Site("text.proofread", 1, "rewrite", _style, "Proofread. Correct only misspelt words. Begin with 'Corrected:'.", 2.5),
    Site("text.deidentify", 1, "rewrite", _deid, "De-identify: names become <PATIENT>, dates <DATE>.", 2.5),
    Site("ae.serious", 1, "classification", _serious, "Regulatory seriousness, one of SERIOUS, NON-SERIOUS.", 4),
    Site("lay.summary", 2, "summarization", _lay, "Write the lay summary of the results. Grade 8 reading level, Markdown headings.", 2.5),
    Site("visit.letter", 2, "generation", _letter, "Escribe la carta de cita para el paciente.", 3),
    Site("evidence.answer", 2, "generation", _evidence, "Answer the question from the documents and name the document ids in brackets.", 4),
    Site("ae.narrative", 2, "generation", _narrative, "Write the safety narrative from the record.", 3),
    Site("meeting.minutes", 2, "summarization", _minutes, 'Minutes of the steering committee. {"summary": str, "actions": [{"who": str, "what": str}]}', 2),
    Site("ae.causality", 3, "reasoning", _causality, "Assess causality by WHO-UMC: Certain, Probable, Possible, Unlikely. Give the category, then the reasoning.", 2.5),
    Site("screening.eligible", 3, "reasoning", _eligible, 'Return {"eligible": true|false}.', 2),
    Site("pharmacy.dose", 3, "reasoning", _dose, "Volume to draw up.", 1.2),
    Site("stats.rcode", 3, "code", _rcode, "You write R for the analysis plan.", 1.5),
    Site("protocol.conflicts", 3, "long_context", _protocol, "Compare the protocol with its amendment.", 0.5),
    Site("site.agent", 3, "tool_use", _site_agent, "You manage study sites.", 2, tools=("query_edc", "message_site", "open_query", "schedule_visit")),
    Site("stats.advice", 3, "reasoning", _stats, "Biostatistician on call.", 1.2),
)  # fmt: skip
