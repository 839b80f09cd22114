"""What an instruction asks for, read from its words: a label, an extraction, a proof, a summary.

The wordings are general, most of them English, the usual output contracts ("answer with exactly one
word") also in German, French, Spanish, Japanese and Chinese. They are looked for in the standing part of
an instruction: negated clauses, conditions and remarks on the past are cut out first.
"""

import re
from functools import lru_cache

_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+|;\s")
_PAST = re.compile(
    r"\b(?:no longer|any ?more|used to (?:be|have|return|send|support|exist|ask)|earlier|previously|formerly|legacy|"
    r"previous (?:version|variant)|historic\w*|withdrawn|retired|deprecated|obsolete|switched off|turned off|kept for|"
    r"abolished|abgeschafft|altbestand|früher\w*|ancienne(?:ment)?|antiguamente|removed in|"
    r"(?:until|up to) (?:v|version|build))\b|旧|以前|過去"
)
_CONDITION = re.compile(r"[\s\-*•>\d.)(]*(?:if|unless|in case|wenn|falls|sofern|si)\b")
_NEGATED = re.compile(
    r"(?<!\bor )(?<!\bvs )\b(?:no(?= [a-z]{2,})|not|never|without|nor|don't|doesn't|cannot|can't|avoid|instead of|"
    r"rather than|kein\w*|nicht|ohne|sans|pas de|sin)\b[^,.:\n()]{0,60}"
)

_LABEL = (
    r"(labels?|categor(y|ies)|class(es)?|intents?|topics?|tags?|words?|sentiments?|departments?|queues?|priority|"
    r"severity|verdict|emotion|team|skill|genre|bucket|language code|letter|digit)"
)
_FILL = (
    r"([:\s*_`]|with|only|exactly|just|strictly|back|the|an?|by|using|simply|always|your|be|must|should|is|in|"
    r"best|most|likely|matching|correct|right)*"
)
_NO_LABEL = (
    r"(paragraph|sentence|line|json|object|function|call|tool|question|page|image|block|code|e-?mail|title|row|array|"
    r"bullet|point|fenced)"
)
_VERB = r"(answer|reply|respond|return|output|give|write|print|emit|choose|pick|select|name|assign|say|format|result)"
_YES = r"(yes|true|spam|ham|positive|relevant|safe|offensive|toxic|allow|pass)"
_NO = r"(not?|false|ham|spam|negative|unsafe|irrelevant|block|fail|nein|non)"
_HARM = (
    r"(spam|phishing|toxic|toxicity|hate|harassment|abuse|abusive|offensive|moderat\w+|profanity|nsfw|unsafe|scam|"
    r"fraud|jailbreak|injection|violat\w+|inappropriate)"
)
_PROGRAM = r"(code|functions?|scripts?|programs?|sql|unit tests?|algorithms?|bugs?|regex(es)?)"
_SOURCE = (
    r"(utterances?|commands?|requests?|messages?|query|queries|sentences?|texts?|transcripts?|e-?mails?|lines?|"
    r"receipts?|invoices?|tickets?|posts?|turns?|address(es)?|listings?|forms?|documents?|orders?)"
)
_DETAIL = (
    r"(entity|entities|names?|slots?|fields?|details?|dates?|amounts?|numbers?|attributes?|values?|address(es)?|"
    r"line items?|spans?|mentions?|parameters?|quantit\w+|contacts?|properties|json|data|information|info|skus?)"
)

# " … " stands for up to 40 characters of the same sentence; every wording begins and ends at a word's border.
_WORDINGS: dict[str, tuple[str, ...]] = {
    "label": (
        rf"{_VERB}s?\b{_FILL}\b(one|single|1)[- ]([\w'-]+[ -]){{0,3}}{_LABEL}",
        rf"{_VERB}s? … (as|with|in) (one|a single|a) ([\w-]+ ){{0,2}}(word|label|category|class|digit|letter)",
        r"(choose|pick|select) (among|from|between|out of)[^.\n]{0,30}: ?\w+",
        r"(klassifiziere|kategorisiere|ordne|bewerte|stufe) … (als|zu|ein)",
        r"nur (das|die|den|der) (label|kategorie|klasse|wort|thema|name|namen)",
        rf"(only|just|nothing but)( with| return| output)?( the| one| a| its| that| this)? ([\w'-]+ ){{0,2}}{_LABEL}",
        rf"{_LABEL}( name| id| code| string)? (only|alone|and nothing else)",
        rf"{_YES}[\"'`”]? ?(or|/|\||oder|ou|o|vs\.?) ?[\"'`“]?{_NO}",
        r"(answer|reply|respond|return|output|say)s?( with)?:? [`\"'“][\w -]{1,30}[`\"'”](,? (or|oder|ou|o)|,| ?/)",
        r"(output|return|answer|reply|respond|give|print|say|pick|choose|select)( with| exactly| only| just)* one of",
        rf"(exactly|precisely) one (?!{_NO_LABEL})[a-z]+",
        r"one [\w -]{0,25} from the (list|following|table|set|catalogue)",
        r"(label|category|answer|output|verdict|result|class)s?: ?[\w-]+( ?[/|] ?| or )[\w-]+",
        r"(answer|reply|respond|return|output)s?( with)?:? [\w-]+ or [\w-]+(?=[.\n]|$)",
        r"(y ?/ ?n|true ?/ ?false|yes ?/ ?no)",
        r"(allowed|possible|valid|permitted) (answers?|values|labels|outputs?|categories|classes)",
        r"(return|output|give|print|(answer|reply|respond) with) (only |just )?its (id|identifier|number|name|key)",
        r"(one word|single word|iso [\w -]{0,8}code)( only)?",
        r"(ja oder nein|oui ou non|si o no|sí o no)",
        r"eine[rsmn]? der (folgenden|genannten|angegebenen)",
        r"(un|une) (seule )?des (catégories|options|étiquettes|valeurs)",
        r"una de (estas|las siguientes)",
        r"(classify|classified|categori[sz]ed?|sort|label|tag|route|assign) … (as|into|to one|to exactly one)",
        r"one of (the )?(following|these|those|labels|categories|classes|options|values)",
        r"(mit|nur|genau) ((mit|ein|genau|nur|eine[mnrs]?) )+(wort|label|kategorie|klasse|begriff)",
        r"genau eine[mnrs]? … (wort|label|kategorie|klasse|wert|thema|absicht)",
        r"(un|une) seule? (mot|étiquette|catégorie|label)",
        r"uniquement (par |avec )?(le|la|l'|un|une) ?(mot|label|étiquette|catégorie|intention)",
        r"una (sola )?(palabra|etiqueta|categoría)",
        r"sol(o|amente) (con )?(la|una) (etiqueta|categoría|palabra)",
    ),
    "decision": (
        r"(classify|classifies|categori[sz]es?|klassifiziere|kategorisiere|clasifica|classifiez|classifie)",
        r"(decide|determine|detect|check|judge|predict|assess|evaluate|tell|say)s? … (if|whether|which|how many stars)",
        r"(give|assign|provide|pick|choose) … (category|categories|labels?|rating)",
        r"identify the (\w+ )?(language|sentiment|category|topic|intent|emotion|tone)",
        r"sentiment (of|analysis)",
    ),
    "moderation": (_HARM,),
    "intent": (r"(intents?|utterances?|dispatcher|skill|absicht|intention)",),
    "extraction": (
        rf"(extract|pull|tag|annotate|capture|parse|recogni[sz]e|fill)s?( out)? … {_DETAIL}",
        r"(extrahiere|extrais|extraye|extrae|named entit\w+)",
        r"slots? … (values?|empty)",
        r"(unknown|missing|absent|other|fehlende) … (null|empty|leer)",
        r"as (they are |it is |they )?(written|typed|spelled|printed|stand|stands)",
        r"(entity|slot|address|date|name|receipt|invoice|resume|cv|log) (tagg|pars|extract)(er|or|ing|ion)",
        r"pull(s|ed)? (out )?(the|all|any|every|each)",
        r"(find|list|mark|identify) (all|every|the) … (names|companies|places|people|dates|entities|amounts|numbers)",
        r"(parts|fields|keys|attributes|details|components) (as|in) json",
        r"(null|none|empty string|empty list) (when|if|where) … (missing|absent|unknown|none|given|stated|there)",
        r"null for",
        r"(values?|words|text|spans?) … (copied|verbatim)",
        rf"(turn|convert|map|parse)s? … {_SOURCE} … (in)?to … json",
    ),
    "json": (r"json",),
    "reading": (rf"(read|reads|get|gets|receive|receives|given) … {_SOURCE}",),
    "parsing": (r"(convert|turn|parse|transform|map)s?",),
    "bare": (r"(nothing (else|more)|(only|just) (the|its) [\w-]+)",),
    "long_output": (
        r"([1-9]\d+|hundred|thousand) (words|pages|lines)",
        r"(a|an|the|whole|full|blog|news|long) (article|essay|blog|chapter|report|story|speech)",
        r"subheadings",
    ),
    "rewrite": (
        r"(fix|correct|corrects|check|repair) … (grammar|spelling|typos?|punctuation|sentence)",
        r"(proofread|rewrite|rephrase|paraphrase|reword|shorten|polish|korrigiere|corrige[rz]?)s?",
        r"(typos?|spelling|grammar|mistakes|errors) (fixed|corrected)",
        r"(autocorrect|spell-?check\w*|proofreading|title-case)",
        rf"make … {_SOURCE} … (shorter|simpler|clearer|polite|formal|friendl(y|ier))",
        r"(sentence|text|message) corrected",
        r"(corrected|cleaned|polished) (sentence|text|version|title|message)",
        r"clean(s|ed)? (up )?(the |each |this )?([\w-]+ )?(titles?|names?|texts?|sentences?|messages?)",
        r"(keyword|search) (query|queries|string|terms)",
        rf"normali[sz]e … {_SOURCE}",
    ),
    "summary": (
        r"(summary|summaries|summari[sz](e|es|ed|ing)|tl;?dr|digest|recap|zusammenfass\w*|fasse|résum\w+|resum(en|ir))",
        r"(write|take|produce)s? … (notes|minutes)",
        r"(answer|question|based|use|using)s? … (excerpts?|passages?|context|transcript|article|documents?)",
    ),
    "explanation": (
        r"(explain|justify|elaborate|(mention|describe|state) (what|why|how|which|the reasons?|your))",
        r"(explains|say|state|tell|tells) … why",
        r"(give|with|include|state)( (a|your|the|short|brief))* (reasons?|rationale|justification)",
        r"(two|three|four|2|3|4) (short )?sentences",
        r"(one|two|short|long) (short )?(paragraph|essay)s?",
        r"(erkläre|begründe|explique[rz]?|explica)",
    ),
    "deliberation": (
        r"step[- ]by[- ]step(?! (guide|instruct|tutorial|recipe|list|direction))",
        r"think … through",
        r"think (carefully|hard|deeply)",
        r"chain[- ]of[- ]thought",
        r"show (your|the|all) (work|working|reasoning|steps)",
        r"reason(ing)? (carefully|through|step|about)",
        r"(schritt für schritt|étape par étape|paso a paso)",
    ),
    "reasoning": (
        r"(prove|proofs?|derive|theorem|sudoku|multi-?step|deduce|deduction|beweise)",
        r"solve[sd]? … (equations?|puzzles?|problems?|exercises?|this|the given|riddles?)",
        r"math(s|ematic\w*)? … (problems?|tutor|questions?)",
        r"(word|logic) (problems?|puzzles?)",
        r"(full|complete|detailed) (calculation|derivation|solution)s?",
        r"(exam|olympiad|competition) (questions?|problems?|tasks?)",
        r"(root cause|trade-?offs|olympiad|diagnos(e|es|is)|business case|market entry|go-to-market)",
        r"(evaluate|assess|build|develop|estimate|design)s? … (investment|cash flow|valuation|strategy|architecture)",
        r"(schedule|allocate|distribute|assign|arrange)s? … so that",
        r"(constraints|conditions) (hold|are met|are satisfied)",
        r"(legal|financial|medical|clinical|contract|risk) (analysis|opinion|assessment)",
        r"plans? … (trips?|itinerar(y|ies)|projects?|schedules?|routes?|migrations?|rollouts?)",
        r"compare … (recommend|proposals|reports|options|contracts|alternatives|offers)",
        r"(physics|maths?|mathematics|chemistry|statistics) (exercise|problem|question|homework|tutor)s?",
        r"(löse|berechne) … (aufgabe|gleichung|problem)",
        r"(problem in words|calculation step|sums? written out|work … out the (answer|result|solution))",
    ),
    "code": (
        rf"(write|complete|implement|generate|produce|fix|debug|refactor|finish|create)s? … {_PROGRAM}",
        r"(find|locate|spot|fix) … (bugs?|snippet)",
        r"(debugging|debugger|debug (the|this|it|assistant|code))",
        r"review … (code|pull request|diff|patch|commit)",
        r"(coding|programming) (assistant|agent|step|task|problem|expert)",
        r"code (step|review|assistant|generation)",
        r"(python|javascript|typescript|java|rust|go|sql) (code|stub|block|function|expert|developer|query|program)",
        r"(implement (it|this|the|an?|one|what)|docstring|unified diff|failing tests?|traceback)",
        r"(python|pytest|javascript|typescript|golang|kotlin|php|haskell|(shell|bash|powershell) script)",
        r"((slow|sql|database) (query|queries)|(query|execution) plan|database (administrator|engineer))",
        r"(write|generate|add|create)s? … (unit|integration|regression) tests?",
        r"((schreibe|programmiere|implementiere) … (code|funktion|programm|skript)|programmierer)",
        r"(software|backend|frontend|full-stack|data) (engineer|developer)",
        r"(write|port|translate|convert|rewrite)s? … (in|to|into) (java|rust|go|sql|ruby|swift)",
    ),
    "multi_step": (
        r"(several|multiple|many|any number of) (calls?|tools?|functions?|steps)",
        r"(call|use) … (functions|tools)( that)? (you|as|in|until|one after)",
        r"(plan|break) … (steps|tasks|actions|calls)",
        r"(investigate|troubleshoot|one action at a time|take actions?|with access to)",
        r"(agentic|autonomous\w*|(function|tool) results|through (functions|tools))",
        r"until … (done|complete|finished|solved)",
    ),
    "open_chat": (
        r"general([- ]purpose)? (questions?|assistant|tasks?|help)",
        r"(general-purpose|any (question|topic|task|subject)|all kinds of (questions|tasks)|wide range of)",
        r"((ask|asks) (me|you|us|it)?( about)?|help|helps|helping) (with )?anything",
        r"((writing|analysis|planning|cod(e|ing)|maths?|research|brainstorming|translation|learning)[, ]+(and )?){3}",
        r"(help|helps|assist|assists|support|supports) … (coding|maths?|analysis|planning|reasoning|brainstorming)",
    ),
    "helper": (
        r"(helps?|helping|helper|assistant|copilot|companion)",
        r"(the|their|a|any|every|each|user's) (tasks?|wish|instructions?|request)",
        r"(what|whatever) … (asks?|asked|wants?|says?|tells?|needs?)",
    ),
    "generation": (
        r"(write|draft|compose|create|generate|suggest|reply|list|describe|design|translate|make|invent|recommend)",
    ),
}
_SPACELESS_WORDINGS: dict[str, tuple[str, ...]] = {
    "label": (
        r"(カテゴリー?|ラベル|分類)名?のみ",
        r"(から|一つ|一つだけ|一つを)選(び|ん|択)",
        r"名(だけ|のみ)",
        r"(一語|一単語|単語一つ|ラベル|カテゴリー?名?)(だけ|のみ)",
        r"(どちらか|いずれか)(一|1|ひと|のみ|だけ|を)",
        r"(只|仅)(回答|输出|返回|回复)",
        r"其中(之一|一个)",
    ),
    "decision": (r"分類|分类|判定|判断|判别",),
    "extraction": (r"抽出|抜き出|提取",),
    "rewrite": (r"校正|添削|改写|言い換え",),
    "summary": (r"要約|摘要|总结",),
    "reasoning": (r"証明|证明|一歩ずつ|段階的に|逐步|推理|問題を解|解题|数学",),
    "code": (r"コードを(書|生成|実装)|编写代码|实现函数",),
}


def _compiled(wordings: tuple[str, ...], border: str) -> re.Pattern[str]:
    text = "|".join(wordings).replace(" … ", r"\b[^.\n]{0,40}\b")
    return re.compile(f"{border}(?:{re.sub(r'[(](?![?])', '(?:', text)}){border}")


def _alternatives(group: str) -> tuple[list[str], str]:
    """What a wording that begins with a bracket offers there, and what follows the bracket."""
    depth, start, found = 0, 1, []
    for at, char in enumerate(group):
        depth += (char == "(") - (char == ")")
        if depth == 0 or (char == "|" and depth == 1):
            found.append(group[start:at])
            start = at + 1
        if depth == 0:
            break
    return found, group[start:]


def _beginnings(wording: str) -> set[str]:
    """Letters with which every match must begin; an empty string where that cannot be read off the wording."""
    if wording.startswith("("):
        found, rest = _alternatives(wording)
        return {""} if rest.startswith(("?", "*", "{0")) else set().union(*map(_beginnings, found))
    letters = re.match(r"[^\W_]*", wording)
    text = letters.group() if letters else ""
    # A letter before `?` or `*` need not be there.
    return {text[:-1] if wording[len(text) : len(text) + 1] in ("?", "*", "{") else text}


def _heads(wordings: tuple[str, ...]) -> frozenset[str]:
    """First three letters of the words with which a match can begin; empty where it can begin with any."""
    heads = {beginning[:3] for wording in wordings for beginning in _beginnings(wording)}
    return frozenset() if "" in heads else frozenset(heads)


_SIGNS = [(name, _heads(wordings), _compiled(wordings, r"\b")) for name, wordings in _WORDINGS.items()]
_SPACELESS_SIGNS = [(name, _compiled(wordings, "")) for name, wordings in _SPACELESS_WORDINGS.items()]
# These two read the text as it stands: line ends and capitals are what they go by.
_LABEL_LIST = re.compile(
    r"[:(]\s*(?:(?:\n?[ \t]*[-*•\d][^\n]{1,80}\n){2}|(?:[\w\"'`&-]+(?: [\w\"'`&-]+){0,2}\s?[,|/]\s*){2})"
)
_CAPITAL_LABELS = re.compile(
    r"\b(?:[Rr]eply|[Oo]utput|[Aa]nswer|[Rr]eturn|[Rr]espond|[Ss]ay|[Pp]rint|[Ww]rite)\b[^.\n]{0,20}\b[A-Z_]{2,}"
    r"(?:, [A-Z_]{2,})*(?:,? or |[,;]? (?:otherwise|else) | ?[/|] ?)[A-Z_]{2,}\b"
)
_WORD = re.compile(r"[^\W_]+")
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def standing(text: str) -> str:
    """The instruction as it always holds: lower case, without negated clauses, conditions and remarks on the past."""
    sentences = _SENTENCE.split(text.lower())
    # Items of one word are the labels themselves, not what to do with them.
    worded = [s for s in sentences if s and not (s[0] in "-*•" and " " not in s.strip(" -*•\t"))]
    kept = [s for s in worded if not _CONDITION.match(s) and not _PAST.search(s)]
    return _NEGATED.sub(" ", "\n".join(kept))


# Prompts that are filled in per user still share most of their paragraphs.
@lru_cache(maxsize=4096)
def _signs_of_paragraph(text: str) -> frozenset[str]:
    kept = standing(text)
    # Most signs can be ruled out by the words that occur, ten times faster than by their patterns.
    heads = {word[:3] for word in _WORD.findall(kept)}
    found = {
        name
        for name, begins_with, pattern in _SIGNS
        if not (begins_with and begins_with.isdisjoint(heads)) and pattern.search(kept)
    }
    if _SPACELESS.search(kept):
        found |= {name for name, pattern in _SPACELESS_SIGNS if pattern.search(kept)}
    if ":" in text and _LABEL_LIST.search(text):
        found.add("list")
    if _CAPITAL_LABELS.search(text):
        found.add("label")
    if '{"' in text:
        found.add("json")
    return frozenset(found)


def signs(text: str, head: int = 3000, tail: int = 1500) -> frozenset[str]:
    """Which signs the standing part of an instruction shows: `label`, `extraction`, `reasoning`, ...

    Of a long text only the first `head` and the last `tail` characters are read.
    """
    if len(text) > head + tail:
        text = f"{text[:head]}\n\n{text[-tail:]}"
    found = frozenset().union(*(_signs_of_paragraph(part) for part in text.split("\n\n")))
    writes = not found.isdisjoint(("generation", "explanation", "summary"))
    if {"list", "bare"} <= found and "json" not in found and not writes:
        found |= {"label"}
    if "json" in found and not found.isdisjoint(("reading", "parsing")) and not writes:
        found |= {"extraction"}
    return found


signs_of_system = lru_cache(maxsize=1024)(signs)
"""`signs`, remembered: a call site sends the same system prompt with every request."""
