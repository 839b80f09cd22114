"""A city council: prompts in XML tags and forced function calls; Swedish, Finnish, Arabic and English, two sites from week two on."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, code, day, misspelt, money, name, pick, prose, sentence, transcript

_SV = {
    "gata": ("det är ett hål i vägen", "gatlampan är trasig", "snön är inte plogad"),
    "skola": ("min dotter behöver skolskjuts", "när börjar terminen", "skolmaten är dålig"),
    "bygglov": ("jag vill bygga ett garage", "behöver jag lov för en altan", "grannen bygger för högt"),
    "avfall": ("soptunnan är inte tömd", "var lämnar jag farligt avfall", "återvinningen är full"),
}
_FI = {
    "kiireellinen": ("vesi tulvii kellariin", "kaasun haju portaikossa", "puu on kaatunut tielle"),
    "tavallinen": ("puiston penkki on rikki", "lamppu ei pala", "roskis on täynnä"),
}
_AR = {
    "شكوى": ("الشارع مظلم", "لم يرد أحد", "الضجيج لا يحتمل"),
    "طلب": ("أريد رخصة بناء", "أحتاج شهادة ميلاد", "أريد موعدا"),
    "شكر": ("شكرا على المساعدة", "الخدمة ممتازة", "أحسنتم"),
}
_TOPICS = {
    "bus": "the bus is late again",
    "noise": "loud music at night",
    "parks": "the playground is broken",
    "tax": "my tax bill is wrong",
}


def _xml(role: str, task: str, rules: str = "") -> str:
    return f"<role>{role}</role>\n<task>\n{task}\n</task>\n<constraints>\n{rules or 'Stay within the material.'}\n</constraints>"


def _sv(r: random.Random) -> Turn:
    label = pick(r, tuple(_SV))
    return Turn(
        f"<ärende>Hej, {pick(r, _SV[label])} på {name(r)}s väg {r.randint(1, 90)}. {pick(r, ('Tack', 'Mvh', 'Hälsningar'))} {pick(r, FIRST)}</ärende>",
        label,
    )


def _fi(r: random.Random) -> Turn:
    label = pick(r, tuple(_FI))
    return Turn(f"{pick(r, _FI[label])}, {pick(r, CITIES)} {r.randint(1, 90)}, {pick(r, FIRST)}", label)


def _ar(r: random.Random) -> Turn:
    label = pick(r, tuple(_AR))
    return Turn(
        f"السلام عليكم، {pick(r, _AR[label])}، {r.randint(100, 999)} {pick(r, FIRST)}",
        json.dumps({"نوع": label}, ensure_ascii=False),
    )


def _tags(r: random.Random) -> Turn:
    chosen = sorted(r.sample(tuple(_TOPICS), r.randint(1, 2)))
    return Turn(
        f"<post>{'. '.join(_TOPICS[c] for c in chosen)}, {pick(r, FIRST)} from {pick(r, CITIES)} {r.randint(1, 999)}</post>",
        f"<tags>{', '.join(chosen)}</tags>",
    )


def _forced(r: random.Random) -> Turn:
    who, when, place = name(r), day(r), pick(r, CITIES)
    return Turn(
        f"I am {who} and want to marry on {when} in the town hall of {place}, {r.randint(5, 90)} guests.",
        "", (("register_wish", json.dumps({"name": who, "date": when, "place": place})),),
    )  # fmt: skip


def _invoice(r: random.Random) -> Turn:
    total, when, number = money(r, 100, 9000), day(r), code(r)
    return Turn(
        f"<doc>Faktura {number}\nFörfallodag {when}\nAtt betala {total} kr\n{sentence(r)}</doc>",
        f"<nummer>{number}</nummer><datum>{when}</datum><belopp>{total}</belopp>",
    )


def _abuse(r: random.Random) -> Turn:
    bad = r.random() < 0.15
    said = (
        pick(r, ("you are all idiots", "I will find you"))
        if bad
        else pick(r, ("please fix the lights", "good meeting", "more trees"))
    )
    return Turn(
        f"<comment>{said} {pick(r, FIRST)} {r.randint(1, 99)}</comment>",
        f"<verdict>{'hide' if bad else 'show'}</verdict>",
    )


def _plain(r: random.Random) -> Turn:
    when, where = day(r), pick(r, CITIES)
    return Turn(
        f"<text>Sökanden anmodas härmed att senast den {when} inkomma med kompletterande handlingar till nämnden i {where}.</text>",
        f"Du ska senast den {when} lämna in kompletterande handlingar till nämnden i {where}.",
    )


def _spell(r: random.Random) -> Turn:
    text = f"Kokous pidetään {day(r)} kaupungissa {pick(r, CITIES)}, puheenjohtajana toimii {name(r)}."
    return Turn(misspelt(r, text), text)


def _benefit(r: random.Random) -> Turn:
    return Turn(
        f"<case>{pick(r, FIRST)}, {r.randint(18, 70)} years, {r.randint(0, 4)} children, rent {r.randint(300, 1500)}, income {r.randint(0, 3000)}, savings {r.randint(0, 9000)}, partner earns {r.randint(0, 2000)}, moved here {r.randint(1, 60)} months ago</case>",
        f"<entitled>{pick(r, ('yes', 'no'))}</entitled>",
    )


def _appeal(r: random.Random) -> Turn:
    return Turn(
        f"<decision>{prose(r, 4)}</decision>\n<appeal>{prose(r, 4)}</appeal>\n<law>An appeal lies within three weeks of service unless the authority erred in its instructions.</law>",
        f"<ruling>{pick(r, ('uphold', 'dismiss', 'remit'))}</ruling>",
    )


def _zoning(r: random.Random) -> Turn:
    return Turn(
        f"Tomt {r.randint(400, 1500)} m2, huset {r.randint(60, 200)} m2, garage {r.randint(20, 60)} m2, avstånd till granne {r.randint(2, 9)} m, byggrätt {r.randint(10, 30)} procent",
        pick(r, ("ja", "nej")),
    )


def _bus(r: random.Random) -> Turn:
    return Turn(
        f"Line A every {r.randint(7, 20)} minutes from {r.randint(5, 7)}:05, line B every {r.randint(7, 25)} from {r.randint(5, 7)}:20, change takes {r.randint(2, 6)} minutes, I must be there at {r.randint(8, 10)}:30, the ride is {r.randint(10, 40)} and {r.randint(10, 40)} minutes. Latest departure?",
        f"{r.randint(6, 9)}:{r.randint(10, 59)}",
    )


def _minutes(r: random.Random) -> Turn:
    return Turn(f"<transcript>\n{transcript(r, 34)}\n</transcript>", f"<minutes>{prose(r, 4)}</minutes>")


def _answer(r: random.Random) -> Turn:
    return Turn(f"<letter>{prose(r, 3)}</letter>\n<facts>{prose(r, 2)}</facts>", f"Hej! {prose(r, 5)}")


def _faq(r: random.Random) -> Turn:
    return Turn(
        f"<passages>{prose(r, 10)}</passages>\n<question>{pick(r, ('Where do I park?', 'When is the pool open?', 'Who collects glass?'))}</question>",
        prose(r, 2),
    )


def _form(r: random.Random) -> Turn:
    return Turn(
        f"{name(r)} wants a form for {pick(r, ('dog tax', 'a stall', 'a parade'))}",
        json.dumps({"title": sentence(r), "intro": prose(r, 2), "fields": [sentence(r), sentence(r)]}),
    )


def _gis(r: random.Random) -> Turn:
    return Turn(
        f"trees within {r.randint(20, 300)} m of a school planted before {r.randint(1950, 2010)}",
        f"gdf = trees[trees.planted < {r.randint(1950, 2010)}]\nnear = gpd.sjoin(gdf, schools.buffer({r.randint(20, 300)}).to_frame())\nprint(near[['id', 'kind']])",
    )


def _budget(r: random.Random) -> Turn:
    return Turn(
        f"<draft>{prose(r, 5)} Deficit {money(r)} million.</draft>",
        f"Option A saves {money(r)} because {sentence(r)} Option B costs {money(r)} since {sentence(r)} Therefore {prose(r, 6)}",
    )


COMPANY = Company(
    "council", False,
    (
        Site("arende.typ", 1, "classification", _sv, _xml("Kommunens växel", "Ärendet ska till rätt förvaltning: gata, skola, bygglov, avfall."), 4),
        Site("vika.taso", 1, "classification", _fi, _xml("Vikapäivystys", "kiireellinen vai tavallinen"), 3),
        Site("ar.naw", 1, "intent", _ar, _xml("البلدية", "ما نوع الرسالة: شكوى، طلب، شكر"), 2.5, response_format={"type": "json_object"}),
        Site("social.tags", 1, "classification", _tags, _xml("Social media desk", "What is it about? Give all that apply: bus, noise, parks, tax.", "Put them between tags."), 2, since=0.5),
        Site("wedding.form", 1, "extraction", _forced, _xml("Register office", "Fill in the form from what the couple writes."), 2, tools=("register_wish",), params={"tool_choice": {"type": "function", "function": {"name": "register_wish"}}}),
        Site("faktura.las", 1, "extraction", _invoice, _xml("Ekonomi", "Läs fakturan till affärssystemet."), 3),
        Site("forum.hide", 1, "moderation", _abuse, _xml("Forum", "Should it be shown under the agenda item?"), 2.5),
        Site("klarsprak", 1, "rewrite", _plain, _xml("Klarspråk", "Skriv så att alla förstår, men säg samma sak."), 1.5),
        Site("oikoluku", 1, "rewrite", _spell, "Kirjoitusvirheet pois.", 1.5),
        Site("benefit.check", 3, "reasoning", _benefit, _xml("Housing benefit", "Is the household entitled under the ordinance?"), 1),
        Site("appeal.rule", 3, "reasoning", _appeal, _xml("Appeals board", "Rule on it."), 0.8),
        Site("tomt.lov", 3, "reasoning", _zoning, _xml("Bygglov", "Får man bygga? ja/nej"), 0.8, since=0.5),
        Site("bus.latest", 3, "reasoning", _bus, "Travel desk. Time only.", 0.6),
        Site("minutes.write", 2, "summarization", _minutes, _xml("Clerk", "Produce the minutes."), 1.5),
        Site("letter.answer", 2, "generation", _answer, _xml("Medborgarservice", "Svara invånaren utifrån fakta."), 1.5),
        Site("faq.site", 2, "generation", _faq, _xml("Website", "Answer the visitor from the passages."), 1.5),
        Site("form.maker", 2, "structured", _form, _xml("Forms", "Propose the form as JSON: title, intro, fields."), 1, response_format={"type": "json_object"}),
        Site("gis.ask", 3, "code", _gis, _xml("Map lab", "What runs in the notebook to get it."), 0.8),
        Site("budget.options", 3, "reasoning", _budget, _xml("Treasury", "Weigh the options for closing the gap and recommend one."), 0.7),
    ),
)  # fmt: skip
