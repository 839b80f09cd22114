"""Software for support teams: one template per feature in the message, XML or JSON in and out, scores of calls."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, day, money, name, pick, prose, sentence, transcript

_AREAS = {
    "billing": ("charged twice", "invoice shows the wrong VAT", "card was declined on renewal", "need a receipt"),
    "login": ("SSO loop", "reset mail never arrives", "2FA code rejected", "locked out"),
    "integration": ("webhook returns 401", "Zapier stopped syncing", "API rate limit", "Salesforce fields empty"),
    "performance": ("dashboard takes minutes", "search times out", "export hangs at 90%"),
    "feature_request": ("would love dark mode", "please add bulk edit", "any plans for an Android app"),
    "data_loss": ("my tickets vanished", "attachments are gone after the update", "history is empty"),
}
_PRIO = {
    "P1": ("everything is down for all agents", "nobody can log in"),
    "P2": ("half of the team cannot reply", "mails delayed by hours"),
    "P3": ("one user sees an error", "a button is greyed out"),
    "P4": ("typo in the menu", "question about colours"),
}
_PLANS = ("Starter", "Growth", "Scale", "Enterprise")
_LANGS = {
    "de": "Guten Tag, ich habe eine Frage zu",
    "fr": "Bonjour, j'ai une question sur",
    "es": "Hola, tengo una pregunta sobre",
    "en": "Hi, a question about",
    "nl": "Hallo, ik heb een vraag over",
    "it": "Salve, ho una domanda su",
}
_OUTCOME = {
    "resolved": ("great, that works now", "perfect, thanks, closed"),
    "unresolved": ("still the same error", "this does not help me at all"),
    "follow_up": ("I will try tomorrow and tell you", "let me ask my admin first"),
}


def _ticket(r: random.Random, cues: tuple[str, ...]) -> str:
    return f"{pick(r, ('Hi team,', 'Hello,', 'hey'))} {pick(r, cues)}. {sentence(r)} We are on {pick(r, _PLANS)}. {name(r)}"


def _triage(r: random.Random) -> Turn:
    area, prio = pick(r, tuple(_AREAS)), pick(r, tuple(_PRIO))
    body = _ticket(r, _AREAS[area])
    return Turn(
        f"<instructions>Triage this support ticket. Fill area, priority and needs_human.</instructions>\n<ticket>\n{body} {pick(r, _PRIO[prio])}.\n</ticket>\n<format>JSON</format>",
        json.dumps({"area": area, "priority": prio, "needs_human": prio in ("P1", "P2")}),
    )


def _sentiment(r: random.Random) -> Turn:
    said = {
        "Frustrated": ("this is a joke", "third time I ask"),
        "Neutral": ("please advise", "for your information"),
        "Satisfied": ("you are the best", "lovely service"),
    }
    label = pick(r, tuple(said))
    return Turn(
        f'How does the customer feel? Message:\n"""\n{pick(r, said[label])}. {sentence(r)}\n"""',
        r.choices((label, f"{label}.", f"The customer feels {label.lower()}."), (6, 2, 2))[0],
    )


def _language(r: random.Random) -> Turn:
    code = pick(r, tuple(_LANGS))
    return Turn(f"ISO 639-1 of the text, nothing else: {_LANGS[code]} {sentence(r)}", code)


def _outcome(r: random.Random) -> Turn:
    label = pick(r, tuple(_OUTCOME))
    return Turn(
        f"Here is the end of a support chat.\n\n{transcript(r, 5)}\nCustomer: {pick(r, _OUTCOME[label])}\n\nWas the issue resolved? Options: resolved, unresolved, follow_up",
        f'{{"outcome": "{label}"}}',
    )


def _macro(r: random.Random) -> Turn:
    area = pick(r, tuple(_AREAS))
    macros = {
        "billing": "M-104",
        "login": "M-220",
        "integration": "M-317",
        "performance": "M-402",
        "feature_request": "M-015",
        "data_loss": "M-990",
    }
    return Turn(
        "Pick the macro for this ticket.\n"
        + "\n".join(f"{key}: {kind.replace('_', ' ')}" for kind, key in macros.items())
        + f"\n\nTicket: {_ticket(r, _AREAS[area])}",
        macros[area],
    )


def _contact(r: random.Random) -> Turn:
    who, firm, phone = (
        name(r),
        f"{pick(r, FIRST)}soft",
        f"+{r.randint(30, 49)} {r.randint(100, 999)} {r.randint(10000, 99999)}",
    )
    text = f"{sentence(r)}\n\n--\n{who}\n{pick(r, ('CTO', 'Head of Support', 'Office Manager'))}, {firm}\n{phone}\n{pick(r, CITIES)}"
    return Turn(
        f"Extract the contact from the signature below as JSON (name, company, phone, city).\n\n{text}",
        "```json\n"
        + json.dumps({"name": who, "company": firm, "phone": phone, "city": text.splitlines()[-1]})
        + "\n```",
    )


def _redact(r: random.Random) -> Turn:
    who, card = (
        name(r),
        f"{r.randint(4000, 4999)} {r.randint(1000, 9999)} {r.randint(1000, 9999)} {r.randint(1000, 9999)}",
    )
    a, b = " ".join(sentence(r) for _ in range(r.randint(4, 9))), sentence(r)
    return Turn(
        f"Replace personal data with placeholders such as [NAME], [CARD]. Leave all else untouched.\n\n{a} {who} paid with {card}. {b}",
        f"{a} [NAME] paid with [CARD]. {b}",
    )


def _steps(r: random.Random) -> Turn:
    version, system, browser = (
        f"{r.randint(2, 9)}.{r.randint(0, 20)}.{r.randint(0, 9)}",
        pick(r, ("Windows 11", "macOS 15", "Ubuntu 24.04")),
        pick(r, ("Firefox", "Chrome", "Safari")),
    )
    return Turn(
        f"Bug report:\n{sentence(r)} I use {browser} on {system}, app version {version}. {sentence(r)} Error code {pick(r, 'EFH')}{r.randint(100, 999)}.\n\nFill the form: os | browser | version",
        f"{system} | {browser} | {version}",
    )


def _spam(r: random.Random) -> Turn:
    bad = r.random() < 0.3
    cue = (
        pick(r, ("boost your SEO ranking now", "you won a prize, click", "cheap followers"))
        if bad
        else _ticket(r, _AREAS[pick(r, tuple(_AREAS))])
    )
    return Turn(f"Is this incoming mail spam?\n\n{cue} {sentence(r)}", "Yes" if bad else "No")


def _faq(r: random.Random) -> Turn:
    ids = r.sample(range(100, 999), 5)
    area = pick(r, tuple(_AREAS))
    rows = [f"{n}: {pick(r, _AREAS[kind])}" for n, kind in zip(ids, r.sample(tuple(_AREAS), 5), strict=True)]
    at = r.randrange(5)
    return Turn(
        f"Question: {rows[at].split(': ')[1]} since {day(r)}, any idea? ({area} team)\nArticles:\n"
        + "\n".join(rows)
        + "\n\nRelevant article ids, as a JSON list, [] if none.",
        json.dumps([ids[at]]),
    )


def _reply(r: random.Random) -> Turn:
    area = pick(r, tuple(_AREAS))
    return Turn(
        f"Draft a reply. Tone: {pick(r, ('warm', 'formal', 'short'))}. Agent: {pick(r, FIRST)}.\n\n<ticket>{_ticket(r, _AREAS[area])}</ticket>\n<kb>{prose(r, 5)}</kb>",
        f"Hi {pick(r, FIRST)},\n\n{prose(r, 4)}\n\nBest,\n{pick(r, FIRST)}",
    )


def _summary(r: random.Random) -> Turn:
    return Turn(
        f"TL;DR for the next agent:\n\n{transcript(r, r.randint(12, 30))}",
        f"- {sentence(r)}\n- {sentence(r)}\n- {sentence(r)}",
    )


def _article(r: random.Random) -> Turn:
    return Turn(
        f"Turn this solved ticket into a help-centre article with title, symptoms, cause, steps.\n\n{transcript(r, 14)}",
        f"# {sentence(r)}\n\n## Symptoms\n{prose(r, 2)}\n\n## Cause\n{prose(r, 2)}\n\n## Steps\n1. {sentence(r)}\n2. {sentence(r)}\n3. {sentence(r)}",
    )


def _bot(r: random.Random) -> Turn:
    docs = json.dumps([{"id": n, "text": prose(r, 3)} for n in range(4)])
    return Turn(
        json.dumps({"question": f"{pick(r, _AREAS[pick(r, tuple(_AREAS))])}, what now?", "passages": docs}),
        json.dumps({"answer": prose(r, 2), "citations": [r.randint(0, 3)]}),
    )


def _translate(r: random.Random) -> Turn:
    return Turn(
        f"Translate into {pick(r, ('German', 'French', 'Spanish'))}, keep placeholders:\n\nHello {{{{first_name}}}}, {prose(r, 3)}",
        f"{pick(r, tuple(_LANGS.values()))} {{{{first_name}}}}: {prose(r, 3)}",
    )


def _score(r: random.Random) -> Turn:
    calm, fixed, polite = (r.randint(0, 3) for _ in range(3))
    talk = "\n".join(f"{who}: {sentence(r)}" for _ in range(10) for who in ("Agent", "Customer"))
    return Turn(
        f"Score the agent's handling of this call from 1 to 10 against the rubric. Judge whether the agent found the real cause, not whether the customer sounded pleased.\n\n<rubric>{prose(r, 5)}</rubric>\n<call>{talk}</call>\n\nScore:",
        str(min(10, 1 + calm + fixed + polite)),
    )


def _credit(r: random.Random) -> Turn:
    fee, users, down, uptime = r.randint(20, 90), r.randint(5, 400), r.randint(10, 900), r.choice((99.5, 99.9, 99.95))
    share = 100 * (1 - down / 43200)
    text = f"Contract: {fee} USD per seat and month, {users} seats, uptime {uptime}%; 10% credit below it, 25% below 99.0%. In {day(r)[:7]} the service was down for {down} minutes, {r.randint(5, 60)} of them announced, and announced ones do not count. Credit owed in USD?"
    return Turn(text, f"{fee * users * (0 if share >= uptime else 0.1 if share >= 99 else 0.25):.2f}")


def _rootcause(r: random.Random) -> Turn:
    logs = "\n".join(
        f"{day(r)}T{r.randint(0, 23):02}:{r.randint(0, 59):02} {pick(r, ('gateway', 'auth', 'worker', 'db'))} {pick(r, ('WARN', 'ERROR', 'INFO'))} {pick(r, ('timeout after', 'retry', 'pool exhausted', 'lock wait', 'deploy'))} {r.randint(1, 5000)}"
        for _ in range(18)
    )
    return Turn(
        f"Which component failed first and took the others down? gateway, auth, worker or db.\n\n{logs}",
        pick(r, ("db", "auth", "worker", "gateway")),
    )


def _regex(r: random.Random) -> Turn:
    return Turn(
        f"Customer wants to match {pick(r, ('order numbers', 'IBANs', 'hostnames'))} like {pick(r, 'ABC')}{r.randint(100, 999)}-{r.randint(10, 99)} but not {r.randint(100, 999)}. Write the trigger's regex and explain it.",
        f"`^[A-Z]\\d{{3}}-\\d{{{r.randint(2, 4)}}}$`\n\n{prose(r, 2)}",
    )


def _workflow(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"{pick(r, FIRST)} of {pick(r, CITIES)} wants a refund for {day(r)} and to move to {pick(r, _PLANS)}",
        }
    ]
    for n in range(r.randint(0, 4)):
        turns += called(f"w{n}", "lookup", {}, json.dumps({"plan": pick(r, _PLANS), "paid": money(r)}))
    return Turn(turns, "", ((pick(r, ("lookup", "refund", "change_plan")), json.dumps({"query": pick(r, FIRST)})),))


def _route(r: random.Random) -> Turn:
    area = pick(r, tuple(_AREAS))
    return Turn(_ticket(r, _AREAS[area]), "", (("assign", json.dumps({"query": area})),))


def _copilot(r: random.Random) -> Turn:
    turns: list[Message] = []
    for _ in range(r.randint(1, 4)):
        turns += [
            {"role": "user", "content": f"{sentence(r)} How would you handle it?"},
            {"role": "assistant", "content": prose(r, 6)},
        ]
    return Turn(
        [*turns, {"role": "user", "content": f"And if {pick(r, FIRST)} escalates? {sentence(r)}"}],
        prose(r, r.randint(6, 12)),
    )


def _churn(r: random.Random) -> Turn:
    rows = "\n".join(f"{day(r)[:7]},{r.randint(1, 90)},{r.randint(0, 20)},{r.randint(1, 10)}" for _ in range(12))
    return Turn(
        f"month,tickets,escalations,csat\n{rows}\n\nWill {pick(r, FIRST)} GmbH churn, and which of these numbers would you trust least?",
        prose(r, 9),
    )


SITES = (
    Site("ticket.triage", 1, "classification", _triage, "", 8),
    Site("ticket.sentiment", 1, "classification", _sentiment, "", 5),
    Site("ticket.language", 1, "classification", _language, "", 3),
    Site("chat.outcome", 1, "classification", _outcome, "", 4),
    Site("ticket.macro", 1, "intent", _macro, "", 4),
    Site("mail.contact", 1, "extraction", _contact, "", 4),
    Site("text.redact", 1, "rewrite", _redact, "", 4),
    Site("bug.form", 1, "extraction", _steps, "", 3),
    Site("mail.spam", 1, "moderation", _spam, "", 4),
    Site("faq.link", 1, "classification", _faq, "You link tickets to articles.", 2.5),
    Site("reply.draft", 2, "generation", _reply, "You are a helpful support agent.", 6),
    Site("chat.summary", 2, "summarization", _summary, "", 4),
    Site("kb.article", 2, "generation", _article, "", 1.5),
    Site("bot.answer", 2, "generation", _bot, 'Reply as {"answer": str, "citations": [int]}. Only use the passages.', 5, response_format={"type": "json_object"}),
    Site("macro.translate", 2, "generation", _translate, "", 2),
    Site("ticket.assign", 2, "tool_use", _route, "Assign the ticket.", 2, tools=("assign",)),
    Site("call.score", 3, "reasoning", _score, "", 2),
    Site("sla.credit", 3, "reasoning", _credit, "", 1.2),
    Site("incident.cause", 3, "reasoning", _rootcause, "", 1.2),
    Site("trigger.regex", 3, "code", _regex, "", 1),
    Site("backoffice.agent", 3, "tool_use", _workflow, "Work through the customer's wish with the tools; check before you change anything.", 2, tools=("lookup", "refund", "change_plan", "note")),
    Site("agent.copilot", 3, "chat", _copilot, "You sit beside a support agent.", 1.5),
    Site("success.churn", 3, "reasoning", _churn, "", 1),
)  # fmt: skip
