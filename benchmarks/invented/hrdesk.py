"""An HR suite for companies of 50 to 2000: employees' questions, forms and receipts, letters, policies and disputes.

Borderline call sites: `leave.balance` (a bare number, but accrual, part time and carry-over must be combined: hard),
`survey.redact` (a long text copied with replacements: easy), `policy.conflict` (yes or no, after comparing a case with
clauses that limit each other: hard), `contract.diff` (long, but a lookup of stated values: easy), `case.priority` (told
to think like a lawyer, gives a label: easy), `title.improve` (a line of new text, between rewrite and draft: easy).
"""

import datetime as dt
import json
import random
from collections.abc import Mapping

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import FIRST, LAST, capital, cued, grounded, mangled, misspelt, name, pick, spin, typed

# fmt: off
# Lists of texts and call sites read best with one entry a line.
_DEPTS = ("Finance", "Customer Care", "Engineering", "Warehouse", "Field Sales", "Marketing", "Legal", "Facilities")
_TOOLS = ("Workbook", "the time clock app", "the VPN", "the benefits portal", "the travel tool", "payslip viewer")
_SHOPS = ("Hotel Lindner", "City Cab", "Bistro Nove", "RailNord", "Officehaus", "Kiosk 24", "Parkline", "Aerojet", "Caffe Tazza", "Print & Go")
_SPEND = {"Hotel Lindner": "lodging", "City Cab": "transport", "Bistro Nove": "meals", "RailNord": "transport", "Officehaus": "supplies", "Kiosk 24": "meals", "Parkline": "transport", "Aerojet": "transport", "Caffe Tazza": "meals", "Print & Go": "supplies"}
_GRADES = {
    "Software Engineer": ("SWE", "programmer backend", "dev (java)", "Softw. Eng."), "Senior Software Engineer": ("Sr dev", "senior programmer", "Snr SWE"), "Accountant": ("bookkeeper", "acct.", "accounts clerk"),
    "HR Business Partner": ("HRBP", "people partner", "hr bus. partner"), "Sales Representative": ("sales rep", "field sales", "account rep"), "Customer Service Agent": ("CS agent", "support rep", "call center agt"),
    "Warehouse Operative": ("picker", "warehouse worker", "whs. operative"), "Team Lead": ("TL", "group lead", "team leader (nights)"), "Data Analyst": ("BI analyst", "reporting analyst", "data anlyst"),
}

_ASKS = {
    "leave_request": ("[I would like|can I take|please book] [<n> days|a day] off [in August|from the 14th|next week]", "[need|requesting] [annual leave|vacation] from <d1> to <d2>", "who [approves|signs] my leave while <first> is away?", "[is it ok|any problem] if I'm off on <d1>?"),
    "payslip": ("[my|the] payslip for [May|last month] [is missing|shows the wrong tax class|won't open]", "why is my [net pay|salary] <n>0 euros lower [this month|than before]?", "[where can I see|please send] my [payslips|annual tax statement]"),
    "sick_note": ("I'm [sick|ill|down with flu] [today|until <d1>], [doctor's note follows|note attached]", "[my child is|kids are] ill, do I need a [note|certificate]?", "[back from|still on] sick leave, [where do I upload the certificate|what now]?"),
    "expense": ("when [do I get|is] my [travel claim|taxi receipt|expense of <n>0 euros] [paid|reimbursed]?", "can I claim [the hotel|lunch with a client|a monitor]?", "my expense [was rejected|is stuck], [why|can you look]?"),
    "it_access": ("[can't get into|no access to|locked out of] <tool>", "<tool> [says|tells me] my account [is disabled|expired]", "[please give|need] <first> access to <tool> [by <d1>|from Monday]"),
    "benefits": ("how [do I join|can I change] the [pension plan|bike leasing|health cover]?", "[does|will] the company [pay for|subsidise] [gym|childcare|a transit pass]?", "what happens to my [pension|stock] if I [leave|go part time]?"),
    "contract_change": ("[I want|is it possible] to [reduce to <n>0 hours|go to 80%|work four days] [from <d1>|]", "[please|can you] [extend|change] my contract, it [ends|runs out] on <d1>", "[what's my notice period|how do I resign properly]?"),
    "personal_data": ("[I moved|new address], [where do I change it|please update]: <street> <n>", "[got married|changed my name], [new name is|now called] <last>", "[new|wrong] [IBAN|bank details] [for my salary|in the system]"),
    "training": ("[is there budget|can I sign up] for [a Python course|the leadership training|English lessons]?", "[my certificate|the first aid course] [expired|needs renewing], [what do I do|when is the next]?"),
    "working_time": ("my [clock-in|hours] for <d1> [are|is] [missing|wrong]", "[how many overtime hours|what flexi balance] [do I have|is left]?", "can I [work from home|start at <n>] on [Fridays|<d1>]?"),
    "reference_letter": ("[could I get|please issue] [a reference|an employment certificate|proof of income] [for my landlord|for the visa office|]", "[my landlord|the bank] wants [a proof of employment|my last three payslips confirmed]"),
    "complaint": ("my manager [shouts at me|ignores me|texts me at night], [what can I do|I want this on record]", "[someone|a colleague] in <dept> makes [jokes about my accent|unwanted comments]", "I [was passed over|got no raise] [again|although I asked], [this is unfair|who can I talk to]?"),
    "parental_leave": ("[we're expecting|baby is due] in [October|<n> weeks], [what do I have to file|how long can I stay home]?", "[can I split|how do I extend] parental leave [with my partner|by a month]?"),
    "praise": ("[thank you|big thanks] to <first> in <dept>, [fast help|super kind]", "[the new office|onboarding] was [great|really well done]"),
}
_MOODS = {"neutral": ("it is [ok|fine|what it is] [in <dept>|here]", "[no strong opinion|nothing to add] [on this|]", "[some things work, others don't|half and half, as always]"), "negative": ("[nobody listens|decisions are made over our heads] [in <dept>|]", "[workload is insane|we are <n> people short] [since spring|]", "I [dread Mondays|am looking elsewhere]"), "positive": ("[great team|love my colleagues] [in <dept>|]", "[my manager has my back|I learn a lot here]", "[flexible hours help|proud of what we ship]")}
_COMMENT = {
    "publish": ("[well done|congrats] <first>!", "[see you all at|who brings a cake to] the [summer party|town hall]?", "[the new menu is awful|parking is a nightmare], [please fix|just saying]"),
    "confidential": ("[heard|between us:] <dept> will be [closed|sold] in [autumn|Q3]", "<first> earns <n>000 [a month|more than me], [saw the sheet|check the list]", "<first> is [on antidepressants|pregnant], [don't tell|that's why she is off]"),
    "harassment": ("<first> should go back to [where he came from|the kitchen]", "[what an idiot|fat pig], <first>, [nobody likes you|quit]"),
    "off_topic_ad": ("[selling|buy] my [sofa|car], <n>00 euros, [DM me|first come]", "[join|try] my sister's [nail studio|crypto group], [discount|great returns]"),
}
_URGENT = {
    "normal": ("[payslip copy|address change|training request] from <dept>, [no date given|whenever possible]", "asks how [bike leasing|the canteen card] works"),
    "low": ("[typo|wrong logo] in the [newsletter|org chart]", "[idea|suggestion] for [the intranet|plants in the lobby]"),
    "high": ("salary [not paid|paid twice], [rent is due|loan bounces]", "[access badge|laptop] missing on [first day|day of the audit]", "visa [ends|runs out] on <d1>, needs a letter"),
    "critical": ("says [she was touched|he was threatened] by a [supervisor|colleague] [today|last night]", "[writes that life has no point|talks about hurting himself]", "[payroll file|health records] went to [the wrong mailing list|a customer]"),
}
_DOCS = {
    "employment_contract": ("The employee is hired as {t} with effect from {d}. The probation period is six months.", "The weekly working time is {n} hours. Notice periods follow the law."),
    "medical_certificate": ("I certify that the above is unfit for work from {d} for presumably {n} days.", "Initial certificate. Practice stamp and signature of the physician."),
    "payslip": ("Gross pay {n}850.00, taxable {n}850.00, health insurance, pension, solidarity", "Statement of earnings, tax class 1, personnel number {n}7731"),
    "id_document": ("Nationality, date of birth, date of expiry {d}, authority", "P<UTO{t}<<<<< machine readable zone"),
    "training_certificate": ("has successfully completed the course and passed the examination on {d}", "{n} hours of instruction. Grade: good"),
    "invoice": ("Invoice no. 20{n}, payable within 14 days, VAT 19 %", "Item, quantity, unit price, total. Bank details below"),
    "warning_letter": ("We hereby issue a formal warning because on {d} you arrived {n}0 minutes late without notice.", "In case of repetition you must expect termination."),
}
_CASE = (
    ("I asked for the shift swap three weeks ago and still nobody has answered, so I just came in when <first> told me to", "The shift swap was asked for three weeks ago and never answered"),
    ("from my side the tone was fine, I said the report was late and that I need it by nine, nothing more", "The manager says the tone was factual"),
    ("there were two people in the room, <first> and somebody from <dept>, they heard everything", "<first> and a person from <dept> were present"),
    ("the time clock shows <n> late starts in May but on four of those the bus lane was closed", "The clock shows <n> late starts, some due to the closed bus lane"),
    ("I would be happy to move to <dept> if the pay stays the same, I just do not want to sit next to him", "The employee would move to <dept> at equal pay"),
    ("works council wants to see the mail thread before anything is signed", "The works council asks to see the mails first"),
    ("we offered a mediation in April, that was declined without giving a reason", "Mediation was offered in April and declined"),
    ("please note that the doctor recommended no lifting above <n> kilos until the end of the quarter", "A doctor advises against lifting over <n> kg this quarter"),
)
_POLICY = (
    ("Remote work abroad", "Employees may work from another EU country for up to <b> days per calendar year. Approval is needed <a> days ahead. An A1 certificate must be carried. Outside the EU remote work is not allowed.", ("can I work from [Spain|Italy] for [three weeks|a month] in july?", "is it ok to work from [Turkey|Thailand] for a few days", "how early do I have to ask for working abroad"), "Within the EU you can work remotely for up to <b> days a year, if it is approved <a> days ahead[ and you carry an A1 certificate|]. [Outside the EU it is not possible.|]"),
    ("Carry-over", "Up to <a> days of unused leave are carried over automatically and expire on <b> <m>. More is possible only if illness or business reasons prevented the leave.", ("what happens to my unused days in january", "Do old vacation days expire?", "I was ill in december and have [many|<a>] days left"), "[<a> unused days move to the new year by themselves|Up to <a> days are carried over] and expire on <b> <m>. [More only counts if you were ill or the business stopped you.|]"),
    ("Per diems", "For domestic trips over 8 hours the allowance is <a> EUR, for full days <b> EUR. Breakfast provided by the hotel reduces the rate by 20 percent of the full-day rate.", ("how much do I get [per day|] on a trip", "hotel had breakfast, does that change my allowance?", "was away [nine hours|two days], what can I claim"), "You get <a> EUR for a trip over eight hours and <b> EUR for a full day[; a hotel breakfast takes off a fifth of the full-day rate|]."),
    ("Bike leasing", "Leasing runs <b> months and is deducted from gross pay. Only permanent staff after probation may join. On leaving, the bike can be bought at <a> percent of its price.", ("can I lease a bike in my [second month|probation]?", "what happens with my leased bike when I quit", "how long does the bike lease run"), "Bike leasing is open to permanent staff after probation [and runs <b> months|]. [If you leave, you can buy the bike at <a> per cent of its price.|The rate comes off your gross pay.]"),
    ("Sick notes", "A medical certificate is needed from calendar day <a>. It can be uploaded in the app or sent by the practice within <b> hours. HR may ask for it earlier in single cases.", ("do I need a doctor's note for [two days|a day]", "From which day is a certificate required?", "where do I send the [sick note|certificate]"), "You need a certificate from calendar day <a> of illness[, unless HR asks for it earlier|]. You can upload it in the app[ or have the practice send it within <b> hours|]."),
    ("Referral bonus", "A bonus of <b>00 EUR is paid <a> weeks after the referred person passes probation. Managers cannot refer into their own team. One bonus per hire.", ("when is the referral bonus paid?", "can I refer someone for my own team[ as a manager|]", "how much do I get for [recommending|referring] a friend"), "[The <b>00 EUR come|You get <b>00 EUR] <a> weeks after the person has passed probation. [Managers cannot refer people into their own team.|]"),
)
_COUNSEL = (
    "The weak point is [proof|documentation]: apart from [one mail|the time clock] nothing shows that <first> was told what was expected, and a court would ask for that first.",
    "I would separate two questions. Was the conduct a breach, and if so, is [a warning|a transfer|a talk with notes] the mildest step that still works?",
    "Precedent counts: if <dept> let [late starts|private use of the laptop] pass for [months|years], a sudden sanction looks arbitrary.",
    "The timing is awkward. It comes [<n> days after|shortly after] a complaint, so [retaliation|bad faith] will be alleged whatever the motive was.",
    "[Option one|The cautious route] is to [hear both sides again in writing|offer mediation once more]; it costs [two weeks|some patience] and keeps every later step open.",
    "[Option two|The firm route] is [a formal warning|moving the role to <dept>]; faster, but it [binds you to the stated reasons|needs the works council].",
    "Pay is the part I am least sure of: the gap may come from [grade|tenure|hours], and without [the bands of <dept>|comparable roles] you cannot tell.",
    "If the [medical restriction|reduced hours] is real, then [adjusting the duties|a different shift] comes before any sanction, and that duty is easy to overlook.",
    "[On balance|Taken together] I would [start with the talk|hold the decision until the witnesses are heard] and set [<n>|ten] days for it; only new facts should change that.",
    "For the budget, [a 3 per cent round|an extra day of leave] costs about [the same|a third more] as replacing <n> people who leave, and the second estimate is the shakier one.",
)


def _words(r: random.Random) -> dict[str, str]:
    """One choice for every slot of the templates."""
    start = _date(r)
    return {
        "first": pick(r, FIRST), "last": pick(r, LAST), "dept": pick(r, _DEPTS), "tool": pick(r, _TOOLS), "n": str(r.randint(2, 9)), "street": pick(r, ("Elm Street", "Parkweg", "Rue Haute", "Station Road")),
        "d1": f"{start:%d %B}", "d2": f"{start + dt.timedelta(days=r.randint(1, 20)):%d %B}",
    }


def _date(r: random.Random) -> dt.date:
    return dt.date(2026, 6, 1) + dt.timedelta(days=r.randint(0, 150))


def _route(r: random.Random) -> Turn:
    text, label = cued(r, _ASKS, words=_words(r))
    if r.random() < 0.3:
        text = spin(r, f"[Hi|Hello HR|Dear all|Good morning], {text} [Thanks!|Kind regards, <who>|Best, <who>]", who=name(r))
    return Turn(f"[{pick(r, ('chat', 'chat', 'mail', 'app'))}] {typed(r, text)}", mangled(r, label))


def _receipt(r: random.Random) -> Turn:
    shop, net, when = pick(r, _SHOPS), r.randint(300, 24000), _date(r)
    rate = pick(r, (7, 19, 20))
    vat = round(net * rate / 100)
    total, sign, paid = (net + vat) / 100, pick(r, ("EUR", "EUR", "CHF", "GBP")), pick(r, ("VISA", "cash", "Mastercard"))
    money = pick(r, ("{:.2f}", "{:,.2f}")).format(total)
    lines = [shop.upper() if r.random() < 0.5 else shop, spin(r, "[Receipt|Bon|Invoice] [no|#] {0}").format(r.randint(100, 99999)), f"{when:%d.%m.%y} {r.randint(6, 23)}:{r.randint(10, 59)}", f"VAT {rate}% {vat / 100:.2f}", f"TOTAL {sign} {money}", f"{paid} {'****' + str(r.randint(1000, 9999)) if paid != 'cash' else ''}".strip()]
    for _ in range(r.randint(0, 3)):
        lines.insert(r.randint(1, 4), spin(r, "[Thank you for your visit|Table 4, 2 guests|VAT ID 99/812|Change 0.00|You were served by <first>|Service included]", **_words(r)))
    return Turn("\n".join(lines), mangled(r, json.dumps({"merchant": shop, "date": str(when), "total": round(total, 2), "currency": sign, "vat_rate": rate, "category": _SPEND[shop]})))


def _leave(r: random.Random) -> Turn:
    first, today = _date(r), dt.date(2026, 6, r.randint(1, 28))
    last = first + dt.timedelta(days=r.choice((0, 1, 4, 6, 9, 13)))
    kind, said = pick(r, (("annual", "[off|on vacation|annual leave]"), ("unpaid", "[unpaid leave|off without pay]"), ("special", "[off for my wedding|off, moving house|special leave]")))
    half = first == last and r.random() < 0.4
    span = f"on {first:%A %d %B}{' (afternoon only)' if half else ''}" if first == last else spin(r, f"[from {first:%d.%m.} to {last:%d.%m.}|{first:%d %b} - {last:%d %b} inclusive|{first:%B} {first.day} through {last:%B} {last.day}]")
    text = spin(r, f"[I'd like to be|can I be|please put me down as] {said} {span}[, <first> covers for me|, thanks|]", **_words(r))
    return Turn(f"today: {today}\n{typed(r, text)}", mangled(r, json.dumps({"type": kind, "from": str(first), "to": str(last), "half_day": half})))


def _document(r: random.Random) -> Turn:
    label = pick(r, tuple(_DOCS))
    body = [pick(r, _DOCS[label]).format(t=pick(r, tuple(_GRADES)), d=_date(r), n=r.randint(2, 40)) for _ in range(2)]
    noise = [spin(r, "[page 1 of <n>|scanned with PhoneScan|<first> <last>|<street> <n>|Phone 555 01<n>|To whom it may concern|Registered office, district court, HRB <n>1<n>2|confidential|please keep for your records|- - - cut here - - -]", **_words(r)) for _ in range(r.randint(8, 22))]
    for line in body:
        noise.insert(r.randint(0, len(noise)), line)
    return Turn("\n".join(noise), mangled(r, label))


def _mood(r: random.Random) -> Turn:
    text, label = cued(r, _MOODS, words=_words(r))
    if r.random() < 0.35:
        text += ", " + spin(r, pick(r, _MOODS["neutral"]), **_words(r))
    return Turn(typed(r, text.strip()), mangled(r, label))


def _redact(r: random.Random) -> Turn:
    who, boss, mail, phone = name(r), name(r), f"{pick(r, FIRST).lower()}{r.randint(1, 99)}@example.com", f"555-01{r.randint(10, 99)}"
    parts = [spin(r, f"[Since|After] {boss} took over <dept> [it got better|nothing works].", **_words(r)), spin(r, f"[Ask {who}|{who} knows], [reach me at|my mail is] {mail}.")]
    parts += [capital(spin(r, f"[{_MOODS[mood][0]}|{_MOODS[mood][1]}].", **_words(r))) for mood in r.choices(tuple(_MOODS), k=r.randint(1, 5))]
    parts += [f"Call {phone} if you want details."] if r.random() < 0.4 else []
    r.shuffle(parts)
    text = " ".join(parts)
    clean = text.replace(boss, "[NAME]").replace(who, "[NAME]").replace(mail, "[EMAIL]").replace(phone, "[PHONE]")
    return Turn(text, mangled(r, clean if r.random() < 0.98 else text))


def _grade(r: random.Random) -> Turn:
    title = pick(r, tuple(_GRADES))
    return Turn(spin(r, f"{pick(r, _GRADES[title])}[|, <dept>| - part time| m/f/x| (temp)]", **_words(r)), mangled(r, title))


def _comment(r: random.Random) -> Turn:
    text, label = cued(r, _COMMENT, 0.01, words=_words(r))
    return Turn(typed(r, text), mangled(r, label))


def _grammar(r: random.Random) -> Turn:
    text = spin(r, "[Dear colleagues|Hello everyone], the [canteen|car park|main lift] [will be closed|is not available] on <d1>. Please [use|take] the [one|entrance] on <street> and [allow|plan] <n>0 minutes more. [<first> from <dept> answers your questions.|Thank you for your understanding.]", **_words(r))
    wrong = text.replace("will be closed", "will closed").replace("is not available", "are not available").replace("answers", "answer").replace("Please use", "Please to use") if r.random() < 0.7 else text
    return Turn(misspelt(r, wrong), mangled(r, text))


def _subject(r: random.Random) -> Turn:
    w = _words(r)
    body, subject = pick(r, (
        ("As you know we have looked at [parking|desk sharing] for months. From <d1> <dept> will [book places in <tool>|rotate weekly]. Those who [need a fixed place|have a medical reason] talk to <first>. [Details are on the intranet.|Questions are welcome in the town hall.]", "<dept>: new rules from <d1>"),
        ("The system that holds your payslips will be moved on <d1> between <n> and 12. You cannot sign in to <tool> during this time. Nothing is lost, and [your password stays the same|you need to set a new password].", "<tool> offline on <d1>"),
        ("We are glad to welcome <first> <last>, who joins <dept> on <d1> and [takes over from|works closely with] the [current team|night shift]. [Say hello at the coffee corner.|A short introduction follows.]", "Welcome <first> <last> to <dept>"),
    ))
    return Turn(spin(r, body, **w), mangled(r, spin(r, subject, **w)))


def _title(r: random.Random) -> Turn:
    title, w = pick(r, tuple(_GRADES)), _words(r)
    return Turn(spin(r, f"[URGENT!!! |]{pick(r, _GRADES[title])} [wanted|needed asap|job] <dept> [good pay|top company|]", **w), mangled(r, f"{title} ({w['dept']}, m/f/x)"))


def _priority(r: random.Random) -> Turn:
    text, label = cued(r, _URGENT, 0.02, words=_words(r))
    return Turn(f"Ticket {r.randint(1000, 99999)}, {pick(r, _DEPTS)}\n{typed(r, text)}. {spin(r, '[Please advise.|See attachment.|Sent from my phone.|]')}", mangled(r, label))


def _terms(r: random.Random) -> Turn:
    old, new = ({"title": pick(r, tuple(_GRADES)), "weekly_hours": r.choice((20, 30, 38.5, 40)), "salary": r.randint(28, 90) * 1000, "notice_weeks": r.choice((4, 6, 8, 12)), "leave_days": r.randint(24, 32), "place": pick(r, ("Graz", "Lyon", "Cork"))} for _ in range(2))
    keep = r.sample(tuple(old), r.randint(2, 5))
    new |= {key: old[key] for key in keep}
    legal = ("Ancillary agreements must be in writing.", "The parties keep silence about business secrets.", "Should a clause be void the others stay in force.", "Side jobs require consent.", "Data is processed as described in annex B.", "Claims lapse after three months.")

    def contract(terms: Mapping[str, object]) -> str:
        clauses = [f"The employee works as {terms['title']} in {terms['place']}.", f"Working time is {terms['weekly_hours']} hours a week.", f"Gross annual pay is EUR {terms['salary']:,}.", f"Notice is {terms['notice_weeks']} weeks.", f"Leave is {terms['leave_days']} working days."]
        clauses += r.choices(legal, k=r.randint(6, 14))
        r.shuffle(clauses)
        return "\n".join(f"§{n} {clause}" for n, clause in enumerate(clauses, 1))

    changed = {key: [old[key], new[key]] for key in old if old[key] != new[key]}
    return Turn(f"OLD CONTRACT\n{contract(old)}\n\nNEW CONTRACT\n{contract(new)}", mangled(r, json.dumps(changed)))


def _acknowledged(r: random.Random) -> Turn:
    yes = r.random() < 0.6
    text = spin(r, "[I have read|read and understood|I confirm that I read] the [travel|remote work|data] policy[, all clear|, thanks|]" if yes else "[I will read it later|haven't had time to read|got the policy but can't open it|do I have to sign the policy again?|I don't agree with section <n>, please call me]", **_words(r))
    return Turn(f"Re: please confirm\n{typed(r, text)}\n{name(r)}", mangled(r, "yes" if yes else "no"))


def _summary(r: random.Random) -> Turn:
    w, points, log = _words(r), [], []
    for said, short in r.sample(_CASE, r.randint(4, 7)):
        who = pick(r, ("Employee", "Manager", "HR", "Works council"))
        log.append(f"{_date(r)} {who}: {spin(r, f'[ok so |to be clear, |well, |]{said}', **w)}. {spin(r, '[I have nothing to hide.|That is all I can say for now.|Please keep this between us.|We will come back to that.|]')}")
        log += [f"{_date(r)} HR: {spin(r, '[thank you, noted|I will check with <dept>|please send what you have in writing]', **_words(r))}"] if r.random() < 0.6 else []
        points.append(spin(r, short, **w))
    return Turn("\n".join(log), "Facts so far:\n" + "\n".join(f"- {point}." for point in points) + spin(r, "\n\nOpen: [the statement of <first>|the date of the next talk|whether the works council agrees].", **w))


def _policy(r: random.Random) -> Turn:
    listed, asked, answer = grounded(r, _POLICY, 3)
    context = "\n\n".join(f"### {title}\n{text}" for title, text in listed)
    past: list[Message] = [{"role": "user", "content": "hi, short question"}, {"role": "assistant", "content": "Of course, ask away."}] if r.random() < 0.25 else []
    tail = spin(r, "[|| The policy has the details.| Your HR partner can help with special cases.]")
    return Turn([*past, {"role": "user", "content": f"POLICIES\n{context}\n\nQUESTION\n{asked}"}], answer + tail if answer else spin(r, "[I did not find a rule for this|None of the policies covers this]. Please [ask|contact] your HR partner."))


def _letter(r: random.Random) -> Turn:
    w, who, title = _words(r), name(r), pick(r, tuple(_GRADES))
    kind, core = pick(r, (
        ("employment certificate", "This is to confirm that {who} has been employed with us as {title} since <d1>. [The contract is permanent and has not been terminated.|The position is full time.] [The gross monthly salary is on file and can be confirmed on request.|We value {first} as a reliable colleague.]"),
        ("contract extension", "We are pleased to extend your contract as {title} by [six|twelve] months until <d2>. [All other terms remain unchanged.|Your pay and leave stay as agreed.] Please return a signed copy by <d1>."),
        ("probation passed", "Your probation as {title} ends on <d1>, and we are glad to tell you that you have passed it. [Your team speaks highly of your work.|You settled in quickly and took on responsibility.] From now on a notice period of <n> weeks applies."),
        ("invitation to return talk", "You have been away for a longer time, and we would like to invite you to a voluntary talk on <d1>. [The aim is to find out what would help you at work.|You may bring a person you trust.] Nothing you say about your health goes into your file."),
    ))
    body = core.format(who=who, title=title, first=who.split()[0])
    return Turn(f"letter: {kind}\nemployee: {who}, {title}, {w['dept']}\ndates: {w['d1']} / {w['d2']}\nlanguage: {pick(r, ('English', 'plain English'))}", spin(r, f"[Dear|Hello] {who},\n\n{body}\n\n[Please contact <first> in HR if you have any questions.|We are happy to answer your questions.]\n\n[Yours sincerely|Kind regards],\nHuman Resources", **w))


def _review(r: random.Random) -> Turn:
    who, w = pick(r, FIRST), _words(r)
    facts = (("hit <n>0% of targets", "[reached|delivered] <n>0 per cent of the agreed targets, [which is a solid base|in a year that was not easy]"), ("helps new people", "is the person new colleagues [turn to|learn from], and [that shows in how fast they settle|often goes unnoticed]"), ("late with reports", "[could plan reports earlier|sometimes hands in reports late], which [puts pressure on <dept>|costs trust that the quality deserves]"), ("led <tool> rollout", "led the rollout of <tool> [with calm|without a single outage] and [kept everyone informed|documented it well]"), ("quiet in meetings", "has good ideas that [stay unheard in large meetings|come out mostly one to one]"), ("knows customers", "knows what [customers|<dept>] need and [says so early|brings it into planning]"))
    chosen = r.sample(facts, r.randint(3, 4))
    return Turn(spin(r, f"{who}, <dept>\n- " + "\n- ".join(short for short, _ in chosen), **w), " ".join(spin(r, f"{who} {long}.", **w) for _, long in chosen) + spin(r, " [For the coming year|As a next step] [we agree on one larger project|I suggest a mentor from <dept>] and [talk about progress each quarter|look at it again in autumn].", **w))


def _action(r: random.Random) -> Turn:
    w, day = _words(r), _date(r)
    text, call, args = pick(r, (
        ("[approve|ok] the leave of <first> <last>", "approve_leave", {"employee": f"{w['first']} {w['last']}"}),
        (f"[schedule|set up] a talk with <first> on {day}[ at {w['n']}|]", "schedule_meeting", {"with": w["first"], "date": str(day)}),
        ("[move|transfer] <first> <last> to <dept>", "change_department", {"employee": f"{w['first']} {w['last']}", "department": w["dept"]}),
        ("[give|grant] <first> access to <tool>", "grant_access", {"employee": w["first"], "system": w["tool"]}),
    ))
    return Turn(typed(r, spin(r, text, **w)), "", ((call, json.dumps(args)),))


def _hall(r: random.Random) -> Turn:
    said, points = [f"{name(r)}: welcome to the town hall, can everybody hear me, good"], []
    news = (("we grew by <n> per cent which is less than planned but <dept> made up for a lot of it", "Growth was <n> per cent, below plan; <dept> helped"), ("and yes the rumours about the move are half true, we look at <street> but nothing is signed", "A move to <street> is being looked at, nothing is signed"), ("starting <d1> everybody gets the new travel tool, please no more paper receipts", "New travel tool from <d1>, no more paper receipts"), ("questions from the chat, will there be a bonus, I can say so much, we decide in <n> weeks", "The bonus is decided in <n> weeks"), ("<first> will lead <dept> as of next month, congratulations", "<first> takes over <dept> next month"), ("the survey says workload is the top issue so we open <n> positions right away", "Workload tops the survey; <n> positions open at once"))
    for talk, short in r.sample(news, r.randint(3, 5)):
        w = _words(r)
        said += [f"{name(r)}: {spin(r, f'[uh |so |next, |]{talk}', **w)}", *(f"{name(r)}: {spin(r, '[applause|can you repeat the date|good to hear|next slide please]')}" for _ in range(r.randint(0, 2)))]
        points.append(spin(r, short, **w))
    return Turn("\n".join(said), ". ".join(points) + ".")


def _announce(r: random.Random) -> Turn:
    w, topic = _words(r), pick(r, ("new parental policy", "office closed for repairs", "summer party", "merger of two teams", "cyber security training"))
    return Turn(spin(r, f"topic: {topic}\nwhen: <d1>\nwho: <dept>\nmust say: contact is <first>[, sign up by <d2>|, nobody loses pay|]", **w), spin(r, f"**[News|Please note]: {topic}**\n\n[Dear all|Hello everyone],\n\n[from|as of] <d1> there is something new for <dept>: {topic}. [We know that many of you have waited for this.|Some of you helped to prepare it, thank you for that.] [In practice this means that you plan a little differently for a few days|What changes for you depends on your shift], and [your manager will go through it with you|a short guide is on the intranet].\n\n[If you have questions, <first> is the person to ask.|<first> is your contact.] [Please let us know by <d2> if you take part.|We are looking forward to it.]\n\nYour People team", **w))


def _balance(r: random.Random) -> Turn:
    full, part, start = r.choice((25, 28, 30)), r.choice((2, 3, 4)), r.choice((1, 1, 1, 3, 4, 5))
    switch, asked, taken = r.randint(6, 10), r.choice([month for month in (2, 3, 5, 8, 11) if month >= start]), r.randint(0, 9)
    carried = r.randint(0, 8) if start == 1 else 0
    entitled = full / 12 * (switch - start) + full / 12 * (13 - switch) * part / 5
    days = round((entitled + (carried if asked <= 3 else 0) - taken) * 2) / 2
    since = "here for years" if start == 1 else f"joined {dt.date(2026, start, 1):%d %B}"
    return Turn(spin(r, f"{since}, {full} days a year at five days a week, [goes|drops] to {part} days a week from {dt.date(2026, switch, 1):%d %B}. Carried over {carried}, [lapses after March|usable until 31 March], untouched. Taken {taken}, all from this year's. As of {dt.date(2026, asked, 15):%d %B}: what's left for the year, carry-over still valid included?"), f"{days:g}", reasoning_tokens=r.randint(200, 900))


def _conflict(r: random.Random) -> Turn:
    days, eu, notice, trial, lead = r.randint(4, 22), r.random() < 0.88, r.randint(8, 40), r.random() < 0.2, r.random() < 0.25
    used, exception = r.randint(0, 14), r.random() < 0.4
    limit = 30 if not lead else 20
    breach = not eu or days + used > limit or (notice < 14 and not exception) or (trial and days > 10)
    place = pick(r, ("Spain", "Italy", "Estonia") if eu else ("Turkey", "Canada", "Thailand"))
    return Turn(
        spin(r, f"Rules: up to 30 days a year in the EU, 20 for people who lead a team, at most 10 in a row during probation. Ask 14 days ahead; [shorter|less] only if a family emergency is shown. Days used before count.\nCase: [<first>|she|he], {'team lead' if lead else 'no reports'}, {'in probation' if trial else 'permanent'}, wants {days} days from {place}, already used {used}, asked {notice} days before{', father in hospital (letter attached)' if exception else ''}.", **_words(r)),
        "yes" if breach else "no", reasoning_tokens=r.randint(150, 700),
    )


def _advise(r: random.Random, points: int, words: dict[str, str]) -> str:
    return "\n\n".join(spin(r, text, **words) for text in r.sample(_COUNSEL, points))


def _dispute(r: random.Random) -> Turn:
    w = _words(r)
    file = "\n\n".join(f"[{n}] {spin(r, said, **w)}. {spin(r, pick(r, _CASE)[0], **_words(r))}." for n, (said, _) in enumerate(r.choices(_CASE, k=r.randint(7, 14)), 1))
    return Turn(f"{file}\n\n{spin(r, '[What are our options and which would hold up?|Can we issue a warning, and what speaks against it?|Who is more credible, and what is missing before we decide?]')}", spin(r, f"[From the file|Reading items 1 to {r.randint(5, 9)} together] the accounts [differ on the tone, not on the dates|agree that <n> late starts happened].\n\n", **w) + _advise(r, r.randint(4, 6), w))


def _pay(r: random.Random) -> Turn:
    rows = [(pick(r, tuple(_GRADES)), pick(r, _DEPTS), pick(r, "FM"), r.randint(0, 20), r.randint(28, 96) * 1000) for _ in range(r.randint(18, 36))]
    pay = {sex: [row[4] for row in rows if row[2] == sex] or [0] for sex in "FM"}
    years = {sex: [row[3] for row in rows if row[2] == sex] or [0] for sex in "FM"}
    mean = {sex: sum(values) // len(values) for sex, values in pay.items()}
    served = {sex: sum(values) / len(values) for sex, values in years.items()}
    text = "\n".join(";".join(map(str, row)) for row in rows)
    return Turn(f"title;dept;sex;years;salary\n{text}\n\n{spin(r, '[Is the gap real once role and tenure are taken out?|Where would you spend 40,000 EUR to close the gap?|What can we tell the works council, and what not?]')}", spin(r, f"The raw means are {mean['F']:,} for women and {mean['M']:,} for men, on {len(pay['F'])} and {len(pay['M'])} people. Tenure differs too ({served['F']:.1f} against {served['M']:.1f} years), so [part of it may be seniority|the raw figure overstates nothing by itself]. [With so few people per title|Within single titles] the comparison rests on [two or three cases|a handful of pairs], which I would [not publish|treat as a hint only].\n\n", **_words(r)) + _advise(r, 3, _words(r)))


def _onboard(r: random.Random) -> Turn:
    w = _words(r)
    tools = ("get_employee", "list_open_tasks", "order_equipment", "grant_access", "schedule_meeting", "send_message")
    turns: list[Message] = [{"role": "user", "content": spin(r, "[onboard|prepare the first day of] <first> <last>, starts <d1> in <dept>[, works from home|, needs <tool>|, returns from parental leave]. [Sort out what is missing|Finish everything that is open] and tell the manager", **w)}]
    steps = r.randint(0, 5)
    for n in range(steps):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"f{n}", "type": "function", "function": {"name": tools[n], "arguments": json.dumps({"employee": f"{w['first']} {w['last']}"})}}]},
            {"role": "tool", "tool_call_id": f"f{n}", "content": json.dumps({"status": pick(r, ("ok", "ok", "ok", "error")), "detail": spin(r, "[laptop in stock|laptop back-ordered until <d2>|badge printed|manager <first> out until <d1>|no licence left for <tool>]", **_words(r))})},
        ]
    if steps == 5:
        return Turn(turns, spin(r, "[Everything is ready|Almost all is ready] for <first> <last> on <d1>: [equipment ordered|laptop is on its way], access to <tool> [granted|requested], first meeting set. [The licence is still open.|The manager has a message with the plan.]", **w))
    return Turn(turns, "", tuple((tool, json.dumps({"employee": f"{w['first']} {w['last']}", "department": w["dept"]})) for tool in tools[steps : steps + r.randint(1, 2)]))


def _rule(r: random.Random) -> Turn:
    after, extra, night, cap, rounding = r.choice((8, 9, 10)), r.choice((25, 40, 50)), r.choice((20, 25, 30)), r.randint(10, 30), r.choice((5, 15, 30))
    by_week = r.random() < 0.4
    body = f"    worked = round(hours * 60 / {rounding}) * {rounding} / 60\n    over = max(0.0, worked - {after if not by_week else after * 5})\n"
    body += f"    pay = worked * rate + over * rate * {extra / 100:g}\n    pay += min(night_hours, worked) * rate * {night / 100:g}\n"
    body += f"    return round(min(pay, worked * rate * {1 + cap / 20:g}), 2)" if r.random() < 0.5 else "    return round(pay, 2)"
    return Turn(f"overtime after {after} hours a {'day, averaged over the week' if by_week else 'day'} gets {extra}% extra, night hours {night}% on top, times are rounded to {rounding} minutes first. Cap the bonus if the tariff says so ({cap}).", f"```python\ndef gross_pay(hours: float, night_hours: float, rate: float) -> float:\n{body}\n```")


def _copilot(r: random.Random) -> Turn:
    w = _words(r)
    asks = ("how would you handle a strong performer in <dept> who [bullies others|ignores the rules]?", "we lose <n> people a month in <dept>, [what would you find out first|where do I start]?", "[should we|does it pay to] go to a four-day week in <dept>?", "quick question: can I let <first> go during probation if [he is ill|she just told us she is pregnant]?", "help me plan the reorganisation of <dept> with <n>0 people without losing the good ones")
    turns: list[Message] = []
    for _ in range(r.randint(0, 2)):
        turns += [{"role": "user", "content": typed(r, spin(r, pick(r, asks), **w))}, {"role": "assistant", "content": _advise(r, 3, w)}]
    return Turn([*turns, {"role": "user", "content": typed(r, spin(r, pick(r, asks), **w))}], _advise(r, r.randint(4, 7), w))


_HOUSE = "\n\n---\nPeoplewell prompt standard: results are read by machines unless stated. Personal data in the input is allowed and stays in the tenant. Deprecated: the fields 'region' and 'cost_center', the label 'other', the XML output of 2023."
_BRAND = "\n\nStyle: plain, polite, no legal advice, no promises in the company's name. Address people by first name only if the input does."

COMPANY = Company(
    "hrdesk",
    True,
    (
        Site("ask.route", 1, "intent", _route, "An employee has written to the HR desk. Assign the message to the team that will handle it.\n\nTeams:\n" + "\n".join(_ASKS) + "\n\nRules: 1. Exactly one team, written as above. 2. Sick children belong to sick_note. 3. Money for trips is expense, money on the payslip is payslip. 4. Complaints about people go to complaint even when leave or pay is mentioned. 5. No greeting, no reason." + _HOUSE, 16),
        Site("receipt.read", 1, "extraction", _receipt, "Extract an expense from the OCR text of a receipt.\nReturn JSON: merchant (usual capitals), date (YYYY-MM-DD), total (number), currency (ISO), vat_rate (number), category (lodging, transport, meals, supplies). Ignore card digits and greetings." + _HOUSE, 9, response_format={"type": "json_object"}),
        Site("leave.parse", 1, "extraction", _leave, 'Read a leave request and fill the form: {"type": "annual|unpaid|special", "from": ISO date, "to": ISO date, "half_day": bool}. All dates are in 2026; "inclusive" ranges keep both ends.', 7),
        Site("upload.type", 1, "classification", _document, "Which kind of document did the employee upload? Reply with one of: " + ", ".join(_DOCS) + ". The text comes from a scan and may be out of order." + _HOUSE, 5),
        Site("survey.mood", 1, "classification", _mood, "Tag a survey comment as positive, neutral or negative. Mixed comments take the mood of their stronger half.", 5),
        Site("survey.redact", 1, "rewrite", _redact, "Copy the comment and replace names of people with [NAME], mail addresses with [EMAIL] and phone numbers with [PHONE]. Departments stay. Change nothing else.", 4),
        Site("title.normalise", 1, "classification", _grade, "Map a job title from an imported list to our catalogue: " + "; ".join(_GRADES) + "." + _HOUSE, 4),
        Site("feed.moderate", 1, "moderation", _comment, "Moderate a post on the company feed. publish: may go live, criticism included. confidential: pay, health or plans that are not public. harassment. off_topic_ad. One word." + _HOUSE, 4),
        Site("notice.correct", 1, "rewrite", _grammar, "Proofread the notice. Return it corrected and otherwise unchanged.", 3),
        Site("case.priority", 1, "classification", _priority, "Act as an employment lawyer with twenty years of practice. Think through legal exposure, duty of care, deadlines and reputational harm step by step, and only then decide how urgent the ticket is.\n\nAnswer with one word: low, normal, high or critical." + _HOUSE, 3),
        Site("mail.subject", 1, "rewrite", _subject, "Give the announcement a subject line of at most eight words. No exclamation marks.", 2.5),
        Site("policy.confirmed", 1, "classification", _acknowledged, "Does the reply confirm that the person has read the policy? yes or no", 2),
        Site("contract.diff", 1, "extraction", _terms, "Compare the two contract texts and return the terms that differ as JSON: key -> [old, new]. Keys: title, weekly_hours, salary, notice_weeks, leave_days, place. Boilerplate does not count." + _HOUSE, 1.5),
        Site("title.improve", 1, "rewrite", _title, "Rewrite a hiring manager's ad title in our format: Title (Department, m/f/x).", 2.5, since=0.5),
        Site("policy.answer", 2, "generation", _policy, "Answer the employee's question using only the policies given. At most three sentences, with the figures that matter. If no policy fits, say so and name the HR partner." + _BRAND, 7, params={"temperature": 0.7}),
        Site("case.summary", 2, "summarization", _summary, "Summarise the case log for the next HR partner: facts as bullets in neutral words, then what is open. Do not judge." + _BRAND, 4.5, params={"temperature": 0.3}),
        Site("letter.draft", 2, "generation", _letter, "Draft the letter from the key data. One page at most." + _BRAND, 4, params={"temperature": 0.7}),
        Site("admin.command", 2, "tool_use", _action, "Turn the HR admin's instruction into a function call. Exactly one call; fill only what is given.", 4, tools=("approve_leave", "schedule_meeting", "change_department", "grant_access")),
        Site("review.write", 2, "generation", _review, "Write a balanced paragraph for a performance review from the manager's keywords." + _BRAND, 3, params={"temperature": 0.7}),
        Site("townhall.recap", 2, "summarization", _hall, "Recap the town hall for those who missed it, one sentence per topic.", 2, params={"temperature": 0.3}),
        Site("announce.write", 2, "generation", _announce, "Write an announcement for the intranet." + _BRAND, 2, since=0.55, params={"temperature": 0.7}),
        Site("onboard.agent", 3, "tool_use", _onboard, "Carry out the HR task with the functions. Look up first, handle errors, never order twice, finish with a short report.", 2.5, tools=("get_employee", "list_open_tasks", "order_equipment", "grant_access", "schedule_meeting", "send_message")),
        Site("copilot.chat", 3, "chat", _copilot, "You advise HR leaders. Weigh the people, the law and the money, name what you do not know, and recommend one way." + _BRAND, 2.5, params={"temperature": 0.7}),
        Site("leave.balance", 3, "reasoning", _balance, "Return the remaining leave in days, rounded to half days. Number only." + _HOUSE, 2.2),
        Site("policy.conflict", 3, "reasoning", _conflict, "Does the request break a rule? yes or no." + _HOUSE, 1.8),
        Site("dispute.assess", 3, "reasoning", _dispute, "Assess the dispute from the file: what is established, what is contested, options with their risks, and your recommendation.", 1.3),
        Site("payroll.rule", 3, "code", _rule, "Write a Python function for the pay rule, type hints, no comments, one fenced block.", 1.3),
        Site("pay.analysis", 3, "long_context", _pay, "Analyse the pay list and answer the question with figures, caveats and what to do next.", 1),
    ),
)
