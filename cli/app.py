"""The `fasttier` command: sub-commands, shared options, exit statuses and errors.

Each sub-command is a module of this package, imported when it is called. A stage prints its results in a few lines with
the paths it wrote (`--json`: one machine-readable line, last on stdout).
Exit status: 0 success, 1 refused by a gate, 2 usage or input error (one line on stderr), 128 + n ended by signal n.
"""

import contextlib
import errno
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cyclopts import App, CycloptsError, Parameter

from traffic import processes
from traffic.terminal import printable

if TYPE_CHECKING:
    from pipeline.store.period import Days
    from traffic.artifacts import Home

COMMANDS = {
    "ingest": "Read request logs into the records store.",
    "profile": "Report costs and waste in the records store, and propose a call-site registry.",
    "costs": "Report the cost of each feature, in total and per paying customer.",
    "alerts": "Detect changes in the log, with their start and likely cause.",
    "replay": "Apply the routing rules to the logged traffic, without sending anything.",
    "explain": "Show the tier and endpoints for one request, with the reasons.",
    "extract": "Turn the Tier 1 requests of call sites into a task dataset.",
    "label": "Export items for human labelling, and import the labels.",
    "plan": "Estimate memory, time and cost of a training run per kind of GPU.",
    "train": "Fine-tune an adapter on a task dataset; an interrupted run continues.",
    "sweep": "Search for better training settings.",
    "export": "Merge an adapter into its base model.",
    "evaluate": "Score candidates side by side: quality with intervals, latency, cost.",
    "calibrate": "Choose the confidence threshold below which an own model's answers escalate.",
    "decide": "Compare the candidates at the log's volume: build, buy or wait.",
    "serve": "Serve adapters or classifiers after a parity check.",
    "register": "Deploy a served adapter or classifier at Tier 1 of its call sites.",
    "rollback": "Restore the previous deployment of a call site.",
    "status": "List running servers and the deployments at Tier 1.",
    "dashboard": "Serve a read-only page with costs, savings, waste, deployments and requests.",
    "route": "Run the router: an OpenAI- and Anthropic-compatible API for the three tiers.",
    "loop": "Run all stages on the log of an invented company (`make demo`).",
}
"""Help line by sub-command, in the order of the loop; `cli/<name>.py` has the function of that name."""
RENAMED = {("route", "--explain"): "fasttier explain REQUEST", ("route", "--replay"): "fasttier replay"}
"""Former spellings, and the command that replaced each."""
OWN_PACKAGES = frozenset({"cli", "traffic", "pipeline", "serving", "router", "demo"})

UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
"""System errors that the user mends: the disk is full, the folder is read-only or belongs to somebody else."""

app = App(
    name="fasttier",
    help="Move the easy majority of your LLM calls to a small model that you own, when the evidence says so.",
    help_epilogue="`fasttier COMMAND --help` shows the options of a command.",
    version_flags=[],
    # No `--empty-set` beside `--set`.
    default_parameter=Parameter(negative_iterable=()),
)
for _position, (_name, _help) in enumerate(COMMANDS.items()):
    if _name == "label":
        label = App(name=_name, help=_help, sort_key=_position)
        label.command("cli.label:export_items", name="export", help="Export the items to label.")
        label.command("cli.label:import_labels", name="import", help="Import the labels of a completed file.")
        app.command(label)
    else:
        app.command(f"cli.{_name}:{_name}", name=_name, help=_help, sort_key=_position)


class Summary(Protocol):
    """Result of a stage: a struct that prints itself as lines of text."""

    def lines(self) -> list[str]: ...


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of all stages."""

    config: Annotated[Path | None, Parameter(help="YAML file of the stage (default: the shipped one).")] = None
    set_: Annotated[
        tuple[str, ...], Parameter(name="--set", help="Override one value: key.path=value. May be repeated.")
    ] = ()
    out: Annotated[Path | None, Parameter(help="Also write the machine-readable summary to this file.")] = None
    json: Annotated[bool, Parameter(negative="", help="Print the summary as one line of JSON.")] = False
    home: Annotated[Path, Parameter(env_var="FASTTIER_HOME", help="Folder that holds all state.")] = Path("data")


DEFAULTS = Common()


@Parameter(name="*")
@dataclass(frozen=True)
class Period:
    """Options of the commands that can read a part of the log."""

    since: Annotated[datetime | None, Parameter(help="First day, UTC: 2026-11-01.")] = None
    until: Annotated[datetime | None, Parameter(help="End day (exclusive), UTC: 2026-12-01.")] = None

    def days(self) -> "Days":
        from pipeline.store.period import Days

        return Days(self.since.date() if self.since else None, self.until.date() if self.until else None)


WHOLE_LOG = Period()

# Arguments that several commands share.
OWN_MODEL = Parameter(help="Adapter or classifier: folder, task@hash or task (default: the newest).")
Dataset = Annotated[str | None, Parameter(help="Dataset: folder, task@hash or task (default: the newest).")]
CallSites = Annotated[
    Path | None, Parameter(name="--call-sites", help="Registry of call sites (default: callsites.yaml of --home).")
]
NoCallSites = Annotated[
    bool, Parameter(name="--no-call-sites", negative="", help="Ignore every registry, and the names of call sites.")
]


def run_stage(common: Common, stage: "Callable[[Home], Summary]") -> int:
    """Run a stage and print its summary, or its error as one line. Returns the exit status."""
    from traffic.artifacts import Home, write_atomic
    from traffic.errors import FastTierError

    try:
        summary = stage(Home(common.home))
    except FastTierError as error:
        _print_error(str(error))
        return 2
    except ModuleNotFoundError as error:
        return _missing_package(error)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        remedy = (
            "" if error.errno in (errno.EACCES, errno.EPERM) else "; free space, or name another folder with --home"
        )
        _print_error(f"{error.filename or common.home}: {os.strerror(error.errno)}{remedy}")
        return 2
    line = _as_json(summary)
    if common.out:
        write_atomic(common.out, line + "\n")
    # Line breaks are kept, but control characters in names from the log are escaped.
    lines = (printable(part) for text in _with_home(summary.lines(), common.home) for part in text.split("\n"))
    print(line if common.json else "\n".join(lines), flush=True)
    return int(getattr(summary, "exit_status", 0))


def _with_home(lines: Sequence[str], home: Path) -> list[str]:
    """The lines, with the option --home in the next commands if they would otherwise use another home."""
    if home == Path(os.environ.get("FASTTIER_HOME") or DEFAULTS.home):
        return list(lines)
    option = f" --home {shlex.quote(str(home))}"
    return [
        re.sub(r"\bfasttier (label )?[a-z]+\b(?!.* --home )", lambda command: command[0] + option, line)
        if line.startswith("next: ")
        else line
        for line in lines
    ]


def announce(line: str) -> None:
    """Print progress of a stage on stderr."""
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `fasttier` script."""
    processes.end_with_parent()
    lifetime = processes.Lifetime()
    try:
        with lifetime:
            status = _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except BaseException:
        # Not only Interrupted: libraries wrap an interruption in their own errors.
        if lifetime.received is None:
            raise
        with contextlib.suppress(OSError):
            _print_error("interrupted; the same command continues where it stopped")
        status = lifetime.exit_status
    sys.exit(status)


def _dispatch(arguments: list[str]) -> int:
    for (command, option), instead in RENAMED.items():
        if arguments[:1] == [command] and any(word.partition("=")[0] == option for word in arguments):
            _print_error(f"`fasttier {command} {option}` is now `{instead}`")
            return 2
    try:
        status = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        _print_error(f"{error} (see fasttier --help)")
        return 2
    except ModuleNotFoundError as error:
        return _missing_package(error)
    except BrokenPipeError:
        # The reader of the output closed the pipe (`fasttier ... | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return int(status or 0)


def _missing_package(error: ModuleNotFoundError) -> int:
    """Error for a command whose packages are not installed on this kind of machine."""
    package = (error.name or "").partition(".")[0]
    if package in OWN_PACKAGES:
        raise error
    _print_error(
        f"this command needs {package}, which is not installed here: make setup KIND=cpu (GPU: KIND=gpu-train)"
    )
    return 2


def _print_error(message: str) -> None:
    print(f"fasttier: {printable(' '.join(message.split()))}", file=sys.stderr)


def _as_json(summary: Any) -> str:
    import msgspec

    return msgspec.json.encode(summary, enc_hook=str).decode()
