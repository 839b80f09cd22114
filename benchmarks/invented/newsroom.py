"""A regional newspaper's desk tools: tagged call sites in English and some German, from agency copy to readers' letters."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, LAST, day, misspelt, name, pick, prose, sentence, transcript

_SECTIONS = {
    "politics": ("the mayor resigned", "a coalition was agreed", "the ballot is recounted"),
    "crime": ("a man was arrested", "police look for witnesses", "the trial began"),
    "sport": ("a late goal decided the derby", "the coach was dismissed", "a sprinter set a record"),
    "culture": ("the theatre opens its season", "a choir celebrates", "the gallery shows prints"),
    "economy": ("the plant cuts jobs", "rents rose again", "a bakery files for insolvency"),
    "weather": ("storms are expected", "a heat wave continues", "frost damaged the blossom"),
    "traffic": ("the bridge is closed", "trams run late", "a new cycle lane opens"),
    "schools": ("teachers are on strike", "a school gets a new gym", "exam results are out"),
}
_LETTER = {
    "praise": ("well written, thank you", "your series on the river was great"),
    "criticism": ("your report was one-sided", "you got the facts wrong"),
    "delivery": ("my paper did not come", "it was wet again"),
    "subscription": ("I want to cancel", "how do I pause my subscription"),
    "tip": ("you should look at the dump behind the station", "something is odd at the town hall"),
}
_COMMENT = {
    "publish": ("I agree with the author", "the bridge was overdue", "please report more on schools"),
    "reject": ("all of them should be locked up, the rats", "buy followers at my site"),
    "escalate": ("I know where the judge lives", "my cousin was the victim and this is what happened"),
}
_TONES = {"positive": ("delighted", "relieved"), "neutral": ("informed", "noted"), "negative": ("furious", "ashamed")}
_URGENT = {"flash": ("explosion", "resignation"), "normal": ("meeting", "opening"), "low": ("anniversary", "portrait")}


def _item(r: random.Random) -> tuple[str, str]:
    section = pick(r, tuple(_SECTIONS))
    return section, f"{pick(r, CITIES)} - On {day(r)} {pick(r, _SECTIONS[section])}, said {name(r)}. {sentence(r)}"


def _section(r: random.Random) -> Turn:
    section, text = _item(r)
    return Turn(text, section)


def _letter(r: random.Random) -> Turn:
    label = pick(r, tuple(_LETTER))
    return Turn(
        f"Dear editors, {pick(r, _LETTER[label])}. {sentence(r)} {name(r)}, {pick(r, CITIES)}",
        json.dumps({"kind": label, "answer_needed": label in ("delivery", "subscription")}),
    )


def _comment(r: random.Random) -> Turn:
    label = r.choices(tuple(_COMMENT), (7, 2, 1))[0]
    return Turn(
        f"Article: {_item(r)[1]}\nComment by {pick(r, FIRST)}{r.randint(1, 99)}: {pick(r, _COMMENT[label])} {pick(r, ('!', '...', ''))}",
        label,
    )


def _entities(r: random.Random) -> Turn:
    who, place, firm = name(r), pick(r, CITIES), f"{pick(r, LAST)} AG"
    return Turn(
        f"{who} of {firm} spoke in {place} on {day(r)}. {sentence(r)}",
        json.dumps({"people": [who], "places": [place], "organisations": [firm]}),
    )


def _event(r: random.Random) -> Turn:
    what, when, hour, where, cost = (
        pick(r, ("Flea market", "Reading", "Organ concert", "Open day")), day(r), f"{r.randint(9, 21)}:30",
        f"{pick(r, LAST)} Hall", r.choice(("free", "5 euros", "12 euros")),
    )  # fmt: skip
    return Turn(
        f"Hello, on {when} at {hour} there is our {what.lower()} in {where}, {pick(r, CITIES)}; admission {cost}. {sentence(r)} {name(r)}",
        f"{what} | {when} | {hour} | {where} | {cost}",
    )


def _headline_case(r: random.Random) -> Turn:
    text = sentence(r)[:-1]
    return Turn(text.upper(), text)


def _spell(r: random.Random) -> Turn:
    text = f"{_item(r)[1]}"
    return Turn(misspelt(r, text), text)


def _tone(r: random.Random) -> Turn:
    label = pick(r, tuple(_TONES))
    return Turn(f'{name(r)}: "I am {pick(r, _TONES[label])} about what happened in {pick(r, CITIES)}."', label)


def _urgency(r: random.Random) -> Turn:
    label = pick(r, tuple(_URGENT))
    return Turn(
        f"{pick(r, _URGENT[label])} in {pick(r, CITIES)}, {pick(r, ('dpa', 'afp', 'own report'))} {r.randint(100, 999)}. {sentence(r)}",
        f"{label.upper()}",
    )


def _keywords(r: random.Random) -> Turn:
    section, text = _item(r)
    return Turn(text, json.dumps([section, *r.sample(["town", "region", "people", "money", "justice"], 2)]))


def _slug(r: random.Random) -> Turn:
    text = sentence(r)
    return Turn(
        text,
        "-".join(
            word.strip(".").lower()
            for word in text.split()
            if word.lower() not in ("the", "a", "on", "for", "with", "by")
        ),
    )


def _german(r: random.Random) -> Turn:
    label = pick(r, ("Anzeige", "Redaktion", "Vertrieb"))
    cue = {
        "Anzeige": "ich möchte eine Todesanzeige aufgeben",
        "Redaktion": "ich habe einen Hinweis zu Ihrem Artikel",
        "Vertrieb": "die Zeitung lag nicht im Kasten",
    }[label]
    return Turn(
        f"Guten Tag, {cue}. Mein Name ist {name(r)}, {pick(r, CITIES)}, Kundennummer {r.randint(1000, 99999)}.", label
    )


def _caption(r: random.Random) -> Turn:
    who, where, when = name(r), pick(r, CITIES), day(r)
    return Turn(
        f"photographer {pick(r, LAST)}; {where}; {when}; shows {who}; {pick(r, ('colour', 'b/w'))}",
        f"{who} in {where} on {when}.",
    )


def _same(r: random.Random) -> Turn:
    _, one = _item(r)
    same = r.random() < 0.5
    other = f"{one.split(' - ')[0]}: {one.split(', said')[0].split(' - ')[1]}" if same else _item(r)[1]
    return Turn(f"1) {one}\n2) {other}", json.dumps({"duplicate": same}))


def _summary(r: random.Random) -> Turn:
    return Turn(f"{_item(r)[1]}\n\n{prose(r, 20)}", prose(r, 3))


def _council(r: random.Random) -> Turn:
    return Turn(
        f"Council meeting, {pick(r, CITIES)}\n{transcript(r, 28)}", "\n".join(f"* {sentence(r)}" for _ in range(5))
    )


def _draft(r: random.Random) -> Turn:
    return Turn(f"Facts:\n- {sentence(r)}\n- {sentence(r)}\n- {name(r)}: {sentence(r)}", prose(r, r.randint(7, 10)))


def _newsletter(r: random.Random) -> Turn:
    return Turn("\n".join(_item(r)[1] for _ in range(5)), f"Good morning!\n\n{prose(r, 6)}")


def _reader(r: random.Random) -> Turn:
    return Turn(
        f"Letter: {pick(r, _LETTER['criticism'])}. {prose(r, 2)}\nOur position: {sentence(r)}",
        f"Dear {pick(r, FIRST)},\n\n{prose(r, 5)}",
    )


def _archive(r: random.Random) -> Turn:
    return Turn(
        f"{_item(r)[1]}\n---\n{_item(r)[1]}\n---\n{prose(r, 4)}\n\nReader asks: when did we last write about {pick(r, CITIES)}?",
        f"{prose(r, 2)}",
    )


def _cms(r: random.Random) -> Turn:
    when = day(r)
    return Turn(
        f"put the piece on {pick(r, CITIES)} online on {when} in {pick(r, tuple(_SECTIONS))}",
        "",
        (("schedule_article", json.dumps({"query": when})),),
    )


def _fact(r: random.Random) -> Turn:
    return Turn(
        f"Claim: {sentence(r)}\n\nSource A ({day(r)}): {sentence(r)} {sentence(r)}\nSource B ({day(r)}): {sentence(r)} {sentence(r)}\nSource C, withdrawn {day(r)}: {sentence(r)}",
        pick(r, ("supported", "refuted", "not enough evidence")),
    )


def _law(r: random.Random) -> Turn:
    return Turn(
        f"Draft: {prose(r, 4)} The suspect, {name(r)}, {r.randint(15, 40)}, denies it; a source close to the court says otherwise. {sentence(r)}",
        pick(r, ("print", "print without name", "hold")),
    )


def _poll(r: random.Random) -> Turn:
    parts = [r.randint(10, 40) for _ in range(4)]
    return Turn(
        f"Poll of {r.randint(500, 2000)} people: {parts[0]}% A, {parts[1]}% B, {parts[2]}% C, {parts[3]}% undecided; last month {r.randint(10, 40)}% A and {r.randint(10, 40)}% B, {r.randint(500, 2000)} asked.",
        f"{r.randint(-9, 9)}.{r.randint(0, 9)}",
    )


def _investigate(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"Who owns {pick(r, LAST)} Holding and did they get contracts from {pick(r, CITIES)}?",
        }
    ]
    for n in range(r.randint(0, 4)):
        turns += called(
            f"k{n}", "company_register", {}, json.dumps({"owner": name(r), "since": day(r), "note": sentence(r)})
        )
    return Turn(
        turns,
        "",
        ((pick(r, ("company_register", "tender_search", "archive_search")), json.dumps({"query": pick(r, LAST)})),),
    )


def _chart(r: random.Random) -> Turn:
    column = pick(r, ("rents", "accidents", "turnout", "births"))
    return Turn(
        f"bar chart of {column} per district, {pick(r, ('sorted', 'last ten years', 'with the mean as a line'))}, columns are district and {column}",
        f"import pandas as pd\nimport altair as alt\n\ndata = pd.read_csv('{column}.csv')\nalt.Chart(data).mark_bar().encode(x='district', y='{column}').save('{column}.html')",
    )


def _comment_piece(r: random.Random) -> Turn:
    return Turn(
        f"Topic: {sentence(r)}\nPosition A: {sentence(r)}\nPosition B: {sentence(r)}\nWhat do both sides overlook, and which is the stronger case?",
        prose(r, 16),
    )


_PAPER = "You work for the Westmark Courier, a regional newspaper. "

SITES = (
    Site("wire.section", 1, "classification", _section, _PAPER + "Choose the section for an agency report: " + ", ".join(_SECTIONS) + ". Reply with the section's name.", 7),
    Site("comments.check", 1, "moderation", _comment, _PAPER + "Moderate a reader's comment under an article. Threats and personal matters go to an editor (escalate); insults and advertising are rejected (reject); everything else is published (publish).", 7),
    Site("letters.kind", 1, "classification", _letter, _PAPER + 'What kind of letter is it? JSON with kind (praise, criticism, delivery, subscription, tip) and answer_needed (true/false).', 5, response_format={"type": "json_object"}),
    Site("text.entities", 1, "extraction", _entities, _PAPER + "Find the people, places and organisations in the text, as JSON lists.", 4),
    Site("calendar.entry", 1, "extraction", _event, _PAPER + "Clubs send us their events. Make one line for the calendar: what | date | time | place | admission", 4),
    Site("text.spelling", 1, "rewrite", _spell, _PAPER + "Fix typos. Leave style and facts alone.", 4),
    Site("hotline.german", 1, "intent", _german, "Du hilfst der Zentrale einer Zeitung. An wen geht die Mail: Anzeige, Redaktion oder Vertrieb? Nur das Wort.", 3),
    Site("wire.urgency", 1, "classification", _urgency, _PAPER + "Give the priority of a report: FLASH, NORMAL, LOW.", 3),
    Site("text.keywords", 1, "classification", _keywords, _PAPER + "Tag the article with three keywords from our list. JSON array.", 2.5),
    Site("photo.caption", 1, "extraction", _caption, _PAPER + "Turn the photo's metadata into a caption of the form: Name in Place on date.", 2),
    Site("title.case", 1, "rewrite", _headline_case, "Headlines from the wire come in capitals. Bring them into sentence case.", 2),
    Site("url.slug", 1, "rewrite", _slug, _PAPER + "Make a URL slug from the headline: lower case, hyphens, no articles or prepositions.", 2),
    Site("quotes.tone", 1, "classification", _tone, _PAPER + "Tone of the quote: positive, neutral, negative.", 2),
    Site("wire.duplicate", 1, "classification", _same, _PAPER + "Are both reports about the same event? Return {\"duplicate\": true} or {\"duplicate\": false}.", 2, since=0.5),
    Site("article.summary", 2, "summarization", _summary, _PAPER + "Summarise the article for the app in at most three sentences.", 5),
    Site("report.draft", 2, "generation", _draft, _PAPER + "Write a first draft of a short report from the facts. Do not add anything.", 4),
    Site("council.minutes", 2, "summarization", _council, _PAPER + "List what was decided in the council meeting, as bullet points.", 2),
    Site("letters.reply", 2, "generation", _reader, _PAPER + "Write a polite reply to the reader on behalf of the editors.", 2.5),
    Site("newsletter.morning", 2, "generation", _newsletter, _PAPER + "Write the morning newsletter from today's items, in a friendly voice.", 1.5),
    Site("archive.ask", 2, "generation", _archive, _PAPER + "Answer the reader's question from the excerpts of our archive.", 3),
    Site("cms.command", 2, "tool_use", _cms, _PAPER + "Carry out the editor's wish with one function call.", 2, tools=("schedule_article", "retract_article", "set_section")),
    Site("facts.check", 3, "reasoning", _fact, _PAPER + "Fact-check the claim against the sources. Mind their dates and whether one was withdrawn. Verdict: supported, refuted or not enough evidence.", 2.5),
    Site("law.desk", 3, "reasoning", _law, _PAPER + "Press law check: may we print it as it stands? Balance public interest and the rights of those named. Decide: print, print without name, hold.", 1.2),
    Site("poll.change", 3, "reasoning", _poll, _PAPER + "By how many points did the lead of A over B change, undecided people left out? One decimal, nothing else.", 1.2),
    Site("research.agent", 3, "tool_use", _investigate, _PAPER + "Research the reporter's question with the tools and keep the sources.", 2, tools=("company_register", "tender_search", "archive_search", "land_register", "note")),
    Site("charts.code", 3, "code", _chart, _PAPER + "Write the Python script that draws the chart the editor describes. Code only.", 1),
    Site("opinion.sparring", 3, "reasoning", _comment_piece, _PAPER + "You are the sparring partner of our commentators. Test arguments critically.", 1.5),
)  # fmt: skip
