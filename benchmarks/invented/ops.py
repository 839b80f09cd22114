"""An operations platform: prompts with XML tags and conventions of their own, tools, alerts, code review, RAG."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn, called
from benchmarks.invented.texts import FIRST, code, day, pick, prose, sentence, transcript

_SERVICES = "billing auth search checkout mailer cdn ledger scheduler gateway indexer".split()
_ALERTS = {
    "P1": ("is down for all users", "data loss suspected", "returns 500 on every call"),
    "P2": ("latency doubled", "one region degraded", "error rate at 4%"),
    "P3": ("disk at 81%", "certificate ends in 20 days", "log volume is up"),
    "noise": ("heartbeat test", "synthetic check ran", "maintenance finished"),
}


def _alert(r: random.Random) -> Turn:
    label = pick(r, tuple(_ALERTS))
    return Turn(
        f"<alert id='{code(r)}'><svc>{pick(r, _SERVICES)}</svc><msg>{pick(r, _ALERTS[label])}</msg><host>{code(r)}</host></alert>",
        f"<sev>{label}</sev>",
    )


def _logline(r: random.Random) -> Turn:
    svc, took, status, trace = pick(r, _SERVICES), r.randint(1, 9000), pick(r, (200, 404, 500, 503)), code(r, 4, 8)
    return Turn(
        f"{day(r)}T{r.randint(10, 23)}:{r.randint(10, 59)}Z {svc} [{trace}] finished {status} after {took} ms for user {code(r)}",
        f"service: {svc}\nstatus: {status}\nduration: {took}\ntrace: {trace}",
    )


def _diff(r: random.Random) -> str:
    names = [pick(r, ("count", "total", "index", "buffer", "token", "offset")) for _ in range(4)]
    return "\n".join(
        f"@@ -{r.randint(1, 400)},6 +{r.randint(1, 400)},8 @@\n-    {a} = load({b})\n+    {a} = load({b}, retries={r.randint(1, 5)})\n+    if {a} is None:\n+        return {b}"
        for a, b in zip(names, names[1:] + names[:1], strict=True)
    )


def _review(r: random.Random) -> Turn:
    said = "\n".join(
        f"- line {r.randint(1, 400)}: `{pick(r, ('count', 'token'))}` may be None here, because {sentence(r).lower()}"
        for _ in range(3)
    )
    return Turn(f"<diff>\n{_diff(r)}\n</diff>", said)


def _gate(r: random.Random) -> Turn:
    return Turn(
        f"<diff>\n{_diff(r)}\n</diff>\n<policy>no swallowed errors; callers of load must handle None; no change of public names</policy>",
        pick(r, ("merge", "hold", "merge")),
    )


def _cause(r: random.Random) -> Turn:
    events = "\n".join(
        f"{r.randint(10, 23)}:{r.randint(10, 59)} {pick(r, _SERVICES)} {pick(r, ('deploy', 'restart', 'timeout', 'queue full', 'cpu 99%', 'failover'))}"
        for _ in range(14)
    )
    return Turn(f"<timeline>\n{events}\n</timeline>", pick(r, _SERVICES))


def _agent(r: random.Random) -> Turn:
    asked: list[Message] = [{"role": "user", "content": f"<goal>{pick(r, _SERVICES)} must be healthy again</goal>"}]
    for n in range(r.randint(0, 5)):
        tool = pick(r, ("get_logs", "get_metrics", "describe"))
        asked += called(f"c{n}", tool, {}, f"{pick(r, _SERVICES)} {r.randint(1, 99)}% {sentence(r)}")
    return Turn(asked, "", ((pick(r, ("restart", "rollback", "get_logs")), json.dumps({"query": pick(r, _SERVICES)})),))


def _ticket(r: random.Random) -> Turn:
    return Turn(
        f"open a ticket: {pick(r, _SERVICES)} {sentence(r)}",
        "",
        (("create_ticket", json.dumps({"query": sentence(r)})),),
    )


def _rag(r: random.Random) -> Turn:
    docs = "\n".join(f"<doc id={n}>{prose(r, 6)}</doc>" for n in range(1, 5))
    return Turn(
        f"{docs}\n<q>how do I rotate the key of {pick(r, _SERVICES)}?</q>", f"{prose(r, 3)} [doc {r.randint(1, 4)}]"
    )


def _postmortem(r: random.Random) -> Turn:
    return Turn(
        f"<room>\n{transcript(r, 320)}\n</room>",
        f"## Impact\n{prose(r, 5)}\n## Causes\n{prose(r, 6)}\n## Actions\n{prose(r, 4)}",
    )


def _status(r: random.Random) -> Turn:
    return Turn(
        f"<facts>{pick(r, _SERVICES)} {pick(r, _ALERTS['P2'])} since {r.randint(1, 23)}:00</facts>",
        f"We are aware of an issue. {prose(r, 3)}",
    )


def _digest(r: random.Random) -> Turn:
    return Turn(f"<room>\n{transcript(r, 30)}\n</room>", prose(r, 3))


def _title(r: random.Random) -> Turn:
    text = f"{pick(r, _SERVICES)} {pick(r, _ALERTS['P2'])} AGAIN pls look {code(r)} thx {pick(r, FIRST)}"
    return Turn(text, text.replace(" AGAIN pls look", ":").rsplit(" thx", 1)[0])


def _secret(r: random.Random) -> Turn:
    leak = r.random() < 0.15
    return Turn(
        f"{pick(r, FIRST)}: {sentence(r)} {'key=' + code(r, 9, 9) if leak else code(r)}", "LEAK" if leak else "CLEAN"
    )


def _script(r: random.Random) -> Turn:
    return Turn(
        f"<want>remove files older than {r.randint(2, 60)} days in /var/{pick(r, _SERVICES)}, keep {r.randint(1, 9)}</want>",
        f"find /var/{pick(r, _SERVICES)} -type f -mtime +{r.randint(2, 60)} -print0 | sort -z | head -z -n -{r.randint(1, 9)} | xargs -0 rm -f --",
    )


def _capacity(r: random.Random) -> Turn:
    return Turn(
        f"<load>{r.randint(100, 900)} rps, p99 {r.randint(20, 300)} ms, {r.randint(2, 16)} workers a pod, target {r.randint(50, 80)}% busy, peak x{r.randint(2, 5)}</load>",
        str(r.randint(12, 90)),
    )


def _intent(r: random.Random) -> Turn:
    cues = {
        "deploy": ("ship it", "roll out version"),
        "scale": ("add pods", "more replicas"),
        "silence": ("mute this", "stop paging me"),
        "oncall": ("who is on duty", "swap my shift"),
    }
    label = pick(r, tuple(cues))
    return Turn(f"{pick(r, cues[label])} {pick(r, _SERVICES)} {code(r)}", label)


_NOTE = "<context>Internal platform. Readers are engineers.</context>\n"
SITES = (
    Site("alerts.severity", 1, "classification", _alert, _NOTE + "<job>Severity of the alert as <sev>…</sev>. P1 P2 P3 noise.</job>", 5),
    Site("logs.parse", 1, "extraction", _logline, _NOTE + "<job>service, status, duration, trace of the line, one per line with a colon</job>", 4),
    Site("pr.comments", 3, "code", _review, _NOTE + "<job>What would a senior colleague say about this change?</job>", 1.5),
    Site("pr.gate", 3, "reasoning", _gate, _NOTE + "<job>Does the change keep the policy? The bot understands merge and hold.</job>", 1.5),
    Site("incident.origin", 3, "reasoning", _cause, _NOTE + "<job>Which service started it? Its name goes into the field.</job>", 1),
    Site("incident.agent", 3, "tool_use", _agent, _NOTE + "<job>Reach the goal.</job>", 1.5, tools=("get_logs", "get_metrics", "describe", "restart", "rollback")),
    Site("chat.ticket", 2, "tool_use", _ticket, _NOTE + "<job>Turn the message into a call.</job>", 2, tools=("create_ticket",)),
    Site("docs.answer", 2, "generation", _rag, _NOTE + "<job>Answer with the docs and name the one you used.</job>", 2),
    Site("incident.report", 3, "long_context", _postmortem, _NOTE + "<job>Impact, causes, actions.</job>", 0.4),
    Site("status.page", 2, "generation", _status, _NOTE + "<job>Text for the public status page.</job>", 1.5),
    Site("room.digest", 2, "summarization", _digest, _NOTE + "<job>For somebody who joins now.</job>", 1.5),
    Site("ticket.title", 1, "rewrite", _title, _NOTE + "<job>A title that one can read.</job>", 2),
    Site("chat.secrets", 1, "moderation", _secret, _NOTE + "<job>CLEAN or LEAK</job>", 3),
    Site("shell.line", 3, "code", _script, _NOTE + "<job>One line for a Debian host.</job>", 1),
    Site("capacity.pods", 3, "reasoning", _capacity, _NOTE + "<job>Pods for the peak. The value is read by the autoscaler.</job>", 1),
    Site("chat.intent", 1, "intent", _intent, _NOTE + "<job>deploy scale silence oncall</job>", 3),
)  # fmt: skip
