import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import supervise
from serving.command import Command
from tests.fakes import model_server
from traffic import processes
from traffic.artifacts import Home
from traffic.errors import EndpointError, MissingSecret

REPEATED = "RuntimeError: Engine core initialization failed. See root cause above.\nnanobind: leaked 3 types\n"
FAKE = str(Path(model_server.__file__))


def fake(mode: str, *extra: str, models: tuple[str, ...] = ("base", "task@1"), **changes: object) -> Command:
    port = supervise.free_port()
    argv = (sys.executable, "-S", FAKE, str(port), mode, "--models", "base", "task@1", *extra)
    fields = {"argv": argv, "env": {}, "host": "127.0.0.1", "port": port, "models": models}
    return Command(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


def is_running(pid: int) -> bool:
    return supervise._created(pid) is not None


def wait_until_gone(*pids: int) -> None:
    """Blocks on the processes themselves, no polling: pidfd_open is readable when one ends."""
    import select

    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([handle], [], [], 30)
        finally:
            os.close(handle)
        assert ready, f"{pid} still runs after 30 s"


def pids(path: Path) -> tuple[int, int]:
    server, engine = path.read_text().split()
    return int(server), int(engine)


def test_a_started_server_answers_and_its_url_ends_in_v1(log: Path) -> None:
    with supervise.start(fake("ok"), log) as server:
        assert server.base_url.endswith("/v1")
        assert supervise.served_models(server.base_url) == ["base", "task@1"]
        assert server.alive()
        assert server.healthy()
    assert not server.alive()
    assert not server.healthy()


def test_every_model_is_warmed_up_before_the_first_user_asks(log: Path) -> None:
    with supervise.start(fake("ok"), log):
        asked = [line.split()[-1] for line in log.read_text().splitlines() if "POST /v1/chat/completions" in line]
    assert set(asked) == {"base", "task@1"}


def test_the_pid_is_the_servers_own(log: Path, tmp_path: Path) -> None:
    with supervise.start(fake("ok", "--pid-file", str(tmp_path / "pids")), log) as server:
        assert server.pid == pids(tmp_path / "pids")[0]


def test_stopping_ends_the_servers_children(log: Path, tmp_path: Path) -> None:
    with supervise.start(fake("ok", "--pid-file", str(tmp_path / "pids")), log):
        pass
    wait_until_gone(*pids(tmp_path / "pids"))


def test_a_killed_server_is_noticed_and_its_engine_ends_too(log: Path, tmp_path: Path) -> None:
    with supervise.start(fake("ok", "--pid-file", str(tmp_path / "pids")), log) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert server.wait() == 128 + signal.SIGKILL
        assert not server.alive()
        wait_until_gone(*pids(tmp_path / "pids"))


def test_a_server_that_dies_early_is_an_error_with_its_reason_and_log(log: Path) -> None:
    with pytest.raises(EndpointError, match=r"ended with status 3: ValueError: no weights .*server\.log"):
        supervise.start(fake("dies", "--fail", "ValueError: no weights"), log)


def test_a_command_that_does_not_exist_is_an_error(log: Path) -> None:
    with pytest.raises(EndpointError, match="cannot start /nowhere/python"):
        supervise.start(fake("ok", argv=("/nowhere/python",)), log)


def test_a_server_that_never_becomes_healthy_is_stopped(log: Path, tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="not healthy after 1 s"):
        supervise.start(fake("never-healthy", "--pid-file", str(tmp_path / "pids")), log, timeout_s=1)
    wait_until_gone(*pids(tmp_path / "pids"))


def test_progress_is_reported_during_the_start(log: Path) -> None:
    waits: list[float] = []
    with pytest.raises(EndpointError):
        supervise.start(fake("never-healthy"), log, 0.5, lambda seconds, line: waits.append(seconds))
    assert waits == sorted(waits)
    assert waits


def test_a_server_without_the_expected_model_is_refused(log: Path) -> None:
    with pytest.raises(EndpointError, match="does not serve task@2, only base, task@1"):
        supervise.start(fake("ok", models=("base", "task@2")), log)


def test_a_port_in_use_by_another_server_is_an_error(log: Path, tmp_path: Path) -> None:
    first = fake("ok")
    with supervise.start(first, log), pytest.raises(EndpointError, match="Address already in use"):
        supervise.start(first, tmp_path / "second.log").stop()


def test_the_key_reaches_the_server_and_its_callers_only(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_KEY", "k-123")
    with supervise.start(fake("ok", secrets={"VLLM_API_KEY": "SERVE_KEY"}), log) as server:
        assert supervise.served_models(server.base_url, server.api_key) == ["base", "task@1"]
        with pytest.raises(EndpointError, match="refuses the key"):
            supervise.served_models(server.base_url)
        assert "k-123" not in repr(server)
    assert "k-123" not in log.read_text()


def test_a_key_that_is_not_set_is_an_error_before_anything_starts(log: Path) -> None:
    with pytest.raises(MissingSecret, match="NO_SUCH_KEY is not set"):
        supervise.start(fake("ok", secrets={"VLLM_API_KEY": "NO_SUCH_KEY"}), log)
    assert not log.exists()


def test_a_running_server_is_listed_until_it_stops(log: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with supervise.start(fake("ok"), log, home=home) as server:
        (state,) = supervise.running(home)
        assert (state.pid, state.base_url, state.models) == (server.pid, server.base_url, ("base", "task@1"))
    assert supervise.running(home) == []


def test_a_state_file_of_an_ended_process_is_removed(log: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with supervise.start(fake("ok"), log, home=home) as server:
        path = supervise.servers_folder(home) / f"{server.pid}.json"
        # The same pid, but started at another time: it was given to another process.
        path.write_text(path.read_text().replace('"created":', '"created":9'))
        assert supervise.running(home) == []
        assert not path.exists()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed (Debian: procps)")
def test_without_proc_a_process_is_identified_by_its_start_time_from_ps() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = supervise._created_by_ps(process.pid)
        assert started is not None
        assert abs(started - time.time()) < 60
        process.communicate()
    assert supervise._created_by_ps(process.pid) is None


@pytest.fixture
def parent(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that starts a server (with an engine) and then waits, like `fasttier serve`."""
    script = f"""
        import signal, sys
        from pathlib import Path
        from serving import supervise
        from serving.command import Command
        # Background jobs of a shell inherit that it is ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        port = supervise.free_port()
        argv = (sys.executable, "-S", {FAKE!r}, str(port), "ok")
        argv += ("--models", "m", "--pid-file", {str(tmp_path / "pids")!r})
        supervise.start(Command(argv, {{}}, "127.0.0.1", port, ("m",)), Path({str(tmp_path / "log")!r}))
        print("started", flush=True)
        signal.pause()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_orphans_when_our_own_process_is_killed(
    parent: "subprocess.Popen[str]", tmp_path: Path, number: signal.Signals
) -> None:
    server, engine = pids(tmp_path / "pids")
    parent.send_signal(number)
    parent.wait()
    wait_until_gone(server, engine)
    assert not is_running(server)
    assert not is_running(engine)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", ""),
        ("INFO 11-23 19:57:32 [model.py:733] Resolved architecture", "Resolved architecture"),
        ("api_server.py: error: unrecognized arguments: --x\n", "error: unrecognized arguments: --x"),
        (
            "(EngineCore pid=1) ERROR 11-23 19:57:32 [core.py:9] \x1b[31mOSError: no file\x1b[0m\n" + REPEATED,
            "OSError: no file",
        ),
    ],
)
def test_the_cause_of_an_error_is_extracted_from_the_log(log: Path, text: str, expected: str) -> None:
    log.write_text(text)
    assert supervise.last_error(log) == expected


def test_a_server_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    port = supervise.free_port()
    argv = (sys.executable, "-S", FAKE, str(port), "stubborn", "--models", "m", "--pid-file", str(tmp_path / "pids"))
    command = Command(argv, {}, "127.0.0.1", port, ("m",))
    program = processes.guard(argv, output=subprocess.DEVNULL, grace_s=0.2)
    server = supervise.Server(command, tmp_path / "log", program, None)
    server.wait_healthy(30)
    server.stop()
    assert program.returncode == 128 + signal.SIGKILL
    wait_until_gone(*pids(tmp_path / "pids"))
