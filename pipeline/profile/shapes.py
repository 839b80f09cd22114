"""Request shapes of a log: a call site where the log tags one, else a template that was discovered.

A call site that sends several prompts has several shapes. A request without a tag whose prompt is one call site's own
belongs to that call site.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import duckdb
import msgspec
import pyarrow as pa

from pipeline.profile.answer_forms import distinct_forms
from pipeline.profile.families import Family, Text, families, masked, segments
from pipeline.profile.sample import Group, Sampled
from pipeline.profile.user_prompts import UserPrompt, user_prompts
from traffic.artifacts import hash8
from traffic.callsites import ShapeTemplate
from traffic.features import TASKS
from traffic.phrases import signs
from traffic.prompts import MessagePattern, normalise
from traffic.record import decode_messages
from traffic.shapes import holds, standing_parts
from traffic.templates import common_pattern

OTHER = "other"
"""Name of the shape of requests without a tag whose text shows no standing part."""
MIN_REQUESTS = 8
MIN_SHARE = 0.02
"""Share of its call site's requests that a prompt needs to be a shape of its own."""
OWN_SHARE = 0.9
"""Share of a prompt's tagged requests from which on it is that call site's own."""
COVERED_SHARE = 0.6
"""Share of the requests under one system prompt whose messages have a prompt too, if each is a task."""
FORMS_SHARE = 0.5
"""Share of the prompts of one call site or system prompt whose answers must have a form of their own."""
_TEMPLATES = 4
_BATCH = 2048
_HELPER = re.compile(
    r"\b(?:assistant|helpful|chatbot|bot|ai|hilfreich\w*|assistent\w*|asistente|assistente|utile)\b|アシスタント|助手|助理|비서|도우미",
    re.IGNORECASE,
)
_STOP = frozenset(
    "you are the a an of to and in is for your it that this be with as on at one from or will we i our who which not "
    "du bist der die das ein eine und vous êtes le la les un une et eres el los una".split()
)


class Shape(msgspec.Struct, kw_only=True):
    """Requests of one kind."""

    name: str
    call_site: str | None
    """None where no tag says it."""
    templates: list[ShapeTemplate] = []
    prompt: str = ""
    """Its most frequent system prompt."""
    samples: list[Sampled] = []


class Shapes(msgspec.Struct):
    """The shapes of a log; the temp table `shaped(id, shape)` says which request has which."""

    shapes: list[Shape]
    notes: list[str] = []


def discover(connection: duckdb.DuckDBPyConnection, groups: Sequence[Group], samples: Iterable[Sampled]) -> Shapes:
    """Shapes of the view `records`; creates the temp table `shaped`."""
    by_group: dict[tuple[str | None, str | None], list[Sampled]] = defaultdict(list)
    for sampled in samples:
        by_group[sampled.call_site, sampled.system_hash].append(sampled)
    for bodies in by_group.values():
        # The database returns them in any order, on which measurements depend.
        bodies.sort(key=lambda sampled: (sampled.at, sampled.id))
    family_of, families = _families(groups, by_group)
    owners = _owners(groups, family_of)
    work = _Work(families)
    sites: dict[str | None, Counter[int | None]] = defaultdict(Counter)
    members: dict[tuple[str | None, int | None], list[Group]] = defaultdict(list)
    for group in groups:
        family = family_of.get(group.system_hash) if group.system_hash is not None else None
        site = group.call_site
        if site is None and family is not None:
            site = owners.get(family)
        sites[site][family] += group.requests
        members[site, family].append(group)
    for site, counts in sites.items():
        total = counts.total()
        main: Shape | None = None
        for family, n in sorted(counts.items(), key=_largest_first):
            listed = members[site, family]
            bodies = [s for g in listed for s in by_group.get((g.call_site, g.system_hash), ())]
            small = main is not None and site is not None and n < max(MIN_REQUESTS, MIN_SHARE * total)
            shape = work.add(
                site,
                family,
                listed,
                bodies,
                into=main if small else None,
                own=family is not None and owners.get(family) == site,
            )
            main = main or shape
    work.assign(connection)
    return Shapes(work.shapes)


def _largest_first(item: tuple[int | None, int]) -> tuple[int, int]:
    family, requests = item
    return -requests, -1 if family is None else family


class _Work:
    """Shapes as they are found, and which groups and requests belong to them."""

    def __init__(self, families: list[Family]) -> None:
        self.shapes: list[Shape] = []
        self._families = families
        self._in_families = Counter(part for family in families for part in set(segments(family.texts[0].text)))
        self._of_group: list[tuple[str | None, str | None, int]] = []
        self._by_text: dict[tuple[str | None, str | None], tuple[int, list[tuple[MessagePattern, int]]]] = {}

    def add(
        self, site: str | None, family: int | None, groups: Sequence[Group], bodies: list[Sampled],
        *, into: Shape | None, own: bool,
    ) -> Shape:  # fmt: skip
        """The shapes of one call site (or none) and one family of system prompts; returns the main one."""
        prompt = self._families[family].texts[0].text if family is not None else ""
        heads = _system_patterns(self._families[family]) if family is not None else []
        is_open = family is None or _says_no_task(prompt)
        prompts = user_prompts([sampled.user for sampled in bodies], [sampled.answer for sampled in bodies])
        if prompts and not (is_open and site is None):
            prompts = _different_tasks(prompts, bodies)
        covered = sum(len(prompt.members) for prompt in prompts)
        if not is_open and (len(prompts) == 1 or covered < COVERED_SHARE * len(bodies)):
            # The system prompt says more than what the model is, and so probably the task.
            prompts = []
        main = into or self._new(site, prompt, self._telling(family))
        if not is_open and (site is None or own):
            main.templates += [_template(head) for head in heads]
        if len(prompts) == 1 and len(prompts[0].members) >= OWN_SHARE * len(bodies) and site is not None:
            # A prompt that nearly every request of the call site has is its only one.
            main.templates += _with_user(heads, prompts[0].pattern)
            prompts = []
        if not prompts:
            main.samples += bodies
            if is_open and site is None:
                main.templates += [_template(head) for head in heads]
            self._of_group += [(g.call_site, g.system_hash, self.shapes.index(main)) for g in groups]
            return main
        inside: list[tuple[MessagePattern, int]] = []
        for user in prompts:
            fixed = user.pattern.prefix + user.pattern.suffix
            inner = self._new(site, fixed, fixed)
            inner.samples = [bodies[n] for n in user.members]
            inner.templates = _with_user(heads, user.pattern)
            inside.append((user.pattern, self.shapes.index(inner)))
        taken = {n for user in prompts for n in user.members}
        rest = [sampled for n, sampled in enumerate(bodies) if n not in taken]
        main.samples += rest
        if site is None and len(rest) >= MIN_REQUESTS:
            # Whatever else is sent under the same system prompt; the index tries what says more first.
            main.templates += [_template(head) for head in heads]
        for group in groups:
            self._by_text[group.call_site, group.system_hash] = (self.shapes.index(main), inside)
        return main

    def _telling(self, family: int | None) -> str:
        """The part of a family's prompt that no other family has: what a name is made of."""
        if family is None:
            return ""
        text = self._families[family].texts[0].text
        own = [part for part in segments(text) if self._in_families[part] == 1]
        return " ".join(own) or text

    def _new(self, site: str | None, prompt: str, telling: str) -> Shape:
        names = {shape.name for shape in self.shapes}
        base = shape_name(telling, prompt) if site is None else site
        name = f"{site}#{hash8(prompt)[:4]}" if site is not None and site in names else base
        if name in names:
            name = next(f"{base}-{n}" for n in range(2, len(names) + 3) if f"{base}-{n}" not in names)
        shape = Shape(name=name, call_site=site, prompt=prompt)
        self.shapes.append(shape)
        return shape

    def assign(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Creates the temp table `shaped`: every request with the number of its shape."""
        columns = list(zip(*self._of_group, strict=True)) or [(), (), ()]
        schema = pa.schema([("c", pa.string()), ("s", pa.string()), ("shape", pa.int32())])
        connection.register(
            "shape_of_group", pa.table(dict(zip("c s shape".split(), map(list, columns), strict=True)), schema)
        )
        by_text = self._matched(connection)
        connection.register("shape_of_request", by_text)
        connection.execute("""
            create or replace temp table shaped as
            select r.id, coalesce(q.shape, g.shape, -1) as shape from records r
            left join shape_of_group g
                on g.c is not distinct from r.call_site and g.s is not distinct from r.system_hash
            left join shape_of_request q on q.id = r.id
        """)

    def _matched(self, connection: duckdb.DuckDBPyConnection) -> pa.Table:
        ids: list[str] = []
        numbers: list[int] = []
        if self._by_text:
            keys = list(self._by_text)
            schema = pa.schema([("c", pa.string()), ("s", pa.string())])
            connection.register("by_text", pa.table({"c": [k[0] for k in keys], "s": [k[1] for k in keys]}, schema))
            query = (
                "select id, call_site, system_hash, messages from records r where exists (select 1 from by_text b "
                "where b.c is not distinct from r.call_site and b.s is not distinct from r.system_hash)"
            )
            for batch in connection.sql(query).to_arrow_reader(_BATCH):
                for row in batch.to_pylist():
                    rest, listed = self._by_text[row["call_site"], row["system_hash"]]
                    ids.append(row["id"])
                    numbers.append(_number(row["messages"], rest, listed))
        return pa.table({"id": ids, "shape": numbers}, pa.schema([("id", pa.string()), ("shape", pa.int32())]))


def shape_name(telling: str, prompt: str) -> str:
    """A name that says what the prompt begins with, and stays the same while the prompt does."""
    words = [w for w in re.findall(r"[^\W_]+", masked(telling[:400]).lower()) if w not in _STOP and not w.isdigit()]
    return f"{'-'.join(words[:4])[:40] or OTHER}-{hash8(prompt)[:4]}" if prompt else OTHER


def _says_no_task(prompt: str) -> bool:
    """A system prompt that only says what the model is: the task is in the message."""
    return len(prompt) <= 200 and _HELPER.search(prompt) is not None and signs(prompt).isdisjoint(TASKS)


def _different_tasks(prompts: list[UserPrompt], bodies: Sequence[Sampled]) -> list[UserPrompt]:
    """The prompts in the messages of one call site or system prompt, if their answers show different tasks; else none.

    An application's message has fixed parts that vary with its data; only what is answered in another form is a shape.
    """
    taken = {n for prompt in prompts for n in prompt.members}
    groups = [prompt.members for prompt in prompts]
    rest = [n for n in range(len(bodies)) if n not in taken]
    groups += [rest] if len(rest) >= MIN_REQUESTS else []
    if len(groups) == 1:
        return prompts[:1]
    forms = distinct_forms([[bodies[n].answer for n in group] for group in groups])
    return prompts if forms >= max(2, FORMS_SHARE * len(groups)) else []


def _families(
    groups: Sequence[Group], by_group: dict[tuple[str | None, str | None], list[Sampled]]
) -> tuple[dict[str, int], list[Family]]:
    """The family of every system prompt that was read, by its hash."""
    requests: Counter[str] = Counter()
    bodies: dict[str, list[Sampled]] = defaultdict(list)
    for group in groups:
        if group.system_hash is not None:
            requests[group.system_hash] += group.requests
            bodies[group.system_hash] += by_group.get((group.call_site, group.system_hash), ())
    texts, hashes = [], defaultdict(list)
    for key, n in requests.items():
        listed = bodies[key]
        system = normalise(listed[0].system or "") if listed else ""
        if not system:
            continue
        hashes[system].append(key)
        answers = tuple(s.answer for s in listed if s.answer)
        texts.append(Text(system, n, tuple(s.user for s in listed), answers))
    found = families(texts)
    return {key: n for n, family in enumerate(found) for text in family.texts for key in hashes[text.text]}, found


def _owners(groups: Sequence[Group], family_of: dict[str, int]) -> dict[int, str]:
    """Call sites to which nearly all tagged requests of a family belong."""
    tagged: dict[int, Counter[str]] = defaultdict(Counter)
    for group in groups:
        family = family_of.get(group.system_hash) if group.system_hash is not None else None
        if family is not None and group.call_site is not None:
            tagged[family][group.call_site] += group.requests
    owners = {}
    for family, counts in tagged.items():
        site, most = counts.most_common(1)[0]
        if most >= OWN_SHARE * counts.total():
            owners[family] = site
    return owners


def _system_patterns(family: Family) -> list[MessagePattern]:
    """One pattern with slots where the texts share enough, else the most frequent texts as they are."""
    texts = [text.text for text in family.texts]
    shared = common_pattern("system", texts)
    if shared is not None and (len(texts) > _TEMPLATES or shared.slots <= 2):
        return [shared]
    return [MessagePattern("system", text) for text in texts[:_TEMPLATES]]


def _template(*patterns: MessagePattern) -> ShapeTemplate:
    return ShapeTemplate(id=hash8(msgspec.to_builtins(patterns)), messages=patterns)


def _with_user(heads: Sequence[MessagePattern], user: MessagePattern) -> list[ShapeTemplate]:
    return [_template(head, user) for head in heads] or [_template(user)]


def _number(raw: str, rest: int, listed: Sequence[tuple[MessagePattern, int]]) -> int:
    try:
        user = standing_parts(decode_messages(raw))[1].strip()
    except msgspec.MsgspecError:
        return rest
    return next((number for pattern, number in listed if holds(pattern, user)), rest)
