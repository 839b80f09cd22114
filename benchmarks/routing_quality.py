"""Routing quality on a log: by a registry proposed from its first half and applied to the second, and by rules.

    python -m benchmarks.routing_quality [--company NAME ...] [--seed N] [--requests N] [--json FILE]

Uses the logs of invented companies (`benchmarks/invented`). Signals and models of the profile know these, so that the
figures only show what a change breaks; `open_log.py` does the same for any log with a gold file.
"""

import datetime as dt
import shutil
import tempfile
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from benchmarks import harness
from benchmarks.invented.write import COMPANIES, write
from pipeline import profile, replay, store
from pipeline.store.period import Days
from traffic import callsites, config, tiers
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.prices import PriceTable


def measure(home: Home, gold: Path) -> dict[str, Any]:
    """Routing errors of the log's second half: by rules alone, by the registry of the first half, and by the registry
    without call-site tags; and the adjusted Rand index of the shapes found without tags.
    """
    middle = halfway(home)
    with tempfile.TemporaryDirectory() as folder:
        bare = without_tags(home, Home(Path(folder)))
        return {
            "second_half_since": middle.isoformat(),
            "rules": against_gold(home, gold, Days(since=middle), None),
            "registry": against_gold(home, gold, Days(since=middle), proposed(home, middle)),
            "registry_untagged": against_gold(bare, gold, Days(since=middle), proposed(bare, middle)),
            "shapes_untagged_rand_index": rand_index(bare, gold),
        }


def halfway(home: Home) -> dt.date:
    """The first UTC day of the second half of the log's days."""
    first, last = store.connect(home).sql("select min(date), max(date) from records").fetchall()[0]
    return first + (last - first + dt.timedelta(days=1)) / 2  # type: ignore[no-any-return]


def proposed(home: Home, until: dt.date) -> Registry:
    """The registry that `fasttier profile --accept` would create from the records before `until`."""
    result = profile.run(
        config.load(config.CONFIGS / "profile.yaml", profile.ProfileConfig),
        home=home,
        routing=tiers.load(config.CONFIGS / "router.yaml"),
        prices=PriceTable.load(),
        now=dt.datetime.now(dt.UTC),
        days=Days(until=until),
        track=False,
    )
    return callsites.load(Path(result.paths["proposed registry"]))


def against_gold(home: Home, gold: Path, days: Days, registry: Registry | None) -> dict[str, Any]:
    """Routing errors on these days, also by half of the call sites (by a hash of their name). None: rules alone."""
    done = replay.run(
        replay.Rules(config=tiers.load(config.CONFIGS / "router.yaml"), registry=registry),
        home=home,
        prices=PriceTable.load(),
        today=dt.datetime.now(dt.UTC).date(),
        gold=gold,
        days=days,
    )
    assert done.gold is not None
    figures: dict[str, Any] = msgspec.to_builtins(done.gold)
    figures["tier_1_share"] = next(line.share for line in done.tiers if line.tier == 1)
    for half in ("tuned", "held_out"):
        sites = [site_figures for name, site_figures in done.gold.by_call_site.items() if half_of(name) == half]
        total = sum(site.requests for site in sites) or 1
        figures[f"{half}_call_sites"] = {
            "call_sites": len(sites),
            "requests": sum(site.requests for site in sites),
            "sent_low_share": sum(site.sent_low for site in sites) / total,
            "sent_high_share": sum(site.sent_high for site in sites) / total,
        }
    return figures


def half_of(call_site: str) -> str:
    """`tuned` or `held_out`: rules are tuned on one half of the call sites; of the other only totals are examined."""
    return "tuned" if sha256(call_site.encode()).digest()[0] % 2 else "held_out"


def without_tags(home: Home, target: Home) -> Home:
    """A copy of a home's records without call sites."""
    shutil.copytree(home.records, target.records)
    if home.signals.exists():
        shutil.copytree(home.signals, target.signals)
    nothing = "cast(null as varchar)"
    harness.rewrite_store(target.records, f"{nothing} as call_site, {nothing} as feature")
    return target


def rand_index(home: Home, gold: Path) -> float:
    """Adjusted Rand index of the profiled shapes against the gold file's call sites."""
    from sklearn.metrics import adjusted_rand_score

    shapes = duckdb.execute(f"select id, shape from read_parquet('{home.root}/profile/shapes.parquet')").fetchall()  # noqa: S608
    sites = {key: truth.call_site for key, truth in replay.gold.read_gold(gold)}
    pairs = [(sites[key], shape) for key, shape in shapes if sites.get(key)]
    return round(float(adjusted_rand_score([a for a, _ in pairs], [b for _, b in pairs])), 4)


def company_log(name: str, folder: Path, *, requests: int, seed: int) -> tuple[Home, Path]:
    """The log of an invented company in a separate home, and its gold file."""
    from benchmarks.open_log import stage

    home = Home(folder / name / "home")
    log, gold = write(name, folder / name, requests=requests, seed=seed)
    stage("ingest", str(log), home=home)
    return home, gold


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--company", action="append", choices=COMPANIES)
    parser.add_argument("--by-site", action="store_true", help="also list call sites with errors")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    names = options.company or COMPANIES
    results: dict[str, Any] = {}
    shown: list[str] = []
    totals: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            home, gold = company_log(name, Path(folder), requests=options.requests, seed=options.seed)
            results[name] = measure(home, gold)
        for kind in KINDS:
            errors = results[name][kind]
            shown.append(line(f"{name} {kind}", errors))
            totals[kind][0] += errors["requests"]
            totals[kind][1] += errors["requests"] * errors["sent_low_share"]
            totals[kind][2] += errors["requests"] * errors["sent_high_share"]
            if options.by_site:
                shown += wrong_sites(errors)
    for kind, (n, low, high) in totals.items():
        shown.append(f"{'all ' + kind:28} {low / n:7.2%} low {high / n:7.2%} high")
    harness.show(results, options.json, shown)


def wrong_sites(errors: dict[str, Any]) -> list[str]:
    return [
        f"    {name}: {site}" for name, site in errors["by_call_site"].items() if site["sent_low"] + site["sent_high"]
    ]


KINDS = ("registry", "registry_untagged", "rules")


def lines(measured: dict[str, Any]) -> list[str]:
    """The result as text."""
    text = [line(kind.replace("_", " "), measured[kind]) for kind in KINDS]
    return [*text, f"shapes without tags against call sites: Rand index {measured['shapes_untagged_rand_index']}"]


def line(name: str, errors: dict[str, Any]) -> str:
    return (
        f"{name:28} {errors['sent_low_share']:7.2%} low {errors['sent_high_share']:7.2%} high, "
        f"Tier 1 {errors['tier_1_share']:.1%} of {errors['true_tier_1_share']:.1%}"
    )


if __name__ == "__main__":
    main()
