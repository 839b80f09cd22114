"""Waste in small logs: kinds, call sites and cost."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import store
from pipeline.profile import ProfileConfig, facts, measure, projection, sample, shapes, waste
from pipeline.profile.waste import Waste, WasteReport
from traffic.artifacts import Home
from traffic.prices import PriceTable
from traffic.record import Output, Params, Record, Usage

pytestmark = pytest.mark.slow

START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
SORT = "Which tray does the harbour note belong to: late, money or bags? One word."


def record(n: int, *turns: str, system: str = SORT, answer: str = "late", **fields: Any) -> Record:
    """One answered request; `turns` alternate between user and assistant."""
    messages = [{"role": "system", "content": system}] if system else []
    messages += [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(turns)]
    answered = Record(
        id=f"r{n}", request_id=f"r{n}", ts=START + dt.timedelta(minutes=n), call_site="pier.box",
        messages=msgspec.Raw(msgspec.json.encode(messages)), params=Params(max_tokens=64),
        output=Output(text=answer, finish_reason="stop"), usage=Usage(input_uncached=100, output=5),
        provider="openai", model="gpt-4o", cost_usd=0.001, source_format="native",
    )  # fmt: skip
    return msgspec.structs.replace(answered, **fields)


def failed(answered: Record, status: int) -> Record:
    return msgspec.structs.replace(answered, status=status, output=Output(), usage=None, cost_usd=0.0)


def find(
    folder: Path, records: Sequence[Record], *, read: dict[str, dt.datetime | None] | None = None,
    config: ProfileConfig | None = None, joined: int = waste.JOINED,
) -> WasteReport:  # fmt: skip
    home = Home(folder)
    signals = [{"id": key, "consumed_at": at} for key, at in (read or {}).items()]
    store.append(home, records, source="test", signals={"consumed": signals} if signals else None)
    connection = store.connect(home)
    groups = sample.groups(connection)
    discovered = shapes.discover(connection, groups, sample.draw(connection, groups))
    facts.build(connection)
    profiled = measure.profiled(connection, discovered.shapes)
    prices = projection.prices_of(connection, PriceTable.load())
    return waste.find(connection, profiled, config or ProfileConfig(), prices, joined)


def waste_of(report: WasteReport, kind: str) -> Waste | None:
    """The waste of one kind, at the only call site that has any."""
    lines = [line for line in report.lines if line.kind == kind]
    assert len(lines) <= 1
    return lines[0] if lines else None


def count(report: WasteReport, kind: str) -> int:
    return sum(line.requests for line in report.lines if line.kind == kind)


PAIRS_ALIKE = [
    ("The boat to Alta was late.", "the boat to alta was LATE"),
    ("Where is it?", "  Where   is it ?!"),
    ("Any time after 6 p.m.", "any time after 6 pm"),
    ("ช่วยด้วย.", "ช่วยด้วย"),
    ("one-way, please", "One way please…"),
]
PAIRS_DIFFERENT = [
    ("sort a list in C#", "sort a list in C"),
    ("sort a list in C++", "sort a list in C"),
    ("the crew 👍", "the crew 👎"),
    ("pay 10 €", "pay 10 $"),
    ("it was -3 degrees", "it was 3 degrees"),
    ("leave at 3:45", "leave at 345"),
    ("version 1.2.3", "version 1.23"),
    ("berth 1 23", "berth 12 3"),
    ("कि", "की"),
    ("is a > b", "is a < b"),
]


def pairs(listed: Sequence[tuple[str, str]]) -> list[Record]:
    """Each pair at a separate call site."""
    return [
        record(2 * n + i, text, call_site=f"pier.{n}")
        for n, pair in enumerate(listed) for i, text in enumerate(pair)
    ]  # fmt: skip


def test_requests_that_differ_in_case_spaces_and_punctuation_are_near_identical(tmp_path: Path) -> None:
    lines = [line for line in find(tmp_path, pairs(PAIRS_ALIKE)).lines if line.kind == "near_identical"]
    assert {line.call_site: line.examples for line in lines} == {
        f"pier.{n}": (f"r{2 * n + 1}",) for n in range(len(PAIRS_ALIKE))
    }
    assert {line.requests for line in lines} == {1}
    assert [line.spend_usd for line in lines] == pytest.approx([0.001] * len(lines))


def test_near_identical_requests_are_found_however_many_are_joined_at_a_time(tmp_path: Path) -> None:
    whole, parts = (find(tmp_path / str(joined), pairs(PAIRS_ALIKE), joined=joined) for joined in (waste.JOINED, 3))
    assert count(parts, "near_identical") == count(whole, "near_identical") > 0
    assert parts.total_usd == pytest.approx(whole.total_usd)


def test_requests_that_differ_in_a_sign_that_has_a_meaning_are_not_near_identical(tmp_path: Path) -> None:
    lines = [line for line in find(tmp_path, pairs(PAIRS_DIFFERENT)).lines if line.kind == "near_identical"]
    assert [PAIRS_DIFFERENT[int(line.call_site.removeprefix("pier."))] for line in lines] == []


def test_the_same_words_with_other_tools_are_another_request(tmp_path: Path) -> None:
    def tools(name: str) -> msgspec.Raw:
        function = {"name": name, "parameters": {"type": "object", "properties": {}}}
        return msgspec.Raw(json.dumps([{"type": "function", "function": function}]).encode())

    listed = [record(1, "Add 1 and 2.", tools=tools("add")), record(2, "add 1 and 2", tools=tools("sum"))]
    assert count(find(tmp_path, listed), "near_identical") == 0


def test_near_identical_requests_are_found_after_examples_and_earlier_turns(tmp_path: Path) -> None:
    listed = [
        record(1, "the ferry is late", "late", "My bag is gone."),
        record(2, "the ferry is late", "late", "my bag is gone"),
        record(3, "the ferry was early", "other", "my bag is gone"),
    ]
    wasted = waste_of(find(tmp_path, listed), "near_identical")
    assert wasted is not None
    assert wasted.examples == ("r2",)


def test_what_the_application_begins_of_the_answer_does_not_make_two_requests_near_identical(tmp_path: Path) -> None:
    listed = [record(1, "the boat was late", "Tray:", system=""), record(2, "my bag is gone", "Tray:", system="")]
    assert count(find(tmp_path, listed), "near_identical") == 0


def test_near_identical_requests_without_a_system_prompt_may_differ_in_the_fixed_part(tmp_path: Path) -> None:
    def text(n: int) -> str:
        return f"Which tray does the note belong to? Trays: late, money, bags. Note {n * 37}: the boat was late"

    listed = [record(n, text(n), system="", call_site=None) for n in range(1, 40)]
    copies = [record(40 + n, "w" + text(n)[1:] + "!", system="", call_site=None) for n in range(1, 4)]
    assert count(find(tmp_path, [*listed, *copies]), "near_identical") == 3


def test_where_the_wording_is_the_subject_near_identical_requests_have_the_same_answer(tmp_path: Path) -> None:
    def tidy(n: int, text: str, answer: str) -> Record:
        return record(n, text, answer=answer, system="Proofread the note. Return only the note.")

    words = ["boat", "crew", "mast", "rope", "sail", "deck", "hull", "keel"]
    listed = [
        tidy(n, f"The {w} {v} was late becuse of {u} {n}.", f"The {w} {v} was late because of {u} {n}.")
        for n, (w, v, u) in enumerate(((a, b, c) for a in words for b in words[:4] for c in words[:3]), 1)
    ]  # fmt: skip
    edits = [
        tidy(200, "lets go", "Let's go."), tidy(201, "lets go.", "Lets go."),
        tidy(202, "come here", "Come here."), tidy(203, "Come here", "Come here."),
    ]  # fmt: skip
    wasted = waste_of(find(tmp_path, [*listed, *edits]), "near_identical")
    assert wasted is not None
    assert wasted.examples == ("r203",)


@pytest.mark.parametrize("kind, text", [("identical", "the boat was late"), ("near_identical", "The boat was late.")])
def test_an_answer_that_was_known_is_waste_also_where_it_came_from_a_retry(
    tmp_path: Path, kind: str, text: str
) -> None:
    again = record(3, text, request_id="r2", purpose="retry", attempt=2)
    wasted = waste_of(find(tmp_path, [record(1, "the boat was late"), failed(record(2, text), 429), again]), kind)
    assert wasted is not None
    assert (wasted.requests, wasted.examples) == (1, ("r3",))
    assert wasted.spend_usd == pytest.approx(0.001)


@pytest.mark.parametrize("copy", ["the boat was late", "The boat was late."])
def test_the_first_answer_may_come_from_a_retry(tmp_path: Path, copy: str) -> None:
    text = "the boat was late"
    first = [failed(record(1, text), 500), record(2, text, request_id="r1", purpose="retry", attempt=2)]
    report = find(tmp_path, [*first, record(3, copy)])
    assert [line.examples for line in report.lines if line.kind.endswith("identical")] == [("r3",)]
    assert report.total_usd == pytest.approx(0.001)


def test_a_failed_background_call_is_not_an_unread_answer(tmp_path: Path) -> None:
    listed = [record(n, f"note {n}", visibility="background") for n in range(1, 5)]
    listed.append(failed(record(5, "note 5", visibility="background"), 500))
    read: dict[str, dt.datetime | None] = {answered.id: None for answered in listed} | {"r1": START}
    assert count(find(tmp_path, listed, read=read), "unread") == 3


def test_a_log_that_does_not_say_who_waits_leaves_background_waste_unknown(tmp_path: Path) -> None:
    report = find(tmp_path, [record(n, f"note {n}") for n in range(1, 5)])
    assert len(report.unknown) == 1


def test_failed_attempts_of_nobody_leave_retries_unknown(tmp_path: Path) -> None:
    human: dict[str, Any] = {"visibility": "human"}
    known = [failed(record(1, "note 1", user_id="u", **human), 500), record(2, "note 2", **human)]
    assert find(tmp_path / "known", known).unknown == ()
    assert len(find(tmp_path / "unknown", [*known, failed(record(3, "note 3", **human), 500)]).unknown) == 1


def test_calls_whose_prompt_says_that_they_debug_are_waste(tmp_path: Path) -> None:
    listed = [
        record(n, f"note {n}", call_site="pier.why", system="DEBUG MODE: say why the note went to its tray.")
        for n in range(1, 9)
    ]
    helper = "You help engineers to debug code. In debug mode say more."
    listed += [record(n, f"note {n}", call_site="pier.code", system=helper) for n in range(11, 20)]
    wasted = waste_of(find(tmp_path, listed), "debug")
    assert wasted is not None
    assert (wasted.call_site, wasted.requests) == ("pier.why", 8)


def storm(first: int, at: dt.datetime, *, requests: int, attempts: int, pause_s: float) -> list[Record]:
    listed = []
    for n in range(requests):
        for k in range(attempts):
            attempt = record(
                first + n * attempts + k, f"note {first + n}", request_id=f"r{first + n * attempts}",
                ts=at + dt.timedelta(seconds=pause_s * (n * attempts + k)), attempt=k + 1,
                purpose="retry" if k else "serve",
            )  # fmt: skip
            listed.append(failed(attempt, 429) if k < attempts - 1 else attempt)
    return listed


def test_a_slow_retry_storm_is_one_storm(tmp_path: Path) -> None:
    report = find(tmp_path, storm(1, START, requests=10, attempts=6, pause_s=25.0))
    assert [(s.attempts, s.failed, s.requests) for s in report.storms] == [(60, 50, 10)]


def test_single_failures_of_a_busy_log_are_no_storm(tmp_path: Path) -> None:
    listed = []
    for n in range(80):
        at = START + dt.timedelta(seconds=10 * n)
        listed.append(failed(record(2 * n, f"note {n}", ts=at), 500))
        listed.append(record(2 * n + 1, f"note {n}", ts=at, request_id=f"r{2 * n}", attempt=2, purpose="retry"))
    assert find(tmp_path, listed).storms == ()


def test_only_calls_without_a_near_cap_are_uncapped(tmp_path: Path) -> None:
    near = [record(n, f"note {n}", params=Params(max_tokens=16)) for n in range(1, 61)]
    far = [record(n, f"note {n}", params=Params(max_tokens=4096)) for n in range(61, 121)]
    none = [record(n, f"note {n}", params=Params()) for n in range(121, 131)]
    wasted = waste_of(find(tmp_path, [*near, *far, *none]), "uncapped")
    assert wasted is not None
    assert wasted.requests == 70
    assert set(wasted.examples) <= {request.id for request in (*far, *none)}


def test_a_cap_saves_what_runs_away(tmp_path: Path) -> None:
    listed = [record(n, f"note {n}", params=Params()) for n in range(1, 2001)]
    listed.append(record(2001, "note 0", params=Params(), usage=Usage(input_uncached=100, output=4000)))
    wasted = waste_of(find(tmp_path, listed), "uncapped")
    assert wasted is not None
    # Longest real answer 5 tokens, cap 16; 10 USD a million output tokens.
    assert wasted.spend_usd == pytest.approx((4000 - 16) * 10 / 1e6)


RULES = " ".join(f"Rule {n}: tray {n % 3} takes what the harbour master wrote on day {n}." for n in range(80))


@pytest.mark.parametrize("part", ["system", "tools", "examples"])
def test_a_long_fixed_opening_outside_the_cache_is_found_wherever_it_stands(tmp_path: Path, part: str) -> None:
    tools = [{"type": "function", "function": {"name": "tray", "description": RULES, "parameters": {}}}]
    listed = [
        record(
            n, *((RULES, "late", f"{n} note") if part == "examples" else (f"{n} note",)),
            system=RULES if part == "system" else SORT,
            tools=msgspec.Raw(msgspec.json.encode(tools)) if part == "tools" else None,
            usage=Usage(input_uncached=1400, output=5),
        )
        for n in range(1, 30)
    ]  # fmt: skip
    report = find(tmp_path, listed)
    tokens = len(RULES) / 4
    for kind, usd_per_mtok in (("uncached_prefix", 1.25), ("long_static_prompt", 2.5)):
        wasted = waste_of(report, kind)
        assert wasted is not None, kind
        assert wasted.requests == 29
        assert wasted.spend_usd == pytest.approx(29 * tokens * usd_per_mtok / 1e6, rel=0.1)
        assert wasted.examples


def test_a_prefix_below_the_models_own_minimum_cannot_be_cached(tmp_path: Path) -> None:
    listed = [
        record(n, f"{n} note", system=RULES, model="claude-haiku-4-5", provider="anthropic") for n in range(1, 30)
    ]
    assert count(find(tmp_path, listed), "uncached_prefix") == 0


def test_a_fixed_part_behind_an_opening_that_changes_is_found_too(tmp_path: Path) -> None:
    listed = [record(n, "note", system=f"{n * 7919} is the case number. {RULES}") for n in range(1, 30)]
    wasted = waste_of(find(tmp_path, listed), "uncached_prefix")
    assert wasted is not None
    assert wasted.requests == 29


def test_retries_cost_what_their_failed_attempts_cost(tmp_path: Path) -> None:
    answered = [record(n, "the boat was late", request_id="r1", attempt=n) for n in (1, 2, 3)]
    listed = [
        msgspec.structs.replace(a, status=408, output=Output(), purpose="retry" if a.attempt > 1 else "serve")
        for a in answered[:2]
    ]
    listed.append(msgspec.structs.replace(answered[2], purpose="retry"))
    wasted = waste_of(find(tmp_path, listed), "retry")
    assert wasted is not None
    assert (wasted.requests, wasted.spend_usd) == (2, pytest.approx(0.002))


@pytest.mark.parametrize("copy", ["the boat was late", "The boat was late."])
def test_another_temperature_is_another_request(tmp_path: Path, copy: str) -> None:
    listed = [
        record(1, "the boat was late", params=Params(temperature=0.2)),
        record(2, copy, params=Params(temperature=0.9)),
        record(3, copy, params=Params(temperature=0.9)),
    ]
    report = find(tmp_path, listed)
    assert [line.examples for line in report.lines if line.kind.endswith("identical")] == [("r3",)]


@pytest.mark.parametrize("copy", ["the boat was late", "The boat was late."])
def test_another_response_format_is_another_request(tmp_path: Path, copy: str) -> None:
    listed = [record(1, "the boat was late"), record(2, copy, response_format={"type": "json_object"})]
    assert [line.kind for line in find(tmp_path, listed).lines if line.kind.endswith("identical")] == []


def test_the_default_temperature_may_be_left_out(tmp_path: Path) -> None:
    listed = [record(1, "late"), record(2, "late", params=Params(max_tokens=64, temperature=1.0))]
    assert count(find(tmp_path, listed), "identical") == 1


DEBUG_SITES = [
    "note.debug",
    "eval-golden-set",
    "playground",
    "qa.smoke",
    "load-test/notes",
    "noteDebug",
    "notes_staging",
]
OTHER_SITES = ["contest.notes", "evaluator.notes", "attempt.notes", "latest.notes", "smokehouse.menu", "retrieval"]


def test_debug_test_and_evaluation_calls_are_known_by_name(tmp_path: Path) -> None:
    listed = [record(n, f"note {n}", call_site=site) for n, site in enumerate(DEBUG_SITES)]
    assert count(find(tmp_path, listed), "debug") == len(DEBUG_SITES)


def test_names_that_only_contain_such_a_word_are_no_debug_calls(tmp_path: Path) -> None:
    listed = [record(n, f"note {n}", call_site=site) for n, site in enumerate(OTHER_SITES)]
    assert count(find(tmp_path, listed), "debug") == 0


def test_calls_of_an_environment_without_users_are_debug_calls(tmp_path: Path) -> None:
    listed = [record(n, f"note {n}", cohort={"environment": "staging"}) for n in range(4)]
    assert count(find(tmp_path, [*listed, record(9, "note 9", cohort={"plan": "pro"})]), "debug") == 4


def background(count: int) -> list[Record]:
    return [record(n, f"note {n}", visibility="background") for n in range(count)]


def test_where_only_reads_are_logged_an_answer_without_one_is_unread(tmp_path: Path) -> None:
    read: dict[str, dt.datetime | None] = {"r2": START, "r5": START}
    assert count(find(tmp_path, background(10), read=read), "unread") == 8


def test_answers_before_reads_were_recorded_are_not_unread(tmp_path: Path) -> None:
    read: dict[str, dt.datetime | None] = {f"r{n}": START for n in range(20, 40, 2)}
    assert count(find(tmp_path, background(40), read=read), "unread") == 10


def test_where_unread_answers_are_logged_one_without_either_is_unknown(tmp_path: Path) -> None:
    read: dict[str, dt.datetime | None] = {"r2": START, "r5": None}
    assert count(find(tmp_path, background(10), read=read), "unread") == 1
