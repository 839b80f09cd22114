"""A marketplace for second-hand goods: four languages, Markdown prompts with examples, chatty answers."""

import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, THINGS, day, misspelt, money, pick, prose, sentence

_TREE = {
    "Home > Kitchen": ("kettle", "toaster", "bread knife", "coffee grinder", "pan set", "fondue pot"),
    "Sports > Outdoor": ("tent", "hiking boots", "climbing rope", "head torch", "sleeping bag"),
    "Electronics > Audio": ("headphones", "turntable", "soundbar", "tape deck", "amplifier"),
    "Fashion > Women": ("silk blouse", "wool skirt", "leather clutch", "trench coat"),
    "Kids > Toys": ("wooden train", "doll house", "building bricks", "rocking horse"),
    "Garden": ("garden hose", "lawn mower", "parasol", "plant pots"),
}
_STATE = {
    "neuf": ("jamais porté, étiquette encore dessus", "sous blister", "cadeau non ouvert"),
    "tres_bon": ("porté deux fois", "comme neuf, sans défaut", "à peine utilisé"),
    "bon": ("quelques traces d'usage", "légères rayures", "utilisé un an mais propre"),
    "abime": ("il manque un bouton", "fermeture cassée", "tache sur la manche, ne marche plus bien"),
}
_WHY = {
    "PROHIBITED_ITEM": ("airsoft gun with pellets", "prescription pills, unopened", "ivory figurine"),
    "OFF_PLATFORM": ("write me on whatsapp, cheaper", "pay by bank transfer and skip the fees", "call my number"),
    "COUNTERFEIT": ("same as the real brand, you cannot see a difference", "AAA replica bag with box"),
    "OK": ("selling because we are moving", "smoke-free home", "pick-up only, fits in a small car", "box included"),
}
_PT = {
    "envio": ("ainda não recebi a encomenda", "o código de rastreio não funciona", "quando chega o pacote"),
    "reembolso": ("quero o meu dinheiro de volta", "o artigo veio partido", "devolvi e não fui reembolsado"),
    "conta": ("não consigo entrar na conta", "mudar o meu e-mail", "esqueci a palavra-passe"),
    "venda": ("como publico um anúncio", "o meu anúncio foi removido", "quero baixar o preço"),
}
_JA = {
    "配送": ("まだ届きません", "追跡番号が動かない", "いつ届きますか"),
    "返品": ("壊れていたので返品したい", "サイズが合わない", "色が写真と違います"),
    "支払い": ("クレジットカードが使えない", "二重に請求された", "領収書をください"),
}
_BRANDS = "Arlo Bexley Corvo Dahlin Elmwood Fjordal Gantry Holm Isola Jarvik".split()


def _thing(r: random.Random) -> tuple[str, str]:
    path = pick(r, tuple(_TREE))
    return path, pick(r, _TREE[path])


def _category(r: random.Random) -> Turn:
    path, thing = _thing(r)
    if r.random() < 0.05:
        path = pick(r, tuple(_TREE))
    said = r.choices((path, f"**{path}**", f"The best category is: {path}"), (8, 1, 1))[0]
    return Turn(
        f"Title: {pick(r, ('', 'vintage ', 'nearly new ', 'nice '))}{thing} {pick(r, _BRANDS)}\nDescription: {pick(r, ('Bought in', 'Comes from'))} {pick(r, CITIES)}, {r.randint(1998, 2025)}. {sentence(r)}",
        said,
    )


def _state(r: random.Random) -> Turn:
    label = pick(r, tuple(_STATE))
    return Turn(
        f"Voici l'annonce : « {pick(r, THINGS)}, {pick(r, _STATE[label])}. Envoi rapide depuis {pick(r, CITIES)}. »\nÉtat de l'article ?",
        label.upper(),
    )


def _policy(r: random.Random) -> Turn:
    label = r.choices(tuple(_WHY), (1, 2, 1, 9))[0]
    thing = _thing(r)[1]
    return Turn(
        f'<listing id="{r.randint(10**6, 10**7)}">\n<title>{thing}</title>\n<body>{pick(r, _WHY[label])}. {sentence(r)}</body>\n</listing>',
        f"{label}\nReason: the listing of a {thing} {'shows nothing against the rules' if label == 'OK' else 'breaks the rule about ' + label.lower().replace('_', ' ')}.",
    )


def _attributes(r: random.Random) -> Turn:
    thing, brand, colour, size = (
        _thing(r)[1],
        pick(r, _BRANDS),
        pick(r, ("red", "black", "sage", "ecru")),
        r.choice(("S", "M", "38", "42", None)),
    )
    price = money(r)
    text = f"{brand} {thing} in {colour}{f', size {size}' if size else ''}. Paid {price} in {pick(r, CITIES)} on {day(r)}. {sentence(r)}"
    found = {
        "item": {"name": thing, "brand": brand},
        "attributes": [{"key": "colour", "value": colour}, *([{"key": "size", "value": size}] if size else [])],
        "purchase": {"price": float(price), "currency": None},
    }
    body = json.dumps(found, indent=2)
    return Turn(
        text, f"Here is the extracted data:\n\n```json\n{body}\n```" if r.random() < 0.4 else f"```json\n{body}\n```"
    )


def _portuguese(r: random.Random) -> Turn:
    label = pick(r, tuple(_PT))
    return Turn(f"Olá, {pick(r, _PT[label])}. Pedido {r.randint(10000, 99999)}. Obrigado, {pick(r, FIRST)}", label)


def _japanese(r: random.Random) -> Turn:
    label = pick(r, tuple(_JA))
    return Turn(
        f"お問い合わせ: {pick(r, _JA[label])}。注文番号は{r.randint(10000, 99999)}です。よろしくお願いします。{pick(r, FIRST)}",
        f"カテゴリ: {label}",
    )


def _title(r: random.Random) -> Turn:
    path, thing = _thing(r)
    brand = pick(r, _BRANDS)
    clean = f"{brand} {thing}, {path.split(' > ')[-1].lower()}"
    return Turn(f"!!! {clean.upper()} !!! L@@K {pick(r, ('WOW', 'TOP', 'NR'))}", clean)


def _tidy(r: random.Random) -> Turn:
    text = " ".join(sentence(r) for _ in range(r.randint(6, 14)))
    return Turn(f"Corrige l'orthographe du texte suivant sans rien changer d'autre :\n\n{misspelt(r, text)}", text)


def _link(r: random.Random) -> Turn:
    brand = pick(r, _BRANDS)
    rows = [f"{n}: {b} {_thing(r)[1]}" for n, b in enumerate(r.sample(_BRANDS, 6), 1)]
    at = r.randrange(6)
    wanted = rows[at].split(": ")[1]
    return Turn(
        f"Listing: {wanted.lower()} {pick(r, ('good shape', 'from a flat sale', 'barely used'))} {pick(r, FIRST)}\n\nCatalogue candidates:\n"
        + "\n".join(rows)
        + f"\n\nNote: sellers often write {brand} wrongly.",
        str(at + 1),
    )


def _stars(r: random.Random) -> Turn:
    stars = r.randint(1, 5)
    words = (
        ("awful, broken on arrival", "scam, avoid"),
        ("late and dirty", "not as described"),
        ("okay, nothing special", "fair for the money"),
        ("happy, small scratch", "good seller"),
        ("perfect, thank you", "wonderful, like new"),
    )[stars - 1]
    return Turn(
        f"Review: {pick(r, words)} ({pick(r, THINGS)}). {pick(r, FIRST)}", json.dumps({"stars": stars, "toxic": False})
    )


def _topics(r: random.Random) -> Turn:
    cues = {
        "delivery": "came late",
        "packaging": "box was crushed",
        "price": "too expensive",
        "seller": "seller was rude",
        "quality": "cheap material",
    }
    found = sorted(r.sample(sorted(cues), r.choice((1, 1, 2, 3))))
    return Turn(
        f"{', '.join(cues[each] for each in found)} - {pick(r, THINGS)} from {pick(r, CITIES)}", json.dumps(found)
    )


def _translate(r: random.Random) -> Turn:
    state = pick(r, tuple(_STATE))
    return Turn(
        f"{pick(r, THINGS)}, {pick(r, _STATE[state])}, {pick(r, _STATE[state])}. {sentence(r)}",
        f"{pick(r, ('A well-kept', 'A used', 'A lovely'))} {pick(r, THINGS)}: {pick(r, ('hardly worn', 'some marks', 'in its box'))}. {sentence(r)}",
    )


def _describe(r: random.Random) -> Turn:
    thing, brand = _thing(r)[1], pick(r, _BRANDS)
    return Turn(
        f"- item: {thing}\n- brand: {brand}\n- bought: {day(r)}\n- flaws: {pick(r, _STATE['bon'])}",
        f"## {brand} {thing}\n\n{prose(r, 4)}\n\n* {sentence(r)}\n* {sentence(r)}",
    )


def _help(r: random.Random) -> Turn:
    docs = "\n\n".join(f"[{n}] {prose(r, 4)}" for n in range(1, 5))
    return Turn(
        f"Sources:\n{docs}\n\nQuestion: {pick(r, ('How do I get a refund?', 'Who pays for the return?', 'When is the seller paid?'))} My order is from {pick(r, CITIES)}.",
        f"{sentence(r)} [{r.randint(1, 4)}] {sentence(r)} [{r.randint(1, 4)}]",
    )


def _negotiate(r: random.Random) -> Turn:
    return Turn(
        f"Buyer offers {r.randint(10, 90)} for the {pick(r, THINGS)}, asked {r.randint(91, 150)}. {pick(r, FIRST)} wants to stay friendly.",
        f"Hi {pick(r, FIRST)}! {prose(r, 3)}",
    )


def _recap(r: random.Random) -> Turn:
    turns = "\n".join(f"{pick(r, ('Acheteur', 'Vendeur'))}: {sentence(r)}" for _ in range(14))
    return Turn(f"Résume la conversation pour l'agent en deux phrases.\n\n---\n{turns}\n---", prose(r, 2))


def _dispute(r: random.Random) -> Turn:
    sent, due, got, claim = r.randint(1, 9), r.randint(3, 7), r.randint(4, 20), r.randint(6, 25)
    photo, insured = r.random() < 0.5, r.random() < 0.5
    text = (
        f"Order paid on the {sent}th. Seller promised {due} days. Parcel scanned as delivered on the {sent + got}th. Buyer says {pick(r, ('the box was empty', 'the item is damaged', 'another item was inside'))} and claimed on the "
        f"{sent + got + claim}th. Seller {'has a photo of the packed item' if photo else 'has no proof of packing'}; the parcel was {'insured' if insured else 'not insured'}. {sentence(r)}"
    )
    if claim > 14:
        return Turn(text, "SELLER")
    return Turn(text, "CARRIER" if photo and insured else "SELLER" if photo else "BUYER")


def _fees(r: random.Random) -> Turn:
    price, rate, fixed, ship = r.randint(20, 400), r.randint(5, 12), r.randint(1, 3), r.randint(4, 15)
    share = r.randint(10, 50)
    net = price * (1 - rate / 100) - fixed - ship
    return Turn(
        f"Vendu {price} €, commission {rate} % plus {fixed} € fixes, port {ship} € payé par le vendeur, {share} % du net reversé à l'association.",
        f"{net * (1 - share / 100):.2f}",
    )


def _ring(r: random.Random) -> Turn:
    rows = "\n".join(
        f"{pick(r, FIRST)}{r.randint(1, 9)} -> {pick(r, FIRST)}{r.randint(1, 9)}: {r.randint(5, 300)} EUR, card {r.randint(1000, 1010)}, {day(r)}"
        for _ in range(14)
    )
    return Turn(
        f"{rows}\n\nIs this a wash-trading ring? Who is at its centre?",
        f"{pick(r, ('Likely', 'Unlikely', 'Unclear'))}. {prose(r, 5)} Because of this, {sentence(r).lower()} Therefore {sentence(r).lower()}",
    )


def _agent(r: random.Random) -> Turn:
    turns: list[Message] = [
        {
            "role": "user",
            "content": f"Mon colis {r.randint(10000, 99999)} est bloqué et le vendeur ne répond pas, que faire ?",
        }
    ]
    steps = r.randint(0, 3)
    for n in range(steps):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"t{n}", "type": "function", "function": {"name": "get_order", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": f"t{n}", "content": json.dumps({"status": pick(r, ("held", "lost", "returned")), "since": day(r)})},
        ]  # fmt: skip
    if steps == 3:
        return Turn(turns, f"J'ai ouvert un litige. {prose(r, 2)}")
    return Turn(
        turns,
        "",
        (
            (
                pick(r, ("get_order", "track_parcel", "open_dispute")),
                json.dumps({"query": str(r.randint(10000, 99999))}),
            ),
        ),
    )


def _sql(r: random.Random) -> Turn:
    what = pick(r, ("sellers", "orders", "listings"))
    return Turn(
        f"{pick(r, ('top 20', 'median price of', 'share of returned'))} {what} per {pick(r, ('week', 'country', 'category'))} since {day(r)}, without test accounts",
        f"Here you go:\n\n```sql\nWITH clean AS (SELECT * FROM {what} WHERE NOT is_test)\nSELECT date_trunc('week', created_at) AS w, count(*)\nFROM clean\nGROUP BY 1\nORDER BY 1;\n```\n\nLet me know if you need another grouping.",  # noqa: S608
    )


def _coach(r: random.Random) -> Turn:
    turns: list[Message] = []
    for _ in range(r.randint(0, 3)):
        turns += [
            {"role": "user", "content": f"{sentence(r)} What should I do?"},
            {"role": "assistant", "content": prose(r, 5)},
        ]
    return Turn(
        [
            *turns,
            {
                "role": "user",
                "content": f"My {pick(r, THINGS)} does not sell. {sentence(r)} {pick(r, ('Ideas?', 'Lower the price or wait?', 'Bundle it?'))}",
            },
        ],
        prose(r, r.randint(5, 10)),
    )


_MD = "# Role\nYou maintain the catalogue of a second-hand marketplace.\n\n# Task\n"

COMPANY = Company(
    "flea", True,
    (
        Site("listing.category", 1, "classification", _category, _MD + "Place the listing in the category tree.\n\n# Categories\n" + "\n".join(f"- {path}" for path in _TREE) + "\n\n# Example\nTitle: old toaster\n-> Home > Kitchen", 8),
        Site("listing.state", 1, "classification", _state, "", 5),
        Site("listing.policy", 1, "moderation", _policy, "You enforce the listing rules. <rules>weapons, medicine, protected species; no contact outside the platform; no replicas</rules> First line: PROHIBITED_ITEM, OFF_PLATFORM, COUNTERFEIT or OK. Second line: the reason.", 7),
        Site("listing.attributes", 1, "extraction", _attributes, _MD + "Extract item, attributes and purchase as nested JSON. Use null for what is not stated.\n\n# Schema\n```json\n{\"item\": {\"name\": \"\", \"brand\": \"\"}, \"attributes\": [{\"key\": \"\", \"value\": \"\"}], \"purchase\": {\"price\": 0, \"currency\": null}}\n```", 6),
        Site("support.pt", 1, "intent", _portuguese, "Classifica a mensagem do cliente: envio, reembolso, conta, venda. Responde só com a palavra.", 4),
        Site("support.ja", 1, "intent", _japanese, "お客様の問い合わせを分類してください。配送、返品、支払いのどれかです。", 3),
        Site("listing.title", 1, "rewrite", _title, "Clean up listing titles.\n\nIn: !!! ARLO KETTLE, KITCHEN !!! WOW\nOut: Arlo kettle, kitchen", 3),
        Site("text.correct", 1, "rewrite", _tidy, "", 3),
        Site("catalogue.link", 1, "classification", _link, "Which catalogue entry is the listing about? Return the entry's number.", 2.5),
        Site("review.stars", 1, "classification", _stars, "", 3, response_format={"type": "json_object"}),
        Site("review.topics", 1, "classification", _topics, "List the complaint topics in the review (delivery, packaging, price, seller, quality) as a JSON array.", 2.5),
        Site("listing.translate", 2, "generation", _translate, "Translate the listing into natural English for our UK site.", 4),
        Site("listing.describe", 2, "generation", _describe, _MD + "Write an attractive description in Markdown from the seller's bullet points.", 3),
        Site("help.answer", 2, "generation", _help, "Answer from the sources and cite them like [2]. If they do not hold the answer, say so.", 4),
        Site("chat.counter", 2, "generation", _negotiate, "Suggest the seller's reply to an offer.", 2.5),
        Site("support.recap", 2, "summarization", _recap, "", 2.5),
        Site("dispute.decide", 3, "reasoning", _dispute, "Decide who bears the loss: BUYER, SELLER or CARRIER. Claims later than 14 days after delivery fail. One word.", 2.5),
        Site("fees.net", 3, "reasoning", _fees, "Montant reversé à l'association ? Donne seulement le nombre.", 1.2),
        Site("fraud.ring", 3, "reasoning", _ring, "You are a fraud analyst. Look at the transfers.", 1.2),
        Site("support.agent", 3, "tool_use", _agent, "Tu es l'agent du service client. Utilise les outils jusqu'à ce que le problème soit résolu.", 2, tools=("get_order", "track_parcel", "open_dispute", "refund", "escalate")),
        Site("bi.sql", 3, "code", _sql, "Snowflake. Tables: sellers, orders, listings. Answer business questions with a query.", 1.5),
        Site("seller.coach", 3, "chat", _coach, "You are a friendly coach for sellers. Talk things through with them.", 1.5),
    ),
)  # fmt: skip
