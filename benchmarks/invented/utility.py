"""An electricity supplier's service platform: tagged call sites in English, most of them the daily post, meters and bills."""

import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import (
    CITIES,
    FILLERS,
    FIRST,
    LAST,
    code,
    day,
    misspelt,
    money,
    name,
    pick,
    prose,
    sentence,
    transcript,
)

_TOPICS = {
    "meter_reading": ("here is my reading for this month", "I could not read the display of the meter"),
    "bill_too_high": ("why is my bill so much higher than last year", "I cannot have used that much power"),
    "payment_plan": ("can I pay the arrears in instalments", "I need more time to pay"),
    "direct_debit": ("please change the account you collect from", "my debit came back"),
    "moving_home": ("we are moving out at the end of the month", "I have just moved into a flat you supply"),
    "tariff_change": ("I would like to switch to the green tariff", "is there a cheaper contract"),
    "outage": ("the whole street has no power", "our lights have been out since six"),
    "solar": ("when do I get paid for my solar power", "I want to register a new inverter"),
    "cancellation": ("I hereby cancel my contract", "I am leaving you for another supplier"),
    "complaint": ("nobody has answered my last three mails", "your agent was rude on the phone"),
    "refund": ("where is the credit from my last bill", "please pay out my balance"),
    "other": ("do you sponsor our sports club", "who do I invite to a school visit"),
}
_INTENTS = {
    "greet": ("hi there", "good morning"),
    "balance": ("how much do I owe", "what's my balance"),
    "due_date": ("when is the bill due", "by when must I pay"),
    "opening_hours": ("are you open on Saturday", "until what time can I call"),
    "human": ("let me talk to a person", "agent please"),
    "send_copy": ("can you send me the invoice again", "I lost the last bill"),
    "change_email": ("I have a new email address", "update my mail please"),
    "report_fault": ("power is gone", "no electricity here"),
    "goodbye": ("that's all thanks", "bye"),
}
_ASPECTS = {
    "price": ("too dear", "a fair price"),
    "service": ("friendly on the phone", "forty minutes on hold"),
    "app": ("the app crashes", "the app is lovely"),
    "billing": ("bill came late", "the bill is a mess"),
    "green": ("glad it is all renewable", "greenwashing"),
}
_SEVERITY = {
    "low": ("a small mistake in the greeting of your letter", "the envelope was torn"),
    "medium": ("second reminder although I had paid", "wrong meter on the bill"),
    "high": ("you are about to cut off my mother who needs a ventilator", "I am going to the ombudsman and a lawyer"),
}
_SPOKEN = {
    "yes": ("yeah go on", "yes that's right", "sure, correct"),
    "no": ("no not really", "nope that's wrong", "no thank you"),
    "unclear": ("hang on a second", "what did you say", "my neighbour maybe"),
}
_HELP = (
    ("When will my smart meter be fitted?", "Smart meters are fitted street by street. You get a letter four weeks ahead with a slot, which you can move twice in your account.", "You will get a letter about four weeks before it is your street's turn, and you can move the slot twice in your account."),
    ("What happens if I miss a payment?", "After a missed payment a reminder is sent within ten days. The second reminder costs 4 euros. No supply is cut without a notice of four weeks.", "You first get a free reminder; the second costs 4 euros. We would never disconnect you without four weeks' notice."),
    ("Can I use two tariffs in one house?", "A tariff belongs to a meter. A heat pump or a charger with a meter of its own can have its own tariff.", "Only if there are two meters, for example one for the heat pump or the charger."),
    ("How do I read a two-rate meter?", "Two-rate meters show 1.8.1 for the day and 1.8.2 for the night. Enter both without the decimals.", "Enter both numbers without decimals: 1.8.1 is the day rate and 1.8.2 the night rate."),
)  # fmt: skip


def _where(r: random.Random) -> str:
    return f"{r.randint(1, 199)} {pick(r, LAST)} {pick(r, ('Street', 'Road', 'Lane', 'Avenue'))}, {pick(r, CITIES)}"


def _topic(r: random.Random) -> Turn:
    label = pick(r, tuple(_TOPICS))
    cue = pick(r, _TOPICS[pick(r, tuple(_TOPICS)) if r.random() < 0.05 else label])
    return Turn(
        f"Dear team, {cue}. Customer number {r.randint(10**6, 10**7)}. {pick(r, FILLERS)} {name(r)}",
        json.dumps({"topic": label, "confidence": pick(r, (0.7, 0.8, 0.9, 0.95, 0.99))}),
    )


def _intent(r: random.Random) -> Turn:
    label = pick(r, tuple(_INTENTS))
    return Turn(
        f"{pick(r, _INTENTS[label])}{pick(r, ('', '?', '!', ' please', f' it is {pick(r, FIRST)} again', f' (contract {r.randint(1000, 9999)})'))}",
        label,
    )


def _reading(r: random.Random) -> Turn:
    meter, value, when = code(r, 2, 6), r.randint(100, 99999), day(r)
    return Turn(
        f"Hello, {pick(r, ('today I read', 'the display says', 'new reading:'))} {value} kWh on meter {meter}, taken on {when}. {pick(r, FILLERS)} {name(r)}",
        json.dumps({"meter": meter, "reading_kwh": value, "date": when}),
    )


def _bill(r: random.Random) -> Turn:
    number, total, due, used = f"INV-{r.randint(10**5, 10**6)}", money(r), day(r), r.randint(80, 900)
    return Turn(
        f"---scan---\n{name(r)}\n{_where(r)}\nInvoice {number}\nConsumption {used} kWh\nStanding charge {money(r, 4, 20)}\nTotal due {total} EUR by {due}\n{sentence(r)}",
        json.dumps({"invoice": number, "consumption_kwh": used, "total": total, "due": due}),
    )


def _moving(r: random.Random) -> Turn:
    who, old, new, when = name(r), _where(r), _where(r), day(r)
    return Turn(
        f"We leave {old} on {when} and our new home is {new}. {pick(r, FILLERS)} {who}",
        f"Name: {who}\nOld address: {old}\nNew address: {new}\nDate: {when}",
    )


def _severity(r: random.Random) -> Turn:
    label = pick(r, tuple(_SEVERITY))
    cue = pick(r, _SEVERITY[label])
    return Turn(
        f"{cue}. {pick(r, FILLERS)} {name(r)}, {_where(r)}",
        f"Reason: the customer writes about {cue}.\nSeverity: {label}",
    )


def _grammar(r: random.Random) -> Turn:
    text = f"We have checked your meter {code(r)} and corrected the bill of {day(r)}. The credit of {money(r)} euros will be with you in five days."
    return Turn(misspelt(r, text), text)


def _forum(r: random.Random) -> Turn:
    label = r.choices(("publish", "hide", "review"), (7, 2, 2))[0]
    text = {
        "publish": f"my {pick(r, ('heat pump', 'inverter', 'wall box'))} runs fine since {pick(r, ('spring', 'the update', 'last week'))}",
        "hide": f"buy cheap panels at www.{code(r, 6, 0).lower()}.example now",
        "review": f"{pick(r, FIRST)} from your hotline should be ashamed",
    }[label]
    return Turn(f"{text}. {sentence(r)}", label)


def _aspects(r: random.Random) -> Turn:
    found = r.sample(tuple(_ASPECTS), r.randint(1, 3))
    return Turn(
        f"{r.randint(1, 5)} stars. {', '.join(pick(r, _ASPECTS[each]) for each in found)}. {pick(r, FIRST)} from {pick(r, CITIES)}",
        ", ".join(sorted(found)),
    )


def _spoken(r: random.Random) -> Turn:
    label = pick(r, tuple(_SPOKEN))
    return Turn(
        f"Agent asked: {pick(r, ('Is your address still correct', 'Shall I send the bill by mail', 'Did I get the reading right'))}?\nCaller: {pick(r, ('er', 'um', 'well', 'so'))} {pick(r, _SPOKEN[label])} {pick(r, FIRST)}",
        label,
    )


def _address(r: random.Random) -> Turn:
    no, street, kind, city, post = (
        r.randint(1, 199),
        pick(r, LAST),
        pick(r, (("Street", "str"), ("Road", "rd"), ("Avenue", "ave"))),
        pick(r, CITIES),
        r.randint(10000, 99999),
    )
    return Turn(f"{street.lower()} {kind[1]}. {no} {post} {city.upper()}", f"{no} {street} {kind[0]}, {post} {city}")


def _kb(r: random.Random) -> Turn:
    topic = pick(r, ("smart meter", "solar feed-in", "direct debit", "night rate", "deposit", "moving house"))
    word = pick(r, ("cost", "date", "form", "deadline", "refund"))
    return Turn(
        f"{pick(r, ('hello could you please tell me about', 'I was wondering what is the', 'so where do I find the'))} {topic} {word} in {pick(r, CITIES)}",
        f"{topic} {word}",
    )


def _same(r: random.Random) -> Turn:
    same, street, city = r.random() < 0.5, pick(r, LAST), pick(r, CITIES)
    other = street if same else pick(r, [each for each in LAST if each != street])
    return Turn(
        f"A: no power in {street} Street, {city}, since {r.randint(1, 12)} pm\nB: {pick(r, ('dark here', 'lights out', 'fuse?'))} {other} Street {city} {pick(r, FIRST)}",
        "same" if same else "different",
    )


def _explain(r: random.Random) -> Turn:
    return Turn(
        f"bill:\n  energy: {money(r)}\n  standing charge: {money(r, 5, 20)}\n  credit: -{money(r, 1, 60)}\n  previous: {money(r)}\ncustomer asks: {pick(r, _TOPICS['bill_too_high'])}?",
        f"Dear {pick(r, FIRST)}, {prose(r, 5)}",
    )


def _reply(r: random.Random) -> Turn:
    return Turn(
        f"Mail from {name(r)}:\n{pick(r, _TOPICS[pick(r, tuple(_TOPICS))])}. {prose(r, 2)}\n\nWhat the agent wants to say: {sentence(r)}",
        f"Dear customer,\n\nthank you for your message. {prose(r, r.randint(3, 6))}\n\nKind regards\nYour service team",
    )


def _rag(r: random.Random) -> Turn:
    asked, passage, answer = pick(r, _HELP)
    return Turn(
        f"Context:\n{passage}\n\n{prose(r, 4)}\n\n{pick(r, _HELP)[1]}\n\nCustomer: {asked} {pick(r, FILLERS)}",
        f"{answer} {pick(r, ('Is there anything else?', 'Does that help?', sentence(r)))}",
    )


def _call(r: random.Random) -> Turn:
    return Turn(f"Call {r.randint(10**5, 10**6)}\n{transcript(r, 22)}", f"{prose(r, 3)} Follow-up: {sentence(r)}")


def _crew(r: random.Random) -> Turn:
    return Turn(
        "\n".join(
            f"{r.randint(0, 23):02}:{r.randint(0, 59):02} {pick(r, FIRST)}: {pick(r, ('cable joint', 'transformer', 'feeder'))} {code(r)}, {sentence(r)}"
            for _ in range(15)
        ),
        "\n".join(f"- {sentence(r)}" for _ in range(5)),
    )


def _announce(r: random.Random) -> Turn:
    return Turn(
        f"Works on {day(r)} from {r.randint(6, 10)} to {r.randint(11, 16)} in {_where(r)}. Reason: {sentence(r)}",
        f"Dear residents,\n\n{prose(r, 5)}",
    )


def _ticket(r: random.Random) -> Turn:
    what = pick(r, ("a technician visit", "a call back", "a new meter reading card"))
    return Turn(
        f"customer {r.randint(10**6, 10**7)} wants {what}, best on {day(r)}",
        "",
        (("open_ticket", json.dumps({"query": what})),),
    )


def _tips(r: random.Random) -> Turn:
    return Turn(
        f"household: {r.randint(1, 6)} people, {r.randint(40, 200)} m2, {pick(r, ('gas', 'heat pump', 'night storage'))}, {r.randint(1200, 9000)} kWh a year, {pick(r, ('electric car', 'sauna', 'aquarium', 'nothing special'))}",
        "\n".join(f"{n}. {sentence(r)}" for n in range(1, 5)),
    )


def _tariff(r: random.Random) -> Turn:
    offers = "\n".join(
        f"{each}: {r.randint(5, 18)} a month, {r.randint(24, 39)} ct by day, {r.randint(15, 30)} ct from 22 to 6, bonus {r.randint(0, 120)} after a year"
        for each in ("Basic", "Flex", "Green", "Night")
    )
    return Turn(
        f"{offers}\n\nUses {r.randint(1500, 9000)} kWh, {r.randint(10, 60)}% of it at night, may move after {r.randint(5, 20)} months.",
        pick(r, ("Basic", "Flex", "Green", "Night")),
    )


def _dispute(r: random.Random) -> Turn:
    return Turn(
        f"Case {code(r)}: the customer says that {sentence(r).lower()} The meter was changed on {day(r)}, the estimate of {day(r)} rested on the previous tenant, a reading was sent on {day(r)} but rejected as implausible, the bill was issued on {day(r)}. {sentence(r)} {prose(r, 3)}",
        pick(r, ("uphold", "partly_uphold", "dismiss")),
    )


def _forecast(r: random.Random) -> Turn:
    rows = "\n".join(f"{day(r)};{r.randint(200, 900)};{r.randint(200, 900)};{r.randint(-5, 30)}" for _ in range(30))
    return Turn(
        f"date;forecast_mwh;actual_mwh;temperature\n{rows}\n\nWhy did we miss, and what should we change in the purchase plan?",
        prose(r, 15),
    )


def _sql(r: random.Random) -> Turn:
    field, limit = pick(r, ("region", "tariff", "meter_type")), r.randint(2, 12)
    return Turn(
        f"customers per {field} with more than {limit} estimated readings in a row and no visit since {day(r)}",
        f"SELECT {field}, count(DISTINCT customer_id)\nFROM readings\nWHERE estimated\nGROUP BY {field}\nHAVING count(*) > {limit};",
    )


def _agent(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"Feeder {code(r)} tripped at {r.randint(0, 23)}:{r.randint(10, 59)}. Find out why and get the customers back.",
        }
    ]
    for n in range(r.randint(0, 4)):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"t{n}", "type": "function", "function": {"name": "read_scada", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": f"t{n}", "content": json.dumps({"state": pick(r, ("open", "closed")), "amps": r.randint(0, 400), "note": sentence(r)})},
        ]  # fmt: skip
    return Turn(turns, "", ((pick(r, ("read_scada", "switch_plan", "call_crew")), json.dumps({"query": code(r)})),))


def _contract(r: random.Random) -> Turn:
    clauses = "\n".join(f"{n}. {prose(r, 5)}" for n in range(1, 25))
    return Turn(
        f"{clauses}\n\nWhich clauses put us at risk if wholesale prices fall by {r.randint(10, 50)}%, and how do they interact?",
        prose(r, 12),
    )


def _script(r: random.Random) -> Turn:
    column, limit = pick(r, ("kwh", "amps", "volts")), r.randint(2, 50)
    body = f"def gaps(rows):\n    last = None\n    for row in rows:\n        if row['{column}'] - last > {limit}:\n            yield row\n"
    return Turn(
        f"This import script fails on the first row ({pick(r, ('TypeError', 'it stops', 'exception in cron'))}):\n\n{body}",
        f"```python\n{body.replace('row in rows:', 'row in rows:' + chr(10) + '        if last is None:' + chr(10) + '            last = row[' + repr(column) + ']')}```\n{sentence(r)}",
    )


_BRIEF = "Brightwire supplies electricity to households. "

COMPANY = Company(
    "utility", True,
    (
        Site("mail.topic", 1, "classification", _topic, _BRIEF + 'You sort incoming email.\n\nTopics:\n' + "\n".join(f"- {each}" for each in _TOPICS) + '\n\nReturn JSON: {"topic": "<one of the topics>", "confidence": <0 to 1>}', 7, response_format={"type": "json_object"}),
        Site("chat.intent", 1, "intent", _intent, _BRIEF + "Classify the customer's chat message into exactly one intent: " + ", ".join(_INTENTS) + ". Output the intent name only.", 6),
        Site("meter.reading", 1, "extraction", _reading, _BRIEF + "Customers mail their meter readings. Extract the meter number, the reading in kWh and the date as JSON (meter, reading_kwh, date).", 5),
        Site("bill.fields", 1, "extraction", _bill, _BRIEF + "The text comes from a scanner. Pull out invoice, consumption_kwh, total and due. Respond with JSON.", 3.5, response_format={"type": "json_object"}),
        Site("move.details", 1, "extraction", _moving, _BRIEF + "A customer tells us that they move. Fill in these lines:\nName:\nOld address:\nNew address:\nDate:", 2.5),
        Site("complaint.severity", 1, "classification", _severity, _BRIEF + "How severe is the complaint? First one line with the reason, then one line \"Severity: low|medium|high\".", 2.5),
        Site("forum.moderate", 1, "moderation", _forum, _BRIEF + "Moderate posts of the customer forum according to the house rules. Advertising is hidden, attacks on people go to review, the rest is published. Reply: publish, hide or review.", 2.5),
        Site("address.clean", 1, "rewrite", _address, "Bring the address into the form \"number street, postcode city\" with full words and normal capitals. Return the address only.", 2.5),
        Site("letter.grammar", 1, "rewrite", _grammar, _BRIEF + "Proofread the agent's text. Correct mistakes, change nothing else.", 2),
        Site("review.aspects", 1, "classification", _aspects, _BRIEF + "Which aspects does the review mention? Choose from price, service, app, billing, green; separate several with commas, in alphabetical order.", 2),
        Site("voice.confirm", 1, "intent", _spoken, "Voice bot. Did the caller agree? yes, no or unclear.", 2),
        Site("kb.query", 1, "rewrite", _kb, _BRIEF + "Rewrite the question as a short keyword query for the knowledge base search. No stop words, no city names.", 2),
        Site("outage.same", 1, "classification", _same, _BRIEF + "Two outage reports. Do they concern the same street? Answer same or different.", 1.5, since=0.5),
        Site("mail.reply", 2, "generation", _reply, _BRIEF + "Write the reply to the customer in our tone: clear, warm, no jargon. Use the agent's point.", 4),
        Site("call.summary", 2, "summarization", _call, _BRIEF + "Summarise the phone call for the customer file in three sentences and name the follow-up.", 4),
        Site("help.bot", 2, "generation", _rag, _BRIEF + "You are the help bot. Answer using only the context. Keep it to two sentences.", 3.5),
        Site("bill.explain", 2, "generation", _explain, _BRIEF + "Explain the bill to the customer in everyday words.", 3),
        Site("ticket.open", 2, "tool_use", _ticket, _BRIEF + "Use one of the functions to record what the agent typed.", 2, tools=("open_ticket", "close_ticket", "find_customer")),
        Site("crew.handover", 2, "summarization", _crew, _BRIEF + "Make a handover for the next shift out of the radio log, as bullet points.", 1.5),
        Site("works.notice", 2, "generation", _announce, _BRIEF + "Write a notice to residents about planned works.", 1),
        Site("tips.saving", 2, "generation", _tips, _BRIEF + "Give four tips for saving energy that suit this household.", 1, since=0.5),
        Site("ops.agent", 3, "tool_use", _agent, _BRIEF + "You assist the control room. Investigate with the tools and propose switching steps; never switch without a plan.", 2, tools=("read_scada", "switch_plan", "call_crew", "customer_count", "weather")),
        Site("tariff.best", 3, "reasoning", _tariff, _BRIEF + "Which tariff costs this customer least over the time they are likely to stay? Return the tariff's name.", 1.5),
        Site("dispute.decide", 3, "reasoning", _dispute, _BRIEF + "You prepare decisions of the dispute board. Consider deadlines, burden of proof and the terms of supply, then answer uphold, partly_uphold or dismiss.", 1.5),
        Site("bi.sql", 3, "code", _sql, _BRIEF + "Write one SQL query for our warehouse that answers the question. No comments.", 1.2),
        Site("trading.review", 3, "reasoning", _forecast, _BRIEF + "You are an analyst on the trading desk. Analyse the forecast errors and recommend.", 1),
        Site("script.fix", 3, "code", _script, _BRIEF + "Find the bug in the script and return the corrected script with one line about the cause.", 0.8),
        Site("contract.review", 3, "long_context", _contract, _BRIEF + "Review the supply contract and answer the question with references to clauses.", 0.8),
    ),
)  # fmt: skip
