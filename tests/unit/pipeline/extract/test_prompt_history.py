"""Periods of use of templates, and the changes between them."""

from datetime import timedelta

from pipeline.dataset import Prompts
from pipeline.extract import prompt_history
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import START, row
from traffic.prompts import MessagePattern, Template

LINES = [f"Rule {n}: say {word}." for n, word in enumerate("gears brakes wheels lights locks bells".split())]


def template(name: str, lines: list[str]) -> Template:
    user = MessagePattern("user", slot=True)
    return Template(id=name, original=(MessagePattern("system", "\n".join(lines)), user), pruned=(user,))


OLD = template("00000001", LINES)
NEW = template("00000002", [*LINES[:2], "Rule 22: write to bob@shop.example.", *LINES[3:], "Rule 6: be quick."])
OTHER = template("00000003", ["Translate into French.", "Be polite."])


def used(*names: str) -> list[Row]:
    return [row(n, template=name) for n, name in enumerate(names)]


def history(*names: str) -> Prompts:
    return prompt_history.of("shop.topic", used(*names), [OLD, NEW, OTHER])


def test_a_replaced_prompt_version_is_a_change_with_masked_lines() -> None:
    periods = history(*["00000001"] * 60, *["00000002"] * 40)
    (change,) = periods.changes
    assert (change.from_template, change.to_template) == ("00000001", "00000002")
    assert (change.lines_added, change.lines_removed) == (2, 1)
    assert change.at == (START + timedelta(minutes=60)).isoformat()
    assert change.first_change == "-Rule #: say wheels."
    assert "bob@" not in change.first_change


def test_templates_have_their_period_and_share() -> None:
    first, second = history(*["00000001"] * 60, *["00000002"] * 40).templates
    assert (first.id, first.requests, first.share, first.slots) == ("00000001", 60, 0.6, 1)
    assert (first.last, second.first) == tuple((START + timedelta(minutes=n)).isoformat() for n in (59, 60))


def test_a_template_unused_in_the_test_split_is_retired() -> None:
    part = history(*["00000001"] * 60, *["00000002"] * 40)
    merged = prompt_history.merged([part], START + timedelta(minutes=80))
    assert [template.retired for template in merged.templates] == [True, False]
    assert [template.retired for template in prompt_history.merged([part], START).templates] == [False, False]
    assert any("retired before the test split" in line for line in prompt_history.lines(merged))


def test_concurrent_prompts_are_not_a_change() -> None:
    assert history(*["00000001", "00000002"] * 50).changes == ()


def test_a_new_prompt_is_a_change_only_if_the_old_one_ends() -> None:
    assert history(*["00000001"] * 60, *["00000001", "00000003"] * 20).changes == ()
    (change,) = history(*["00000001"] * 60, *["00000003"] * 40).changes
    assert change.to_template == "00000003"


def test_a_recent_prompt_change_without_a_template_is_a_warning() -> None:
    periods = history(*["00000001"] * 90, *[""] * 10)
    assert periods.unmatched == {"shop.topic": 10}
    assert periods.unmatched_lately == {"shop.topic": 1.0}
    assert any("too recently" in line for line in prompt_history.lines(periods))
    assert history(*["00000001"] * 90, "", *["00000001"] * 9).unmatched_lately == {}


def test_a_stable_prompt_gives_no_output() -> None:
    assert prompt_history.lines(history(*["00000001"] * 5)) == []
    assert prompt_history.of("shop.topic", [], []).templates == ()
