"""Reload of deployments, the models list, health, and what the API refuses."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.fakes.router import (
    ADAPTER,
    RunningRouter,
    Setting,
    ask,
    client,
    deploy,
    deployment,
    health,
    said,
    write_adapter,
)


def wait_until(condition: Callable[[], bool], router: RunningRouter) -> None:
    """Look at the deployments until the condition holds, as the router does once a second."""
    for _ in range(100):
        router.router.watcher.look()
        if condition():
            return
    raise TimeoutError("the router did not take notice")


def test_deployments_and_rollbacks_take_effect(setting: Setting) -> None:
    router = setting.start()
    assert ask(router).headers["x-fasttier-tier"] == "1"
    setting.own.models = ()
    write_adapter(setting.home, "desk.intent@bbbbbbbb")
    deploy(setting.home, deployment("desk.intent@bbbbbbbb", setting.own.base_url))
    wait_until(lambda: router.router.watcher.reloads == 2, router)
    assert ask(router).headers["x-fasttier-endpoint"] == "desk.intent@bbbbbbbb"
    deploy(setting.home)
    wait_until(lambda: router.router.watcher.reloads == 3, router)
    assert ask(router).headers["x-fasttier-escalated"] == "no_deployment"


def test_the_router_reloads_a_changed_table(setting: Setting) -> None:
    router = setting.start()
    assert [e["adapter"] for e in health(router)["deployments"]["entries"]] == [ADAPTER]
    deploy(setting.home)
    gone = threading.Event()
    for _ in range(100):
        if not health(router)["deployments"]["entries"]:
            gone.set()
            break
        gone.wait(0.1)
    assert gone.is_set()


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda path: path.write_text("entries: [{"), "not valid YAML"),
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_text(path.read_text().replace("aaaaaaaa", "cccccccc")), "adapter.yaml"),
    ],
)
def test_a_broken_or_missing_table_keeps_the_last_good_one(
    setting: Setting, spoil: Callable[[Path], Any], says: str
) -> None:
    router = setting.start()
    assert said(ask(router)) == "refund"
    spoil(setting.home.deployments)
    wait_until(lambda: router.router.watcher.error is not None, router)
    assert ask(router).headers["x-fasttier-tier"] == "1"
    told = health(router)
    assert says in told["deployments"]["error"]
    assert (told["status"], told["ready"]) == ("degraded", True)
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url))
    wait_until(lambda: router.router.watcher.error is None, router)


def test_models_and_unknown_paths_use_openais_format(setting: Setting) -> None:
    router = setting.start()
    with client(router) as asking:
        assert [model.id for model in asking.models.list()] == ["fasttier", ADAPTER, "gpt-4o-mini"]
        with pytest.raises(openai.NotFoundError, match="/v1/files is not served here"):
            asking.files.list()


@pytest.mark.parametrize(
    "body, kind, status",
    [
        (b"{", "application/json", 400),
        (b'{"messages": "hello"}', "application/json", 400),
        (b'{"messages": []}', "application/json", 400),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "text/plain", 415),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 20_000 + b'"}]}', "application/json", 413),
    ],
)
def test_unreadable_requests_are_refused(setting: Setting, body: bytes, kind: str, status: int) -> None:
    router = setting.start(serving={"max_body_mib": 0.01})
    response = httpx.post(f"{router.base_url}/chat/completions", content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert router.log == []


def test_clients_need_a_key_where_keys_are_configured(setting: Setting) -> None:
    keys = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "other, client-secret"}
    router = setting.start(serving={"client_keys_env": "CLIENT_KEYS"}, environ=keys)
    assert said(ask(router)) == "refund"
    with (
        openai.OpenAI(base_url=router.base_url, api_key="guess", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    assert health(router) == {"status": "ok", "ready": True}
