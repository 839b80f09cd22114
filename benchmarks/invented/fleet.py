"""A car fleet: user prompts without system prompt and templates in German, English and Chinese, answers in fixed formats."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, code, day, misspelt, money, name, pick, prose, sentence, transcript

_PARTS = {
    "brakes": ("pedal feels soft", "squeals when I stop"),
    "tyres": ("pulls to the left", "slow puncture"),
    "engine": ("stutters uphill", "oil lamp is on"),
    "body": ("dent in the door", "scratch at the back"),
}
_ZH = {
    "事故": ("追尾了", "刮到柱子", "被撞"),
    "违章": ("收到罚单", "超速通知", "停车罚款"),
    "保养": ("该换机油了", "轮胎磨损", "年检到期"),
}


def _part(r: random.Random) -> Turn:
    label = pick(r, tuple(_PARTS))
    return Turn(
        f"Driver report\n-------------\n{code(r)} {pick(r, _PARTS[label])}, {pick(r, FIRST)}\n-------------\nbrakes/tyres/engine/body =",
        label,
    )


def _zh(r: random.Random) -> Turn:
    label = pick(r, tuple(_ZH))
    return Turn(f"司机留言：{pick(r, _ZH[label])}，车牌{code(r)}\n类别（事故、违章、保养）：", label)


def _fine(r: random.Random) -> Turn:
    plate, when, city, sum_ = code(r), day(r), pick(r, CITIES), money(r, 10, 300)
    return Turn(
        f"Bußgeldbescheid\nKennzeichen {plate}\nTatzeit {when} {r.randint(1, 23)}:10 Uhr, {city}\nBetrag {sum_} EUR\n{sentence(r)}\n\nkennzeichen; datum; ort; betrag",
        f"{plate}; {when}; {city}; {sum_}",
    )


def _hours(r: random.Random) -> Turn:
    text = f"driven {r.randint(3, 6)} h, break {r.randint(10, 50)} min, driven {r.randint(2, 5)} h, ferry {r.randint(1, 4)} h, week so far {r.randint(30, 58)} h, last week {r.randint(30, 56)} h, rest before that {r.randint(8, 12)} h"
    return Turn(f"Tachograph of {pick(r, FIRST)}: {text}.\nEU 561 ->", json.dumps({"compliant": r.random() < 0.5}))


def _guilt(r: random.Random) -> Turn:
    text = f"A came from the right at {r.randint(20, 60)}, B had the flashing arrow, C stood {r.randint(1, 9)} m behind the line, the light had been amber for {r.randint(1, 4)} s, {sentence(r)} B's witness saw {r.randint(1, 3)} cars."
    return Turn(f"Unfallhergang: {text}\nHauptschuld (A, B, C):", pick(r, "ABC"))


def _route(r: random.Random) -> Turn:
    stops = r.sample(CITIES, 5)
    return Turn(
        f"Stops {', '.join(stops)}. {stops[0]} before {stops[3]}, {stops[2]} opens late, {stops[4]} not last, {stops[1]} next to {stops[2]}. Which stop is last?",
        pick(r, stops),
    )


def _note(r: random.Random) -> Turn:
    text = f"Bitte den Wagen am {day(r)} in {pick(r, CITIES)} abgeben, den Schlüssel erhält {pick(r, FIRST)} am Schalter {r.randint(1, 9)}."
    return Turn(f"Tippfehler raus:\n{misspelt(r, text)}", text)


def _dash(r: random.Random) -> Turn:
    bad = r.random() < 0.12
    return Turn(
        f"Dashcam note: {sentence(r)} {'driver looks at phone' if bad else pick(r, ('driver alert', 'hands on wheel'))} {r.randint(1, 99)}\nSAFE or UNSAFE",
        "UNSAFE" if bad else "SAFE",
    )


def _mail(r: random.Random) -> Turn:
    return Turn(
        f"Schreibe dem Fahrer {name(r)} freundlich, dass {pick(r, ('die Inspektion', 'der Reifenwechsel'))} am {day(r)} ist.",
        f"Hallo, {prose(r, 4)} Dein Fuhrpark",
    )


def _call(r: random.Random) -> Turn:
    return Turn(f"Call:\n{transcript(r, 26)}\n\nTL;DR for the fleet manager:", prose(r, 2))


def _lease(r: random.Random) -> Turn:
    return Turn(
        f"Lease or buy? {r.randint(10, 90)} cars, {r.randint(15, 60)},000 km a year, {money(r, 200, 900)} a month against {money(r, 20000, 60000)}, resale {r.randint(20, 60)}% after {r.randint(2, 6)} years, tax {r.randint(19, 30)}%.",
        f"Leasing costs {money(r)} = {r.randint(2, 9)} x {money(r)}. Since resale is {r.randint(20, 60)}%, {sentence(r)} Therefore {prose(r, 4)}",
    )


def _manual(r: random.Random) -> Turn:
    return Turn(
        f"Manual excerpts:\n(a) {prose(r, 6)}\n(b) {prose(r, 6)}\n\nDriver: how do I {pick(r, ('reset the clock', 'tow it'))}?",
        f"See (a): {prose(r, 2)}",
    )


def _obd(r: random.Random) -> Turn:
    return Turn(
        f"Regex for plates like {code(r)} in lines that begin with {pick(r, ('ERR', 'OBD'))}:",
        f"^{pick(r, ('ERR', 'OBD'))}\\s+(?:\\S+\\s+)*([A-Z]{{2}}\\d{{{r.randint(3, 6)}}})\\b(?!-\\w+)",
    )


def _book(r: random.Random) -> Turn:
    return Turn(f"workshop slot for {code(r)} on {day(r)}", "", (("book_slot", json.dumps({"query": code(r)})),))


COMPANY = Company(
    "fleet", False,
    (
        Site("report.part", 1, "classification", _part, weight=4),
        Site("zh.kind", 1, "classification", _zh, weight=3),
        Site("fines.read", 1, "extraction", _fine, weight=4),
        Site("tacho.check", 3, "reasoning", _hours, weight=1.2),
        Site("claims.fault", 3, "reasoning", _guilt, weight=1),
        Site("route.last", 3, "reasoning", _route, weight=0.8),
        Site("note.fix", 1, "rewrite", _note, weight=2),
        Site("dash.safe", 1, "moderation", _dash, weight=3),
        Site("driver.mail", 2, "generation", _mail, weight=1.5),
        Site("call.tldr", 2, "summarization", _call, weight=1.5),
        Site("lease.advice", 3, "reasoning", _lease, weight=0.8),
        Site("manual.ask", 2, "generation", _manual, weight=1.5),
        Site("obd.regex", 3, "code", _obd, weight=0.7),
        Site("workshop.book", 2, "tool_use", _book, weight=1.5, tools=("book_slot",)),
    ),
)  # fmt: skip
