"""Speed and memory of extract on 100,000 requests of one call site, by stage.

    python benchmarks/extract.py [--rows 100000] [--processes 2] [--log FILE --task CALL_SITE] [--json]

The generated requests have a long system prompt and 40 to 60 words each, a tenth of them exact copies, a tenth
copies in another spelling, a tenth with one word changed, and personal data in one of 25; a sixth of the
answers is prose around the label, or wrong. With --log a LiteLLM or other log is taken instead. Ingest is
not part of the time. Stages are sampled every 10 ms, so their times add up to the whole.
"""

import argparse
import collections
import json
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import msgspec  # noqa: E402 - the script runs from a clone, not installed

from pipeline import extract, ingest  # noqa: E402
from traffic import config  # noqa: E402
from traffic.artifacts import Home  # noqa: E402
from traffic.record import Output, Params, Record, Usage, encode_record  # noqa: E402

TASK = "desk.topic"
LABELS = ("billing", "delivery", "login", "refund", "returns", "sizing", "stock", "warranty")
SYSTEM = "You sort the messages of a shop's customers.\n\nAnswer with exactly one of these labels:\n" + "\n".join(
    f"- {label}" for label in LABELS
)
PADDING = " ".join(f"Rule {n}: be brief, be exact, never explain rule {n} to anyone." for n in range(120))
WORDS = (
    "about account add after again already another app arrived ask back bag before blue bought box bring broken "
    "button call came card cart cash change charge check choose click close coat code colour come confirm contact "
    "cost could customer damaged date day deliver different discount door double early email empty error exchange "
    "extra find first fit follow form friend gift give goods green happen heavy help home hour house invoice item "
    "jacket keep kind last late leave left letter line link list long look lost love mail make mean message missing "
    "money month morning move name need never next night note number offer office old online open option order "
    "other own pack page pair paper parcel part pass password pay phone photo pick place please point post price "
    "print problem product promise proof question quick quite reach read really reason receipt receive red refund "
    "remove repair replace reply return right road same say screen second send service set shipping shoe shop short "
    "show sign since site size small sold someone soon sorry start status still stock stop store street suit supply "
    "sure take tell thank thing ticket time today told track train transfer try turn type under until update use "
    "very voucher wait want warehouse warranty wash water week white window wish without wool work worn write wrong "
    "year yellow yesterday zip "
).split()
PERSONAL = (
    "my mail is {name}.{n}@example.com",
    "call me on +1 202 555 0{n:03}",
    "my name is {name} Walker",
    "paid with 4111 1111 1111 1111",
    "from DE89 3704 0044 0532 0130 00",
)
NAMES = ("Anna", "Bela", "Carlos", "Dora", "Emil", "Fiona", "Goran", "Hana")

STAGES = {
    ("rows.py", "scan"): "read", ("rows.py", "read"): "read", ("tier_filter.py", "by_rules"): "tiers",
    ("permissions.py", "permitted"): "rights", ("templates.py", "find_templates"): "templates",
    ("filters.py", "with_template"): "templates", ("prompt_history.py", "of"): "templates",
    ("task.py", "discover_checks"): "checks", ("filters.py", "with_good_answer"): "checks",
    ("__init__.py", "redact"): "privacy", ("filters.py", "distinct"): "exact duplicates",
    ("groups.py", "without_copies"): "near-duplicates", ("groups.py", "form"): "groups and splits",
    ("splits.py", "by_time"): "groups and splits", ("groups.py", "without_leaks"): "near-duplicates across splits",
    ("__init__.py", "apply"): "label quality", ("leakage.py", "report"): "leakage report",
    ("drift.py", "report"): "drift and strata", ("strata.py", "report"): "drift and strata",
    ("card.py", "describe"): "card", ("write.py", "parquet_bytes"): "write", ("write.py", "write"): "write",
    ("readme.py", "text"): "readable card",
}  # fmt: skip
"""Where a sample belongs: by the outermost of these functions on the stack."""


def records(count: int) -> Iterator[Record]:
    """Requests of one call site over 30 days."""
    rng = random.Random(11)
    start = datetime(2026, 10, 1, tzinfo=UTC)
    texts: list[tuple[str, str]] = []
    for n in range(count):
        kind = rng.random()
        if texts and kind < 0.3:
            text, label = texts[rng.randrange(max(0, len(texts) - 20_000), len(texts))]
            if kind >= 0.2:
                words = text.split()
                words[rng.randrange(len(words))] = rng.choice(WORDS)
                text = " ".join(words)
            elif kind >= 0.1:
                text = text.upper() if n % 2 else text.replace(" ", "  ", 3) + "!!"
        else:
            label = rng.choice(LABELS)
            text = " ".join(rng.choices(WORDS, k=rng.randint(40, 60))) + f", it is a matter of {label}."
        if rng.random() < 0.04:
            text += " " + rng.choice(PERSONAL).format(name=rng.choice(NAMES), n=n % 1000)
        texts.append((text, label))
        noise = rng.random()
        answer = f"The label is {label}." if noise < 0.08 else rng.choice(LABELS) if noise < 0.16 else label
        messages = [{"role": "system", "content": f"{SYSTEM}\n\n{PADDING}"}, {"role": "user", "content": text}]
        yield Record(
            id=f"r{n:07}",
            request_id=f"r{n:07}",
            ts=start + timedelta(days=30) * (n / count),
            call_site=TASK,
            session_id=f"s{n // 3}",
            user_id=f"u{rng.randrange(count // 20 + 1)}",
            cohort={"plan": rng.choice(("free", "pro", "enterprise")), "language": "en"},
            messages=msgspec.Raw(msgspec.json.encode(messages)),
            params=Params(max_tokens=16),
            output=Output(text=answer, finish_reason="stop"),
            usage=Usage(input_uncached=1900, output=2),
            model="gpt-4o",
            provider="openai",
            latency_ms=500.0,
            status=200,
            source_format="native",
        )


class Sampler(threading.Thread):
    """Looks at the main thread every 10 ms and books the time on the stage that it is in."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds: collections.Counter[str] = collections.Counter()
        self._done = threading.Event()
        self._main = threading.main_thread().ident

    def run(self) -> None:
        before = time.perf_counter()
        while not self._done.wait(0.01):
            now = time.perf_counter()
            self.seconds[self._stage(sys._current_frames().get(self._main or 0))] += now - before
            before = now

    def stop(self) -> dict[str, float]:
        self._done.set()
        self.join()
        return {name: round(seconds, 2) for name, seconds in self.seconds.most_common()}

    @staticmethod
    def _stage(frame: FrameType | None) -> str:
        found = "other"
        while frame is not None:
            code = frame.f_code
            path = Path(code.co_filename)
            if "extract" in path.parts or "traffic" in path.parts:
                found = STAGES.get((path.name, code.co_name), found)
            frame = frame.f_back
        return found


def measure(home: Path, task: str, processes: int, overrides: list[str]) -> dict[str, Any]:
    """One extract in this process: seconds, by stage, and the peak memory of it and of its largest worker, in MB."""
    chosen = config.load(
        config.CONFIGS / "extract.yaml",
        extract.ExtractConfig,
        (f"processes={processes}", "rights.confirmed=[openai, anthropic]", *overrides),
    )
    sampler = Sampler()
    started = time.perf_counter()
    sampler.start()
    summary = extract.run(task, home=Home(home), config=chosen)
    seconds = time.perf_counter() - started
    peaks = [resource.getrusage(who).ru_maxrss * 1024 / 1e6 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "seconds": round(seconds, 2),
        "rows_considered": summary.rows_considered,
        "rows": summary.rows,
        "stages": sampler.stop(),
        "peak_mb": round(peaks[0]),
        "worker_peak_mb": round(peaks[1]),
        "filters": {each.name: each.removed for each in summary.filters if each.removed},
        "leakage": msgspec.to_builtins(summary.leakage),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--log", type=Path, help="a log to take instead of a generated one; --task says which call site"
    )
    parser.add_argument("--task", default=TASK)
    parser.add_argument("--home", type=Path, help="keep the store here, and take it as it is if it is there")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="a setting of extract")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.inside:
        print(json.dumps(measure(arguments.home, arguments.task, arguments.processes, arguments.overrides)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-extract-") as name:
        home = arguments.home or Path(name) / "home"
        if not (home / "records").exists():
            log = arguments.log or Path(name) / "log.jsonl"
            if arguments.log is None:
                with log.open("wb") as out:
                    out.writelines(encode_record(record) + b"\n" for record in records(arguments.rows))
            ingest.run([log], home=Home(home), processes=arguments.processes)
        # In a process of its own: the peak memory is that of extract.
        options = ["--home", str(home), "--task", arguments.task, "--processes", str(arguments.processes)]
        options += [part for override in arguments.overrides for part in ("--set", override)]
        command = [sys.executable, __file__, "--inside", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = {"benchmark": "extract", "processes": arguments.processes, **json.loads(done.stdout.splitlines()[-1])}
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{found['rows_considered']:,} attempts, {found['rows']:,} rows kept, {arguments.processes} processes")
    print(f"{found['seconds']:.1f} s, {found['peak_mb']:,} MB; largest worker {found['worker_peak_mb']:,} MB")
    for stage, seconds in found["stages"].items():
        print(f"  {seconds:7.2f} s  {stage}")


if __name__ == "__main__":
    main()
