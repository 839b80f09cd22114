"""A container port: long Markdown prompts with headings, few-shot examples and JSON messages; Turkish, Greek and English."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, code, day, misspelt, money, name, pick, prose, sentence, transcript

_HEAD = """# Aegean Gate Terminals: {title}

## Context
You work inside the terminal operating system. Whoever reads your output is a piece of software or a dispatcher in a hurry.

## Background
Until last year a team in the gate house did this by hand. Their notes were moved to the wiki; do not quote them.

## {section}
{body}

## Notes
- Times are local. Weights are metric.
- Ships have names in capitals, sometimes with a typing mistake.
"""

_MESSAGES = {
    "gate": ("kamyon kapıda bekliyor", "giriş kartı okunmuyor", "şoför listede yok"),
    "reefer": ("soğutmalı konteyner ısınıyor", "fiş takılı değil", "sıcaklık eksi on olmalı"),
    "customs": ("gümrük mührü kırık", "beyanname eksik", "gümrük memuru gelmedi"),
    "crane": ("vinç durdu", "vinç operatörü değişti", "vinçte ses var"),
}
_GREEK = {
    "παράπονο": ("περιμένω τρεις ώρες", "κανείς δεν απαντά", "η εξυπηρέτηση ήταν κακή"),
    "πληροφορία": ("ποιο είναι το ωράριο", "πού πληρώνω", "πότε φτάνει το πλοίο"),
    "κράτηση": ("θέλω να κλείσω θέση", "αλλάξτε το ραντεβού μου", "ακυρώστε την κράτηση"),
}
_CANNED = {
    "late": ("your gate slot has expired", "Your slot has expired. Please book a new one in the portal; the old number cannot be used again."),
    "seal": ("the seal number does not match", "The seal does not match the manifest. Please wait in lane 9, an inspector will come to you."),
    "fee": ("why do I pay storage", "Storage is charged from the sixth day. You find the tariff under Documents, page two."),
    "lost": ("where is my container", "We are looking for your unit. You will get a message as soon as the yard has confirmed its position."),
}  # fmt: skip
_SHIPS = ("ARGO STAR", "MARE LUCE", "NORD ELBE", "KAI LIN", "THALIA", "DEFNE K")


def _page(title: str, section: str, body: str) -> str:
    return _HEAD.format(title=title, section=section, body=body)


def _radio(r: random.Random) -> Turn:
    label = pick(r, tuple(_MESSAGES))
    text = f"{pick(r, _MESSAGES[label])}, {code(r)}, {pick(r, ('acil', 'lütfen bakın', 'tekrar ediyorum'))}, {pick(r, FIRST)}"
    return Turn(json.dumps({"channel": r.randint(1, 9), "text": text}, ensure_ascii=False), json.dumps({"desk": label}))


def _greek(r: random.Random) -> Turn:
    label = pick(r, tuple(_GREEK))
    return Turn(f"Καλημέρα, {pick(r, _GREEK[label])}. Ευχαριστώ, {name(r)} {r.randint(1, 99)}", label)


def _canned(r: random.Random) -> Turn:
    asked, reply = _CANNED[pick(r, tuple(_CANNED))]
    return Turn(f"{pick(r, FIRST)} wrote: {asked}? {sentence(r)} Unit {code(r, 4, 7)}.", reply)


def _manifest(r: random.Random) -> Turn:
    unit, kg, ship, city = code(r, 4, 7), r.randint(2000, 30000), pick(r, _SHIPS), pick(r, CITIES)
    text = f"Fwd: unit {unit} for {ship}, discharge {city}, gross {kg} kg, {pick(r, ('dry', 'reefer', 'open top'))}. {sentence(r)}"
    return Turn(text, f"| {unit} | {ship} | {city} | {kg} |")


def _event(r: random.Random) -> Turn:
    bay, row, tier = r.randint(1, 60), r.randint(1, 16), r.randint(1, 8)
    unit = code(r, 4, 7)
    return Turn(
        f"{unit} bay {bay} row {row} tier {tier} {pick(r, ('lifted', 'set down', 'checked'))} by {pick(r, FIRST)}",
        f"Unit {unit} is at {bay:02}-{row:02}-{tier:02}.",
    )


def _polite(r: random.Random) -> Turn:
    when, who = day(r), name(r)
    return Turn(
        f"{who} geç kaldı, belgeleri {when} tarihine kadar getirsin, yoksa konteyner {code(r, 4, 7)} sahada kalır",
        f"Sayın {who}, geç kaldınız, belgeleri lütfen {when} tarihine kadar getiriniz, yoksa konteyner sahada kalır.",
    )


def _ocr(r: random.Random) -> Turn:
    text = f"Consignee {name(r)}, {pick(r, CITIES)}, received on {day(r)} in good order. {sentence(r)}"
    return Turn(misspelt(r, text), text)


def _dangerous(r: random.Random) -> Turn:
    goods = [
        f"UN{r.randint(1000, 3500)} class {pick(r, ('2.1', '3', '4.3', '5.1', '8'))} {r.randint(40, 900)} kg"
        for _ in range(3)
    ]
    return Turn(
        f"Bay {r.randint(1, 40)}: {goods[0]} on deck, {goods[1]} below it, {goods[2]} two rows aft, bulkhead between the last two.",
        pick(r, ("allowed", "not allowed")),
    )  # fmt: skip


def _demurrage(r: random.Random) -> Turn:
    return Turn(
        f"Arrived {day(r)} 06:00, notice tendered after {r.randint(2, 9)} hours, {r.randint(1, 4)} rain days of which {r.randint(0, 1)} on Sunday, laytime {r.randint(48, 96)} hours, rate {money(r, 5000, 20000)} a day, despatch half.",
        money(r, 1000, 90000),
    )


def _clause(r: random.Random) -> Turn:
    return Turn(
        f"Clause 4: {sentence(r)} Clause 9: {sentence(r)} Clause 12 prevails over 4 unless 9 applies. {pick(r, FIRST)} did not give notice, the berth was occupied by a third party, {sentence(r)}",
        pick(r, ("carrier", "terminal", "neither")),
    )


def _stow(r: random.Random) -> Turn:
    ships = r.sample(_SHIPS, 4)
    return Turn(
        f"{ships[0]} must berth before {ships[2]}; {ships[3]} cannot lie next to {ships[1]}; {ships[1]} needs the deep quay; {ships[2]} leaves on the first tide.",
        pick(r, ships),
    )


def _weekly(r: random.Random) -> Turn:
    return Turn(f"<log>\n{transcript(r, 30)}\n</log>", prose(r, 3))


def _answer_mail(r: random.Random) -> Turn:
    return Turn(
        f"From: {name(r)}\n\n{prose(r, 3)}\n\nCan you tell me what to do about {code(r, 4, 7)}?",
        f"Dear Sir or Madam, {prose(r, 5)}",
    )


def _search(r: random.Random) -> Turn:
    return Turn(
        f"[1] {prose(r, 5)}\n\n[2] {prose(r, 5)}\n\nQ: what is the rule on {pick(r, ('overtime', 'lashing', 'shift swaps'))}?",
        f"{prose(r, 2)} [1]",
    )


def _query(r: random.Random) -> Turn:
    return Turn(
        f"moves per crane on {day(r)} with fewer than {r.randint(5, 30)} lifts an hour, worst first",
        f"SELECT crane_id, COUNT(*) / 8.0 AS lifts FROM moves WHERE moved_on = '{day(r)}' GROUP BY crane_id HAVING COUNT(*) / 8.0 < {r.randint(5, 30)} ORDER BY lifts",  # noqa: S608 - an answer, run by nobody
    )


def _planner(r: random.Random) -> Turn:
    turns: list[Message] = [
        {"role": "user", "content": f"{pick(r, _SHIPS)} is {r.randint(2, 20)} hours late, sort it out"}
    ]
    for n in range(r.randint(0, 3)):
        turns += called(f"c{n}", "berth_plan", {}, json.dumps({"free": r.randint(0, 4), "note": sentence(r)}))
    return Turn(turns, "", (("move_vessel", json.dumps({"query": pick(r, _SHIPS)})),))


SITES = (
    Site("radio.desk", 1, "classification", _radio, _page("radio", "Your work", "Each message goes to the desk that deals with it.\n\n### Examples\n{\"channel\": 2, \"text\": \"kapı 4 açılmıyor\"} -> {\"desk\": \"gate\"}\n{\"channel\": 7, \"text\": \"mühür yok\"} -> {\"desk\": \"customs\"}\n\nDesks: gate, reefer, customs, crane"), 4, response_format={"type": "json_object"}),
    Site("web.greek", 1, "intent", _greek, _page("web form", "Εργασία", "Το μήνυμα ενός επισκέπτη: παράπονο, πληροφορία ή κράτηση; Γράψε μία λέξη."), 3),
    Site("driver.canned", 1, "classification", _canned, _page("driver replies", "What to send", "Send the driver the prepared text that fits, unchanged:\n" + "\n".join(f"* {reply}" for _, reply in _CANNED.values())), 3),
    Site("mail.manifest", 1, "extraction", _manifest, _page("manifest lines", "Output", "One row for the table: unit, vessel, port, gross weight."), 3),
    Site("yard.event", 1, "extraction", _event, _page("yard events", "Output", "Say where the unit is now.\n\nABCD1234567 bay 3 row 2 tier 1 lifted by Bo\nUnit ABCD1234567 is at 03-02-01."), 2.5),
    Site("notice.polite", 1, "rewrite", _polite, _page("notices", "Görev", "Vardiya notlarını müşteriye gönderilecek kibar bir cümleye çevir; bilgi ekleme."), 1.5),
    Site("scan.repair", 1, "rewrite", _ocr, _page("scans", "Task", "The scanner garbles letters. Give the line back as it was on paper."), 1.5),
    Site("dg.stow", 3, "reasoning", _dangerous, _page("dangerous goods", "Question", "May it be stowed like this under the segregation table? allowed / not allowed"), 0.9),
    Site("charter.sum", 3, "reasoning", _demurrage, _page("charter parties", "Output", "What the charterer owes, in dollars, digits only."), 0.9),
    Site("claims.who", 3, "reasoning", _clause, _page("claims", "Output", "Who bears the loss: carrier, terminal, neither."), 0.7),
    Site("berth.first", 3, "reasoning", _stow, _page("berths", "Output", "Name the vessel that goes first, nothing else."), 0.6),
    Site("report.week", 2, "summarization", _weekly, _page("weekly report", "Task", "Write up what happened this week for the harbour master."), 1.5),
    Site("mail.reply", 2, "generation", _answer_mail, _page("mail", "Task", "Draft the answer that the desk will send."), 1.5),
    Site("handbook.ask", 2, "generation", _search, _page("handbook", "Task", "Answer from the numbered passages and cite them."), 1.5),
    Site("bi.sql", 3, "code", _query, _page("figures", "Output", "Turn the wish into SQL for the warehouse (PostgreSQL)."), 0.8),
    Site("plan.agent", 3, "tool_use", _planner, _page("planner", "Task", "Change the berth plan as needed. Look before you move anything."), 1.2, tools=("berth_plan", "move_vessel", "tide_table", "notify", "crew_list")),
)  # fmt: skip
