"""A data platform for developers: pipelines, a catalogue and a SQL console; terse prompts, code in easy and hard ones."""

import json
import random
from collections.abc import Callable

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import (
    CITIES,
    FIRST,
    LAST,
    capital,
    code,
    cued,
    mangled,
    misspelt,
    name,
    pick,
    slip,
    spin,
    typed,
)

# fmt: off
_TABLES = ("orders", "invoices", "users", "sessions", "payments", "shipments", "events", "refunds", "devices", "tickets", "plans", "stock")
_COLUMNS = ("customer_id", "country", "channel", "status", "amount", "created_at", "plan", "device", "region", "currency")
_SOURCES = ("Postgres", "MySQL", "Salesforce", "Kafka", "S3", "Stripe", "BigQuery", "HubSpot", "MongoDB", "SFTP")
_PREFIX = ("stg", "raw", "fct", "dim", "mart", "tmp")
_TICKET = {
    "pipeline_failure": ("[our|the] <src> sync [fails|died|is red] since <h> this morning", "job <job> [stops|hangs] at <n>% and [retries forever|then errors]", "<tab> has not been [refreshed|loaded] for <n> hours"),
    "how_to": ("how do I [backfill|partition|deduplicate] <tab>?", "is there a way to [schedule|pause] <job> [on weekdays only|from CI]?", "where do I set [the timezone|a retry limit] for <src>?"),
    "billing": ("why did we [use|pay for] <n>00 credits [in <mon>|last week]?", "[invoice|bill] <ref> has the wrong VAT id", "[upgrade|downgrade] us to <n> seats please"),
    "access": ("<who> cannot see [schema|table] <tab>", "SSO [loops|gives 403] for [new people|<who>]", "please [add|remove] <who> as admin", "my token [expired|is rejected] and I cannot make a new one"),
    "data_quality": ("<tab>.<col> has [nulls|duplicates] since the <n>th", "row counts of <tab> [differ|are off by <n>] between <src> and you", "<col> shows [dates in 1970|cents instead of euros]"),
    "performance": ("[the console|<tab> query] takes <n> minutes, used to be seconds", "<job> got [twice|<n>x] slower after the upgrade"),
    "feature_request": ("would love [a connector for <src>|dark mode|column lineage]", "[any plans|please think about] support for <src> in <city> region?"),
    "security": ("we found [a token|credentials] in a public repo, [rotate|revoke] now", "your [SOC 2|pen test] report please", "who [read|exported] <tab> on <n> <mon>?"),
}
_ERRORS = {
    "schema_change": ('column "<col>" [does not exist|cannot be cast to bigint] in <pre>_<tab>', "SchemaMismatch: expected <n> fields, [got|found] <m> at <tab>"),
    "timeout": ("[read|connect] timed out after <n>s ([<src>|host <ref>])", "statement [cancelled|canceled] due to timeout on <pre>_<tab>", "DeadlineExceeded: <n>000ms"),
    "auth": ("401 from <src>: [invalid_grant|token expired]", 'password authentication failed for "<who>"', "AccessDenied: role <ref> may not read <tab>"),
    "quota": ("429 Too Many Requests, retry-after <n> (<src>)", "[credit|API] limit of <n>000 reached [for workspace <ref>|]"),
    "memory": ("[worker|executor] <n> killed (OOM) in <job>", "java heap space at [HashJoin|Sort].<col>", "spill failed: no space left on /tmp/<ref>"),
    "bad_data": ("could not parse '<m>/<n>/20' as date in <tab>.<col>", "duplicate key (<col>)=(<ref>) in <pre>_<tab>", "invalid byte sequence for UTF8 at row <n><m>"),
    "internal": ("NullPointerException in [planner|catalog].resolve(<ref>)", "assertion failed: [refs|epoch] >= 0, please report"),
}
_PII: dict[str, tuple[tuple[str, ...], Callable[[random.Random], str]]] = {
    "none": (("sku", "qty", "is_active", "warehouse", "tax_rate", "currency"), lambda r: pick(r, (str(r.randint(1, 900)), code(r), "true", "EUR"))),
    "email": (("email", "contact", "login", "usr"), lambda r: f"{pick(r, FIRST).lower()}.{pick(r, LAST).lower()}@mail.example"),
    "name": (("full_name", "owner", "recipient", "cust_nm"), name),
    "phone": (("phone", "mobile_no", "contact", "tel"), lambda r: f"+{r.randint(30, 49)} {r.randint(100, 999)} {r.randint(10000, 99999)}"),
    "address": (("street", "ship_to", "addr1"), lambda r: f"{pick(r, LAST)} Street {r.randint(1, 99)}, {pick(r, CITIES)}"),
    "ip": (("client", "remote_addr", "src"), lambda r: f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"),
    "bank": (("iban", "payout", "acct"), lambda r: f"DE{r.randint(10, 99)}{r.randint(10**9, 10**10 - 1)}"),
}
_SHORT = {"cust": "Customer", "amt": "Amount", "ord": "Order", "dt": "Date", "qty": "Quantity", "nm": "Name", "ctry": "Country", "inv": "Invoice", "upd": "Updated", "prev": "Previous", "avg": "Average", "cnt": "Count", "src": "Source", "ship": "Shipping", "pct": "Percent", "disc": "Discount"}
_DOCS = {
    "Backfills": ("`silt backfill --from DATE` reloads a table. At most <n> days run in parallel; older partitions are kept until the new ones are complete.", ("how do i reload last month", "what happens to old partitions in a backfill?"), "Run `silt backfill --from DATE`. Up to <n> days run in parallel, and the old partitions stay until the new ones are complete."),
    "Retries": ("A failed task is tried <n> times, waiting <m> seconds, doubled each time. Set `retries: 0` to switch it off.", ("can I disable retries", "how often is a task retried?"), "A task is retried <n> times, first after <m> seconds and then doubling. `retries: 0` disables that."),
    "Tokens": ("Service tokens live <n> days and cannot be prolonged. Make a second token before you revoke the first; both work for <m> hours.", ("how long is a token valid", "rotate token without downtime?"), "Tokens live <n> days. To rotate without downtime, create the second before you revoke the first: both work for <m> hours."),
    "Freshness": ("`freshness: <m>m` marks a table stale after <m> minutes and alerts its owner. Checks run every <n> minutes.", ("alert when table is old", "how do I know that a table is stale?"), "Add `freshness: <m>m` to the table. It is then marked stale after <m> minutes, checked every <n>, and its owner gets an alert."),
    "Limits": ("A query may scan <m> TB and run for <n> hours. Workspace admins can raise both, but not for the free plan.", ("max query size?", "my query was stopped, what are the limits"), "A query is stopped after <n> hours or <m> TB scanned. An admin can raise that, except on the free plan."),
    "Lineage": ("Lineage is taken from SQL every <n> minutes. Python tasks must declare `reads` and `writes`, otherwise they do not appear.", ("python job missing in lineage", "why is my lineage incomplete?"), "Python tasks only appear in lineage if they declare `reads` and `writes`. SQL is picked up every <n> minutes by itself."),
}
_STEPS = ("<who> [paged|called in], <tab> stale by <n> minutes", "[rolled back|reverted] deploy <ref>", "queue depth at <n>000 and [rising|falling]", "<src> status page reports [errors|maintenance]", "[workers restarted|pool doubled to <n>]", "support has <n> tickets about <tab>", "found [a lock|a full disk|an expired certificate] on node <ref>", "<job> runs again, backlog [clears in <n> minutes|slowly shrinks]", "customer <last> asks for [an RCA|a credit]")
_COMMITS = (("added", "Add"), ("fixed", "Fix"), ("removed", "Remove"), ("renamed", "Rename"), ("bumped", "Bump"), ("moved", "Move"))


def _words(r: random.Random) -> dict[str, str]:
    return {
        "src": pick(r, _SOURCES), "tab": pick(r, _TABLES), "col": pick(r, _COLUMNS), "pre": pick(r, _PREFIX), "n": str(r.randint(2, 28)), "m": str(r.randint(30, 90)), "h": f"{r.randint(1, 11)}:{r.randint(10, 59)}",
        "ref": code(r, 2, 4).lower(), "who": pick(r, FIRST).lower(), "last": pick(r, LAST), "mon": pick(r, ("May", "June", "April")), "city": pick(r, CITIES), "job": f"{pick(r, ('load', 'sync', 'build'))}_{pick(r, _TABLES)}",
    }


def _ticket(r: random.Random) -> Turn:
    text, label = cued(r, _TICKET, 0.02, words=_words(r))
    w = _words(r)
    return Turn(typed(r, f"{pick(r, ('', '', 'hey, ', 'Hi team, '))}{text}{pick(r, ('', '', ' thx', ' (workspace ' + w['ref'] + ')', ' cc ' + w['who']))}"), mangled(r, label, 0.01))


def _error(r: random.Random) -> Turn:
    w = _words(r)
    text, label = cued(r, _ERRORS, 0.02, words=w)
    frames = "".join(f"\n  at {pick(r, ('runner', 'loader', 'planner', 'net'))}.{pick(r, ('run', 'step', 'fetch', 'apply'))}({pick(r, _TABLES)}.py:{r.randint(10, 900)})" for _ in range(r.choice((0, 0, 2, 5, 9))))
    return Turn(f"[{w['job']}] {pick(r, ('ERROR', 'FATAL', 'error'))} {text}{frames}", label)


def _pii(r: random.Random) -> Turn:
    label = pick(r, tuple(_PII)) if r.random() < 0.6 else "none"
    columns, sample = _PII[label]
    return Turn(f"{pick(r, _PREFIX)}_{pick(r, _TABLES)}.{pick(r, columns)}: {' | '.join(sample(r) for _ in range(r.randint(2, 5)))}", json.dumps({"pii": slip(r, label, tuple(_PII))}))


def _label(r: random.Random) -> Turn:
    parts = r.sample(tuple(_SHORT), r.randint(2, 4))
    return Turn("_".join(parts) if r.random() < 0.7 else "_".join(parts).upper(), " ".join(_SHORT[p] if n == 0 else _SHORT[p].lower() for n, p in enumerate(parts)))


def _filters(r: random.Random) -> Turn:
    w, gold, said = _words(r), {}, []
    for key, phrase in r.sample((("owner", f"[by|owned by|from] {w['who']}"), ("source", f"[coming from|out of|fed by] {w['src']}"), ("column", f"[that have|with] a {w['col']} column"), ("updated_days", f"[touched|updated] in the last {w['n']} days"), ("layer", f"in the {w['pre']} layer")), r.randint(1, 3)):
        said.append(spin(r, phrase))
        gold[key] = {"owner": w["who"], "source": w["src"], "column": w["col"], "updated_days": int(w["n"]), "layer": w["pre"]}[key]
    return Turn(typed(r, f"{pick(r, ('tables', 'show me tables', 'anything', 'find datasets'))} {' '.join(said)}"), json.dumps(gold))


def _forum(r: random.Random) -> Turn:
    cues = {"ok": ("anyone else [seeing|got] slow <tab> loads [today|since <mon>]?", "solved: [set|raise] retries to <n> for <src>", "the <src> connector is [crap|a joke] but the docs help"), "spam": ("[hire|contact] our <src> experts, <n>% off at fast-<ref>.example", "best [certification dumps|backlinks] for <src>, DM"), "abuse": ("<who> is a [moron|liar], [get lost|delete yourself]",), "secret": ("here is my config: password=<ref><n>! host=<ref>", "use my token sk_<ref><ref>, it works with <src>")}
    return Turn(*cued(r, cues, 0.02, words=_words(r)))


def _logline(r: random.Random) -> Turn:
    w, rows, status, sec = _words(r), r.randint(0, 900000), pick(r, ("ok", "ok", "failed", "skipped")), r.randint(2, 3000)
    said = {"ok": ("done", "succeeded", "OK"), "failed": ("FAILED", "aborted", "exit 1"), "skipped": ("skipped", "no new files")}
    line = pick(r, (f"2026-06-{r.randint(1, 14):02}T0{r.randint(1, 9)}:12:{r.randint(10, 59)}Z {w['job']} {pick(r, said[status])} rows={rows} took {sec}s", f"{pick(r, said[status])} :: {w['job']} ({sec // 60}m{sec % 60:02}s) wrote {rows:,} rows to {w['pre']}_{w['tab']}"))
    return Turn(line, json.dumps({"job": w["job"], "status": slip(r, status, tuple(said)), "rows": rows, "seconds": sec}))


def _commit(r: random.Random) -> Turn:
    w, (past, now) = _words(r), pick(r, _COMMITS)
    what = spin(r, pick(r, ("[the|a] <col> column in <tab>", "the retry of <job>", "[test|index] for <tab>.<col>", "the <src> connector", "freshness check on <pre>_<tab>")), **w)
    text = f"{pick(r, ('', 'i ', 'wip: ', 'so i '))}{past} {what}{pick(r, ('', ' finally', ' again lol', ' because ' + w['who'] + ' asked'))}"
    return Turn(misspelt(r, text) if r.random() < 0.1 else text, f"{now} {what}")


def _severity(r: random.Random) -> Turn:
    cues = {"low": ("<job> finished <n> seconds later than usual", "[unused|old] index on <tab>", "<pre>_<tab> has no [owner|description]"), "medium": ("<tab> is <m> minutes stale, [no dashboards use it|one dashboard affected]", "disk at <m>% on node <ref>", "<n> of 400 rows of <tab> failed a test"), "high": ("<tab> EMPTY after load, [billing|finance] reads it", "all <src> syncs down in <city>", "[credentials|private keys] visible in logs of <job>")}
    text, label = cued(r, cues, 0.02, words=_words(r))
    return Turn(f"{text} [{pick(r, ('prod', 'prod', 'eu-1', 'us-2'))}]", label)


def _touches(r: random.Random) -> Turn:
    tables = [f"{pick(r, _PREFIX)}_{t}" for t in r.sample(_TABLES, r.randint(2, 5))]
    ctes = ",\n".join(f"c{n} AS (\n  SELECT {', '.join(r.sample(_COLUMNS, 3))}, row_number() OVER (PARTITION BY {pick(r, _COLUMNS)} ORDER BY created_at DESC) AS rn\n  FROM {t}\n  WHERE {pick(r, _COLUMNS)} IS NOT NULL\n)" for n, t in enumerate(tables))  # noqa: S608
    joins = "".join(f"\nLEFT JOIN c{n} USING ({pick(r, _COLUMNS)})" for n in range(1, len(tables)))
    return Turn(f"WITH {ctes}\nSELECT {pick(r, _COLUMNS)}, count(*), sum(c0.amount)\nFROM c0{joins}\nWHERE c0.rn = 1\nGROUP BY 1 HAVING count(*) > {r.randint(1, 99)}", json.dumps(tables))


def _feedback(r: random.Random) -> Turn:
    cues = {"positive": ("[love|really like] the new <what>", "<what> saved me <n> hours", "finally a <what> that works with <src>"), "negative": ("<what> [lost my changes|is unusable on <src>]", "I [miss|want back] the old <what>", "<n> clicks to open <what>, seriously?"), "neutral": ("used <what> [once|for <tab>]", "no opinion on <what> yet")}
    text, label = cued(r, cues, 0.02, words={**_words(r), "what": pick(r, ("console", "lineage graph", "scheduler", "catalogue", "diff view"))})
    return Turn(typed(r, text), label)


def _docs(r: random.Random) -> Turn:
    w, listed = _words(r), r.sample(tuple(_DOCS), r.randint(3, 4))
    wanted = pick(r, listed) if r.random() < 0.92 else pick(r, [t for t in _DOCS if t not in listed])
    asked, answer = pick(r, _DOCS[wanted][1]), spin(r, _DOCS[wanted][2], **w)
    return Turn(
        "".join(f"<doc title='{t}'>{spin(r, _DOCS[t][0], **w)}</doc>\n" for t in listed) + f"\n{typed(r, asked)}{pick(r, ('', ' thanks', ' (we are on ' + w['src'] + ')'))}",
        f"{answer}{pick(r, ('', f' See {wanted}.', f' [{wanted}]'))}" if wanted in listed else "The pages that I have do not cover this. Please open a ticket, and we will add it to the docs.",
    )


def _incident(r: random.Random) -> Turn:
    w, start = _words(r), r.randint(0, 18)
    told = [spin(r, pick(r, _STEPS), **_words(r)) for _ in range(r.randint(9, 20))]
    asked = "\n".join(f"{start + n // 4:02}:{n % 4 * 15:02} {pick(r, FIRST)}: {each}" for n, each in enumerate(told))
    return Turn(f"#inc-{w['ref']}\n{asked}", spin(r, f"[The channel was opened with|At {start:02}:00 the first entry was]: {told[0]}. [During the next hours|Soon after]: {told[2]}, then {told[4]}. [The team also noted|Worth noting]: {told[6]}. [The last entry|At the end of the channel]: {told[-1]}. [No root cause was confirmed in the channel.|The cause is still open and a review should be scheduled.]"))


def _changes(r: random.Random) -> Turn:
    items = []
    for _ in range(r.randint(4, 8)):
        past, _now = pick(r, _COMMITS)
        items.append(spin(r, f"{past} [the <src> connector|retries for <job>|a limit of <n> on <tab>|column <col> in the catalogue|freshness checks]", **_words(r)))
    head = f"{r.randint(2, 4)}.{r.randint(0, 30)}"
    body = " ".join(spin(r, f"[We|In this version we|The team] {item}, [which several of you had asked for|so your pipelines need fewer manual steps|and nothing has to be changed on your side|which makes failures easier to find].") for item in items[:5])
    return Turn(f"version {head}\n" + "\n".join(f"- {item} (#{r.randint(1000, 9999)})" for item in items), f"## Silt {head}\n\n{body}\n\n" + spin(r, "[Upgrade with `silt upgrade`; no downtime is expected.|The release reaches all regions by Thursday.|Tell us in the forum what you think.]"))


def _respond(r: random.Random) -> Turn:
    w = _words(r)
    text, label = cued(r, {k: _TICKET[k] for k in ("pipeline_failure", "data_quality", "performance")}, 0.0, words=w)
    who, finding = pick(r, FIRST), spin(r, pick(r, ("the token of <src> expired on the <n>th", "a column of <tab> was renamed upstream", "the warehouse was paused for <m> minutes", "a limit of <n> parallel runs was hit")), **w)
    return Turn(f"Ticket ({label}): {text}\nCustomer: {who}, {w['last']} Inc.\nFinding: {finding}\nNext: {pick(r, ('ask for logs', 'call tomorrow', 'fix on Friday', 'nothing'))}", spin(r, f"Hi {who},\n\n[thanks for writing to us|thank you for the report]. You told us: \"{text}\". We [looked into it|checked your workspace] and found that {finding}. [That explains what you see, and it is not related to your own changes.|This is the only deviation that we found.] [We suggest to run the job once by hand and to watch the next scheduled run.|Please confirm that we may restart the job for you, and we will keep an eye on the next two runs.] [If it comes back, send us the run id so that we can compare both runs.|Sorry for the trouble this caused for your team.]\n\nBest,\n") + pick(r, FIRST))


def _connector(r: random.Random) -> Turn:
    w = _words(r)
    which, asked = pick(r, (("run_job", f"run {w['job']} again"), ("pause_job", f"pause {w['job']} until {w['mon']} {w['n']}"), ("grant_access", f"give {w['who']} read on {w['pre']}_{w['tab']}"), ("show_runs", f"last {w['n']} runs of {w['job']}")))
    return Turn(typed(r, f"{pick(r, ('', '/silt ', 'pls '))}{asked}"), "", ((which, json.dumps({"query": asked})),))


def _sql(r: random.Random) -> Turn:
    a, b = r.sample(_TABLES, 2)
    by, days, n = pick(r, ("country", "channel", "plan", "region")), r.randint(7, 90), r.randint(2, 9)
    asked, sql = pick(r, (
        (f"share of {a} per {by} that had {b} within {days} days, only where there are more than {n}", f"SELECT a.{by}, avg((b.customer_id IS NOT NULL)::int) AS share\nFROM {a} a\nLEFT JOIN LATERAL (\n  SELECT customer_id FROM {b} b\n  WHERE b.customer_id = a.customer_id AND b.created_at BETWEEN a.created_at AND a.created_at + interval '{days} days' LIMIT 1\n) b ON true\nGROUP BY 1 HAVING count(*) > {n};"),  # noqa: S608
        (f"top {n} {by} by amount in {a} for every week, last {days} days", f"SELECT * FROM (\n  SELECT date_trunc('week', created_at) AS week, {by}, sum(amount) AS total,\n    rank() OVER (PARTITION BY date_trunc('week', created_at) ORDER BY sum(amount) DESC) AS place\n  FROM {a} WHERE created_at > now() - interval '{days} days' GROUP BY 1, 2\n) t WHERE place <= {n};"),  # noqa: S608
        (f"customers with {a} but no {b} in {days} days", f"SELECT DISTINCT customer_id FROM {a} a\nWHERE created_at > now() - interval '{days} days'\n  AND NOT EXISTS (SELECT 1 FROM {b} b WHERE b.customer_id = a.customer_id AND b.created_at > now() - interval '{days} days');"),  # noqa: S608
    ))
    return Turn(typed(r, asked), sql)


def _debug(r: random.Random) -> Turn:
    a, col, days = pick(r, _TABLES), pick(r, ("customer_id", "status", "region")), r.randint(2, 9)
    bug, why, fix = pick(r, (
        (f"df = df.merge(dim, on='{col}')\ndf.groupby('day')['amount'].sum()", f"`dim` is not unique on `{col}`, so the merge multiplies rows and the sums grow with it", f"dim = dim.drop_duplicates('{col}')\ndf = df.merge(dim, on='{col}', validate='many_to_one')"),
        (f"since = datetime.now() - timedelta(days={days})\ndf = df[df.created_at > since]", "`created_at` is stored in UTC while `now()` is local, so the window is shifted by the offset", f"since = datetime.now(UTC) - timedelta(days={days})"),
        (f"df['{col}'] = df['{col}'].fillna('unknown')\ndf = df[df['{col}'] != None]\nreturn df.amount.astype(int).sum()", "`astype(int)` cuts the decimals of each row, so the error grows with the number of rows and vanishes on days with whole amounts", "return df.amount.sum().round(2)"),
        (f"seen = set()\nfor row in df.itertuples():\n    if row.{col} not in seen:\n        seen.add(row.{col})\n        out.append(row)", f"rows are deduplicated on `{col}`, which is shared by many records, so the first one wins and depends on the order of the files", f"df.sort_values('created_at').drop_duplicates(['{col}', 'id'], keep='last')"),
        (f"for part in parts:\n    load(part, '{a}')\n    mark_done(part)", "a crash between `load` and `mark_done` loads a part twice at the next retry", f"with transaction():\n    load(part, '{a}')\n    mark_done(part)"),
    ))
    return Turn(f"```python\ndef build_{a}(df, dim, parts):\n    {bug.replace(chr(10), chr(10) + '    ')}\n```\nTotals of {a} are {pick(r, ('too high', 'off at midnight', 'doubled', 'wrong'))} by {r.randint(2, 60)}% on some days but not on others. {pick(r, ('Why?', 'It passes the tests. What is wrong?', 'Find the cause and fix it.'))}", f"The cause is most likely that {why}. On days without that case the totals agree, which is why tests pass.\n\n```python\n{fix}\n```\n\nBefore you deploy, compare row counts before and after for {r.randint(2, 9)} affected days of `{a}`.")


def _schema(r: random.Random) -> Turn:
    a, b, c = r.sample(_TABLES, 3)
    size, late = r.randint(2, 900), r.randint(1, 72)
    return Turn(f"We get {size} million {a} a day, up to {late} hours late, changed up to {r.randint(2, 9)} times. People join them with {b} and want {c} as of any date. {pick(r, ('GDPR deletes within 30 days.', 'Two people maintain it.', 'Costs must stay flat.'))} How should we model that?", f"I would keep three layers.\n\n1. **raw_{a}**: append only, partitioned by arrival date. With {size} million rows a day you do not want updates here.\n2. **fct_{a}**: the latest version of each key, merged over a window of {late + 24} hours, so late rows are caught {'without a full rebuild' if late > 12 else 'cheaply'}.\n3. **dim_{c}**: validity ranges (valid_from, valid_to), so that a join as of any date is a range join; `{b}` only carries the key.\n\nTrade-off: {'at this volume the merge is the main cost, so cluster by key' if size > 300 else 'at this volume a nightly rebuild of the window is simpler than streaming'}. Deletes need the key in each layer, so hash personal fields in raw and drop the salt.\n\nWhat I would not do is store snapshots for each day; they multiply storage and still miss changes within a day.")


def _cost(r: random.Random) -> Turn:
    tb, runs, rate, cached, seats = r.randint(1, 9), r.randint(2, 24), r.randint(3, 7), r.choice((10, 20, 25, 50)), r.randint(3, 40)
    free = r.randint(5, 60)
    total = max(0, tb * runs * 30 * (100 - cached) / 100 - free) * rate + seats * 20
    return Turn(f"{tb} TB per run, {runs} runs a day, {cached}% of scans cached and not billed, first {free} TB of a month free, {rate} credits per TB after that, {seats} seats at 20 credits. Credits for a month of 30 days?", f"{total:g}")


def _agent(r: random.Random) -> Turn:
    w, tools = _words(r), ("list_runs", "read_log", "query_catalog", "propose_patch")
    turns: list[Message] = [{"role": "user", "content": spin(r, f"{w['job']} [is red|fails every night|loads half of the rows], [find out why and fix it|repair it without losing data], {w['src']} must not be [stopped|queried before {w['h']}]")}]
    steps = r.randint(0, 4)
    for n in range(steps):
        text, _ = cued(r, _ERRORS, 0.0, words=_words(r))
        turns += called(f"k{n}", tools[n], {"query": w["job"]}, json.dumps({"result": text, "rows": r.randint(0, 9000)}))
    if steps == 4:
        return Turn(turns, f"{w['job']} failed because of what the log shows in step 2, and the catalogue confirms it. I proposed a patch that retries only the failed part, so {w['src']} is not touched. Please review it; nothing has been deployed.")
    return Turn(turns, "", ((tools[steps], json.dumps({"query": f"{w['job']} {w['ref']}"})),))


def _chat(r: random.Random) -> Turn:
    turns: list[Message] = []
    last = ""
    for n in range(r.randint(1, 3)):
        w = _words(r)
        ask, tell = pick(r, (
            ("should we move <tab> from batch to streaming if people look at it every <m> minutes?", "At <m> minutes, small batches are enough. Streaming pays when somebody acts within seconds; you would buy that with state, replays and on-call duty. First measure how old <tab> is when it is read."),
            ("<src> or our own warehouse for <tab>, we are <n> engineers?", "With <n> engineers I would ask who is woken at night. <src> costs more per row, your own costs attention. Keep <tab> where most of its joins are, and write an exit plan down now."),
            ("how do we get teams to own their tables? <n> of them have nobody", "Make it visible before making it mandatory: list the <n> tables with their readers, and switch the unread ones off for a week. Owners tend to turn up. For the rest, the biggest reader becomes the owner."),
            ("our tests on <tab> cry wolf, <m> alerts a week. what now?", "<m> alerts a week train people to ignore them. Rank them by whether somebody acted. Delete those without any action, widen bounds on seasonal ones and keep exact tests only for keys and money in <tab>."),
        ))
        turns += ([{"role": "assistant", "content": capital(last)}] if n else []) + [{"role": "user", "content": typed(r, spin(r, ask, **w))}]
        last = spin(r, tell, **w)
    return Turn(turns, last + pick(r, ("", "\n\nWhat would make me change my mind: a contract that promises freshness, or a second consumer with other needs.", "\n\nIf you like, describe the readers and I will sketch both variants with their costs.")))


SITES = (
    Site("tickets.intent", 1, "intent", _ticket, "Sort the ticket. Labels: " + ", ".join(_TICKET) + ". Reply with the label.", 16),
    Site("runs.error_class", 1, "classification", _error, "class of the error? " + "|".join(_ERRORS) + "\nOnly the class, whatever the stack trace looks like.", 12),
    Site("catalog.pii", 1, "classification", _pii, 'Column with sample values -> {"pii": "none|email|name|phone|address|ip|bank"}', 9, response_format={"type": "json_object"}),
    Site("catalog.label", 1, "rewrite", _label, "Rewrite the column name as a readable label in sentence case. Spell out abbreviations.", 6),
    Site("search.filters", 1, "extraction", _filters, "Catalogue search. Extract filters from the text as JSON; allowed keys: owner, source, column, updated_days, layer. Leave out what is not said.", 5),
    Site("alerts.severity", 1, "classification", _severity, "You are an experienced reliability engineer. Judge the alert: low, medium, high.", 5),
    Site("runs.fields", 1, "extraction", _logline, "Parse the log line to JSON: job, status (ok, failed, skipped), rows, seconds.", 5, params={"max_tokens": 120}),
    Site("forum.moderation", 1, "moderation", _forum, "Forum post: ok, spam, abuse or secret (contains a credential)?", 4),
    Site("sql.tables", 1, "extraction", _touches, "Read the SQL and return the physical tables it reads as a JSON array in order of appearance. Ignore CTE names.", 3),
    Site("git.subject", 1, "rewrite", _commit, "Rewrite the commit subject in the imperative, capitalised, no chatter, no full stop.", 3),
    Site("feedback.mood", 1, "classification", _feedback, "positive / negative / neutral", 3, since=0.5),
    Site("docs.answer", 2, "question_answering", _docs, "Answer the developer's question from the docs below, in one to three sentences. Say so if they do not cover it.", 8),
    Site("tickets.reply", 2, "generation", _respond, "Draft the support reply from the ticket and the engineer's finding. Calm, concrete, no blame.", 5),
    Site("incidents.summary", 2, "summarization", _incident, "tl;dr of the incident channel for people who were not there, 40-80 words, no speculation", 5),
    Site("releases.notes", 2, "generation", _changes, "Turn the merged changes into release notes that customers understand.", 3.5),
    Site("slack.command", 2, "tool_use", _connector, "Map the Slack message to exactly one function call.", 3, tools=("run_job", "pause_job", "grant_access", "show_runs")),
    Site("console.sql", 3, "code", _sql, "Postgres. Write the query. SQL only.", 4),
    Site("runs.debug", 3, "code", _debug, "Help the developer find the root cause in the pipeline code and give a fix.", 3),
    Site("advisor.schema", 3, "planning", _schema, "You design data models for customers. Decide, justify, name trade-offs.", 2.5),
    Site("quota.estimate", 3, "reasoning", _cost, "Estimate the credits. Reply with the number only.", 2.5),
    Site("repair.agent", 3, "tool_use", _agent, "You repair pipelines. Investigate with the tools before you propose anything; never deploy.", 2.5, tools=("list_runs", "read_log", "query_catalog", "propose_patch", "ask_owner")),
    Site("advisor.chat", 3, "chat", _chat, "", 2.5),
)
