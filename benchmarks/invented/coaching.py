"""An app for fitness coaches and small gyms: chats with history, logs typed in a hurry, plans and a few calculations.

Borderline call sites: `body.units` (arithmetic by a fixed factor: easy), `session.verdict` (one word, but history,
load and symptoms must be weighed together: hard), `meal.swap` (one line, yet it needs an idea that fits: middling),
`lead.temperature` (promises strategy, gives a label: easy), `timetable.full` (long input, a lookup: easy).
"""

import datetime as dt
import json
import random

from benchmarks.invented.site import Company, Message, Site, Turn
from benchmarks.invented.texts import capital, cued, grounded, mangled, misspelt, name, pick, spin, typed

# fmt: off
# Lists of texts and call sites read best with one entry a line.
_LIFTS = {
    "Back squat": ("squats", "back squat", "bb squat"),
    "Bench press": ("bench", "flat bench", "barbell bench press"),
    "Deadlift": ("deads", "conventional deadlift", "deadlift"),
    "Overhead press": ("ohp", "shoulder press standing", "military press"),
    "Pull-up": ("pullups", "pull ups strict", "chins wide"),
    "Romanian deadlift": ("rdl", "romanians", "stiff leg rdl"),
    "Bulgarian split squat": ("bulgarians", "bss", "rear foot elevated split squat"),
    "Lat pulldown": ("pulldowns", "lat pull", "pull down wide grip"),
    "Hip thrust": ("hip thrusts", "bb glute bridge", "thrusts"),
    "Seated row": ("cable row", "seated rows", "rows on the machine"),
    "Plank": ("planks", "front plank"),
    "Kettlebell swing": ("kb swings", "swings"),
}
_FOODS = (
    ("egg", "pc"),
    ("slice of toast", "pc"),
    ("banana", "pc"),
    ("oats", "g"),
    ("chicken breast", "g"),
    ("rice", "g"),
    ("greek yoghurt", "g"),
    ("almonds", "g"),
    ("olive oil", "tbsp"),
    ("protein shake", "ml"),
    ("semi-skimmed milk", "ml"),
    ("salmon", "g"),
    ("apple", "pc"),
    ("peanut butter", "tbsp"),
    ("lentils", "g"),
    ("latte", "ml"),
)
_CLASSES = "Spin 45,Morning Flow,Boxing Basics,HIIT Express,Pilates Mat,Strength Club,Aqua Fit,Mobility Lab,Barre,Run Club".split(",")
_GOALS = ("a first 10k", "losing 6 kg", "a pull-up without the band", "a half marathon in October", "getting strong after a pregnancy", "keeping up with the kids", "a sub-50 10k", "less back pain at the desk")
_ACHES = ("left knee", "lower back", "right shoulder", "Achilles", "hip flexor", "wrist", "shin", "neck")

_ASKS = {
    "book_class": ("[can I|could you|please] [get me a spot in|book|sign me up for] <cls> [tomorrow|on Friday|at 7]", "is there [still room|a free bike] in <cls>[?| tonight?]", "[put|add] [me|us two] [on the list for|into] <cls>"),
    "change_plan": ("[I can only train|I only have time] <n> days [this week|from now on], [adapt my plan|can we move things]?", "[swap|replace] the <lift> [day|sessions], [I hate them|gym is too busy]", "[move|shift] [leg day|my long run] to [Sunday|Wednesday]"),
    "log_question": ("[how do I|where can I] [log|enter] [a walk|my <lift>|water]?", "my [watch|scale] [doesn't sync|shows nothing] [since the update|today]", "[the app|it] counted my [run|<lift>] twice"),
    "pain": ("my <ache> [hurts|is sore|stings] [after|when I do] <lift>", "[sharp|dull] pain in the <ache> [since yesterday|for <n> days], [should I stop|what now]?", "[felt a pop|something pulled] in my <ache>"),
    "nutrition": ("[how much protein|how many carbs] [do I need|should I eat] [before|after] [a run|training]?", "is [rice|fasting|creatine] [ok|bad|useful] [for me|when cutting]?", "I'm [always hungry|craving sugar] [at night|after <lift>]"),
    "membership": ("[pause|freeze|cancel] my membership [for <n> weeks|from June|please]", "[how long am I|until when am I] [bound|under contract]?", "[can my wife join|do you have] a [family|student] [plan|discount]?"),
    "billing": ("[I was charged|you took the fee] [twice|<n> euros too much]", "[my card|the payment] [was declined|expired], [how do I update it|what now]?", "need [a receipt|an invoice] for [May|my employer]"),
    "motivation": ("[I skipped|missed] <n> [days|sessions] [and feel awful|again]", "[no energy|can't get going|what's the point] [today|lately]", "[I'm stuck|no progress] [at the same weight|for <n> weeks]"),
    "technique": ("[is my|check my] <lift> [form|depth] [ok|right]?", "[where should I feel|how wide do I stand in] the <lift>?", "should my [knees|elbows] [go past|flare] in the <lift>?"),
    "cancel_class": ("[can't make|have to drop|cancel] <cls> [tonight|tomorrow], [sorry|kid is ill]", "[take me off|remove me from] [the list for|] <cls>"),
    "small_talk": ("[morning coach|hey hey|hi!] [how are you|hope you slept well]?", "[thanks|you're the best|that was fun], [see you|bye]"),
    "talk_to_human": ("[can I speak to|let me talk to|get me] [a real person|my coach|the manager]", "[call me|ring me] [please|back] [today|at <n>]"),
}
_FLAGS = {
    "ok": ("<cls> was [great|brutal], [legs are jelly|see you next week]", "[did|managed] <n> [sets|rounds] of <lift>, [so happy|felt easy]", "this [killed me|hurt so good], [again please|love it]", "I [could murder|would kill for] a [pizza|burger] after that <lift>"),
    "injury": ("[sharp pain|numbness] in my <ache> [after|during] <lift>, [can't walk|it swells]", "[passed out|chest pain|got dizzy and fell] [in|after] <cls>"),
    "disordered_eating": ("[I only ate|lived on] <n>00 kcal [today|for <n> days], [feel proud|still too fat]", "I [make myself sick|take laxatives] after [dinner|every meal]"),
    "harassment": ("[send me|show me] a [pic|photo] in your [leggings|bikini], [sexy|baby]", "[you fat cow|loser], [quit the group|nobody wants you here]"),
    "spam": ("[lose <n> kg|get shredded] in [a week|days] with [my tea|these pills], [link in bio|DM me]", "[make money|earn <n>000] as a [remote coach|reseller], [join|message] now"),
}
_ENERGY = {
    "ok": ("week was [fine|alright], [slept ok|nothing special]", "[normal|average] energy, [<n> sessions done|all as planned]"),
    "high": ("[feeling amazing|so much energy], [slept like a baby|new record in <lift>]", "[best week|on fire], [did <n> sessions|could do more]"),
    "low": ("[exhausted|wiped out|drained], [kids were ill|<n> hours sleep]", "[dragging myself|no power] through <lift>, [work is mad|need a break]"),
}
_TOPICS = {
    "equipment": ("the [rowers|bikes] [squeak|are broken]", "[not enough|too few] [racks|dumbbells]"),
    "cleanliness": ("[showers|mats] are [filthy|smelly]", "[spotless|very clean] changing rooms"),
    "staff": ("<first> at the desk is [lovely|rude]", "[trainers|coaches] [really care|look at their phones]"),
    "classes": ("<cls> is [always full|the best]", "[more|fewer] evening classes please"),
    "price": ("[too expensive|overpriced] for what it is", "[fair|good] price"),
    "app": ("the app [crashes|logs me out]", "booking in the app is [easy|a pain]"),
    "crowding": ("[packed|impossible] after six", "[nice and quiet|empty] in the morning"),
}
_LEADS = {
    "warm": ("[comparing|looking at] a few gyms, [what are your prices|do you have a pool]?", "might start [in autumn|after the holidays], [send info|any trial day]?"),
    "hot": ("[want to|ready to] start [this week|on Monday], [where do I sign|can I come today]", "moving in next door on the <n>th, need [a gym|coaching], [card ready|take my money]"),
    "cold": ("just [curious|browsing], [no plans|already have a gym]", "[unsubscribe|not interested|wrong number]"),
}
_CALL = (
    ("I did all <n> sessions but the last one was cut short because my <ache> started to complain", "Did <n> sessions; the last was cut short because of the <ache>"),
    ("honestly the food is the hard part, weekends just fall apart when we eat at my in-laws", "Food is hard at weekends, at the in-laws"),
    ("I can move the <lift> to the morning, there is nobody at the rack at seven", "Will move the <lift> to seven in the morning"),
    ("my boss put me on late shifts for two weeks, so evenings are gone", "Late shifts for two weeks rule out evenings"),
    ("the scale says plus one kilo but my jeans are looser, is that normal", "A kilo up on the scale, yet clothes are looser"),
    ("let's keep <cls> as the fun session and drop the second interval run", "Keep <cls>, drop the second interval run"),
    ("I'd like you to film the <lift> from the side and send it before Friday", "Client films the <lift> from the side before Friday"),
    ("sleep got better since I stopped the late coffee, seven hours most nights", "Sleep is up to seven hours since late coffee stopped"),
)
_FAQ = (
    ("Pausing", "Members can pause once a year for up to <a> weeks. The pause starts on the first of a month and must be requested <b> days before. The contract is extended by the same time.", ("can i freeze from next week", "How long can I pause[ my membership|]?", "I'm [pregnant|injured|abroad for work], can I pause", "does pausing [cost|make my contract longer]?"), "You can pause once a year for up to <a> weeks, [always from the first of a month|starting on the first]; [ask <b> days ahead|we need <b> days' notice]. [Your contract gets longer by the same time.|]"),
    ("Late cancellation", "Classes can be cancelled free of charge until <a> hours before. Later cancellations cost one credit. Three no-shows in a month block booking for <b> days.", ("why did I lose a credit?", "until when can I cancel [a class|spin]", "[I can't book anymore|booking is blocked], why?"), "Cancelling is free up to <a> hours before the class[. After that it costs a credit|, later it costs one credit]. [Three no-shows block booking for <b> days.|]"),
    ("Guests", "Each member may bring a guest <a> times a month, Monday to Thursday. Guests show an ID, sign a waiver and pay <b> EUR.", ("can my brother come along on [saturday|tuesday]?", "how often can I bring a friend", "what does a guest [pay|need]?"), "You may bring a guest <a> times a month, [but only Monday to Thursday|from Monday to Thursday]. They [need an ID and sign a waiver|pay <b> EUR, show an ID and sign a waiver]."),
    ("Syncing", "Garmin, Polar and Apple Watch sync every <a> hours. Fitbit must be reconnected every <b> days. Manual entries are never overwritten.", ("fitbit stopped syncing", "does the watch overwrite what i typed in?", "[garmin|polar] run [is not here yet|still missing]"), "[Watches sync every <a> hours|Syncing runs every <a> hours]; Fitbit has to be reconnected every <b> days. [What you typed in stays.|]"),
    ("Macros", "The app sets protein at 1.<a> g per kg, fat at <b>% of energy and the rest as carbohydrate. Coaches can change the split per client.", ("how does the app work out my [protein|carbs]", "Can my coach change the macros?", "why so [much|little] fat in my targets?"), "The app takes 1.<a> g of protein per kilo, <b>% of the energy as fat and the rest as carbs. [Your coach can change that.|If it does not suit you, ask your coach for another split.]"),
    ("Corporate plans", "Companies with at least <a> members get <b>% off. Invoices are issued quarterly. Employees keep their rate for 3 months after leaving.", ("does my company get a discount", "I change jobs, do I lose my rate?", "how many [colleagues|people] do we need for the company plan"), "Companies with <a> or more members get <b>% off[, and you keep that rate for three months after leaving|. The invoice comes every quarter]."),
)
_COACH = (
    "Your <ache> is the limiter, so [I would build tolerance first|load comes last]: [isometrics|slow tempo work] [three|four] times a week, then add range, then speed.",
    "For <goal> the weekly volume counts more than any single session. [Raise|Lift] it by no more than [8|10] per cent and cut back every fourth week.",
    "The plateau in the <lift> may have [two|three] causes: too little food, too little sleep, or the same [rep range|tempo] for too long. [Change one at a time|Test food first], otherwise you learn nothing.",
    "There is a trade-off: <cls> keeps you motivated but eats recovery. I would [keep it in base weeks|swap it for an easy ride before hard days].",
    "A deficit and <goal> pull in different directions; [choose eight weeks of one|keep the deficit under 300 kcal], since [protein alone will not save the sessions|performance drops before weight does].",
    "If [the pain is above three of ten|it is worse next morning], we step back one level. If it stays quiet for [a week|four sessions], we move on.",
    "[Take|Use] [70|75|80] per cent of your best <lift> and stop [two|three] reps before failure; the last hard reps cost more than they give.",
    "What would change my mind: [a resting pulse up by five|two bad nights in a row|no progress after three weeks]. Then [drop a session|we take a deload].",
    "Start with [two|three] strength days around the <lift> and fill up with [easy zone-two work|walks]; hard days hard, easy days really easy.",
    "I am less sure about [fasting|creatine|morning sessions] in your case: the studies are on trained men, and you come from <goal>.",
)
_MEALS = ("chickpea shakshuka", "salmon rice bowl", "overnight oats with skyr", "turkey chilli", "tofu noodle salad", "lentil bolognese", "egg wraps with spinach", "cottage cheese pancakes", "bean burritos", "tray-bake chicken")


def _words(r: random.Random) -> dict[str, str]:
    """One choice for every slot of the templates."""
    lift = pick(r, tuple(_LIFTS))
    return {"cls": pick(r, _CLASSES), "lift": pick(r, (lift.lower(), *_LIFTS[lift])), "ache": pick(r, _ACHES), "n": str(r.randint(2, 9)), "goal": pick(r, _GOALS), "first": name(r).split()[0]}


def _history(r: random.Random, turns: int) -> list[Message]:
    past: list[Message] = []
    for _ in range(turns):
        past.append({"role": "user", "content": typed(r, cued(r, _ASKS, words=_words(r))[0])})
        past.append({"role": "assistant", "content": spin(r, "[Got it|Sure|Thanks], [I will look into it|one moment|done]. [Anything else?|]")})
    return past


def _intent(r: random.Random) -> Turn:
    text, label = cued(r, _ASKS, words=_words(r))
    return Turn([*_history(r, r.choice((0, 0, 0, 1, 2))), {"role": "user", "content": typed(r, text)}], mangled(r, label))


def _food(r: random.Random) -> Turn:
    items, said = [], []
    for food, unit in r.sample(_FOODS, r.randint(1, 4)):
        amount = {"pc": r.randint(1, 3), "g": r.randint(3, 30) * 10, "tbsp": r.randint(1, 3), "ml": r.randint(2, 8) * 50}[unit]
        items.append({"food": food, "amount": amount, "unit": unit})
        many = f"{food.replace('slice', 'slices') if 'slice' in food else food + 's'}" if unit == "pc" and amount > 1 else food
        said.append(f"{amount} {many}" if unit == "pc" else spin(r, f"[{amount}{unit} {food}|{amount} {unit} of {food}|{food} {amount}{unit}]"))
    text = spin(r, "[had|breakfast:|just ate|lunch was|log|]") + " " + spin(r, "[, | and | + ]").join(said)
    return Turn(typed(r, text.strip()), mangled(r, json.dumps({"items": items})))


def _sets(r: random.Random) -> Turn:
    found, lines = [], []
    for lift in r.sample(tuple(_LIFTS), r.randint(1, 4)):
        sets, reps, load = r.randint(2, 5), r.randint(3, 15), r.randint(4, 60) * 2.5
        found.append({"exercise": lift, "sets": sets, "reps": reps, "kg": load})
        lines.append(spin(r, f"{pick(r, _LIFTS[lift])} [{sets}x{reps} @ {load:g}[kg|]|{sets} sets of {reps} with {load:g} kilos|{load:g}kg {sets} x {reps}]"))
    return Turn(pick(r, ("\n", ", ", "; ")).join(lines) + spin(r, "[| felt good| rpe 8| grip gave out]"), mangled(r, json.dumps(found)))


def _flag(r: random.Random) -> Turn:
    text, label = cued(r, _FLAGS, 0.01, words=_words(r))
    return Turn(typed(r, text), mangled(r, label if r.random() < 0.99 else "I can't help with that."))


def _energy(r: random.Random) -> Turn:
    text, label = cued(r, _ENERGY, words=_words(r))
    extra = cued(r, _TOPICS, words=_words(r))[0] if r.random() < 0.4 else ""
    return Turn(f"{r.randint(52, 104)}.{r.randint(0, 9)} kg, {r.randint(3, 16)}k steps\n{typed(r, text)}. {extra}".strip(), mangled(r, label))


def _feedback(r: random.Random) -> Turn:
    topics = r.sample(tuple(_TOPICS), r.choice((1, 1, 2, 2, 3)))
    text = ". ".join(capital(spin(r, pick(r, _TOPICS[topic]), **_words(r))) for topic in topics)
    return Turn(f"{r.randint(1, 5)}/5 - {text}", mangled(r, json.dumps(topics)))


def _catalogue(r: random.Random) -> Turn:
    lift = pick(r, tuple(_LIFTS))
    return Turn(typed(r, f"{pick(r, _LIFTS[lift])}{spin(r, '[| heavy| 3 sets| w/ belt| light| (home)]')}"), mangled(r, lift))


def _push(r: random.Random) -> Turn:
    w = _words(r)
    long, short = pick(
        r,
        (("[Hello <first>, we wanted to let you know|Dear member, this is to inform you] that <cls> on [Monday|Friday] has been moved to [room 2|the upper floor] because of [a broken heater|works]", "<cls> moves to [room 2|the upper floor]"), ("[A place has become free|Somebody cancelled] in <cls> [tonight|tomorrow], and as you are on the waiting list you can now confirm it in the app within <n> hours", "Spot free in <cls>: confirm within <n> h"), ("You have completed <n> of your planned sessions this week, which is [more than most members|a great result], so keep going towards <goal>", "<n> sessions done. Next stop: <goal>")),
    )
    where = pick(r, ("room 2", "the upper floor"))
    return Turn(spin(r, long.replace("[room 2|the upper floor]", where), **w), mangled(r, spin(r, short.replace("[room 2|the upper floor]", where), **w)))


def _tidy(r: random.Random) -> Turn:
    text = spin(r, "[Client|She|He] completed <n> rounds and the <ache> [was fine|held up well]. We [agreed|decided] to [raise|keep] the load on the <lift> and [film|check] it next week. [Sleep is still short.|Mood was good.|No other issues.]", **_words(r))
    return Turn(misspelt(r, text.replace("completed", "complete").replace("agreed", "agree") if r.random() < 0.6 else text), mangled(r, text))


def _body(r: random.Random) -> Turn:
    feet, inches, pounds = r.randint(4, 6), r.randint(0, 11), r.randint(100, 260)
    metric = r.random() < 0.4
    cm, kg = round((feet * 12 + inches) * 2.54), round(pounds * 0.4536, 1)
    text = spin(r, f"[{cm} cm, {kg} kilos|I'm {cm / 100:.2f} m and weigh {kg}kg]" if metric else f"[{feet} ft {inches}, {pounds} lbs|{feet}'{inches}\" and {pounds} pounds|about {pounds}lb, {feet} foot {inches}]")
    return Turn(f"{text}{spin(r, '[|, goal is <goal>|, age <n>0]', **_words(r))}", mangled(r, json.dumps({"height_cm": cm, "weight_kg": kg})))


def _lead(r: random.Random) -> Turn:
    text, label = cued(r, _LEADS, words=_words(r))
    source = f"Source: {pick(r, ('web form', 'Instagram', 'walk-in', 'referral'))}\nAge: {r.randint(18, 66)}\nVisits to price page: {r.randint(0, 6)}"
    return Turn(f"{source}\nMessage: {typed(r, text)}", mangled(r, label))


def _timetable(r: random.Random) -> Turn:
    lines, full = [], []
    for weekday in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat"):
        for hour in sorted(r.sample(range(7, 21), r.randint(4, 7))):
            cls, size = pick(r, _CLASSES), pick(r, (12, 16, 20))
            taken = size if r.random() < 0.15 else r.randint(0, size - 1)
            lines.append(f"{weekday} {hour:02}:00 | {cls} | {name(r)} | {taken}/{size} | {spin(r, '[studio A|studio B|pool|hall]')}")
            if taken == size:
                full.append(f"{weekday} {hour:02}:00 {cls}")
    return Turn("\n".join(lines), mangled(r, json.dumps({"full": full})))


def _language(r: random.Random) -> Turn:
    texts = {
        "en": _ASKS["book_class"] + _ASKS["billing"],
        "de": ("[ich möchte|kann ich] <cls> [buchen|absagen][?| bitte]", "mein[e|] Knie tut weh nach <n> Sätzen"),
        "fr": ("[bonjour|salut], [je voudrais|puis-je] réserver <cls>", "j'ai mal au dos depuis <n> jours"),
        "es": ("[hola|buenas], [quiero|puedo] reservar <cls>", "¿cuánta proteína necesito?"),
        "nl": ("[kan ik|ik wil] <cls> [boeken|afzeggen]", "mijn betaling is mislukt"),
    }
    text, label = cued(r, texts, 0, words=_words(r))
    return Turn(typed(r, text), mangled(r, label))


def _recap(r: random.Random) -> Turn:
    w, who, coach = _words(r), name(r).split()[0], name(r).split()[0]
    lines, points = [f"{coach}: [00:12] {spin(r, '[hey|hi] <first>, how was the week', **{**w, 'first': who})}"], []
    for n, (said, short) in enumerate(r.sample(_CALL, r.randint(4, 7))):
        lines.append(f"{pick(r, (who, who, coach))}: [{n + 1:02}:{r.randint(10, 59)}] {spin(r, f'[uh |well |yeah |]{said}', **w)}")
        lines.append(f"{coach}: {spin(r, '[right|mhm|sure, tell me more|how did that feel|ok let me write that down|and on the other days]')}")
        points.append(spin(r, short, **w))
    return Turn("\n".join(lines), f"**Recap {who}**\n" + "\n".join(f"- {point}." for point in points))


def _reply(r: random.Random) -> Turn:
    w = _words(r)
    text, label = cued(r, {key: _ASKS[key] for key in ("motivation", "nutrition", "pain", "change_plan")}, 0, words=w)
    start = {"motivation": "[that happens to everyone|a slow week is not the end]", "nutrition": "[good question|glad you ask]", "pain": "[sorry to hear about that|thanks for telling me straight away]", "change_plan": "[no problem, we can work with that|plans are there to be changed]"}[label]
    body = spin(
        r,
        "[Let us keep the next two sessions short|Take it easy until Thursday] and [see how you feel after that|focus on moving well]. [If it helps, go for a walk of twenty minutes on the days between.|A bit of planning on Sunday evening makes the week much lighter.] [Remember why you started: <goal>.|You are closer to <goal> than you think.] [Write to me on Friday how it went|Send me a quick note after the next session], [and we adjust|then we set the next step].",
        **w,
    )
    return Turn([*_history(r, r.randint(0, 2)), {"role": "user", "content": f"Client message: {typed(r, text)}\nCoach tone: {pick(r, ('warm', 'brisk', 'funny'))}"}], f"Hi {w['first']}, {spin(r, start)}. {body}")


def _faq(r: random.Random) -> Turn:
    listed, asked, answer = grounded(r, _FAQ, 2)
    context = "\n".join(f'<doc title="{title}">{text}</doc>' for title, text in listed)
    tail = spin(r, "[|| See you in the gym!| Tap Help if anything is unclear.]")
    return Turn(f"{context}\n\nMember asks: {asked}", answer + tail if answer else spin(r, "[I am not sure about that one|The documents do not say]. [The desk can tell you.|Please ask your coach.]"))


def _meals(r: random.Random) -> Turn:
    kcal, days, likes = r.randint(14, 30) * 100, r.randint(2, 4), [food for food, _ in r.sample(_FOODS, 3)]
    plan = []
    for day in range(1, days + 1):
        meals = zip(("Breakfast", "Lunch", "Dinner"), r.sample(_MEALS, 3), strict=True)
        notes = f"[with {pick(r, likes)}|double the vegetables|about {r.randint(25, 45)} g protein|ready in {r.randint(10, 30)} minutes|enough for tomorrow]"
        plan.append("\n".join((f"**Day {day}**, about {kcal - r.randint(0, 9) * 10} kcal", *(spin(r, f"- {meal}: {dish}, {notes}") for meal, dish in meals))))
    return Turn(f"kcal: {kcal}\nno: {pick(r, ('pork', 'mushrooms', 'sweets', 'nothing'))}\nlikes: {', '.join(likes)}\ndays: {days}", "\n\n".join(plan))


def _swap(r: random.Random) -> Turn:
    dish, why = (pick(r, _MEALS), pick(r, ("no oven", "out of eggs", "vegan guest", "too many carbs", "needs to travel", "kids won't eat it")))
    other = pick(r, [meal for meal in _MEALS if meal != dish])
    return Turn(f"{dish} but {why}", spin(r, f"[Try|How about] {other}: [similar protein|about the same calories] and [no fuss|it keeps in a box]."))


def _desk(r: random.Random) -> Turn:
    w, day = _words(r), dt.date(2026, 6, 1) + dt.timedelta(days=r.randint(0, 20))
    text, call, args = pick(
        r,
        ((f"[book|sign] <first> [into|up for] <cls> on {day}", "book_class", {"member": w["first"], "class": w["cls"], "date": str(day)}), ("[freeze|pause] <first>'s membership for <n> weeks", "pause_membership", {"member": w["first"], "weeks": int(w["n"])}), ("[send|give] <first> <n> [free credits|class credits]", "add_credits", {"member": w["first"], "credits": int(w["n"])}), (f"who is [in|booked for] <cls> [on|] {day}?", "list_attendees", {"class": w["cls"], "date": str(day)})),
    )
    return Turn(typed(r, spin(r, text, **w)), "", ((call, json.dumps(args)),))


def _digest(r: random.Random) -> Turn:
    logs, done, sore, low = [], 0, [], []
    for _ in range(r.randint(8, 18)):
        who, (text, mood) = name(r), cued(r, _ENERGY, 0, words=_words(r))
        sessions, ache = r.randint(0, 5), pick(r, _ACHES) if r.random() < 0.2 else None
        done += sessions
        logs.append(f"{who}: {sessions} sessions, {text}{f', {ache} hurts' if ache else ''}")
        sore += [f"{who} ({ache})"] if ache else []
        low += [who] if mood == "low" else []
    return Turn("\n".join(logs), spin(r, f"{len(logs)} clients did {done} sessions. [Watch|Look at] {', '.join(sore) or 'nobody for pain'}. [Low on energy|Tired]: {', '.join(low[:4]) or 'none'}. [The rest is on track.|Nobody else needs you today.]"))


def _landing(r: random.Random) -> Turn:
    w = _words(r)
    copy = "## [Ready for|Your way to] <goal>[?|]\n\n[Train with a coach who knows your name.|No crowds, no guesswork, just a plan that fits your week.] [At <gym> we keep groups small|<gym> gives you a coach from day one], so [every session counts|you always know the next step].\n\n- [Small groups of <n>|Form check in every class]\n- <cls> and [Strength Club|Mobility Lab] included\n- [Cancel any month|First week on us]\n\n**[Book your trial|Start today]**"
    return Turn(spin(r, "gym: <gym>\naudience: [beginners|busy parents|runners|seniors]\noffer: [free week|two for one|no joining fee]", gym=w["first"] + "'s Gym"), spin(r, copy, gym=w["first"] + "'s Gym", **w))


def _advise(r: random.Random, points: int, words: dict[str, str]) -> str:
    return "\n\n".join(spin(r, advice, **words) for advice in r.sample(_COACH, points))


def _plan(r: random.Random) -> Turn:
    w, days, weeks = _words(r), r.randint(2, 5), r.randint(4, 8)
    base = r.randint(3, 8) * 5
    rows = []
    for week in range(1, weeks + 1):
        load = round(base * (0.7 if week % 4 == 0 else 1 + 0.07 * week))
        rows.append(spin(r, f"Week {week}{' (deload)' if week % 4 == 0 else ''}: {days} sessions - <lift> [4x6|5x5|3x8] at {load} kg; [easy run|row|ride] {20 + 3 * week} min; [<cls>|mobility for the <ache>]", **w))
    return Turn(spin(r, f"goal: <goal>\nweeks: {weeks}, days per week: {days}\nworking weight <lift>: {base} kg\nlimits: <ache>, [no barbell at home|late shifts|travels in week <n>]\nlikes: <cls>", **w), "\n".join(rows) + f"\n\n{_advise(r, r.randint(2, 3), w)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _pace(r: random.Random) -> Turn:
    known, target, hills = r.choice((5, 10)), r.choice((15, 21.1, 42.2)), r.randint(0, 5) * 60
    run = known * r.randint(255, 420)
    flat = run * (target / known) ** 1.06
    total = flat * (1 + hills / 100 / target / 10)
    half = total / target
    return Turn(
        f"{known}k in {_clock(run)}, race is {target}k with {hills} m up. Realistic time and pace for the first half if I want to run it 2 s per k faster in the second?",
        spin(
            r,
            f"[Scaling|Taking] {known} km in {_clock(run)} with an exponent of 1.06 gives {_clock(flat)} for {target} km on the flat. {f'The {hills} m of climbing add about {_clock(total - flat)}, so plan for {_clock(total)}.' if hills else 'There is no climbing to add.'} [That is|It means] {_clock(half)} per km on average. [To finish two seconds faster per km|For the negative split] start at {_clock(half + 1)} and run the second half at {_clock(half - 1)}. [The formula is kind to people with little mileage, so treat it as the best case.|Check it against your last long run.]",
        ),
        reasoning_tokens=r.randint(0, 500),
    )


def _verdict(r: random.Random) -> Turn:
    pain, trend, nights, ratio, fever = (r.randint(0, 7), pick(r, ("better", "same", "worse")), r.randint(3, 8), r.randint(7, 18) / 10, r.random() < 0.1)
    risk = (pain >= 3) + (pain >= 5) + (trend == "worse") - (trend == "better") + (nights < 6) + (ratio > 1.3) + (ratio > 1.5)
    verdict = "stop" if fever or risk >= 4 else "modify" if risk >= 2 else "go"
    return Turn(spin(r, f"<ache> {pain}/10, [since yesterday|overnight] {trend}, slept {nights}h, load this week {ratio:g}x the usual{', 38.2 C in the morning' if fever else ''}. Today: <lift> [heavy|light|tempo]", **_words(r)), verdict, reasoning_tokens=r.randint(200, 900))


def _chat(r: random.Random) -> Turn:
    w = _words(r)
    asks = (
        "why is my <lift> stuck although I train <n> times a week?",
        "how do I combine <cls> with <goal>?",
        "[my <ache> flares up|<ache> pain comes back] each time I go over <n> km, how would you build up?",
        "is it smarter to cut first or to go for <goal> first?",
        "just a quick one: what should the next <n> weeks look like for <goal>?",
    )
    turns: list[Message] = []
    for _ in range(r.randint(0, 3)):
        turns += [{"role": "user", "content": typed(r, spin(r, pick(r, asks), **w))}, {"role": "assistant", "content": _advise(r, 3, w)}]
    return Turn([*turns, {"role": "user", "content": typed(r, spin(r, pick(r, asks), **w))}], _advise(r, r.randint(4, 7), w))


def _code(r: random.Random) -> Turn:
    by, metric, least, weeks = (pick(r, ("coach", "gym", "plan")), pick(r, ("retention", "sessions per client", "no-show rate")), r.randint(3, 25), r.randint(4, 26))
    value = {"retention": "(g['last_seen'] >= cutoff).mean()", "sessions per client": "len(g) / g['client_id'].nunique()", "no-show rate": "(g['status'] == 'no_show').mean()"}[metric]
    smooth = r.random() < 0.5
    tail = f"    out['trend'] = out['value'].rolling({r.randint(2, 6)}, min_periods=1).mean()\n" if smooth else ""
    return Turn(
        f"{metric} by {by} over {weeks} weeks, leave out groups under {least} clients{', with a rolling trend' if smooth else ''}",
        f"```python\nimport pandas as pd\n\n\ndef report(df: pd.DataFrame, today: pd.Timestamp) -> pd.DataFrame:\n    cutoff = today - pd.Timedelta(weeks={weeks})\n    df = df[df['date'] >= cutoff]\n    rows = []\n    for key, g in df.groupby('{by}'):\n        if g['client_id'].nunique() >= {least}:\n            rows.append((key, {value}))\n    out = pd.DataFrame(rows, columns=['{by}', 'value']).sort_values('value')\n{tail}    return out\n```",
    )


def _cohort(r: random.Random) -> Turn:
    kept = [(r.randint(40, 160), *sorted((r.randint(30, 95) for _ in range(4)), reverse=True)) for _ in range(12)]
    months = [f"2025-{m:02}" for m in range(1, 13)]
    (best, high), (worst, low) = (pick_by(zip(months, kept, strict=True), key=lambda row: row[1][4]) for pick_by in (max, min))
    text = "\n".join(f"{month},{','.join(map(str, row))}" for month, row in zip(months, kept, strict=True))
    read = spin(
        r,
        f"Month-six retention runs from {low[4]}% ({worst}, {low[0]} people) to {high[4]}% ({best}, {high[0]} people). [With cohorts this small|Given the sizes] a gap of {max(4, high[4] - low[4]) // 2} points is within noise, so I would not read the months one by one. [What does stand out is|The steady part is] the drop between month one and two, on average {sum(row[1] - row[2] for row in kept) // 12} points: that is where [onboarding|the first plan] decides. [Seasonality|The January offer] could explain part of it, since those who join on a discount have less to lose.",
    )
    return Turn(
        f"cohort,size,m1,m2,m4,m6\n{text}\n\n{pick(r, ('What is going on, what is noise, and which experiment should we run first?', 'Did the new onboarding (from 2025-07) work? What else could explain it?'))}",
        f"{read}\n\n{_advise(r, 2, _words(r))}\n\n{spin(r, '[I would randomise new members to|Run a four-week test of] [a call in week two|a shorter first plan|a paid trial] and judge it by month-two retention alone; [about 300|some 250] members per arm are needed to see five points.')}",
    )


def _agent(r: random.Random) -> Turn:
    w = _words(r)
    tools = ("find_member", "list_bookings", "move_booking", "update_plan", "message_member")
    turns: list[Message] = [{"role": "user", "content": spin(r, "[<cls> is cancelled on Friday|coach <first> is ill for <n> days]: [find everyone affected|rebook them], [respect their limits|offer a similar slot] and [tell them|adjust plans where needed]", **w)}]
    steps = r.randint(0, 5)
    for n in range(steps):
        turns += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": f"t{n}", "type": "function", "function": {"name": tools[n], "arguments": json.dumps({"class": w["cls"]})}}]},
            {"role": "tool", "tool_call_id": f"t{n}", "content": json.dumps([{"member": name(r), "limit": spin(r, "[<ache>|none|mornings only]", **_words(r)), "free": r.random() < 0.6} for _ in range(r.randint(1, 5))])},
        ]
    if steps == 5:
        return Turn(turns, spin(r, "<n> members were in <cls>. [All but one|Most] are rebooked, [one has a bad <ache> and got a mobility session instead|two asked for a credit]. [Messages are out.|I did not touch the plans.]", **w))
    return Turn(turns, "", ((tools[steps], json.dumps({"class": w["cls"], "reason": w["first"]})),))


_US = "You are a feature of Paceline, the app that coaches and gyms run on. "
_RULES = "\n\n## Shared rules (do not edit here)\n- Short, friendly words; no medical diagnosis; kilos and metres.\n- If the feature returns a label or JSON, these rules about tone do not apply.\n\nOld: streak emojis and the 'hype' voice were dropped in 3.2."

COMPANY = Company(
    "coaching",
    True,
    (
        Site("chat.intent", 1, "intent", _intent, _US + "Route the member's latest message. Earlier turns are context only. Pick one intent and print it alone:\n" + ", ".join(_ASKS) + "\n\nPain always wins over plan changes. A question about doing an exercise right is technique. Thanks and hellos are small_talk. Never print an intent that is not in the list." + _RULES, 15),
        Site("food.log", 1, "extraction", _food, _US + 'Turn what somebody typed about their meal into {"items": [{"food", "amount", "unit"}]}. Units: pc, g, ml, tbsp. Singular food names. Do not estimate calories; a later step looks them up.', 10, response_format={"type": "json_object"}),
        Site("workout.parse", 1, "extraction", _sets, _US + "Read a training note and list the exercises as JSON objects with exercise (catalogue name), sets, reps, kg. Catalogue: " + ", ".join(_LIFTS) + "." + _RULES, 7),
        Site("group.flag", 1, "moderation", _flag, _US + "Check a post in a training group. One of: " + ", ".join(_FLAGS) + ". Slang about hard sessions is ok. When someone might be in danger prefer injury or disordered_eating over ok.", 6),
        Site("checkin.energy", 1, "classification", _energy, _US + "Weekly check-in. Is the client's energy low, ok or high? Judge by words, not by weight or steps. Reply with the one word.", 5),
        Site("exercise.match", 1, "classification", _catalogue, _US + "Match a typed exercise to our catalogue (" + "; ".join(_LIFTS) + "). Name only.", 4),
        Site("review.topics", 1, "classification", _feedback, _US + "Which topics does the gym review mention? JSON array, in order, from: " + ", ".join(_TOPICS) + ".", 3),
        Site("push.shorten", 1, "rewrite", _push, _US + "Shorten the announcement to a push notification of at most 60 characters. Keep names and times.", 3),
        Site("note.tidy", 1, "rewrite", _tidy, _US + "Fix spelling and grammar in the coach's note. Same words otherwise.", 2.5),
        Site("body.units", 1, "extraction", _body, _US + 'Return {"height_cm": int, "weight_kg": number with one decimal} from what the member wrote; 1 in = 2.54 cm, 1 lb = 0.4536 kg.', 2.5),
        Site("lead.temperature", 1, "classification", _lead, "You are Paceline's chief revenue strategist. Reason deeply about the prospect's psychology, buying stage, objections and lifetime value, consider alternative readings, then commit to a judgement.\n\nReturn only: hot, warm or cold.", 3),
        Site("timetable.full", 1, "extraction", _timetable, _US + 'Go through the whole week\'s timetable and return {"full": ["Mon 07:00 Class", ...]} with the classes that have no free place.', 1.5),
        Site("chat.language", 1, "classification", _language, "Language of the message: en, de, fr, es or nl.", 3, since=0.52),
        Site("reply.suggest", 2, "generation", _reply, _US + "Suggest a reply that the coach can send to the client. Three to five sentences in the coach's tone, one clear next step." + _RULES, 6, params={"temperature": 0.7}),
        Site("faq.answer", 2, "generation", _faq, _US + "Answer a member from the gym's documents. Two sentences at most, only what the documents say; otherwise send them to the desk.", 6, params={"temperature": 0.7}),
        Site("call.recap", 2, "summarization", _recap, _US + "Write the recap of a coaching call: one bullet per point, past tense, who will do what. Leave out small talk." + _RULES, 5, params={"temperature": 0.3}),
        Site("desk.action", 2, "tool_use", _desk, _US + "Front desk command line. Call the one function that does what the employee typed.", 4, tools=("book_class", "pause_membership", "add_credits", "list_attendees")),
        Site("coach.digest", 2, "summarization", _digest, _US + "Nightly job: boil the clients' check-ins down to what the coach must know tomorrow. Under 80 words.", 2.5, params={"temperature": 0.3}),
        Site("meal.ideas", 2, "generation", _meals, _US + "Propose simple meals for the days asked that keep to the calories and leave out what the client does not eat. Markdown, no recipes.", 2, params={"temperature": 0.7}),
        Site("meal.swap", 2, "generation", _swap, _US + "Suggest one replacement for the dish. One sentence.", 1.5, since=0.5, params={"temperature": 0.7}),
        Site("landing.copy", 2, "generation", _landing, _US + "Write the copy of a gym's landing page: headline, two sentences, three bullets, button.", 1, since=0.6, params={"temperature": 0.7}),
        Site("coach.ask", 3, "chat", _chat, _US + "You are the training advisor. People bring goals, limits and half the facts. Work out what holds them back, weigh options, commit to a recommendation and say what would change it." + _RULES, 3, params={"temperature": 0.7}),
        Site("plan.build", 3, "planning", _plan, _US + "Build the training plan week by week within the limits, with progression and a deload, then explain the choices.", 2.5),
        Site("desk.agent", 3, "tool_use", _agent, _US + "Work through the task with the functions. Look things up before changing them; finish with a short report.", 2.5, tools=("find_member", "list_bookings", "move_booking", "update_plan", "message_member", "add_credits")),
        Site("session.verdict", 3, "reasoning", _verdict, _US + "Should the client train as planned today? Weigh pain and its trend, sleep and the load of the week against each other. Output go, modify or stop.", 2),
        Site("race.pace", 3, "reasoning", _pace, _US + "Quick race calculator in words. Show the steps briefly.", 1.5),
        Site("report.code", 3, "code", _code, _US + "Write a pandas function report(df, today) for what the owner asks. Columns: client_id, coach, gym, plan, date, status, last_seen. Code block only.", 1.2),
        Site("cohort.readout", 3, "reasoning", _cohort, _US + "Read the retention table and answer the owner's question like a careful analyst.", 1),
    ),
)
