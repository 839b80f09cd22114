"""Requests without a tag belong to the call site whose template they match, and to no other."""

from collections.abc import Iterator

import duckdb
import msgspec
import pytest

from pipeline.store import untagged
from tests.fakes.call_site_rows import record
from traffic.callsites import CallSite, Registry, ShapeTemplate
from traffic.prompts import MessagePattern
from traffic.record import ArrowRow, to_table

STANDING = "Sort the parcel question into one topic."
TEMPLATE = ShapeTemplate("0a1b2c3d", (MessagePattern("system", STANDING),))
REGISTRY = Registry(call_sites=(CallSite("shop.topic", templates=(TEMPLATE,)), CallSite("other")))


def sent(number: int, system: str, call_site: str | None) -> ArrowRow:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": f"where is parcel {number}?"}]
    made = msgspec.structs.replace(
        record(number), messages=msgspec.Raw(msgspec.json.encode(turns)), call_site=call_site
    )
    return ArrowRow(made, request_hash=str(number), system_hash=None, input_chars=0)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    rows = [sent(1, STANDING, None), sent(2, "Write a poem.", None), sent(3, STANDING, "other")]
    with duckdb.connect() as opened:
        opened.register("stored", to_table(rows))
        opened.execute("create view records as select * from stored")
        yield opened


def sites(connection: duckdb.DuckDBPyConnection) -> list[str | None]:
    return [site for (site,) in connection.sql("select call_site from records order by id").fetchall()]


@pytest.mark.parametrize("wanted", [(), ("shop.topic",)])
def test_an_untagged_request_counts_to_the_call_site_of_its_template(
    connection: duckdb.DuckDBPyConnection, wanted: tuple[str, ...]
) -> None:
    assert untagged.name(connection, REGISTRY, wanted) == 1
    assert sites(connection) == ["shop.topic", None, "other"]


@pytest.mark.parametrize("registry, wanted", [(Registry(), ("shop.topic",)), (REGISTRY, ("other",))])
def test_without_a_template_of_a_wanted_call_site_the_log_stays_as_it_is(
    connection: duckdb.DuckDBPyConnection, registry: Registry, wanted: tuple[str, ...]
) -> None:
    assert untagged.name(connection, registry, wanted) == 0
    assert sites(connection) == [None, None, "other"]
