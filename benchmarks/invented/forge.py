"""A code host with CI and coding agents: tool loops, JSON mode, labels about code, and hard questions with short answers.

Easy with long inputs: diff.secrets, license.kind, log.level. Hard with short answers: bug.locate, merge.safe, test.predict.
Borderline: commit.write and docstring.write (short texts about code: mid), flaky.kind (a label on a failure log;
the cues are on the surface: easy), trace.extract (a function call that only copies: easy), ci.command (one call: mid).
"""

import json
import random
import re

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import FIRST, fill, misspelt, pick, slip

# Word lists and templates read best on long lines.
# fmt: off

_W: dict[str, tuple[str, ...]] = {
    "noun": ("cursor", "session", "invoice", "webhook", "shard", "token", "queue", "snapshot", "upload", "tenant", "quota", "lease", "digest", "mailbox"),
    "mod": ("billing", "auth", "search", "ingest", "gateway", "scheduler", "notifier", "exporter", "cache", "ledger", "profile", "media"),
    "verb": ("parse", "merge", "flush", "rotate", "resolve", "encode", "retry", "expire", "hydrate", "validate", "prune", "index"),
    "cond": ("on empty input", "when the clock jumps", "after a reconnect", "for guests", "with two workers", "behind a proxy", "in safe mode", "past the year 2038"),
    "lib": ("serde", "requests", "lodash", "pydantic", "tokio", "express", "guava", "rails", "numpy", "axios", "zod", "flask"),
    "fn": ("{verb}_{noun}",), "ver": ("{d}.{d}.{d}",), "d": tuple("0123456789"), "n": tuple(str(n) for n in range(2, 90)),
}
_EXT = {"py": "python", "ts": "typescript", "go": "go", "rs": "rust", "java": "java", "rb": "ruby"}


def _f(r: random.Random, pattern: str) -> str:
    return fill(r, pattern, _W)


def _path(r: random.Random, ext: str = "") -> str:
    return _f(r, f"{pick(r, ('src', 'pkg', 'app', 'internal', 'lib'))}/{{mod}}/{{noun}}{pick(r, ('', '_{verb}', 's'))}.{ext or pick(r, tuple(_EXT))}")


def _code(r: random.Random, ext: str, lines: int = 1) -> str:
    """Functions in the given language, one after the other."""
    out = []
    for _ in range(lines):
        fn, arg, n = _f(r, "{fn}"), _f(r, "{noun}"), r.randint(1, 64)
        title = fn.title().replace("_", "")
        out.append(pick(r, {
            "py": (f"def {fn}({arg}, limit={n}):\n    if not {arg}:\n        return None\n    rows = [x for x in {arg} if x.size > limit]\n    return sorted(rows, key=lambda x: x.at)", f"class {title}:\n    def __init__(self, {arg}):\n        self._{arg} = {arg}\n\n    async def run(self):\n        async with self._lock:\n            await self._{arg}.put({n})"),
            "ts": (f"export async function {fn}({arg}: string[], limit = {n}): Promise<number> {{\n  const kept = {arg}.filter((x) => x.length > limit);\n  return kept.reduce((a, b) => a + b.length, 0);\n}}", f"interface {title} {{\n  {arg}: string;\n  size?: number;\n}}\n\nconst empty: {title} = {{ {arg}: '', size: {n} }};"),
            "go": (f"func {title}({arg} []byte, limit int) (int, error) {{\n\tif len({arg}) == 0 {{\n\t\treturn 0, errEmpty\n\t}}\n\treturn min(len({arg}), limit+{n}), nil\n}}", f"type {title} struct {{\n\tmu   sync.Mutex\n\t{arg} map[string]int\n}}\n\nfunc (x *{title}) Add(k string) {{\n\tx.mu.Lock()\n\tdefer x.mu.Unlock()\n\tx.{arg}[k] += {n}\n}}"),
            "rs": (f"pub fn {fn}({arg}: &[u8]) -> Option<usize> {{\n    let n = {arg}.iter().filter(|b| **b > {n}).count();\n    (n > 0).then_some(n)\n}}", f"#[derive(Debug, Clone)]\nstruct {title} {{\n    {arg}: String,\n    size: u32,\n}}\n\nimpl Default for {title} {{\n    fn default() -> Self {{ Self {{ {arg}: String::new(), size: {n} }} }}\n}}"),
            "java": (f"public final class {title} {{\n  private final List<String> {arg} = new ArrayList<>();\n\n  public int size() {{\n    return {arg}.size() + {n};\n  }}\n}}", f"public Optional<String> {fn}(Map<String, String> {arg}) {{\n  return {arg}.values().stream().filter(v -> v.length() > {n}).findFirst();\n}}"),
            "rb": (f"def {fn}({arg}, limit: {n})\n  return if {arg}.nil?\n\n  {arg}.select {{ |x| x.size > limit }}.sort_by(&:at)\nend", f"module {title}\n  def self.call({arg})\n    {arg}.each_slice({n}).map(&:first)\n  end\nend"),
        }[ext]))
    return "\n\n".join(out)


def _hunk(r: random.Random, path: str) -> str:
    body = _code(r, path.rsplit(".", 1)[-1] if path.rsplit(".", 1)[-1] in _EXT else "py").split("\n")
    marks = [pick(r, "+++-  ") for _ in body]
    at = r.randint(4, 300)
    return f"--- a/{path}\n+++ b/{path}\n@@ -{at},{len(body)} +{at},{len(body) + 1} @@\n" + "\n".join(f"{mark}{line}" for mark, line in zip(marks, body, strict=True))


def _diff(r: random.Random, files: int) -> str:
    return "\n".join(_hunk(r, _path(r)) for _ in range(files))


def _named(r: random.Random, pattern: str, source: str) -> str:
    """The pattern filled with names that the source holds."""
    modules = re.findall(r"(?:src|pkg|app|internal|lib)/(\w+)/", source) or _W["mod"]
    nouns = [noun for noun in _W["noun"] if noun in source] or _W["noun"]
    fns = [fn for fn in re.findall(r"\b(?:def|func|fn|function) (\w+)", source) if len(fn) > 5] or _W["fn"]
    return fill(r, pattern, {**_W, "mod": modules, "noun": nouns, "fn": fns})


_COMMITS = {
    "feat": ("add {noun} export to {mod}", "support {lib} {ver} in {mod}", "let admins {verb} a {noun}", "introduce {fn} endpoint", "new flag --{noun} for the {mod} cli"),
    "fix": ("crash in {fn} {cond}", "don't lose the {noun} {cond}", "{mod}: wrong {noun} count {cond}", "off by one in {fn}", "stop leaking {noun}s {cond}"),
    "docs": ("explain how to {verb} a {noun}", "typo in the {mod} guide", "update README with {lib} steps", "clarify comments on {fn}"),
    "refactor": ("extract {fn} from {mod}", "rename {noun} to {noun}_id everywhere", "split {mod} into two modules", "no behaviour change: inline {fn}"),
    "test": ("cover {fn} {cond}", "add cases for {noun} {verb}", "make {mod} suite deterministic", "fixtures for {lib}"),
    "chore": ("bump {lib} from {ver} to {ver}", "ignore build output of {mod}", "remove unused {noun} assets", "release {ver}"),
    "perf": ("cache {noun} lookups in {mod}", "avoid n+1 in {fn}", "{fn} is {n}x faster with a preallocated buffer", "lazy load {lib}"),
    "ci": ("run {mod} tests on arm runners", "cache {lib} between jobs", "split the {mod} job in two", "pin the action to {ver}"),
}
_ISSUES = {
    "bug": ("{fn} throws {cond}", "{mod} shows the wrong {noun} {cond}", "regression in {ver}: {noun} is gone", "steps: open {mod}, {verb} a {noun}, see error {n}"),
    "feature": ("please allow to {verb} several {noun}s", "would love a dark theme for {mod}", "integration with {lib}?", "option to {verb} {noun} every {n} days"),
    "question": ("how do I {verb} a {noun} {cond}?", "is {lib} {ver} supported", "what does {fn} return {cond}", "difference between {noun} and {noun}?"),
    "performance": ("{mod} takes {n} seconds to open", "memory grows to {n} GB {cond}", "{fn} is slow for large {noun}s", "cpu at 100% since {ver}"),
    "security": ("{noun} of other users visible {cond}", "possible injection via {fn}", "{lib} {ver} has a CVE", "token appears in {mod} logs"),
    "docs": ("link to {mod} guide is dead", "example of {fn} does not compile", "the {noun} page still describes {ver}"),
    "install": ("pip install fails with {lib} {ver}", "no wheel for python 3.{n}", "docker image {ver} won't start {cond}", "permission denied in post-install of {mod}"),
}


def _commit(r: random.Random) -> Turn:
    label = pick(r, (*_COMMITS, "fix", "fix", "feat"))
    said = _f(r, pick(r, _COMMITS[label]))
    files = "\n".join(f" {_path(r) if label not in ('docs', 'ci', 'test') else pick(r, {'docs': ('README.md', 'docs/guide.md'), 'ci': ('.github/workflows/build.yml', 'ci/jobs.yml'), 'test': ('tests/test_' + _f(r, '{mod}') + '.py',)}[label])} | {r.randint(1, 90)} {'+' * r.randint(1, 9)}{'-' * r.randint(0, 5)}" for _ in range(r.randint(1, 4)))
    return Turn(f"{said}\n\n{files}", json.dumps({"type": slip(r, label, tuple(_COMMITS), 0.03)}))


def _issue(r: random.Random) -> Turn:
    label = pick(r, (*_ISSUES, "bug", "bug", "question"))
    body = pick(r, ("", f"Version {_f(r, '{ver}')}, {pick(r, ('linux', 'macos', 'windows', 'k8s'))}.", "Thanks for the great work!", f"See also #{r.randint(100, 9999)}.", "Happy to send a PR.", f"```\n{_code(r, pick(r, tuple(_EXT)))}\n```"))
    return Turn(f"# {_f(r, pick(r, _ISSUES[label]))}\n\n{pick(r, ('', _f(r, pick(r, _ISSUES[label])) + '. '))}{body}", slip(r, label, tuple(_ISSUES), 0.03))


_LOGS = {
    "fatal": ("panic: runtime error: index out of range [{n}] with length {d}", "OOMKilled, container {mod} exit 137", "FATAL could not bind port 80{n}", "segfault at {n} in lib{lib}.so"),
    "error": ("failed to {verb} {noun}: connection refused", "ERR 500 POST /{mod}/{noun} took {n}ms", "{lib}: unhandled rejection in {fn}", "write to {noun} failed: disk quota exceeded"),
    "warning": ("retry {d}/5 of {fn}", "deprecated option '{noun}' will go in {ver}", "slow query {n}00ms on {noun}", "certificate of {mod} expires in {n} days"),
    "info": ("{mod} listening on :80{n}", "GET /{noun}/{n} 200 {n}ms", "worker {d} picked up {noun} {n}", "loaded {n} {noun}s in {n}ms", "{lib} {ver} ready"),
}


def _level(r: random.Random) -> Turn:
    worst = pick(r, ("info", "warning", "error", "error", "fatal"))
    order = ("info", "warning", "error", "fatal")
    allowed = order[: order.index(worst) + 1]
    lines = [_f(r, pick(r, _LOGS[pick(r, allowed[:-1] or allowed)])) for _ in range(r.randint(4, 45))]
    lines.insert(r.randrange(len(lines)), _f(r, pick(r, _LOGS[worst])))
    day = f"2026-06-{r.randint(1, 14):02}"
    return Turn("\n".join(f"{day}T{n // 60 + 8:02}:{n % 60:02}Z {line}" for n, line in enumerate(lines)), slip(r, worst, order))


def _trace(r: random.Random) -> Turn:
    path, line, fn = _path(r, "py"), r.randint(3, 700), _f(r, "{fn}")
    kind, said = pick(r, (("KeyError", "'{noun}'"), ("TypeError", "unsupported operand type(s) for +: 'int' and 'str'"), ("TimeoutError", "{noun} did not answer in {n}s"), ("ValueError", "bad {noun} {ver}"), ("AttributeError", "'NoneType' object has no attribute '{noun}'")))
    said = _f(r, said)
    frames = "".join(f'  File "{_path(r, "py")}", line {r.randint(3, 700)}, in {_f(r, "{fn}")}\n    return {_f(r, "{fn}")}(x)\n' for _ in range(r.randint(1, 9)))
    text = f'Traceback (most recent call last):\n{frames}  File "{path}", line {line}, in {fn}\n    raise_or_call()\n{kind}: {said}'
    return Turn(f"{_f(r, pick(r, _LOGS['info']))}\n{text}", "", (("report_trace", json.dumps({"query": f"{kind}|{path}|{line}|{fn}"})),))


def _language(r: random.Random) -> Turn:
    ext = pick(r, tuple(_EXT))
    return Turn(_code(r, ext, r.randint(1, 3)), slip(r, _EXT[ext], tuple(_EXT.values())))


def _secrets(r: random.Random) -> Turn:
    lines = _diff(r, r.randint(3, 16)).split("\n")
    leak = r.random() < 0.3
    if leak:
        lines.insert(r.randrange(len(lines)), "+" + _f(r, pick(r, ("AWS_SECRET = \"wJalrXUtnFEMI{n}K7MDENG{n}bPxRfiCY{n}\"", "{mod}_token: ghp_{n}aB{n}xYz{n}QrStUv{n}", "postgres://admin:hunter{n}@db.{mod}.internal/{noun}", "-----BEGIN RSA PRIVATE KEY-----"))))
    elif r.random() < 0.3:
        lines.insert(r.randrange(len(lines)), "+" + _f(r, pick(r, ("{mod}_token = os.environ['TOKEN']", "password: ${{DB_PASSWORD}}", "api_key = \"xxx-replace-me\""))))
    return Turn("\n".join(lines), json.dumps({"secret": leak if r.random() > 0.015 else not leak}))


def _title(r: random.Random) -> Turn:
    label = pick(r, tuple(_COMMITS))
    said, n = _f(r, pick(r, _COMMITS[label])), r.randint(100, 9999)
    return Turn(pick(r, (f"WIP {said.upper()}!! (PROJ-{n})", f"PROJ-{n} - {misspelt(r, said)} [do not merge]", f"{pick(r, FIRST).lower()}/{said.replace(' ', '-')}--v2 PROJ-{n}")), f"{label}: {said} (PROJ-{n})")


_FLAKES = {
    "flaky": ("TimeoutError: waited {n}s for {noun} to appear", "passed on retry {d}; port 5{n}32 already in use", "order dependent: {fn} fails only after {fn}", "clock skew: expected {n} got {n}"),
    "bug": ("AssertionError: expected {n} {noun}s, got {d}", "TypeError: {fn}() missing 1 required argument: '{noun}'", "snapshot of {mod} differs in {n} lines", "{noun} is None {cond}"),
    "infra": ("runner lost communication with the server", "No space left on device", "could not resolve host registry.{lib}.dev", "docker pull rate limit exceeded", "job was killed: spot instance reclaimed"),
}


def _flaky(r: random.Random) -> Turn:
    kind = pick(r, tuple(_FLAKES))
    lines = [_f(r, pick(r, ("ok {fn} ({n}ms)", "PASS {mod}/{noun}.spec", "collected {n} items", "downloading {lib} {ver}"))) for _ in range(r.randint(5, 30))]
    return Turn("\n".join([*lines, f"FAIL {_f(r, '{mod}::{fn}')}", _f(r, pick(r, _FLAKES[kind]))]), json.dumps({"kind": slip(r, kind, tuple(_FLAKES), 0.03)}))


def _deps(r: random.Random) -> Turn:
    found = [(_f(r, "{lib}"), _f(r, "{ver}")) for _ in range(r.randint(1, 5))]
    lines = [pick(r, (f'"{lib}": "^{ver}",', f"{lib}=={ver}", f'{lib} = {{ version = "{ver}", default-features = false }}', f"implementation '{lib}:{lib}:{ver}'", f"gem '{lib}', '~> {ver}'")) for lib, ver in found]
    return Turn("\n".join(lines), json.dumps([{"name": lib, "version": ver} for lib, ver in found]))


def _toxic(r: random.Random) -> Turn:
    yes = r.random() < 0.15
    text = _f(r, pick(r, ("are you even able to read? {fn} is garbage", "whoever wrote {mod} should be fired", "typical {lib} user, zero brain", "stop wasting our time, idiot")) if yes else pick(r, ("nit: rename to {noun}", "this breaks {cond}, please add a test", "I strongly disagree with {fn} here, it hides errors", "lgtm", "why not {lib}?", "this {noun} code is hard to follow, can we split it", "ugh, {lib} again. fine by me")))
    return Turn(text + pick(r, ("", "", f" cc @{pick(r, FIRST).lower()}", " :/", f" (line {r.randint(2, 400)})")), slip(r, "toxic" if yes else "ok", ("toxic", "ok")))


def _branch(r: random.Random) -> Turn:
    label, n = pick(r, ("bug", "feature", "performance")), r.randint(100, 9999)
    text = _f(r, pick(r, _ISSUES[label]))
    slug = "-".join("".join(c for c in w.lower() if c.isalnum() or c == "_") for w in text.split() if w.lower() not in ("a", "the", "to", "please", "would", "is", "of", "for"))[:40].strip("-")
    return Turn(f"#{n} {text}", f"{ {'bug': 'fix', 'feature': 'feat', 'performance': 'perf'}[label]}/{n}-{slug}")


_LICENSES = {
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files, to deal in the Software without restriction.",
    "Apache-2.0": "Licensed under the Apache License, Version 2.0; you may not use this file except in compliance with the License. Patent grants terminate upon litigation.",
    "GPL-3.0": "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License, version 3 of the License.",
    "BSD-3-Clause": "Redistribution and use in source and binary forms, with or without modification, are permitted. Neither the name of the copyright holder nor the names of contributors may be used to endorse products.",
    "proprietary": "All rights reserved. Unauthorised copying of this file, via any medium, is strictly prohibited. For evaluation by licensees only.",
}


def _license(r: random.Random) -> Turn:
    kind = pick(r, tuple(_LICENSES))
    ext = pick(r, tuple(_EXT))
    blocks = [_code(r, ext, 2) for _ in range(r.randint(3, 14))]
    blocks.insert(r.choice((0, 0, len(blocks))), f"/* Copyright {r.randint(2012, 2026)} {pick(r, FIRST)} and others\n{_LICENSES[kind]} */")
    return Turn("\n\n".join(blocks), slip(r, kind, tuple(_LICENSES)))


def _tickets(r: random.Random) -> Turn:
    ids = [f"{pick(r, ('PROJ', 'OPS', 'WEB', 'SEC'))}-{r.randint(10, 9999)}" for _ in range(r.randint(0, 3))]
    text = _f(r, pick(r, _COMMITS["fix"])) + "".join(pick(r, (f" closes {i}", f", see {i}", f" ({i.lower()})", f". Part of {i.replace('-', ' ')}")) for i in ids) + pick(r, ("", f" utf-8 ISO-{r.randint(1000, 9999)}", f" pr {r.randint(1, 999)}"))
    return Turn(text, json.dumps({"tickets": ids}))


_COMMANDS = {
    "rerun": ("run the {mod} job again", "can you retrigger ci, was flaky", "rerun failed only pls", "kick off the tests on {noun} once more"),
    "deploy": ("ship {ver} to staging", "roll {mod} out to 10%", "deploy main to the {noun} cluster", "promote {mod} to prod"),
    "rollback": ("revert {mod} to {ver}", "undo the last release, users see {noun} errors", "go back one version on {mod}"),
    "logs": ("show me the last {n} lines of {mod}", "what does {mod} print {cond}", "tail {noun} errors since noon"),
    "review": ("who can review {fn}", "ask someone from {mod} to look at this", "assign a reviewer"),
    "explain": ("what does {fn} do", "why is there a {noun} in {mod}", "walk me through this diff"),
    "fix": ("make the {mod} tests green", "the bug in {fn} {cond}, take it", "fix lint"),
    "none": ("thanks!", "ok will look tomorrow", "haha {lib} strikes again", "lunch?"),
}


def _command(r: random.Random) -> Turn:
    label = pick(r, tuple(_COMMANDS))
    return Turn(pick(r, ("@forge ", "/forge ", "hey forge, ", "")) + _f(r, pick(r, _COMMANDS[label])) + pick(r, ("", "", "?", " please", f" (#{r.randint(10, 9999)})")), json.dumps({"command": slip(r, label, tuple(_COMMANDS), 0.03)}))


def _section(r: random.Random) -> Turn:
    label = pick(r, tuple(_COMMITS))
    section = {"feat": "Added", "fix": "Fixed", "perf": "Changed", "refactor": "Internal", "docs": "Internal", "test": "Internal", "ci": "Internal", "chore": "Internal"}[label]
    return Turn(f"PR #{r.randint(100, 9999)} by {pick(r, FIRST).lower()}: {_f(r, pick(r, _COMMITS[label]))}", slip(r, section, ("Added", "Fixed", "Changed", "Internal"), 0.03))


_STORY = {
    "feat": ("Users can now reach this from the {mod} page.", "Off by default; a flag turns it on per tenant.", "The old route stays for a release."),
    "fix": ("The cause was a stale value kept across requests.", "The state is now reset before reuse, and a test reproduces the report.", "No migration is needed."),
    "perf": ("Profiling showed most of the time in allocation.", "The hot loop reuses one buffer, which cuts p95 by about {n} percent.", "Memory stays flat under load."),
    "refactor": ("Pure move of code, reviewed file by file.", "The public interface is unchanged; two private helpers are gone.", "It prepares the split of {mod}."),
}


def _prsum(r: random.Random) -> Turn:
    label, files = pick(r, tuple(_STORY)), r.randint(2, 9)
    diff = _diff(r, files)
    said = _named(r, pick(r, _COMMITS[label]), diff)
    bullets = [f"- {_named(r, text, diff)}" for text in r.sample(_STORY[label], r.randint(2, 3))]
    return Turn(f"Title: {said}\n\n{diff}", f"## What\n{said[0].upper()}{said[1:]}, touching {files} files{_named(r, pick(r, ('', ', most of it in {mod}', ' around {fn}')), diff)}.\n\n## Notes\n" + "\n".join(bullets) + f"\n\n## Review\n{_named(r, pick(r, ('Start with {fn}, the rest follows from it.', 'Please look closely at the locking of the {noun}.', 'The tests of {mod} show the intended behaviour best.', 'Half of the lines are renames.')), diff)}")


_DOCS = (
    ("How do I cache dependencies between jobs?", "### cache\n`cache: {paths: [], key: string}` restores before `steps` and saves after success. Keys are immutable; use a hash of the lock file. Max 5 GB per repository, evicted after 7 days.", "Add a `cache` block with the paths and a key made from the hash of your lock file, since keys cannot be overwritten. It is restored before the steps and stored when the job succeeds. Entries go after a week, or beyond 5 GB."),
    ("Can two workflows share a secret?", "### secrets\nScopes: repo, environment, org. Org secrets need an allow list. Values are masked in logs unless shorter than 6 chars. Forks never get secrets.", "Yes: store it at organisation level and put both repositories on the allow list. Note that forks will not receive it, and very short values are not masked in logs."),
    ("why is my job waiting forever", "### queue\nJobs wait for a runner with all labels. `concurrency.group` lets one job per group run; `cancel-in-progress` drops older ones. Free plan: 4 parallel jobs.", "Most likely no free runner has all the labels you asked for, or another job holds the same concurrency group. On the free plan also check that fewer than four jobs are running."),
    ("run a job only when files in a folder change", "### rules\n`on.paths` takes globs, evaluated against the merge base. Negate with `!`. Not applied to tags. Required checks that are skipped report success.", "List the folder under `on.paths`, with a leading `!` for exceptions. The comparison is against the merge base, tags ignore the filter, and a skipped required check counts as passed."),
    ("How to pass a value from one job to the next?", "### outputs\nWrite `name=value` to $FORGE_OUT; read as `needs.<job>.outputs.name`. Strings only, 1 MB. Artifacts for files.", "Append `name=value` to the file in `$FORGE_OUT` and read it downstream as `needs.<job>.outputs.name`. It has to be a string of at most 1 MB; files belong into artifacts."),
)


_KEYS = dict(zip((question for question, _, _ in _DOCS), ("cache", "secrets", "concurrency", "paths", "needs"), strict=True))


def _docs(r: random.Random) -> Turn:
    question, _, answer = pick(r, _DOCS)
    found = [text for _, text, _ in r.sample(_DOCS, 4)]
    if not any(text in found for q, text, _ in _DOCS if q == question):
        found[0] = next(text for q, text, _ in _DOCS if q == question)
    job = _f(r, "{mod}")
    snippet = f"\n\nMy file:\n```yaml\njobs:\n  {job}:\n    runs-on: {pick(r, ('small', 'arm', 'gpu'))}\n    steps: [{_f(r, '{verb}')}, {_f(r, '{verb}')}]\n```" if r.random() < 0.5 else ""
    extra = f"\n\nFor your job that means:\n```yaml\njobs:\n  {job}:\n    {_KEYS[question]}: {_f(r, '{noun}')}\n```" if snippet else pick(r, ("", " See the linked page for the limits.", " If that does not help, send me the run number."))
    return Turn(f"<docs>\n{chr(10).join(found)}\n</docs>\n\n{question}{snippet}", answer + extra)


def _release(r: random.Random) -> Turn:
    items = [(label, _f(r, pick(r, _COMMITS[label])), r.randint(100, 9999)) for label in (pick(r, tuple(_COMMITS)) for _ in range(r.randint(10, 30)))]
    top = [i for i in items if i[0] in ("feat", "fix", "perf")]
    lead = pick(r, ("This release is about stability.", "A small release with a few things you asked for.", "Mostly speed this time.", "Highlights first, the rest is upkeep."))
    body = "\n".join(pick(r, (f"- **{t[0].upper()}{t[1:]}** (#{n}). {_f(r, pick(r, _STORY[k]))}", f"- You will notice this one: {t} (#{n}).", f"- {t[0].upper()}{t[1:]} (#{n})")) for k, t, n in top[:7])
    return Turn("\n".join(f"{k}: {t} (#{n})" for k, t, n in items), f"# {_f(r, '{ver}')}\n\n{lead}\n\n{body}\n\nThe other {len(items) - len(top[:7])} changes are internal. Upgrading needs no action{pick(r, ('.', ' unless you pin ' + _f(r, '{lib}') + '.'))}")


def _message(r: random.Random) -> Turn:
    label, diff = pick(r, tuple(_STORY)), _diff(r, r.randint(1, 3))
    return Turn(diff, _named(r, f"{label}: {pick(r, _COMMITS[label])}\n\n{pick(r, _STORY[label])} {pick(r, ('', 'Callers of {fn} are not affected.', 'Also drops the unused {noun} argument.'))}", diff).strip())


def _docstring(r: random.Random) -> Turn:
    source = _code(r, "py")
    fn = source.split("(")[0].split()[-1].rstrip(":")
    arg = source.split("(")[1].split(",")[0].split(")")[0] if "def " in source else "x"
    about = fn.replace("_", " ")
    if source.startswith("class"):
        return Turn(source, f'"""Serialise access to the {source.split("self._")[1].split(" ")[0]}.\n\nHolds it behind a lock; `run` adds one item and waits until there is room.\n"""')
    return Turn(source, f'"""{about.capitalize()}s that exceed a size, oldest first.\n\nArgs:\n    {arg}: items with `size` and `at`; may be empty.\n    limit: smallest size to leave out.\n\nReturns:\n    The remaining items by time, or None if there were none.\n"""')


def _ci(r: random.Random) -> Turn:
    label = pick(r, ("rerun", "deploy", "rollback", "logs"))
    run = r.randint(10000, 99999)
    text = _f(r, pick(r, _COMMANDS[label]))
    tool = {"rerun": "rerun_job", "deploy": "start_deploy", "rollback": "start_rollback", "logs": "fetch_logs"}[label]
    return Turn([{"role": "user", "content": f"last run: {run} ({pick(r, ('failed', 'green', 'cancelled'))}) on {_f(r, '{noun}-{n}')}\n{text}"}], "", ((tool, json.dumps({"query": f"{run} {text.split()[-1]}"})),))


def _standup(r: random.Random) -> Turn:
    who = r.sample(FIRST, 3)
    events = [(pick(r, who), _f(r, pick(r, _COMMITS[pick(r, tuple(_COMMITS))]))) for _ in range(r.randint(9, 24))]
    lines = [f"**{w}**: {pick(r, ('mostly', 'worked on', 'busy with'))} {next((t for p, t in events if p == w), 'reviews')}; {sum(p == w for p, _ in events)} changes in total." for w in who]
    return Turn("\n".join(f"{r.randint(8, 18)}:{r.randint(10, 59)} {w} pushed \"{t}\"" for w, t in events), "\n".join(lines) + f"\nStuck: {pick(r, ('nobody said so', who[0] + ' waits for a review', 'the ' + _f(r, '{mod}') + ' pipeline'))}.")


_TOOLS = ("read_file", "search_code", "edit_file", "run_tests", "open_pull_request")


def _agent(r: random.Random) -> Turn:
    issue, path = _f(r, pick(r, _ISSUES[pick(r, ("bug", "performance", "feature"))])), _path(r, "py")
    turns: list[Message] = [{"role": "user", "content": f"Resolve issue #{r.randint(10, 9999)}: {issue}\nRepository layout:\n" + "\n".join(_path(r) for _ in range(r.randint(5, 25)))}]
    steps = r.randint(0, 9)
    for n in range(steps):
        tool = pick(r, _TOOLS[:4])
        result = {"read_file": _code(r, "py", 2), "search_code": "\n".join(f"{_path(r)}:{r.randint(1, 400)}: {_f(r, '{fn}')}(" for _ in range(4)), "edit_file": "ok, 1 file changed", "run_tests": f"{r.randint(0, 4)} failed, {r.randint(20, 300)} passed\n{_f(r, pick(r, _FLAKES['bug']))}"}[tool]
        said = pick(r, (None, None, _f(r, "The count is off before {fn}, so I look there."), "Tests first."))
        turns += called(f"call_{n}", tool, {"query": path if tool != "search_code" else _f(r, "{fn}")}, result, said)
    if steps == 9:
        return Turn(turns, f"Done. The fault was in `{path}`: {_f(r, pick(r, _STORY['fix']))} {_f(r, 'I added a test that fails without the change and left {mod} alone.')}", reasoning_tokens=r.randint(50, 600))
    tool = pick(r, _TOOLS if steps > 4 else _TOOLS[:3])
    return Turn(turns, pick(r, ("", "", _f(r, "The failing case goes through {fn}; reading it before I change anything."))), ((tool, json.dumps({"query": {"search_code": _f(r, "{fn}"), "edit_file": f"{path}\n{_code(r, 'py')}"}.get(tool, path)})),), r.choice((0, r.randint(50, 900))))


_FINDINGS = (
    "`{fn}` reads `{noun}` outside the lock and writes it inside, so two workers can both see the old value.",
    "The early return skips the release of the {noun}; after {n} such calls the pool is empty.",
    "Sorting by `at` is unstable across time zones since naive and aware values mix {cond}.",
    "This swallows every exception of {lib}; the caller cannot tell an empty {noun} from a failed one.",
    "`limit` is exclusive here but inclusive in {mod}, which drops one {noun} per page.",
    "The default argument is evaluated once, hence all tenants share a {noun}.",
    "Retrying {fn} is not idempotent: the second attempt charges twice if the first timed out after commit.",
    "User input reaches the {noun} query unescaped through `{fn}`.",
)


def _review(r: random.Random) -> Turn:
    hunks = [(path, _hunk(r, path)) for path in (_path(r) for _ in range(r.randint(2, 10)))]
    comments = []
    for text in r.sample(_FINDINGS, r.randint(0, min(4, len(hunks)))):
        path, hunk = pick(r, hunks)
        line = int(hunk.split("@@ -")[1].split(",")[0]) + r.randint(0, hunk.count("\n") - 2)
        comments.append({"file": path, "line": line, "severity": pick(r, ("high", "medium", "low")), "body": _named(r, text, hunk)})
    return Turn(f"Pull request: {_f(r, pick(r, _COMMITS['feat']))}\n\n" + "\n".join(hunk for _, hunk in hunks), json.dumps({"comments": comments}), reasoning_tokens=r.randint(200, 2500))


_TASKS = (
    ("a rate limiter per {noun} with a sliding window of {n} seconds, safe for several threads", "import threading\nimport time\nfrom collections import defaultdict, deque\n\n\nclass {Noun}Limiter:\n    def __init__(self, limit: int, window: float = {n}.0, clock=time.monotonic):\n        self._limit, self._window, self._clock = limit, window, clock\n        self._hits = defaultdict(deque)\n        self._lock = threading.Lock()\n\n    def allow(self, {noun}: str) -> bool:\n        now = self._clock()\n        with self._lock:\n            hits = self._hits[{noun}]\n            while hits and hits[0] <= now - self._window:\n                hits.popleft()\n            if len(hits) >= self._limit:\n                return False\n            hits.append(now)\n            return True", "The lock covers the whole check, otherwise two threads could both take the last slot."),
    ("topological order of {noun} jobs, report a cycle with its path", "def order_{noun}s(needs: dict[str, set[str]]) -> list[str]:\n    state, out = {}, []\n\n    def visit(job, path):\n        if state.get(job) == 'done':\n            return\n        if state.get(job) == 'open':\n            raise ValueError(' -> '.join([*path[path.index(job):], job]))\n        state[job] = 'open'\n        for other in sorted(needs.get(job, ())):\n            visit(other, [*path, job])\n        state[job] = 'done'\n        out.append(job)\n\n    for job in sorted(needs):\n        visit(job, [])\n    return out", "Dependencies without an entry of their own count as leaves. More than {n}0 levels would need an explicit stack."),
    ("a trie of {noun} names with prefix counts and deletion", "class {Noun}Trie:\n    def __init__(self):\n        self._children, self.count, self._ends = {}, 0, 0\n\n    def add(self, name: str, by: int = 1) -> None:\n        node = self\n        node.count += by\n        for letter in name:\n            node = node._children.setdefault(letter, {Noun}Trie())\n            node.count += by\n        node._ends += by\n\n    def remove(self, name: str) -> None:\n        if name not in self:\n            raise KeyError(name)\n        self.add(name, -1)\n\n    def __contains__(self, name):\n        node = self._find(name)\n        return node is not None and node._ends > 0\n\n    def starting(self, prefix: str) -> int:\n        node = self._find(prefix)\n        return node.count if node else 0\n\n    def _find(self, text):\n        node = self\n        for letter in text:\n            node = node._children.get(letter)\n            if node is None:\n                return None\n        return node", "Removal keeps empty nodes; rebuild after about {n}000 removals if memory matters."),
    ("merge overlapping {noun} intervals, half open, in O(n log n)", "def merge_{noun}s(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:\n    merged: list[tuple[int, int]] = []\n    for start, end in sorted(s for s in spans if s[0] < s[1]):\n        if merged and start <= merged[-1][1]:\n            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))\n        else:\n            merged.append((start, end))\n    return merged", "Empty spans are dropped. Touching spans are joined, since [a, b) and [b, c) leave no gap; limit input to {n} million."),
    ("an LRU cache for {fn} with a time to live of {n} s", "from collections import OrderedDict\nimport time\n\n\nclass {Noun}Cache:\n    def __init__(self, size, ttl={n}, clock=time.monotonic):\n        self._items, self._size, self._ttl, self._clock = OrderedDict(), size, ttl, clock\n\n    def get(self, key, make):\n        hit = self._items.get(key)\n        if hit and self._clock() - hit[0] < self._ttl:\n            self._items.move_to_end(key)\n            return hit[1]\n        value = make(key)\n        self._items[key] = (self._clock(), value)\n        self._items.move_to_end(key)\n        while len(self._items) > self._size:\n            self._items.popitem(last=False)\n        return value", "An expired entry is replaced in place. An error of `make` leaves the cache as it was."),
    ("streaming median over {noun} sizes", "import heapq\n\n\nclass {Noun}Median:\n    def __init__(self):\n        self._low, self._high = [], []\n\n    def push(self, size: float) -> None:\n        heapq.heappush(self._high, -heapq.heappushpop(self._low, -size))\n        if len(self._high) > len(self._low):\n            heapq.heappush(self._low, -heapq.heappop(self._high))\n\n    @property\n    def value(self) -> float:\n        if not self._low:\n            raise ValueError('no {noun} yet')\n        if len(self._low) > len(self._high):\n            return -self._low[0]\n        return (self._high[0] - self._low[0]) / 2", "Push is O(log n), reading is constant. Tested with {n} random orders against sorting."),
)


def _generate(r: random.Random) -> Turn:
    task, source, note = pick(r, _TASKS)
    noun, n, fn = _f(r, "{noun}"), str(r.randint(2, 90)), _f(r, "{fn}")
    want, answer, remark = (text.replace("{noun}", noun).replace("{Noun}", noun.title()).replace("{n}", n).replace("{fn}", fn) for text in (task, source, note))
    test = f"\n\n\ndef test_{noun}():\n    ...\n" if r.random() < 0.2 else ""
    return Turn(f"{pick(r, ('Write', 'Implement', 'I need'))} {want}. {pick(r, ('Include edge cases.', 'Python 3.11, typed where it helps.', 'Keep it short.'))} It lives next to:\n```python\n{_code(r, 'py', r.randint(1, 3))}\n```", f"```python\n{answer}{test}\n```\n{remark}", reasoning_tokens=r.choice((0, r.randint(300, 2500))))


def _locate(r: random.Random) -> Turn:
    sources = {_path(r, "py"): _code(r, "py", 3) for _ in range(r.randint(3, 7))}
    guilty = pick(r, [path for path, text in sources.items() if "x.size > limit" in text] or [*sources])
    lines = sources[guilty].split("\n")
    at = pick(r, [n for n, line in enumerate(lines) if "x.size > limit" in line or "return None" in line or "await self._" in line])
    lines[at] = lines[at].replace("x.size > limit", "x.size < limit").replace("return None", "return [None]").replace("await self._", "self._")
    sources[guilty] = "\n".join(lines)
    shown = "\n\n".join(f"# {path}\n" + "\n".join(f"{n:3} {line}" for n, line in enumerate(text.split("\n"), 1)) for path, text in sources.items())
    fault = "the smallest row survives" if "<" in lines[at] else "got [None] for an empty list" if "[None]" in lines[at] else "coroutine was never awaited"
    return Turn(f"Failing test: {_f(r, 'tests/test_{mod}.py::test_{noun}')}: {fault}\n\n{shown}", f"{slip(r, guilty, [*sources], 0.04)}:{at + 1}", reasoning_tokens=r.randint(600, 5000))


def _safe(r: random.Random) -> Turn:
    conflict = r.random() < 0.45
    fn, path = _f(r, "{fn}"), _path(r, "py")
    ours = _diff(r, r.randint(1, 4)) + f"\n--- a/{path}\n+++ b/{path}\n-def {fn}(items, limit):\n+def {fn}(items, *, limit{pick(r, ('', '=None'))}):"
    theirs = _diff(r, r.randint(1, 4)) + (f"\n+    rows = {fn}(rows, {r.randint(2, 50)})" if conflict else f"\n+    rows = {fn}(rows, limit={r.randint(2, 50)})")
    return Turn(f"Branch A:\n{ours}\n\nBranch B:\n{theirs}\n\nNo textual conflicts. Is the combination of both safe?", slip(r, "no" if conflict else "yes", ("yes", "no"), 0.05), reasoning_tokens=r.randint(400, 3000))


def _predict(r: random.Random) -> Turn:
    numbers, k, m, rounds = [r.randint(1, 40) for _ in range(r.randint(5, 9))], r.randint(2, 5), r.randint(5, 17), r.randint(2, 5)
    kind = r.randrange(3)
    state = list(numbers)
    for _ in range(rounds):
        state = [(x * k + i) % m for i, x in enumerate(state)] if kind == 0 else [x for i, x in enumerate(state) if (x + i) % k] or [0] if kind == 1 else state[k % len(state) :] + [x + 1 for x in state[: k % len(state)]]
    body = (f"xs = [(x * {k} + i) % {m} for i, x in enumerate(xs)]", f"xs = [x for i, x in enumerate(xs) if (x + i) % {k}] or [0]", f"xs = xs[{k} % len(xs):] + [x + 1 for x in xs[:{k} % len(xs)]]")[kind]
    end = pick(r, ("print(xs)", "print(sum(xs))", "print(max(xs), len(xs))"))
    out = {"print(xs)": str(state), "print(sum(xs))": str(sum(state)), "print(max(xs), len(xs))": f"{max(state)} {len(state)}"}[end]
    return Turn(f"xs = {numbers}\nfor _ in range({rounds}):\n    {body}\n{end}", slip(r, out, ("[]", "0", "IndexError"), 0.04), reasoning_tokens=r.randint(200, 2000))


def _cause(r: random.Random) -> Turn:
    mod, other = _f(r, "{mod}"), _f(r, "{mod}")
    logs = "\n".join(f"{9 + n // 60}:{n % 60:02} {pick(r, (mod, other))} {_f(r, pick(r, _LOGS[pick(r, tuple(_LOGS))]))}" for n in range(r.randint(40, 110)))
    return Turn(f"Incident on {mod}. Deploys: {other} {_f(r, '{ver}')} at 9:{r.randint(10, 40)}.\n\n{logs}\n\nWhat was the root cause, and how sure are you?", f"**Most likely:** {_named(r, pick(r, _FINDINGS), logs)} The deploy of {other} changed the timing, which is why it surfaced only then.\n\n**Chain.** {_named(r, 'Slow queries on {noun} came first, then retries filled the pool, and ' + mod + ' was killed for memory last.', logs)} The errors of {mod} are a consequence and not the start.\n\n**Against it:** {_named(r, pick(r, ('two retries predate the deploy by a minute', 'no {noun} metric is in the excerpt', 'the same pattern shows up for {noun} alone')), logs)}. I put it at {pick(r, ('60', '70', '80'))}%.\n\n**Next:** {_named(r, pick(r, ('replay one {noun} with the lock held', 'roll back on a single node and compare', 'log the pool size around the {noun}')), logs)}; add an alert on pool use instead of on memory.", reasoning_tokens=r.randint(500, 4000))


def _migrate(r: random.Random) -> Turn:
    lib, target = r.sample(_W["lib"], 2)
    calls = "\n".join(f"{_path(r)}: {lib}.{_f(r, '{fn}')} x{r.randint(1, 30)}" for _ in range(r.randint(8, 30)))
    known = ("Put an adapter with the two calls we use most in front, so that call sites stay.", "Switch readers before writers; both formats have to coexist for one release.", "Move {mod} first: few callers, good tests.", "Freeze changes to {fn} meanwhile, as its semantics differ {cond}.", "Run old and new side by side and compare {noun} digests for a week.", "Delete the adapter last, in a change of its own.")
    steps = [known[n] for n in sorted(r.sample(range(6), r.randint(4, 5)))]
    return Turn(f"Plan the migration from {lib} to {target}. No downtime, team of {r.randint(2, 6)}, {r.randint(2, 10)} weeks.\n\n{calls}", "\n".join(f"{n}. {_named(r, step, calls)}" for n, step in enumerate(steps, 1)) + f"\n\nRisk: {_f(r, pick(r, _FINDINGS))} Decide after step 2 whether the gain of {target} is still worth it; until then everything can be undone.", reasoning_tokens=r.choice((0, r.randint(400, 2500))))


def _schema(name: str, **fields: str) -> dict[str, object]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": {"type": "object", "properties": {key: {"type": kind} for key, kind in fields.items()}, "required": list(fields), "additionalProperties": False}}}


SITES = (
    Site("commit.type", 1, "classification", _commit, "Classify a commit by conventional-commit type: feat, fix, docs, refactor, test, chore, perf, ci. You get the message and the diffstat.", 9, response_format=_schema("commit", type="string")),
    Site("issue.label", 1, "classification", _issue, "Label a GitHub-style issue.\nbug | feature | question | performance | security | docs | install\nOutput the label only.", 7),
    Site("trace.extract", 1, "extraction", _trace, "Find the exception in the log and call report_trace once with type|file|line|function of the innermost frame.", 5, tools=("report_trace",), params={"tool_choice": "required"}),
    Site("log.level", 1, "classification", _level, "What is the worst severity in this log excerpt? info, warning, error or fatal. One word.", 5),
    Site("bot.command", 1, "intent", _command, "Map a chat message to a bot command: rerun, deploy, rollback, logs, review, explain, fix, none.", 5, response_format=_schema("command", command="string")),
    Site("diff.secrets", 1, "moderation", _secrets, "Pre-receive hook. Does the diff add a live credential (key, token, password, private key)? Placeholders and environment variables are fine.", 4, response_format=_schema("scan", secret="boolean")),  # noqa: S106
    Site("flaky.kind", 1, "classification", _flaky, "A CI job failed. Decide from the log if it is flaky, a bug in the code, or infra.", 4, response_format=_schema("failure", kind="string")),
    Site("snippet.lang", 1, "classification", _language, "Name the programming language: " + ", ".join(_EXT.values()), 4),
    Site("deps.parse", 1, "extraction", _deps, "Extract the dependencies of a manifest as a JSON list of name and version. Strip range operators.", 3),
    Site("pr.title", 1, "rewrite", _title, "Rewrite the pull request title as `type: summary (TICKET)`. Lower case, imperative as given, no WIP marks, fix typos.", 3),
    Site("tickets.find", 1, "extraction", _tickets, "List the ticket ids (PROJ, OPS, WEB, SEC) in a commit message, normalised to KEY-123. JSON.", 2.5, response_format=_schema("tickets", tickets="array")),
    Site("branch.name", 1, "rewrite", _branch, "Turn an issue title into a branch name: fix/, feat/ or perf/, then number and slug, at most 40 characters of slug.", 2.5),
    Site("comment.tone", 1, "moderation", _toxic, "Flag review comments that attack a person: toxic or ok. Harsh criticism of code is ok.", 2.5),
    Site("license.kind", 1, "classification", _license, "Which licence is this file under? " + ", ".join(_LICENSES), 2),
    Site("changelog.section", 1, "classification", _section, "Section of the changelog for this PR: Added, Fixed, Changed or Internal.", 2.5, since=0.5),
    Site("pr.summary", 2, "summarization", _prsum, "Summarise the pull request for reviewers in Markdown: What, Notes, Review. Under 120 words.", 5),
    Site("docs.answer", 2, "generation", _docs, "Answer from the documentation excerpts. Show YAML if the user pasted some. Do not invent keys.", 3.5),
    Site("commit.write", 2, "generation", _message, "Write the commit message for the staged diff: conventional subject, blank line, one or two sentences on why.", 3),
    Site("release.notes", 2, "generation", _release, "Write release notes for users from the list of merged changes. Leave out internals.", 2),
    Site("docstring.write", 2, "generation", _docstring, "Write the Google-style docstring for the code. Only the docstring.", 2),
    Site("ci.command", 2, "tool_use", _ci, "Carry out the user's request with one function call.", 2, tools=("rerun_job", "start_deploy", "start_rollback", "fetch_logs")),
    Site("team.standup", 2, "summarization", _standup, "Turn yesterday's pushes into a standup note, a line per person.", 1.5, since=0.5),
    Site("agent.fix", 3, "tool_use", _agent, "You are an autonomous software engineer working in a checkout. Use the tools to understand, change and test the code. Make the smallest correct change. Finish with a summary.", 5, tools=_TOOLS),
    Site("agent.review", 3, "code", _review, "Review the pull request for correctness, concurrency and security. Report only real problems as JSON comments.", 3, response_format={"type": "json_object"}),
    Site("code.generate", 3, "code", _generate, "Implement what is asked. Production quality, no dependencies.", 2.5),
    Site("bug.locate", 3, "reasoning", _locate, "Find the line that causes the failure. Trace the data through all files. Answer file:line only.", 2, params={"reasoning_effort": "high"}),
    Site("merge.safe", 3, "reasoning", _safe, "Two branches merge cleanly as text. Reason about semantics: would the merged program still work? yes or no.", 2, params={"reasoning_effort": "medium"}),
    Site("test.predict", 3, "reasoning", _predict, "Execute the program in your head and give its exact output, nothing else.", 2, params={"reasoning_effort": "medium"}),
    Site("incident.cause", 3, "long_context", _cause, "Analyse the incident. Separate causes from consequences; say what speaks against your theory.", 1.3, since=0.5),
    Site("migration.plan", 3, "reasoning", _migrate, "Plan the migration in steps that can be undone.", 0.8),
)
