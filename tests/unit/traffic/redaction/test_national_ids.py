from functools import partial

import pytest

from tests.fakes.growth import assert_linear
from traffic.redaction.recognisers import find, key_of


@pytest.mark.parametrize(
    "text, value",
    [
        ("SSN 536-90-4399", "536-90-4399"),
        ("it is 536-90-4399.", "536-90-4399"),
        ('{"ssn": "536904399"}', "536904399"),
        ("meu CPF é 529.982.247-25", "529.982.247-25"),
        ("cpf 52998224725", "52998224725"),
        ("DNI 12345678Z", "12345678Z"),
        ("mi NIE es X1234567L", "X1234567L"),
        ("numéro de sécu : 1 85 05 78 006 084 91", "1 85 05 78 006 084 91"),
        ("codice fiscale RSSMRA85T10A562S", "RSSMRA85T10A562S"),
        ("PESEL: 44051401359", "44051401359"),
        ("my BSN is 111222333", "111222333"),
        ("personnummer 811228-9874", "811228-9874"),
        ("NHS number 943 476 5919", "943 476 5919"),
        ("Steuer-ID 86 095 742 719", "86 095 742 719"),
        ("85.07.30-033.28", "85.07.30-033.28"),
        ("my SIN: 130 692 544", "130 692 544"),
        ("Aadhaar 2341 2341 2346", "2341 2341 2346"),
        ("NI number AB 12 34 56 C", "AB 12 34 56 C"),
        ("身份证号11010519491231002X", "11010519491231002X"),
        ("Henkilötunnukseni on 131052-308T", "131052-308T"),
        ("TC kimlik no: 10000000146", "10000000146"),
        ("social security number 536 90 4399", "536 90 4399"),
        ("12.345.678-Z", "12.345.678-Z"),
        ("PAN card ACUPA7085R", "ACUPA7085R"),
        ("CURP: BOXW310820HNERXN09", "BOXW310820HNERXN09"),
        ("AHV 756.9217.0769.85", "756.9217.0769.85"),
        ("マイナンバーは 1234 5678 9018 です", "1234 5678 9018"),
    ],
)
def test_ids_are_found_by_their_name_or_their_shape(text: str, value: str) -> None:
    assert [(f.type, text[f.start : f.end]) for f in find(text)] == [("NATIONAL_ID", value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 111222333",  # would be a BSN behind its name
        "using 130692544 rows since 2026",  # `sin` inside words
        "PESEL: 44051401358",  # wrong check digit
        "SSN 000-12-3456",  # never assigned
        "part 1536-90-4399 and 536-90-43991",
        "order 2341 2341 2346 of 12345678Z",
        "the SSN is missing\nin order 536904399",
        "order 20261112-0003 and invoice 261112-0011",  # a day of these years and a running number
        "a social media post 536904399, run 12345670-5",
    ],
)
def test_numbers_without_a_name_or_a_check_are_none(text: str) -> None:
    assert [f for f in find(text) if f.type == "NATIONAL_ID"] == []


def test_spellings_of_an_id_have_the_same_key() -> None:
    assert key_of("NATIONAL_ID", "529.982.247-25") == key_of("NATIONAL_ID", "52998224725")


@pytest.mark.parametrize("run", ["ssn ", "SIN 1", "536-90-4399 ", "1", "12-", "999999-999", "cpf 529.982.247-25 "])
def test_recognition_takes_linear_time(run: str) -> None:
    assert_linear(lambda runs: partial(find, run * runs), 32_000 // len(run))
