"""A repair service for household appliances: English prompts, customers in German, French, Spanish, Japanese and English.

Borderline: search.english (keywords, but translated: easy), bot.handoff (a yes or no about a chat that has to be read: easy),
reply.translate (two or three sentences into another language: mid), visit.slot (a function call that only copies: easy),
fault.find and repair.worth (one short line for an answer, hard).
"""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import CITIES, FIRST, LAST, code, fill, name, pick, slip

# Word lists and templates read best on long lines.
# fmt: off

_TONGUES = ("de", "de", "de", "fr", "fr", "es", "ja", "en")
_BRANDS = ("Bromm", "Kallista", "Aquaverde", "Nordhaus", "Fujimori", "Elektra", "Tessel")
_DEVICES = {
    "washer": {"de": "Waschmaschine", "fr": "lave-linge", "es": "lavadora", "ja": "洗濯機", "en": "washing machine"},
    "dishwasher": {"de": "Spülmaschine", "fr": "lave-vaisselle", "es": "lavavajillas", "ja": "食洗機", "en": "dishwasher"},
    "fridge": {"de": "Kühlschrank", "fr": "frigo", "es": "nevera", "ja": "冷蔵庫", "en": "fridge"},
    "oven": {"de": "Backofen", "fr": "four", "es": "horno", "ja": "オーブン", "en": "oven"},
    "dryer": {"de": "Trockner", "fr": "sèche-linge", "es": "secadora", "ja": "乾燥機", "en": "dryer"},
    "coffee": {"de": "Kaffeemaschine", "fr": "machine à café", "es": "cafetera", "ja": "コーヒーメーカー", "en": "coffee machine"},
}
_FAULTS = {
    "water": {"de": ("es läuft Wasser aus", "unten ist alles nass", "pumpt nicht mehr ab"), "fr": ("il y a une fuite d'eau", "l'eau ne se vide plus", "le sol est trempé"), "es": ("pierde agua por abajo", "no desagua", "queda agua dentro"), "ja": ("水が漏れています", "排水できません", "床が濡れます"), "en": ("it leaks", "the water won't drain", "there is a puddle under it")},
    "noise": {"de": ("macht einen Höllenlärm", "klappert ständig", "brummt laut"), "fr": ("fait un bruit bizarre", "vibre très fort", "grince sans arrêt"), "es": ("hace mucho ruido", "vibra muchísimo", "suena como una carraca"), "ja": ("異音がします", "振動がひどいです", "ガタガタ音がします"), "en": ("makes a grinding noise", "rattles badly", "hums all night")},
    "power": {"de": ("geht nicht mehr an", "die Sicherung fliegt raus", "ist mitten im Programm ausgegangen"), "fr": ("ne s'allume plus", "fait sauter le disjoncteur", "s'éteint toute seule"), "es": ("no enciende", "salta el diferencial", "se apaga sola"), "ja": ("電源が入りません", "ブレーカーが落ちます", "途中で止まります"), "en": ("won't switch on", "trips the fuse", "dies halfway through")},
    "heat": {"de": ("wird nicht mehr warm", "kühlt nicht richtig", "hält die Temperatur nicht"), "fr": ("ne chauffe plus", "ne refroidit plus", "la température varie"), "es": ("no calienta", "no enfría", "la temperatura no sube"), "ja": ("温まりません", "冷えません", "温度が上がりません"), "en": ("doesn't heat up", "is no longer cold", "can't hold its temperature")},
    "door": {"de": ("die Tür schließt nicht", "der Griff ist abgebrochen", "die Dichtung ist gerissen"), "fr": ("la porte ne ferme plus", "la poignée est cassée", "le joint est déchiré"), "es": ("la puerta no cierra", "se rompió el tirador", "la goma está rota"), "ja": ("ドアが閉まりません", "取っ手が折れました", "パッキンが破れました"), "en": ("the door won't shut", "the handle snapped off", "the seal is torn")},
}
_LINES = {
    "fault": {"de": "{device} von {brand}: {fault}.", "fr": "Bonjour, {device} {brand} : {fault}.", "es": "Hola, {device} {brand}: {fault}.", "ja": "{brand}の{device}ですが、{fault}。", "en": "my {brand} {device}: {fault}"},
    "price": {"de": "{device}: was kostet die Reparatur ungefähr?", "fr": "Combien coûte une réparation ({device}) ?", "es": "¿Cuánto cuesta el arreglo? Es para: {device}", "ja": "{device}の修理はいくらぐらいですか。", "en": "what do you charge for a {device}"},
    "move": {"de": "Ich muss den Termin am {weekday} leider verschieben.", "fr": "Je dois déplacer le rendez-vous de {weekday}.", "es": "Tengo que cambiar la cita del {weekday}.", "ja": "{weekday}の予約を変更したいです。", "en": "can we move {weekday}'s visit"},
    "cancel": {"de": "Bitte stornieren, {device} läuft wieder.", "fr": "Merci d'annuler, l'appareil ({device}) remarche.", "es": "Anulen la visita, {device} ya funciona.", "ja": "キャンセルお願いします。{device}は直りました。", "en": "please cancel, the {device} works again"},
    "where": {"de": "Der Techniker sollte um {hour} Uhr da sein, wo bleibt er?", "fr": "Le technicien devait venir à {hour} h, il est où ?", "es": "El técnico tenía que llegar a las {hour}, ¿dónde está?", "ja": "{hour}時の予定でしたが、まだ来ません。", "en": "your man was due at {hour}, where is he"},
    "part": {"de": "Haben Sie ein Ersatzteil für {brand} {model}?", "fr": "Avez-vous une pièce pour {brand} {model} ?", "es": "¿Tienen recambios para la {brand} {model}?", "ja": "{brand} {model}の部品はありますか。", "en": "do you sell parts for {brand} {model}"},
    "invoice": {"de": "Die Rechnung {order} stimmt nicht, Anfahrt doppelt berechnet.", "fr": "La facture {order} est fausse, deux déplacements comptés.", "es": "La factura {order} está mal, me cobran dos veces.", "ja": "請求書{order}の金額が違います。", "en": "invoice {order} bills the call-out twice"},
    "warranty": {"de": "Ist das noch Garantie? Gekauft habe ich sie {year}.", "fr": "Est-ce encore sous garantie ? Acheté en {year}.", "es": "¿Está en garantía? La compré en {year}.", "ja": "{year}年に買いました。保証は使えますか。", "en": "bought it in {year}, is that still under warranty"},
    "again": {"de": "Nach der Reparatur ist es schlimmer: {fault}!", "fr": "Après votre passage c'est pire : {fault} !", "es": "Después de la reparación está peor: {fault}.", "ja": "修理後なのに、また{fault}。", "en": "you fixed it last week and now again: {fault}"},
}
_MORE = {
    "fault": {"de": "{device} {brand} {model}, Fehler {error}, {fault}", "fr": "panne {error} sur {brand} {model}, {fault}", "es": "sale {error} en la {brand} {model}, {fault}", "ja": "{error}と表示されます。{device}です。", "en": "{error} on the display of the {device}, {fault}"},
    "price": {"de": "Nehmen Sie Anfahrt auch wenn nichts repariert wird?", "fr": "Le devis est-il gratuit ?", "es": "¿El presupuesto es gratis?", "ja": "見積もりは無料ですか。", "en": "is the quote free"},
    "move": {"de": "{weekday} passt mir doch nicht, geht ein anderer Tag?", "fr": "{weekday} finalement impossible, un autre jour ?", "es": "El {weekday} no puedo, ¿otro día?", "ja": "{weekday}は都合が悪くなりました。", "en": "{weekday} is no good after all, later in the week?"},
    "cancel": {"de": "Termin absagen bitte. Haben eine neue gekauft.", "fr": "Annulez, j'ai acheté un appareil neuf.", "es": "Ya no hace falta que vengan.", "ja": "もう来なくて大丈夫です。", "en": "no need to come anymore"},
    "where": {"de": "Warte seit {hour} Uhr, niemand da.", "fr": "J'attends depuis {hour} h, personne.", "es": "Llevo esperando desde las {hour}.", "ja": "技術者は何時に着きますか。", "en": "still waiting since {hour}"},
    "part": {"de": "Brauche eine Dichtung, {brand} {model}, baue sie selbst ein.", "fr": "Je cherche un joint pour {model}, je le monte moi-même.", "es": "Busco la goma de la {model}, la cambio yo.", "ja": "{model}のパッキンだけ買えますか。", "en": "just need a seal for {model}, I'll fit it myself"},
    "invoice": {"de": "Wo finde ich die Rechnung {order}?", "fr": "Je n'ai pas reçu la facture {order}.", "es": "Necesito la factura {order} con mi CIF.", "ja": "領収書{order}を送ってください。", "en": "no receipt for {order} yet"},
    "warranty": {"de": "Habe die Verlängerung abgeschlossen, zahlt die das?", "fr": "J'ai une extension de garantie, ça couvre ?", "es": "Tengo extensión de garantía, ¿cubre esto?", "ja": "延長保証に入っています。", "en": "does the extended cover pay for this"},
    "again": {"de": "Ihr Kollege war da, Fehler {error} ist zurück.", "fr": "Votre collègue est venu mais {error} revient.", "es": "Vino el técnico y {error} sigue igual.", "ja": "先日直してもらいましたが、また{error}です。", "en": "technician came, {error} is back"},
}
_ENGLISH = {"de": "German", "fr": "French", "es": "Spanish", "ja": "Japanese", "en": "English"}
_DAYS = {"de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"), "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi"), "es": ("lunes", "martes", "miércoles", "jueves", "viernes"), "ja": ("月曜日", "火曜日", "水曜日", "木曜日", "金曜日"), "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")}
_PARTS = {"am": {"de": "vormittags", "fr": "le matin", "es": "por la mañana", "ja": "午前中", "en": "in the morning"}, "pm": {"de": "nachmittags", "fr": "l'après-midi", "es": "por la tarde", "ja": "午後", "en": "after lunch"}, "eve": {"de": "nach 18 Uhr", "fr": "après 18 h", "es": "después de las seis", "ja": "18時以降", "en": "after six"}}
_POLITE = {"de": ("Danke!", "MfG", "Bitte schnell.", "Wohne im 4. Stock."), "fr": ("Merci d'avance.", "C'est urgent.", "Cordialement", "J'ai deux enfants..."), "es": ("Gracias.", "Un saludo", "Es urgente", "Vivo en un tercero."), "ja": ("よろしくお願いします。", "急いでいます。", "助かります。"), "en": ("thanks", "pls hurry", "2nd floor, no lift", "cheers")}
_BOT = {"de": ("Darf ich die Modellnummer wissen?", "Ich habe das notiert.", "Wann wurde das Gerät gekauft?"), "fr": ("Pouvez-vous me donner le modèle ?", "C'est noté.", "Depuis quand le problème existe-t-il ?"), "es": ("¿Me dice el modelo?", "Lo he apuntado.", "¿Desde cuándo ocurre?"), "ja": ("型番を教えてください。", "承知しました。", "いつからですか。"), "en": ("Could you give me the model number?", "Noted.", "Since when does it do that?")}
_FILL = {"de": ("{model}, steht auf dem Schild", "seit gestern", "weiß ich nicht"), "fr": ("c'est le {model}", "depuis hier soir", "je ne sais pas"), "es": ("es la {model}", "desde ayer", "no lo sé"), "ja": ("{model}です。", "昨日からです。", "わかりません。"), "en": ("{model} I think", "since yesterday", "no idea")}


def _words(r: random.Random, tongue: str) -> dict[str, tuple[str, ...]]:
    brand = pick(r, _BRANDS)
    return {
        "device": (_DEVICES[pick(r, tuple(_DEVICES))][tongue],), "brand": (brand,), "model": (f"{brand[:2].upper()}{r.randint(100, 999)}{r.choice('ABX')}",),
        "fault": (pick(r, _FAULTS[pick(r, tuple(_FAULTS))][tongue]),), "weekday": _DAYS[tongue], "hour": (str(r.randint(8, 18)),),
        "order": (code(r, 1, 6),), "year": (str(r.randint(2015, 2026)),), "error": (f"{pick(r, 'EFH')}{r.randint(1, 39):02}",),
    }


def _line(r: random.Random, label: str, tongue: str) -> str:
    words = _words(r, tongue)
    text = fill(r, pick(r, (_LINES, _MORE))[label][tongue], words)
    return f"{text} {pick(r, _POLITE[tongue])}" if r.random() < 0.4 else text


def _history(r: random.Random, tongue: str, least: int = 0, most: int = 4) -> list[Message]:
    """A chat up to the bot's last line."""
    turns: list[Message] = []
    for n in range(r.randint(least, most)):
        text = _line(r, pick(r, tuple(_LINES)), tongue) if n == 0 else fill(r, pick(r, _FILL[tongue]), _words(r, tongue))
        turns += [{"role": "user", "content": text}, {"role": "assistant", "content": pick(r, _BOT[tongue])}]
    return turns


def _intent(r: random.Random) -> Turn:
    tongue, label = pick(r, _TONGUES), pick(r, (*_LINES, "fault", "fault", "where"))
    return Turn([*_history(r, tongue, 0, 2), {"role": "user", "content": _line(r, label, tongue)}], slip(r, label, tuple(_LINES), 0.03))


def _device(r: random.Random) -> Turn:
    tongue, kind = pick(r, _TONGUES), pick(r, tuple(_DEVICES))
    words = {**_words(r, tongue), "device": (_DEVICES[kind][tongue],)}
    has = r.random() < 0.7
    pattern = {"de": "{device} {brand} {model}, {fault}", "fr": "{device} {brand} {model}, {fault}", "es": "{device} {brand}, modelo {model}, {fault}", "ja": "{brand}の{device}、型番{model}、{fault}", "en": "{brand} {device} ({model}), {fault}"}[tongue]
    shown = {"de": ". Anzeige {error}", "fr": ", code {error}", "es": ", pone {error}", "ja": "、{error}と出ます", "en": ", shows {error}"}[tongue]
    values = {"type": kind, "brand": words["brand"][0], "model": words["model"][0], "error": words["error"][0] if has else None}
    return Turn(fill(r, pattern + (shown if has else ""), words) + f" {pick(r, _POLITE[tongue])}" * (r.random() < 0.5), json.dumps(values, ensure_ascii=False))


_HAZARD = {"de": ("es riecht nach Gas", "es kommt Rauch raus", "ich habe eine gewischt bekommen", "Kabel geschmort"), "fr": ("ça sent le gaz", "de la fumée sort", "j'ai pris le courant", "la prise a fondu"), "es": ("huele a gas", "sale humo", "me dio calambre", "el enchufe está quemado"), "ja": ("ガスの臭いがします", "煙が出ています", "感電しました", "コードが焦げました"), "en": ("smells of gas", "there is smoke", "it gave me a shock", "the plug melted")}


def _hazard(r: random.Random) -> Turn:
    tongue, yes = pick(r, _TONGUES), r.random() < 0.2
    text = _line(r, pick(r, ("fault", "again", "fault", "price", "warranty")), tongue)
    return Turn(f"{text} {pick(r, _HAZARD[tongue])}!" if yes else text, slip(r, "danger" if yes else "ok", ("danger", "ok")))


def _language(r: random.Random) -> Turn:
    tongue = pick(r, _TONGUES)
    return Turn(_line(r, pick(r, tuple(_LINES)), tongue), slip(r, tongue, ("en", "nl", "it"), 0.01))


_PRAISE = {"de": ("super freundlich", "pünktlich und sauber", "in 20 Minuten repariert"), "fr": ("très sympa", "à l'heure et propre", "réparé en vingt minutes"), "es": ("muy amable", "puntual y limpio", "lo arregló en nada"), "ja": ("とても親切でした", "時間通りでした", "すぐ直りました"), "en": ("really friendly", "on time and tidy", "fixed in no time")}
_BLAME = {"de": ("viel zu teuer", "drei Stunden gewartet", "läuft immer noch nicht", "hat den Boden verkratzt"), "fr": ("beaucoup trop cher", "trois heures d'attente", "toujours en panne", "sol rayé"), "es": ("carísimo", "tres horas esperando", "sigue sin funcionar", "me rayó el suelo"), "ja": ("高すぎます", "3時間待ちました", "まだ直っていません", "床に傷がつきました"), "en": ("way too expensive", "waited three hours", "still broken", "scratched the floor")}


def _review(r: random.Random) -> Turn:
    tongue, stars = pick(r, _TONGUES), r.randint(1, 5)
    good, bad = r.sample(_PRAISE[tongue], 2), r.sample(_BLAME[tongue], 2)
    parts = {5: good, 4: good[:1], 3: [good[0], bad[0]], 2: bad[:1], 1: bad}[stars]
    words = ("、" if tongue == "ja" else pick(r, (", ", ". ", " - "))).join(parts) + pick(r, ("", "", ".", "!", f" ({pick(r, _BRANDS)})", f" {pick(r, FIRST)}"))
    return Turn(words, slip(r, "positive" if stars > 3 else "mixed" if stars == 3 else "negative", ("positive", "mixed", "negative"), 0.03))


def _slot(r: random.Random) -> Turn:
    tongue, day, part = pick(r, _TONGUES), r.randrange(5), pick(r, tuple(_PARTS))
    join = {"de": "{d} {p} wäre gut", "fr": "plutôt {d}, {p}", "es": "el {d} {p} me va bien", "ja": "{d}の{p}が良いです", "en": "{d} {p} works"}[tongue]
    said = join.replace("{d}", _DAYS[tongue][day]).replace("{p}", _PARTS[part][tongue])
    turns = _history(r, tongue, 1, 2)
    return Turn([*turns, {"role": "user", "content": f"{said} {pick(r, ('', pick(r, _POLITE[tongue])))}".strip()}], "", (("record_slot", json.dumps({"query": f"{_DAYS['en'][day].lower()} {part}"})),))


_PART_NAMES = {"pump": ("Laugenpumpe", "pompe de vidange", "bomba de desagüe", "排水ポンプ", "drain pump", "Umwälzpumpe"), "seal": ("Türdichtung", "joint de porte", "goma de puerta", "ドアパッキン", "door gasket", "Manschette 320 mm"), "heating": ("Heizstab 2000 W", "résistance", "resistencia 1900W", "ヒーター", "heating element", "Thermofühler"), "electronics": ("Steuerplatine", "carte électronique", "placa electrónica", "基板", "control board", "Display-Modul"), "mechanics": ("Stoßdämpfer", "courroie", "rodamiento 6205", "ベルト", "drum bearing", "Scharnier links"), "consumable": ("Entkalker", "filtre à eau", "pastillas descalcificadoras", "フィルター", "descaling tabs", "Staubbeutel 5 St.")}


def _part(r: random.Random) -> Turn:
    group = pick(r, tuple(_PART_NAMES))
    w = _words(r, "en")
    return Turn(f"{pick(r, _PART_NAMES[group])} {pick(r, ('für', 'pour', 'para', '/', 'orig.'))} {w['brand'][0]} {w['model'][0]}, {pick(r, ('neu', 'OEM', 'refurb', '互換', '2 pcs', 'ref. ' + code(r)))}", slip(r, group, tuple(_PART_NAMES)))


_RUDE = {"de": ("ihr seid doch alle Idioten", "verpisst euch"), "fr": ("bande d'incapables, allez au diable", "espèce d'idiot"), "es": ("sois unos inútiles de mierda", "vete al infierno"), "ja": ("ふざけるな、馬鹿野郎", "死ね"), "en": ("you bloody morons", "go to hell, all of you")}


def _abuse(r: random.Random) -> Turn:
    tongue, yes = pick(r, _TONGUES), r.random() < 0.15
    text = _line(r, pick(r, ("again", "where", "invoice", "fault", "cancel")), tongue)
    return Turn(f"{text} {pick(r, _RUDE[tongue])}" if yes else text, json.dumps({"abusive": yes if r.random() > 0.02 else not yes}))


_KEY = {"water": "leak drain", "noise": "noise vibration", "power": "no power fuse", "heat": "temperature heating", "door": "door seal handle"}


def _english(r: random.Random) -> Turn:
    tongue, kind, fault = pick(r, ("de", "fr", "es", "ja")), pick(r, tuple(_DEVICES)), pick(r, tuple(_FAULTS))
    brand = pick(r, _BRANDS)
    join = {"de": "{brand} {d} {f} was tun", "fr": "{d} {brand} {f} que faire", "es": "{d} {brand} {f} qué hago", "ja": "{brand} {d} {f}"}[tongue]
    return Turn(join.replace("{brand}", brand).replace("{d}", _DEVICES[kind][tongue]).replace("{f}", pick(r, _FAULTS[fault][tongue])), f"{brand.lower()} {_DEVICES[kind]['en']} {_KEY[fault]}")


def _address(r: random.Random) -> Turn:
    who, no, post, city = name(r), r.randint(1, 190), f"{r.randint(10000, 98000)}", pick(r, CITIES)
    street, said = pick(r, (
        ("Lindenstraße", "{w}, Lindenstraße {n}, {z} {c}, klingeln bei {l}"), ("Gartenweg", "ich wohne Gartenweg {n} in {z} {c}, {w}"), ("rue des Lilas", "{n} rue des Lilas, {z} {c}, au nom de {w}"),
        ("calle Mayor", "calle Mayor {n}, 3.º B, {z} {c} ({w})"), ("桜通り", "〒{z} {c} 桜通り{n}番、{w}です"), ("Mill Road", "{w}, {n} Mill Road, {c} {z}, ring twice"),
    ))
    text = said.replace("{w}", who).replace("{n}", str(no)).replace("{z}", post).replace("{c}", city).replace("{l}", pick(r, LAST))
    return Turn(text, json.dumps({"name": who, "street": street, "number": str(no), "postcode": post, "city": city}, ensure_ascii=False))


_PERSON = {"de": ("ich will mit einem Menschen reden", "das bringt nichts, rufen Sie mich an", "ich drohe mit dem Anwalt"), "fr": ("je veux parler à quelqu'un", "passez-moi un humain", "je vais porter plainte"), "es": ("quiero hablar con una persona", "llámenme ya", "voy a poner una reclamación"), "ja": ("人と話したいです", "電話をください", "消費者センターに言います"), "en": ("get me a human", "just call me", "I will go to a lawyer")}


def _handoff(r: random.Random) -> Turn:
    tongue, yes = pick(r, _TONGUES), r.random() < 0.35
    last = pick(r, _PERSON[tongue]) if yes else fill(r, pick(r, _FILL[tongue]), _words(r, tongue))
    return Turn([*_history(r, tongue, 2, 7), {"role": "user", "content": last}], slip(r, "yes" if yes else "no", ("yes", "no"), 0.03))


def _serial(r: random.Random) -> Turn:
    head, digits, year = r.choice("ABKX"), r.randint(100000, 999999), r.randint(15, 26)
    said = pick(r, (f"S/N {head.lower()} {digits} / {year}", f"Seriennr. {head}-{str(digits)[:3]}.{str(digits)[3:]}-{year}", f"製造番号：{head}{digits}（20{year}年）", f"n° de série {head}{str(digits)[:3]} {str(digits)[3:]}, 20{year}"))
    return Turn(said, f"{head}{digits}-{year}")


_WORK = (("pumpe getauscht, 2 fremdkörper raus, läuft wieder", "Pumpe getauscht, zwei Fremdkörper entfernt, Gerät läuft wieder."), ("dichtung porös kunde will überlegen kommen nochmal", "Dichtung porös. Kunde überlegt noch, wir kommen erneut."), ("carte hs, commandée, retour sem prochaine", "Carte hors service, commandée. Retour la semaine prochaine."), ("joint changé test ok rien a signaler", "Joint changé, test réussi, rien à signaler."), ("cambiada resistencia, cal a tope, aconsejo descalcificar", "Resistencia cambiada. Mucha cal, aconsejo descalcificar."), ("rodamiento gastado, presup 180 cliente no quiere", "Rodamiento gastado. Presupuesto de 180, el cliente no lo acepta."), ("ベルト交換済 動作ok", "ベルトを交換しました。動作は正常です。"), ("基板不良 部品待ち 再訪", "基板の不良です。部品が届き次第、再訪問します。"), ("fan swapd, still noisy, order bearing", "Fan swapped, still noisy, bearing to be ordered."))


def _note(r: random.Random) -> Turn:
    said, clean = pick(r, _WORK)
    other, clean_too = pick(r, _WORK)
    w, minutes = _words(r, "en"), r.randint(10, 120)
    both = r.random() < 0.5
    return Turn(f"{w['model'][0]} {minutes}min {said}" + f" / {other}" * both, f"{w['model'][0]}, {minutes} min: {clean}" + f" {clean_too}" * both)


def _why(r: random.Random) -> Turn:
    reason, text = pick(r, (("price", "zu teuer für {hour} Minuten Arbeit"), ("price", "prix abusif"), ("price", "修理代が高い"), ("waiting", "llegó {hour} horas tarde"), ("waiting", "ewig auf den Termin gewartet"), ("waiting", "délai trop long, {hour} jours"), ("quality", "{error} ist wieder da"), ("quality", "同じ故障がまた起きた"), ("quality", "lasted a week, then {error}"), ("staff", "el técnico fue un encanto"), ("staff", "sehr netter Mann"), ("staff", "technicien impoli"), ("other", "ok"), ("other", "rien à dire"), ("other", "特になし")))
    tail = pick(r, ("", "", f" ({pick(r, _BRANDS)})", " ...", f" {pick(r, CITIES)}"))
    return Turn(f"{r.randint(0, 10)}/10 {fill(r, text, _words(r, 'en'))}{tail}", slip(r, reason, ("price", "waiting", "quality", "staff", "other"), 0.03))


_GUIDE = {
    "filter": ("Flusensieb reinigen: Gerät ausschalten, Klappe unten rechts öffnen, Schale unterstellen, Sieb gegen den Uhrzeigersinn drehen. Alle 3 Monate.", {"de": "Schalten Sie das Gerät aus und öffnen Sie die Klappe rechts unten. Stellen Sie eine Schale darunter, bevor Sie das Sieb nach links herausdrehen, denn es kommt Wasser. Alle drei Monate genügt.", "fr": "Éteignez la machine, ouvrez la trappe en bas à droite et placez un récipient dessous. Le filtre se dévisse ensuite vers la gauche. À refaire tous les trois mois.", "es": "Apague la máquina y abra la tapa de abajo a la derecha. Ponga un recipiente y gire el filtro hacia la izquierda. Basta con hacerlo cada tres meses.", "ja": "電源を切り、右下のふたを開けて容器を置いてから、フィルターを左に回して外してください。三か月に一度で十分です。", "en": "Switch it off, open the flap at the lower right and put a bowl under it. Then unscrew the filter to the left. Once every three months is enough."}),
    "descale": ("Descaling: fill 1 l water + one tablet, hold CLEAN 5 s, 25 min, rinse twice. Do not use vinegar, it attacks the seals.", {"de": "Geben Sie einen Liter Wasser und eine Tablette hinein und halten Sie CLEAN fünf Sekunden gedrückt. Nach 25 Minuten zweimal spülen. Bitte keinen Essig, der schadet den Dichtungen.", "fr": "Versez un litre d'eau avec une pastille et maintenez CLEAN cinq secondes. Au bout de 25 minutes, rincez deux fois. Évitez le vinaigre, il abîme les joints.", "es": "Ponga un litro de agua y una pastilla y mantenga CLEAN cinco segundos. A los 25 minutos enjuague dos veces. Nada de vinagre: daña las juntas.", "ja": "水1リットルと錠剤を入れ、CLEANを5秒長押しします。25分後に2回すすいでください。お酢はパッキンを傷めるので使わないでください。", "en": "Put in a litre of water with one tablet and hold CLEAN for five seconds. It takes 25 minutes; rinse twice. Vinegar would harm the seals."}),
    "fee": ("Anfahrt 49 EUR, entfällt bei Reparatur. Diagnose inklusive. Zahlung per Karte vor Ort oder Rechnung 14 Tage.", {"de": "Die Anfahrt kostet 49 Euro und enthält die Diagnose. Lassen Sie reparieren, fällt sie weg. Zahlen können Sie mit Karte oder binnen 14 Tagen auf Rechnung.", "fr": "Le déplacement coûte 49 euros, diagnostic compris, et il est offert si vous faites réparer. Vous réglez par carte ou sur facture à 14 jours.", "es": "El desplazamiento son 49 euros con diagnóstico incluido y no se cobra si repara con nosotros. Puede pagar con tarjeta o por factura a 14 días.", "ja": "出張費は診断込みで49ユーロですが、修理される場合はかかりません。お支払いはカードか14日以内の請求書です。", "en": "A visit is 49 euros including the diagnosis, and we drop the fee when you go ahead with the repair. Pay by card or within 14 days."}),
    "guarantee": ("Garantie sur réparation : 12 mois pièces et main-d'œuvre. Hors usure et calcaire. Présenter le numéro de dossier.", {"de": "Auf die Reparatur geben wir zwölf Monate, für Teile und Arbeit. Verschleiß und Kalk sind nicht dabei. Halten Sie Ihre Vorgangsnummer bereit.", "fr": "Nos réparations sont couvertes un an, pièces comme main-d'œuvre, sauf usure et calcaire. Ayez votre numéro de dossier sous la main.", "es": "Respondemos doce meses por piezas y mano de obra, menos por desgaste o cal. Tenga a mano su número de expediente.", "ja": "修理後12か月間、部品と作業を保証します。消耗と石灰は対象外です。受付番号をご用意ください。", "en": "We stand behind a repair for a year, parts and labour alike. Wear and limescale are left out. Please have your case number ready."}),
}
_ASK = {"filter": {"de": "wie mache ich das Sieb sauber", "fr": "comment nettoyer le filtre", "es": "¿cómo limpio el filtro?", "ja": "フィルターの掃除方法は？", "en": "how do I clean the filter"}, "descale": {"de": "kann ich mit Essig entkalken", "fr": "comment détartrer ?", "es": "¿puedo usar vinagre?", "ja": "石灰の取り方を教えてください", "en": "can I descale it with vinegar"}, "fee": {"de": "was kostet es wenn ihr nur schaut", "fr": "le déplacement est payant ?", "es": "¿cobran por venir?", "ja": "出張費はいくらですか", "en": "what if you only look at it, do I pay"}, "guarantee": {"de": "wie lange gilt die Gewährleistung nach Reparatur", "fr": "la réparation est garantie ?", "es": "¿qué garantía dan?", "ja": "修理の保証はありますか", "en": "how long is your repair guaranteed"}}


def _rag(r: random.Random) -> Turn:
    tongue, topic = pick(r, _TONGUES), pick(r, tuple(_GUIDE))
    found = [f"[{n}] ({pick(r, ('manual', 'terms', 'kb'))} {pick(r, _BRANDS)}) {_GUIDE[key][0]}" for n, key in enumerate(r.sample(tuple(_GUIDE), 3), 1)]
    if not any(_GUIDE[topic][0] in line for line in found):
        found[r.randrange(3)] = f"[9] {_GUIDE[topic][0]}"
    answer, asked = _GUIDE[topic][1][tongue], _ASK[topic][tongue]
    second = pick(r, tuple(_GUIDE))
    if second != topic and any(_GUIDE[second][0] in line for line in found) and r.random() < 0.5:
        answer, asked = f"{answer} {_GUIDE[second][1][tongue]}", f"{asked} {_ASK[second][tongue]}"
    if r.random() < 0.12:
        asked, answer = _UNKNOWN[tongue]
    opening, closing = pick(r, _OPENINGS[tongue]), pick(r, _CLOSINGS[tongue])
    return Turn([*_history(r, tongue, 0, 3), {"role": "user", "content": "Context:\n" + "\n".join(found) + f"\n\nCustomer: {asked} {pick(r, ('', pick(r, _POLITE[tongue])))}"}], f"{opening}{answer}{closing}")


_OPENINGS = {"de": ("", "", "Gern! ", "Gute Frage. ", "Danke für Ihre Nachricht. "), "fr": ("", "", "Bien sûr. ", "Merci pour votre message. "), "es": ("", "", "Claro. ", "Gracias por escribirnos. "), "ja": ("", "お問い合わせありがとうございます。", "はい、ご案内します。"), "en": ("", "", "Sure. ", "Thanks for asking. ", "Good question. ")}
_CLOSINGS = {"de": ("", "", " Melden Sie sich gern, falls es nicht klappt.", " Kann ich sonst noch helfen?", " Soll ich einen Termin vorschlagen?"), "fr": ("", "", " Dites-moi si cela ne marche pas.", " Souhaitez-vous un rendez-vous ?"), "es": ("", "", " Avíseme si no funciona.", " ¿Le propongo una cita?"), "ja": ("", "うまくいかない場合はご連絡ください。", "他にご質問はございますか。"), "en": ("", "", " Let me know if that fails.", " Shall I suggest a time for a visit?")}
_UNKNOWN = {"de": ("Holt ihr das Altgerät auch ab?", "Dazu finde ich in meinen Unterlagen leider nichts. Eine Kollegin meldet sich bei Ihnen."), "fr": ("Reprenez-vous les vieux appareils ?", "Je n'ai pas d'information à ce sujet. Une collègue vous répondra."), "es": ("¿Se llevan el aparato viejo?", "No encuentro nada sobre eso. Le contestará una compañera."), "ja": ("古い機械は引き取れますか。", "申し訳ございませんが、資料に記載がありません。担当者からご連絡いたします。"), "en": ("do you take the old one away", "I have nothing on that, sorry. A colleague will get back to you.")}


_LETTER = {
    "de": ("Guten Tag {who},\n\nes tut uns leid, dass {what}. {then} {amends}\n\nIhr Team von Fixwerk", {"late": "Sie so lange auf den Techniker gewartet haben", "again": "der Fehler nach unserem Besuch wieder da ist", "bill": "die Rechnung nicht gestimmt hat"}, {"late": "Am {day} kommt er als Erstes zu Ihnen.", "again": "Wir kommen am {day} kostenlos noch einmal und bringen das Teil gleich mit.", "bill": "Die richtige Rechnung erhalten Sie bis {day}."}),
    "fr": ("Bonjour {who},\n\nnous regrettons que {what}. {then} {amends}\n\nL'équipe Fixwerk", {"late": "vous ayez attendu notre technicien si longtemps", "again": "la panne soit revenue après notre passage", "bill": "la facture comporte une erreur"}, {"late": "Il passera chez vous en premier {day}.", "again": "Nous revenons {day} sans frais, avec la pièce.", "bill": "La facture corrigée vous parvient d'ici {day}."}),
    "es": ("Hola, {who}:\n\nlamentamos que {what}. {then} {amends}\n\nEl equipo de Fixwerk", {"late": "tuviera que esperar tanto al técnico", "again": "la avería haya vuelto", "bill": "la factura tuviera un error"}, {"late": "El {day} irá a su casa en primer lugar.", "again": "Volvemos el {day} sin coste y con la pieza.", "bill": "Recibirá la factura correcta antes del {day}."}),
    "ja": ("{who}様\n\nこの度は{what}、誠に申し訳ございません。{then}{amends}\n\nFixwerkチーム", {"late": "長くお待たせし", "again": "修理後に再び故障し", "bill": "請求書に誤りがあり"}, {"late": "{day}は最初に伺います。", "again": "{day}に部品を持って無料で再訪問いたします。", "bill": "{day}までに正しい請求書をお送りします。"}),
    "en": ("Dear {who},\n\nwe are sorry that {what}. {then} {amends}\n\nYour Fixwerk team", {"late": "you had to wait so long for our technician", "again": "the fault came back after our visit", "bill": "the invoice was wrong"}, {"late": "On {day} you are the first on the list.", "again": "We return on {day}, free of charge and with the part.", "bill": "You will have the correct one by {day}."}),
}
_CASE = {"late": "technician {n} h late, angry", "again": "same fault after {n} days", "bill": "billed {n}0 too much"}


_AMENDS = {
    "de": ("Als kleine Wiedergutmachung erlassen wir Ihnen die Anfahrt.", "Zusätzlich verlängern wir die Gewährleistung um sechs Monate.", "Sie haben bei mir persönlich etwas gut: {call}", "Wir haben den Ablauf mit dem Team besprochen, damit das nicht noch einmal passiert."),
    "fr": ("Pour nous faire pardonner, le déplacement vous est offert.", "Nous prolongeons en outre la garantie de six mois.", "Je suis votre interlocuteur : {call}", "Nous en avons parlé avec l'équipe afin que cela ne se reproduise plus."),
    "es": ("Para compensarle, no cobramos el desplazamiento.", "Además ampliamos la garantía seis meses.", "Puede hablar conmigo directamente: {call}", "Lo hemos comentado con el equipo para que no se repita."),
    "ja": ("お詫びとして出張費は頂きません。", "さらに保証を6か月延長いたします。", "ご不明な点は直接ご連絡ください：{call}", "再発しないよう、社内で手順を見直しました。"),
    "en": ("To make up for it we waive the call-out fee.", "We also add six months to the guarantee.", "You can reach me in person: {call}", "We went through it with the team so that it does not happen again."),
}


def _letter(tongue: str, case: str, day: int, who: str, amends: tuple[int, int], call: str) -> str:
    pattern, whats, thens = _LETTER[tongue]
    added = ("" if tongue == "ja" else " ").join(_AMENDS[tongue][n] for n in sorted(amends)).replace("{call}", call)
    return pattern.replace("{who}", who).replace("{what}", whats[case]).replace("{then}", thens[case]).replace("{day}", _DAYS[tongue][day]).replace("{amends}", added)


def _regret(r: random.Random) -> tuple[str, int, str, tuple[int, int], str]:
    one, two = r.sample(range(4), 2)
    return pick(r, tuple(_CASE)), r.randrange(5), name(r), (one, two), f"+49 30 5550{r.randint(100, 999)}"


def _draft(r: random.Random) -> Turn:
    tongue, regret = pick(r, _TONGUES), _regret(r)
    case, day, who, amends, call = regret
    gifts = ", ".join(("waive call-out", "6 months more guarantee", f"direct line {call}", "say that we changed the process")[n] for n in amends)
    return Turn(f"language: {tongue}\ncustomer: {who}\ncase: {_CASE[case].replace('{n}', str(r.randint(2, 9)))}\nnew date: {_DAYS['en'][day]}\noffer: {gifts}\nlast message: {_line(r, {'late': 'where', 'again': 'again', 'bill': 'invoice'}[case], tongue)}", _letter(tongue, *regret))


def _translate(r: random.Random) -> Turn:
    regret = _regret(r)
    source, target = r.sample(("de", "fr", "es", "ja", "en"), 2)
    return Turn(f"to {target}:\n\n{_letter(source, *regret)}", _letter(target, *regret))


def _brief(r: random.Random) -> Turn:
    tongue, kind, fault = pick(r, _TONGUES), pick(r, tuple(_DEVICES)), pick(r, tuple(_FAULTS))
    words = {**_words(r, tongue), "device": (_DEVICES[kind][tongue],), "fault": (pick(r, _FAULTS[fault][tongue]),)}
    chat = [fill(r, _LINES["fault"][tongue], words), pick(r, _BOT[tongue])]
    for _ in range(r.randint(2, 6)):
        chat += [fill(r, pick(r, (*_FILL[tongue], _LINES["warranty"][tongue], _LINES["price"][tongue])), words), pick(r, _BOT[tongue])]
    chat.append(_DAYS[tongue][r.randrange(5)])
    plain = {"water": "leaks or does not drain", "noise": "is unusually loud", "power": "loses power", "heat": "has a temperature problem", "door": "has a damaged door"}[fault]
    return Turn("\n".join(f"{'C' if n % 2 == 0 else 'B'}: {text}" for n, text in enumerate(chat)), f"{words['brand'][0]} {_DEVICES[kind]['en']} {plain}; the customer writes {_ENGLISH[tongue]}. {pick(r, ('Model still has to be confirmed on site', 'Bought in ' + words['year'][0] + ' according to the chat', 'Age of the appliance unclear'))}. Bring: {pick(r, ('pump and hose set', 'seal kit', 'multimeter and spare fuse', 'sensor and heating element'))}.")


def _book(r: random.Random) -> Turn:
    tongue, label, visit = pick(r, _TONGUES), pick(r, ("move", "where", "invoice", "cancel")), f"V-{r.randint(10000, 99999)}"
    tool = {"move": "move_visit", "where": "find_visit", "invoice": "send_invoice", "cancel": "cancel_visit"}[label]
    turns = [*_history(r, tongue, 0, 3), {"role": "user", "content": f"[{visit}, {pick(r, _DAYS['en'])} {r.randint(8, 17)}:00] {_line(r, label, tongue)}"}]
    return Turn(turns, "", ((slip(r, tool, ("find_visit", "move_visit")), json.dumps({"query": f"{visit}{' ' + pick(r, _DAYS['en']) if label == 'move' else ''}"})),))


_SHOP = {
    "de": (("Generalüberholt und bereit für ein zweites Leben: {d} von {b}.", "Wer sagt, dass es neu sein muss? Unsere Werkstatt hat diese {d} von {b} zerlegt, gereinigt und geprüft.", "{b} baute diese {d} für die Ewigkeit, wir haben nachgeholfen."), ("Mit {w} Watt arbeitet sie kräftig und spürbar leiser als vorher.", "Sie kommt mit {w} Watt aus, Verschleißteile sind neu.", "Lager, Dichtungen und Filter sind frisch, die Leistung liegt bei {w} Watt."), ("Dazu gibt es {m} Monate Garantie.", "{m} Monate lang stehen wir dafür gerade.", "Einbau am selben Tag möglich, Garantie {m} Monate."), ("Gut für den Geldbeutel, besser für den Planeten.", "Nur ein Exemplar auf Lager.", "Das Altgerät nehmen wir mit.")),
    "fr": (("Une seconde vie pour ce {d} {b}, démonté, nettoyé et contrôlé dans notre atelier.", "Et si le neuf n'était pas nécessaire ? Voici un {d} {b} remis en état pièce par pièce.", "Robuste à l'origine, encore plus après notre passage : {d} {b}."), ("Ses {w} watts suffisent à toute la famille.", "Il consomme {w} watts et ses joints sont neufs.", "Roulements changés, filtre neuf, puissance de {w} watts."), ("Garantie {m} mois.", "Nous en répondons pendant {m} mois.", "Pose le jour même si vous le souhaitez, garantie {m} mois comprise."), ("Un geste pour la planète et pour votre budget.", "Un seul exemplaire disponible.", "Nous reprenons l'ancien.")),
    "es": (("Lista para otra década: {d} {b}, desmontada y probada en nuestro taller.", "¿Por qué comprar nuevo? Esta {d} {b} funciona como el primer día.", "Un clásico de {b} con corazón nuevo: esta {d} ha pasado por manos expertas."), ("Consume {w} vatios y lleva gomas nuevas.", "Con {w} vatios rinde de sobra para una familia.", "Rodamientos y filtro recién puestos, {w} vatios de potencia."), ("Incluye {m} meses de garantía.", "Respondemos por ella {m} meses.", "Instalación el mismo día y {m} meses de garantía."), ("Ahorra usted y ahorra el planeta.", "Solo queda una.", "Nos llevamos la vieja.")),
    "ja": (("当社工房で分解・清掃・点検した{b}の{d}です。", "新品でなくても安心。職人が一つずつ整備した{b}の{d}をご紹介します。", "丈夫さで知られる{b}の{d}が生まれ変わりました。"), ("消費電力は{w}W、消耗部品はすべて新品です。", "{w}Wで静かに動きます。", "軸受とフィルターを交換済み、出力は{w}Wです。"), ("{m}か月の保証付きです。", "{m}か月間、当社が保証いたします。", "当日設置も可能で、保証は{m}か月です。"), ("環境にもお財布にも優しい一台です。", "在庫は一台限りです。", "古い製品は引き取ります。")),
}
_CARE = {
    "de": (("vor einem Monat waren wir wegen Ihrer {d} da. Läuft alles rund?", "Ihre {d} ist nun vier Wochen wieder im Dienst. Sind Sie zufrieden?"), ("Ein Tipp: Reinigen Sie einmal im Monat das Sieb.", "Lassen Sie die Tür nach dem Lauf offen, das schont die Dichtung.", "Bei hartem Wasser lohnt sich alle acht Wochen Entkalken."), ("Wenn Ihnen etwas auffällt, antworten Sie einfach.", "Über eine kurze Bewertung freut sich unser Techniker."), "Hallo {w},", "Viele Grüße"),
    "fr": (("il y a un mois nous avons réparé votre {d}. Tout va bien depuis ?", "votre {d} tourne de nouveau depuis quatre semaines : satisfait ?"), ("Un conseil : un filtre propre prolonge la vie de l'appareil.", "Laissez la porte entrouverte après usage.", "Détartrez toutes les huit semaines si l'eau est dure."), ("Si quelque chose vous étonne, répondez à ce message.", "Un petit avis ferait plaisir à notre technicien."), "Bonjour {w},", "Bien à vous"),
    "es": (("hace un mes arreglamos su {d}. ¿Va todo bien?", "su {d} lleva ya cuatro semanas en marcha. ¿Está contento?"), ("Un consejo: limpie el filtro cada mes.", "Deje la puerta abierta después de usarla.", "Si el agua es dura, descalcifique cada ocho semanas."), ("Si nota algo raro, responda a este correo.", "Nuestro técnico agradecería una breve opinión."), "Hola, {w}:", "Un saludo"),
    "en": (("a month ago we repaired your {d}. Is everything still fine?", "your {d} has been back at work for four weeks. Happy with it?"), ("One tip: a clean filter adds years to its life.", "Leave the door ajar after use, the seal will thank you.", "With hard water, descale every eight weeks."), ("If something seems off, just answer this mail.", "A short review would make our technician's day."), "Hi {w},", "Best"),
}


def _product(r: random.Random) -> Turn:
    w, tongue, kind, watts, months = _words(r, "en"), pick(r, tuple(_SHOP)), pick(r, tuple(_DEVICES)), r.randint(8, 24) * 100, pick(r, (12, 24))
    text = ("" if tongue == "ja" else " ").join(pick(r, part) for part in _SHOP[tongue])
    for slot, value in (("{d}", _DEVICES[kind][tongue]), ("{b}", w["brand"][0]), ("{w}", str(watts)), ("{m}", str(months))):
        text = text.replace(slot, value)
    return Turn(f"{tongue}; refurbished {kind}; {w['brand'][0]} {w['model'][0]}; {watts} W; {months} months guarantee; tone: {pick(r, ('warm', 'factual', 'green'))}", text)


def _after(r: random.Random) -> Turn:
    tongue, who, kind = pick(r, tuple(_CARE)), name(r), pick(r, tuple(_DEVICES))
    *parts, hello, bye = _CARE[tongue]
    body = " ".join(pick(r, part) for part in parts).replace("{d}", _DEVICES[kind][tongue])
    return Turn(f"{tongue} | {who} | {kind} | visit 30 days ago | {pick(r, ('no complaint', 'rated 4', 'asked about filter'))}", f"{hello.replace('{w}', who)}\n\n{body}\n\n{bye}\nFixwerk")


_PROBE = ("read_error_log", "measure_resistance", "lookup_schematic", "check_stock")


def _diagnose(r: random.Random) -> Turn:
    tongue, kind = pick(r, _TONGUES), pick(r, tuple(_DEVICES))
    words = {**_words(r, tongue), "device": (_DEVICES[kind][tongue],)}
    turns: list[Message] = [{"role": "user", "content": fill(r, _MORE["fault"][tongue], words)}]
    steps = r.randint(0, 4)
    for n in range(steps):
        tool = pick(r, _PROBE)
        result = {"read_error_log": [f"{words['error'][0]} x{r.randint(1, 9)}", f"cycle {r.randint(10, 3000)}"], "measure_resistance": {"winding": r.randint(0, 90), "unit": "ohm"}, "lookup_schematic": {"page": r.randint(2, 80), "pins": r.sample(range(20), 3)}, "check_stock": {"part": code(r), "left": r.randint(0, 9)}}[tool]
        turns += called(f"d{n}", tool, {"query": words["model"][0]}, json.dumps(result))
    if steps == 4:
        return Turn(turns, {"de": "Die Wicklung ist in Ordnung, der Fehler tritt nur beim Aufheizen auf: sehr wahrscheinlich der Fühler. Teil ist auf Lager, Termin vorgemerkt.", "fr": "Le bobinage est bon et l'erreur n'apparaît qu'à chaud : c'est probablement la sonde. La pièce est réservée.", "es": "El bobinado está bien y el error solo sale en caliente: casi seguro es la sonda. Pieza reservada.", "ja": "巻線は正常で、加熱時のみエラーが出るため、センサーの可能性が高いです。部品を確保しました。", "en": "Winding is fine and the error only shows while heating, so most likely the sensor. The part is reserved."}[tongue])
    return Turn(turns, "", ((pick(r, (*_PROBE, "reserve_part")), json.dumps({"query": f"{words['model'][0]} {words['error'][0]}"})),))


_CAUSES = (("door lock", "lock 12 V present", "clicks three times"), ("heater relay", "stays cold at 60C", "element 27 ohm"), ("inlet valve", "fills slowly", "sieve clean"), ("motor brushes", "drum twitches", "burnt smell on spin"), ("pressure switch", "overfills", "hose blocked or not?"), ("main board", "several errors in turn", "5 V rail drops"), ("earth fault in heater", "trips RCD after 8 min", "insulation 0.3 Mohm"), ("refrigerant leak", "compressor runs on", "frost only at inlet"), ("start relay", "clicks, no start", "compressor windings fine"))


def _find(r: random.Random) -> Turn:
    cause, *signs = pick(r, _CAUSES)
    other = pick(r, _CAUSES)[1:]
    w = _words(r, "en")
    observed = [*signs, pick(r, other), f"error {w['error'][0]}", f"{r.randint(1, 15)} years old", f"fault since {r.randint(1, 30)} days, {pick(r, ('only when hot', 'always', 'only with full load', 'after moving house'))}", f"supply {r.randint(212, 241)} V"]
    r.shuffle(observed)
    return Turn(f"{w['brand'][0]} {w['model'][0]}\n" + "\n".join(f"- {line}" for line in observed), slip(r, cause, [c[0] for c in _CAUSES], 0.05), reasoning_tokens=r.randint(250, 1500))


def _worth(r: random.Random) -> Turn:
    w, age, cost, new, saving = _words(r, "en"), r.randint(1, 14), r.randint(60, 420), r.randint(300, 1100), r.randint(0, 60)
    left = max(1, 12 - age)
    subsidy, risk = 100 if r.random() < 0.3 and cost > 150 else 0, r.randint(5, 40)
    repair = (cost * (100 + risk) / 100 - subsidy) / left < new / 12 - saving
    return Turn(f"{w['brand'][0]} {w['model'][0]}, {age} years; repair {cost}, second failure risk {risk}%; new one {new} (12 years), saves {saving} of power a year; {'city repair bonus 100 above 150' if subsidy else 'no bonus'}; customer: {_line(r, 'price', pick(r, _TONGUES))}", slip(r, "repair" if repair else "replace", ("repair", "replace"), 0.05), reasoning_tokens=r.choice((0, r.randint(200, 900))))


def _tour(r: random.Random) -> Turn:
    stops = [(code(r, 1, 3), pick(r, CITIES), r.randint(20, 90), pick(r, ("8-12", "12-16", "any", "after 17"))) for _ in range(r.randint(6, 11))]
    first = sorted(stops, key=lambda s: {"8-12": 0, "any": 1, "12-16": 2, "after 17": 3}[s[3]])
    first = [*(s for s in first[:2] if s is not stops[0]), stops[0], *(s for s in first[2:] if s is not stops[0])]
    total = sum(s[2] for s in stops)
    text = " > ".join(s[0] for s in first)
    return Turn("\n".join(f"{k}; {c}; {m} min; window {w}" for k, c, m, w in stops) + f"\nvans: {r.randint(1, 3)}, part for {stops[0][0]} arrives {r.randint(9, 12)}:00", f"Order: {text}. Work alone is {total} minutes, with {len(stops) * 22} of driving it takes {(total + len(stops) * 22) / 60:.1f} hours. {'That does not fit one shift, so the last stop moves to the second van.' if total + len(stops) * 22 > 480 else 'One van can do it with a break at noon.'} {stops[0][0]} must not come first, since its part is missing before the delivery; {first[-1][0]} is the one to give up if a job overruns.", reasoning_tokens=r.randint(300, 1500))


_LAW = (
    ("The statutory two years run against the seller, not us; in the first year the law presumes that the defect was there from the start.", "An expert opinion decides nothing by itself, but shifts the burden back to the buyer."),
    ("A voluntary guarantee of the maker stands beside it and may be narrower; its terms decide about call-out costs.", "Opening the appliance by a third party voids it only if that caused the defect."),
    ("Our own work is a contract of its own: faults of the same part within a year are on us.", "If the new fault concerns another part, the earlier visit creates no claim, though goodwill may be wise."),
    ("The buyer must allow one attempt to repair before asking for a refund, unless it is unreasonable.", "Repeated visits count as one attempt only where the same defect is at issue."),
)


def _warranty(r: random.Random) -> Turn:
    tongue, year = pick(r, _TONGUES), r.randint(2021, 2026)
    w = _words(r, tongue)
    return Turn(f"Bought {year}-{r.randint(1, 12):02} at {pick(r, ('a shop', 'an online marketplace', 'a private seller'))} in {pick(r, ('Germany', 'France', 'Spain', 'Austria'))}; first fault {w['error'][0]} {r.randint(2, 40)} months later; we replaced {pick(r, _CAUSES)[0]}; now {pick(r, _CAUSES)[1]}. Customer wrote: {_line(r, 'warranty', tongue)} {_line(r, 'again', tongue)}\nWho has to pay, and what do we tell him?", "\n\n".join(f"{n}. {a} {b}" for n, (a, b) in enumerate(r.sample(_LAW, 3), 1)) + f"\n\nApplied here: a purchase in {year} puts the case {'well inside' if year > 2024 else 'outside or at the edge of'} the statutory period. {pick(r, ('I would do the work free of charge and claim from the maker.', 'Offer half the cost as goodwill and name the seller as the right address.', 'Ask for proof of purchase before anything else; without it the dates are guesswork.'))} What would change the result is {pick(r, ('a repair by someone else in between', 'a commercial use of the appliance', 'the exact wording of the guarantee card'))}.", reasoning_tokens=r.choice((0, r.randint(300, 1600))))


_HI = "You work for Fixwerk, a repair service for household appliances in Europe and Japan. "
_NAME = "Customers write in German, French, Spanish, Japanese or English. "

SITES = (
    Site("chat.intent", 1, "intent", _intent, _HI + _NAME + "Classify the customer's last message: fault, price, move (appointment), cancel, where (is the technician), part, invoice, warranty, again (fault after our repair). Return the label in English.", 9),
    Site("device.extract", 1, "extraction", _device, _HI + _NAME + "Extract the appliance as JSON: type (washer, dishwasher, fridge, oven, dryer, coffee), brand, model, error. Missing values are null.", 6, response_format={"type": "json_object"}),
    Site("safety.flag", 1, "moderation", _hazard, _HI + "Does the message describe a danger (gas, smoke, fire, electric shock)? Say danger or ok. Any language.", 4),
    Site("visit.slot", 1, "extraction", _slot, _HI + _NAME + "Call record_slot with the weekday in English and am, pm or eve, as the customer wishes.", 4, tools=("record_slot",)),
    Site("bot.handoff", 1, "classification", _handoff, _HI + "Read the chat between our bot and a customer. Should a human take over now (customer asks for it, threatens, or is stuck)? yes or no.", 4),
    Site("review.mood", 1, "classification", _review, _HI + _NAME + "positive, mixed or negative?", 4),
    Site("part.group", 1, "classification", _part, _HI + "Put the line of the parts catalogue into a group: pump, seal, heating, electronics, mechanics, consumable.", 4),
    Site("chat.lang", 1, "classification", _language, "ISO 639-1 code of the language of the message. Two letters only.", 3),
    Site("address.read", 1, "extraction", _address, _HI + "Read name, street, number, postcode and city from the message. JSON, values as written.", 3),
    Site("chat.abuse", 1, "moderation", _abuse, _HI + 'Is the message insulting or threatening towards our staff? Anger about the case is fine. {"abusive": true|false}', 3),
    Site("search.english", 1, "rewrite", _english, _HI + "Rewrite the search as English keywords for our knowledge base: brand, appliance, problem. Lower case.", 2.5),
    Site("note.clean", 1, "rewrite", _note, _HI + "Clean up the technician's note: full sentences, same language, nothing added.", 2),
    Site("serial.normal", 1, "extraction", _serial, "Normalise the serial number to the form A123456-YY.", 2),
    Site("nps.reason", 1, "classification", _why, _HI + "Main reason of the score: price, waiting, quality, staff, other.", 2.5, since=0.5),
    Site("chat.answer", 2, "generation", _rag, _HI + "Answer in the customer's language from the context. It may be in another language. At most four sentences. If the context does not help, say that a colleague will answer.", 6),
    Site("tech.brief", 2, "summarization", _brief, _HI + "Summarise the chat for the technician in English: appliance, problem, what is known, what to bring.", 3.5),
    Site("sorry.letter", 2, "generation", _draft, _HI + "Write the apology to the customer in the given language. Say what happens next.", 3),
    Site("visit.tools", 2, "tool_use", _book, _HI + _NAME + "Use a function to do what the customer wants with the visit. One call.", 3, tools=("find_visit", "move_visit", "cancel_visit", "send_invoice")),
    Site("reply.translate", 2, "generation", _translate, "Translate our letter into the target language. Natural, polite, same content.", 2.5),
    Site("shop.text", 2, "generation", _product, _HI + "Write the shop text for a refurbished appliance in the given language, 50 to 80 words.", 1.5),
    Site("care.mail", 2, "generation", _after, _HI + "Write a friendly follow-up mail in the language given first.", 1.5, since=0.5),
    Site("diagnose.agent", 3, "tool_use", _diagnose, _HI + "You are the remote diagnosis agent. Plan measurements, interpret the results, narrow down the cause, then reserve the part. Talk to the customer in their language.", 3, tools=("read_error_log", "measure_resistance", "lookup_schematic", "check_stock", "reserve_part")),
    Site("fault.find", 3, "reasoning", _find, _HI + "From the observations deduce the one part that explains them all. Weigh contradictions; some observations are red herrings. Name only the part.", 2.5),
    Site("repair.worth", 3, "reasoning", _worth, _HI + "Is a repair economical? Work out yearly costs including risk, power and bonus. Answer repair or replace.", 2),
    Site("tour.plan", 3, "reasoning", _tour, _HI + "Plan the technician's tour: windows, driving, parts. Give the order, the load, and what to drop first.", 1.2),
    Site("warranty.opinion", 3, "reasoning", _warranty, _HI + "Give an opinion on who pays: statutory rights, guarantee, our own work. Reason step by step, state what is uncertain.", 1.2),
)
