"""E-discovery software for law firms in London and Paris: millions of documents are tagged, few are argued about."""

import datetime as dt
import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import (
    FIRST,
    LAST,
    capital,
    cued,
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
_FIRMS = ("Arden", "Belcourt", "Castell", "Dufresne", "Elmwood", "Garnier", "Halden", "Joubert", "Kestrel", "Marchand", "Northway", "Pelletier", "Rookwood", "Sauvage", "Thornby", "Vallier")
_FORMS = ("Ltd", "plc", "SA", "SARL", "LLP", "SAS", "Holdings Ltd")
_MONTHS = "January February March April May June July August September October November December".split()
_MOIS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()
_W = {
    "part": "[valve|turbine|coating|battery pack|pump|bearing|sensor|gearbox|cable|filter]",
    "site": "[Rotterdam|Lille|Hull|Le Havre|Swansea|Metz|Leeds|Grenoble|Antwerp|Brest]",
    "what": "[the Q3 numbers|the test results|the rebate|the delay notice|the tender|the warranty claim|the inspection report|the side letter|the penalty clause|the exclusivity term]",
    "who": "[Paul|Margaux|Deepa|Tom|Claire|the FD|our supplier|the buyer|Henri|the board|Stella]",
    "when": "[Monday|tomorrow|next week|the 14th|month end|Thursday|this afternoon|the summer break]",
    "lawyer": "[Ms Okafor at Lyle & Stone|our solicitors|in-house counsel|Maître Roche|the legal team|counsel|Philippa in Legal]",
}
_PRIV = {
    "not_privileged": ("Can you send <what> to <who> before <when>? The <part> at <site> is [late|on hold|fine].", "[Lunch|Squash|Drinks] <when>? <who> is in <site>.", "<who>, the <part> line in <site> made [410|88|1,200] units. <what> follows <when>.", "Please [approve|pay] invoice [4471|902|3318] for the <part>, <who> wants it <when>.", "<who> has a legal-size printer for <what>, ask [reception|IT] in <site>."),
    "privileged": ("[Confidential.|Privileged.|] <lawyer> advises that <what> exposes us if <who> [sues|terminates]. Do not forward.", "I need your advice on whether <what> [binds us|can be withdrawn]. We hear from <who> on <when>. To: <lawyer>", "Note of call with <lawyer>: our [prospects|defence] on <what> [are fair|depend on the <part> tests].", "Draft witness statement on <what>, prepared for <lawyer> in view of the <site> [claim|arbitration]."),
    "check": ("<lawyer> is copied. <who>, are we [still on|ready] for <when> with the <part> in <site>?", "Fwd: <what>. See what <lawyer> wrote below, but my question is [commercial|only the price].", "<who> spoke to <lawyer> and then to the [bank|auditors] about <what>.", "Minutes <site>: item 4, <lawyer> [joined|left early]. Item 5, <part> budget."),
}
_KIND = {
    "email": "From: <a>\nTo: <b>\nSent: <d>\nSubject: <x>\n\n<t>", "invoice": "<co>\nINVOICE No <n>\nDate <d>\nTo <co2>\n<t>\nTotal due <m> within 30 days",
    "contract": "THIS AGREEMENT is made on <d> between <co> and <co2>.\n1. The Supplier shall deliver. <t>\n2. Governing law: England.\nSigned <a>, <b>", "minutes": "Board of <co>, <d>\nPresent: <a>, <b>. Apologies: none\n1 <x>\n<t>\nResolved: noted. Next meeting to be fixed",
    "letter": "<co>\n<d>\nDear <b>,\nRe: <x>\n<t>\nYours sincerely,\n<a>", "chat": "[<d>] <a>: <t>\n<b>: ok, <x>?\n<a>: later",
    "spreadsheet": "Sheet1;A;B;C\n<x>;<n>;<m>\n<a>;<n>;<m>\nSUM;;<m>", "report": "<x>: TECHNICAL REPORT <n>\nPrepared by <a> for <co>\n1 Summary\n<t>\n2 Method\n3 Findings",
}
_CLAUSE = {
    "liability_cap": ("[Neither party's|The Supplier's] [total|aggregate] liability [under|arising from] this Agreement shall not exceed <sum>[, save for fraud|].", "La responsabilité [totale|cumulée] du Prestataire est [plafonnée|limitée] à <sum>."),
    "termination": ("[Either party|The Customer] may [terminate|end] this Agreement [on|by giving] <n> [days'|weeks'] notice.", "Chaque partie peut [résilier|mettre fin à] ce contrat avec un préavis de <n> jours."),
    "confidentiality": ("[Each party|The Recipient] shall [keep secret|not disclose] [all|any] information [marked|received] [for <n> years|without limit in time].", "Les parties s'engagent à garder [secrètes|confidentielles] les informations pendant <n> ans."),
    "payment": ("[Invoices|Fees] are [payable|due] within <n> days[; interest runs at 4%|], up to <sum>.", "Le prix de <sum> est [payable|exigible] à <n> jours."),
    "governing_law": ("This [Agreement|Deed] is governed by [English|French|Irish] law and the courts of [London|Paris|Dublin] [decide|have jurisdiction].", "Le présent contrat est [soumis au|régi par le] droit [français|anglais|belge]."),
    "force_majeure": ("[A party|The Supplier] is not liable for [delay|failure] caused by [flood|war|strike|epidemic] [lasting <n> days|].", "La [grève|tempête|guerre] de plus de <n> jours [suspend|libère de] l'obligation."),
    "assignment": ("[Neither party|The Licensee] may [assign|transfer] [rights|this Agreement] without consent, [not unreasonably withheld|in writing].", "Le contrat ne peut être [cédé|transféré] sans accord [écrit|préalable]."),
}
_PORTAL = {
    "upload": ("[how do I|can't] [load|upload] [a PST|a zip|scans] of <size>?", "[le téléversement|l'import] de <size> [échoue|reste bloqué]", "<size> of [loose files|emails] to load for <m>, where?"),
    "access": ("[give|grant] <p> access to <m> please", "<p> [left|joined] the team on <m>, change [rights|access]", "<p> n'a plus accès au dossier <m>"),
    "export": ("need a production [with Bates numbers|as PDF|load file] from <m> by [five|tonight]", "comment [exporter|produire] <size> de <m> en PDF ?", "export of <m> [is stuck|has no metadata]"),
    "search_help": ("why does my search in <m> find [nothing|everything]", "la recherche dans <m> ignore les [accents|guillemets]", "how do I search <m> for [two words near each other|wildcards]"),
    "billing": ("what do we pay for <size> of hosting on <m>?", "la facture de <m> est [trop élevée|en double]", "[invoice|bill] for <m> has the wrong [VAT|PO number]"),
    "hold": ("[put|place] <p> on legal hold for <m>", "has <p> [acknowledged|answered] the hold notice for <m>?", "lever la conservation pour <p>, dossier <m>"),
}
_TONE = {
    "neutral": ("<what> is [attached|on the drive]. <who> [has|needs] a copy by <when>.", "Meeting with <who> moved to <when>, <site>.", "La réunion avec <who> est [confirmée|déplacée]."),
    "worried": ("I [am not comfortable|can't sleep] with <what>, <who> [will find out|may ask] <when>.", "Are we sure the <part> is [safe|legal]? <site> [keeps failing|had another one].", "Je suis [inquiète|préoccupé] pour <what>, surtout à <site>."),
    "hostile": ("[Stop|Quit] blaming <site> for your [mess|failure] with <what>.", "<who> is a [liar|disgrace] and <what> proves it.", "C'est [scandaleux|une honte], <who> nous [ment|méprise] sur <what>."),
    "secretive": ("[Call me|Don't write], not by email. It's about <what>.", "Delete this after <when>. <who> [must not|should never] see <what>.", "[Pas par écrit|Efface ce message] : <what>, on en parle à <site>."),
}
_LANG = {
    "en": ("Please find <what> for <site>.", "<who> wants to see you on <when>.", "We can ship the <part> from <site>.", "Why was <what> not signed?"),
    "fr": ("Veuillez trouver ci-joint le rapport de <site>.", "[Peux-tu|Pouvez-vous] rappeler [Henri|Claire] avant [lundi|jeudi] ?", "La [pompe|vanne] de <site> est en panne depuis [mardi|hier].", "Il faut relire l'avenant avec [Margaux|le client]."),
    "de": ("Bitte senden Sie [den Vertrag|das Protokoll] bis [Montag|Freitag] an <site>.", "Die [Pumpe|Turbine] läuft wieder, Gruß [Uwe|Heike]."),
    "nl": ("Graag ontvang ik [het verslag|de factuur] uit <site> voor [maandag|vrijdag].", "De [pomp|klep] is [kapot|besteld], zie bijlage."),
    "es": ("Adjunto [el informe|la factura] de <site>, un saludo.", "¿Puedes llamar a [Pablo|la fábrica] el [lunes|jueves]?"),
    "none": ("[4417|88] [x|;] [12.5|0.3] [kg|mm] <n> <n>", "IMG_<n>.jpg <n>KB", "____ [_ _|####] <n>"),
}
_HELP = (
    ("Order of 3 May", "Standard disclosure is due <a> weeks after the order. Each side may call <b> documents by date. The hearing is in <m>.", ("when is disclosure due under the order", "How long do we have for standard disclosure?"), "The order gives <a> weeks from its date for standard disclosure."),
    ("Supply agreement, clause 9", "Defects are to be notified within <b> days of delivery. The warranty runs <a> years. The price is reviewed each <m>.", ("how many days to notify a defect", "What is the warranty term?"), "Clause 9 requires notice within <b> days of delivery, and the warranty lasts <a> years."),
    ("Email Stella to Paul", "Stella says that <b> units failed in <m> and that <a> of them went back to the customer without a repair.", ("how many units did Stella say had failed", "Did units go back unrepaired?"), "Stella wrote that <b> units failed and that <a> were returned to the customer without a repair."),
    ("Board minutes", "The board approved a reserve of £<b>0,000 in <m>, by <a> votes. Margaux abstained and asked that her reasons be minuted.", ("what reserve did the board set", "who abstained on the reserve"), "The board approved £<b>0,000; Margaux abstained."),
    ("Rapport d'expertise", "L'expert compte <b> fissures sur la turbine et <a> jours d'arrêt. Sa visite date de <m>.", ("combien de fissures l'expert a-t-il relevées", "how many cracks did the expert find?"), "The expert's report counts <b> cracks and <a> days of standstill."),
    ("Hold notice", "The hold covers <a> custodians and mail from the last <b> months. Phones were added in <m>.", ("how many custodians are on hold", "does the hold cover phones?"), "It covers <a> custodians and <b> months of mail; phones were added in <m>."),
)
_EVENTS = (
    ("warned <who> that the <part> at <site> fails under load", "the first warning about the <part> at <site>"), ("asks <who> to keep <what> out of the minutes", "a request to keep <what> out of the minutes"),
    ("agrees a discount with <who> in return for <what>", "a discount that was tied to <what>"), ("tells <site> to ship the <part> untested", "an instruction to ship the <part> from <site> untested"),
    ("says that <what> was never sent to <who>", "a statement that <what> never reached <who>"), ("refuses to sign <what> until <who> answers", "a refusal to sign <what>"),
)
_CHAFF = ("Thanks, [noted|will do].", "Can we do [ten|three] instead?", "Please use the [new|other] template.", "I'm on the train, [bad line|more later].", "+1", "See [below|my comments in red].", "Merci, bien reçu.", "Adding [Deepa|Tom] for visibility.")


def _w(r: random.Random) -> dict[str, str]:
    return {key: spin(r, value) for key, value in _W.items()}


def _co(r: random.Random) -> str:
    return f"{pick(r, _FIRMS)} {pick(r, ('', 'Marine ', 'Energy ', 'Pharma '))}{pick(r, _FORMS)}"


def _date(r: random.Random) -> dt.date:
    return dt.date(2017, 1, 1) + dt.timedelta(days=r.randrange(3200))


def _written(r: random.Random, d: dt.date) -> str:
    return pick(r, (f"{d.day} {_MONTHS[d.month - 1]} {d.year}", f"{_MONTHS[d.month - 1][:3]} {d.day}, {d.year}", f"le {d.day} {_MOIS[d.month - 1]} {d.year}", f"{d.day:02}.{d.month:02}.{d.year}", f"{d:%Y/%m/%d}", f"the {d.day}{'st' if d.day in (1, 21, 31) else 'nd' if d.day in (2, 22) else 'rd' if d.day in (3, 23) else 'th'} of {_MONTHS[d.month - 1]}, {d.year}"))


def _matter(r: random.Random) -> str:
    return " v ".join(r.sample(_FIRMS, 2))


def _priv(r: random.Random) -> Turn:
    text, label = cued(r, _PRIV, 0.02, words=_w(r))
    extra = " ".join(spin(r, pick(r, _CHAFF)) for _ in range(r.choice((0, 1, 2, 9))))
    return Turn(f"From: {name(r)}\nDate: {_date(r)}\n\n{text}\n{extra}".strip(), mangled(r, label))


def _page(r: random.Random, label: str) -> str:
    text = _KIND[label]
    body = " ".join(spin(r, pick(r, pick(r, tuple(_TONE.values()))[:2]), **_w(r)) for _ in range(r.choice((1, 2, 3, 14))))
    put = {"a": name(r), "b": name(r), "co": _co(r), "co2": _co(r), "d": _written(r, _date(r)), "n": str(r.randint(100, 99999)), "m": "EUR " + money(r, 50, 90000), "x": capital(spin(r, _W["what"])), "t": body}
    for key, value in put.items():
        text = text.replace(f"<{key}>", value)
    return text


def _kind(r: random.Random) -> Turn:
    label = r.choices(tuple(_KIND), (6, 3, 2, 1, 2, 2, 1, 1))[0]
    return Turn(_page(r, label), mangled(r, slip(r, label, tuple(_KIND))))


def _when(r: random.Random) -> Turn:
    d, other = _date(r), _date(r)
    text = spin(r, pick(r, ("Dated <x>. [Refers to|Replaces] the letter of <y>.", "<z> wrote on <x> about <what>.", "[Signed|Executed] at <site>, <x>", "Fait à <site>, <x>", "Printed <y>\nDocument date: <x>", "Meeting of <x>: <what> [noted|deferred] to <y>")), x=_written(r, d), y=_written(r, other), z=name(r), **_w(r))
    if r.random() < 0.08:
        return Turn(spin(r, "[undated|sans date], <what>, <site>, [page 2|copy]", **_w(r)), '{"date": null}')
    return Turn(text, mangled(r, json.dumps({"date": d.isoformat() if r.random() > 0.02 else other.isoformat()})))


def _parties(r: random.Random) -> Turn:
    a, b, who = _co(r), _co(r), name(r)
    while b == a:
        b = _co(r)
    text = pick(r, (f"THIS DEED is made between (1) {a} and (2) {b}. Signed for the first by {who}.", f"ENTRE LES SOUSSIGNÉS : {a}, représentée par {who}, ET {b}, ci-après le Client.", f"{a} (the Seller), acting by its director {who}, and {b} (the Buyer) agree as follows.", f"In the matter of {a} v {b}. Statement of {who}."))
    text += " " + spin(r, pick(r, _CLAUSE["payment"]), sum=f"£{r.randint(1, 99)}0,000", n=str(r.randint(5, 90)))
    return Turn(text, mangled(r, json.dumps({"parties": [a, b], "person": who}, ensure_ascii=False)))


def _clause(r: random.Random) -> Turn:
    text, label = cued(r, _CLAUSE, 0.02, words={"sum": f"{pick(r, ('£', '€'))}{r.randint(1, 90)}0,000", "n": str(r.randint(3, 120))})
    padding = "".join(spin(r, " [For the avoidance of doubt|Subject to clause 3|Notwithstanding the Schedule|Without prejudice to statute], [each party|the Supplier|each Affiliate] [acknowledges|agrees|accepts] [the foregoing|the Annexes|the recitals] [in full|as amended|to the extent permitted].") for _ in range(r.choice((0, 0, 1, 3, 10))))
    return Turn(f"{r.randint(1, 30)}.{r.randint(1, 9)} {text}{padding}", label)


def _lang(r: random.Random) -> Turn:
    text, label = cued(r, _LANG, 0.02, words=_w(r) | {"n": str(r.randint(10, 9999))})
    return Turn(f"{text} {pick(r, ('', pick(r, FIRST), str(r.randint(100, 999))))}".strip(), label)


def _portal(r: random.Random) -> Turn:
    text, label = cued(r, _PORTAL, 0.02, words={"size": f"{r.randint(2, 900)} GB", "p": name(r), "m": _matter(r)})
    return Turn(typed(r, text), mangled(r, json.dumps({"intent": label})))


def _tone(r: random.Random) -> Turn:
    text, label = cued(r, _TONE, 0.02, words=_w(r))
    return Turn(f"{text} {pick(r, FIRST)[0]}.", label)


def _mask(r: random.Random) -> Turn:
    who, mail, phone, iban = name(r), f"{pick(r, LAST).lower()}@{pick(r, _FIRMS).lower()}.example", f"+33 6 {r.randint(10, 99)} {r.randint(10, 99)} {r.randint(10, 99)} {r.randint(10, 99)}", f"FR76{r.randint(10**10, 10**11 - 1)}"
    text = spin(r, pick(r, ("{a} ({b}) [asked|told] <who> to call {c} about <what>.", "Please pay {a} on {d}, [copy|receipt] to {b}.", "{a} a [changé|perdu] son numéro : {c}. Écrire à {b}.", "Kontakt / contact for <what>: {a}, {b}, {c}.", "<when>: {a} will [visit|leave] <site>. [Reach|Text] them on {c}.", "Refund to {a}, account {d}, [approved|refused] by <who>.", "[HR file|Personnel note]: {a}, {c}, salary to {d}, based in <site>.")), **(_w(r) | {"who": "the buyer"}))
    return Turn(text.format(a=who, b=mail, c=phone, d=iban), text.format(a="█NAME█", b="█EMAIL█", c="█PHONE█", d="█IBAN█"))


def _cite(r: random.Random) -> Turn:
    (a, b), year, n, court = r.sample(_FIRMS, 2), r.randint(1998, 2025), r.randint(3, 3900), pick(r, ("EWHC", "EWCA Civ", "UKSC"))
    div = f" ({pick(r, ('Comm', 'Ch', 'TCC'))})" if court == "EWHC" else ""
    loose = pick(r, (f"{a.lower()} vs. {b.lower()}, {year} {court.lower()} {n}{div.lower()}", f"{a} -v- {b} ({year}) {court} no. {n}{div}", f"{court} {n}{div} of {year}, {a} against {b}"))
    return Turn(loose, f"{a} v {b} [{year}] {court} {n}{div}")


def _ocr(r: random.Random) -> Turn:
    text = " ".join(spin(r, pick(r, pick(r, tuple(_TONE.values()))), **_w(r)) for _ in range(r.randint(1, 4)))
    bad = misspelt(r, text).replace("rn", "m").replace("l", "1", 2).replace("o", "0", 1)
    return Turn(bad, text)


def _thread(r: random.Random) -> Turn:
    lines, told, start = [], [], _date(r)
    for said, short in r.sample(_EVENTS, r.randint(2, 3)):
        words, who, start = _w(r), name(r), start + dt.timedelta(days=r.randint(1, 9))
        lines += [f"On {start}, {who} wrote:\nFor the record, the writer {spin(r, said, **words)}."] + [f"{pick(r, FIRST)}: {spin(r, pick(r, _CHAFF))}" for _ in range(r.randint(3, 7))]
        told.append(f"On {start}, {who} put in writing {spin(r, short, **words)}.")
    end = spin(r, "[Replies are short and do not contest it.|Nobody in the thread objects.|The answers are about scheduling only.] [The thread ends without a decision.|No decision is recorded.|It stays open who was to act.]")
    return Turn("\n\n".join(lines), " ".join((*told, end)))


def _depo(r: random.Random) -> Turn:
    who, lines, told, page = name(r), [], [], r.randint(4, 90)
    for said, short in r.sample(_EVENTS, 3):
        words = _w(r)
        page += r.randint(1, 6)
        reply = pick(r, ("Yes, I saw that.", "I don't recall.", "No. That is wrong."))
        lines += [f"[{page}:{r.randint(1, 25)}] Q. Is there a paper in which someone {spin(r, said, **words)}?", f"A. {reply}", *(spin(r, pick(r, ("Q. [Take your time.|Look at tab 7.]", "MR LYLE: [Objection, form.|Asked and answered.]", "A. [Which page?|Could you repeat that?]", "Q. [Is that your signature?|You were in charge then?] A. [I was.|It looks like it.]"))) for _ in range(r.randint(3, 6)))]
        told.append(f"{page}: {who} {'confirms having seen' if reply[0] == 'Y' else 'does not recall' if reply[0] == 'I' else 'denies'} {spin(r, short, **words)}.")
    return Turn(f"Deposition of {who}\n" + "\n".join(lines), "\n".join(f"- {t}" for t in told))


def _plain(r: random.Random) -> Turn:
    n, cap = r.randint(7, 90), f"{r.randint(1, 90)}0,000"
    label, fr = pick(r, ("termination", "liability_cap", "payment")), r.random() < 0.3
    text = spin(r, _CLAUSE[label][int(fr)], sum="€" + cap, n=str(n))
    unit = "weeks" if "weeks" in text else "days"
    said = {"termination": f"The contract can be ended early. Whoever wants out has to say so {n} {unit} ahead and needs no reason.", "liability_cap": f"If something goes wrong, there is a ceiling on what can be claimed: €{cap} in all. Several claims share that one amount.", "payment": f"You have {n} days to pay once the bill has come, and the sum in question is €{cap} at most."}[label]
    return Turn(f"Clause: {text}\nReader: {pick(r, ('shop owner', 'employee', 'board member without legal training', 'tenant'))}", f"{said} {spin(r, '[Check|Do check] [whether the annex changes this|whether a later amendment changes this|if another clause carves out exceptions], [because|since] this clause does not say.')}")


def _letter(r: random.Random) -> Turn:
    who, us, m, days = name(r), _co(r), _matter(r), r.choice((7, 14, 21, 28))
    kind = pick(r, ("extension of time", "legal hold notice", "chaser for missing attachments", "reply to a complaint about late disclosure"))
    body = {
        "extension of time": f"Our review of the documents has taken longer than either side expected, as two more mailboxes came to light last week. We therefore ask you to agree to a further {days} days for disclosure. The hearing date is not affected, and we would return the courtesy should you need it.",
        "legal hold notice": "You may hold documents that matter to this dispute. From today, please do not delete, change or throw away anything that relates to it, whether on paper, on your phone or in your mailbox. Switch off automatic deletion. This applies even to drafts and private messages. You are not accused of anything.",
        "chaser for missing attachments": f"We have been through the production that you sent and find that a number of emails came without their attachments. We listed them in the schedule. Please let us have the missing files within {days} days, in native form and with their metadata, or explain why they are withheld.",
        "reply to a complaint about late disclosure": f"We do not accept that our client has been slow. The volume grew by half after your own request to widen the date range. Even so, we will send what is ready now and the rest within {days} days, and suggest a short call between the two review teams.",
    }[kind]
    return Turn(f"to: {who}\nfor: {us}\nmatter: {m}\nkind: {kind}\ndays: {days}", f"Dear {who},\n\n{m}\n\nWe write on behalf of {us}. {body}\n\n{spin(r, '[Please confirm receipt.|Kindly acknowledge this letter.] [If anything is unclear, telephone us.|We are available to discuss this at your convenience.]')} All rights are reserved.\n\nYours sincerely")


def _ask(r: random.Random) -> Turn:
    listed, asked, answer = grounded(r, _HELP, 3)
    return Turn("\n".join(f"[DOC {n}] {t}: {p}" for n, (t, p) in enumerate(listed, 1)) + f"\nQuestion: {asked}", answer or "The documents supplied do not answer this.")


def _docket(r: random.Random) -> Turn:
    tool, m, d, p = pick(r, ("add_deadline", "assign_batch", "tag_folder")), _matter(r), _date(r), name(r)
    ask = {"add_deadline": f"[put|enter] {_written(r, d)} as [reply|disclosure|hearing] deadline in {m}", "assign_batch": f"give batch {r.randint(1, 400)} of {m} to {p}", "tag_folder": f"[mark|tag] folder {r.randint(1, 60)} in {m} as [hot|done|second level]"}[tool]
    query = {"add_deadline": f"{m} {d}", "assign_batch": f"{m} {p}", "tag_folder": m}[tool]
    return Turn(typed(r, spin(r, ask)), "", ((tool, json.dumps({"query": query})),))


def _entry(r: random.Random) -> Turn:
    text, words, who = pick(r, _PRIV["privileged"]), _w(r), name(r)
    d = _date(r)
    return Turn(f"From: {who}\nDate: {d}\n\n{spin(r, text, **words)}", spin(r, f"[Email|Communication] of {d} from {who} {'concerning' if 'Draft' not in text else 'attaching material on'} <what>, [made|sent] in order to [obtain|pass on] legal advice from <lawyer>[; withheld in full|, withheld for legal advice privilege|].", **words))


def _deadline(r: random.Random) -> Turn:
    d, years, pause = _date(r), r.choice((1, 3, 5, 6)), r.choice((0, 0, 28, 90, 183))
    known = d + dt.timedelta(days=r.randint(0, 900))
    rule = pick(r, ("from the breach", "from the day the claimant knew"))
    start = d if rule == "from the breach" else known
    end = start.replace(year=start.year + years, day=min(start.day, 28)) + dt.timedelta(days=pause + max(0, start.day - 28))
    while end.weekday() > 4:
        end += dt.timedelta(days=1)
    return Turn(spin(r, f"Breach {_written(r, d)}. Claimant [found out|learned of it] {_written(r, known)}. Period {years} year{'s' * (years > 1)} {rule}. {f'Standstill of {pause} days agreed in between.' if pause else 'No standstill; a draft one was never signed.'} [Part payment was offered, not made.|The debtor wrote to deny the debt.|]"), end.isoformat())


_FACTS = (("Sender is the company's own lawyer", 1), ("The lawyer also runs the compliance department and writes as its head", -1), ("A PR agency was copied", -1), ("The paper was made after the claim letter", 1), ("The advice is about price, not law", -1), ("The expert was retained by the law firm", 1), ("The board later quoted it in a press release", -2), ("It quotes counsel word for word", 1), ("An in-house lawyer in Paris wrote it", -1), ("Only two directors received it", 1), ("It was sent to the auditor under a confidentiality letter", -1), ("Purpose stated: to prepare the defence", 2))


def _second(r: random.Random) -> Turn:
    facts = r.sample(_FACTS, r.randint(4, 6))
    score = sum(n for _, n in facts)
    label = "WITHHOLD" if score > 0 else "PRODUCE" if score < 0 else "REDACT"
    return Turn(f"{_matter(r)}, doc {r.randint(1000, 99999)}, {_date(r)}\n" + "\n".join(f"- {f}" for f, _ in facts) + spin(r, "\nExcerpt: <what>, <site>. <who> asks for comments by <when>.", **_w(r)), mangled(r, slip(r, label, ("WITHHOLD", "PRODUCE", "REDACT"))))


def _risk(r: random.Random) -> Turn:
    picked = r.sample(tuple(_CLAUSE), r.randint(4, 6))
    n, cap, a, b = r.randint(3, 120), r.randint(1, 90) * 10, _co(r), _co(r)
    text = "\n".join(f"{k}. {spin(r, _CLAUSE[c][0], sum=f'£{cap},000', n=str(n))}" for k, c in enumerate(picked, 1))
    unit = "weeks" if "weeks" in text else "days"
    views = {"liability_cap": f"The ceiling of £{cap},000 looks [thin|generous] against the contract value, and it is silent on indirect loss, so a court would have to construe it.", "termination": f"{n} {unit} of notice leave the client [without a successor|exposed mid-project]; a transition duty should be added.", "confidentiality": "The secrecy duty has no carve-out for regulators, which would put the client in breach the day an authority calls.", "payment": f"The {n} day term interacts with the right to suspend: the clause gives leverage, but only if invoices are undisputed.", "governing_law": "Law and forum are stated together, yet arbitration in the framework agreement may conflict with them, and the later document need not prevail.", "force_majeure": "The list of events is closed. A cyber attack is not among them, and the counterparty could argue either way.", "assignment": "Change of control is not treated as a transfer, so a sale of shares would sidestep the consent right."}
    missing = [c for c in _CLAUSE if c not in picked]
    return Turn(f"Parties: {a} (client), {b}\n{text}\n\nWhere is our client exposed, how would you rank it, and what would the other side say?", f"## Exposure of {a}\n" + "\n".join(f"{k}. {spin(r, views[c])}" for k, c in enumerate(r.sample(picked, 4), 1)) + f"\n\n## What is missing\nNothing deals with {missing[0].replace('_', ' ')}. I would raise that first, since {b} will rely on the gap.\n\n## The other side\nThey will say that the terms are market standard and that £{cap},000 was priced in. That argument is {pick(r, ('weak', 'respectable'))} on price and {pick(r, ('stronger', 'weaker'))} elsewhere. My ranking rests on the text alone and could change with the correspondence.")


_TOPICS = ("settle now or wait for the expert", "call the former employee as a witness", "run the review with predictive coding or by hand", "disclose the side letter early", "sue in Paris or in London", "challenge their privilege log")
_THOUGHTS = ("Start from what the tribunal will [remember|care about], which is seldom the volume of paper.", "The cost of waiting is [not only money|mostly credibility]; memories and leverage fade as well.", "If the document comes out anyway, you want to be the one who explains it first.", "The counter-argument is serious: an early move shows your hand before theirs is on the table.", "Test it on someone who dislikes the case.", "I would split the decision, do the reversible half now and set a date for the rest.", "French procedure gives you [less|hardly any] disclosure, which helps or hurts depending on who holds the bad emails.", "Proportionality will be argued against you, so keep a [record|sample] that supports the choice.", "Ask the client how much publicity they can bear, since that may settle it.", "I may be missing facts about [insurance|the parent company], and these could reverse my view.")


def _counsel(r: random.Random) -> Turn:
    topic, m = pick(r, _TOPICS), _matter(r)
    turns: list[Message] = []
    for _ in range(r.randint(0, 2)):
        turns += [{"role": "user", "content": spin(r, f"In {m} we [think about|argue over] whether to {pick(r, _TOPICS)}. [Views?|Thoughts?]")}, {"role": "assistant", "content": " ".join(spin(r, s) for s in r.sample(_THOUGHTS, 4))}]
    ask = spin(r, f"{m}: should we {topic}? [The partner wants to, I do not.|Client is nervous.|Budget is nearly gone.|On hésite vraiment.] [Trial in May.|Hearing in two weeks.|No date yet.]")
    return Turn([*turns, {"role": "user", "content": ask}], f"On whether to {topic}: " + " ".join(spin(r, s) for s in r.sample(_THOUGHTS, r.randint(2, 8))))


def _regex(r: random.Random) -> Turn:
    pre, n, near = pick(r, _FIRMS)[:3].upper(), r.randint(4, 8), r.randint(3, 12)
    what = pick(r, (("Bates numbers", rf"\b{pre}[-_ ]?\d{{1,{n}}}\b"), ("internal claim ids", rf"\b{pre}/(?:19|20)\d\d/\d{{1,{n}}}\b"), ("project names", rf"\b(?i:projet|project)\s+{pre}\w{{0,{n}}}\b")))
    return Turn(f"Python: find {what[0]} that start with {pre} (up to {n} characters after it), keep those within {near} words of 'defect' or 'défaut', count by custodian", f"```python\nimport re\nfrom collections import Counter\n\nFOUND = re.compile(r\"{what[1]}\")\nNEAR = re.compile(r\"\\b(defects?|défauts?)\\b\", re.I)\n\ndef counted(docs):\n    total = Counter()\n    for doc in docs:\n        for hit in FOUND.finditer(doc.text):\n            before = doc.text[: hit.start()].split()[-{near}:]\n            after = doc.text[hit.end() :].split()[:{near}]\n            if NEAR.search(\" \".join(before + after)):\n                total[doc.custodian] += 1\n    return total\n```")


def _agent(r: random.Random) -> Turn:
    tools, steps, m, who = ("search_documents", "open_document", "list_custodians", "write_memo"), r.randint(0, 4), _matter(r), name(r)
    turns: list[Message] = [{"role": "user", "content": spin(r, f"{m}: find out when {who} first knew about <what> and build a chronology with sources.", **_w(r))}]
    for n in range(steps):
        turns += [{"role": "assistant", "content": None, "tool_calls": [{"id": f"c{n}", "type": "function", "function": {"name": tools[n], "arguments": json.dumps({"query": who})}}]},
                  {"role": "tool", "tool_call_id": f"c{n}", "content": json.dumps({"date": str(_date(r)), "text": spin(r, "<who> " + pick(r, _EVENTS)[0], **_w(r))})}]
    if steps == 4:
        first = min(json.loads(str(t["content"]))["date"] for t in turns if t["role"] == "tool")
        return Turn(turns, f"The memo on {who} is saved. The earliest source is dated {first}; an older draft may exist, since one mailbox is not loaded.")
    return Turn(turns, "", ((tools[steps], json.dumps({"query": f"{who} {m}"})),))


COMPANY = Company(
    "discovery", True,
    (
        Site("ingest.kind", 1, "classification", _kind, "Ingest pipeline. You get the first page of a document as text. Set its kind: " + ", ".join(_KIND) + ".\nJudge by form, not by subject; a contract that is attached to an email is a contract. Reply with the kind.", 14),
        Site("review.privscreen", 1, "classification", _priv, "First pass privilege screen, before any lawyer looks. Tags:\nprivileged = a lawyer gives advice or is asked for it, or the text prepares litigation\nnot_privileged = no such thing\ncheck = a lawyer is mentioned or copied but nothing more\n\nTag only. Whoever reviews at second level takes the actual decision.", 12.5),
        Site("ingest.date", 1, "extraction", _when, 'Give the date of the document itself as {"date": "YYYY-MM-DD"}, or null. Documents are in English or French; day comes before month. Dates of other letters that are mentioned do not count.', 7, response_format={"type": "json_object"}),
        Site("contracts.parties", 1, "extraction", _parties, 'From the opening of an agreement or pleading take the two parties and the natural person. JSON: {"parties": [..], "person": ".."}. Spelling as in the document.', 6),
        Site("contracts.clause", 1, "classification", _clause, "You analyse contract language like a senior lawyer. Read the clause closely, however long, and say which kind it is: " + ", ".join(_CLAUSE) + ". One label.", 6),
        Site("portal.intent", 1, "intent", _portal, 'Les utilisateurs écrivent au support en anglais ou en français. Classe le message. Réponds en JSON {"intent": "..."} avec : ' + ", ".join(_PORTAL), 5),
        Site("ingest.lang", 1, "classification", _lang, "en, fr, de, nl, es or none?", 4),
        Site("production.mask", 1, "rewrite", _mask, "Mask personal data before production. Names become █NAME█, emails █EMAIL█, phone numbers █PHONE█, bank accounts █IBAN█. All else stays exactly as it is.", 5),
        Site("briefs.cite", 1, "rewrite", _cite, "Bring the case citation into the form: Claimant v Defendant [year] COURT number (Division). Return just the citation.", 2.5),
        Site("ingest.ocrfix", 1, "rewrite", _ocr, "Repair OCR errors. Do not translate, shorten or improve.", 2.5),
        Site("review.tone", 1, "classification", _tone, "Tone of the message, for the early case view: neutral, worried, hostile, secretive.", 3, since=0.5),
        Site("review.thread", 2, "summarization", _thread, "Summarise an email thread for the reviewing lawyer: who put what in writing and when. Leave out small talk. At most 80 words, in English.", 6),
        Site("matter.ask", 2, "question_answering", _ask, "Answer a lawyer's question from the documents retrieved. No outside knowledge. If they do not say, say that.", 5.5),
        Site("letters.draft", 2, "generation", _letter, "Draft a letter in the house style of an English law firm from the fields given. Courteous and firm, under 150 words.", 3.5),
        Site("depo.digest", 2, "summarization", _depo, "Make a page digest of a deposition transcript: one bullet for each fact on which the witness took a position, with the page number.", 3),
        Site("contracts.plain", 2, "generation", _plain, "Explain a clause (English or French) in plain English to the reader named. Two to four sentences. No advice.", 3),
        Site("privlog.entry", 2, "generation", _entry, "Write the description for the privilege log: what kind of paper, about what, why it is withheld, without giving the advice away. One sentence.", 2.5),
        Site("docket.tool", 2, "tool_use", _docket, "Turn the paralegal's line into one function call.", 2.5, tools=("add_deadline", "assign_batch", "tag_folder")),
        Site("privilege.second", 3, "reasoning", _second, "Second level. Decide on privilege under English law from the facts listed: dominant purpose, waiver, dual roles, foreign in-house lawyers. They point in different directions. Return WITHHOLD, PRODUCE or REDACT.", 3),
        Site("limitation.date", 3, "reasoning", _deadline, "When does the claim become time-barred? Choose the right starting point, add the period and any standstill that took effect, move a weekend to Monday. Only the date, YYYY-MM-DD.", 2.5),
        Site("contracts.risk", 3, "analysis", _risk, "Analyse the contract for our client. Rank the exposures, say what is missing and anticipate the other side.", 2.2),
        Site("counsel.chat", 3, "chat", _counsel, "You are a sounding board for litigators. Discuss strategy candidly and say what you do not know.", 2.6),
        Site("chronology.agent", 3, "agent", _agent, "Investigate the question in the document set with the tools, step by step. Every entry of the chronology needs a source.", 1.8, tools=("search_documents", "open_document", "list_custodians", "write_memo"), since=0.5),
        Site("searches.code", 3, "code", _regex, "Write the Python that the litigation support team asks for. Code block, no commentary.", 1.2),
    ),
)
