"""Recognises letters and messages among answers, by their salutation in any of many languages."""

import re

from pipeline.profile.answers import word_count

SALUTATION_WORDS = 7
_CLOSING_WORDS = 5
_GREETINGS = (
    r"dear|hi|hello|hey|greetings|good (?:morning|afternoon|evening|day)|to whom it may",
    r"sehr geehrte\w*|geehrte\w*|lieber?|liebes|hallo|moin|guten (?:tag|morgen|abend)|werte[rs]?",
    r"bonjour|bonsoir|salut|ch(?:er|ère)s?|mesdames|madame|monsieur",
    r"hola|estimad\w*|querid\w*|buen[oa]s (?:días|tardes|noches)",
    r"olá|oi|prezad\w*|car[oaie]s?|bo[am] (?:dia|tarde|noite)",
    r"gentil[ei]\w*|egregi\w*|spettabile|buon ?giorno|buona ?sera|ciao|salve",
    r"beste|geachte|hoi|dag|goede(?:morgen|middag|navond|ndag)",
    r"hej|hei|heisann|kære|kjære|kär[ae]|bästa|god (?:dag|morgen|kväll)",
    r"hyvä\w*|arvoisa\w*|moi|tere|lugupeetud|austatud|gerbiam\w*|cienījam\w*",
    r"szanown\w*|drog[iaie]\w*|dzień dobry|witam\w*|cześć",
    r"vážen\w*|mil[ýáéí]|dobrý (?:den|deň)|ahoj|s?poštovan\w*",
    r"stimat\w*|dragă|bună (?:ziua|seara|dimineața)|tisztelt|kedves|szia|sayın|sevgili|değerli|merhaba",
    r"αγαπητ\w*|αξιότιμ\w*|γεια|καλημέρα|καλησπέρα",
    r"уважаем\w*|дорог\w*|здравствуй\w*|здравейте|добр(?:ый|ого|ий|ое) \w+|привет|(?:вельми)?шановн\w*|вітаю",
    r"عزيزي|عزيزتي|السيد\w*|السلام عليكم|مرحبا\w*|تحية|שלום|לכבוד|יקר\w*",
    r"प्रिय|आदरणीय|नमस्ते|महोदय|kính (?:gửi|chào|thưa)|xin chào|chào|thân gửi|yth|yang terhormat|halo|selamat \w+",
)
_UNSPACED_GREETINGS = r"尊敬的|敬爱的|親愛的|亲爱的|您好|你好|各位|拝啓|こんにちは|お世話に|안녕하|친애하는|존경하는"
_HONORIFICS = r".{1,40}(?:様|さま|御中|各位|殿|님께?|께|귀하)|เรียน.{1,60}|สวัสดี.{0,60}"
_BEFORE_COLON = rf"(?:dear|hello|hi|to whom it may|estimad\w*|querid\w*|prezad\w*)(?!\w)|{_UNSPACED_GREETINGS}"
"""Greetings of languages that may put a colon behind them; in others such a line is a heading."""
_REST = r"(?:[^.?]|\.(?= ?\w)){0,60}"
_GREETING = re.compile(
    rf"(?:(?:{'|'.join(_GREETINGS)})(?!\w)|{_UNSPACED_GREETINGS}){_REST}[,，،、!！。]"
    rf"|(?:{_BEFORE_COLON}){_REST}[:：]|(?:{_HONORIFICS})[,，、:：.]?",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(r"[^.?!#*{}\[\]]{2,60}[,，،:：]")
_EDGES = " \t\r>*_\"'“„«¡"
_HEADERS = 2
"""Lines above the salutation: a subject, or "Here is a draft:"."""
_READ_CHARS = 1000
"""Of the beginning of an answer."""
_CLOSING = re.compile(r"\n[ \t]*\n([^\n]{2,60})[,，،][ \t]*\n\s*([^\n]{1,60}(?:\n[^\n]{1,60})?)\s*\Z")


def is_letter(text: str) -> bool:
    """The answer begins with a salutation on a line of its own, or with a name and ends with a closing."""
    start = text[:_READ_CHARS].strip().split("\n")
    lines = [line for raw in start if (line := raw.strip(_EDGES))]
    for n, line in enumerate(lines[: _HEADERS + 1]):
        if _is_short(line) and _GREETING.fullmatch(line):
            return n + 1 < len(lines)
        if ":" not in line and "：" not in line:
            break
    # Without a greeting a blank line follows the name.
    if not lines or len(start) < 3 or start[1].strip():
        return False
    if not (_is_short(lines[0]) and _ADDRESSED.fullmatch(lines[0])):
        return False
    closing = _CLOSING.search(text[-300:])
    return closing is not None and word_count(closing[1]) <= _CLOSING_WORDS


def _is_short(line: str) -> bool:
    return len(line) <= 100 and word_count(line) <= SALUTATION_WORDS
