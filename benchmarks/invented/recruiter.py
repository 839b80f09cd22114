"""A hiring platform: a product team's prompts of a paragraph or two in plain English, tagged, most of it everyday work."""

import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, LAST, day, misspelt, pick, prose, sentence, transcript

_SKILLS = "Python,Java,SQL,Excel,SAP,Figma,Docker,Terraform,payroll,bookkeeping,forklift licence,first aid,copywriting,SEO,React,welding,triage,Spanish,negotiation,Kubernetes".split(
    ","
)
_ROLES = {
    "engineering": ("backend developer", "site reliability engineer", "Java programmer", "QA engineer", "mobile developer"),
    "design": ("product designer", "UX researcher", "illustrator", "brand designer"),
    "sales": ("account executive", "sales development rep", "key account manager", "field sales consultant"),
    "finance": ("payroll clerk", "financial controller", "accounts payable assistant", "tax accountant"),
    "logistics": ("forklift driver", "warehouse picker", "fleet dispatcher", "customs clerk"),
    "healthcare": ("ward nurse", "physiotherapist", "dental assistant", "care assistant"),
    "hospitality": ("sous chef", "night porter", "restaurant manager", "barista"),
    "people": ("HR business partner", "talent acquisition specialist", "training coordinator"),
    "support": ("customer support agent", "IT helpdesk analyst", "complaints handler"),
    "legal": ("paralegal", "contract lawyer", "data protection officer"),
}  # fmt: skip
_LEVELS = {
    "intern": ("internship", "trainee"),
    "junior": ("graduate", "no experience needed"),
    "mid": ("three years", "solid experience"),
    "senior": ("senior", "at least seven years"),
    "lead": ("lead a team", "head of"),
}
_MAIL = {
    "reschedule": ("could we move the interview to another day", "I have a clash on that morning, is there another slot", "sorry, I need to push our call back"),
    "withdraw": ("I have accepted another offer and would like to withdraw", "please take me out of the process", "I no longer wish to be considered"),
    "status": ("have you got any news on my application", "it has been two weeks, is the role still open", "just checking where things stand"),
    "documents": ("please find my references attached", "here is the certificate you asked for", "I have attached the signed form"),
    "salary": ("what is the pay range for this role", "is there any flexibility on the salary", "could you tell me about the bonus"),
    "accept": ("I am delighted to accept the offer", "yes, I would love to join", "happy to confirm that I accept"),
    "question_role": ("is the job fully remote", "who would I report to", "how large is the team"),
    "technical": ("the upload button does nothing", "I cannot log in to the portal", "the video link shows an error"),
    "unsubscribe": ("please delete my data", "stop sending me job alerts", "take me off your list"),
}  # fmt: skip
_SURVEY = {
    "pay": ("the salary has not moved in years", "overtime is never paid"),
    "management": ("my manager never has time", "decisions come from nowhere"),
    "workload": ("we are two people short", "I work most weekends"),
    "culture": ("people are kind and help out", "the tone in meetings is harsh"),
    "tools": ("the laptop is ancient", "we use four systems for one thing"),
    "growth": ("no training since I joined", "I got to try a new role"),
}
_MOODS = {
    1: "I dread coming in",
    2: "it could be a lot better",
    3: "it is alright",
    4: "I mostly enjoy it",
    5: "best job I have had",
}
_LANGUAGES = {
    "en": "Hello, I saw your vacancy for a {} and would like to apply.",
    "de": "Guten Tag, ich interessiere mich für die Stelle als {} und bewerbe mich hiermit.",
    "fr": "Bonjour, je souhaite postuler au poste de {} dans votre entreprise.",
    "es": "Buenos días, me gustaría presentar mi candidatura al puesto de {}.",
    "it": "Buongiorno, vorrei candidarmi per la posizione di {}.",
    "nl": "Goedendag, ik solliciteer graag op de functie van {}.",
}
_BIAS = (
    "young and energetic",
    "native speaker",
    "salesmen",
    "digital native",
    "rockstar",
    "mature",
    "he will report",
    "able-bodied",
)
_HELP = (
    ("How do I close a vacancy?", "A vacancy is closed from its menu under Status. Candidates who are still in a stage get the rejection template unless you clear the box.", "Open the vacancy's menu, choose Status and close it. Untick the box if open candidates should not get the rejection mail."),
    ("Can two people score the same interview?", "Scorecards belong to an interviewer. Add each interviewer to the event; every one of them sees only their own card until all are handed in.", "Yes. Add both as interviewers of the event; each fills in a card of their own, and they see each other's only once all are in."),
    ("Why is my advert not on the job boards?", "Adverts are sent to boards every four hours. A board may take up to two days to show it. Adverts without a location are not sent.", "It can take up to two days. Check that the advert has a location, since adverts without one are not sent."),
    ("How long do you keep CVs?", "CVs are kept for the retention period of the account, six months by default. Candidates in a talent pool have agreed to twelve months.", "Six months unless your account says otherwise, and twelve for people who agreed to join a talent pool."),
    ("Can I import candidates from a spreadsheet?", "Imports take CSV with the columns name, email and source. Up to 5,000 rows per file. Duplicates are matched by email.", "Yes, as a CSV file with name, email and source, up to 5,000 rows. People who are already there are recognised by their email."),
)  # fmt: skip


def _person(r: random.Random) -> tuple[str, str]:
    first, last = pick(r, FIRST), pick(r, LAST)
    return f"{first} {last}", f"{first}.{last}{r.randint(1, 99)}@example.{pick(r, ('com', 'org', 'net'))}".lower()


def _role(r: random.Random) -> tuple[str, str]:
    group = pick(r, tuple(_ROLES))
    return group, pick(r, _ROLES[group])


def _cv(r: random.Random) -> str:
    who, mail = _person(r)
    jobs = "\n".join(
        f"{2024 - 3 * n}-{2026 - 3 * n}  {_role(r)[1]}, {pick(r, LAST)} & Co, {pick(r, CITIES)}"
        for n in range(r.randint(2, 4))
    )
    return f"{who}\n{mail} | {pick(r, CITIES)}\n\nEXPERIENCE\n{jobs}\n\nSKILLS\n{', '.join(r.sample(_SKILLS, 5))}"


def _fields(r: random.Random) -> Turn:
    who, mail = _person(r)
    city, phone, title = pick(r, CITIES), f"+44 7700 900{r.randint(100, 999)}", _role(r)[1]
    parts = [mail, phone, city]
    r.shuffle(parts)
    return Turn(
        f"CV (first page):\n{who}\n{' | '.join(parts)}\n\nProfile: {title} with {r.randint(2, 20)} years in the trade. {sentence(r)}\n{prose(r, 3)}",
        json.dumps({"name": who, "email": mail, "phone": phone, "city": city, "current_title": title}),
    )


def _skills(r: random.Random) -> Turn:
    known = r.sample(_SKILLS, r.randint(1, 4))
    return Turn(
        f"I worked as a {_role(r)[1]} in {pick(r, CITIES)} where I used {' and '.join(known)} every day. {sentence(r)}",
        json.dumps({"skills": known}),
    )


def _intent(r: random.Random) -> Turn:
    label = pick(r, tuple(_MAIL))
    cue = pick(r, _MAIL[pick(r, tuple(_MAIL)) if r.random() < 0.04 else label])
    return Turn(
        f"Subject: {pick(r, ('Application', 'Re: your vacancy', 'Interview', 'Hello'))}\n\nDear {pick(r, FIRST)}, {cue}. It is about the {_role(r)[1]} position in {pick(r, CITIES)}. Kind regards, {_person(r)[0]}",
        label,
    )


def _category(r: random.Random) -> Turn:
    group, title = _role(r)
    return Turn(
        f"Title: {title} ({pick(r, ('m/f/x', 'full time', 'part time', 'night shift'))}), {pick(r, CITIES)}\nTeaser: {sentence(r)}",
        group,
    )


def _seniority(r: random.Random) -> Turn:
    label = pick(r, tuple(_LEVELS))
    return Turn(
        f"{_role(r)[1].capitalize()} wanted in {pick(r, CITIES)}: {pick(r, _LEVELS[label])}. {sentence(r)}",
        json.dumps({"level": label}),
    )


def _bias(r: random.Random) -> Turn:
    found = r.sample(_BIAS, r.choice((0, 0, 0, 1, 2)))
    text = f"We look for a {_role(r)[1]} in {pick(r, CITIES)}. {' '.join(f'You are {each}.' for each in found)} {sentence(r)}"
    return Turn(text, json.dumps({"flag": bool(found), "terms": found}))


def _spam(r: random.Random) -> Turn:
    label = r.choices(("ok", "spam", "abuse"), (8, 2, 1))[0]
    text = {
        "ok": f"hi, {pick(r, _MAIL['question_role'])}?",
        "spam": f"earn {r.randint(2, 9)}000 a week from home, write to me on chat",
        "abuse": f"you idiots wasted my time, {pick(r, FIRST)} is a clown",
    }[label]
    return Turn(f"{text} {pick(r, ('thanks', 'asap', 'cheers', ''))} {pick(r, FIRST)} {r.randint(1, 999)}", label)


def _tidy(r: random.Random) -> Turn:
    text = f"{_person(r)[0]} was well prepared and asked good questions about the {_role(r)[1]} role. {sentence(r)}"
    return Turn(misspelt(r, text), text)


def _query(r: random.Random) -> Turn:
    role, skill, city = _role(r)[1], pick(r, _SKILLS), pick(r, CITIES)
    return Turn(
        f"{pick(r, ('find me a', 'anyone who is a', 'I need another'))} {role} who knows {skill} near {city} please",
        f'"{role}" AND "{skill}" AND {city}',
    )


def _language(r: random.Random) -> Turn:
    code = pick(r, tuple(_LANGUAGES))
    return Turn(f"{_LANGUAGES[code].format(_role(r)[1])} {_person(r)[0]}, {pick(r, CITIES)}", code)


def _salary(r: random.Random) -> Turn:
    low = r.randint(24, 80)
    high, sign, per = low + r.randint(3, 20), pick(r, ("EUR", "GBP", "USD")), pick(r, ("year", "year", "month"))
    return Turn(
        f"{_role(r)[1]}, {pick(r, CITIES)} - {sign} {low},000 to {high},000 per {per} plus bonus",
        json.dumps({"min": low * 1000, "max": high * 1000, "currency": sign, "period": per}),
    )


def _mood(r: random.Random) -> Turn:
    score = r.randint(1, 5)
    return Turn(
        f"{_MOODS[score]}. {pick(r, _SURVEY[pick(r, tuple(_SURVEY))])}, {pick(r, CITIES)} office, {r.randint(1, 12)} years here",
        str(score),
    )


def _tags(r: random.Random) -> Turn:
    topics = r.sample(tuple(_SURVEY), r.randint(1, 3))
    return Turn(
        f"{'. '.join(pick(r, _SURVEY[each]) for each in topics)}. {pick(r, CITIES)}, {r.randint(20, 60)}",
        json.dumps(topics),
    )


def _interview(r: random.Random) -> Turn:
    return Turn(
        f"Transcript of the interview for {_role(r)[1]}:\n{transcript(r, 25)}",
        f"## Strengths\n- {sentence(r)}\n- {sentence(r)}\n\n## Concerns\n- {sentence(r)}\n\n## Next step\n{sentence(r)}",
    )


def _draft(r: random.Random) -> Turn:
    who = _person(r)[0]
    kind = pick(
        r,
        (
            "rejection after the final round",
            "invitation to a second interview",
            "offer with a start date",
            "reminder to send references",
        ),
    )
    return Turn(
        f"Candidate: {who}\nRole: {_role(r)[1]}\nKind: {kind}\nPoints: {sentence(r)}",
        f"Hi {who.split()[0]},\n\nThank you for the time you spent with us. {prose(r, 4)}\n\nAll the best,\nThe hiring team",
    )


def _answer(r: random.Random) -> Turn:
    asked, passage, answer = pick(r, _HELP)
    other = pick(r, _HELP)[1]
    passages = r.sample((passage, other, prose(r, 3)), 3)
    end = pick(
        r, ("", " You find it in the help centre too.", " Write to us if that does not work.", f" {sentence(r)}")
    )
    return Turn(
        "\n\n".join(f"<passage id={n}>{each}</passage>" for n, each in enumerate(passages, 1))
        + f"\n\nQuestion: {asked} {pick(r, ('', 'Thanks!', 'It is urgent.', f'I work for {pick(r, LAST)} Ltd.'))}",
        answer + end,
    )


def _advert(r: random.Random) -> Turn:
    role, city = _role(r)[1], pick(r, CITIES)
    return Turn(
        f"role: {role}\nplace: {city}\nmust have: {', '.join(r.sample(_SKILLS, 2))}\nnice to have: {pick(r, _SKILLS)}\nabout us: {sentence(r)}",
        f"**{role.capitalize()} in {city}**\n\n{prose(r, 5)}\n\n**What you bring**\n- {sentence(r)}\n- {sentence(r)}\n\n**What we offer**\n- {sentence(r)}",
    )


def _calendar(r: random.Random) -> Turn:
    who, when = _person(r)[0], day(r)
    return Turn(
        f"set up {pick(r, ('a call', 'an interview', 'a debrief'))} with {who} on {when} at {r.randint(8, 17)}:00",
        "",
        (("create_event", json.dumps({"query": f"{who} {when}"})),),
    )


def _digest(r: random.Random) -> Turn:
    return Turn(
        "\n".join(
            f"{day(r)} {_person(r)[0]} ({_role(r)[1]}) moved to {pick(r, ('screen', 'onsite', 'offer', 'rejected'))}: {sentence(r)}"
            for _ in range(14)
        ),
        f"{prose(r, 4)}",
    )


def _social(r: random.Random) -> Turn:
    return Turn(
        f"Advert:\n{_role(r)[1]} in {pick(r, CITIES)}. {prose(r, 4)}",
        f"We are hiring! {prose(r, 3)} #jobs #{pick(r, CITIES).lower()}",
    )


def _match(r: random.Random) -> Turn:
    must = r.sample(_SKILLS, 3)
    return Turn(
        f"Vacancy: {_role(r)[1]}, {pick(r, CITIES)}\nMust have: {', '.join(must)}; {r.randint(2, 8)} years in a similar role, or {r.randint(1, 3)} with a degree; may work on site from {day(r)}\n\n{_cv(r)}\n\nNotes: {sentence(r)} {sentence(r)}",
        pick(r, ("advance", "hold", "reject")),
    )


def _notice(r: random.Random) -> Turn:
    return Turn(
        f"Signed on {day(r)}, notice is {pick(r, ('six weeks to the end of a quarter', 'one month to the 15th or the end of a month', 'three months to the end of a month'))}, {r.randint(1, 12)} days of leave left, works {r.randint(3, 5)} days a week, told us on {day(r)}. Last working day?",
        day(r),
    )


def _sql(r: random.Random) -> Turn:
    column, days = pick(r, ("source", "recruiter", "department", "office")), r.randint(7, 90)
    return Turn(
        f"median days to hire by {column} over the last {days} days, only roles with more than {r.randint(2, 9)} applicants",
        f"```sql\nSELECT {column}, percentile_cont(0.5) WITHIN GROUP (ORDER BY hired_at - opened_at) AS days\nFROM hires\nWHERE hired_at > now() - interval '{days} days'\nGROUP BY {column};\n```",
    )


def _sourcing(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"Find three people for {_role(r)[1]} in {pick(r, CITIES)} and draft a first message to each",
        }
    ]
    steps = r.randint(0, 4)
    for n in range(steps):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"c{n}", "type": "function", "function": {"name": "search_people", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": f"c{n}", "content": json.dumps([{"name": _person(r)[0], "note": sentence(r)} for _ in range(2)])},
        ]  # fmt: skip
    if steps == 4:
        return Turn(turns, f"I found three people and saved the drafts. {prose(r, 2)}")
    return Turn(
        turns, "", ((pick(r, ("search_people", "open_profile", "save_draft")), json.dumps({"query": _role(r)[1]})),)
    )


def _equity(r: random.Random) -> Turn:
    rows = "\n".join(f"{_role(r)[1]},{pick(r, 'FMX')},{r.randint(1, 20)},{r.randint(28, 95)}000" for _ in range(25))
    return Turn(
        f"role,gender,years,salary\n{rows}\n\nIs there a gap that tenure and role do not explain? Where would you look first, and what would you not conclude from this?",
        prose(r, 14),
    )


def _chat(r: random.Random) -> Turn:
    ask = (
        "How should I structure interviews for a {} so that scores can be compared?",
        "Two finalists for {}: one strong on skills, one on team fit. How do I decide?",
        "Why do so few people apply for {} and what would you test first?",
    )
    turns: list[Message] = []
    for _ in range(r.randint(0, 2)):
        turns += [
            {"role": "user", "content": f"{pick(r, ask).format(_role(r)[1])} {sentence(r)}"},
            {"role": "assistant", "content": prose(r, 6)},
        ]
    return Turn(
        [*turns, {"role": "user", "content": f"{pick(r, ask).format(_role(r)[1])} {sentence(r)}"}],
        prose(r, r.randint(8, 16)),
    )


_US = "You are part of Talentbay, software that companies use to hire people. "

COMPANY = Company(
    "recruiter", True,
    (
        Site("inbox.intent", 1, "intent", _intent, _US + "Candidates reply to our mails. Decide what the mail is about and reply with one label only:\nreschedule, withdraw, status, documents, salary, accept, question_role, technical, unsubscribe\n\nIf a mail is about several things, take the one that a recruiter has to act on first. No punctuation, no explanation.", 8),
        Site("cv.fields", 1, "extraction", _fields, _US + "Read the first page of a CV and return JSON with name, email, phone, city and current_title. Copy the values as they are written; use null for what is missing. Do not guess.", 6, response_format={"type": "json_object"}),
        Site("jobs.category", 1, "classification", _category, _US + "Assign the job to one of our groups: " + ", ".join(_ROLES) + ". Answer with the group and nothing else.", 5),
        Site("cv.skills", 1, "extraction", _skills, _US + 'List the skills that the person says they have, in the order of the text. Format: {"skills": ["...", "..."]}. Only skills that are named.', 4),
        Site("jobs.seniority", 1, "classification", _seniority, _US + 'How senior is the advertised job? Return {"level": "..."} with intern, junior, mid, senior or lead.', 3),
        Site("ads.bias", 1, "moderation", _bias, _US + "Check the advert for wording that excludes people by age, gender, origin or disability. Return JSON with flag (true or false) and terms (the exact words).", 3),
        Site("chat.spam", 1, "moderation", _spam, _US + "Filter for the candidates' chat. Say ok, spam or abuse.", 3),
        Site("notes.tidy", 1, "rewrite", _tidy, _US + "Correct spelling and grammar of an interviewer's note. Keep everything else as it is. Return the note only.", 3),
        Site("search.query", 1, "rewrite", _query, _US + "Turn what the recruiter typed into a boolean query for the CV search. Put job titles and skills in quotes and join with AND.", 2.5),
        Site("salary.parse", 1, "extraction", _salary, _US + "Get the pay out of a line of an advert. JSON keys: min, max (numbers), currency (ISO code), period (hour, month, year).", 2.5),
        Site("survey.mood", 1, "classification", _mood, _US + "Rate the mood of an employee's comment from 1 (very unhappy) to 5 (very happy). Just the digit.", 2.5, since=0.5),
        Site("mail.language", 1, "classification", _language, "Which language is this mail written in? Two-letter code.", 2),
        Site("survey.topics", 1, "classification", _tags, _US + "Tag an employee's survey comment with the topics that it mentions: pay, management, workload, culture, tools, growth. Return a JSON array.", 2),
        Site("interview.summary", 2, "summarization", _interview, _US + "Summarise the interview for the hiring manager under the headings Strengths, Concerns and Next step. Be fair; only use what was said.", 4),
        Site("mail.draft", 2, "generation", _draft, _US + "Draft the email to the candidate. Friendly, short, no promises beyond the points given. Sign as the hiring team.", 4),
        Site("help.answer", 2, "generation", _answer, _US + "Answer the customer's question from the passages of our help centre. If they do not contain the answer, say so. Two or three sentences.", 4),
        Site("ads.write", 2, "generation", _advert, _US + "Write a job advert in Markdown from the details. Inclusive language, at most 250 words.", 2),
        Site("calendar.book", 2, "tool_use", _calendar, _US + "Turn the recruiter's wish into one call of a calendar function.", 2, tools=("create_event", "move_event", "cancel_event")),
        Site("pipeline.digest", 2, "summarization", _digest, _US + "Write a short digest of what happened in the pipeline this week, for a manager who has one minute.", 1.5),
        Site("ads.social", 2, "generation", _social, _US + "Turn the advert into a post for social networks. Lively, under 80 words, two hashtags.", 1, since=0.5),
        Site("match.verdict", 3, "reasoning", _match, _US + "Compare the CV with the vacancy. Weigh every requirement, alternatives included, and gaps in the history. Reply with advance, hold or reject.", 2.5),
        Site("sourcing.agent", 3, "tool_use", _sourcing, _US + "You are a sourcing agent. Use the tools to complete the recruiter's task; check profiles before you write to anyone.", 2, tools=("search_people", "open_profile", "save_draft", "check_conflicts", "ask_recruiter")),
        Site("assistant.chat", 3, "chat", _chat, _US + "You are the advisor in the side panel. Help recruiters think through hiring problems. Give reasons and trade-offs.", 1.5),
        Site("contract.lastday", 3, "reasoning", _notice, _US + "Work out the last working day from the contract terms and return it as YYYY-MM-DD, nothing else.", 1.2),
        Site("reports.sql", 3, "code", _sql, _US + "Write a PostgreSQL query for the report that the customer describes. Return only a code block.", 1.2),
        Site("pay.equity", 3, "reasoning", _equity, _US + "Analyse the pay data and answer the question. State assumptions, uncertainty and what other data you would need.", 1),
    ),
)  # fmt: skip
