"""A shopping mall's app: no system prompts, the task stands in the user's message; French, Spanish and English."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, THINGS, day, misspelt, money, name, pick, prose, transcript

_FEELINGS = {
    "positif": ("J'adore", "Très bonne qualité", "Livraison rapide, parfait"),
    "négatif": ("Déçu", "Cassé à l'arrivée", "Je ne recommande pas"),
    "neutre": ("Correct sans plus", "Ça fait le travail", "Moyen"),
}


def _review(r: random.Random) -> Turn:
    label = pick(r, tuple(_FEELINGS))
    text = f"{pick(r, _FEELINGS[label])} ({pick(r, THINGS)}), {pick(r, FIRST)} {r.randint(1, 99)}"
    return Turn(f"Avis client :\n« {text} »\n\nRessenti (positif, négatif, neutre) :", label)


def _ticket(r: random.Random) -> Turn:
    lost, where = pick(r, THINGS), pick(r, ("nivel 1", "parking", "cine", "food court"))
    who = name(r)
    return Turn(
        f"De este aviso saca objeto, lugar y persona como JSON.\n\nAviso: {who} perdió {lost} en {where} el {day(r)}.",
        json.dumps({"objeto": lost, "lugar": where, "persona": who}, ensure_ascii=False),
    )


def _spanish(r: random.Random) -> Turn:
    text = f"El {pick(r, THINGS)} está en oferta hasta el {day(r)}, solo en la tienda de {pick(r, CITIES)}."
    return Turn(f"Ortografía y acentos, nada más:\n{misspelt(r, text)}", text)


def _offer(r: random.Random) -> Turn:
    a, b, c = r.randint(10, 90), r.randint(5, 40), r.randint(2, 9)
    return Turn(
        f"Un client achète {c} {pick(r, THINGS)} à {a} € avec {b} % de remise, un bon de {c + 3} € et paie {r.randint(2, 5)} fois sans frais, "
        f"dont {r.randint(1, 9)} € de dossier. Montant de la première mensualité ?",
        f"{round(a * c * (100 - b) / 100, 2)} €",
    )


def _post(r: random.Random) -> Turn:
    return Turn(
        f"Instagram post for {pick(r, THINGS)} at {pick(r, CITIES)} mall, mood: {pick(r, ('sunny', 'cosy', 'bold'))}",
        f"{prose(r, 3)} #mall #{pick(r, CITIES)}",
    )


def _minutes(r: random.Random) -> Turn:
    return Turn(
        f"Procès-verbal des commerçants. Points décidés, en bref.\n\n{transcript(r, 30)}",
        f"• {prose(r, 2)}\n• {prose(r, 1)}",
    )


def _which(r: random.Random) -> Turn:
    price = sorted(r.sample(range(20, 400), 4))
    options = "\n".join(
        f"{letter}) {pick(r, THINGS)}, {p} €, {r.randint(1, 5)} ans de garantie, {r.randint(1, 9)} kg"
        for letter, p in zip("ABCD", price, strict=True)
    )
    return Turn(
        f"Budget {r.randint(50, 300)} €, usage {pick(r, ('quotidien', 'voyage'))}, au moins {r.randint(1, 4)} ans de garantie.\n{options}\nLe meilleur choix :",
        pick(r, "ABCD"),
    )


def _translate(r: random.Random) -> Turn:
    text = prose(r, 5)
    return Turn(f"In Spanish for the website:\n\n{text}", " ".join(f"La {w[::-1]}" for w in text.split()[:50]))


def _age(r: random.Random) -> Turn:
    adult = r.random() < 0.3
    return Turn(
        f"Product: {pick(r, ('gin', 'knife', 'lighter') if adult else THINGS)} {r.randint(1, 999)}. 18+? y/n",
        "y" if adult else "n",
    )


def _reply(r: random.Random) -> Turn:
    return Turn(
        f"Réponds à cet avis une étoile, excuse-toi, propose un geste : {prose(r, 2)}",
        f"Bonjour, {prose(r, 4)} L'équipe du centre",
    )


def _puzzle(r: random.Random) -> Turn:
    x = r.sample(FIRST, 3)
    return Turn(
        f"{x[0]}, {x[1]} y {x[2]} cierran en turnos. {x[0]} no cierra el lunes. {x[1]} cierra antes que {x[2]}. El martes cierra alguien que no es "
        f"{x[1]}. Si {x[2]} libra {r.randint(1, 3)} días, ¿quién cierra el miércoles? Solo el nombre.",
        pick(r, x),
    )


def _receipt(r: random.Random) -> Turn:
    shop, total, when = pick(r, ("ZARA", "FNAC", "LIDL")), money(r), day(r)
    return Turn(
        f"shop/total/date?\n---\n{shop} {pick(r, CITIES)}\n{pick(r, THINGS)} {money(r)}\nTOTAL {total}\n{when}\n---",
        f"{shop}/{total}/{when}",
    )


def _chat(r: random.Random) -> Turn:
    asked: list[dict[str, object]] = [
        {"role": "user", "content": f"hey, got any idea for {pick(r, CITIES)} with kids?"}
    ]
    for _ in range(r.randint(1, 3)):
        asked += [
            {"role": "assistant", "content": prose(r, 3)},
            {"role": "user", "content": f"and what about {pick(r, THINGS)}? {prose(r, 1)}"},
        ]
    return Turn(asked, prose(r, 8))


def _faq(r: random.Random) -> Turn:
    return Turn(
        f"Passages:\n1. {prose(r, 6)}\n2. {prose(r, 6)}\n3. {prose(r, 6)}\n\nQuestion du visiteur : horaires le {day(r)} ?",
        f"D'après 2, {prose(r, 2)}",
    )


COMPANY = Company(
    "mall", False,
    (
        Site("reviews.feel", 1, "classification", _review, weight=5),
        Site("lost.fields", 1, "extraction", _ticket, weight=3),
        Site("promo.accents", 1, "rewrite", _spanish, weight=2),
        Site("desk.instalment", 3, "reasoning", _offer, weight=1.5),
        Site("social.post", 2, "generation", _post, weight=1.5),
        Site("board.minutes", 2, "summarization", _minutes, weight=1.5),
        Site("guide.choice", 3, "reasoning", _which, weight=1),
        Site("site.translate", 2, "generation", _translate, weight=1),
        Site("shop.adult", 1, "moderation", _age, weight=3),
        Site("reviews.reply", 2, "generation", _reply, weight=1.5),
        Site("staff.roster", 3, "reasoning", _puzzle, weight=1),
        Site("receipts.scan", 1, "extraction", _receipt, weight=3),
        Site("guide.chat", 3, "chat", _chat, weight=1),
        Site("info.faq", 2, "generation", _faq, weight=1.5),
    ),
)  # fmt: skip
