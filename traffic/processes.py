"""Child processes that end with their parent, even if it is killed by `kill -9`.

    with processes.Lifetime() as lifetime:       # the command line: SIGINT, SIGTERM and SIGHUP unwind the stage
        with processes.started(argv) as child:   # one of our own commands, which calls `end_with_parent`
        with processes.guarded(argv) as child:   # any other program (vLLM, accelerate), under traffic/process_guard.py
        with processes.pool(4, "spawn") as pool: # worker processes

Without polling and on any Unix: each child holds one end of a pipe whose other end only its parent holds, and ends when
that closes. Standard library only.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, Self

from traffic import process_guard as guards
from traffic.errors import ProcessEnded

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

GUARD = Path(__file__).with_name("process_guard.py")
GRACE_SECONDS = 10.0
"""Time from SIGTERM to SIGKILL."""
UNWIND_SECONDS = 30.0
"""Time after a stop signal until this process exits even if its main thread hangs. Longer than any child's grace."""
REPEAT_SECONDS = 1.0
"""Signals repeated within this time count as one: `timeout` signals the process and then its group."""
PARENT_POLL_SECONDS = 1.0
_LIFELINE = "FASTTIER_LIFELINE"


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP was received. A KeyboardInterrupt, so that libraries treat it like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Lifetime:
    """Context manager around a command: a stop signal raises `Interrupted` in the main thread, once.

    A second signal ends the process at once; its children then end by themselves. At the end of the block, orphans of
    killed children are killed too (Linux).
    """

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self, unwind_seconds: float = UNWIND_SECONDS) -> None:
        self.received: int | None = None
        self._unwind_seconds = unwind_seconds
        self._at = 0.0
        self._before: dict[signal.Signals, Any] = {}
        self._timer: threading.Timer | None = None
        self._children: set[int] = set()
        """Children from before the block, which are not ended."""

    def __enter__(self) -> Self:
        guards.adopt_orphans()
        self._children = guards.children_of(os.getpid())
        for number in self.numbers:
            # nohup ignores SIGHUP, and so do we then. An ignored SIGINT is different: shells ignore it for background
            # jobs, but a SIGINT sent to this process is meant for it.
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_orphans()
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_status(self) -> int:
        """Exit status of a process ended by a signal, as shells report it."""
        return 128 + (self.received or signal.SIGINT)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is not None:
            if now - self._at > REPEAT_SECONDS:
                os._exit(128 + number)
            return
        self.received, self._at = number, now
        self._timer = threading.Timer(self._unwind_seconds, os._exit, (128 + number,))
        self._timer.daemon = True
        self._timer.start()
        raise Interrupted(number)

    def _end_orphans(self) -> None:
        """Kill adopted processes: children in other sessions. This module starts each process in a new one."""
        session = os.getsid(0)
        for child in guards.children_of(os.getpid()) - self._children:
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(child) != session:
                    for pid in (child, *guards.descendants(child)):
                        os.kill(pid, signal.SIGKILL)


# ------------------------------------------------------------------------------------ ending with the parent


def end_with_parent() -> None:
    """Send SIGTERM to this process when its parent ends. Does nothing unless it was started by `started`."""
    name = os.environ.pop(_LIFELINE, "")
    if not name.isdigit():
        return
    lifeline = int(name)
    try:
        os.set_inheritable(lifeline, False)
    except OSError:
        return

    def wait() -> None:
        _read_to_end(lifeline)
        main = threading.main_thread().ident
        assert main is not None
        # To the main thread, to interrupt what it waits for.
        signal.pthread_kill(main, signal.SIGTERM)
        time.sleep(UNWIND_SECONDS)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def end_with_stdin() -> None:
    """Exit when standard input closes or the parent ends. For programs under the guard."""
    parent = os.getppid()

    def wait() -> None:
        while os.getppid() == parent:
            # The parent is a launcher, whose death does not close the pipe.
            ready, _, _ = select.select([0], [], [], PARENT_POLL_SECONDS)
            if ready and not os.read(0, 4096):
                break
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def _read_to_end(file: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(file, 1024):
            pass


# ------------------------------------------------------------------------------------------ our own commands


class Child:
    """A running process of one of our own commands."""

    def __init__(self, process: "subprocess.Popen[str]", lifeline: int) -> None:
        self.process = process
        self._lifeline: int | None = lifeline

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self) -> int:
        """Wait for the exit status, negative for a signal."""
        return self.process.wait()

    def stop(self, grace_s: float = UNWIND_SECONDS) -> int:
        """End it and its descendants. Safe to call twice."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        return _terminate(self.process, grace_s)


@contextlib.contextmanager
def started(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, **options: Any) -> Iterator[Child]:
    """Run one of our own commands during the block. `options`: of Popen. Output is text."""
    watched, lifeline = os.pipe()
    try:
        process = subprocess.Popen(
            argv,
            env={**(os.environ if env is None else env), _LIFELINE: str(watched)},
            pass_fds=(watched,),
            # Ctrl-C in the terminal must reach only this process, which then stops the child in order.
            start_new_session=True,
            text=True,
            **options,
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(watched)
    child = Child(process, lifeline)
    try:
        yield child
    finally:
        child.stop()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run(argv: Sequence[str | Path], **options: Any) -> int:
    """Run one of our own commands and return its exit status, negative for a signal."""
    with started(argv, **options) as child:
        return child.wait()


def _terminate(process: "subprocess.Popen[Any]", grace_s: float) -> int:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


# -------------------------------------------------------------------------------------------- other programs


class Guarded:
    """A running program under the guard. `pid`: of the program; None if it could not be started."""

    def __init__(self, guard: "subprocess.Popen[str]", grace_s: float) -> None:
        assert guard.stdout is not None
        self._guard = guard
        self._grace_s = grace_s
        self._tidied = False
        line = guard.stdout.readline().strip()
        self.pid = int(line) if line else None

    @property
    def returncode(self) -> int | None:
        """Exit status (128 + n for signal n); None while it runs."""
        return self._guard.returncode

    def poll(self) -> int | None:
        """Update and return `returncode`."""
        status = self._guard.poll()
        if status is not None and status < 0 and not self._tidied:
            # The guard was killed before it could end the program.
            self._tidied = True
            self._kill_group()
        return status

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until it ends, at most `timeout_s`; returns the exit status, None if it still runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(timeout_s)
        return self.poll()

    def stop(self) -> int:
        """End it and all its descendants. Safe to call twice."""
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.close()
        if self.wait(self._grace_s + GRACE_SECONDS) is None:
            self._guard.kill()
            self.wait()
        self._guard.stdout.close()
        status = self._guard.returncode
        assert status is not None
        return status

    def _kill_group(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)


def guard(
    argv: Sequence[str | Path],
    *,
    output: IO[Any] | int,
    env: Mapping[str, str] | None = None,
    grace_s: float = GRACE_SECONDS,
) -> Guarded:
    """Start any program under the guard; its output goes to `output`. Call `stop`, or use `guarded`."""
    # -I -S: starts in milliseconds without site-packages.
    command = [sys.executable, "-I", "-S", str(GUARD), str(grace_s), *map(str, argv)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=output, env=env, text=True, start_new_session=True
    )
    return Guarded(process, grace_s)


@contextlib.contextmanager
def guarded(argv: Sequence[str | Path], **options: Any) -> Iterator[Guarded]:
    """`guard` as a context manager that stops the program at the end of the block."""
    program = guard(argv, **options)
    try:
        yield program
    finally:
        program.stop()


class Finished(NamedTuple):
    """Result of a program."""

    status: int
    """128 + n for signal n."""
    output: str


def run_guarded(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> Finished:
    """Run any program; returns its exit status and output."""
    import tempfile

    with tempfile.TemporaryFile() as output:
        with guarded(argv, output=output, env=env) as program:
            program.wait()
        output.seek(0)
        assert program.returncode is not None
        return Finished(program.returncode, output.read().decode(errors="replace"))


# --------------------------------------------------------------------------------------------- worker processes


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def pool(
    workers: int,
    method: Literal["spawn", "forkserver"],
    *,
    preload: Sequence[str] = (),
    initializer: Callable[[], None] | None = None,
) -> Iterator["ProcessPoolExecutor"]:
    """Pool of worker processes, which are killed if the block raises. `preload`: modules that the fork server imports.

    Raises: ProcessEnded if a worker was killed.
    """
    # Imported here: most commands start no workers, and all of them import this module.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context(method)
    if preload:
        context.set_forkserver_preload(list(preload))
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(initializer,))
    try:
        yield executor
    except BaseException as error:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        executor.shutdown(wait=True)
        if isinstance(error, BrokenProcessPool):
            raise ProcessEnded(
                "a worker process was killed, most likely because memory ran out; the same command continues"
            ) from None
        raise
    executor.shutdown()


def _begin_worker(initializer: Callable[[], None] | None) -> None:
    import multiprocessing

    # Ctrl-C reaches all processes of the terminal's group; workers are ended by their parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent,), name="lifeline", daemon=True).start()
    if initializer is not None:
        initializer()


def _exit_after(parent: Any) -> None:
    parent.join()
    os._exit(1)
