"""A food delivery platform: Dutch, Polish and English, prompts as YAML and as questions, answers with emphasis and units."""

import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, LAST, code, day, misspelt, money, name, pick, prose, sentence

_NL = {
    "te laat": ("mijn eten is er nog niet", "al een uur aan het wachten", "bezorger is verdwaald"),
    "verkeerd": ("ik kreeg een andere bestelling", "er ontbreekt een gerecht", "geen saus bijgeleverd"),
    "kwaliteit": ("de soep was koud", "de friet was slap", "het smaakte bedorven"),
    "betaling": ("twee keer afgeschreven", "de kortingscode werkt niet", "ik wil mijn geld terug"),
}
_PL = {
    "pochwała": ("pyszne jedzenie", "kurier był świetny"),
    "skarga": ("zimna pizza", "czekałem dwie godziny"),
    "pytanie": ("czy macie dania bez glutenu", "jak zmienić adres"),
}
_CUISINE = {
    "Italian": ("margherita", "tiramisu", "carbonara"),
    "Japanese": ("salmon nigiri", "ramen", "gyoza"),
    "Indian": ("palak paneer", "naan", "korma"),
    "Mexican": ("tacos al pastor", "guacamole", "burrito"),
    "Burgers": ("cheeseburger", "fries", "milkshake"),
    "Vegan": ("tofu bowl", "lentil salad", "oat latte"),
}
_ALLERGENS = {
    "milk": "cream",
    "gluten": "wheat noodles",
    "nuts": "roasted almonds",
    "egg": "mayonnaise",
    "fish": "anchovies",
    "soy": "soy sauce",
}
_RIDER = {
    "ACCIDENT": ("I fell off the bike", "a car hit me"),
    "ADDRESS": ("cannot find the door", "nobody opens"),
    "PAY": ("my hours are missing", "tips were not paid"),
    "APP": ("the map is frozen", "cannot accept jobs"),
    "SHIFT": ("swap my Friday", "I am ill tomorrow"),
}


def _dutch(r: random.Random) -> Turn:
    label = pick(r, tuple(_NL))
    return Turn(f"Hoi, {pick(r, _NL[label])}, bestelling {code(r)}. Groeten {pick(r, FIRST)}", f"**{label}**")


def _polish(r: random.Random) -> Turn:
    label = pick(r, tuple(_PL))
    return Turn(f"{pick(r, _PL[label])}, {pick(r, CITIES)}, {pick(r, FIRST)} {r.randint(1, 99)}", label)


def _cuisine(r: random.Random) -> Turn:
    label = pick(r, tuple(_CUISINE))
    return Turn(
        f"name: {pick(r, LAST)}'s\nmenu: [{', '.join(r.sample(_CUISINE[label], 2))}]\ncity: {pick(r, CITIES)}",
        f"cuisine: {label}\nbecause: it serves {pick(r, _CUISINE[label])}",
    )


def _allergens(r: random.Random) -> Turn:
    found = sorted(r.sample(tuple(_ALLERGENS), r.randint(1, 3)))
    return Turn(
        f"Dish {r.randint(1, 99)}: {', '.join(_ALLERGENS[each] for each in found)}, herbs, {pick(r, ('rice', 'salad', 'beans'))}",
        ", ".join(found),
    )


def _rider(r: random.Random) -> Turn:
    label = pick(r, tuple(_RIDER))
    return Turn(
        f"rider {r.randint(100, 999)}: {pick(r, _RIDER[label])}. {sentence(r)}",
        json.dumps(
            {"topic": label, "urgent": label == "ACCIDENT", "rationale": f"rider says {pick(r, _RIDER[label])}"}
        ),
    )


def _review(r: random.Random) -> Turn:
    bad = r.random() < 0.2
    return Turn(
        f"{pick(r, ('the owner is a pig', 'eat dirt, losers')) if bad else pick(r, ('too salty', 'lovely curry', 'small portion'))}! {sentence(r)}",
        "reject" if bad else "accept",
    )


def _menu(r: random.Random) -> Turn:
    rows = [(pick(r, _CUISINE[pick(r, tuple(_CUISINE))]), money(r, 4, 30)) for _ in range(r.randint(3, 6))]
    return Turn(
        "\n".join(f"{n + 1}  {dish} ..... {price}" for n, (dish, price) in enumerate(rows)) + f"\n{sentence(r)}",
        json.dumps({"dishes": [{"name": d, "price": float(p)} for d, p in rows]}),
    )


def _address(r: random.Random) -> Turn:
    street, number, town, floor = (
        f"{pick(r, LAST)} Street",
        str(r.randint(1, 200)),
        pick(r, CITIES),
        str(r.randint(0, 9)),
    )
    return Turn(
        f"bring it to {number} {street.lower()}, {town}, floor {floor}, ring at {pick(r, LAST)}",
        f"street={street}; number={number}; city={town}; floor={floor}",
    )


def _phone(r: random.Random) -> Turn:
    digits = f"{r.randint(600, 699)}{r.randint(100000, 999999)}"
    return Turn(f"call me {digits[:3]}-{digits[3:6]} {digits[6:]} when outside, {pick(r, FIRST)}", digits)


def _fix(r: random.Random) -> Turn:
    text = " ".join(sentence(r) for _ in range(r.randint(4, 8)))
    return Turn(misspelt(r, text), text)


def _dish(r: random.Random) -> Turn:
    return Turn(
        f"dish: {pick(r, _CUISINE['Indian'])}\nwith: {', '.join(r.sample(tuple(_ALLERGENS.values()), 3))}", prose(r, 2)
    )


def _apology(r: random.Random) -> Turn:
    return Turn(
        f"customer {name(r)}, {pick(r, _NL['te laat'])}, voucher {r.randint(5, 20)}",
        f"Beste {pick(r, FIRST)},\n\n{prose(r, 4)}\n\nMet vriendelijke groet",
    )


def _weekly(r: random.Random) -> Turn:
    return Turn(
        "\n".join(f"{day(r)} {sentence(r)}" for _ in range(24)), "\n".join(f"- {sentence(r)}" for _ in range(4))
    )


def _faq(r: random.Random) -> Turn:
    return Turn(
        "\n\n".join(f"({n}) {prose(r, 3)}" for n in range(1, 5))
        + f"\n\nQ: {pick(r, ('Can I tip in cash?', 'Do you deliver alcohol?', 'How do refunds work?'))} {pick(r, FIRST)}",
        f"{sentence(r)} ({r.randint(1, 4)})",
    )


def _voucher(r: random.Random) -> Turn:
    return Turn(
        f"give {name(r)} {r.randint(5, 30)} off the next order",
        "",
        (("issue_voucher", json.dumps({"query": name(r)})),),
    )


def _liable(r: random.Random) -> Turn:
    cooked, sent, eta, waited = r.randint(5, 50), r.randint(1, 30), r.randint(20, 60), r.randint(0, 15)
    who = (
        "restaurant"
        if cooked > eta - 10
        else "customer"
        if waited > 8
        else "courier"
        if cooked + sent + waited > eta
        else "nobody"
    )
    return Turn(
        f"Promised in {eta} min. Food ready after {cooked} min, ride {sent} min, courier waited {waited} min at the door. {pick(r, ('Rain.', 'Road works.', 'Lift broken.'))} {sentence(r)}",
        f"{who}\n{sentence(r)}",
    )


def _ration(r: random.Random) -> Turn:
    return Turn(
        f"{r.randint(2, 9)} portions of {r.randint(80, 400)} g at {r.randint(90, 380)} kcal per 100 g, {r.randint(10, 30)}% lost in cooking, {r.randint(1, 4)} guests eat double. Each plain portion?",
        f"{r.randint(150, 1200)} kcal",
    )


def _routing(r: random.Random) -> Turn:
    return Turn(
        "Depot 0. Stops "
        + "; ".join(
            f"{n}: {r.randint(1, 9)} km, before {r.randint(17, 21)}:{r.choice(('00', '30'))}" for n in range(1, 6)
        )
        + ". Two bags.",
        "-".join(map(str, r.sample(range(1, 6), 5))),
    )


def _plan(r: random.Random) -> Turn:
    return Turn(
        f"Orders fell {r.randint(3, 30)}% in {pick(r, CITIES)} after we raised the fee to {r.randint(2, 5)}.{r.randint(10, 99)}. {sentence(r)} {sentence(r)} Is it the fee?",
        prose(r, r.randint(8, 14)),
    )


def _js(r: random.Random) -> Turn:
    return Turn(
        f"cart total ignores the {pick(r, ('voucher', 'tip', 'deposit'))} when there are {r.randint(2, 9)} items",
        f"```js\nexport function total(cart) {{\n  return cart.items.reduce((s, i) => s + i.price, 0) - {r.randint(1, 9)};\n}}\n```",
    )


def _dispatch(r: random.Random) -> Turn:
    turns: list[Message] = [
        {"role": "user", "content": f"Order {code(r)} has no courier since {r.randint(10, 50)} min."}
    ]
    for n in range(r.randint(0, 4)):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"m{n}", "type": "function", "function": {"name": "list_couriers", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": f"m{n}", "content": json.dumps({"free": [pick(r, FIRST)]})},
        ]  # fmt: skip
    return Turn(turns, "", ((pick(r, ("list_couriers", "assign", "refund")), json.dumps({"query": code(r)})),))


COMPANY = Company(
    "meals", True,
    (
        Site("support.nl", 1, "intent", _dutch, "Waar gaat het bericht over? te laat, verkeerd, kwaliteit, betaling", 7),
        Site("feedback.pl", 1, "classification", _polish, "Pochwała, skarga czy pytanie?", 4),
        Site("shop.cuisine", 1, "classification", _cuisine, "task: assign a cuisine\nchoices: [" + ", ".join(_CUISINE) + "]\noutput: |\n  cuisine: <choice>\n  because: <few words>", 5),
        Site("dish.allergens", 1, "classification", _allergens, "Allergens of the dish (milk, gluten, nuts, egg, fish, soy)?", 4),
        Site("rider.topic", 1, "intent", _rider, "Riders' messages. JSON with topic, urgent, rationale.", 5),
        Site("review.gate", 1, "moderation", _review, "accept or reject the review", 5),
        Site("menu.scan", 1, "extraction", _menu, "Menu text to JSON.", 5),
        Site("order.address", 1, "extraction", _address, "address fields as street=; number=; city=; floor=", 4),
        Site("order.phone", 1, "extraction", _phone, "Phone number, digits only.", 2),
        Site("text.fix", 1, "rewrite", _fix, "Fix the owner's text.", 3),
        Site("dish.blurb", 2, "generation", _dish, "Two appetising sentences about the dish.", 4),
        Site("support.apology", 2, "generation", _apology, "Schrijf de klant een excuusmail.", 3),
        Site("city.weekly", 2, "summarization", _weekly, "What happened in the city this week? Four bullets.", 2),
        Site("faq.answer", 2, "generation", _faq, "Answer with the number of the passage.", 4),
        Site("support.voucher", 2, "tool_use", _voucher, "Vouchers.", 2, tools=("issue_voucher",)),
        Site("delay.liable", 3, "reasoning", _liable, "Whose fault is the delay? restaurant, courier, customer or nobody; next line: why.", 2),
        Site("kitchen.ration", 3, "reasoning", _ration, "Number and unit.", 1),
        Site("fleet.tour", 3, "reasoning", _routing, "Best order of stops.", 1),
        Site("growth.why", 3, "reasoning", _plan, "You advise the growth team.", 1.2),
        Site("web.bugfix", 3, "code", _js, "You fix our web shop.", 1.2),
        Site("dispatch.agent", 3, "tool_use", _dispatch, "Dispatch desk; solve the case with the tools.", 2, tools=("list_couriers", "assign", "refund", "call_customer")),
    ),
)  # fmt: skip
