"""A ticketing service: a terse author, no system prompts, the instruction in a line before or after the user's text.

Borderline: sms.shorten (cuts a text to a length: easy, as it stays close to the source), rider.pyro (a yes or no over a long
document: easy), chargeback.reason (a label, some cases need both sides' account), seats.together (looks like extraction,
but has to be worked out on a plan: hard), refund.amount and settle.promoter (a number for an answer, hard).
"""

import datetime as dt
import json
import random

from benchmarks.invented.site import Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, code, fill, misspelt, name, pick, slip

# Word lists and templates read best on long lines.
# fmt: off

_ARTISTS = "Velvet Ostrich,Mara Lindqvist,The Paper Tides,DJ Okonkwo,Los Faroles,Nina & the Nightbus,Kupferherz,Orchid Parade,Sam Petrov Trio,Wolfsmilch,Ghost Pedal,Ayla Demir,Quiet Riotess,Brass Monkey Club,Ferro,Tumbleweed Choir".split(",")
_VENUES = "Old Tramshed,Harbour Hall,Teatro Marin,Kino Orion,Riverside Arena,The Attic,St Jude's Church,Volkshaus,Palace of Arts,Dockyard 9".split(",")
_GENRES = {
    "concert": ("{act} play the new album in full, with a live band of nine", "{act} return to {venue} for one loud night, support: {act}", "an acoustic evening with {act}, songs and stories", "string quartet by candlelight, works by Schubert and Ravel"),
    "theatre": ("a farce in two acts about a lost will, with an interval", "Ibsen's Ghosts in a new staging by {person}", "three sisters, one samovar: Chekhov with puppets", "a monologue on fatherhood, performed by {person}"),
    "comedy": ("{person} tries out new jokes about moving back in with mum", "stand-up night, five comics, one bad microphone", "improv: you shout, we suffer", "the roast of {city}, hosted by {person}"),
    "sport": ("second leg of the handball cup, {city} against {city}", "amateur boxing, ten bouts, weigh-in at noon", "league ice hockey, home game against {city}", "finals of the national dart series"),
    "family": ("the very hungry bear, songs for children from three", "magic for kids with {person}, balloons included", "a puppet show about sharing, forty minutes, cushions on the floor", "sing along with the pirates, ages 4 to 8"),
    "talk": ("{person} in conversation about her book on rivers", "panel: who owns the night in {city}?", "an evening lecture on black holes for laymen", "podcast live, guests to be announced"),
    "film": ("restored print of a 1927 silent, with piano", "short films from {city}, q and a with the makers", "open-air screening, bring a blanket", "double bill of horror classics, 35mm"),
    "dance": ("contemporary piece for six bodies and a wall", "tango night, show and social after", "Swan Lake by the ballet of {city}", "breaking battle, two on two, cypher in the foyer"),
}
_MAIL = {
    "refund": ("the show in {city} was moved and I can't make the new date, I want my money back", "can I get my {n} tickets refunded, {person} is ill", "event cancelled, when do I see the money", "pls refund order {order}, bought by mistake"),
    "exchange": ("could I swap saturday for sunday", "we'd like to go to the matinee instead, same seats if possible", "changed plans, can you move order {order} to the {act} show in {city}"),
    "seats": ("we booked {n} but they aren't next to each other", "is there any chance to move to the stalls", "what's the view like from row {n}", "a pillar in front of seat {n}, nobody told us"),
    "lost_ticket": ("I never got the pdf for {order}", "deleted the mail with my tickets, send again?", "qr code doesn't open on my phone", "wrong mail address when ordering, tickets went to a stranger"),
    "times": ("when do doors open at {venue}", "how long is the {act} gig, we have a train", "is there an interval tonight", "latest entry for tonight??"),
    "access": ("my husband uses a wheelchair, how do we get into {venue}", "do carers pay", "is there a hearing loop in {venue}", "need a seat without stairs for order {order}"),
    "invoice": ("our accountant needs a receipt with vat for {order}", "can you put the company name on the bill", "please send an invoice for {n} tickets"),
    "resale": ("how can I sell my ticket to someone", "{person} can't come, may I put her name's ticket on the resale", "is the resale for {act} legit", "my resale ticket is not sold yet, what now"),
    "other": ("do you have jobs at {venue}", "lost my scarf last night at {venue}", "we are a band from {city} and would like to play", "great evening, tell {act} thanks"),
}
_OPEN = ("", "", "hi, ", "hello there, ", "Dear team, ", "ok so ", "Good morning. ")
_END = ("", "", "?", "!!", " thx", " {person}", " Order {order}.", " Sent from my phone", " been waiting for {n} days", " not happy", " cheers, {person}")
_CHAT = ("who was the opener? loved them", "anyone driving from {city}?", "set list please", "is {person} still in the band", "third time seeing {act}, first time sober", "was the blue jacket in row {n} yours", "wish they played {city} more often", "does {venue} have a cloakroom")
_ADS = ("SELLING {n} tickets for {act}, whatsapp me +44 7700 900{n}{n}{n}", "earn {n}00 a day from home, link in bio", "cheap tickets {act} >> bit.ly/tix{n} <<", "buy {n}k followers for your band, ask {person}", "I resell {act}, face value x{n}, dm", "crypto made me free, {person} shows you how", "best VIP passes {city} t.me/pass{n}{n}")
_GOOD = ("sound was superb", "{act} were on fire", "friendly staff at {venue}", "worth every cent", "cried twice, in a good way", "best night in {city} for years", "quick entry")
_BAD = ("couldn't hear the vocals", "queue of an hour in the rain", "{act} came on {n}0 minutes late", "beer at nine euros, seriously", "seats so tight my knees hurt", "bag search was rude", "left at the interval")


def _words(r: random.Random) -> dict[str, tuple[str, ...]]:
    return {
        "act": tuple(_ARTISTS), "venue": tuple(_VENUES), "city": tuple(CITIES), "person": (name(r),), "n": (str(r.randint(2, 9)),),
        "order": (code(r, 2, 6),),
    }


def _day(r: random.Random) -> dt.date:
    return dt.date(2026, 5, 1) + dt.timedelta(days=r.randrange(300))


def _mailed(r: random.Random, label: str) -> str:
    return fill(r, pick(r, _OPEN) + pick(r, _MAIL[label]) + pick(r, _END), _words(r))


def _topic(r: random.Random) -> Turn:
    label = pick(r, (*_MAIL, "refund", "refund", "lost_ticket"))
    text = _mailed(r, label) + (f" Also {_mailed(r, pick(r, tuple(_MAIL)))}" if r.random() < 0.08 else "")
    return Turn(f"Which is it: {', '.join(_MAIL)}?\n\n{text}\n\nOne word.", slip(r, label, tuple(_MAIL), 0.03))


def _spam(r: random.Random) -> Turn:
    spam = r.random() < 0.25
    text = fill(r, pick(r, _ADS) + pick(r, ("", " !!!", " today only")) if spam else pick(r, ("", "", "went with {person}. ", "lol ", "@{person} ")) + pick(r, (*_GOOD, *_BAD, *_CHAT, *_CHAT)) + pick(r, ("", "", " :)", " {n}/10", " @ {venue}")), _words(r))
    return Turn(f"spam? y/n\n\n{text}", slip(r, "y" if spam else "n", ("y", "n")))


def _order(r: random.Random) -> Turn:
    order, count, act, day = code(r, 2, 6), r.randint(1, 8), pick(r, _ARTISTS), _day(r)
    shown = pick(r, (order, order.lower(), f"{order[:2]}-{order[2:]}", f"{order[:2]} {order[2:]}"))
    text = pick(r, (
        f"Hi, I bought {count} tickets for {act} on {day.day} {day:%B}, order {shown}, and nothing arrived.",
        f"order no {shown} / {act} / {day:%d.%m.%Y} / {count} pcs -- please check",
        f"My booking ({shown}) says {count} seats, {act}. Can you confirm {day:%A}, {day:%d %b %Y}?",
        f"Re: your confirmation. {act}, {day:%d/%m/%Y}. We are {count} people. The number is {shown}. {name(r)}",
    ))
    return Turn(f"order (AA000000), qty, act, date as MM-DD -> json\n\n{text}", json.dumps({"order": order, "qty": count, "act": act, "date": f"{day:%m-%d}"}, ensure_ascii=False))


def _mood(r: random.Random) -> Turn:
    label = pick(r, ("pos", "pos", "neg", "mixed"))
    parts = {"pos": r.sample(_GOOD, r.randint(1, 3)), "neg": r.sample(_BAD, r.randint(1, 3)), "mixed": [f"{pick(r, _GOOD)}{pick(r, (', but ', '. sadly ', ' though ', ' - only '))}{pick(r, _BAD)}"]}[label]
    return Turn(f"pos / neg / mixed:\n{fill(r, pick(r, (', ', '. ', ' and ')).join(parts), _words(r))}", slip(r, label, ("pos", "neg", "mixed"), 0.03))


def _blurbed(r: random.Random, genre: str) -> str:
    return fill(r, pick(r, _GENRES[genre]) + pick(r, (". At {venue}.", ". {city}, one night only.", "", ". Tickets from {n}5 euros.", ". Seated.")), _words(r))


def _genre(r: random.Random) -> Turn:
    genre = pick(r, (*_GENRES, "concert", "concert"))
    return Turn(f"Genre ({', '.join(_GENRES)}):\n{_blurbed(r, genre)}", slip(r, genre, tuple(_GENRES)))


def _title(r: random.Random) -> Turn:
    act, place, tour = pick(r, _ARTISTS), pick(r, CITIES), pick(r, ("Salt Tour", "Winter Dates", "Live", "Farewell Tour", "Unplugged"))
    clean = f"{act}: {tour}"
    messy = pick(r, (f"🔥🔥 {act.upper()} *** {tour.upper()} *** {_day(r):%d.%m.%y}", f"{act.lower()} - {tour.lower()} - {place} - SOLD OUT SOON", f"!!LAST TICKETS!! {act} ({tour}) @ {place} {_day(r):%d %b}", f"{act}  {tour.upper()} 🎸 {place}"))
    return Turn(f"Clean this event title. No emojis, caps, dates, cities, hype. Act: Tour\n\n{messy}", clean)


def _iso(r: random.Random) -> Turn:
    day, hour, half = _day(r), r.randint(16, 22), pick(r, ("00", "30"))
    said = pick(r, (f"{day:%a} {day.day} {day:%B %Y}, doors {hour - 13}:30pm, show {hour - 12}:{half}pm", f"{day:%d.%m.%Y} {hour}h{half}", f"{day:%B} {day.day}, {day.year} at {hour}:{half}", f"Beginn {hour}:{half} Uhr am {day:%d/%m/%y}"))
    return Turn(f"ISO date and start time of: {said}", f"{day.isoformat()}T{hour}:{half}")


def _seat(r: random.Random) -> Turn:
    block, row, first, count = pick(r, ("A", "B", "C", "Balcony", "Stalls")), pick(r, "ABCDEFGH"), r.randint(1, 30), r.randint(1, 4)
    seats = list(range(first, first + count))
    said = pick(r, (f"{block} / row {row} / {'+'.join(map(str, seats))}", f"Block {block}, Reihe {row}, Platz {seats[0]}-{seats[-1]}", f"we sit in {block}, row {row}, seats {', '.join(map(str, seats))}"))
    return Turn(f"{said}\n\n^ to {{\"block\",\"row\",\"seats\":[]}}", json.dumps({"block": block, "row": row, "seats": seats}))


def _sms(r: random.Random) -> Turn:
    act, venue, hour = pick(r, _ARTISTS), pick(r, _VENUES), r.randint(18, 21)
    said, short = pick(r, (
        (f"Dear ticket holder, please note that the doors for {act} at {venue} will now open at {hour}:00 because the sound check needs more time than we expected.", f"{act}, {venue}: doors now {hour}:00 due to long sound check."),
        (f"We are very sorry to tell you that tonight's performance by {act} at {venue} cannot take place as planned; your tickets remain valid for the new date, which we will announce.", f"{act} at {venue} postponed. Tickets stay valid. New date soon."),
        (f"As the weather forecast announces heavy rain, we recommend that guests of {act} take the tram to {venue}, since the car park may be closed from {hour}:00.", f"Rain: take the tram to {venue} for {act}. Car park may close {hour}:00."),
        (f"Guests with wheelchairs and their companions are asked to use the side entrance of {venue} from {hour}:00 for {act}, our staff will help you there.", f"{act}: wheelchair entry at side door of {venue} from {hour}:00."),
    ))
    return Turn(f"Max 80 characters: {said}", short)


def _language(r: random.Random) -> Turn:
    tongue, text = pick(r, (
        ("en", "is there parking near the venue {act}"), ("en", "can my kid come in for free"), ("de", "Gibt es noch Karten für {act}?"), ("de", "Kann ich die Bestellung {order} stornieren"),
        ("fr", "À quelle heure commence {act} ?"), ("fr", "je n'ai pas reçu mes billets {order}"), ("es", "¿Se puede devolver la entrada de {act}?"), ("es", "no me llega el correo con el pedido {order}"),
        ("it", "quanto dura lo spettacolo a {city}"), ("it", "ho perso il biglietto {order}"), ("pt", "o concerto em {city} foi cancelado?"), ("nl", "kan ik mijn kaartjes voor {act} doorverkopen"),
    ))
    return Turn(f"lang (2 letters): {fill(r, text, _words(r))}{pick(r, ('', '', '?', '!', ' ...'))}", slip(r, tongue, ("en", "de", "fr", "es")))


def _age(r: random.Random) -> Turn:
    genre = pick(r, tuple(_GENRES))
    extra, age = pick(r, ((" Strong language.", "16"), (" Nudity and strobe light.", "18"), (" Loud, ear protection for kids.", "12"), ("", "all"), (" Late show with explicit material.", "18"), (" Scenes of violence.", "16"), (" For all ages.", "all")))
    return Turn(f"Age? all, 12, 16 or 18\n\n{_blurbed(r, genre)}{extra}", slip(r, age, ("all", "12", "16", "18"), 0.04))


def _urgent(r: random.Random) -> Turn:
    level, when = pick(r, (("3", "the show is TONIGHT and "), ("3", "I'm standing at the door of {venue}, "), ("3", "starts in {n}0 minutes! "), ("2", "it's this weekend, "), ("2", "we travel in two days: "), ("1", ""), ("1", "no rush, "), ("1", "for the show next year: ")))
    return Turn(f"Urgency 1 (can wait) - 3 (now). Digit only.\n\n{fill(r, when, _words(r))}{_mailed(r, pick(r, tuple(_MAIL)))}", slip(r, level, "123", 0.03))


def _chargeback(r: random.Random) -> Turn:
    reason, text = pick(r, (
        ("fraud", "card holder says she never bought anything from us, card was stolen in {city}"), ("fraud", "{n} orders in {n} minutes from {n} cards, all delivered to the same address"),
        ("not_received", "customer claims no e-ticket came, our log has a bounce for {order}"), ("not_received", "says the tickets for {act} were never delivered"),
        ("cancelled", "{act} did not play, refund promised but not booked"), ("cancelled", "show at {venue} was called off, buyer disputes the fee too"),
        ("duplicate", "billed twice for {order}, both captured"), ("duplicate", "two debits of the same amount on the same day"),
        ("regret", "buyer found cheaper seats elsewhere and disputes {order}"), ("regret", "did not like {act}, wants money back through the bank"),
    ))
    return Turn(f"Chargeback reason: fraud|not_received|cancelled|duplicate|regret\n{fill(r, text, _words(r))}. Amount {r.randint(20, 400)}.{r.randint(10, 99)}, {pick(r, ('Visa', 'Mastercard', 'Amex'))}, ref {code(r, 3, 7)}", slip(r, reason, ("fraud", "not_received", "cancelled", "duplicate", "regret"), 0.03))


_RIDER = ("Power: {n} x 32A three-phase within 10 m of stage left.", "Monitors: {n} mixes, in-ear for {person}.", "Catering: hot meal for {n}, two vegan, no peanuts.", "Risers: {n} pieces 2x1 m, black skirted.", "Parking for one sleeper bus and a van at {venue}, keys to security.", "Backline: bass amp 8x10, drum carpet, {n} DI boxes.", "Lights: own desk, house rig patched by noon, {n} movers on floor.", "Towels: {n} dark, clean.", "Stage manager of the house meets {person} at load-in.", "Merch: table with light, no percentage for the house.", "Haze is used in a low dose; inform the fire watch.", "Video: {n} HDMI lines to front of house.", "Security: nobody on stage but crew with {act} pass.")


def _rider(r: random.Random) -> Turn:
    yes = r.random() < 0.4
    lines = [fill(r, pick(r, _RIDER), _words(r)) for _ in range(r.randint(25, 90))]
    if yes:
        lines.insert(r.randrange(len(lines)), pick(r, ("Two flame jets upstage during the last song, operator travels with us.", "Indoor fireworks (waterfall, 6 m) at the finale.", "Gerbs left and right, cue 14, fire permit to be obtained by promoter.", "Confetti cannons and spark fountains, see annex.")))
    return Turn("\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1)) + "\n\nDoes this rider need pyro? yes/no", slip(r, "yes" if yes else "no", ("yes", "no")))


def _lineup(r: random.Random) -> Turn:
    acts = r.sample(_ARTISTS, r.randint(1, 5))
    text = pick(r, ("Friday at {venue}: ", "line-up!! ", "On stage: ", "We present ")) + pick(r, (" + ", " / ", ", ", " w/ ")).join(pick(r, (a, a, a.upper())) if n else a for n, a in enumerate(acts)) + pick(r, (". DJs till late", ", hosted by {person}", " and a secret guest", "", ". Doors 19h"))
    return Turn(f"artists as json list\n\n{fill(r, text, _words(r))}", json.dumps(acts, ensure_ascii=False))


def _address(r: random.Random) -> Turn:
    venue, street, no, post, city = pick(r, _VENUES), pick(r, ("Mill Lane", "Rue Haute", "Hafenstr.", "Via Roma", "Station Road")), r.randint(1, 180), r.randint(10000, 98999), pick(r, CITIES)
    return Turn(f"street|no|zip|city\n{pick(r, (f'{venue}, {street} {no}, {post} {city}', f'{city.upper()} {post} - {no} {street} ({venue})', f'{venue}; {no}, {street}; {city}; {post}'))}", f"{street}|{no}|{post}|{city}")


_FIX: dict[str, tuple[tuple[str, ...], ...]] = {
    "refund": (("I had a look at your order and you can return the tickets.", "You get the price back, no question.", "The organiser agreed to take the tickets back."), ("The money is on its way and arrives within a week, on the card you paid with.", "Your bank usually needs five working days.", "I have just started the refund, you will see it as STUBLINE on the statement."), ("The booking fee is included this time.", "Only the fee for postage stays with us.", "Please delete the old PDF, the codes no longer work.")),
    "exchange": (("Swapping is possible up to 48 hours before the show.", "We can move you, there are still places on the other night.", "Good news, the other date is not sold out."), ("I put new seats on hold for you until tomorrow evening.", "Choose the new seats with the link that follows in a minute.", "The price is the same, so nothing has to be paid."), ("Your present tickets stay valid until you confirm.", "The old codes are cancelled then.")),
    "seats": (("I checked the plan for you.", "That should not have happened, the system splits groups when a row is nearly full."), ("There is a better spot in the same category, two rows further back.", "I can offer the aisle on the left, all together.", "The stalls are sold out, but the first row of the balcony has a fine view."), ("Answer this mail and I move you over, free of charge.", "If you would rather keep what you have, do nothing.")),
    "lost_ticket": (("I sent the tickets again to the address of your order.", "The mail had bounced, so I corrected the address and sent it once more."), ("Have a look in the spam folder too.", "Open the PDF on a computer if the phone refuses.", "You also find them in your account under 'Orders'."), ("Should they still be missing, the box office prints them against an ID.", "A screenshot of the code is enough at the gate.")),
    "times": (("Doors open an hour before the start.", "The evening begins on time, doors are sixty minutes earlier."), ("It lasts about two hours with a short break.", "Expect two and a quarter hours, no interval.", "The support plays for half an hour first."), ("Late guests are let in between songs.", "The last tram goes at half past midnight.")),
    "access": (("There is a step-free way in at the side.", "The house has a lift from the foyer."), ("A companion goes free.", "Hearing loops cover the first ten rows.", "An assistant from the team can meet you at the tram stop."), ("I noted your order so that the team expects you.", "Let us know how wide the chair is and we keep the right place.")),
    "invoice": (("The receipt with VAT is attached.", "You find the invoice behind the link below."), ("If the company name has to be on it, send it to me with the address.", "I added the tax number of your company.", "Fees are listed on a line of their own."), ("I will gladly issue it again.", "It can be downloaded for ten years.")),
    "resale": (("You find 'sell' next to the ticket in your account.", "Yes, resale runs through us and is safe."), ("The price can be up to what you paid.", "Most tickets go within a day, the last ones on the afternoon of the show."), ("As soon as somebody buys it, your code is cancelled and you get the money.", "A change of name alone costs nothing.")),
    "other": (("Thank you for writing.", "How nice to hear from you."), ("I passed this on to the people of the house, who know more than I do.", "My colleague who looks after this is in on Monday.", "Lost things are kept for a month at the stage door."), ("They will contact you directly.", "Please give them two or three days.")),
}


def _reply(r: random.Random) -> Turn:
    label, who = pick(r, tuple(_MAIL)), pick(r, FIRST)
    start = pick(r, ("thank you for getting in touch.", "I understand, that is annoying.", "thanks for your message, let's sort it out.", "sorry that you had to write to us about this."))
    end = pick(r, ("Enjoy the show!", "If anything is unclear, just reply.", "I hope that helps.", "Have a lovely evening."))
    body = " ".join(pick(r, part) for part in _FIX[label])
    return Turn(f"Answer this customer ({who}). Friendly, 3-5 sentences, sign Stubline.\n\n{_mailed(r, label)}", f"Hi {who},\n\n{start} {body} {end}\n\nStubline")


def _blurb(r: random.Random) -> Turn:
    genre, venue, act, day = pick(r, ("concert", "comedy", "dance", "family")), pick(r, _VENUES), pick(r, _ARTISTS), _day(r)
    first = fill(r, pick(r, ("There are evenings you plan, and evenings that happen to you. {act} make the second kind.", "If you have ever danced in a kitchen at two in the morning, {act} wrote the music for it.", "Few names travel from ear to ear the way {act} do.", "No screens, no fuss: {act} trust in what happens between a stage and a room.")).replace("{act}", act), _words(r))
    middle = pick(r, ("The new programme moves from a whisper to a roar and back.", "Critics praised the wit, audiences came for the warmth.", "What began in a rehearsal room above a bakery now fills halls.", "Expect old favourites, a few surprises and one song nobody knows yet."))
    last = pick(r, (f"On {day.day} {day:%B} the doors of {venue} open for it.", f"{venue} is small, so do not wait too long.", f"See you at {venue}, {day:%A} night."))
    return Turn(f"{act}, {genre}, {venue}, {day.isoformat()}, {pick(r, ('seated', 'standing'))}. Write the blurb, ~80 words.", f"{first} {middle} {pick(r, ('There is room for mistakes, which is where the best moments come from.', 'Somewhere in the last third it gets very quiet, and that is the part people talk about on the way home.', 'The band has grown by two, the noise by more.'))} {pick(r, ('Bring a friend who says they do not like this kind of thing.', 'Come early for the support.', 'Children are welcome, phones less so.'))} {last}")


def _feedback(r: random.Random) -> Turn:
    good, bad, act = r.sample(_GOOD, 2), r.sample(_BAD, 2), pick(r, _ARTISTS)
    lines = [fill(r, pick(r, (*good, *good, *bad)) + pick(r, ("", ", rest was ok", " :)", ", will think twice", ", {person} agrees")), _words(r)) for _ in range(r.randint(12, 40))]
    told = {"sound was superb": "the sound", "{act} were on fire": "the performance itself", "friendly staff at {venue}": "the staff", "worth every cent": "value for money", "cried twice, in a good way": "how moving it was", "best night in {city} for years": "the atmosphere", "quick entry": "the fast entry"}
    hurt = {_BAD[0]: "vocals that got lost in the mix", _BAD[1]: "long waits outside", _BAD[2]: "a late start", _BAD[3]: "drink prices", _BAD[4]: "cramped seating", _BAD[5]: "the manner of the bag checks", _BAD[6]: "a weak first half that made some leave"}
    return Turn("\n".join(f"- {line}" for line in lines) + f"\n\nSum up for the organiser of {act}, 3 sentences", f"Guests of {act} praised {told[good[0]]} and {told[good[1]]}. On the other side, complaints centre on {hurt[bad[0]]}, followed by {hurt[bad[1]]}. {pick(r, ('The second point is easy to fix before the next date.', 'Nobody asked for a refund.', 'Overall the mood is better than at comparable nights.'))}")


_HOUSE = (
    ("Can I bring a camera?", "Photography: phones and small cameras without interchangeable lenses are fine. Flash is off limits. Press needs accreditation through the promoter.", "Yes, as long as it is small and has no exchangeable lens; please leave the flash off. Press photographers have to be accredited by the promoter."),
    ("Where do I leave my coat?", "Cloakroom: ground floor left, 2 EUR an item, closes 30 minutes after the show. Bags above A4 must be checked in.", "The cloakroom is on the ground floor, to the left, and costs two euros. Pick your things up within half an hour after the end."),
    ("Is re-entry allowed?", "Re-entry: with a stamp until 21:30. Standing events: no re-entry. Smoking area in the yard counts as inside.", "At seated shows you get a stamp and can return until 21:30, at standing ones leaving is final. For a cigarette use the yard."),
    ("My son is 14, can he come alone?", "Minors: under 16 with a parent or a guardian form. 16 and 17 until midnight. Family shows: any age.", "Not alone, he needs a parent with him or the signed guardian form. At family shows this does not apply."),
    ("Do you sell tickets at the door?", "Box office opens one hour before doors if seats are left. Cards only. Reductions need proof.", "If there are any left, yes, from an hour before doors. You can only pay by card."),
    ("Can we eat there?", "Bar: snacks until the interval. Food from outside is not permitted, water bottles up to 0.5 l are.", "There are snacks at the bar until the break. Your own food stays outside, though a small bottle of water is fine."),
)


def _house(r: random.Random) -> Turn:
    (question, _, answer), (second, _, more) = r.sample(_HOUSE, 2)
    if r.random() < 0.4:
        question, answer = f"{question} {pick(r, ('And: ', 'also, ', ''))}{second}", f"{answer} {more}"
    context = [said for _, said, _ in r.sample(_HOUSE, len(_HOUSE))]
    return Turn(f"{pick(r, _VENUES)}\n" + "\n".join(context) + f"\n\nQ: {pick(r, ('', 'hi, ', 'quick q: '))}{question} {fill(r, pick(r, ('', 'Coming for {act}.', 'We are {n} people.', 'Order {order}')), _words(r))}\nA:", f"{pick(r, ('', 'Hello! ', 'Thanks for asking. '))}{answer}{pick(r, ('', ' Have fun!', ' See you there.'))}")


def _news(r: random.Random) -> Turn:
    shows = [(pick(r, _ARTISTS), pick(r, _VENUES), _day(r), pick(r, tuple(_GENRES))) for _ in range(r.randint(3, 6))]
    tips = [pick(r, (f"**{a}** bring {g} to {v} on {d.day} {d:%B}, and it will be close and loud.", f"At {v} we look forward to **{a}** ({d:%d %B}). If {g} is your thing, this is the one.", f"Not for everyone, perfect for some: **{a}**, {d:%A} {d.day} {d:%B}, {v}.")) for a, v, d, g in shows]
    return Turn("Newsletter, warm, a line or two each, subject first:\n" + "\n".join(f"{a};{v};{d.isoformat()};{g}" for a, v, d, g in shows), f"Subject: {pick(r, ('Nights worth leaving the sofa for', 'Your next evening out', 'What we are looking forward to'))}\n\nHello,\n\n{pick(r, ('the calendar is filling up and we picked our favourites.', 'it is getting dark early, which is what stages are for.'))}\n\n" + "\n\n".join(tips) + "\n\nSee you in the dark,\nStubline")


def _report(r: random.Random) -> Turn:
    act, sold, cap, late, bar = pick(r, _ARTISTS), r.randint(180, 900), r.randint(900, 1400), r.randint(0, 40), r.randint(2, 19) * 500
    log = "\n".join(f"{17 + n // 6}:{n % 6}0 {fill(r, pick(r, ('gate {n} open', 'queue at gate {n}', 'first aid: fainting, ok', 'scanner {n} down, spare used', 'guest list closed', 'noise call from neighbour', 'bar {n} restocked')), _words(r))}" for n in range(r.randint(12, 28)))
    return Turn(f"{act}: sold {sold}/{cap}, start +{late} min, bar {bar}\n{log}\n\nShort night report.", f"{act} drew {sold} guests, {100 * sold // cap}% of the house. " + (f"The show began {late} minutes late. " if late > 9 else "The start was on time. ") + f"At the bar {bar:,} came in, about {bar / sold:.1f} a head. Technical trouble with scanners was solved with spare devices; {pick(r, ('one guest fainted and recovered', 'a neighbour called about noise', 'entry was smooth otherwise'))}.")


def _refund(r: random.Random) -> Turn:
    price, count, fee, gone, insured = r.randint(18, 120), r.randint(2, 7), r.randint(2, 6), r.randint(0, 2), r.random() < 0.4
    days = r.randint(1, 40)
    counted = days + 10 * (count >= 6)
    keep = 0 if counted > 30 else 25 if counted > 14 else 50 if counted > 3 else 100
    if insured and keep == 100:
        keep = 20
    amount = (count - gone) * price * (100 - keep) / 100 + (fee * (count - gone) if counted > 30 else 0)
    return Turn(f"Terms: >30 days before: full price and fee back. 15-30: 75% of the price, no fee. 4-14: 50%. Later nothing, with insurance 80%. Tickets that were resold are not refunded. Groups of 6+ get ten days more.\n\n{count} tickets at {price}, fee {fee} each, {gone or 'none'} resold, {'insurance' if insured else 'no insurance'}, {days} days before {pick(r, _ARTISTS)}. {fill(r, pick(r, ('{person} is ill.', 'Train strike.', 'They moved to {city}.', 'No reason.')), _words(r))}\n\nHow much do we pay back? Number only.", slip(r, f"{amount:.2f}", (f"{amount + fee:.2f}", f"{count * price:.2f}"), 0.06), reasoning_tokens=r.choice((0, r.randint(150, 700))))


def _settle(r: random.Random) -> Turn:
    guarantee, share, costs, tax = r.randint(8, 60) * 100, pick(r, (60, 70, 80, 85)), r.randint(5, 40) * 100, pick(r, (7, 10, 19))
    sales = [(price, r.randint(20, 300)) for price in r.sample((12, 18, 24, 29, 35, 49, 65), 3)]
    gross = sum(price * count for price, count in sales)
    due = max(guarantee, (gross / (1 + tax / 100) - costs) * share / 100)
    return Turn("\n".join(f"{count} x {price}" for price, count in sales) + f"\nVAT {tax}% incl. Deal: {guarantee} vs {share}% of net after costs, whichever is higher. Costs {costs} ({pick(r, ('hall, crew', 'pa and lights', 'marketing, gema'))}). {r.randint(2, 20)} comps don't count.\nWhat do we owe the promoter", f"{due:.2f}", reasoning_tokens=r.randint(200, 900))


def _together(r: random.Random) -> Turn:
    rows = {letter: "".join(r.choice("xx..o") for _ in range(14)) for letter in "ABCDEFGH"}
    need, wheel = r.randint(3, 5), r.random() < 0.3
    best = next((f"{letter}{at + 1}-{at + need}" for letter, row in (reversed(rows.items()) if wheel else rows.items()) for at in range(14 - need + 1) if row[at : at + need].count("x") == 0), "split")
    return Turn("x sold, . free, o free but bad view\n" + "\n".join(f"{k} {v}" for k, v in rows.items()) + f"\n\nparty of {need}{', one wheelchair (no stairs: rear rows first)' if wheel else ''}. Seats together, as few bad ones as possible, front better than rear, no single gaps left. Which?", best, reasoning_tokens=r.randint(300, 1600))


def _staff(r: random.Random) -> Turn:
    venue, guests, doors, crew = pick(r, _VENUES), r.randint(300, 2500), r.randint(2, 6), r.randint(12, 40)
    lanes = max(1, guests // 350)
    text = f"**Assumptions.** {guests} guests, 70% of them in the hour before the start; one lane handles about 350 an hour with bag check. That makes {lanes} lanes, so {'all' if lanes >= doors else lanes} of the {doors} doors.\n\n**17:00** briefing, {min(crew, 6)} people, radio check.\n**18:00** doors: {lanes * 3} at the lanes, {max(1, crew // 8)} floaters, {max(1, guests // 500)} first aid.\n**20:00** after the start move {lanes} to the floor and the bars, keep one lane for late guests.\n**22:30** egress: everyone outside but two, taxi rank last.\n\n{pick(r, ('The bottleneck is the stairs, not the doors: hold the second lane when the foyer is full.', 'Breaks collide with the interval; stagger them by zone.', 'If it rains, the queue moves under the roof and halves the lanes, so bring forward doors by twenty minutes.'))} {'You are short by ' + str(lanes * 4 - crew) + ' and should ask the agency.' if lanes * 4 > crew else 'The crew is enough, with ' + str(crew - lanes * 4) + ' in reserve.'}"
    return Turn(f"{venue}, {guests} guests, {doors} doors, crew of {crew}, {pick(r, ('hip hop, young', 'seated classical', 'metal', 'family, prams'))}, {pick(r, ('rain likely', 'hot', 'football nearby', 'tram works'))}. Plan the door team hour by hour and say where it breaks.", text, reasoning_tokens=r.choice((0, r.randint(300, 1200))))


def _price(r: random.Random) -> Turn:
    rows = [(_day(r).isoformat(), pick(r, CITIES), r.randint(18, 70), r.randint(80, 1200), 1200) for _ in range(r.randint(10, 30))]
    low, high = min(rows, key=lambda x: x[3]), max(rows, key=lambda x: x[3])
    return Turn("date,city,price,sold,cap\n" + "\n".join(",".join(map(str, row)) for row in rows) + "\n\nWhere are we priced wrong? What would you change first, what can't we know from this?", f"{high[1]} at {high[2]} sold {high[3]}, {low[1]} at {low[2]} only {low[3]}. Price alone does not explain the gap: {'the weaker city was cheaper' if low[2] < high[2] else 'the weaker city was dearer too, so the two effects cannot be told apart'}.\n\n1. Raise {high[1]} in small steps, as a full house hides demand we never see.\n2. In {low[1]} test two price bands instead of a cut across the board, because {pick(r, ('a cut teaches people to wait', 'the early buyers there pay full price without complaint', 'the hall is too big for the act in any case'))}.\n3. Hold the others for a fortnight.\n\nNot in the data: weekday, support act, marketing, competing shows and resale prices. With {len(rows)} rows an elasticity would be guesswork; {pick(r, ('I would randomise the next on-sale', 'a matched pair of cities would tell more'))}.")


_STATS = (
    ("no-shows per venue", "SELECT e.venue_id,\n       round(100.0 * count(*) FILTER (WHERE t.scanned_at IS NULL) / count(*), 1) AS missed\nFROM tickets t JOIN events e USING (event_id)\nWHERE e.starts_at BETWEEN now() - interval '{days} days' AND now()\nGROUP BY 1{having}\nORDER BY missed DESC;"),
    ("repeat buyers by city", "WITH b AS (\n  SELECT buyer_id, (array_agg(city ORDER BY paid_at DESC))[1] AS city, count(DISTINCT event_id) AS n\n  FROM orders WHERE paid_at > now() - interval '{days} days' GROUP BY buyer_id)\nSELECT city, count(*) FILTER (WHERE n > 1) AS again, count(*) AS buyers\nFROM b GROUP BY city{having} ORDER BY again DESC;"),
    ("share of mobile tickets per event", "SELECT event_id, avg((channel = 'mobile')::int) AS mobile\nFROM tickets JOIN events USING (event_id)\nWHERE starts_at > now() - interval '{days} days'\nGROUP BY event_id{having};"),
    ("days between sale and show, median per city", "SELECT o.city, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(day FROM e.starts_at - o.paid_at))\nFROM orders o JOIN events e USING (event_id)\nWHERE o.paid_at > now() - interval '{days} days'\nGROUP BY o.city{having};"),
    ("buyers who never came, with their last order", "SELECT DISTINCT ON (o.buyer_id) o.buyer_id, o.order_id, o.paid_at\nFROM orders o\nWHERE o.paid_at > now() - interval '{days} days'\n  AND NOT EXISTS (SELECT 1 FROM tickets t WHERE t.buyer_id = o.buyer_id AND t.scanned_at IS NOT NULL)\nORDER BY o.buyer_id, o.paid_at DESC;"),
)


def _query(r: random.Random) -> Turn:
    (what, query), days, least = pick(r, _STATS), r.randint(14, 120), pick(r, (0, 0, r.randint(20, 90)))
    text = query.replace("{days}", str(days)).replace("{having}", f" HAVING count(*) > {least}" if least else "")
    tables = ["tickets(ticket_id,event_id,buyer_id,scanned_at,channel)", "events(event_id,venue_id,starts_at)", "orders(order_id,buyer_id,event_id,city,paid_at)"]
    r.shuffle(tables)
    return Turn(f"postgres: {what}, last {days} days{f', only groups over {least}' if least and '{having}' in query else ''}. tables {' '.join(tables)}", f"```sql\n{text}\n```")


def _hook(r: random.Random) -> Turn:
    part, line = pick(r, ("seat hold", "webhook", "barcode", "payout")), r.randint(12, 240)
    error, cause = pick(r, (
        ("KeyError: 'reservation'", "The provider sends `reservation_id` for partial holds, so the lookup fails only there. Read it with `.get` and fall back to the parent."),
        ("sold the same seat twice", "Check and insert are two statements; under load both workers pass the check. Put a unique index on (event_id, seat) and catch the violation."),
        ("signature mismatch on some calls", "You hash the parsed JSON. Re-serialising changes spacing and the order of keys; hash the raw body."),
        ("times off by one hour since Sunday", "`replace(tzinfo=...)` attaches a fixed offset. Convert from UTC with the venue's zone, otherwise summer time is ignored."),
    ))
    return Turn(f"{part}.py line {line}: {error}\n\n```python\ndef handle_{part.replace(' ', '_')}(payload, db):\n    key = payload['{pick(r, ('reservation', 'order', 'seat'))}']\n    row = db.get(key)\n    if not row or row.expires < now():\n        db.put(key, {{'event': payload['event'], 'tries': {r.randint(1, 9)}}})\n    return sign(json.dumps(payload))\n```\nwhy, and fix it", f"{cause}\n\n```python\ndef handle_{part.replace(' ', '_')}(raw: bytes, db):\n    payload = json.loads(raw)\n    with db.transaction():\n        row = db.lock(payload['event'])\n        if row is None or row.expires < utcnow():\n            db.insert(row_of(payload), tries={r.randint(1, 9)})\n    return sign(raw)\n```")


def _typo(r: random.Random) -> Turn:
    text = _blurbed(r, pick(r, tuple(_GENRES))) + f" {fill(r, pick(r, _GOOD), _words(r)).capitalize()}, they say."
    return Turn(f"fix typos only:\n{misspelt(r, text)}", text)


SITES = (
    Site("mail.topic", 1, "intent", _topic, weight=10, params={"max_tokens": 5}),
    Site("order.parse", 1, "extraction", _order, weight=6),
    Site("comment.spam", 1, "moderation", _spam, weight=5, params={"max_tokens": 2}),
    Site("review.mood", 1, "classification", _mood, weight=4),
    Site("event.genre", 1, "classification", _genre, weight=4),
    Site("date.iso", 1, "extraction", _iso, weight=4),
    Site("event.title", 1, "rewrite", _title, weight=3),
    Site("seat.parse", 1, "extraction", _seat, weight=2.5),
    Site("lineup.artists", 1, "extraction", _lineup, weight=2.5),
    Site("mail.urgency", 1, "classification", _urgent, weight=2.5, since=0.5),
    Site("sms.shorten", 1, "rewrite", _sms, weight=2),
    Site("text.typos", 1, "rewrite", _typo, weight=2),
    Site("mail.lang", 1, "classification", _language, weight=2),
    Site("event.age", 1, "classification", _age, weight=2),
    Site("rider.pyro", 1, "classification", _rider, weight=2),
    Site("chargeback.reason", 1, "classification", _chargeback, weight=1.5),
    Site("venue.address", 1, "extraction", _address, weight=1.5),
    Site("mail.reply", 2, "generation", _reply, weight=6, params={"temperature": 0.5}),
    Site("house.faq", 2, "generation", _house, weight=4),
    Site("event.blurb", 2, "generation", _blurb, weight=3, params={"temperature": 0.9}),
    Site("feedback.sum", 2, "summarization", _feedback, weight=3),
    Site("night.report", 2, "summarization", _report, weight=2),
    Site("newsletter", 2, "generation", _news, weight=1.5, since=0.55),
    Site("refund.amount", 3, "reasoning", _refund, weight=3),
    Site("settle.promoter", 3, "reasoning", _settle, weight=1.5),
    Site("seats.together", 3, "reasoning", _together, weight=2),
    Site("door.plan", 3, "reasoning", _staff, weight=1.5),
    Site("stats.sql", 3, "code", _query, weight=1.5),
    Site("price.review", 3, "reasoning", _price, weight=1),
    Site("dev.bug", 3, "code", _hook, weight=1),
)
