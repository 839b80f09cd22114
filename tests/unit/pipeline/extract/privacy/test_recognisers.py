from pathlib import Path

import pytest
import spacy

from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy.recognisers import Finder, versions
from traffic.errors import NotFound


@pytest.fixture(scope="module")
def finder() -> Finder:
    return Finder(PrivacyConfig(ner_model="none"))


def found(finder: Finder, text: str) -> list[tuple[str, str]]:
    assert finder.may_hold(text) or not finder.find(text)
    return [(each.type, text[each.start : each.end]) for each in finder.find(text)]


@pytest.mark.parametrize(
    "text, kind, value",
    [
        ("write to ana.li+shop@mail.example.com, please", "EMAIL", "ana.li+shop@mail.example.com"),
        ("'ana@intranet.corp' is mine", "EMAIL", "ana@intranet.corp"),
        ("連絡先：ana@example.comです", "EMAIL", "ana@example.com"),
        ("reach me at +1 202-555-0143.", "PHONE", "+1 202-555-0143"),
        ("+1 202-555-0143 2 times a day", "PHONE", "+1 202-555-0143"),
        ("0049 30 23125 194", "PHONE", "0049 30 23125 194"),
        ("Ruf 030 23125 194 an", "PHONE", "030 23125 194"),
        ("my office: (202) 555-0143", "PHONE", "(202) 555-0143"),
        ("（電話03-5550-4031）", "PHONE", "03-5550-4031"),
        ("text me on 2025550143", "PHONE", "2025550143"),
        ("for order 12345 +1 202-555-0143 2 times", "PHONE", "+1 202-555-0143"),
        ("for order 12345 4242 4242 4242 4242 2 times", "CARD", "4242 4242 4242 4242"),
        ("card 4242 4242 4242 4242 is lost", "CARD", "4242 4242 4242 4242"),
        ("voucher 4230 4242 4242 4242 4242 is lost", "CARD", "4242 4242 4242 4242"),
        ("4242 4242 4242 4242 1227 is my card", "CARD", "4242 4242 4242 4242"),
        ("カード5555-5555-5555-4444です", "CARD", "5555-5555-5555-4444"),
        ("amex 378282246310005", "CARD", "378282246310005"),
        ("to DE89 3704 0044 0532 0130 00 from me", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("to BE71096123456769 FROM ME TODAY", "IBAN", "BE71096123456769"),
        ("to gb82west12345698765432 today", "IBAN", "gb82west12345698765432"),
        ("blocked for 203.0.113.7 again", "IP", "203.0.113.7"),
        ("blocked for 2001:db8::7f:1 again", "IP", "2001:db8::7f:1"),
    ],
)
def test_a_value_is_found_to_the_character(finder: Finder, text: str, kind: str, value: str) -> None:
    assert found(finder, text) == [(kind, value)]


@pytest.mark.parametrize(
    "text, name",
    [
        ("Hello, my name is Ana Li and I need help", "Ana Li"),
        ("Hi, Jean-Luc O'Brien here. It broke", "Jean-Luc O'Brien"),
        ("Call the desk and ask for Ana van der Berg.", "Ana van der Berg"),
        ("It broke.\n\nThanks,\nAna", "Ana"),
        ("Es ist kaputt.\n\nMit freundlichen Grüßen\nJürgen Groß", "Jürgen Groß"),
        ("It broke\n--\nAna Li\nOslo", "Ana Li"),
        ("Customer name: Ana Li\nOrder: 12", "Ana Li"),
        ('{"contact_name": "Ana Li", "city": "Oslo"}', "Ana Li"),
        ("my last name is Li", "Li"),
    ],
)
def test_a_person_is_found_by_the_words_around_the_name(finder: Finder, text: str, name: str) -> None:
    assert found(finder, text) == [("PERSON", name)]


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-23 at 10:30 and on 23.11.2026",
        "order number 2345678901 from 2026-11-23",
        "call about order 2345678901",
        "invoice 4929 1234 5678 9012 of ours",  # fails Luhn
        "it cost $1,234,567.89 and 20000000 yen",
        "item 1234567890123456 and 0000 0000 0000 0000",
        "DE89 3704 0044 0532 0130 01",  # wrong check digits
        "release v1.2.3.4 on 127.0.0.1, std::vector<int> a::b, at 10:20:30:40",
        "user@localhost and @ana and a @ b",
        "Hi, Customer Support here. Ask for Apple Pay.",
        "Best,\nSupport Team",
        "Coming Soon is the name of the film; my name is on it",
        "chapters 12 34 56 78 90",
    ],
)
def test_what_only_looks_alike_is_left_alone(finder: Finder, text: str) -> None:
    assert found(finder, text) == []


@pytest.mark.parametrize(
    "texts",
    [
        ("+1 (202) 555-0143", "+12025550143", "call 202-555-0143", "001 202 555 0143"),
        ("4242 4242 4242 4242", "4242424242424242", "4242-4242-4242-4242"),
        ("DE89370400440532013000", "de89 3704 0044 0532 0130 00"),
        ("Ana@Example.com", "ana@example.com"),
    ],
)
def test_the_same_value_has_the_same_key_however_it_is_written(finder: Finder, texts: tuple[str, ...]) -> None:
    assert len({each.key for text in texts for each in finder.find(text)}) == 1
    assert all(len(finder.find(text)) == 1 for text in texts)


def test_a_spacy_pipeline_finds_names_that_no_wording_gives_away(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Ana Li"}])  # type: ignore[attr-defined]
    nlp.to_disk(tmp_path)
    config = PrivacyConfig(ner_model=str(tmp_path))
    assert found(Finder(config), "the parcel that Ana Li ordered") == [("PERSON", "Ana Li")]
    assert {"presidio-analyzer", "phonenumbers", "spacy", "en_pipeline"} <= versions(config.ner_model).keys()


def test_a_pipeline_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(NotFound, match=r"privacy\.ner_model: no spaCy pipeline 'xx_no_such'"):
        Finder(PrivacyConfig(ner_model="xx_no_such"))
