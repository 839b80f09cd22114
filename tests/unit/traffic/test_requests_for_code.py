"""Requests that ask for program text or for queries, by rules."""

import pytest

from tests.fakes.chat_requests import type_of


@pytest.mark.parametrize(
    "order",
    [
        "Tu écris des requêtes PostgreSQL (lecture seule) pour la capitainerie. Schéma :",
        "Jij schrijft queries voor MySQL, alleen lezen, voor het havenkantoor. Schema:",
    ],
)
def test_listed_tables_of_a_database_ask_for_a_query_in_every_language(order: str) -> None:
    tables = [f"{name}(id, name, ship_id, arrived_at timestamptz, fee)" for name in ("calls", "berths", "pilots")]
    end = "Une seule requête, formatée, dans un bloc sql."
    assert type_of("\n".join([order, *tables, end]), "arrivals by month") == "code"


def test_a_signature_with_a_description_is_code() -> None:
    assert type_of(None, "free_berths(harbour, day): all berths nobody has booked, in order") == "code"


def test_a_diff_without_a_stated_task_is_code() -> None:
    assert type_of("What would a colleague say?", "@@ -1,2 +1,3 @@\n-a\n+b") == "code"
    assert type_of("Answer with exactly one label: yes, no.", "@@ -1,2 +1,3 @@\n-a\n+b") == "reasoning"


@pytest.mark.parametrize(
    "program", ["def total(nights, rate):\n    return nights * rate", "public class A {\n  int n;\n}"]
)
def test_a_bare_program_is_code(program: str) -> None:
    assert type_of(None, program) == "code"


def test_a_schema_with_only_a_query_language_named_is_code() -> None:
    tables = "member(id,plan,gym,since,until,town,age,kind) visit(member,gym,at,minutes,kind)"
    assert type_of(None, f"{tables}\nSQL only.\n\nwho has not come for a month") == "code"


def test_tables_that_are_listed_for_a_query_are_no_labels() -> None:
    tables = "Postgres 15. Tables: berths(id, name), visits(id, berth_id, left_at).\n\n"
    assert type_of(f"{tables}Return one query in a ```sql block, nothing else.", "visits by berth") == "code"


def test_a_statement_for_listed_tables_is_code() -> None:
    tables = "PostgreSQL 15. Tables: visits(id, berth, left_at); berths(id, name, depth). "
    assert type_of(f"{tables}Return one statement, read only.", "visits by berth") == "code"


@pytest.mark.parametrize(
    "order",
    [
        "Refactor the given Python function. Return the code only.",
        "Write a Python function is_palindrome(s). Return true if s is one, otherwise false.",
        "Write a function that returns True if two numbers of a list are close.",
        "Implement a rate limiter. Print yes if the request is allowed.",
        "Schreibe eine Python-Funktion, die Primzahlen liefert. Gib nur den Code aus.",
    ],
)
def test_a_program_that_returns_a_label_is_no_label(order: str) -> None:
    assert type_of(None, order) == "code"


@pytest.mark.parametrize(
    "order",
    [
        "Rewrite this function to be faster: def f(a): return [x for x in a for y in a if x == y]",
        "Rewrite my Python function without pandas: pd.read_csv('a.csv').sum()",
        "Correct the bug in my recursion: int f(int n){return n*f(n-1);}",
        "Shorten this regular expression: (a|b|c|d)(a|b|c|d)*",
        "Rewrite the correlated subquery as a join: SELECT id, (SELECT MAX(day) FROM b WHERE b.id = a.id)",
        "Clean up this code: if a: x(); y()",
    ],
)
def test_an_edit_of_a_program_is_code(order: str) -> None:
    assert type_of(None, order) == "code"


@pytest.mark.parametrize(
    "order, kind",
    [
        ("Which error code fits the log? Return the code.", "classification"),
        ("Identify the bug's component: ui, api, db. Return the key.", "classification"),
        ("Rewrite the question as a search query.", "rewrite"),
    ],
)
def test_codes_keys_and_queries_are_no_programs(order: str, kind: str) -> None:
    assert type_of(order, "disk full") == kind
