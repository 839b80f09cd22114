"""Trees of real processes, killed at each level with each signal."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.fakes import pool_work
from tests.fakes.process_trees import tree, wait_for, wait_until_gone
from traffic import processes
from traffic.errors import ProcessEnded

ROOT = Path(__file__).resolve().parents[3]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)

# A program that knows nothing of us, with a child in a session of its own that ignores polite signals.
PROGRAM = """
    import signal, subprocess, sys
    child = "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; print(flush=True); signal.pause()"
    command = [sys.executable, "-S", "-c", child, "stubborn"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    started.stdout.readline()
    print("ready", flush=True)
    signal.pause()
"""
# One of our stages: it runs such a program, and prints when it was told to stop.
STAGE = f"""
    import subprocess, sys
    from traffic import processes
    processes.end_with_parent()
    try:
        with processes.Lifetime(5) as lifetime, processes.guarded(
            [sys.executable, "-S", "-c", {textwrap.dedent(PROGRAM)!r}, "program"], output=sys.stderr, grace_s=1
        ) as program:
            print("running", flush=True)
            program.wait()
            print(f"ended {{program.returncode}}", flush=True)
            sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(lifetime.exit_status)
"""
# The whole loop: it runs a stage.
LOOP = f"""
    import sys
    from traffic import processes
    try:
        with processes.Lifetime(10) as lifetime:
            status = processes.run([sys.executable, "-S", "-c", {textwrap.dedent(STAGE)!r}, "stage"])
            print(f"stage {{status}}", flush=True)
            sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(lifetime.exit_status)
"""
LEVELS = {"loop": LOOP, "stage": STAGE, "guard": None, "program": PROGRAM, "stubborn": None}


# Under nohup the tests ignore SIGHUP, and what they start would too.
HANGS_UP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"


def start(script: str, name: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-S", "-c", HANGS_UP + textwrap.dedent(script), name],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def level_of(line: str) -> str:
    return "guard" if "process_guard.py" in line else line.split()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "level, number",
    [(level, number) for level in LEVELS for number in SIGNALS if level != "stubborn" or number is signal.SIGKILL],
)
def test_no_process_survives_a_signal_to_any_level_of_the_tree(level: str, number: signal.Signals) -> None:
    with start(LOOP, "loop") as loop:
        wait_for(lambda: "stubborn" in map(level_of, tree(loop.pid).values()), "the tree has not grown")
        assert loop.stdout is not None
        assert loop.stdout.readline() == "running\n"
        pids = {level_of(line): pid for pid, line in tree(loop.pid).items()}
        assert set(pids) == set(LEVELS)
        os.kill(pids[level], number)
        if level == "stubborn":
            # Nobody waits for it: its death is the program's own affair.
            os.kill(pids["loop"], signal.SIGTERM)
        wait_until_gone(pids.values())
        assert loop.wait(10) == {
            "loop": 128 + number if number is not signal.SIGKILL else -number,
            "stubborn": 128 + signal.SIGTERM,
        }.get(level, 2)


def test_a_repeated_signal_does_not_interrupt_the_clean_up() -> None:
    script = """
        import signal, sys
        from traffic import processes
        try:
            with processes.Lifetime() as lifetime:
                try:
                    print("ready", flush=True)
                    signal.pause()
                finally:
                    signal.raise_signal(signal.SIGTERM)
                    print("clean", flush=True)
        except processes.Interrupted as error:
            print(error.number, lifetime.exit_status, flush=True)
    """
    with start(script, "one") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "clean\n15 143\n"


def test_a_main_thread_that_hangs_does_not_outlive_the_signal() -> None:
    script = """
        import signal, time
        from traffic import processes
        with processes.Lifetime(0.2):
            try:
                print("ready", flush=True)
                signal.pause()
            finally:
                time.sleep(600)
    """
    with start(script, "one") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        assert process.wait(10) == 128 + signal.SIGHUP


def test_nohup_is_respected_and_an_inherited_ignored_sigint_is_not() -> None:
    script = """
        import signal
        from traffic import processes
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with processes.Lifetime() as lifetime:
            signal.raise_signal(signal.SIGHUP)
            print("goes on", flush=True)
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
    """
    with start(script, "one") as process:
        assert process.stdout is not None
        assert process.stdout.read() == "goes on\ninterrupted\n"


def test_a_command_started_by_another_program_watches_no_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTTIER_LIFELINE", raising=False)
    processes.end_with_parent()
    monkeypatch.setenv("FASTTIER_LIFELINE", "987")
    processes.end_with_parent()
    assert "FASTTIER_LIFELINE" not in os.environ


def test_output_and_status_of_a_program_are_returned() -> None:
    program = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
    finished = processes.run_guarded([sys.executable, "-S", "-c", program])
    assert finished.status == 3
    assert sorted(finished.output.split()) == ["one", "two"]


def test_a_program_that_cannot_be_started_has_no_pid() -> None:
    with processes.guarded(["/nowhere/program"], output=subprocess.DEVNULL) as program:
        assert program.pid is None
        assert program.wait() != 0


def test_the_guard_does_not_wait_for_background_processes() -> None:
    leaves = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True); print('left')"
    finished = processes.run_guarded([sys.executable, "-S", "-c", leaves])
    assert finished == (0, "left\n")


POOL = """
    import os, signal, sys
    from traffic import processes
    from tests.fakes import pool_work
    if __name__ == "__main__":
        try:
            with processes.Lifetime(5) as lifetime, processes.pool(2, sys.argv[1]) as executor:
                list(executor.map(pool_work.work_forever, range(8)))
        except KeyboardInterrupt:
            sys.exit(lifetime.exit_status)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_no_worker_survives_its_parent(method: str, number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(textwrap.dedent(POOL))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WORKING": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-S", script, method], env=environment, start_new_session=True) as process:
        wait_for(lambda: len(list(tmp_path.glob("working-*"))) == 2, "the workers have not begun")
        pids = list(tree(process.pid))
        process.send_signal(number)
        wait_until_gone(pids)
        assert process.wait() == (-number if number is signal.SIGKILL else 128 + number)


def test_a_killed_worker_is_one_error_and_ends_the_others() -> None:
    with pytest.raises(ProcessEnded), processes.pool(2, "spawn") as executor:
        list(executor.map(pool_work.kill_itself, range(2)))
    wait_for(
        lambda: not [line for line in tree(os.getpid()).values() if "spawn_main" in line], "a worker is still there"
    )
