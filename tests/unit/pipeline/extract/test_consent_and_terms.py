"""Rows excluded by opt-out or provider terms, and their counts."""

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset import Filter
from pipeline.extract import consent_and_terms, opt_out_list
from pipeline.extract.config import ExtractConfig, RightsConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import row
from traffic.errors import ConfigError, InputError, NotEnoughData, NotFound


def permitted(rows: list[Row], config: RightsConfig = RightsConfig()) -> tuple[list[str], dict[str, int]]:  # noqa: B008 - frozen
    ledger = Ledger(len(rows))
    kept = consent_and_terms.permitted(rows, "shop.topic", consent_and_terms.load(config), ledger)
    return [row.id for row in kept], ledger.counts()


def test_customers_and_users_who_opted_out_are_excluded(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("# asked on the phone\nc1,2026-11-01\n\n u2 \n")
    rows = [
        row(1, customer_id="c1", label_source="corrected"),
        row(2, user_id="u2"),
        row(3, customer_id="c2", user_id="u1"),
    ]
    kept, removed = permitted(rows, RightsConfig(opted_out=str(tmp_path / "out.csv")))
    assert kept == ["r00003"]
    assert removed == {"opted_out": 2}


@pytest.mark.parametrize("said", ["false", "False", "no", "opt_out"])
def test_a_record_with_a_no_training_tag_is_excluded(said: str) -> None:
    kept, removed = permitted([row(1, cohort={"training": said}), row(2, cohort={"training": "true"}), row(3)])
    assert kept == ["r00002", "r00003"]
    assert removed == {"opted_out": 1}


def test_a_refusal_in_the_latest_record_of_a_user_counts_for_the_earlier_ones() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE records (user_id TEXT, customer_id TEXT, ts INT, cohort MAP(TEXT, TEXT), id INT DEFAULT 1)"
    )
    connection.execute(
        """INSERT INTO records (user_id, customer_id, ts, cohort) VALUES
            ('withdrew', 'c1', 1, MAP {'training': 'yes'}), ('withdrew', 'c1', 2, MAP {'training': 'no'}),
            ('returned', 'c1', 1, MAP {'training': 'no'}), ('returned', 'c1', 2, MAP {'training': 'yes'}),
            ('per request', 'c1', 1, MAP {'training': 'no'}), ('per request', 'c1', 2, MAP {}),
            ('', 'c2', 1, MAP {}), (NULL, 'c2', 2, MAP {'training': 'opt_out'})"""
    )
    permissions = consent_and_terms.load(RightsConfig(), connection)
    rows = [
        row(1, user_id="withdrew", customer_id="c1", cohort={"training": "yes"}),
        row(2, user_id="returned", customer_id="c1"),
        row(3, customer_id="c2"),
        row(4, user_id="per request", customer_id="c1"),
    ]
    kept = consent_and_terms.permitted(rows, "shop.topic", permissions, Ledger(4))
    assert [row.id for row in kept] == ["r00002", "r00004"]


@pytest.mark.parametrize("refusing", [("7", "c1"), ("7", ""), ("", "c1")])
def test_users_of_two_customers_with_the_same_id_are_two(refusing: tuple[str, str]) -> None:
    connection = duckdb.connect()
    connection.execute("CREATE TABLE records (user_id TEXT, customer_id TEXT, ts INT, cohort MAP(TEXT, TEXT), id INT)")
    insert = "INSERT INTO records VALUES (?, ?, ?, MAP {'training': ?}, 1)"
    connection.execute(insert, [*refusing, 1, "no"])
    connection.execute(insert, ["7", "c2", 2, "yes"])
    rows = [row(1, user_id="7", customer_id="c1"), row(2, user_id="7", customer_id="c2"), row(3, user_id="7")]
    permissions = consent_and_terms.load(RightsConfig(), connection)
    kept = {row.id for row in consent_and_terms.permitted([*rows, row(9)], "shop.topic", permissions, Ledger(4))}
    kept_by_refusing = {("7", "c1"): {"r00002"}, ("7", ""): set[str](), ("", "c1"): {"r00001", "r00002", "r00003"}}
    assert kept == kept_by_refusing[refusing] | {"r00009"}


@pytest.mark.parametrize("said", ["given", "active", "opted_in"])
def test_words_that_give_consent(said: str) -> None:
    kept, removed = permitted([row(1, cohort={"training": said})])
    assert (kept, removed) == (["r00001"], {})


@pytest.mark.parametrize("said", ["maybe", "unknown", "pending", "2", "n/a"])
def test_unclear_consent_excludes_the_record_and_is_reported(said: str) -> None:
    ledger = Ledger(2)
    rows = [row(1, cohort={"training": said}), row(2, cohort={"training": " Yes "})]
    kept = consent_and_terms.permitted(rows, "shop.topic", consent_and_terms.load(RightsConfig()), ledger)
    assert [row.id for row in kept] == ["r00002"]
    assert ledger.counts() == {"unknown_consent": 1}
    assert repr(said) in ledger.in_words()


@pytest.mark.parametrize(
    "text",
    [
        "customer;date\nCust-1;2026-09-01\nCust-2;2026-09-02\n",
        "Cust-1\tx\nCust-2\ty\n",
        '"cust-1"\n"CUST-2"\n',
        "date,customer_id\n2026-09-01,Cust-1\n2026-09-02, Cust-2 \n",
        "\ufeffCust-1|\r\nCust-2|\r\n",
        "cust-1\ncust-2,left in May\n",
        'Customer ID\tReason\n="Cust-1"\tmail\n="Cust-2"\tform\n',
        "cust-1\u200b\n\u00a0Cust\u20602\n".replace("\u2060", "-\u2060"),
        "- cust-1\n* cust-2  # asked on the phone\n",
        "cust-1, cust-2, cust-9\n",
        '["cust-1", "cust-2"]\n',
        '[\n  "cust-1",\n  "cust-2"\n]\n',
        "{cust-1}\n{cust-2}\n",
        '{"at": "2026-09-01", "customerId": "cust-1"}\n{"at": "2026-09-02", "customerId": "cust-2"}\n',
        '{"reason": "mail", "id": "cust-1"}\n\n{"id": "cust-2"}',
        '[{"customer": {"id": "cust-1"}}, {"customer": {"id": "cust-2"}}]',
        '{"opted_out": [\n"cust-1",\n"cust-2"]}',
        '"cust-1"\n{"user_id": "cust-2"}\n',
        '{"cust-1": "2026-09-01", "cust-2": true}',
        '{"cust-1": true, "cust-2": true, "cust-3": false}',
        '{"cust-1": true, "cust-2": null, "cust-3": {"opted_out": false}}',
        '[{"id": "cust-3", "opted_out": false, "users": [{"id": "cust-1", "opted_out": true}, {"id": "cust-2"}]}]',
        '{"cust-1": {"optedOut": true}, "cust-2": {}, "cust-3": {"optedOut": false}}',
        "customer_id,opted_out\ncust-1,true\ncust-2,?\ncust-3,false\n",
        "customer_id;training consent\ncust-1;no\ncust-2;\ncust-3;yes\n",
        "customer_id,consent,valid_until\ncust-1,yes,2020-01-01\ncust-2,no,\ncust-3,yes,2999-01-01\n",
        "customer_id,consent,withdrawn_at\ncust-1,yes,2026-01-01\ncust-2,no,\ncust-3,yes,\n",
        '[{"id": "cust-1", "ai": {"training": "no"}}, {"id": "cust-2"}, {"id": "cust-3", "ai": {"training": "yes"}}]',
        '{"opted_out": ["cust-1", "cust-2"], "opted_in": ["cust-3"]}',
        "customer_id,excluded,active\ncust-1,yes,yes\ncust-2,,yes\ncust-3,no,yes\n",
        "customer_id,status,active,enabled\ncust-1,active,yes,yes\ncust-2,new,yes,yes\n",
        "customer_id,status\ncust-1,opted_out\ncust-2,pending\ncust-3,opted_in\n",
        "name,customer_id,user_id\nAnn,cust-1,\nBo,,cust-2\n",
        '{"customerId": "cust-1", "optedOut": true}\n{"customerId": "cust-3", "optedOut": false}\n{"id": "cust-2"}\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_opt_out_lists_are_read_in_common_export_formats(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_bytes(text.encode(encoding))
    rows = [row(n, customer_id=f"Cust-{n}") for n in range(4)]
    kept, removed = permitted(rows, RightsConfig(opted_out=str(tmp_path / "out.csv")))
    assert kept == ["r00000", "r00003"]
    assert removed == {"opted_out": 2}


def test_a_spreadsheet_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "out.xlsx").write_bytes(b"PK\x03\x04\x14\x00\x06")
    with pytest.raises(InputError, match="export it as CSV"):
        permitted([row(1)], RightsConfig(opted_out=str(tmp_path / "out.xlsx")))


def test_a_number_sign_within_an_id_is_no_remark(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("Customer #1\n")
    rows = [row(1, customer_id="Customer #1"), row(2, customer_id="Customer #2")]
    kept, _ = permitted(rows, RightsConfig(opted_out=str(tmp_path / "out.txt")))
    assert kept == ["r00002"]


def test_ids_as_decimal_numbers_are_read(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text('[{"id": 1001.0}, 1002.0]')
    assert opt_out_list.read(tmp_path / "out.json") == {"1001", "1002"}


@pytest.mark.parametrize("text", ['{"id": "cust-1"}\n{"id": "cust-2"\n', 'id\n"cust-1\ncust-2\n'])
def test_a_list_that_cannot_be_read_completely_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text(text)
    with pytest.raises(InputError):
        opt_out_list.read(tmp_path / "out")


def test_an_opt_out_counts_in_either_unicode_form(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("Zoe\u0308\n", encoding="utf-8")
    kept, _ = permitted([row(1, user_id="zo\u00eb"), row(2)], RightsConfig(opted_out=str(tmp_path / "out.txt")))
    assert kept == ["r00002"]


def test_an_opt_out_list_without_a_match_in_the_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("4711\n4712\n")
    config = RightsConfig(opted_out=str(path))
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE records (customer_id VARCHAR, user_id VARCHAR)")
        with pytest.raises(InputError, match="no record names a customer or user"):
            consent_and_terms.refuse_unknown_list(connection, config)
        connection.execute("INSERT INTO records VALUES ('Cust-1', NULL), (NULL, 'U-9')")
        with pytest.raises(InputError, match=r"none of the 2 ids.*cust-1.*4711"):
            consent_and_terms.refuse_unknown_list(connection, config)
        path.write_text("4711\nu-9\n")
        consent_and_terms.refuse_unknown_list(connection, config)
        consent_and_terms.refuse_unknown_list(connection, RightsConfig())


def test_answers_under_restrictive_terms_are_excluded_and_human_labels_kept() -> None:
    rows = [
        row(1, provider="openai", model="gpt-4o"),
        row(2, provider="openai", model="gpt-4o", label_source="escalated"),
        row(3, provider="anthropic", model="claude-x"),
        row(4, provider="openai", model="gpt-4o", label_source="corrected"),
        row(5, provider="openai", model="gpt-4o", label_source="human"),
        row(6, provider="simulated", model="simulated-small"),
        row(7, provider=None, model="big-model"),
    ]
    kept, removed = permitted(rows)
    assert kept == ["r00004", "r00005", "r00006", "r00007"]
    assert removed == {"terms_openai": 2, "terms_anthropic": 1}


def test_only_providers_confirmed_by_name_are_included() -> None:
    rows = [row(1, provider="openai", model="gpt-4o"), row(2, provider="anthropic", model="claude-x")]
    kept, removed = permitted(rows, RightsConfig(confirmed=("openai",)))
    assert kept == ["r00001"]
    assert removed == {"terms_anthropic": 1}


def test_the_reason_names_the_clause_its_source_and_the_option() -> None:
    ledger = Ledger(2)
    rows = [row(1, provider="openai"), row(2, provider="simulated")]
    consent_and_terms.permitted(rows, "shop.topic", consent_and_terms.load(RightsConfig()), ledger)
    (reason,) = [removed.reason for removed in ledger.close(1) if removed.name == "terms_openai"]
    assert "compete" in reason
    assert "https://openai.com/" in reason
    assert "--set 'rights.confirmed=[openai]'" in reason


def test_an_empty_result_is_an_error_that_names_the_option() -> None:
    rows = [row(1, provider="openai"), row(2, provider="anthropic")]
    with pytest.raises(
        InputError, match=r"openai 1 rows.* anthropic 1 rows.*--set 'rights.confirmed=\[openai,anthropic\]'"
    ):
        permitted(rows)
    with pytest.raises(
        InputError, match=r"no customer or user of its 1 answered requests allows training.*1 opted_out"
    ):
        permitted([row(1, cohort={"training": "false"})])


def test_too_few_rows_because_of_terms_is_an_error_that_names_the_option() -> None:
    ledger = Ledger(500)
    ledger.add("terms_openai", 400, "")
    config = ExtractConfig(rights=RightsConfig(confirmed=("google",)))
    with pytest.raises(NotEnoughData, match=r"t: 1 rows are left.*--set 'rights.confirmed=\[google,openai\]'"):
        consent_and_terms.refuse_too_few([row(1)], "t", config, ledger)
    consent_and_terms.refuse_too_few([row(n) for n in range(100)], "t", config, ledger)
    consent_and_terms.refuse_too_few([row(1)], "t", config, Ledger(1))


def test_an_unknown_provider_and_a_missing_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"rights.confirmed: no row opnai .* openai"):
        consent_and_terms.load(RightsConfig(confirmed=("opnai",)))
    with pytest.raises(NotFound, match=r"rights\.opted_out: no file"):
        consent_and_terms.load(RightsConfig(opted_out=str(tmp_path / "none.txt")))


def test_the_report_lists_the_included_providers_with_their_basis() -> None:
    granted = consent_and_terms.load(RightsConfig(confirmed=("openai",), confirmed_on=dt.date(2026, 11, 23)))
    rows = [row(1, provider="openai"), row(2, provider="openai", label_source="human"), row(3, provider="acme")]
    filters = [Filter("opted_out", 4, ""), Filter("terms_anthropic", 7, ""), Filter("errors", 9, "")]
    report = consent_and_terms.report(rows, filters, granted)
    assert (report.opted_out, report.restricted, report.answers) == (4, {"anthropic": 7}, {"openai": 1})
    assert report.not_listed == {"acme: big-model": 1}
    (terms,) = report.confirmed
    assert (terms.name, terms.confirmed_on, terms.terms_read) == ("openai", "2026-11-23", "2026-11-23")


providers = st.sampled_from([None, "openai", "anthropic", "simulated", "acme", "groq"])
sources = st.sampled_from(["human", "corrected", "escalated", "teacher"])


@given(
    st.lists(st.tuples(providers, sources, st.booleans()), max_size=30), st.sets(st.sampled_from(["openai", "groq"]))
)
def test_every_row_is_kept_or_counted_once(drawn: list[tuple[str | None, str, bool]], confirmed: set[str]) -> None:
    rows = [row(0, provider="simulated", label_source="human")]
    for n, (provider, source, out) in enumerate(drawn, start=1):
        cohort = {"training": "false"} if out else {}
        rows.append(row(n, provider=provider, model="m", label_source=source, cohort=cohort))
    kept, removed = permitted(rows, RightsConfig(confirmed=tuple(sorted(confirmed))))
    assert len(kept) + sum(removed.values()) == len(rows)
