"""Names of tags about consent to training, read word by word: `allowAITraining`, `not_used_for_training`.

A name that is about training with the data but does not say clearly what the user wants gives no consent.
"""

import re
from functools import lru_cache
from typing import Literal

Kind = Literal["consent", "opt_out", "use", "data", "unclear"]
"""What a field's "yes" means: consent, an opt-out, that data is or was used (only a "no" is understood), that data is
collected or kept (a "no" may be meant for training, too; all else says nothing), or nothing."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOPICS = re.compile(r"(?:pre|post|re|non|un)?train(?:s|ing|able|ed)?|finetun(?:e|es|ing|ed)")
_TRAINING = _set("train training")
_CONSENTS = _set("consent consents consented optin optout")
_PERMISSIONS = _CONSENTS - {"optout"} | _set(
    """allow allows allowed permit permits permitted permission permissions agree agrees agreed accept accepts accepted
    grant grants granted eligible approve approves approved authorize authorized authorise authorised"""
)
_WEAK_PERMISSIONS = _set(
    """can may use usable available include enable enables enabled ok given trainable share shared sharing preference
    preferences choice choices decision"""
)
"""Permission only among known words: `use_for_training`, but not `training_use_case`."""
_REFUSALS = re.compile(
    r"""optout | not | dont | doesnt | didnt | cannot | cant | shouldnt | mustnt | wont | never | without
    | exclud\w* | exclusion | exempt\w* | forbid\w* | forbade | prohibit\w* | prevent\w* | disabl\w*
    | den(?:y|ies|ied|ial) | refus\w* | revok\w* | revoc\w* | withdr\w* | declin\w* | reject\w*
    | objects | objected | objection | unsubscribed
    | blocked | blocks | skipped | banned | restricted | removed | missing | lacks | lacking""",
    re.VERBOSE,
)
_REFUSALS_BEFORE = _set("no non skip block ban stop avoid ignore remove restrict suppress")
"""Refusals only before another word: `no_training`, but not `training_no`."""
_NEGATED = re.compile(r"(?:un|in|non|dis)(.+)")
_NEGATABLE = _PERMISSIONS | _WEAK_PERMISSIONS | _TRAINING | {"used"}
_NEUTRAL = _set(
    """user users customer customers my our your data ai ml llm model models gdpr privacy is are has have was were be
    been do does to for from of in on with by used included flag status purpose purposes scope scopes
    everyone"""
)
_RECORDED = _set("at date time timestamp since id version source method url reason updated policy text document count")
"""What is recorded of a consent besides the decision: `consented_at`, `training_consent_version`."""
_TRANSLATIONS = {
    word: english
    for english, words in {
        "training": "trainings trainieren entrainement entraînement entrainer entraîner entrenamiento entrenar"
        " addestramento addestrare treinamento treinar treino trenowanie träning",
        "consent": "einwilligung zustimmung consentement consentimiento consentimento consenso toestemming zgoda"
        " samtycke samtykke souhlas suostumus",
        "allowed": "erlaubt erlauben gestattet autorise autorisé autorisation permitir permitido permiso permitido"
        " permesso consentito toegestaan tillåtet",
        "objection": "widerspruch widersprochen opposition oposición oposicion oposição opposizione bezwaar sprzeciw",
        "withdrawn": "widerrufen widerruf retiré retirado ritirato ingetrokken",
        "forbidden": "verboten untersagt interdit interdite prohibido proibido vietato verboden",
        "not": "nicht pas niet",
        "no": "kein keine sans sin senza sem geen",
        "for": "für fuer zum zur pour para per voor",
        "data": "daten données donnees datos dati dados gegevens",
        "use": "nutzung verwendung utilisation uso utilizzo gebruik",
        "model": "modell modelle modèle modeles modelo modelos modello modelli",
        "ai": "ki ia",
    }.items()
    for word in words.split()
}
_BARE = _set("train training ai_training ml_training llm_training model_training")

_OPTED = re.compile(r"(?<![a-z])opt(?:ed|s|ing)?_?(in|out)(?:s)?(?![a-z])")
_VOCABULARY = (
    _PERMISSIONS
    | _WEAK_PERMISSIONS
    | _REFUSALS_BEFORE
    | _NEUTRAL
    | _set("optout not dont never exclude excluded disable disabled train training finetune finetuning")
    | _TRANSLATIONS.keys()
)


@lru_cache(maxsize=4096)
def kind_of(key: str) -> Kind | None:
    """Whether a tag's name is about consent to training or about an opt-out of it; None: neither.

    Of a dotted name the last part counts, or the last two together (`training.allowed`); a name may have a domain
    (`acme.io/no-train`).
    """
    parts = key.rpartition("/")[2].split(".")
    kind = _kind_of(snake(parts[-1])) or (_kind_of(snake("_".join(parts[-2:]))) if len(parts) > 1 else None)
    return kind or ("data" if _KEEPS_DATA.fullmatch(snake(parts[-1])) else None)


def snake(name: str) -> str:
    """The name in lower case with one underscore between words."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\W_]+", "_", parted.replace("'", "").replace("’", "")).strip("_").casefold()


def _kind_of(name: str) -> Kind | None:
    words = _words(name)
    is_training = any(map(_TOPICS.fullmatch, words))
    if not is_training and _CONSENTS.isdisjoint(words):
        return None
    refusals = [word for number, word in enumerate(words) if _refuses(word, is_last=number == len(words) - 1)]
    permissions = _PERMISSIONS.intersection(words)
    known = _NEUTRAL | _PERMISSIONS | _WEAK_PERMISSIONS | _RECORDED
    others = [word for word in words if word not in known and word not in refusals and not _TOPICS.fullmatch(word)]
    if (others and not is_training) or (not refusals and not _RECORDED.isdisjoint(words)):
        return None
    if refusals:
        # An opt-out that is only possible is none: `allow_opt_out`.
        is_certain = len(refusals) == 1 and not others and not (refusals == ["optout"] and permissions - _CONSENTS)
        return "opt_out" if is_certain else "unclear"
    if others:
        return "use" if permissions else None
    if permissions or not _WEAK_PERMISSIONS.isdisjoint(words) or name in _BARE:
        return "consent"
    # `trained` and `fine_tuned_model` are facts about a model.
    return "use" if not _TRAINING.isdisjoint(words) else None


_KEEPS_DATA = re.compile(r"(?:x_)?data_(?:collection|retention|storage|sharing|logging)")

_ABOUT_DATA = _set(
    "privacy policy policies data gdpr ccpa dpa ai ml llm legal compliance sharing rights restriction license licence"
)
_LISTS_OF_TAGS = _set("tags tag labels label flags flag policies policy keywords")
_LIMITED = _set("purpose purposes use uses usage usages processing")


@lru_cache(maxsize=4096)
def value_refuses(text: str) -> Literal["training", "unclear"] | None:
    """Whether a tag's value refuses training (`no_train`), or may do so (`opt-out`, which does not say of what)."""
    kind = _kind_of(name := snake(text))
    if _FOR_ELSE_ONLY.fullmatch(name):
        return "unclear"
    if kind not in ("opt_out", "unclear"):
        return None
    return "training" if kind == "opt_out" and not _TRAINING_NOW.isdisjoint(_words(name)) else "unclear"


_FOR_ELSE_ONLY = re.compile(
    r"(?:inference|serving|service|operations?|operational|production|evaluation|eval|analytics|support|internal)"
    r"(?:_use)?_only|only_(?:for_)?(?:inference|serving|service|evaluation|analytics|support)"
)
_TRAINING_NOW = _TRAINING | _set("trains trainable pretrain pretraining finetune finetunes finetuning")
"""Words of training that is to come: `not_trained` is a fact about a model."""


@lru_cache(maxsize=4096)
def is_about_data(key: str) -> bool:
    """Whether a tag's name is about data and what is done with it, so that an "opt-out" in it may be of training."""
    return not _ABOUT_DATA.isdisjoint(_words(snake(key)))


@lru_cache(maxsize=4096)
def is_list_of_tags(key: str) -> bool:
    return snake(key).rpartition("_")[2] in _LISTS_OF_TAGS


@lru_cache(maxsize=4096)
def limits_purposes(key: str) -> Literal["consent", "opt_out"] | None:
    """Whether a list under this name has the allowed purposes (consent) or the forbidden ones (opt-out)."""
    words = _words(snake(key))
    if words in (["restrictions"], ["exclusions"]):
        return "opt_out"
    if _LIMITED.isdisjoint(words):
        return None
    if any(_refuses(word, is_last=False) for word in words):
        return "opt_out"
    return None if _PERMISSIONS.isdisjoint(words) else "consent"


_IMPROVES = re.compile(r"(?<![a-z])(?:improv(?:e|es|ing)_(?:the_|our_|your_)?models?|models?_improvements?)(?![a-z])")
"""How providers word training in the settings of their users."""
_NO_TRAINING = re.compile(r"(?:x_)?(?:no_?(?:gen_?)?(?:ai|ml|llm)|tdm_reserv(?:ed|ation)|zero_data_retention|zdr)")
"""Names of standards and of contracts that rule training out, such as the TDM Reservation Protocol of the W3C."""


def is_of_a_standard(key: str) -> bool:
    """Whether a tag only tells of a standard or a contract; that it does not apply is no consent."""
    return _NO_TRAINING.fullmatch(snake(key)) is not None


def _words(name: str) -> list[str]:
    if _NO_TRAINING.fullmatch(name):
        return ["no", "training"]
    name = _IMPROVES.sub("training", _OPTED.sub(r"opt\1", name).replace("fine_tun", "finetun"))
    words = [_TRANSLATIONS.get(part, part) for word in name.split("_") for part in _parted(word)]
    if len(words) > 2 and words[0] == "x":
        # The name of an HTTP header, perhaps with the company's: X-Acme-Training-Consent.
        words = words[1:] if words[1] in _VOCABULARY else words[2:]
    return words


_STEMS = ("train", "opt", "einwillig", "widerspr")
"""Of words that are written together with others."""
_MAX_WORD = 64
"""Longer ones are no name of a field."""


@lru_cache(maxsize=4096)
def _parted(word: str) -> tuple[str, ...]:
    """The known words of which a word without separators consists (`donottrain`), else the word."""
    if word in _VOCABULARY or len(word) > _MAX_WORD or not any(stem in word for stem in _STEMS):
        return (word,)
    for end in range(len(word) - 1, 1, -1):
        if word[:end] in _VOCABULARY and _VOCABULARY.issuperset(rest := _parted(word[end:])):
            return (word[:end], *rest)
    return (word,)


def _refuses(word: str, *, is_last: bool) -> bool:
    if _REFUSALS.fullmatch(word):
        return True
    if word in _REFUSALS_BEFORE:
        return not is_last
    negated = _NEGATED.fullmatch(word)
    return negated is not None and negated[1] in _NEGATABLE
