"""An examination service: short questions with short answers that have to be worked out, beside a few easy tasks.

The hard ones are of the kinds that public benchmarks of reasoning generate from rules.
"""

import datetime as dt
import itertools
import json
import random
from collections.abc import Callable

from benchmarks.invented.site import Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, THINGS, cued, pick, spin

Make = Callable[[random.Random], Turn]
_CLUBS = (
    "the rowing club", "the choir", "the night shift", "the chess circle", "the volunteers", "the beekeepers",
    "the front row", "the founders", "the bakers", "the swimmers", "the subscribers", "the tutors",
)  # fmt: skip
_ADJECTIVES = (
    ("lovely", "awful", "silly", "good"), ("big", "tiny", "little"), ("old", "new", "ancient"), ("square", "round"),
    ("red", "blue", "grey", "pink"), ("Thai", "Polish", "Greek"), ("steel", "paper", "leather", "rubber"),
)  # fmt: skip
_NOUNS = ("chair", "hat", "ship", "watch", "dog", "box", "coat")
_COLOURS = ("red", "green", "blue", "orange", "purple", "white", "grey")
_COUNTED = {
    "fruits": ("apple", "plum", "peach", "banana", "grape"), "animals": ("cat", "goat", "duck", "frog", "snail"),
    "tools": ("hammer", "saw", "drill", "file"), "pieces of furniture": ("lamp", "bed", "couch", "stool"),
}  # fmt: skip
_NUMBERS = "one two three four five six seven eight nine ten".split()
_SPORTS = {
    "football": (("took the corner kick", "was flagged offside"), ("Marta Rey", "Ivo Lang", "Sune Dahl")),
    "tennis": (("won the tie-break", "served a double fault"), ("Lea Fox", "Tim Ruud", "Nadia Bell")),
    "cricket": (("was caught at slip", "bowled a maiden over"), ("Ravi Nair", "Joe Holt", "Ben Shah")),
    "basketball": (("hit a three at the buzzer", "fouled out"), ("Dee Walker", "Omar Pratt", "Luka Babic")),
}
_WHO = (
    "a beaver",
    "a monk of the 12th century",
    "a lighthouse keeper",
    "a kindergarten teacher",
    "a penguin",
    "a Viking",
)
_COULD = (
    "outweigh a grand piano", "have read a newspaper", "fit in the boot of a small car", "hear a silent film",
    "need a passport to cross the Rhine", "have eaten a tomato", "see the harbour from the hill", "understand a telegram",
)  # fmt: skip
_MOODS = {
    "positive": ("[Love|Loved] the <x>, [works|looks] [great|perfect].", "[So|Very] happy with my <x>[!|, thanks]"),
    "negative": (
        "The <x> [broke|failed] [twice|after a week], [awful|useless].",
        "[Terrible|Worst] <x>, I want a refund.",
    ),
    "neutral": ("I [ordered|got] the <x> [on Monday|last week].", "Asked about the <x> [today|by phone]."),
}


def _lettered(options: list[str]) -> str:
    return "\n".join(f"({chr(65 + n)}) {option}" for n, option in enumerate(options))


def _choice(question: str, options: list[str], right: str) -> Turn:
    return Turn(f"{question}\nOptions:\n{_lettered(options)}", f"({chr(65 + options.index(right))})")


def _expression(r: random.Random, depth: int) -> str:
    if depth == 0:
        return pick(r, ("True", "False"))
    inner = _expression(r, depth - 1)
    return pick(r, (f"not {inner}", f"( {inner} )", f"{inner} {pick(r, ('and', 'or'))} {_expression(r, depth - 1)}"))


def _boolean(r: random.Random) -> Turn:
    text = _expression(r, 4)
    return Turn(f"{text} is", str(bool(eval(text))))  # noqa: S307 - made of six words, above


def _date(r: random.Random) -> Turn:
    today = dt.date(r.randint(1930, 2030), r.randint(1, 12), r.randint(1, 28))
    asked, days = pick(r, (("tomorrow", 1), ("yesterday", -1), ("10 days ago", -10), ("one week from today", 7)))
    right = today + dt.timedelta(days)
    options = [right + dt.timedelta(n) for n in r.sample((1, -1, 30, -30, 365, 9, -9, 60), 4)] + [right]
    r.shuffle(options)
    shown = [f"{day:%m/%d/%Y}" for day in options]
    said = pick(r, (f"Today is {today:%B} {today.day}, {today.year}.", f"It is {today:%m/%d/%Y} today."))
    return _choice(f"{said} What is the date {asked} in MM/DD/YYYY?", shown, f"{right:%m/%d/%Y}")


def _argument(r: random.Random) -> Turn:
    a, b, c = r.sample(_CLUBS, 3)

    def all_are(one: str, other: str) -> str:
        forms = (
            f"whoever belongs to {one} belongs to {other}", f"belonging to {one} is enough for belonging to {other}",
            f"nobody belongs to {one} without belonging to {other}",
        )  # fmt: skip
        return pick(r, forms)

    valid = r.random() < 0.5
    premises = [all_are(a, b), all_are(b, c)]
    r.shuffle(premises)
    end = all_are(a, c) if valid else all_are(c, a)
    text = f"First, {premises[0]}. Second, {premises[1]}. Therefore, {end}.\nIs the argument valid or invalid?"
    return Turn(text, "valid" if valid else "invalid")


def _adjectives(r: random.Random) -> Turn:
    right = [pick(r, _ADJECTIVES[n]) for n in sorted(r.sample(range(len(_ADJECTIVES)), r.randint(3, 5)))]
    wrong = pick(r, [list(order) for order in itertools.permutations(right) if list(order) != right])
    noun = pick(r, _NOUNS)
    options = [" ".join([*right, noun]), " ".join([*wrong, noun])]
    answer = options[0]
    r.shuffle(options)
    return _choice("Which has the right order of adjectives?", options, answer)


def _shelf(r: random.Random) -> Turn:
    books = [f"{colour} book" for colour in r.sample(_COLOURS, r.randint(3, 6))]
    clues = [f"The {b} is to the right of the {a}." for a, b in itertools.pairwise(books)]
    r.shuffle(clues)
    at = r.randrange(len(books))
    listed = r.sample(books, len(books))
    options = [f"The {book} is number {at + 1} from the left." for book in listed]
    text = f"On a shelf there are {', '.join('a ' + book for book in listed)}. {' '.join(clues)}"
    return _choice(text, options, f"The {books[at]} is number {at + 1} from the left.")


def _path(r: random.Random) -> Turn:
    steps = [r.randint(1, 9) for _ in range(r.randint(1, 3))]
    back = sum(steps) + (0 if r.random() < 0.5 else pick(r, (-1, 1, 2)))
    first = [f"Take {n} steps forward." for n in steps]
    last = r.randint(1, back) if back > 1 else back
    rest = [f"Take {n} steps backward." for n in (last, back - last) if n]
    moves = first + rest
    r.shuffle(moves)
    text = f"If you follow these instructions, do you return to the starting point? {' '.join(moves)}"
    return Turn(text, "Yes" if back == sum(steps) else "No")


def _count(r: random.Random) -> Turn:
    asked, other = r.sample(tuple(_COUNTED), 2)
    total, parts = 0, [f"a {thing}" for thing in r.sample(_COUNTED[other], r.randint(0, 3))]
    for thing in r.sample(_COUNTED[asked], r.randint(2, 4)):
        n = pick(r, (1, 1, 2, 3))
        total += n
        parts.append(f"a {thing}" if n == 1 else f"{_NUMBERS[n - 1]} {thing}s")
    r.shuffle(parts)
    return Turn(f"I have {', '.join(parts)}. How many {asked} do I have?", str(total))


def _swaps(r: random.Random) -> Turn:
    people = r.sample(FIRST, r.choice((3, 5)))
    holds = dict(zip(people, r.sample(_COLOURS, len(people)), strict=True))
    text = "; ".join(f"{person} has the {ball} ball" for person, ball in holds.items()) + "."
    for _ in people:
        a, b = r.sample(people, 2)
        holds[a], holds[b] = holds[b], holds[a]
        text += f" Then {a} and {b} swap."
    asked = pick(r, people)
    return _choice(f"{text} At the end, {asked} has the", r.sample(sorted(holds.values()), len(people)), holds[asked])


def _liars(r: random.Random) -> Turn:
    people = r.sample(FIRST, 5)
    honest = r.random() < 0.5
    text = f"{people[0]} {'tells the truth' if honest else 'lies'}."
    for before, person in itertools.pairwise(people):
        claim = r.random() < 0.5
        text += f" {person} says {before} {'tells the truth' if claim else 'lies'}."
        honest = claim == honest
    return Turn(f"{text} Does {people[-1]} tell the truth?", "Yes" if honest else "No")


def _plausible(r: random.Random) -> Turn:
    sport = pick(r, tuple(_SPORTS))
    other = sport if r.random() < 0.5 else pick(r, [name for name in _SPORTS if name != sport])
    text = f'Is the following sentence plausible? "{pick(r, _SPORTS[sport][1])} {pick(r, _SPORTS[other][0])}."'
    return Turn(text, "yes" if other == sport else "no")


def _strategy(r: random.Random) -> Turn:
    at = pick(r, ("", " in 1850", " at night", " in winter"))
    return Turn(f"{pick(r, ('Would', 'Could'))} {pick(r, _WHO)} {pick(r, _COULD)}{at}?", pick(r, ("Yes", "No")))


def _claim(r: random.Random) -> Turn:
    rows = [(city, r.randint(0, 20), r.randint(0, 20)) for city in r.sample(CITIES, 6)]
    (one, won, _), (two, less, _) = r.sample(rows, 2)
    more = won - less + pick(r, (0, 0, 1, -1))
    table = "\n".join(f"{city} | {wins} | {losses}" for city, wins, losses in rows)
    text = f"team | won | lost\n{table}\n\nStatement: {one} won {more} more games than {two}"
    return Turn(text, json.dumps({"verdict": "true" if more == won - less else "false"}))


def _sum(r: random.Random) -> Turn:
    a, b, c = r.randint(12, 40), r.randint(2, 9), r.randint(2, 9)
    text = f"{pick(r, FIRST)} buys {a} boxes of {b} pens and gives {c} pens to each of {a // 3} friends. How many are left?"
    return Turn(text, str(a * b - c * (a // 3)))


def _mood(r: random.Random) -> Turn:
    return Turn(*cued(r, _MOODS, 0.1, words={"x": pick(r, THINGS)}))


def _order(r: random.Random) -> Turn:
    fields = {"name": pick(r, FIRST), "quantity": r.randint(1, 9), "item": pick(r, THINGS), "city": pick(r, CITIES)}
    text = "{name} here, please send {quantity} of the {item} to {city}.".format(**fields)
    return Turn(pick(r, ("Hi, ", "", "Good morning. ")) + text, json.dumps(fields))


def _letter(r: random.Random) -> Turn:
    name, points = pick(r, FIRST), r.randint(20, 95)
    text = spin(
        r,
        "Dear <n>,\n\n[thank you for taking|we have marked] your examination in <c>. [You reached|Your result is] <p> points. "
        "[Many candidates find the last part hard|The questions on order were the hardest this year], [so do not|please do not] "
        "lose heart[ and look at the notes on our page|, and write to us if anything is unclear].\n\n[Kind regards|Yours],\nThe marking team",
        n=name,
        c=CITIES,
        p=str(points),
    )
    return Turn(f"{name}, {points} points", text)


def _hard(name: str, make: Make, system: str) -> Site:
    return Site(name, 3, "reasoning", make, system)


SITES = (
    _hard("logic.boolean", _boolean, "Evaluate. Output True or False."),
    _hard("logic.argument", _argument, "Answer valid or invalid."),
    _hard("logic.liars", _liars, "Yes or No?"),
    _hard("calendar.date", _date, "Reply with the letter only."),
    _hard("language.adjectives", _adjectives, "You check learners' English."),
    _hard("shelf.order", _shelf, "Reply with one option."),
    _hard("robot.path", _path, "You control a small robot. Answer Yes or No."),
    _hard("stock.count", _count, "Answer with a number."),
    _hard("game.swaps", _swaps, "Give the letter of the answer."),
    _hard("facts.plausible", _plausible, "Reply yes or no."),
    _hard("facts.strategy", _strategy, "Reply Yes or No."),
    _hard("table.claim", _claim, "You verify statements against a table. Output true or false."),
    _hard("school.sum", _sum, "Only the final number."),
    Site("result.letter", 2, "generation", _letter, "Write the letter that goes with the result.", weight=2),
    Site("desk.mood", 1, "classification", _mood, "positive, negative or neutral?", weight=8),
    Site("shop.order", 1, "extraction", _order, "Extract name, quantity, item and city as JSON.", weight=8),
)
