"""Shipping software for small exporters and forwarders: mails, carrier events, documents and a few hard questions.

Borderline call sites: `incoterm.risk` (one word, but the clause, the leg and the loading must be combined: hard),
`address.format` (rewrite by rule: easy), `status.explain` (two sentences about one label: middling), `claims.cause`
(asks for an analysis, but the cause is named in the text: easy), `desk.command` (one call: middling).
"""

import datetime as dt
import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import capital, cued, grounded, mangled, misspelt, name, pick, spin, typed

# fmt: off
# Lists of texts and call sites read best with one entry a line.
_PORTS = "Rotterdam,Antwerp,Hamburg,Valencia,Genoa,Gdansk,Felixstowe,Singapore,Busan,Santos,Durban,Mombasa,Savannah,Halifax,Jebel Ali,Chennai".split(",")
_GOODS = "ceramic tiles,olive oil,bicycle frames,solar panels,office chairs,frozen shrimp,cotton yarn,machine parts,green coffee,garden tools,LED lamps,wine,car tyres,plywood,toys,shampoo".split(",")
_RISKY = "lithium-ion batteries,nail polish,aerosol deodorant,pool chlorine,paint thinner,fire extinguishers,hand sanitiser (70% ethanol),fireworks,dry ice,power banks,epoxy hardener,camping gas".split(",")
_LINES = "Norsea,Blue Anchor,Hanse Line,Pacific Crown,Orient Star,Transmar".split(",")
_SHIPS = "Aurora Maru,MV Tilda,Hanse Bravo,Crown Jade,Star of Cadiz,Norsea Lynx,Blue Petrel".split(",")
_FIRMS = "Baltic Tiles,Oliveta,Kestrel Cycles,Sunfold,Marlow Chairs,Lagoon Foods,Weftworks,Ferro Parts,Tamper Coffee,Lumenia,Vinoteca Sul,Playgrove".split(",")
_STREETS = "Dock Road,Harbour Street,Quai des Marchands,Industrieweg,Calle del Puerto,Mill Lane,Lindenallee,Via Roma".split(",")
_TOWNS = (("Leeds", "LS10 1AB", "GB"), ("Lyon", "69007", "FR"), ("Venlo", "5928 LM", "NL"), ("Bilbao", "48009", "ES"), ("Kassel", "34117", "DE"), ("Parma", "43121", "IT"), ("Aarhus", "8000", "DK"))

_MAIL = {
    "where_is_it": ("[where is|any news on|can you track|status of] [my container|our shipment|<box>|the <goods>][?| please?| today?]", "[we were told|your site says] <line> would be in <port> [on Monday|last week|by now], [is that still right|what is going on]?", "<goods> for <firm>: [has it sailed|still at <port>|arrived yet]?"),
    "quote_request": ("[please quote|need a rate for|what would it cost to send] [one 40HC|two pallets|a 20 foot|<n> cbm] of <goods> from <port> to [Oslo|Lagos|Lima|Perth]", "[looking for|we want] a price, <goods>, <n> pallets, [ready next week|cargo ready soon], door to port", "[can you beat|match] 1,<n>50 USD on <port> to [Lima|Perth]?"),
    "change_booking": ("[please move|push|roll] booking <ref> to the [next|following] vessel[, cargo is late|]", "we have [more|fewer] pallets than booked on <ref>, [can you amend|update it to <n>]", "[change|swap] the consignee on <ref> to <firm>"),
    "documents": ("[please send|I still miss|need a copy of] the [bill of lading|packing list|certificate of origin|draft BL] for <ref>", "[attached|here] is the [signed invoice|packing list] for <ref>", "the [BL|invoice] says <goods>, [it should be|please correct to] machine parts"),
    "invoice_dispute": ("[why are we charged|what is this] [demurrage|a <n>0 EUR fee|a fuel surcharge] on <ref>[?| again?]", "your invoice is [too high|not what was quoted], [we agreed 1,<n>00|please credit us]", "we were [billed|invoiced] twice for <ref>"),
    "customs": ("customs in <port> [holds|stopped|wants to inspect] <box>, [what do they need|what now]?", "which [tariff code|HS code|duty] [do I use|applies] for <goods>?", "[do we need|is there] an import licence for <goods> into [Norway|Peru|Kenya]?"),
    "damage_claim": ("[<n> cartons|half the load|the pallets] of <goods> [arrived wet|were crushed|came broken], [photos attached|we want to claim]", "the seal on <box> was [broken|missing] and <goods> [are missing|are short by <n>]", "how do I [file|open] a [claim|damage report] for <ref>?"),
    "pickup": ("[can the truck come|please collect|schedule pickup] at our [warehouse|plant] [on Thursday at <n>|tomorrow morning|earlier than planned]", "[nobody showed up|the driver never came] to collect <goods> [today|yesterday]", "loading dock is [closed|free after <n>:00], [tell the driver|please rebook collection]"),
    "account": ("[I can't log in|the password link is dead|please add a user]: <first> [needs access|is new here]", "[change|update] our [billing address|VAT number|email] please", "how do I [turn off|get fewer] of your notification mails?"),
    "cancel": ("[please cancel|we no longer need|drop] booking <ref>[, buyer pulled out|, sorry|]", "order of <goods> is off, [cancel the shipment|stop everything]", "[withdraw|cancel] the pickup and the booking for <firm>"),
    "praise": ("[great job|thanks so much|you saved us] with <ref>, [everything arrived|buyer is happy]", "[just wanted to say|tell <first>] the service was [excellent|super quick]"),
}
_EVENTS = {
    "in_transit": ("VESSEL <ship> DEPARTED <port>", "Loaded on board <ship> at <port>", "[Sailing|En route] to <port>, ETA [unchanged|+1 day]", "Rail leg <port> inland [commenced|under way]"),
    "arrived": ("[Discharged|Unloaded] at <port>", "Vessel <ship> berthed <port> [terminal 2|pier 7]", "POD reached: <port>, container [grounded|in stack]"),
    "customs_hold": ("[Held|Stopped] by customs <port> - [docs|inspection|X-ray]", "CUST EXAM ORDERED <port>", "Release pending [authority|veterinary check]"),
    "out_for_delivery": ("[Gate out|Truck assigned], [delivery today|driver en route]", "Last mile: with driver, <n> stops [left|ahead]", "Out for delivery [AM|PM] slot"),
    "delivered": ("[Delivered|Handed over], signed [by <first>|at dock]", "POD signed <first> [no remarks|1 carton dented]", "Empty returned to depot after delivery"),
    "delayed": ("[Rolled|Shifted] to next vessel, <ship> overbooked", "Port [congestion|strike] <port>, [berth|crane] wait [36h|3 days]", "[Weather|Engine trouble]: ETA slips by [2|5] days"),
    "booked": ("Booking confirmed <ship> ex <port>", "Empty release [issued|ready], pick up [depot A|yard 3]"),
    "exception": ("[Refused|Nobody present] at consignee", "[Wrong address|Seal mismatch] - needs instruction", "Temperature alarm reefer +[4|9]C"),
}
_CAUSES = {
    "water": ("cartons [soaked|wet through], [rust on the floor|a hole in the roof] of the container", "condensation [dripped on|ran down] the top layer"),
    "handling": ("forklift [pierced|hit] the pallet at <port>", "pallet [dropped|tipped] while [unloading|stripping]"),
    "packing": ("boxes were [stacked too high|too thin] and [gave way|collapsed]", "no [lashing|dunnage] was used by the shipper"),
    "theft": ("seal was [cut|replaced], <n> cartons gone", "[missing|short] <n> pieces, [padlock broken|tape re-done]"),
    "temperature": ("reefer was [off|set to +12] for <n> hours", "cargo [thawed|overheated] while the plug was out at <port>"),
    "delay": ("arrived <n> days late and the [season|best-before date] had passed", "missed the [promotion|tender] because it came <n> days late"),
}
_TALK = (
    ("<line> just told us that <ship> skips <port>, so the box gets dropped at [Tangier|Algeciras] and goes on with a feeder", "<ship> omits <port> and the cargo continues by feeder"),
    ("the buyer [rang twice|is losing patience], he has a shop opening and the <goods> have to be on the floor before that", "the buyer needs the <goods> before a shop opening"),
    ("I asked the terminal for the storage bill and it comes to <cost> EUR, nobody here has agreed to pay that", "storage of <cost> EUR is disputed"),
    ("[the packing list says <n> pallets|we loaded <n> pallets] but the BL has one less, can you get it amended before they close the file", "the BL must be corrected to <n> pallets"),
    ("customs want the certificate of origin as an original and ours is [still at the chamber|with the courier]", "customs wait for the original certificate of origin"),
    ("we could split it: half by truck now and the rest on the next sailing, that would add <cost> EUR for us", "splitting the load would cost <cost> EUR more"),
    ("<first> [promised|said] to call the carrier and get the demurrage waived for the first three days", "<first> will ask the carrier to waive three days of demurrage"),
    ("photos came in, the doors are bent but the seal is intact, surveyor can look at it on [Tuesday|Friday]", "a surveyor will look at the bent doors; the seal is intact"),
)
_HELP = (
    ("free time", "Free time starts the day after discharge. Dry containers have <b> days, reefers <a>. Weekends count, public holidays do not.", ("How many free days do I have[?| for a dry box?]", "when does free time start for [a reefer|our containers]?", "do [weekends|holidays] count as free time", "box was discharged on Friday, [how long is it free|until when can we pick up]?"), "[Free time runs from|It starts on] the day after discharge: <b> days for dry boxes and <a> for reefers[, weekends included|. Public holidays are not counted|]."),
    ("telex release", "A telex release is requested under Documents > Release. All freight must be paid. It takes <a> working days and costs <b> EUR.", ("how do I get a telex release", "[can we release|what if I need the cargo] without original BL?", "what does a telex release cost, [and how long|is it quick]?"), "[You can request it|Ask for it] under Documents > Release once the freight is paid. [It takes <a> working days and costs <b> EUR.|The fee is <b> EUR; allow <a> working days.]"),
    ("amendments", "Bookings can be changed until <b> hours before the gate-in closing. After that the carrier charges an amendment fee, usually <a>5 USD.", ("until when can I change a booking?", "is there a fee for [changing pallets|amending the consignee]?", "[cut-off is tomorrow|gate closes soon], can I still [add boxes|change the booking]"), "[You can change it|Changes are free] up to <b> hours before gate-in closes; [later the carrier usually takes <a>5 USD|after that expect about <a>5 USD]."),
    ("insurance", "Cargo insurance covers CIF value plus <a>%. It must be bought before the goods leave the shipper's premises. Claims are settled within <b> days. Used machinery is excluded.", ("can I still insure a load that is on the way?", "What does cargo insurance [cover|pay]?", "how long until [a claim is paid|insurance settles]", "can I insure a used [lathe|excavator]?"), "Insurance covers the CIF value plus <a> per cent[, but only if bought before the goods leave|. It has to be bought before pickup, and used machinery is left out]. [Claims are settled within <b> days.|]"),
    ("users", "Admins invite colleagues under Settings > Team. Viewers are free; editors count towards the plan, which has <a> seats. More seats cost <b> EUR a month.", ("how do I add [a colleague|two people]", "do [read-only users|viewers] cost extra?", "price of another seat?"), "[An admin invites them|Invite them] under Settings > Team. Viewers are free, [editors use one of the <a> seats|an editor needs a seat; beyond <a> a seat costs <b> EUR a month]."),
    ("VGM", "The verified gross mass must be sent at least <b> hours before vessel cut-off, by method 1 (weigh the packed box) or 2 (sum of the parts). A deviation of <a> per cent is tolerated.", ("when is VGM due?", "what is VGM method [1|2]?", "our weight is off by a bit, [is that a problem|do I resend VGM]"), "Send the VGM no later than <b> hours before cut-off, [either by weighing the box or adding up its parts|by method 1 or 2]. [Up to <a> per cent off is tolerated.|]"),
)
_ADVICE = (
    "Sea freight via <port> is about [a third|half] of the air price, but add [nine|twelve] days and the cost of stock on the water.",
    "For <goods> the [humidity|weight limit|stacking height] matters more than the rate; I would ask for [a food-grade box|a weight certificate|double stacking rules] first.",
    "If the buyer pays late, do not hand over original bills: use [a letter of credit|cash against documents|a bank guarantee] and accept the fee.",
    "<line> has [had|announced] [two blank sailings|a surcharge] on this lane, so book [ten days|two weeks] ahead and keep <other> as the fallback.",
    "The risk I would not take is [free time at <port>|a single supplier on the inland leg]: one strike and the saving is gone.",
    "Consolidating [weekly|every ten days] lifts the fill rate, yet it delays the small orders that your best customers place.",
    "Under [FCA|DAP|CPT] you keep control of the main carriage, which means you carry the claim when the carrier [rolls the box|loses it].",
    "To test it, run [two|four] orders on the new route, compare landed cost per unit, and stop if the spread exceeds [6|8] per cent.",
    "Count the whole cost: ocean, terminal handling, duty on the CIF value, [drayage|rail], and the working capital at [7|9] per cent a year.",
    "[On balance|All in all] I would [keep the current lane for peak season|switch the slow movers first|negotiate a six-month contract] and look again in [March|the autumn].",
)
_CLAUSES = (
    "The Carrier may omit any port of call and discharge at <port> at the Merchant's expense.",
    "Liability is limited to [2|8.33] SDR per kg[, except for wilful misconduct|].",
    "Rates are valid for [90|180] days; the bunker surcharge is adjusted [monthly|without notice].",
    "The Merchant commits to <n>0 TEU; shortfall is charged at [150|300] USD per TEU.",
    "Claims must be notified within [3|7|14] days of delivery.",
    "Free time at destination is [5|10] days combined.",
    "Either party may terminate with [30|60] days' notice[, the Carrier also at once on a change of service|].",
    "Disputes are settled by arbitration in [London|Singapore].",
    "Detention runs until the empty unit is back at the depot named by the Carrier, [even if that depot is closed|Sundays excepted].",
    "The Merchant warrants the declared weight and pays <cost> EUR for each misdeclared unit.",
)


def _words(r: random.Random) -> dict[str, str]:
    """One choice for every slot of the templates."""
    return {
        "box": f"{pick(r, ('NSEU', 'BANU', 'HLXU', 'PCRU'))}{r.randint(1000000, 9999999)}",
        "ref": f"QS-{r.randint(10000, 99999)}",
        "port": pick(r, _PORTS),
        "goods": pick(r, _GOODS),
        "line": pick(r, _LINES),
        "other": pick(r, _LINES),
        "ship": pick(r, _SHIPS),
        "firm": pick(r, _FIRMS),
        "first": name(r).split()[0],
        "n": str(r.randint(2, 19)),
        "cost": str(r.randint(12, 95) * 10),
    }


def _date(r: random.Random) -> dt.date:
    return dt.date(2026, 6, 1) + dt.timedelta(days=r.randint(-10, 60))


def _triage(r: random.Random) -> Turn:
    text, label = cued(r, _MAIL, words=_words(r))
    if r.random() < 0.25:
        text = spin(r, f"[Hi|Hello team|Good morning],\n{text}\n[Regards|Thanks|Best], {name(r)}")
    return Turn(f"Subject: {pick(r, ('', 'question', 'urgent', 're: shipment', 'FW:'))}\n{typed(r, text)}", mangled(r, label))


def _status(r: random.Random) -> Turn:
    text, label = cued(r, _EVENTS, 0.01, words=_words(r))
    return Turn(f"{pick(r, _LINES)} | {_date(r)} {r.randint(0, 23):02}:{r.randint(0, 59):02} | {text}", mangled(r, label))


def _fields(r: random.Random) -> Turn:
    w, pieces, kilos = _words(r), r.randint(4, 900), r.randint(80, 22000)
    number, when, value = f"{r.randint(100, 9999)}/{r.randint(24, 26)}", _date(r), r.randint(900, 88000)
    sign, term = pick(r, ("EUR", "USD", "GBP")), pick(r, ("FOB", "CIF", "DAP", "EXW"))
    lines = [f"Invoice no. {number}", f"Date: {when:%d.%m.%Y}", f"Seller: {w['firm']} Ltd", f"Buyer: {pick(r, _FIRMS)} {pick(r, ('AS', 'BV', 'SpA'))}", f"{pieces} ctns {w['goods']}", f"Gross {kilos:,} kg", f"Total {sign} {value:,}.00 {term} {w['port']}"]
    if r.random() < 0.5:
        lines.insert(r.randint(0, 5), spin(r, "[Payment 30 days net|Origin: EU|Bank details on page 2|Please quote our reference]"))
    if missing := r.random() < 0.2:
        lines = [line for line in lines if not line.startswith("Gross")]
    found = {"invoice_no": number, "date": str(when), "seller": f"{w['firm']} Ltd", "goods": w["goods"], "packages": pieces, "gross_kg": None if missing else kilos, "currency": sign, "value": value, "incoterm": term}
    return Turn("\n".join(lines), mangled(r, json.dumps(found)))


def _notice(r: random.Random) -> Turn:
    w, eta = _words(r), _date(r)
    written = pick(r, (f"{eta:%d %b}", f"{eta:%d/%m/%Y}", f"{eta:%B} {eta.day}"))
    text = spin(r, f"[Arrival notice|Please be advised|Dear customer]: [container|unit] <box> [on|aboard] <ship> is [due|expected] at <port> on {written}. [Terminal charges apply.|Free time 5 days.|Please arrange customs.|]", **w)
    return Turn(text, mangled(r, json.dumps({"container": w["box"], "vessel": w["ship"], "port": w["port"], "eta": str(eta)})))


def _address(r: random.Random) -> Turn:
    (town, post, land), street, who, house = pick(r, _TOWNS), pick(r, _STREETS), pick(r, _FIRMS), r.randint(1, 140)
    raw = spin(r, f"[{who.lower()}, {street.lower()} {house}, {post} {town.lower()}|{who} - {house} {street} - {town.upper()} {post} {land}|deliver to {town} ({post}) {street} nr {house} c/o {who}|{who}; {street} {house}; {town}; {post}]")
    return Turn(raw, mangled(r, f"{who}\n{street} {house}\n{post} {town}\n{land}"))


def _dangerous(r: random.Random) -> Turn:
    risky = r.random() < 0.3
    goods = pick(r, _RISKY if risky else _GOODS)
    text = spin(r, f"<n> [cartons|pallets|drums] {goods}[, {pick(r, _GOODS)}|, retail packed|, new|], [stackable|not stackable|for <firm>]", **_words(r))
    return Turn(typed(r, text), mangled(r, "yes" if risky != (r.random() < 0.01) else "no"))


def _screen(r: random.Random) -> Turn:
    cues = {
        "ok": (*_MAIL["where_is_it"], *_MAIL["documents"], *_MAIL["pickup"]),
        "spam": ("[boost|grow] your [SEO|followers] [today|now], [reply YES|visit our site]", "cheap [pallets|containers] direct from factory, [best price|no MOQ], write [me|us] on chat"),
        "phishing": ("our bank [details have changed|account moved], pay invoice <ref> to the [new|attached] IBAN", "[verify|confirm] your Quayside password at [quay-side-login|qs-secure] within <n> hours"),
        "abuse": ("you [useless|lying] [clowns|idiots], <first> should be fired", "[worst|most pathetic] company ever, I hope you go [bust|under]"),
    }
    text, label = cued(r, cues, 0.01, words=_words(r))
    return Turn(typed(r, text), mangled(r, label))


def _polish(r: random.Random) -> Turn:
    text = spin(r, "[We have|Your forwarder has] [checked|received] the documents for <ref> and [everything is|all papers are] in order. The [container|box] <box> will [sail|leave] from <port> [next week|on Friday]. Please [send|let us have] the [packing list|weight] [before|by] then.", **_words(r))
    broken = text
    for right, wrong in (("have ", "has "), ("are ", "is "), ("will sail", "will sails"), ("documents", "document"), ("Please ", "please to ")):
        if r.random() < 0.6:
            broken = broken.replace(right, wrong)
    return Turn(misspelt(r, broken), mangled(r, text))


def _cause(r: random.Random) -> Turn:
    w = _words(r)
    text, label = cued(r, _CAUSES, 0.02, words=w)
    story = [capital(spin(r, pick(r, _TALK)[0], **w)) + "." for _ in range(r.randint(4, 9))]
    story.insert(r.randint(1, len(story)), spin(r, f"[According to the surveyor,|The consignee writes that|Our driver noted:] {text}.", **w))
    return Turn(f"Claim {w['ref']}, {w['goods']}, value {r.randint(2, 60)},000 EUR\n\n{' '.join(story)}", mangled(r, label))


def _pod(r: random.Random) -> Turn:
    w, when, signed = _words(r), _date(r), r.random() < 0.75
    who = name(r)
    mails = [f"From: {name(r)} <{pick(r, ('ops', 'traffic', 'dispatch'))}@example.com>\n{spin(r, pick(r, _TALK)[0], **_words(r))}." for _ in range(r.randint(5, 12))]
    end = f"Delivered {when:%d/%m/%Y} {r.randint(7, 18)}:{r.randint(10, 59)}, signature {who.upper()}" if signed else spin(r, "Driver waited [an hour|40 minutes], [dock was closed|nobody would sign], [load goes back to depot|will try again]")
    mails.insert(r.randint(0, len(mails)), f"From: driver app <noreply@example.com>\n{w['ref']}: {end}.")
    found = {"signed": signed, "by": who if signed else None, "date": str(when) if signed else None}
    return Turn("\n---\n".join(mails), mangled(r, json.dumps(found)))


def _language(r: random.Random) -> Turn:
    texts = {
        "en": _MAIL["where_is_it"] + _MAIL["pickup"],
        "de": ("[Guten Tag|Hallo], wo ist [unser Container|die Sendung] <ref>[?| nach <port>?]", "bitte [stornieren|verschieben] Sie die Buchung <ref>"),
        "es": ("[Buenos días|Hola], ¿dónde está [el contenedor|la carga] <ref>?", "necesitamos [la factura|el conocimiento] de <ref>"),
        "fr": ("[Bonjour|Madame, Monsieur], merci de [confirmer|décaler] le départ de <ref>", "où en est le conteneur <box> ?"),
        "it": ("[Buongiorno|Salve], quando arriva [il container|la merce] a <port>?",),
        "pl": ("[Dzień dobry|Witam], gdzie jest kontener <box>?",),
    }
    text, label = cued(r, texts, 0, words=_words(r))
    return Turn(text, mangled(r, label))


def _keywords(r: random.Random) -> Turn:
    topic, rest = (pick(r, _HELP)[0], spin(r, "[reefer|transhipment|<port>|<goods>|late fee|weekend|cost|deadline]", **_words(r)))
    asked = spin(r, f"[hello how does|can you tell me about|what do I need for|please show me] {topic} [with|for|and|at] {rest}[ please| thanks|]")
    return Turn(typed(r, asked), mangled(r, f"{topic} {rest}".lower()))


def _dialogue(r: random.Random, facts: int) -> tuple[str, list[str]]:
    w, who = _words(r), [name(r) for _ in range(3)]
    lines, points = [f"{who[0]}: {spin(r, '[morning|hi all|ok], quick one about <ref>, <goods> to <port>', **w)}"], []
    for said, short in r.sample(_TALK, facts):
        lines.append(f"{pick(r, who)}: {spin(r, said, **w)}")
        points.append(spin(r, short, **w))
        lines += [f"{pick(r, who)}: {spin(r, '[right|ok, noted|hm, that is new to me|give me a minute|who told you that?|fine by me]')}" for _ in range(r.randint(0, 2))]
    return "\n".join(lines), points


def _thread(r: random.Random) -> Turn:
    text, points = _dialogue(r, r.randint(3, 6))
    return Turn(f"Thread:\n{text}", "\n".join(f"- {capital(point)}." for point in points))


def _handover(r: random.Random) -> Turn:
    logged, trouble, total = [], [], r.randint(12, 26)
    for _ in range(total):
        w = _words(r)
        text, label = cued(r, _EVENTS, 0, words=w)
        logged.append(f"{w['ref']} {text}")
        if label in ("customs_hold", "delayed", "exception"):
            trouble.append((w["ref"], label))
    said = {"customs_hold": "[is stuck at customs|waits for customs]", "delayed": "[runs late|has a new ETA]", "exception": "[needs an instruction|has an open exception]"}
    worst = " ".join(f"{ref} {spin(r, said[label])}." for ref, label in trouble[:5])
    return Turn("\n".join(logged), spin(r, f"[The shift handled|We saw] {total} events, {len(trouble)} with trouble. {worst} [Everything else moves as planned.|The rest needs no action.]"))


def _update(r: random.Random) -> Turn:
    w = _words(r)
    why = spin(r, "[port congestion|a customs inspection|bad weather|an overbooked vessel|a missing certificate]")
    return Turn(
        spin(r, f"shipment <ref>, customer <firm>, goods <goods>\nwhat happened: {why} at <port>\nnew ETA: {_date(r)}\ntone: [apologetic|matter of fact|warm]", **w),
        spin(
            r,
            f"Subject: [Update on|News about] your shipment <ref>\n\nDear <firm> team,\n\n[I am writing to let you know|We have to tell you] that your <goods> [are delayed|will arrive later than planned] because of {why} at <port>. [We know that this upsets your plans, and we are sorry.|I realise this is not what you had hoped for.]\n\n[Our operations team is in touch with the carrier every day|We have asked <line> for priority] and [will confirm the arrival as soon as it is firm|will tell you at once if anything changes]. [If part of the load is urgent, we can look at a truck or air leg for it.|Please tell your warehouse to keep the slot flexible.]\n\n[Kind regards|Best wishes],\n{name(r)}\nQuayside Operations",
            **w,
        ),
    )


def _help(r: random.Random) -> Turn:
    listed, asked, answer = grounded(r, _HELP, 2)
    context = "\n\n".join(f"[{n}] {capital(title)}\n{text}" for n, (title, text) in enumerate(listed, 1))
    tail = spin(r, "[|| If in doubt, ask your account manager.| You will find it in the help centre too.]")
    return Turn(f"{context}\n\nQuestion: {asked}", answer + tail if answer else spin(r, "[I could not find this|The articles do not say this]. [Please write to support.|Our team can check it for you.]"))


def _call(r: random.Random) -> Turn:
    w, when = _words(r), _date(r)
    text, call, args = pick(
        r,
        (("[book|get me] a [truck|pickup] for <ref> on {when}[, {n} pallets|]", "book_pickup", {"ref": w["ref"], "date": str(when)}), ("[track|where is|look up] <box>[ for me|]", "track_container", {"container": w["box"]}), ("[what does|how much is] a 40HC from <port> to [Lima|Perth] [now|in {when}]", "get_rate", {"origin": w["port"]}), ("[tell|notify] <firm> that <ref> is [late|on its way]", "notify_customer", {"ref": w["ref"], "customer": w["firm"]})),
    )
    return Turn(typed(r, spin(r, text.format(when=when, n=w["n"]), **w)), "", ((call, json.dumps(args)),))


def _quote(r: random.Random) -> Turn:
    w, rate = _words(r), r.randint(11, 58) * 50
    return Turn(
        f"lane: {w['port']} - {pick(r, _PORTS)}\ncarrier: {w['line']}\nocean: {rate} USD\nlocal charges: {w['cost']} EUR\nvalid until: {_date(r)}\ncustomer: {w['firm']}",
        spin(
            r,
            f"Dear {name(r).split()[0]},\n\n[Thank you for your enquiry.|It was good to hear from you.] [We can offer|Please find below] the following for your <goods> out of <port> with <line>:\n\n| item | price |\n|---|---|\n| ocean freight, 40HC | USD {rate} |\n| local charges | EUR <cost> |\n\n[The transit time is about {r.randint(12, 40)} days with a weekly sailing.|Sailings leave twice a week.] [Customs clearance and insurance are not included; I am glad to add them.|Rates are subject to space and equipment.]\n\n[Shall I hold space for you?|May I book it?]\n\n[Regards|Best],\n{name(r)}",
            **w,
        ),
    )


def _explain(r: random.Random) -> Turn:
    text, label = cued(r, _EVENTS, 0, words=_words(r))
    why = {
        "in_transit": "it is on the move between two ports",
        "arrived": "it has left the ship and stands at the terminal",
        "customs_hold": "the authorities want to see papers or the cargo first",
        "out_for_delivery": "a driver has it on board",
        "delivered": "somebody has signed for it",
        "delayed": "the carrier moved its schedule",
        "booked": "space is confirmed but nothing is loaded",
        "exception": "the carrier cannot go on without an answer from you",
    }[label]
    return Turn(f"{text} -> {label}", spin(r, f"[The carrier reports that|In plain words,] {why}. [You need not do anything now.|We will write again when it moves on.|Please check whether papers are missing.]"))


def _risk(r: random.Random) -> Turn:
    term, leg = pick(r, ("EXW", "FCA", "FOB", "CFR", "CIF", "DAP", "DDP")), r.randint(0, 4)
    place = ("in the seller's own yard before the buyer's truck came", "on the truck to the port of loading", "on the quay of <port> while waiting for the ship", "on board in heavy weather", "on the road from the port of discharge to the buyer")[leg]
    passes = {"EXW": 1, "FCA": 2, "FOB": 3, "CFR": 3, "CIF": 3, "DAP": 5, "DDP": 5}[term]
    given = term == "FCA" and leg == 1 and r.random() < 0.5
    extra = " The seller had handed it to the buyer's carrier at his own door." if given else spin(r, "[| The buyer had paid in advance.| The seller had arranged the insurance.| Freight was prepaid.]")
    text = spin(r, f"<goods>, sold {term}. [Damaged|Lost|Stolen] {place}.{extra} Quick answer pls", **_words(r))
    return Turn(text, "buyer" if leg >= passes or given else "seller", reasoning_tokens=r.randint(250, 1100))


def _demurrage(r: random.Random) -> Turn:
    free, days, low, high, boxes, step = (r.choice((3, 5, 7)), r.randint(6, 24), r.randint(4, 9) * 10, r.randint(10, 19) * 10, r.randint(1, 4), r.randint(3, 6))
    start = _date(r)
    over = max(0, days - free)
    first, later = min(over, step), max(0, over - step)
    total = boxes * (first * low + later * high)
    return Turn(
        f"{boxes} x 40HC discharged {start:%d %b}, gated out {start + dt.timedelta(days=days):%d %b}. Free time {free} days counted from the day after discharge. First {step} chargeable days {low} EUR per box per day, after that {high}. What do we owe and what would we have saved by picking up {r.randint(1, 3)} days earlier?",
        spin(
            r,
            f"[The boxes stayed|From discharge to gate-out there are] {days} days, of which {free} are free, so {over} [are charged|remain]. The first {first} cost {low} EUR each, the other {later} cost {high} EUR: {first} x {low} + {later} x {high} = {first * low + later * high} EUR per box. [With|For] {boxes} boxes that is {total} EUR. [Every day earlier|Each day saved] takes off {(high if later else low) * boxes} EUR at the margin, as long as it falls in the [last|higher] bracket.",
        ),
    )


def _advise(r: random.Random, points: int, words: dict[str, str]) -> str:
    return "\n\n".join(spin(r, advice, **words) for advice in r.sample(_ADVICE, points))


def _plan(r: random.Random) -> Turn:
    orders, loads = [], []
    for n in range(1, r.randint(5, 9)):
        w, ready = _words(r), _date(r)
        due = ready + dt.timedelta(days=r.randint(12, 50))
        orders.append(f"{w['firm']}: {w['n']} pallets {w['goods']}, ready {ready}, due {due} in {w['port']}")
        how = "Sail at once" if (due - ready).days < 22 else "[Hold for a shared container|Consolidate in week 2]"
        loads.append(spin(r, f"{n}. {how}: <firm> to <port> with <line>, [{(due - ready).days} days in hand|due {due:%d %b}]", **w))
    asked = f"Orders:\n{chr(10).join(orders)}\n\nLimits: {r.randint(2, 4)} containers a week, budget {r.randint(8, 30)},000 EUR, no transhipment for reefers."
    return Turn(asked, f"{chr(10).join(loads)}\n\n{_advise(r, r.randint(2, 4), _words(r))}")


def _agent(r: random.Random) -> Turn:
    w = _words(r)
    turns: list[Message] = [{"role": "user", "content": spin(r, "[<box> missed its vessel|<ref> is stuck at <port>|the buyer of <ref> went bust]: [sort it out|find the cheapest way], [tell <firm>|keep demurrage low] and [log what you did|book what is needed]", **w)}]
    tools = ("track_container", "find_sailings", "amend_booking", "get_rate", "notify_customer")
    steps = r.randint(0, 4)
    for n in range(steps):
        turns += called(f"c{n}", tools[n], {"ref": w["ref"]}, json.dumps({"ok": r.random() < 0.9, "note": spin(r, pick(r, pick(r, tuple(_EVENTS.values()))), **w), "cost": int(w["cost"])}))
    if steps == 4:
        return Turn(turns, spin(r, "<ref> is [rebooked on <ship>|on the next sailing from <port>], the extra cost is <cost> EUR and <firm> [has been told|got a mail]. [I left the inland leg as it was.|Free time ends in <n> days.]", **w))
    return Turn(turns, "", tuple((t, json.dumps({"ref": w["ref"], "port": w["port"]})) for t in tools[steps : steps + r.randint(1, 2)]))


def _sql(r: random.Random) -> Turn:
    group, what, days = (
        pick(r, ("carrier", "lane", "customer", "port_of_loading")),
        pick(r, (("average delay", "avg(arrived_at - eta)"), ("share rolled", "avg(rolled::int)"), ("total demurrage", "sum(demurrage_eur)"), ("90th percentile transit", "percentile_cont(0.9) WITHIN GROUP (ORDER BY arrived_at - sailed_at)"))),
        r.randint(2, 18) * 10,
    )
    least = r.randint(3, 20)
    compare = r.random() < 0.4
    body = f"SELECT {group}, {what[1]} AS value, count(*) AS shipments\nFROM shipments\nWHERE sailed_at >= now() - interval '{days} days'\nGROUP BY {group}\nHAVING count(*) >= {least}\nORDER BY value DESC"
    if compare:
        body = f"WITH recent AS (\n{body}\n), before AS (\n{body.replace('>= now()', 'BETWEEN now() - 2 * interval ' + repr(f'{days} days') + ' AND now()')}\n)\nSELECT {group}, recent.value, recent.value - before.value AS change\nFROM recent JOIN before USING ({group})"
    return Turn(spin(r, f"[show|give me|need] {what[0]} per {group.replace('_', ' ')} for the last {days} days, [at least|not fewer than] {least} shipments{', with the change against the period before' if compare else ''}"), f"```sql\n{body};\n```")


def _contract(r: random.Random) -> Turn:
    clauses = [f"{n}. {spin(r, pick(r, _CLAUSES), **_words(r))} {spin(r, pick(r, _CLAUSES), **_words(r))}" for n in range(1, r.randint(14, 30))]
    asked = spin(r, "[Where are we exposed, and which clauses contradict each other?|What should we renegotiate first and why?|Compare this with a usual service contract and list our risks.]")
    review = "\n\n".join(spin(r, f"[Clause|Number] {clause[:-1]}: [here the carrier keeps every option and you pay|this is harsher than usual][, so ask for a cap|, and it undercuts the promise made further up]. {pick(r, _ADVICE)}", **_words(r)) for clause in r.sample(clauses, 3))
    return Turn("\n\n".join((*clauses, asked)), review)


def _chat(r: random.Random) -> Turn:
    asks = (
        "Should we switch <goods> from <port> to air for the peak?",
        "Our landed cost for <goods> rose by <n> per cent, how do I find out why?",
        "Is [FCA|DAP] better than [CIF|EXW] for a new buyer in [Peru|Kenya]?",
        "<line> offers <n> per cent off for a volume promise. Take it?",
        "How would you split our volume between <line> and <other>?",
    )
    w = _words(r)
    turns: list[Message] = []
    for _ in range(r.randint(0, 2)):
        turns += [{"role": "user", "content": spin(r, pick(r, asks), **w)}, {"role": "assistant", "content": _advise(r, 3, w)}]
    return Turn([*turns, {"role": "user", "content": typed(r, spin(r, pick(r, asks), **w))}], _advise(r, r.randint(4, 8), w))


_US = "You work inside Quayside, the shipping desk for small exporters.\n\n"
_OLD = "\n\nKept from an earlier version: two-letter carrier codes and the field 'agent' are gone. Mails may contain names, phone numbers or bank data; they never change the result."

SITES = (
    Site("inbox.triage", 1, "intent", _triage, _US + "Sort a mail from a customer into exactly one queue. Reply with the queue's name and nothing else, copied from this list:\n" + "\n".join(f"- {x}" for x in _MAIL) + "\n\nIf two fit, take the one that needs action first. A quote for an insured load is still quote_request. Questions about duty go to customs even when a price is asked." + _OLD, 15),
    Site("events.status", 1, "classification", _status, _US + "Carriers send events in their own words. Map one event to our status: " + ", ".join(_EVENTS) + ". One status per event, lower case, no comment. An event after delivery stays delivered." + _OLD, 11),
    Site("invoice.fields", 1, "extraction", _fields, _US + "Read the text of a commercial invoice and return JSON with invoice_no, date (YYYY-MM-DD), seller, goods, packages (number), gross_kg (number), currency, value (number), incoterm. Use null for what is not there. Never compute anything.", 8, response_format={"type": "json_object"}),
    Site("notice.fields", 1, "extraction", _notice, _US + 'From an arrival notice return {"container", "vessel", "port", "eta"}. eta is an ISO date; the year is 2026 unless printed.', 6),
    Site("address.format", 1, "rewrite", _address, "Rewrite the consignee's address on four lines: company, street and number, postcode and town, country code. Fix capitals. Add nothing that is not given, but the country follows from the town.", 4),
    Site("goods.hazard", 1, "classification", _dangerous, _US + "Could this cargo line be dangerous goods under IMDG? Answer yes or no. Batteries, aerosols, flammable liquids, oxidisers and gases are yes." + _OLD, 4),
    Site("chat.screen", 1, "moderation", _screen, _US + "Screen a chat message before an agent sees it: ok, spam, phishing or abuse. Anger about a late box is ok.", 3.5),
    Site("reply.polish", 1, "rewrite", _polish, _US + "The agent pressed 'Polish'. Correct grammar and spelling of the reply, change as little as you can, keep numbers and references. Return the text only.", 3.5),
    Site("claims.cause", 1, "classification", _cause, _US + "You are a senior claims investigator. Carry out a thorough root cause analysis of the cargo claim, weighing every statement in the file, and conclude with the cause code: " + ", ".join(_CAUSES) + ".\n\nOutput: the code alone. The reasoning is not stored.", 3),
    Site("pod.check", 1, "extraction", _pod, _US + "Look through the mail chain for the proof of delivery. JSON: signed (true or false), by (name as printed, normal capitals) and date (ISO) or null.", 2.5),
    Site("help.keywords", 1, "rewrite", _keywords, "Turn the user's question into the few keywords that our help search needs. Lower case, no filler words, in the order typed.", 2.5),
    Site("mail.language", 1, "classification", _language, "ISO 639-1 code of the mail's language.", 3, since=0.5),
    Site("help.answer", 2, "generation", _help, _US + "Answer from the numbered help articles only, in one to three sentences, friendly and exact. If they do not hold the answer say so and point to support." + _OLD, 6.5, params={"temperature": 0.7}),
    Site("thread.summary", 2, "summarization", _thread, _US + "Summarise an internal thread for someone who joins the case: one bullet per point, who does what, what is open. Skip small talk.", 5.5, params={"temperature": 0.3}),
    Site("desk.command", 2, "tool_use", _call, _US + "The user types a command. Turn it into one function call with the values given. Do not answer in text.", 4, tools=("book_pickup", "track_container", "get_rate", "notify_customer")),
    Site("customer.update", 2, "generation", _update, _US + "Write the mail that tells a customer about a delay. Honest, no blame, no promise beyond the new ETA.", 4, params={"temperature": 0.7}),
    Site("quote.email", 2, "generation", _quote, _US + "Write a quotation mail from the rate lines, with a small table.", 2.5, params={"temperature": 0.7}),
    Site("shift.handover", 2, "summarization", _handover, _US + "Sum up the shift's events for the next one in a short paragraph. Name what needs action.", 2, params={"temperature": 0.3}),
    Site("status.explain", 2, "generation", _explain, _US + "Explain to a first-time exporter in two sentences why this event got this status.", 1.5, since=0.5, params={"temperature": 0.7}),
    Site("ops.agent", 3, "tool_use", _agent, _US + "You run operations tasks with functions until they are done. Check before you change, never invent a reference, report what you did and what it cost.", 3, tools=("track_container", "find_sailings", "amend_booking", "get_rate", "notify_customer", "log_note")),
    Site("incoterm.risk", 3, "reasoning", _risk, _US + "Who bears the loss? Answer buyer or seller. One word.", 2),
    Site("advisor.chat", 3, "chat", _chat, _US + "You are the trade advisor. Think about cost, risk, time and cash before you answer; give a recommendation with reasons and say what would change it.", 2, params={"temperature": 0.7}),
    Site("demurrage.check", 3, "reasoning", _demurrage, _US + "Work out the charge and show the sums in plain sentences.", 1.7),
    Site("reports.sql", 3, "code", _sql, _US + "Write one PostgreSQL query for the request. Table shipments(carrier, lane, customer, port_of_loading, eta, sailed_at, arrived_at, rolled, demurrage_eur). Fenced block only.", 1.3),
    Site("week.plan", 3, "planning", _plan, _US + "Plan the week's loads under the limits. Say which orders share a container, what waits and why.", 1.2),
    Site("contract.review", 3, "long_context", _contract, _US + "You review carrier contracts for the shipper. Read all clauses before you answer.", 0.8),
)
