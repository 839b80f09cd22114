"""The request log: durable, complete, and readable by `ingest`."""

import json
import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from router.log.archive import compress_closed
from tests.fakes import openai_server as fake
from tests.fakes.router import (
    CALL_SITE,
    Setting,
    ask,
    body_of,
    log_of,
    routing,
    streamed,
)
from traffic import config

SERVE = """
    import sys
    from pathlib import Path
    from router import server
    from router.process import Deps
    from traffic import callsites, tiers
    from traffic.artifacts import Home
    from traffic.prices import PriceTable

    deps = Deps(
        config=tiers.load(Path(sys.argv[1])), home=Home(Path(sys.argv[2])), registry=callsites.Registry(),
        prices=PriceTable.load(),
    )
    done = server.run(deps, port=0, announce=lambda line: print(line, flush=True))
    print(done.lines()[0], flush=True)
"""

TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def process(setting: Setting, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The router as a process of its own, and its base URL."""
    path = tmp_path / "router.yaml"
    path.write_text(config.dump(routing(setting.endpoints)))
    command = [sys.executable, "-c", textwrap.dedent(SERVE), str(path), str(setting.home.root)]
    environ = os.environ | {"HOSTED_KEY": "hosted-secret", "PYTHONPATH": "."}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield started, next(line for line in started.stdout if line.startswith("router on ")).split()[2]
        started.kill()


def test_no_answered_request_is_missing_from_the_log_after_kill_9(
    setting: Setting, process: tuple[subprocess.Popen[str], str]
) -> None:
    router, address = process
    answered: list[str] = []

    def one(number: int) -> None:
        with openai.OpenAI(base_url=address, api_key="k", max_retries=0, timeout=30) as asking:
            response = asking.chat.completions.with_raw_response.create(
                model="m", messages=[{"role": "user", "content": f"Write {number}."}]
            )
            answered.append(response.headers["x-request-id"])
            if number == 30:
                router.kill()

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(one, number) for number in range(60)]
        errors = [future.exception() for future in done]
    assert router.wait(10) == -signal.SIGKILL
    assert all(error is None or isinstance(error, openai.APIConnectionError) for error in errors)
    # Up to three requests before the 30th may have been on their way.
    assert len(answered) >= 31 - 3
    assert set(answered) <= {record.request_id for record in log_of(setting.home)}


def test_records_of_a_past_hour_are_ingested(setting: Setting) -> None:
    router = setting.start()
    ask(router)
    (before,) = router.log
    # As after a change of the hour: the file is closed, and compressed by whoever looks next.
    router.router.log.close()
    (path,) = setting.home.log.iterdir()
    host = path.name.removeprefix("requests-").rsplit("-", 2)[0]
    assert len(compress_closed(setting.home.log, host, int(time.time() // 3600) + 1)) == 1
    assert router.log == [before]


def test_sighup_reloads_the_files_and_a_closed_terminal_stops_the_router(setting: Setting, tmp_path: Path) -> None:
    path = tmp_path / "router.yaml"
    path.write_text(config.dump(routing(setting.endpoints)))
    main, terminal = pty.openpty()
    router = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, *(sys.executable, "-c", textwrap.dedent(SERVE)), path, setting.home.root],
        env=os.environ | {"HOSTED_KEY": "hosted-secret", "PYTHONPATH": "."},
        stdin=terminal,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with router:
        assert router.stdout is not None
        address = next(line for line in router.stdout if line.startswith("router on ")).split()[2]
        router.send_signal(signal.SIGHUP)
        assert httpx.get(address.replace("/v1", "/health"), timeout=10).status_code == 200
        os.close(terminal)
        # As when the window is closed: the kernel hangs up and sends SIGHUP.
        os.close(main)
        assert router.wait(20) == 0


def test_a_stopped_router_finishes_requests_in_progress(
    setting: Setting, process: tuple[subprocess.Popen[str], str]
) -> None:
    router, address = process
    gate = threading.Event()
    setting.hosted.script(fake.held(gate, "done"))

    def one() -> str | None:
        with openai.OpenAI(base_url=address, api_key="k", max_retries=0, timeout=30) as asking:
            answer = asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "Write."}])
            return answer.choices[0].message.content

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(one)
        setting.hosted.wait_for(lambda server: server.in_flight == 1)
        router.send_signal(signal.SIGTERM)
        gate.set()
        assert asked.result() == "done"
    assert router.wait(20) == 0
    assert router.stdout is not None
    assert router.stdout.read() == "answered 1 requests with 1 attempts: 0 escalated, 0 got an error\n"


def test_an_answer_that_cannot_be_logged_is_not_sent(setting: Setting) -> None:
    setting.home.log.write_text("in the way")
    router = setting.start()
    response = httpx.post(f"{router.base_url}/chat/completions", json=body_of("refund please"))
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "the router failed: FileExistsError"


def test_ingest_counts_equal_the_routers_answers(setting: Setting) -> None:
    router = setting.start()
    for number in range(12):
        if number % 4 == 0:
            setting.own.script(fake.garbage())
        streamed(router) if number % 2 else ask(router)
    command = [
        sys.executable,
        "-m",
        "cli",
        "ingest",
        str(setting.home.log),
        "--json",
        "--home",
        str(setting.home.root),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    records = router.log
    assert (summary["read"], summary["accepted"], summary["rejected"]) == (15, 15, 0)
    assert len(records) == 15
    assert len({record.request_id for record in records}) == 12
    assert sum(record.error is None for record in records) == 12
    assert summary["call_sites"] == {CALL_SITE: 15}
