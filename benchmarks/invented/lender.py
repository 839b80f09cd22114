"""A lender: terse lower-case prompts, closed labels that need arithmetic or several conditions, agents, code."""

import json
import random

from benchmarks.invented.site import Site, Turn
from benchmarks.invented.texts import FIRST, code, day, labelled, money, name, pick, prose, sentence

_TOPICS = {
    "payment_holiday": ("need a break from paying", "can i skip next month", "lost my job, cannot pay now"),
    "early_payoff": ("want to settle the loan in full", "what is left to pay off early", "close my loan"),
    "rate_question": ("which interest applies", "why did my rate go up", "is the apr fixed"),
    "address_change": ("moved house", "new address", "letters go to the old flat"),
    "complaint": ("nobody calls me back", "i am furious", "worst lender ever"),
    "document_request": ("send me the statement", "need a copy of the contract", "tax certificate please"),
}


def _topic(r: random.Random) -> Turn:
    text, label = labelled(r, _TOPICS)
    return Turn(text.lower(), label)


def _eligible(r: random.Random) -> Turn:
    income, rent, debts, ask, months = (
        r.randint(1500, 6000),
        r.randint(400, 1500),
        r.randint(0, 900),
        r.randint(2, 60) * 500,
        r.choice((12, 24, 36, 60)),
    )
    text = (
        f"applicant {name(r)}, {r.randint(19, 74)}, earns {income} net, rent {rent}, other debts {debts} a month, asks for {ask} over {months} "
        f"months at {r.randint(4, 14)}.{r.randint(0, 9)}%. employed {r.randint(1, 120)} months, {r.randint(0, 3)} missed payments. policy: "
        f"instalment below 35% of what is left, {r.randint(6, 12)} months in the job, no more than {r.randint(0, 2)} missed payments."
    )
    ok = ask / months * 1.1 < 0.35 * (income - rent - debts) and r.random() < 0.8
    return Turn(text, "approve" if ok else pick(r, ("decline", "refer")))


def _clause(r: random.Random) -> Turn:
    text = (
        f"clause: the borrower shall not, save with prior written consent, create security over assets exceeding {r.randint(1, 9)}% of net worth, "
        f"unless such security is permitted under schedule {r.randint(1, 6)} and notified within {r.randint(5, 30)} business days. "
        f"event: on {day(r)} the borrower pledged {pick(r, ('machines', 'receivables', 'a warehouse'))} worth {money(r, 1000, 99999)} and told the agent on {day(r)}. "
        f"{sentence(r)} {sentence(r)}"
    )
    return Turn(text, pick(r, ("breach", "no breach", "breach", "no breach", "curable")))


def _seats(r: random.Random) -> Turn:
    people = r.sample(FIRST, 5)
    text = (
        f"{people[0]} reviews before {people[1]}. {people[2]} is neither first nor last. {people[3]} comes right after {people[0]}. "
        f"{people[4]} is not next to {people[2]}. {people[1]} is not last. who reviews last?"
    )
    return Turn(text, pick(r, people))


def _payslip(r: random.Random) -> Turn:
    who, gross, net, month, boss = (
        name(r),
        money(r, 2000, 5000),
        money(r, 1500, 4000),
        day(r)[:7],
        pick(r, ("Nordwerk", "Halim & Co", "Cobalt Ltd")),
    )
    text = f"{boss} payslip {month}\nemployee no {code(r)} {who}\ngross {gross}\ntax {money(r)}\nnet pay {net} to account {code(r, 2, 12)}"
    return Turn(text, json.dumps({"employee": who, "employer": boss, "gross": gross, "net": net, "month": month}))


def _bankline(r: random.Random) -> Turn:
    kinds = {
        "groceries": ("SPAR", "ALDI", "COOP"),
        "rent": ("HAUSVERW", "IMMO GMBH"),
        "salary": ("LOHN", "PAYROLL"),
        "gambling": ("BETWAY", "CASINO"),
        "fuel": ("SHELL", "ESSO"),
    }
    label = pick(r, tuple(kinds))
    return Turn(f"{pick(r, kinds[label])} {code(r, 0, 4)} {pick(r, FIRST).upper()} {money(r)}", label)


def _sanction(r: random.Random) -> Turn:
    hit = r.random() < 0.08
    return Turn(
        f"{name(r)} | b. {day(r)} | {pick(r, ('driver', 'nurse', 'cook', 'teacher'))} | {'listed vessel agent' if hit else pick(r, FIRST)}",
        "flag" if hit else "clear",
    )


def _mail(r: random.Random) -> Turn:
    return Turn(
        f"{name(r)}, loan {code(r)}, wants {pick(r, tuple(_TOPICS))}, we can offer: {sentence(r)}",
        f"Dear customer,\n\n{prose(r, 7)}\n\nKind regards",
    )


def _sql(r: random.Random) -> Turn:
    table = pick(r, ("loans", "payments", "customers"))
    text = (
        f"{pick(r, ('how many', 'average', 'top ten'))} {table} by {pick(r, ('month', 'branch', 'age'))} since {day(r)}"
    )
    return Turn(
        text,
        f"SELECT {pick(r, ('branch', 'month'))}, count(*) AS n\nFROM {table}\nWHERE created_at >= '{day(r)}'\nGROUP BY 1\nORDER BY n DESC;",
    )


def _lookup(r: random.Random) -> Turn:
    return Turn(f"balance of {code(r)}?", "", (("get_balance", json.dumps({"query": code(r)})),))


def _case(r: random.Random) -> Turn:
    text = f"applicant file:\n{prose(r, 60)}\n\nbank statement:\n" + "\n".join(
        f"{day(r)} {pick(r, FIRST)} {money(r)}" for _ in range(400)
    )
    return Turn(text, f"Position: {prose(r, 9)}\n\nOpen points: {prose(r, 4)}")


def _short(r: random.Random) -> Turn:
    text = prose(r, 3)
    return Turn(text, text.split(". ")[0] + "." if r.random() < 0.5 else " ".join(text.split()[:14]))


def _rate(r: random.Random) -> Turn:
    a, n, p = r.randint(5, 60) * 1000, r.choice((24, 36, 48)), r.randint(3, 12)
    text = f"{a} over {n} months, {p}% nominal, fee of {r.randint(1, 3)}% paid up front, first instalment after {r.randint(30, 90)} days. monthly rate?"
    return Turn(text, money(r, a // n, a // n * 2))


def _why(r: random.Random) -> Turn:
    return Turn(
        f"decline codes: {r.randint(1, 9)}, {r.randint(10, 30)}; score {r.randint(300, 800)}",
        f"The application was declined. {prose(r, 4)}",
    )


def _route(r: random.Random) -> Turn:
    text, label = labelled(
        r,
        {
            "sales": ("i want a new loan", "offer please"),
            "service": ("app broken", "cannot log in"),
            "collections": ("got a reminder", "owe you money"),
        },
    )
    return Turn(text, json.dumps({"queue": label, "confidence": pick(r, ("high", "low", "high"))}))


SITES = (
    Site("mail.topic", 1, "intent", _topic, "topics: " + " ".join(_TOPICS) + "\nmail in, topic out", 5),
    Site("mail.route", 1, "classification", _route, 'mail in, {"queue": sales|service|collections, "confidence": high|low} out', 2),
    Site("underwriting.decide", 3, "reasoning", _eligible, "underwriter. the file and the policy below. approve, decline, refer", 2),
    Site("legal.covenant", 3, "reasoning", _clause, "read clause and event. verdict: breach / no breach / curable", 1.5),
    Site("ops.order", 3, "reasoning", _seats, "review roster. name only", 1),
    Site("docs.payslip", 1, "extraction", _payslip, "ocr of payslips -> employee employer gross net month", 3),
    Site("feed.bankline", 1, "classification", _bankline, "spending category of a bank line", 4),
    Site("kyc.screen", 1, "moderation", _sanction, "customer line against our list rules: clear or flag", 2),
    Site("mail.reply", 2, "generation", _mail, "answer for the customer, house tone, no promises", 1.5),
    Site("bi.ask", 3, "code", _sql, "warehouse is postgres. tables loans payments customers. turn the question into what the warehouse runs", 1),
    Site("bot.balance", 2, "tool_use", _lookup, "teller bot", 2, tools=("get_balance", "get_rate")),
    Site("risk.case", 3, "long_context", _case, "credit memo from the whole file: position, open points", 0.4),
    Site("app.headline", 1, "rewrite", _short, "push text has 90 characters. cut it down", 1.5),
    Site("calc.rate", 3, "reasoning", _rate, "figure for the offer screen", 1),
    Site("mail.decline", 2, "generation", _why, "tell the applicant why, in plain words, within the law", 1),
)  # fmt: skip
