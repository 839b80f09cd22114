"""A consumer bank: chat and secure messages on one side, the back office's documents, disputes and checks on the other."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    LAST,
    capital,
    cued,
    day,
    grounded,
    mangled,
    misspelt,
    money,
    name,
    pick,
    slip,
    spin,
    typed,
)

# fmt: off
_W = {
    "shop": "[Tesco|the chemist|a petrol station|Argos|the bakery|an online shop|IKEA|the cinema|a hotel|the garage]",
    "sum": "[£12.40|£85|£230|£9.99|£1,450|£40|£612.08|£300|£64.50|£5]",
    "when": "[yesterday|this morning|on Monday|last week|on the 3rd|two days ago|over the weekend|on Friday|last night]",
    "acc": "[current account|savings account|joint account|student account|ISA|business account]",
    "who": "[my sister|my landlord|my son|a builder|my employer|my ex|an old colleague|my mum]",
    "hi": "[Hi, |Hello, |||||Good morning, |Please help. ]", "bye": "[ Thanks.| Thank you| Cheers||||| Pls reply soon.| I'm abroad at the moment.]",
}
_TOPICS = {
    "card_lost": ("<hi>I [lost|can't find|left] my [debit|credit] card [at|in] <shop> <when>.<bye>", "<hi>someone [took|stole] my purse <when>, card was in it<bye>", "<hi>my wallet is gone <when>, last used the card at <shop>"),
    "payment_pending": ("<hi><sum> to <who> still [says pending|hasn't arrived|isn't there] <when>.<bye>", "<hi>how long does a transfer of <sum> to <who> take?<bye>", "<hi>I sent <sum> <when> and <who> has nothing"),
    "unknown_charge": ("<hi>there is <sum> from <shop> <when> on my <acc> and [it wasn't me|I don't know what it is|I never went there].<bye>", "<hi>what is this <sum> payment at <shop> <when>?"),
    "login": ("<hi>the app [won't let me in|keeps logging me out|says my passcode is wrong] <when>.<bye>", "<hi>I [got a new phone|changed my number] and can't get a code for my <acc>", "<hi>locked out of online banking <when><bye>"),
    "fee": ("<hi>why was I charged <sum> for [an overdraft|using my card abroad|a returned direct debit] <when>?<bye>", "<hi>is there a [monthly fee|charge] on the <acc>?<bye>", "<hi>[refund|please give back] the <sum> fee taken <when>"),
    "card_declined": ("<hi>my card was [declined|refused|rejected] at <shop> <when> and I have money.<bye>", "<hi>tried to pay <sum> at <shop> and the [machine|website] said no"),
    "address_change": ("<hi>I'm moving [to a new flat|house] <when>, how do I [update|change] my address?<bye>", "<hi>letters for my <acc> still go to my old [flat|place|address].<bye>"),
    "direct_debit": ("<hi>please [cancel|stop] the direct debit to <shop> of <sum>.<bye>", "<hi>can I move the [date|day] of a standing order to <who>, <sum>?<bye>"),
    "pin": ("<hi>I [forgot|need a reminder of|typed wrongly three times] my PIN <when>.<bye>", "<hi>how can I [change|unblock] the pin of my [debit|credit] card?"),
    "savings_rate": ("<hi>what [interest|rate] do I get on <sum> in a <acc>?<bye>", "<hi>is there a better [savings rate|fixed bond] than what I have<bye>"),
    "close_account": ("<hi>I want to [close|shut] my <acc>.<bye>", "<hi>moving to another bank <when>, [close|end] everything please"),
    "loan": ("<hi>could I borrow <sum> for [a car|a kitchen|a wedding|my studies]?<bye>", "<hi>how do I [pay off|settle] my loan early, <sum> left<bye>"),
    "bereavement": ("<hi>[my father|my husband|my aunt] [died|passed away] <when> and had a <acc> with you.<bye>", "<hi>I'm the executor for [my mother|a friend], what do you need for the <acc>?"),
    "statement": ("<hi>I need [a statement|statements] of my <acc> for [the visa office|a mortgage|my accountant].<bye>", "<hi>where do I [download|find] the [year-end interest|monthly] statement<bye>"),
}
_SPEND = {
    "groceries": ("TESCO STORES", "LIDL GB", "ALDI", "SAINSBURYS S/MKT", "CO-OP GROUP", "WAITROSE"),
    "eating_out": ("NANDOS", "GREGGS", "PRET A MANGER", "WAGAMAMA", "DOMINOS PIZZA", "COSTA COFFEE"),
    "transport": ("TFL TRAVEL CH", "TRAINLINE", "UBER *TRIP", "SHELL", "BP CONNECT", "ARRIVA BUS"),
    "bills": ("OCTOPUS ENERGY", "THAMES WATER", "VODAFONE LTD", "COUNCIL TAX DD", "TV LICENCE", "SKY DIGITAL"),
    "shopping": ("AMZNMKTPLACE", "ARGOS LTD", "IKEA", "PRIMARK", "CURRYS", "ASOS.COM"),
    "leisure": ("NETFLIX.COM", "ODEON CINEMAS", "PUREGYM", "STEAM GAMES", "SPOTIFY", "TICKETMASTER"),
    "health": ("BOOTS", "SPECSAVERS", "SUPERDRUG", "BUPA", "DENTAL CARE"),
    "cash": ("LNK ATM", "CASH NOTEMACHINE", "POST OFFICE COUNTER"),
    "income": ("SALARY ACME LTD", "HMRC CHILD BENEFIT", "DWP UC", "PAYROLL NHS"),
    "transfer": ("FPS TO", "FASTER PAYMENT FROM", "STANDING ORDER", "TFR SAVINGS"),
}
_URGENT = {
    "routine": ("<hi>[when you have time|no rush], could you send me the [terms|rates] of the <acc>?<bye>", "<hi>I'd like a new [card design|paying-in book].<bye>", "<hi>[please note|just to tell you] that I travel to [Spain|Peru|Japan] <when>."),
    "soon": ("<hi>my mortgage completes [next week|on Thursday] and the <sum> has not [been released|moved].<bye>", "<hi>[third|second] time I ask about the <sum> refund from <shop>.<bye>", "<hi>the standing order to <who> failed <when>, rent is due [Friday|in four days]"),
    "now": ("<hi>money is [leaving|being taken from] my <acc> right now, <sum> [so far|already]!", "<hi>I gave a [caller|man from 'the fraud team'] my code <when>, what do I do", "<hi>[I have no money for food|the bailiffs are here] and my <acc> is blocked"),
}
_COMPLAINT = {
    "no": ("<hi>how do I [raise|change] the limit on my <acc>?<bye>", "<hi>[the branch was lovely|great service] <when>, thank you for the <sum>", "<hi>could you check the <sum> from <shop> <when>?<bye>", "<hi>[slow queue today but no complaints|it was a bit busy but fine], I only need a statement"),
    "yes": ("<hi>I am [very unhappy|disgusted|not satisfied] with how you handled the <sum> at <shop>.<bye>", "<hi>your staff [ignored me|were rude|hung up] <when>, I want [this put right|an apology|compensation].", "<hi>[you promised a call|I was told three days] and <when> still nothing. [Unacceptable|Poor] for a <acc> holder"),
}
_SMS = {
    "genuine": ("[Reminder|Hi]: your [dentist|hairdresser|MOT|GP] appointment is [tomorrow|on Tuesday] at [9:20|14:00|11:45], reply N to cancel", "Your parcel from <shop> comes between [8|9|10] and [12|13]. No action needed.", "hey it's <who>'s [friend|neighbour], are we still on for [lunch|Sunday]?", "Your [login|booking|delivery] code is <n>. Never share it, not even with bank staff."),
    "scam": ("[Royal Mail|Evri|DPD]: parcel <n> is held, a fee of [£1.99|£2.45|£3.10] is due, pay at [parcel-fee.example|redeliver.example]", "Mum I [dropped my phone|have a new number], can you send <sum> [today|quick] x", "[BANK|Fraud team]: a payment of <sum> was tried at <shop>. If not you go to [secure-check.example|verify-me.example]", "Your account will be [suspended|closed] <when>, confirm your details: [acc-help.example|login-now.example]"),
}
_DOCS = {
    "payslip": "Employer: <co>\nEmployee <who>  Tax code 1257L  NI number QQ<n>C\nGross pay <m>  PAYE <m>  Net pay <m>\nPeriod ending <d>",
    "utility_bill": "<co> Energy\nAccount <n>\n<who>, <n> Mill Road, <city>\nReading <d>: <n> kWh\nAmount due by direct debit <m>",
    "tenancy": "ASSURED SHORTHOLD TENANCY between <who> (landlord) and <who> (tenant)\nPremises in <city>\nRent <m> per calendar month from <d>, deposit <m>",
    "passport": "P<<GBR<who>\nDate of birth <d>\nDate of expiry <d>\nPassport No <n>\nPlace of birth <city>",
    "will": "I, <who> of <city>, revoke all earlier wills. I appoint <who> as executor. I give <m> to <who> and the residue to <who>. Dated <d>",
    "court_letter": "IN THE COUNTY COURT AT <city>\nClaim No <n>\n<co> v <who>\nTAKE NOTICE that judgment for <m> was entered on <d>",
    "bank_statement": "Statement of account <n>\n<d> opening balance <m>\n<d> <co> <m>\n<d> <who> <m>\nclosing balance <m>",
}
_HELP = (
    ("Overdraft", "An arranged overdraft is free for the first <a> days and then costs 39.9% EAR. It is reviewed every <m>.", ("when do you start charging for the overdraft", "is my overdraft free at first?"), "The first <a> days are free, and after that interest of 39.9% EAR applies."),
    ("Sending abroad", "Payments in euro arrive within <a> working days and cost nothing. Other currencies cost £<b>. Payments after <m> need a purpose code.", ("how much is a transfer to America", "What does it cost to send dollars?"), "A payment in a currency other than euro costs £<b>."),
    ("Disputes", "Card disputes must be raised within <b> days of the statement. We give a temporary refund in <a> working days. Holidays in <m> may add a day.", ("how long have I got to dispute something", "what's the deadline for contesting a card payment?"), "You can raise a dispute up to <b> days after the statement, and a temporary refund follows within <a> working days."),
    ("Fixed saver", "The fixed saver runs <b> months. Early access costs <a> weeks of interest. The current issue closes in <m>.", ("can I take money out of the fixed saver early", "penalty for early withdrawal of my bond?"), "You can, but it costs <a> weeks of interest."),
    ("Children's card", "From age <a> a child can have a card with a parent's app. The daily limit is £<b>. Orders placed in <m> have free designs.", ("from what age can my daughter get a card", "How much can my kid spend a day?"), "Cards start at age <a>, and the daily limit is £<b>."),
    ("Cheques", "Photograph a cheque of up to £<b>00 in the app. It clears in <a> working days. Paper cheques end next <m>.", ("how do I pay in a cheque", "limit for a cheque by phone?"), "Photograph it in the app if it is for £<b>00 or less; it clears in <a> working days."),
)
_REASONS = {
    "goods not received": ("[ordered|bought] <thing> from <shop> for <sum>, it never came", "the seller [stopped answering|says it was delivered|offered a voucher]"),
    "card used without permission": ("did not make a payment of <sum> at <shop>", "the card was [in a drawer|with me|lent to my son once]"),
    "charged twice": ("paid <sum> once at <shop> and see it two times", "the till [crashed|printed two slips|said error]"),
    "subscription cancelled": ("ended the <thing> plan with <shop> and still pay <sum>", "I [have|do not have] the cancellation email"),
}
_THINGS = "[sofa|phone|concert ticket|gym|coat|streaming|vitamin|bike|printer|course]"


def _w(r: random.Random) -> dict[str, str]:
    return {key: spin(r, value) for key, value in _W.items()}


def _topic(r: random.Random) -> Turn:
    text, label = cued(r, _TOPICS, 0.02, words=_w(r))
    return Turn(typed(r, text), mangled(r, label))


def _descriptor(r: random.Random) -> tuple[str, str, str]:
    label = r.choices(tuple(_SPEND), (9, 7, 6, 5, 6, 4, 2, 2, 2, 3))[0]
    shop = pick(r, _SPEND[label])
    if label == "transfer":
        shop += f" {pick(r, LAST).upper()} {pick(r, FIRST)[0]}"
    tail = pick(r, (f"{r.randint(1000, 9999)}", f"{pick(r, CITIES).upper()} GB", f"CD {r.randint(1000, 9999)} {r.randint(1, 28):02}NOV", "REF " + str(r.randint(10**5, 10**6))))
    return f"{shop} {tail}", label, shop


def _spend(r: random.Random) -> Turn:
    line, label, _ = _descriptor(r)
    sign = "+" if label == "income" else "-"
    return Turn(f"{line} | {sign}{money(r, 1, 300)} GBP | {day(r)}", mangled(r, slip(r, label, tuple(_SPEND))))


def _merchant(r: random.Random) -> Turn:
    line, _, shop = _descriptor(r)
    place = next((c for c in CITIES if c.upper() in line), None)
    clean = shop.replace("*TRIP", "").replace(".COM", "").replace(" LTD", "").replace(" S/MKT", "").strip().title()
    return Turn(line, mangled(r, json.dumps({"merchant": clean, "city": place})))


def _urgency(r: random.Random) -> Turn:
    text, label = cued(r, _URGENT, 0.02, words=_w(r))
    return Turn(f"[{pick(r, ('app', 'web', 'post'))}] {text}", label)


def _complaint(r: random.Random) -> Turn:
    text, label = cued(r, _COMPLAINT, 0.02, words=_w(r))
    return Turn(f"{typed(r, text)} {pick(r, FIRST)}", label)


def _sms(r: random.Random) -> Turn:
    text, label = cued(r, _SMS, 0.02, words=_w(r) | {"n": str(r.randint(100000, 999999))})
    return Turn(text, mangled(r, label))


def _doctype(r: random.Random) -> Turn:
    label = pick(r, tuple(_DOCS))
    lines = _DOCS[label]
    for slot in ("<who>", "<co>", "<city>", "<d>", "<m>", "<n>"):
        while slot in lines:
            new = {"<who>": name(r), "<co>": pick(r, LAST) + " Ltd", "<city>": pick(r, CITIES), "<d>": day(r), "<m>": "£" + money(r), "<n>": str(r.randint(100, 999999))}[slot]
            lines = lines.replace(slot, new, 1)
    small = " ".join(spin(r, "[This document|The bearer|The holder|Any copy] [must be kept|is valid only|may be checked|is to be returned] [for six years|with the original|by the issuer|on request].") for _ in range(r.randint(0, 18)))
    return Turn(f"--- OCR page 1 ---\n{lines}\n{small}", slip(r, label, tuple(_DOCS)))


def _payee(r: random.Random) -> Turn:
    digits, acc, total = f"{r.randint(100000, 999999)}", str(r.randint(10**7, 10**8 - 1)), money(r, 20, 4000)
    who = pick(r, (name(r), f"{pick(r, LAST)} & Sons", f"{pick(r, CITIES)} Roofing"))
    sort = f"{digits[:2]}-{digits[2:4]}-{digits[4:]}"
    shown = pick(r, (sort, digits, sort.replace("-", " ")))
    text = pick(r, (f"Please pay {who} £{total}. Sort code {shown}, account {acc}", f"INVOICE {r.randint(1, 999)}\n{who}\nTotal GBP {total}\nBank details: {acc} / {shown}", f"hi can you send {total} to {who}, {shown} {acc} ta"))
    return Turn(text, mangled(r, json.dumps({"payee": who, "sort_code": sort, "account": acc, "amount": float(total)})))


def _redact(r: random.Random) -> Turn:
    who, card, phone = name(r), " ".join(str(r.randint(1000, 9999)) for _ in range(4)), f"07{r.randint(100, 999)} {r.randint(100000, 999999)}"
    text = pick(r, ("My name is {a} and my card {b} was refused [at <shop>|<when>]. Ring me on {c}.", "{a} here, number {c}. The card ending... sorry, the whole number is {b}, it [expired|broke] <when>.", "Please close the <acc> of {a}, tel {c}; the old card was {b}.", "<hi>I am {a}, my [son|wife] used {b} <when> for <sum>, call {c} [after six|at work].", "Caller {a} ({c}) says card {b} was [swallowed|copied] at <shop>, lost <sum>."))
    text = spin(r, text, **_w(r))
    return Turn(text.format(a=who, b=card, c=phone), text.format(a="[NAME]", b="[CARD]", c="[PHONE]"))


def _tidy(r: random.Random) -> Turn:
    text = capital(spin(r, "[customer|the caller|account holder] [rang|came in|wrote] <when> about <sum> at <shop>. [Explained|Went through] the [process|fees|next steps] and [agreed a call back|sent the form|closed the case]. [Seemed|Was] [content|worried|in a hurry].", **_w(r)))
    return Turn(misspelt(r, text.lower()), text)


_SAID = (
    ("says that <sum> at <shop> is not theirs", "I never spent <sum> at <shop>, I was at work <when>", "The customer disputes <sum> at <shop>"),
    ("wants the fee back", "and then you took a fee of <sum> on top of it, that isn't fair is it", "They asked for a <sum> fee to be refunded"),
    ("transfer missing", "I sent <sum> to <who> <when> and it never got there", "A transfer of <sum> to <who>, sent <when>, is missing"),
    ("moving", "oh and we're moving house <when>, so the letters must go to the new place", "They move house and need the address changed"),
    ("app", "the app keeps throwing me out, I tried on my tablet too", "The app logs them out on two devices"),
    ("rate", "my savings get next to nothing, the other lot pay more", "They asked for a better savings rate"),
)
_AGENT = ("Right, let me [look|check] that for you.", "Can I take you through security? What's the [first|third] letter of your password?", "I [see|understand], sorry about that.", "Bear with me while the [system|page] loads.", "I've [raised|noted] that now.", "You'll hear from us in [two|three|five] days.")
_SMALL = ("Yeah, okay.", "It's been [awful|a bit of a week], to be honest.", "Sorry, the dog's barking.", "My [husband|daughter] usually does this.", "Hm, right, I see.", "Can you hear me? The line's bad.")


def _call(r: random.Random) -> Turn:
    picked, lines, told = r.sample(_SAID, r.randint(2, 3)), [], []
    for _, said, short in picked:
        words = _w(r)
        lines += [f"CUSTOMER: {capital(spin(r, said, **words))}."]
        told.append(spin(r, short, **words) + ".")
        for _ in range(r.randint(2, 4)):
            lines += [f"AGENT: {spin(r, pick(r, _AGENT))}", f"CUSTOMER: {spin(r, pick(r, _SMALL))}"]
    days = pick(r, ("two", "three", "five"))
    lines += [f"AGENT: So I'll open a case and you get a letter within {days} days.", "CUSTOMER: Lovely, bye then."]
    end = spin(r, f"[The agent|We] [passed security and opened a case|opened a case after security]; a letter follows within {days} days. [Customer was calm.|The tone was friendly throughout.|The customer sounded tired but polite.|No vulnerability was mentioned.]")
    return Turn("\n".join(lines), " ".join((*told, end)))


def _draft(r: random.Random) -> Turn:
    text, label = cued(r, _TOPICS, 0.0, words=_w(r))
    who, by = name(r), pick(r, FIRST)
    act = spin(r, "[refund the fee as goodwill|ask for two documents|explain the normal time|offer a call on Tuesday|say no, politely|confirm that it is done]")
    body = spin(r, "Thank you for writing to us about your [request|question|message]. I have [read it carefully|looked at your account] and I [am sorry for|understand] the [trouble|worry] this has caused. <act> I have [made a note|left a record] on your account so that you will not have to explain this again. If anything has changed since you wrote, [reply here|send a message in the app|ring the number on your card] and [ask for me|a colleague will help]. Please remember that we [never ask|will not ask] for your PIN or full password.", act={
        "refund the fee as goodwill": "As a gesture of goodwill I have refunded the fee, and it will show on your account within two working days.", "ask for two documents": "To go further I need a proof of address and a copy of your photo ID, which you can upload under Documents in the app.",
        "explain the normal time": "This normally takes up to three working days, and there is nothing that you need to do in the meantime.", "offer a call on Tuesday": "I would like to talk this through and suggest a call on Tuesday between nine and noon, if that suits you.",
        "say no, politely": "I have checked whether we can do what you ask, and I am afraid that we cannot in this case, because our terms do not allow it.", "confirm that it is done": "I am pleased to confirm that this is now done, and you will see the change the next time you open the app.",
    }[act])
    return Turn(f"Customer: {who}\nTopic: {label}\nMessage: {text}\nWhat to say: {act}", f"Dear {who},\n\n{body}\n\nKind regards,\n{by}, Customer Care")


def _help(r: random.Random) -> Turn:
    listed, asked, answer = grounded(r, _HELP, 3)
    return Turn("\n\n".join(f"# {t}\n{p}" for t, p in listed) + f"\n\nQ: {asked}", answer or "I can't find that in our help pages. Shall I pass you to a colleague?")


def _card(r: random.Random) -> Turn:
    tool = pick(r, ("freeze_card", "order_card", "change_limit"))
    last, kind = r.randint(1000, 9999), pick(r, ("debit", "credit"))
    ask = {"freeze_card": "[freeze|block|lock] my <k> card ending <l> [please|now|for a bit]", "order_card": "[send|order] a new <k> card for the one ending <l>, it's [cracked|worn|expired]", "change_limit": "[raise|lower|set] the limit on the <k> card <l> to [200|500|1000] a day"}[tool]
    asked = spin(r, ask, k=kind, l=str(last))
    return Turn(typed(r, asked), "", ((tool, json.dumps({"query": f"{kind} {last}" + (f" {asked.split()[-3]}" if tool == "change_limit" else "")})),))


def _handover(r: random.Random) -> Turn:
    who, (reason, (claim, twist)) = name(r), pick(r, tuple(_REASONS.items()))
    words = _w(r) | {"thing": spin(r, _THINGS)}
    claim, twist = spin(r, claim, **words), spin(r, twist, **words)
    team = pick(r, ("Disputes", "Fraud", "Payments", "Complaints"))
    notes = [f"Opened for {who}: {claim}.", f"Customer adds: {twist}.", *(spin(r, "[Tried to call|Left a voicemail|Sent the form|Form came back blank|Chased the merchant|Waiting for the till roll|System down for an hour|Moved from the other queue], [no answer|done|see attachment|will retry].") for _ in range(r.randint(6, 12))), f"Pass to {team}, reply due {day(r)}."]
    return Turn("\n".join(f"{day(r)} {pick(r, FIRST)}: {n}" for n in notes), f"{who} claims: {reason}. {capital(claim)}. On the other side, {twist}. Colleagues have tried to reach the customer and chased the paperwork, and {pick(r, ('nothing is outstanding on our side', 'the form is still missing', 'the merchant has not replied'))}. The case now goes to {team}, who owe the customer a reply by the date in the last note.")


def _statement(r: random.Random) -> Turn:
    lines = [(day(r), _descriptor(r)[2], money(r, 2, 300)) for _ in range(r.randint(10, 22))]
    when, shop, total = pick(r, lines)
    asked, answer = pick(r, ((f"how much did I pay {shop} on {when}?", f"You paid £{total} to {shop} on {when}."), (f"when was the {total} payment and to whom", f"That was {shop} on {when}."), (f"did {shop} take {total}?", f"Yes, {shop} took £{total} on {when}. If that looks wrong to you, you can dispute it in the app.")))
    return Turn("\n".join(f"{d};{s};{m}" for d, s, m in lines) + f"\n\nCustomer asks: {asked}", answer)


def _push(r: random.Random) -> Turn:
    what, rate, group = pick(r, ("regular saver", "travel card", "home insurance", "student account", "round-ups")), f"{r.randint(2, 6)}.{r.randint(0, 9)}%", pick(r, ("new parents", "students", "frequent travellers", "people over 60", "first-time buyers"))
    return Turn(f"product: {what}\naudience: {group}\nhook: {rate}", spin(r, f"Subject: [Something for you|A small step|Worth a look]: our {what}\n\n[Life gets busy|There is a lot to plan|Every pound counts], and {group} have [plenty|enough] to think about. Our {what} [does the work for you|takes two minutes to set up|keeps things simple], with {rate} [to start with|from day one]. There is [no paperwork|nothing to sign on paper], you can [stop|pause] whenever you like, and you see [everything|each change] in the app. [Have a look|Find out more] under Products, [when it suits you|today if you like]. Terms apply; [rates may change|check that it is right for you]."))


def _dispute(r: random.Random) -> Turn:
    reason, (claim, twist) = pick(r, tuple(_REASONS.items()))
    words = _w(r) | {"thing": spin(r, _THINGS)}
    facts = [spin(r, t) for t in r.sample(("chip and PIN was used at [9|14|22]:15", "the merchant sent a [signed delivery slip|photo of a porch|blank letter]", "customer disputed [two|five|no] payments last year", "device of the payment is [known|new]", "the [terms|invoice] say no refund after 14 days", "address on the slip [matches|differs in the house number]", "claim came [3|40|118|131] days after the payment"), 4)]
    weak = sum(any(c in f for c in ("chip", "signed", "five", "known", "matches", "no refund")) for f in facts) + ("son" in twist)
    weak += 3 * any("131" in f for f in facts) - sum(any(c in f for c in ("new", "blank", "differs", " no payments")) for f in facts)
    return Turn(f"Reason: {reason}\nCustomer: I {spin(r, claim, **words)}; {spin(r, twist, **words)}.\nEvidence:\n- " + "\n- ".join(facts), mangled(r, slip(r, "REFUND" if weak < 1 else "ASK_EVIDENCE" if weak == 1 else "DECLINE", ("REFUND", "DECLINE", "ASK_EVIDENCE"))))


def _afford(r: random.Random) -> Turn:
    pay, bonus, kids, rent, debts = r.randint(1600, 5200), r.randint(0, 900), r.randint(0, 3), r.randint(400, 1700), r.randint(0, 600)
    rate = r.randint(4, 9)
    free = pay + bonus // 2 - rent - debts - 620 - 210 * kids
    return Turn(f"Net pay {pay} a month, average bonus {bonus} (not guaranteed), {kids} children, rent {rent}, card and loan payments {debts}{' of which one ends next spring' if r.random() < 0.4 else ''}. Asks for a loan over {r.choice((24, 36, 48, 60))} months, rate {rate}% stressed by {r.randint(1, 3)} points. {pick(r, ('Partner works part time, not on the application.', 'Self-employed since last year.', 'Overdraft used every month.', ''))}", str(max(0, int(free * 0.4) // 10 * 10)))


def _aml(r: random.Random) -> Turn:
    who, lines = name(r), [(day(r), pick(r, ("cash in", "FPS in", "FPS out", "crypto exchange", "card")), pick(r, LAST), r.randint(90, 9800)) for _ in range(r.randint(14, 26))]
    cash, out = [x for x in lines if x[1] == "cash in"], [x for x in lines if x[1] in ("FPS out", "crypto exchange")]
    top = max(lines, key=lambda x: x[3])
    job = pick(r, ("hairdresser", "student", "taxi driver", "retired teacher", "market trader"))
    often = max((sum(x[2] == y[2] for y in lines), x[2]) for x in lines)
    shared = f"{often[1]} appears {often[0]} times, which fits family as well as mules." if often[0] > 2 else "The names recur too seldom to call it a network."
    near = sum(x[3] > 7000 for x in cash)
    return Turn(f"Customer {who}, {job}, account opened {day(r)}\n" + "\n".join(f"{a},{b},{c},{d}" for a, b, c, d in lines), spin(r, f"## Pattern\n{len(cash)} cash deposits come to £{sum(x[3] for x in cash)}, and {len(out)} outward payments take £{sum(x[3] for x in out)} away. The largest single entry is £{top[3]} ({top[1]}, {top[2]}, {top[0]}). Deposits [close to|just under] the reporting line: {near}.\n\n## Innocent readings\nA {job} may [handle cash in season|receive family support], and the exchange payments alone prove nothing. {shared}\n\n## Readings that worry me\nMoney that comes in as cash and leaves within days [looks like layering|fits a mule account]. The stated income does not [cover|explain] the turnover, unless there is [a sale|an inheritance] we have not seen.\n\n## Recommendation\n[Ask for the source of funds before any report|File a report and do not tell the customer|Hold outgoing payments above £1,000 for review], because {'structuring cannot be ruled out' if near > 1 else 'the turnover is out of line although no deposit is near the line'}. Confidence: [moderate|low to moderate|fairly high]."))


_PLANS = ("pay off a card at 24% or build savings first", "buy a flat with a friend or wait two years", "stop my pension for a year to clear debts", "lend my brother £6,000 for his café", "go part time when the baby comes", "fix the mortgage for two or five years")
_ADVICE = ("The first thing I would separate is what you [must|want to] decide now from what can wait.", "On the numbers alone the [dearer debt|higher rate] wins, yet a small cushion keeps you from borrowing again.", "Think about what happens if your income [drops|stops] for three months; the [plan|choice] should survive that.", "There is a trade-off between [certainty and cost|speed and freedom], and people differ honestly on it.", "I would write down the [worst case|exit] before you sign anything.", "Tax matters here: what you give up from an employer is often worth more than the interest saved.", "If another person is involved, agree [in writing|early] how either of you gets out.", "Try it for [two|three] months as if you had already done it, and see what is left.", "I cannot tell you which is right without knowing your [rent|age|other debts], and a free adviser could check it.")


def _coach(r: random.Random) -> Turn:
    plan = pick(r, _PLANS)
    turns: list[Message] = []
    for _ in range(r.randint(0, 2)):
        turns += [{"role": "user", "content": spin(r, f"I [wonder|keep thinking] whether to {pick(r, _PLANS)}. I earn [£1,900|£2,400|£3,100] a month.")}, {"role": "assistant", "content": " ".join(spin(r, s) for s in r.sample(_ADVICE, 4))}]
    asked = spin(r, f"[Should I|Would you|Is it mad to] {plan}? I have [£800|£4,000|£11,500] put by and [a steady job|a zero-hours contract|two kids]. [What am I missing?|Be honest.|]")
    picked = [spin(r, s) for s in r.sample(_ADVICE, r.randint(2, 8))]
    return Turn([*turns, {"role": "user", "content": asked}], f"You ask whether to {plan}. " + " ".join(picked[:4]) + ("\n\n" + " ".join(picked[4:]) if picked[4:] else ""))


def _sql(r: random.Random) -> Turn:
    per, n, what = pick(r, ("branch", "product", "month", "channel")), r.randint(2, 9), pick(r, ("chargebacks", "late payments", "blocked logins", "closed accounts"))
    share, last, days = r.random() < 0.5, r.random() < 0.5, r.randint(7, 120)
    extra = "round(100.0 * sum(n) / sum(sum(n)) OVER (), 1) AS share" if share else f"sum(sum(n)) OVER (ORDER BY {per}) AS running"
    text = f"{what} by {per} in the last {days} days, with the {'share of all in percent' if share else 'running total'}, no test accounts, only where at least {n} customers are affected{', largest first' if last else ''}"
    lines = ("WITH base AS (", f"  FROM {what.replace(' ', '_')} e", "  JOIN customers c ON c.id = e.customer_id AND NOT c.is_test", f"  WHERE e.at > now() - interval '{days} days'", "  GROUP BY 1, 2", ")", f"SELECT {per}, sum(n) AS total, {extra}", "FROM base", f"GROUP BY {per}", f"HAVING count(DISTINCT customer_id) >= {n}", f"ORDER BY {'total DESC' if last else per};")
    return Turn(text, "```sql\n" + "\n".join((lines[0], f"  SELECT e.{per}, e.customer_id, count(*) AS n", *lines[1:])) + "\n```")


def _agent(r: random.Random) -> Turn:
    who, goal = name(r), pick(r, ("close the estate", "trace a missing salary", "undo a wrong block", "merge two profiles", "repay a misdirected payment"))
    tools, steps = ("find_customer", "list_payments", "open_case", "release_hold", "post_adjustment"), r.randint(0, 4)
    turns: list[Message] = [{"role": "user", "content": f"Task: {goal} for {who}, {pick(r, CITIES)}. Stop and ask before moving more than £{r.randint(1, 9)}00."}]
    for n in range(steps):
        turns += called(f"c{n}", tools[n], {"query": who}, json.dumps({"customer": who, "amount": money(r), "state": pick(r, ("open", "held", "settled", "unclear"))}))
    if steps == 4:
        return Turn(turns, f"I could not finish '{goal}' for {who} without approval: the last hold is for more than I may move. The case is open and both payments are noted.")
    return Turn(turns, "", ((tools[steps], json.dumps({"query": who})),))


_LABELS = "\n".join(f"- {label}" for label in _TOPICS)
SITES = (
    Site("chat.topic", 1, "intent", _topic, f"You sit in front of the chat of Fernhill Bank. Read the customer's first message and name its topic so that it reaches the right queue. Topics:\n{_LABELS}\n\nIf someone has died, that comes before everything else. Output: the topic, nothing around it.", 16),
    Site("txn.category", 1, "classification", _spend, "Spending insights, nightly. One card or account line comes in. Assign one of: " + ", ".join(_SPEND) + ". Judge by the merchant, not by the amount. One word.", 12),
    Site("txn.merchant", 1, "extraction", _merchant, 'Clean the merchant name of a statement line for display in the app. JSON: {"merchant": "...", "city": "..." or null}. Title case, no terminal numbers, no legal form.', 7, response_format={"type": "json_object"}),
    Site("secure.urgency", 1, "classification", _urgency, "How quickly must a person at Fernhill see this secure message? routine, soon or now. Think of the harm that a day of waiting would do. Answer with the word.", 4),
    Site("privacy.redact", 1, "rewrite", _redact, "Return the text with personal data replaced: names by [NAME], card numbers by [CARD], phone numbers by [PHONE]. Do not change another character.", 4),
    Site("scans.doctype", 1, "classification", _doctype, "Post room. You analyse the complete OCR text of a scanned page, which may be long, damaged and full of small print. Decide what kind of document it is: " + " / ".join(_DOCS) + ".", 3.5),
    Site("complaints.flag", 1, "classification", _complaint, "The regulator wants every expression of dissatisfaction logged. Is this message a complaint? yes or no. A question is not one; being unhappy with us is.", 3),
    Site("payee.parse", 1, "extraction", _payee, "Read payment details out of what the customer pasted. JSON with payee, sort_code (as 12-34-56), account, amount (number). Copy, never repair an account number.", 3),
    Site("scam.sms", 1, "moderation", _sms, "A customer forwards a text message that they got. Say scam or genuine.", 2.5),
    Site("notes.tidy", 1, "rewrite", _tidy, "Fix spelling and capitals in a branch colleague's note. Same words, same order.", 2, since=0.5),
    Site("call.wrapup", 2, "summarization", _call, "Write the wrap-up note of a phone call: what the customer wanted, what we did, what is promised. Max. 80 words, no names.", 5),
    Site("help.answer", 2, "question_answering", _help, "You answer in Fernhill's app from the help pages given, and from nothing else. Figures must be those of the page. Offer a colleague if the pages are silent.", 5),
    Site("secure.reply", 2, "generation", _draft, "Draft our reply to a secure message. Warm, plain English, no jargon. Include what the colleague wants said and no other promise. 60 to 150 words.", 4.5),
    Site("card.action", 2, "tool_use", _card, "Carry out the customer's wish about a card with exactly one function.", 3, tools=("freeze_card", "order_card", "change_limit")),
    Site("case.handover", 2, "summarization", _handover, "Sum up a case's notes for the team that takes over. One paragraph.", 2.5),
    Site("statement.ask", 2, "question_answering", _statement, "Answer the customer's question from the list of transactions (date;merchant;amount). One or two sentences.", 2),
    Site("campaign.copy", 2, "generation", _push, "Write a short email for a campaign. Compliance rules: no pressure, no superlatives, mention that terms apply.", 1.2, since=0.5),
    Site("dispute.decide", 3, "reasoning", _dispute, "Decide a card dispute. Weigh the customer's story against each piece of evidence and the 120 day rule; evidence can cut both ways and may conflict. Output REFUND, DECLINE or ASK_EVIDENCE.", 3),
    Site("loan.headroom", 3, "reasoning", _afford, "Affordability. Work out the highest monthly instalment: count half of a bonus, take off housing, debts, 620 for living costs and 210 a child, keep 60% of the rest as a buffer, round down to tens. Never below zero. Output the number only.", 2.2),
    Site("coach.chat", 3, "chat", _coach, "You are the money coach in the Fernhill app. Talk things through with people, openly and at their pace. You do not sell and you do not give regulated advice.", 2.5),
    Site("aml.narrative", 3, "analysis", _aml, "Financial crime. Study the customer's payments and write what an investigator needs: pattern, innocent readings, worrying readings, recommendation with your confidence.", 1.6),
    Site("backoffice.agent", 3, "agent", _agent, "You complete back-office tasks at Fernhill step by step with the tools. Verify before you change anything.", 1.6, tools=("find_customer", "list_payments", "open_case", "release_hold", "post_adjustment")),
    Site("mi.sql", 3, "code", _sql, "Write PostgreSQL for the reporting team. Code block only.", 1),
)
