"""Profile a log: where the money goes, what is waste, and a registry proposed from how requests behave.

    fasttier profile [--since 2026-11-01] [--until 2026-11-08] [--accept] [--probe] [--against callsites.yaml]

Reads the records store; writes <home>/profile/{profile.json, report.html, callsites.proposed.yaml, shapes.parquet}, and
with --accept <home>/callsites.yaml. Asks no model.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import msgspec

from pipeline import store
from pipeline.profile import (
    against,
    facts,
    measure,
    playbook,
    projection,
    proposed_registry,
    readiness,
    report,
    sample,
    shapes,
    spend,
    waste,
)
from pipeline.profile.config import ProfileConfig
from pipeline.profile.proposed_registry import Profiled
from pipeline.profile.summary import Period, ProfileSummary, ShapeLine, Share, SiteLine
from pipeline.store.database import write_parquet
from pipeline.store.period import ALL_DAYS, Days
from traffic import callsites
from traffic.artifacts import Home, write_atomic
from traffic.callsites import CallSite, Registry
from traffic.errors import InputError
from traffic.prices import Price, PriceTable
from traffic.tiers import RoutingConfig

__all__ = ["ProfileConfig", "ProfileSummary", "run"]

FOLDER = "profile"
MEMORY = "1GB"
"""Of DuckDB; Python's share is bounded by the sample."""
PROPOSED = "callsites.proposed.yaml"


def run(
    config: ProfileConfig,
    *,
    home: Home,
    routing: RoutingConfig,
    prices: PriceTable,
    now: dt.datetime,
    days: Days = ALL_DAYS,
    accept: bool = False,
    track: bool = True,
    probing: bool = False,
    older: Registry | None = None,
) -> ProfileSummary:
    """Profile the home's records of these days.

    `older`: a registry to compare the proposal with. `track`: also as an MLflow run, where MLflow is installed.

    Raises: NotFound, InputError, ConfigError.
    """
    connection = store.connect(home)
    # What does not fit is written aside: memory does not grow with the log.
    home.runs.mkdir(parents=True, exist_ok=True)
    connection.execute(f"set memory_limit = '{MEMORY}'")
    connection.execute("set preserve_insertion_order = false")
    days.limit(connection)
    current = callsites.load_or_empty(home.root / callsites.FILE)
    groups = sample.groups(connection)
    if not groups:
        raise InputError("the records store has no served request of that time to profile")
    discovered = shapes.discover(connection, groups, sample.draw(connection, groups))
    totals = facts.build(connection)
    profiled = measure.profiled(connection, discovered.shapes)
    proposed = proposed_registry.entries(profiled, current)
    price_of = projection.prices_of(connection, prices)
    wasted = waste.find(connection, profiled, config, price_of)
    bill = projection.project(
        connection, profiled, config, routing, prices, days=totals.days, wasted_usd=wasted.total_usd, today=now.date()
    )
    sites = _sites(connection, proposed, totals.requests)
    undocumented = tuple(site.call_site for site in sites if not site.reason)
    worth_own_model, daily = playbook.worth_it(totals.requests, totals.days, config)
    everything = spend.total(connection)
    result = ProfileSummary(
        created_at=now.isoformat(timespec="seconds"),
        requests=totals.requests,
        attempts=totals.attempts,
        spend_usd=totals.spend_usd + totals.estimated_usd,
        logged_usd=totals.spend_usd,
        estimated_usd=totals.estimated_usd,
        uncosted=totals.uncosted,
        period=Period(totals.first, totals.last, totals.days),
        calls_per_day=daily,
        worth_it=worth_own_model,
        worth_calls_per_day=config.worth_calls_per_day,
        tiers=_shares({str(tier): [p for p in profiled if p.proposal.tier == tier] for tier in (1, 2, 3)}),
        request_types=_by_type(profiled),
        input_tokens_histogram=tuple(spend.histogram(connection)),
        totals=everything,
        by_call_site=tuple(sites),
        by_feature=tuple(spend.by(connection, "feature")),
        by_plan=tuple(spend.by(connection, "plan")),
        by_model=tuple(spend.by(connection, "model")),
        by_day=tuple(sorted(spend.by(connection, "strftime(ts, '%Y-%m-%d')"), key=lambda line: line.name)),
        input_cost_share=_input_share(connection, price_of),
        cached_share=everything.cached_share,
        shapes=tuple(_shape(p) for p in profiled),
        unsure=tuple(p.shape.name for p in profiled if p.proposal.unsure),
        waste=wasted.lines,
        waste_total_usd=wasted.total_usd,
        waste_total_requests=wasted.total_requests,
        waste_unknown=wasted.unknown,
        storms=wasted.storms,
        top_shapes=tuple(p.shape.name for p in profiled[: config.top]),
        undocumented_call_sites=undocumented,
        readiness=tuple(readiness.rank(connection, profiled, totals.days, config.month_days, probing=probing)),
        projection=bill,
        playbook=tuple(playbook.steps(connection, profiled, wasted, current, undocumented, len(sites))),
        changes=tuple(against.changes(proposed, older)) if older is not None else (),
        notes=tuple(discovered.notes),
    )
    return _write(result, home, connection, discovered, proposed_registry.text(proposed), accept=accept, track=track)


def _write(
    result: ProfileSummary, home: Home, connection: duckdb.DuckDBPyConnection, discovered: shapes.Shapes, proposed: str,
    *, accept: bool, track: bool,
) -> ProfileSummary:  # fmt: skip
    folder = home.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    proposed_registry.parse(proposed, PROPOSED)
    write_atomic(folder / PROPOSED, proposed)
    target = folder / "shapes.parquet"
    _write_shapes(connection, discovered, target)
    paths = {
        "proposed registry": str(folder / PROPOSED),
        "shapes": str(target),
        "profile": str(folder / "profile.json"),
    }
    accepted = None
    if accept:
        accepted = str(home.root / callsites.FILE)
        write_atomic(home.root / callsites.FILE, proposed)
        paths["registry"] = accepted
    paths["report"] = str(folder / "report.html")
    result = msgspec.structs.replace(result, paths=paths, accepted=accepted)
    write_atomic(folder / "profile.json", msgspec.json.format(msgspec.json.encode(result)))
    write_atomic(folder / "report.html", report.page(result))
    if track:
        report.track(result, home, [folder / "profile.json", folder / "report.html", folder / PROPOSED])
    return result


def _write_shapes(connection: duckdb.DuckDBPyConnection, discovered: shapes.Shapes, target: Path) -> None:
    import pyarrow as pa

    names = pa.table(
        {"shape": list(range(len(discovered.shapes))), "name": [shape.name for shape in discovered.shapes]}
    )
    connection.register("shape_names", names)
    write_parquet(
        connection,
        f"select p.id, coalesce(n.name, '{shapes.OTHER}') as shape from priced p left join shape_names n "  # noqa: S608
        "on n.shape = p.shape",
        target,
    )


def _shares(named: Mapping[str, Sequence[Profiled]]) -> tuple[Share, ...]:
    total = sum(p.requests for listed in named.values() for p in listed) or 1
    return tuple(
        Share(
            name=name,
            requests=sum(p.requests for p in listed),
            share=sum(p.requests for p in listed) / total,
            spend_usd=sum(p.spend_usd for p in listed),
        )
        for name, listed in named.items()
    )


def _by_type(profiled: Sequence[Profiled]) -> tuple[Share, ...]:
    kinds = Counter[str]()
    for p in profiled:
        kinds[p.proposal.request_type] += p.requests
    return _shares({kind: [p for p in profiled if p.proposal.request_type == kind] for kind, _ in kinds.most_common()})


def _sites(
    connection: duckdb.DuckDBPyConnection, proposed: Sequence[tuple[CallSite, list[Profiled]]], requests: int
) -> list[SiteLine]:
    cases = " ".join(
        f"when shape in ({', '.join(str(p.number) for p in listed)}) then {n}"
        for n, (_, listed) in enumerate(proposed) if listed
    )  # fmt: skip
    lines = {line.name: line for line in spend.by(connection, f"case {cases} end")} if cases else {}
    sites = []
    for number, (site, listed) in enumerate(proposed):
        line = lines.get(str(number))
        if line is None:
            continue
        sites.append(
            SiteLine(
                call_site=site.name, requests=line.requests, spend_usd=line.spend_usd,
                share=line.requests / max(1, requests),
                request_type=site.request_type or "generation", tier=site.tier or 2, confidence=site.confidence or 0.0,
                shapes=len(listed), owner=site.owner, reason=site.reason,
                totals=msgspec.structs.replace(line, name=site.name),
            )
        )  # fmt: skip
    return sorted(sites, key=lambda each: (-each.spend_usd, each.call_site))


def _shape(p: Profiled) -> ShapeLine:
    return ShapeLine(
        name=p.shape.name, call_site=p.shape.call_site, templates=tuple(t.id for t in p.shape.templates),
        requests=p.requests, spend_usd=p.spend_usd, request_type=p.proposal.request_type, tier=p.proposal.tier,
        confidence=p.proposal.confidence, unsure=p.proposal.unsure,
        evidence=tuple(e.what for e in p.proposal.evidence), visibility=p.visibility,
        output_tokens_p999=p.output_tokens_p999, behaviour=p.behaviour,
    )  # fmt: skip


def _input_share(connection: duckdb.DuckDBPyConnection, price_of: Mapping[str, Price]) -> float | None:
    rows = connection.execute(
        "select model, sum(prompt_tokens - cached_tokens), sum(cached_tokens), sum(output_tokens) "
        "from priced group by 1"
    ).fetchall()
    into = out = 0.0
    for model, plain, cached, output in rows:
        price = price_of.get(model)
        if price is None:
            continue
        read = price.cache_read_mtok_usd if price.cache_read_mtok_usd is not None else price.input_mtok_usd
        into += plain * price.input_mtok_usd + cached * read
        out += output * price.output_mtok_usd
    return into / (into + out) if into + out else None
