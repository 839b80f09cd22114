"""Software for a group of hotels: guests write in English, German and Spanish, staff in all three; little is hard."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import FIRST, LAST, capital, code, cued, mangled, misspelt, name, pick, slip, spin, typed

# fmt: off
_HOTELS = ("Lindenhof", "Casa Azul", "The Old Mill", "Hotel Miramar", "Seeblick", "Posada del Rey", "Harbour House")
_ROOMS = ("single", "double", "twin", "family", "suite")
_ROOM_WORDS = {
    "single": ("single room", "Einzelzimmer", "habitación individual"), "double": ("double room", "Doppelzimmer", "habitación doble"),
    "twin": ("twin room", "Zweibettzimmer", "habitación con dos camas"), "family": ("family room", "Familienzimmer", "habitación familiar"),
    "suite": ("suite", "Suite", "suite"),
}
_MONTHS = (("June", "Juni", "junio", 6), ("July", "Juli", "julio", 7), ("August", "August", "agosto", 8), ("September", "September", "septiembre", 9))
_INTENT = {
    "booking_change": ("Can we [move|shift|change] our stay to the <d>th [please|]?", "We [need|would like] one [more|extra] night, until the <d>th. Booking <ref>.", "Können wir die Buchung <ref> auf den <d>. [verschieben|ändern]?", "[Quisiera|Necesito] cambiar la reserva <ref> al día <d>.", "I have to cancel <ref>, my <kin> is ill."),
    "checkin": ("[Our train|Our flight|The ferry] gets in at <h>, can we check in [then|early]?", "Wir kommen erst um <h> Uhr an, ist [die Rezeption|jemand] noch da?", "Llegamos a las <h>, ¿[podemos entrar|está lista la habitación]?", "What time is check-out on the <d>th? [We have a late flight.|]"),
    "housekeeping": ("[There are no|Could we have more] <item> in <room>.", "Im Zimmer <room> fehlen [Handtücher|Kissen|Bügel].", "¿Pueden [limpiar|arreglar] la habitación <room>? Faltan toallas.", "Nobody [cleaned|made up] room <room> today."),
    "repair": ("The <thing> in <room> [does not work|is broken|makes a strange noise].", "[Heizung|Dusche|Fernseher] in <room> ist kaputt.", "No funciona [la ducha|el aire|la luz] en la <room>.", "<room>: water is [dripping|coming] from the ceiling."),
    "invoice": ("Please send the invoice for <ref> [to my company|with VAT number].", "Ich brauche eine Rechnung auf [meine Firma|<last> GmbH].", "¿Me pueden enviar la factura de <ref>?", "I was charged <eur> euro twice [on my card|]."),
    "parking": ("Is there parking for a [van|car|motorbike] on the <d>th?", "Was kostet ein Stellplatz pro [Nacht|Tag]?", "¿Hay [aparcamiento|cargador] para coche eléctrico?"),
    "breakfast": ("Until when is breakfast on [Sunday|weekdays]?", "Gibt es [glutenfreies|veganes] Frühstück?", "¿El desayuno está incluido en la <ref>?", "My <kin> is allergic to nuts, is breakfast safe?"),
    "noise": ("The people [above|next to] <room> [shout|have a party].", "In <room> ist es viel zu laut, [Musik|Baustelle] seit <h> Uhr.", "Hay mucho ruido en la <room> [desde las <h>|]."),
    "lost_item": ("I left my <lost> in <room> [yesterday|this morning].", "Ich habe [meine Brille|mein Ladegerät] in <room> vergessen.", "Olvidé [mi cargador|mis gafas] en la <room>."),
}
_SAID = {
    "cleanliness": (("spotless bathroom", "sehr saubere Zimmer", "todo muy limpio"), ("hair in the shower", "Staub unter dem Bett", "el baño estaba sucio")),
    "staff": (("the staff went out of their way", "sehr freundliches Personal", "personal encantador"), ("rude man at the desk", "unfreundlicher Empfang", "nadie nos ayudó")),
    "food": (("lovely breakfast", "tolles Frühstück", "desayuno riquísimo"), ("cold eggs", "Kaffee aus der Kanne", "poca variedad de comida")),
    "location": (("two minutes from the beach", "zentrale Lage", "ubicación perfecta"), ("far from everything", "direkt an der Autobahn", "lejos del centro")),
    "noise": (("slept like a baby", "herrlich ruhig", "muy tranquilo"), ("thin walls", "laut bis zwei Uhr nachts", "ruido toda la noche")),
    "price": (("worth every cent", "faires Angebot", "buena relación calidad precio"), ("overpriced", "viel zu teuer", "caro para lo que es")),
}
_DUTY = {
    "maintenance": ("<thing> in <room> [leaks|is dead|rattles]", "lightbulb out [corridor|stairs] near <room>", "<room> Tür klemmt", "<room> door will not lock"),
    "housekeeping": ("<room> needs [extra bed|cot|fresh sheets]", "<room> checked out, [red wine on carpet|very dirty]", "<room> Minibar auffüllen", "toallas para la <room>"),
    "front_office": ("key card for <room> [dead|lost]", "guest <last> wants late check-out <h>:00", "<last> paid only half, see folio <ref>", "taxi for <last> at <h>:15"),
    "kitchen": ("<last> table of <n> is [vegan|coeliac]", "birthday cake to <room> at <h>", "we are out of [oat milk|bread|fruit]", "lunch boxes for <n> at <h>:00"),
    "security": ("drunk man [by the pool|in the lobby]", "suitcase alone [at lift 2|near <room>]", "<room> says someone was in the room"),
}
_INFO = {
    "Pool": ("The pool is open from <a> to <b>; children under <k> need an adult. Towels are at the desk, against a deposit of <e> euro.", ("until when can we swim?", "Wie lange ist der Pool offen?", "¿pueden nadar niños solos de 8 años?"), "The pool is open from <a> to <b>. Children under <k> may only swim with an adult."),
    "Dogs": ("Dogs up to <k> kg are welcome for <e> euro a night, not in the restaurant. Please tell us the breed before arrival.", ("can I bring my dog?", "Darf unser Hund mit?", "¿admiten perros?"), "Yes, dogs up to <k> kg may stay for <e> euro a night; only the restaurant is off limits. Please let us know the breed beforehand."),
    "Parking": ("The garage costs <e> euro a day and is <k> minutes on foot. Its gate closes at <b>; two places have a charger.", ("where do I park and what does it cost?", "Gibt es eine Garage?", "¿cuánto cuesta el parking?"), "Our garage is <k> minutes away on foot and costs <e> euro a day. Please note that the gate closes at <b>."),
    "Cancellation": ("Free cancellation until <k> days before arrival. After that the first night is charged, for groups <e> per cent of the stay.", ("what if we cancel?", "Kosten bei Storno?", "¿puedo cancelar gratis?"), "You can cancel for free until <k> days before arrival; later, we charge the first night. For groups it is <e> per cent of the stay."),
    "Spa": ("The spa opens at <a> and closes at <b>. Entry is <e> euro for guests, massages must be booked <k> hours ahead.", ("is the spa included?", "Was kostet die Sauna?", "¿hay que reservar el masaje?"), "The spa costs <e> euro for guests and is open from <a> to <b>. A massage has to be booked <k> hours ahead."),
}
_EVENTS = ("<room> moved to <room2> because of [a leak|noise|a broken lock]", "<last> complained about [slow check-in|a wrong bill|cold water], got a [drink|discount of <n> per cent]", "lift [1|2] stuck for <n> minutes, [technician called|works again]", "[walk-in|late arrival] <last>, <room>, paid [cash|by card]", "police asked for the [camera tape|guest list], manager informed", "<n> guests of the <last> group [did not show up|want vegan lunch]", "fire alarm on floor <f>, [burnt toast|steam from the shower]", "cash desk short by <eur> euro, counted [twice|again]")


def _words(r: random.Random) -> dict[str, str]:
    return {
        "d": str(r.randint(2, 28)), "h": str(r.randint(6, 23)), "n": str(r.randint(3, 24)), "f": str(r.randint(1, 6)), "ref": code(r), "eur": str(r.randint(20, 480)),
        "room": str(r.randint(1, 6) * 100 + r.randint(1, 30)), "room2": str(r.randint(1, 6) * 100 + r.randint(1, 30)), "last": pick(r, LAST),
        "kin": pick(r, ("wife", "son", "mother", "friend")), "item": pick(r, ("towels", "pillows", "cups", "hangers")),
        "thing": pick(r, ("shower", "TV", "heating", "air con", "fridge", "safe", "toilet")), "lost": pick(r, ("charger", "glasses", "ring", "jacket", "teddy bear")),
    }


def _intent(r: random.Random) -> Turn:
    text, label = cued(r, _INTENT, 0.02, words=_words(r))
    return Turn(typed(r, f"{pick(r, ('', '', 'Hi, ', 'Hallo, ', 'Hola, '))}{text}{pick(r, ('', ' Thanks', f' {name(r)}', ' LG', ' Gracias'))}"), mangled(r, label, 0.01))


def _language(r: random.Random) -> Turn:
    # the guest's own words, or a sentence of a review
    side = r.randrange(3)
    text = ", ".join(pick(r, _SAID[t])[side] for t in r.sample(tuple(_SAID), r.randint(1, 2)))
    return Turn(f"{capital(text)}. {pick(r, FIRST)} {pick(r, _HOTELS)}", slip(r, ("en", "de", "es")[side], ("en", "de", "es")))


def _booking(r: random.Random) -> Turn:
    lang, (*months, number), day, nights = r.randrange(3), pick(r, _MONTHS), r.randint(1, 24), r.randint(1, 6)
    adults, children, room, ref = r.randint(1, 4), r.choice((0, 0, 0, 1, 2)), pick(r, _ROOMS), pick(r, _HOTELS)
    month, asked = months[lang], _ROOM_WORDS[room][lang]
    kids = (f" and {children} kids", f" und {children} Kinder", f" y {children} niños")[lang] if children else ""
    text = (
        f"[Hello|Dear {ref} team], do you have a {asked} from {day} {month} for {nights} nights? We are {adults} adults{kids}. [Sea view if possible.|]",
        f"[Guten Tag|Hallo], wir suchen ein {asked} ab {day}. {month}, {nights} Nächte, {adults} Erwachsene{kids}. [Bitte ruhig gelegen.|]",
        f"[Buenos días|Hola], ¿tienen una {asked} desde el {day} de {month}, {nights} noches, {adults} adultos{kids}? [Con vistas, por favor.|]",
    )[lang]
    gold = {"arrival": f"2026-{number:02}-{day:02}", "nights": nights, "adults": adults, "children": children, "room": slip(r, room, _ROOMS)}
    return Turn(f"{spin(r, text)}\n{name(r)}", mangled(r, json.dumps(gold), 0.01))


def _review(r: random.Random) -> tuple[str, list[str], int]:
    lang, topics = r.randrange(3), r.sample(tuple(_SAID), r.randint(1, 4))
    sides = [r.random() < 0.35 for _ in topics]
    text = pick(r, (". ", ", ", "! ")).join(_SAID[t][bad][lang] for t, bad in zip(topics, sides, strict=True))
    return typed(r, f"{capital(text)}. {pick(r, ('', f'{r.randint(1, 9)} nights.', pick(r, _HOTELS), 'Room ' + str(r.randint(100, 630))))}".strip()), topics, sides.count(True) * 100 // len(sides)


def _sentiment(r: random.Random) -> Turn:
    text, _, bad = _review(r)
    return Turn(text, slip(r, "positive" if bad == 0 else "negative" if bad == 100 else "mixed", ("positive", "negative", "mixed")))


def _topics(r: random.Random) -> Turn:
    text, topics, _ = _review(r)
    return Turn(text, json.dumps(topics[:-1] if len(topics) > 1 and r.random() < 0.02 else topics))


def _route(r: random.Random) -> Turn:
    text, label = cued(r, _DUTY, 0.02, words=_words(r))
    return Turn(f"{pick(r, FIRST)}: {typed(r, text)}", label)


def _order(r: random.Random) -> Turn:
    w = _words(r)
    where, what = w["room"], pick(r, ("leaks", "does not work", "makes noise"))
    asked = spin(r, f"[uh|so|hey] [it's|this is] {pick(r, FIRST)}, um, the {w['thing']} up in {where}, [it kind of|I think it] {what}, [the guests are back around|someone should go before] {w['h']}, [okay thanks|bye]")
    return Turn(asked, f"Room {where}: {w['thing']} {what}. Before {w['h']}:00. Reported by staff.")


def _urgent(r: random.Random) -> Turn:
    w = _words(r)
    now = ("Water is running [out of the wall|into the corridor] at <room>", "My <kin> fell in the shower, [we need a doctor|please come]", "We are locked out of <room> [in the rain|with a baby]", "Es riecht nach [Rauch|Gas] auf Etage <f>", "Mi hijo no puede respirar bien, <room>", "The man next door [threatens us|bangs on our door], <room>")
    later = ("Could you [send up|bring] <item> [some time|tomorrow]?", "It is urgent for me to know: is breakfast at <h>?", "Für <d>. bitte [ein Taxi|einen Tisch] bestellen", "¿Mañana hay [yoga|excursión]?", "The emergency exit sign in <room> is very bright, [funny|otherwise all fine]", "Our flight is on the <d>th, can we print boarding passes?")
    yes = r.random() < 0.3
    return Turn(typed(r, spin(r, pick(r, now if yes else later), **w)), slip(r, "yes" if yes else "no", ("yes", "no")))


def _moderate(r: random.Random) -> Turn:
    cues = {"ok": ("who is [at the bar|going to the beach] <h>h?", "[thanks|danke|gracias] for the tip about the <thing>", "the <thing> in <room> sucks lol"), "insult": ("<last> at the desk is [an idiot|a fat pig]", "you [lot|people] are [trash|scum]"), "private": ("my number is +34 6<eur> <room> <eur>, [call me|write]", "[door code|pin] of <room> is <n><room>"), "ads": ("cheap [tours|scooters] at sun-<last>.example, <n>% off", "[follow|like] my page, win <eur> euro")}
    text, label = cued(r, cues, 0.02, words=_words(r))
    return Turn(text, label)


def _supplier(r: random.Random) -> Turn:
    net, rate, who, no = r.randint(40, 2400), r.choice((7, 10, 19, 21)), f"{pick(r, LAST)} {pick(r, ('GmbH', 'S.L.', 'Ltd'))}", code(r, 2, 6)
    day, month = r.randint(1, 28), r.randint(1, 6)
    parts = [f"[Invoice|Rechnung|Factura] no. {no}", f"{day:02}.{month:02}.2026", f"[Linen|Wäsche|Fruta|Soap], {r.randint(2, 60)} units", f"[net|netto|neto] {net},00 EUR", f"[VAT|MwSt|IVA] {rate}%"]
    return Turn(spin(r, f"{who}\n" + "\n".join(parts)), json.dumps({"supplier": who, "number": no, "date": f"2026-{month:02}-{day:02}", "net": net, "vat_rate": rate}))


def _polish(r: random.Random) -> Turn:
    w = _words(r)
    rude, kind = pick(r, (
        (f"no. checkin is {w['h']}. come later", f"Thank you for asking. Check-in starts at {w['h']}:00, and we look forward to welcoming you then."),
        (f"we dont have {w['item']} ask tomorow", f"We are sorry, we have no {w['item']} left today. We will gladly help you tomorrow."),
        (f"you broke the {w['thing']}, thats {w['eur']} eur", f"Unfortunately the {w['thing']} was damaged during your stay, so we have to charge {w['eur']} euro. Please ask us if you have questions."),
        (f"room {w['room']} not ready, wait in the bar", f"Room {w['room']} is not quite ready yet. May we invite you to wait in the bar?"),
        (f"found ur {w['lost']}, pay postage {w['n']} eur", f"Good news: we found your {w['lost']}. We can send it to you for {w['n']} euro postage."),
    ))
    return Turn(misspelt(r, rude) if r.random() < 0.4 else rude, f"Dear {pick(r, ('guest', 'Ms ' + w['last'], 'Mr ' + w['last']))}, {kind[0].lower() + kind[1:]}" if r.random() < 0.3 else kind)


def _audit(r: random.Random) -> Turn:
    failed, lines = [], []
    for n in range(r.randint(35, 60)):
        w, bad = _words(r), r.random() < 0.06
        lines.append(f"0{n // 20 + 1}:{n % 20 * 3:02} room {w['room']} folio {w['ref']} {pick(r, ('minibar', 'city tax', 'room charge', 'parking'))} {w['eur']}.00 {'DECLINED' if bad else 'posted'}")
        if bad:
            failed.append(w["room"])
    return Turn("\n".join(lines), ", ".join(failed) or "none")


def _events(r: random.Random, count: int) -> list[str]:
    return [spin(r, pick(r, _EVENTS), **_words(r)) for _ in range(count)]


def _shift(r: random.Random) -> Turn:
    told = _events(r, r.randint(8, 16))
    main = r.sample(told, 4)
    return Turn(
        f"{pick(r, _HOTELS)}, night shift, {name(r)}\n" + "\n".join(f"{20 + n // 3 if n < 12 else n // 3 - 3:02}:{n % 3 * 20 + 7:02} {each}" for n, each in enumerate(told)),
        spin(r, f"[A busy night|An uneven shift|A night with {len(told)} entries]. Most important: {main[0]}; also {main[1]}. {capital(main[2])}. [Please follow up|For the morning team]: {main[3]}. [The remaining entries are smaller matters|The other entries can wait until the handover meeting] [and are in the log|]."),
    )


def _reply(r: random.Random) -> Turn:
    text, topics, bad = _review(r)
    hotel, who = pick(r, _HOTELS), pick(r, FIRST)
    fix = " ".join(spin(r, f"[As for|Regarding|What you write about] {t}[,|:] [I have passed it on to the team and we will look at it this week|we discussed it in this morning's meeting and take it seriously|that is what we work on every day, and your words help us]. ") for t in topics)
    mood = "It makes us very happy that you enjoyed your stay." if bad == 0 else "I am sorry that your stay was not what you had a right to expect." if bad == 100 else "Thank you for being so fair about what went well and what did not."
    return Turn(f"Hotel: {hotel}\nGuest: {who}\nReview: {text}\nSigned by: {name(r)}", f"Dear {who},\n\nthank you for taking the time to write about {hotel}. {mood} {fix}\n" + spin(r, "[We would love to welcome you back and show you that we listened.|Should you come back, please ask for me at the desk, so that I can thank you in person.|I hope that we see each other again, perhaps in autumn when the town is quieter.]\n\n[Warm regards|Kind regards],\n") + hotel)


def _answer(r: random.Random) -> Turn:
    w = {"a": f"{r.randint(6, 10)}:00", "b": f"{r.randint(18, 23)}:00", "k": str(r.randint(3, 14)), "e": str(r.randint(5, 40))}
    listed = r.sample(tuple(_INFO), r.randint(3, 4))
    wanted = pick(r, listed) if r.random() < 0.92 else pick(r, [t for t in _INFO if t not in listed])
    asked, answer = pick(r, _INFO[wanted][1]), spin(r, _INFO[wanted][2], **w)
    context = "\n".join(f"## {t}\n{spin(r, _INFO[t][0], **w)}" for t in listed)
    return Turn(f"{context}\n\nGuest ({pick(r, _HOTELS)}): {typed(r, asked)}", answer + pick(r, ("", " Enjoy your stay!", " Is there anything else?")) if wanted in listed else "I am afraid I do not have that information. I will ask my colleagues at the desk to write to you.")


def _tool(r: random.Random) -> Turn:
    w = _words(r)
    which, asked = pick(r, (("book_table", f"table for {w['n']} at {w['h']} for {w['last']}"), ("extend_stay", f"{w['last']} in {w['room']} stays until the {w['d']}th"), ("order_taxi", f"taxi for {w['room']} at {w['h']}:30 to the airport")))
    return Turn(typed(r, f"{pick(r, ('', 'please ', 'can you do: '))}{asked}"), "", ((which, json.dumps({"query": asked})),))


def _offer(r: random.Random) -> Turn:
    w, event, hotel, price = _words(r), pick(r, ("wedding", "board retreat", "yoga week", "school trip", "conference")), pick(r, _HOTELS), r.randint(70, 190)
    extra = r.sample(("a welcome drink", "the use of the garden", "a projector", "late check-out", "vegan lunch", "two parking spaces"), 2)
    return Turn(
        f"event: {event}\nhotel: {hotel}\nguests: {w['n']}\nrate: {price} EUR per room\nextras: {', '.join(extra)}\nhold until: {w['d']} June\ncontact: {w['last']}",
        spin(r, f"Dear [Ms|Mr] {w['last']},\n\n[thank you for thinking of|we are delighted that you consider] {hotel} for your {event}. For your {w['n']} guests we [would set aside|can offer] rooms at {price} euro each, breakfast included. [On top of that we offer|The price covers] {extra[0]} and {extra[1]}, [at no extra charge|as you wished]. We [hold the rooms|keep everything reserved] for you until {w['d']} June; until then you can [cancel or change the number|decide] without any cost. [I would be happy to show you the house in person, any day that suits you.|Shall we speak on the phone this week about the schedule and the menu?]\n\nKind regards,\nEvents team, {hotel}"),
    )


def _rate(r: random.Random) -> Turn:
    left, ours, usual = r.randint(4, 40), r.randint(90, 180), r.randint(10, 30)
    rivals, days = [r.randint(80, 200) for _ in range(4)], r.randint(5, 30)
    event = r.random() < 0.3
    score = (left < usual) - (left > usual) + (sum(rivals) / 4 > ours * 1.08) - (sum(rivals) / 4 < ours * 0.92) + event
    return Turn(f"Double, {days} days ahead, {left} rooms left (same day last year: {usual}), our rate {ours}, compset {'/'.join(map(str, rivals))}, {'fair in town' if event else 'no events'}, {r.randint(0, 5)} cancellations since Monday", "raise" if score > 0 else "lower" if score < 0 else "hold")


def _plan(r: random.Random) -> Turn:
    groups = [(pick(r, LAST), r.randint(4, 18), r.randint(1, 5), r.randint(1, 4)) for _ in range(r.randint(3, 5))]
    cap = r.randint(20, 34)
    load = {day: sum(g[1] for g in groups if g[2] <= day < g[2] + g[3]) for day in range(1, 9)}
    over = {day: used - cap for day, used in load.items() if used > cap}
    need = "; ".join(f"{who} group: {rooms} rooms, nights {start} to {start + nights - 1}" for who, rooms, start, nights in groups)
    first = max(groups, key=lambda g: g[1])
    if not over:
        return Turn(f"We have {cap} rooms. {need}. Deluxe floor only once per stay, no group may change rooms. Can we take all of them, and in what order do we assign?", f"Yes. The fullest night has {max(load.values())} of {cap} rooms. Assign the {first[0]} group first since it needs the longest block, then fill by arrival.")
    return Turn(f"We have {cap} rooms. {need}. Deluxe floor only once per stay, no group may change rooms. Can we take all of them, and in what order do we assign?", "Not as requested.\n\n" + "\n".join(f"- Night {day}: {load[day]} rooms are asked for, {more} more than we have." for day, more in over.items()) + f"\n\nOptions:\n1. Ask the {first[0]} group ({first[1]} rooms) to come {first[3]} nights later; as the largest block it frees the most, and no one has to change rooms.\n2. Move {max(over.values())} rooms to the sister hotel and pay the transfer. That keeps every date, but splits a group.\n3. Decline the group with the lowest revenue per night.\n\nI would try 1 and offer 2 as the fallback, because a split group is what guests complain about most.")


def _agent(r: random.Random) -> Turn:
    w, who = _words(r), name(r)
    turns: list[Message] = [{"role": "user", "content": spin(r, f"[{who} in {w['room']} wants|Please arrange for {who} ({w['room']})] [a day trip with lunch and a car|dinner, a babysitter and tickets|to swap rooms, keep the view and pay no more] on the {w['d']}th, at most {w['eur']} euro")}]
    steps = r.randint(0, 4)
    for n in range(steps):
        tool = ("read_booking", "search_offers", "check_availability", "search_offers")[n]
        turns += called(f"t{n}", tool, {"query": who}, json.dumps({"found": r.randint(0, 4), "note": spin(r, pick(r, _EVENTS), **_words(r))}))
    if steps == 4:
        return Turn(turns, f"Done for {who}: everything is held for the {w['d']}th and stays below {w['eur']} euro. One option had no availability, so I took the second best. The guest still has to confirm by {w['h']}:00.")
    return Turn(turns, "", ((("read_booking", "search_offers", "check_availability", "hold_offer")[steps], json.dumps({"query": f"{who} {w['d']}"})),))


def _owner(r: random.Random) -> Turn:
    table = {h: (r.randint(48, 94), r.randint(70, 190), r.randint(18, 45)) for h in r.sample(_HOTELS, 5)}
    rev = {h: occ * adr / 100 for h, (occ, adr, _) in table.items()}
    best, worst = max(rev, key=lambda h: rev[h]), min(rev, key=lambda h: rev[h])
    costly = max(table, key=lambda h: table[h][2])
    asked = pick(r, ("Where should we invest next year, and what speaks against it?", "Which house would you sell, and why? What would change your mind?", "Why do the houses differ so much? What do the figures not tell us?"))
    return Turn(
        "hotel,occupancy,adr,staff_cost_pct\n" + "\n".join(f"{h},{a},{b},{c}" for h, (a, b, c) in table.items()) + f"\n\n{asked}",
        f"**Reading of the figures.** Revenue per available room is {rev[best]:.0f} at {best} and {rev[worst]:.0f} at {worst}, so a gap of {rev[best] - rev[worst]:.0f} euro. At {worst} occupancy is {table[worst][0]} per cent at a rate of {table[worst][1]}; {'demand, not price, is the bottleneck' if table[worst][0] < 70 else 'the rooms fill, so the rate is what is too low'}.\n\n**Costs.** {costly} spends {table[costly][2]} per cent on staff. {'Since it is also the weakest house, the two problems probably feed each other.' if costly == worst else 'It is not the weakest house, which points to rosters rather than to demand.'}\n\n**What I would do.** Test a rate change at {worst} for eight weeks before any building work, and compare rosters of {costly} with {best}. Only if both fail is a sale the better option.\n\n**Limits.** One year, no season, no debt, no condition of the buildings. A renovation or a road closure could explain all of it.",
    )


SITES = (
    Site("guest.intent", 1, "intent", _intent, "Guest message -> one of: " + ", ".join(_INTENT) + ". Messages come in English, German or Spanish. Output the label only.", 15),
    Site("booking.fields", 1, "extraction", _booking, "You read booking requests. Return JSON: arrival (YYYY-MM-DD, the year is 2026), nights, adults, children, room (single, double, twin, family, suite).", 10, response_format={"type": "json_object"}),
    Site("review.sentiment", 1, "classification", _sentiment, "positive, negative or mixed? One word for the hotel review.", 8),
    Site("task.route", 1, "classification", _route, "A colleague sent a note. Which department has to act: maintenance, housekeeping, front_office, kitchen or security? Only the department.", 6),
    Site("guest.language", 1, "classification", _language, "ISO code of the language (en, de, es).", 5),
    Site("review.topics", 1, "classification", _topics, "List the topics that a review mentions as a JSON array, in order. Topics: " + ", ".join(_SAID), 4),
    Site("task.order", 1, "rewrite", _order, "Rewrite the voice note as one work order line: room, defect, time. No filler words.", 4),
    Site("guest.urgent", 1, "classification", _urgent, "Think of the safety of guests first. Does somebody have to go to the guest right now? Answer yes or no.", 4),
    Site("lobby.moderation", 1, "moderation", _moderate, "Moderate the guests' lobby chat: ok, insult, private, ads.", 3),
    Site("supplier.fields", 1, "extraction", _supplier, 'Extract {"supplier","number","date","net","vat_rate"} from the invoice text. Dates as YYYY-MM-DD.', 3),
    Site("reply.polish", 1, "rewrite", _polish, "Make the receptionist's message polite. Same facts, at most two sentences.", 3),
    Site("audit.declined", 1, "extraction", _audit, "You audit the nightly posting log. Return the room numbers of all declined postings, comma separated, in order, or none.", 3, since=0.5),
    Site("review.reply", 2, "generation", _reply, "Write the hotel's public reply to the review. Address every topic, never argue, under 150 words.", 7),
    Site("guest.answer", 2, "question_answering", _answer, "You answer guests' questions using only the house information given. If it is not there, say that you will ask.", 7),
    Site("shift.summary", 2, "summarization", _shift, "Summarise the shift log for the morning manager in 40 to 80 words.", 6),
    Site("desk.action", 2, "tool_use", _tool, "Carry out the receptionist's request with one function.", 3, tools=("book_table", "extend_stay", "order_taxi")),
    Site("events.offer", 2, "generation", _offer, "Draft an offer letter for the event from the fields.", 2.5),
    Site("rate.verdict", 3, "reasoning", _rate, "You are a revenue manager. Weigh pick-up, competitors, events and lead time against each other. Answer raise, hold or lower.", 3.5),
    Site("groups.plan", 3, "planning", _plan, "Plan room allotments for groups. Check every night against capacity and propose alternatives.", 3),
    Site("concierge.agent", 3, "tool_use", _agent, "You are the concierge agent. Work towards the guest's goal step by step with the tools; stay within the budget; hold only what is available.", 3, tools=("read_booking", "search_offers", "check_availability", "hold_offer", "message_guest")),
    Site("owner.analysis", 3, "analysis", _owner, "Advise the owners of the group. Be candid, show how you got there, name what is missing.", 2.5),
)
