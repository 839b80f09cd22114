"""Bookkeeping software: short developer prompts, few-shot lines, tables in the message, labels with a confidence and a reason."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, LAST, code, day, misspelt, money, name, pick, prose, sentence

_ACCOUNTS = {
    "6300 Office supplies": ("printer paper", "toner cartridge", "whiteboard markers", "envelopes", "desk organiser"),
    "6420 Software": ("cloud hosting", "design licence", "mail service", "code repository seats", "backup storage"),
    "6550 Travel": ("train ticket", "hotel night", "taxi to the airport", "parking fee", "flight to Porto"),
    "6600 Entertainment": ("dinner with a client", "coffee for the meeting", "concert tickets for partners"),
    "6810 Telephone": ("mobile contract", "roaming charges", "landline fee"),
    "6850 Training": ("welding course", "language class", "conference pass", "tax seminar"),
    "0420 Equipment": ("server rack", "delivery bike", "espresso machine", "laser cutter"),
}
_KIND = {
    "invoice": ("Invoice no.", "payable within 14 days", "our invoice to you"),
    "credit_note": ("Credit note", "we credit you", "returned goods refunded"),
    "reminder": ("Payment reminder", "is overdue", "second notice"),
    "contract": ("This agreement is made", "term of the lease", "the parties agree"),
    "bank_statement": ("Opening balance", "statement of account", "closing balance"),
    "other": ("newsletter", "invitation to the fair", "catalogue"),
}
_ASK = {
    "VAT": ("which rate applies to e-books", "reverse charge for a French client", "can I deduct VAT on the car"),
    "PAYROLL": ("pay slip is missing overtime", "new employee starts Monday", "mini-job limit"),
    "DEADLINE": ("when is the annual return due", "can I get an extension", "is the filing late"),
    "APP_BUG": ("export button does nothing", "the app logs me out", "scan is upside down"),
    "OTHER": ("thanks for the help", "who is my advisor", "happy new year"),
}
_RISK = {
    "routine": ("monthly rent", "salary run", "utilities"),
    "check": ("new supplier, first payment", "IBAN changed last week", "rounded amount at midnight"),
}


def _posting(r: random.Random) -> Turn:
    account = pick(r, tuple(_ACCOUNTS))
    if r.random() < 0.04:
        account = pick(r, tuple(_ACCOUNTS))
    return Turn(
        f"{pick(r, LAST)} & Co, {pick(r, _ACCOUNTS[account])}, {pick(r, CITIES)}, {money(r)} EUR, {day(r)}",
        json.dumps(
            {
                "account": account,
                "confidence": round(r.uniform(0.7, 0.99), 2),
                "reason": f"{pick(r, ('Typical', 'Usual', 'Recurring'))} expense of this kind.",
            }
        ),
    )


def _kind(r: random.Random) -> Turn:
    label = pick(r, tuple(_KIND))
    lines = [
        f"{pick(r, LAST)} GmbH, {pick(r, CITIES)}",
        pick(r, _KIND[label]),
        sentence(r),
        f"{day(r)} {code(r)}",
        sentence(r),
    ]
    return Turn("OCR:\n" + "\n".join(lines), f"type: {label}")


def _question(r: random.Random) -> Turn:
    label = pick(r, tuple(_ASK))
    return Turn(
        f"{pick(r, ('Hi,', 'Good morning,', 'Quick one:'))} {pick(r, _ASK[label])}. {sentence(r)} {name(r)}", label
    )


def _invoice(r: random.Random) -> Turn:
    firm, number, total, due = f"{pick(r, LAST)} Ltd", code(r, 3, 4), money(r, 50, 9000), day(r)
    items = [{"text": pick(r, _ACCOUNTS[pick(r, tuple(_ACCOUNTS))]), "net": money(r)} for _ in range(r.randint(1, 4))]
    text = (
        f"{firm}\nInvoice {number}\n"
        + "\n".join(f"{n}. {i['text']} ........ {i['net']}" for n, i in enumerate(items, 1))
        + f"\nTotal {total}\nDue {due}\n{sentence(r)}"
    )
    return Turn(text, json.dumps({"supplier": firm, "number": number, "due": due, "total": total, "items": items}))


def _iban(r: random.Random) -> Turn:
    iban = f"DE{r.randint(10, 99)} {r.randint(1000, 9999)} {r.randint(1000, 9999)} {r.randint(1000, 9999)} {r.randint(10, 99)}"
    return Turn(
        f"{sentence(r)} Please pay to {name(r)}, {iban}, reference {code(r)}. {sentence(r)}", iban.replace(" ", "")
    )


def _supplier(r: random.Random) -> Turn:
    who, town = f"{pick(r, LAST)} {pick(r, LAST)}", pick(r, CITIES)
    return Turn(f"{who.upper()}  {pick(r, ('GMBH', 'LTD', 'SARL'))} {town.upper()} CARD {r.randint(1000, 9999)}", who)


def _duplicate(r: random.Random) -> Turn:
    firm, number, amount = pick(r, LAST), code(r), money(r)
    same = r.random() < 0.4
    other = f"{firm} Ltd. / {number} / {amount}" if same else f"{pick(r, LAST)} Ltd. / {code(r)} / {money(r)}"
    return Turn(f"A: {firm} | {number} | {amount}\nB: {other}", "duplicate" if same else "different")


def _risk(r: random.Random) -> Turn:
    label = r.choices(tuple(_RISK), (8, 2))[0]
    return Turn(
        f"transfer: {pick(r, _RISK[label])}, to {pick(r, LAST)}, {day(r)}, ref {code(r)}",
        f"{label.upper()} - {'regular payment' if label == 'routine' else 'unusual, look at it'}",
    )


def _memo(r: random.Random) -> Turn:
    text = " ".join(sentence(r) for _ in range(r.randint(3, 6)))
    return Turn(misspelt(r, text), text)


def _formal(r: random.Random) -> Turn:
    body = " ".join(sentence(r) for _ in range(r.randint(3, 5)))
    return Turn(f"hey, {body} cheers", f"Dear Sir or Madam, {body} Kind regards")


def _dunning(r: random.Random) -> Turn:
    return Turn(
        f"customer {name(r)}; open {money(r)}; due {day(r)}; stage {r.randint(1, 3)}; tone {pick(r, ('mild', 'firm'))}",
        f"Dear {name(r)},\n\n{prose(r, 5)}\n\nYours sincerely",
    )


def _report(r: random.Random) -> Turn:
    rows = "\n".join(f"| {day(r)[:7]} | {money(r)} | {money(r)} |" for _ in range(12))
    return Turn(
        f"| month | income | costs |\n|---|---|---|\n{rows}\n\n{prose(r, 3)}",
        f"{prose(r, 4)}\n\n- {sentence(r)}\n- {sentence(r)}",
    )


def _advice(r: random.Random) -> Turn:
    docs = "\n\n".join(f"§{r.randint(1, 90)}: {prose(r, 3)}" for _ in range(4))
    return Turn(
        f"{docs}\n\nUser: {pick(r, _ASK[pick(r, tuple(_ASK))])}?", f"{sentence(r)} (§{r.randint(1, 90)}) {sentence(r)}"
    )


def _call(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, ('send', 'mail me', 'open'))} the {pick(r, ('balance sheet', 'vat return', 'journal'))} for {day(r)[:7]}",
        "",
        (("open_document", json.dumps({"query": day(r)[:7]})),),
    )


def _vat(r: random.Random) -> Turn:
    net, rate, share, paid = r.randint(100, 5000), r.choice((7, 10, 19, 20)), r.randint(20, 90), r.randint(10, 400)
    return Turn(
        f"Purchases {net} net at {rate}%, {share}% business use, {paid} already claimed last quarter, {r.randint(1, 40)} returned net.",
        f"{net * rate / 100 * share / 100 - paid:.2f}",
    )


def _residence(r: random.Random) -> Turn:
    abroad, home = r.randint(60, 330), r.random() < 0.5
    text = f"{name(r)} spent {abroad} days in {pick(r, CITIES)} and the rest in {pick(r, CITIES)}, {'kept' if home else 'gave up'} the flat at home, family {pick(r, ('stayed', 'came along', 'joined in summer'))}, employer in {pick(r, CITIES)}, second job in {pick(r, CITIES)}. {sentence(r)} {sentence(r)}"
    label = "dual" if home and abroad > 183 else "abroad" if abroad > 183 else "home"
    return Turn(text, f"{label}\n\n{sentence(r)} {sentence(r)}")


def _audit(r: random.Random) -> Turn:
    rows = "\n".join(f"{day(r)};{pick(r, LAST)};{money(r)};{r.randint(1000, 9999)};{pick(r, FIRST)}" for _ in range(40))
    return Turn(
        f"date;payee;amount;account;user\n{rows}\n\nWhat stands out, and what would you ask whom?", prose(r, 12)
    )


def _structure(r: random.Random) -> Turn:
    return Turn(
        f"{sentence(r)} {pick(r, FIRST)} wants to bring in {r.randint(2, 9)}0,000 and a partner from {pick(r, CITIES)}. {sentence(r)} Sole trader or company, and why?",
        prose(r, r.randint(10, 16)),
    )


def _formula(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, ('sum', 'average', 'latest'))} of column {pick(r, 'CDEF')} where {pick(r, 'AB')} is {pick(r, ('unpaid', 'Q3', 'travel'))} and the date in G is before {day(r)}",
        f'=SUMIFS({pick(r, "CDEF")}:{pick(r, "CDEF")},A:A,"{pick(r, ("unpaid", "Q3"))}",G:G,"<{day(r)}")',
    )


def _closing(r: random.Random) -> Turn:
    turns: list[Message] = [{"role": "user", "content": f"Close {day(r)[:7]} for {pick(r, LAST)} GmbH."}]
    for n in range(r.randint(0, 5)):
        turns += called(f"l{n}", "get_open_items", {}, json.dumps([{"id": code(r), "open": money(r)}]))
    return Turn(
        turns, "", ((pick(r, ("get_open_items", "post_entry", "match_payment")), json.dumps({"query": code(r)})),)
    )


SITES = (
    Site("booking.account", 1, "classification", _posting, "Chart of accounts:\n" + "\n".join(_ACCOUNTS) + '\n\nBook the receipt line. Output {"account": ..., "confidence": 0-1, "reason": ...}', 8),
    Site("inbox.type", 1, "classification", _kind, "doc type? " + "|".join(_KIND), 6),
    Site("help.topic", 1, "intent", _question, "Route the client's question to a desk.\n\n'when do I have to file' => DEADLINE\n'the upload spins forever' => APP_BUG\n'social security of a trainee' => PAYROLL\n'tax on a Polish invoice' => VAT\nanything else => OTHER", 5),
    Site("invoice.read", 1, "extraction", _invoice, "invoice text to json: supplier, number, due, total, items[text, net]", 6),
    Site("mail.iban", 1, "extraction", _iban, "Get the IBAN without spaces.", 3),
    Site("bank.payee", 1, "rewrite", _supplier, "Readable payee name from a card line.\nIN: MOREAU ABEL SARL LYON CARD 1187\nOUT: Moreau Abel", 3),
    Site("invoice.twice", 1, "classification", _duplicate, "Is B the same invoice as A?", 3),
    Site("payments.watch", 1, "moderation", _risk, "Screen outgoing payments. ROUTINE or CHECK, then a dash and a few words.", 4),
    Site("memo.spell", 1, "rewrite", _memo, "typos out", 3),
    Site("mail.formal", 1, "rewrite", _formal, "Only change greeting and closing of the draft to formal ones.", 2),
    Site("dunning.letter", 2, "generation", _dunning, "Reminder letter from the record.", 4),
    Site("report.comment", 2, "summarization", _report, "Comment on the figures for the owner. Plain language.", 3),
    Site("help.answer", 2, "generation", _advice, "Use the paragraphs above the question. Cite them.", 5),
    Site("app.command", 2, "tool_use", _call, "", 2, tools=("open_document", "send_document")),
    Site("vat.claim", 3, "reasoning", _vat, "claimable now", 1.5),
    Site("tax.residence", 3, "reasoning", _residence, "Where is the person resident for tax? home, abroad or dual. Then explain in two sentences.", 2),
    Site("audit.review", 3, "reasoning", _audit, "Internal audit.", 1),
    Site("advisor.structure", 3, "reasoning", _structure, "Tax advisor for founders.", 1.2),
    Site("sheet.formula", 3, "code", _formula, "Spreadsheet helper: what goes into the cell.", 1.2),
    Site("closing.agent", 3, "tool_use", _closing, "Month-end closing. Clear open items until none is left.", 2, tools=("get_open_items", "post_entry", "match_payment", "ask_client")),
)  # fmt: skip
