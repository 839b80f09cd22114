"""What an instruction asks for, read from its words: a label, an extraction, a proof, a summary.

The wordings are general, most of them English, the usual output contracts ("answer with exactly one
word") also in German, French, Spanish, Japanese and Chinese. They are looked for in the standing part of
an instruction: negated clauses, conditions and remarks on the past are cut out first.
"""

import re
from functools import lru_cache

from traffic.wording_search import WordingSearch, after, pattern_text, words_of

_ENDS = ((". ", ".\n"), ("! ", "!\n"), ("? ", "?\n"), ("; ", ";\n"))
_WIDE_ENDS = (("。", "。\n"), ("！", "！\n"), ("？", "？\n"))
_PAST = re.compile(
    r"\b(?:no longer|any ?more|used to (?:be|have|return|send|support|exist|ask)|earlier|previously|formerly|legacy|"
    r"previous (?:version|variant)|historic\w*|withdrawn|retired|deprecated|obsolete|switched off|turned off|kept for|"
    r"abolished|abgeschafft|altbestand|früher\w*|ancienne(?:ment)?|antiguamente|removed in|"
    r"(?:until|up to) (?:v|version|build))\b|旧|以前|過去"
)
_PAST_HINTS = (
    "no longer", "anymore", "any more", "used to ", "earlier", "previous", "formerly", "legacy", "historic",
    "withdrawn",
    "retired", "deprecated", "obsolete", "ed off", "kept for", "abolished", "abgeschafft", "altbestand", "früher",
    "ancienne", "antiguamente", "removed in", "until v", "until build", "up to v", "up to build", "旧", "以前", "過去",
)  # fmt: skip
_CONDITIONS = frozenset({"if", "unless", "case", "wenn", "falls", "sofern", "si"})
_CONDITION_STARTS = frozenset(word[:2] for word in ("if", "unless", "in case", "wenn", "falls", "sofern", "si"))
_ITEMS = ("", "-", "*", "•")
_BULLETS = " \t-*•>0123456789.)("
_NEGATIONS = frozenset(
    {"no", "not", "never", "without", "nor", "don", "doesn", "cannot", "can", "avoid", "instead", "rather"}
    | {"kein", "keine", "keinen", "keiner", "keinem", "keines", "nicht", "ohne", "sans", "pas", "sin"}
)
"""Words without which `_NEGATED` cannot match."""
_CONDITION = re.compile(r"[\s\-*•>\d.)(]*(?:if|unless|in case|wenn|falls|sofern|si)\b")
_NEGATED = re.compile(
    r"\b(?<!\bor )(?<!\bvs )(?:no(?= [a-z]{2,})|not|never|without|nor|don't|doesn't|cannot|can't|avoid|instead of|"
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
_LONG_TEXT = r"(article|essay|blog|chapter|report|story|speech)"
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
        r"labels? ?= ?\[",
        rf"{_VERB}s? with the ([\w-]+ )?(code|id|label|category|aisle|word|team|queue|genre|class|intent)",
        r"(return|output|print|give|say) (the )?(label|category|intent|class|verdict)",
        r"(number|digit|score|rating|token|code|letter) (only|alone)",
        r"(one|single) token",
        r"one of (our|its|the) (\d+|two|three|four|five|six|seven|eight|nine|ten|twelve)",
        r"positive, ?negative,? ?(or|and|/)? ?(neutral|mixed)",
        r"positive ?(or|/) ?negative",
        r"say [\w-]+,? (otherwise|else) [\w-]+",
        r"eine[rsmn]? der (wörter|kategorien|labels|optionen|klassen|themen)",
        r"(par|parmi) (l.une? (de )?)?(ces|cette|les) (étiquettes?|catégories?|valeurs?|options?|liste)",
        r"(sólo|solo|solamente|únicamente) (con )?(la|una|el|un) (categoría|etiqueta|palabra|intención)",
        r"(apenas|somente|só) (com )?(a|uma|o|um) (categoria|etiqueta|palavra|rótulo|intenção)",
        r"(solo|soltanto|unicamente) (con )?(la|una|il|un) (categoria|etichetta|parola|intento|nome)",
        r"(één|een|enkel|alleen) (het |de )?(woord|label|categorie)",
        r"(tylko|wyłącznie) (kategori\w+|etykiet\w+|jedn\w+ słow\w+)",
        r"(одним словом|только (категори\w+|метк\w+|названи\w+))",
    ),
    "decision": (
        r"(classify|classifies|categori[sz]es?|klassifiziere|kategorisiere|clasifica|classifiez|classifie)",
        r"(decide|determine|detect|check|judge|predict|assess|evaluate|tell|say)s? … (if|whether|which|how many stars)",
        r"(give|assign|provide|pick|choose) … (category|categories|labels?|rating)",
        r"identify the (\w+ )?(language|sentiment|category|topic|intent|emotion|tone)",
        r"sentiment (of|analysis)",
        r"(rate|score) … from \d+",
        r"(classificeer|clasificar|classifique|classifica|klasyfikuj|sklasyfikuj|классифицируй|определи тему)",
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
        r"(find|list|mark|identify) (all|every|each) … (name|company|place|person|date|entity|amount|number|code|dose)",
        r"slots for",
        r"(estrai|extraia|extrair|haal … uit|wyodrębnij|извлеки)",
    ),
    "json": (r"json",),
    "reading": (rf"(read|reads|get|gets|receive|receives|given) … {_SOURCE}",),
    "parsing": (r"(convert|turn|parse|transform|map)s?",),
    "bare": (r"(nothing (else|more)|(only|just) (the|its) [\w-]+)",),
    "long_output": (
        r"(hundred|thousand) (words|pages|lines)",
        r"(?<=\d\d )(words|pages|lines)",
        *after(("a", "an", "the"), _LONG_TEXT),
        rf"(whole|full|blog|news|long) {_LONG_TEXT}",
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
        r"expand … (abbreviations?|acronyms?|shorthand)",
        r"(title|sentence|upper|lower) ?case",
        r"(redact|anonymi[sz]e|mask|pseudonymi[sz]e)s?",
        r"(remove|replace|strip) … (names|numbers|e-?mails|addresses|personal data|profanit\w+)",
        r"(corrigez|corrija|corregge|correggi|corregi[rd]|verbeter|popraw|исправь)",
    ),
    "summary": (
        r"(summary|summaries|summari[sz](e|es|ed|ing)|tl;?dr|digest|recap|zusammenfass\w*|fasse|résum\w+|resum(en|ir))",
        r"(write|take|produce)s? … (notes|minutes)",
        r"(answer|question|based|use|using)s? … (excerpts?|passages?|context|transcript|article|documents?)",
        r"(riassumi|resuma|vat … samen|streść|podsumuj|суммируй|резюмируй)",
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
        r"(think|reason) it through",
        r"(passo a passo|passo dopo passo|stap voor stap|krok po kroku|шаг за шагом|пошагово)",
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
        r"analy[sz]e … risks?",
        r"risks? … analysis",
        r"(best|winning|next) move",
        r"(weighings|guesses)",
        r"(should|whether)[^.?\n]{0,80}\b(invest|buy or|build or|lease or|hire or|first|instead of)",
        r"(strategy|management) consultant",
        r"(demonstração|demostración|dimostrazione|démonstration|dowód|доказательств\w+)",
        r"what (could|might|would) explain",
        r"(why do|which of them mattered)",
        r"compare[^\n]{0,160}\b(which (you|would|is|one)|better|cheaper)",
        r"(next to|left of|right of|older than|taller than|sits? in a row)[^\0]{0,200}\bwho",
        r"(berechne|rechenweg|beweise|leite … her|markteintritt|(entwickle|entwirf) … strategie)",
        r"(démontre[rz]?|calcule[rz]?|résous|résoudre|stratégie d'entrée)",
        r"(demuestra|calcula|resuelve|desarrolla … estrategia)",
        r"(dimostra|risolvi|calcola|resolva|demonstre|oblicz|udowodnij|rozwiąż|bewijs|bereken)",
        r"(докажи\w*|реши\w*|вычисли\w*|рассчитай\w*|разработай … стратеги\w+)",
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
        *after(("my", "this", "the", "a"), r"(regexp?|regular expression|stack ?trace|query plan)"),
        r"comment on … (diff|patch|code|pull request)",
        r"(refactor|debug|unit-?test)s? (this|the|my|these|our|a|an) ",
        r"(react|vue|angular|django|spring|node|pandas|pytorch|kubernetes)[^\n]{0,80}\b(component|hook|error|exception|crash\w*|re-?render\w*)",
        r"(optimi[sz]e|tune|speed up) … (query|queries|code|sql|script|function)",
        r"select [^\n]{1,120}\bfrom [\w.]+ (where|join|left|right|inner|group|order|limit|as|[a-z]\b)",
        r"(dockerfile|makefile|kubernetes manifest|terraform|stack trace|segfault)",
        r"(schreib\w*|erstelle\w*|programmier\w*) … (skript|script|code|funktion|programm|abfrage|bash-skript)",
        r"(écris|écrire|écrivez|crée|rédige) … (fonction|script|programme|requête sql|code)",
        r"(escribe|escriba|crea|programa) … (función|script|programa|consulta|código)",
        r"(scrivi|escreva|crie) … (funzione|função|script|programma|programa|codice|código)",
        r"(schrijf|maak) … (functie|script|programma|code)",
        r"(напиши\w*|создай\w*|napisz) … (код|функци\w+|скрипт|программ\w+|funkcj\w+|skrypt|program|kod)",
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
        *after(("the", "their", "a", "any", "every", "each", "user's"), r"(tasks?|wish|instructions?|request)"),
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
        r"(중|중에서|가운데) 하나(로|만|를)",
        r"(단어|라벨|카테고리|분류)만",
    ),
    "decision": (
        r"分類|分类|判定|判断|判别",
        r"분류|판단",
    ),
    "extraction": (
        r"抽出|抜き出|提取",
        r"추출",
    ),
    "rewrite": (
        r"校正|添削|改写|言い換え",
        r"교정|고쳐",
    ),
    "summary": (
        r"要約|摘要|总结",
        r"요약|概括",
    ),
    "reasoning": (
        r"証明|证明|一歩ずつ|段階的に|逐步|推理|問題を解|解题|数学",
        r"求めて(ください|下さい|よ)|解いて|計算して|求解|求出|方程|数列",
        r"증명|풀어|계산",
    ),
    "code": (
        r"コードを(書|生成|実装)|编写代码|实现函数",
        r"写(一个|个|一段)?[^。\n]{0,12}(函数|程序|脚本|代码|排序|算法)|(関数|スクリプト|プログラム)を(書|作)",
        r"(코드|함수|스크립트|프로그램)(를|을)? ?(작성|짜|만들)",
    ),
}


_SEARCH = WordingSearch(_WORDINGS)
_SPACELESS_SIGNS = [(name, re.compile(pattern_text(wordings))) for name, wordings in _SPACELESS_WORDINGS.items()]
# These two read the text as it stands: line ends and capitals are what they go by.
_LABEL_LIST = re.compile(
    r"[:(]\s*(?:(?:\n?[ \t]*[-*•\d][^\n]{1,80}\n){2}|(?:[\w\"'`&-]+(?: [\w\"'`&-]+){0,2}\s?[,|/]\s*){2})"
)
_LISTING = frozenset({"reply", "output", "answer", "return", "respond", "say", "print", "write"})
_CAPITAL_LABELS = re.compile(
    rf"(?i:{'|'.join(sorted(_LISTING))})\b[^.\n]{{0,20}}\b[A-Z_]{{2,}}"
    r"(?:, [A-Z_]{2,})*(?:,? or |[,;]? (?:otherwise|else) | ?[/|] ?)[A-Z_]{2,}\b"
)
_SPACELESS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def standing(text: str) -> str:
    """The instruction as it always holds: lower case, without negated clauses, conditions and remarks on the past."""
    lower = text.lower()
    return _standing(lower, words_of(lower))


def _standing(lower: str, words: set[str]) -> str:
    # Plain replacements: they cost a tenth of a split by pattern, and this is most of the time of a new text.
    for end, cut in _ENDS if lower.isascii() else (*_ENDS, *_WIDE_ENDS):
        lower = lower.replace(end, cut)
    past = any(hint in lower for hint in _PAST_HINTS)
    negations = _NEGATIONS & words
    conditions = not _CONDITIONS.isdisjoint(words)
    kept = []
    for sentence in lower.split("\n"):
        # Items of one word are the labels themselves, not what to do with them.
        if sentence[:1] in _ITEMS and " " not in sentence.strip(" -*•\t"):
            continue
        if conditions and sentence.lstrip(_BULLETS)[:2] in _CONDITION_STARTS and _CONDITION.match(sentence):
            continue
        if past and _PAST.search(sentence):
            continue
        for word in negations:
            if word in sentence:
                sentence = _NEGATED.sub(" ", sentence)  # noqa: PLW2901
                break
        kept.append(sentence)
    return "\n".join(kept)


def _signs_in(text: str) -> set[str]:
    lower = text.lower()
    words = words_of(lower)
    kept = _standing(lower, words)
    found = _SEARCH.find(kept, words)
    if not kept.isascii() and _SPACELESS.search(kept):
        found |= {name for name, pattern in _SPACELESS_SIGNS if pattern.search(kept)}
    if ":" in text and _LABEL_LIST.search(text):
        found.add("list")
    if "label" not in found and any(_lists_capitals(text, lower, word) for word in _LISTING & words):
        found.add("label")
    if '{"' in text:
        found.add("json")
    return found


def _lists_capitals(text: str, lower: str, word: str) -> bool:
    """`word` (such as answer) is followed by labels in capitals: "Answer ALLOW or BLOCK"."""
    at = lower.find(word)
    while at >= 0:
        if _CAPITAL_LABELS.match(text, at) and not text[at - 1 : at].isalnum():
            return True
        at = lower.find(word, at + 1)
    return False


# Prompts that are filled in per user still share most of their paragraphs.
@lru_cache(maxsize=4096)
def _signs_of_paragraph(text: str) -> frozenset[str]:
    return frozenset(_signs_in(text))


def signs(text: str, head: int = 700, tail: int = 350, *, repeats: bool = True) -> frozenset[str]:
    """Which signs the standing part of an instruction shows: `label`, `extraction`, `reasoning`, ...

    Of a long text only the first `head` and the last `tail` characters are read. `repeats`: its paragraphs are
    likely to come again, and are remembered.
    """
    if len(text) > head + tail:
        text = f"{text[:head]}\n\n{text[-tail:]}"
    found = set().union(*map(_signs_of_paragraph, text.split("\n\n"))) if repeats else _signs_in(text)
    writes = not found.isdisjoint(("generation", "explanation", "summary"))
    if {"list", "bare"} <= found and "json" not in found and not writes:
        found.add("label")
    if "json" in found and not found.isdisjoint(("reading", "parsing")) and not writes:
        found.add("extraction")
    return frozenset(found)


signs_of_system = lru_cache(maxsize=1024)(signs)
"""`signs`, remembered: a call site sends the same system prompt with every request."""
