"""A classifier on its way to Tier 1: served, checked, registered, asked by the router, rolled back."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.servers import start_classifiers
from serving import classifier_parity, parity, register
from serving.register import DeploymentRequest
from serving.supervise import Server
from tests.classifiers import CALL_SITE, make_classifier
from tests.fakes.router import RunningRouter, Setting, client, routing
from traffic import classifiers, deployments
from traffic.artifacts import Home

pytestmark = pytest.mark.models
SYSTEM = "Which topic? Answer with one label."


def ask(router: Any, text: str, call_site: str = CALL_SITE, **tags: str) -> str:
    messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
    with client(router) as asking:
        answer = asking.chat.completions.create(
            model="fasttier", messages=messages, metadata={"call_site": call_site} | tags
        )
    return answer.choices[0].message.content or ""


def test_a_classifier_is_registered_and_rolled_back(setting: Setting, tmp_path: Path) -> None:
    other = "mail.topic"
    folder = make_classifier(setting.home.root, (CALL_SITE, other))
    card = classifiers.load(folder)
    with start_classifiers({folder: card}, setting.home, "test") as server:
        parity = classifier_parity.check(server.base_url, folder)
        assert parity.passed, parity.reasons
        assert parity.items == 2 * 32
        request = DeploymentRequest(
            adapter=folder, endpoint=register.endpoint_of(card.name, server.base_url), override="a trial"
        )
        assert register.register(setting.home, request, parity).registered
        table = deployments.load(setting.home.deployments)
        mine = [entry for entry in table.entries if entry.adapter == card.name]
        assert {entry.endpoint.kind for entry in mine} == {"classifier"}
        assert {entry.endpoint.model for entry in mine} == {f"{card.name}/{CALL_SITE}", f"{card.name}/{other}"}

        router = setting.start()
        assert ask(router, "charged twice on my invoice") == "billing"
        assert ask(router, "where is my parcel?", other) == "shipping"
        first, second = router.log[-2:]
        assert (first.tier, first.adapter, first.call_site) == (1, card.name, CALL_SITE)
        assert (second.tier, second.adapter, second.call_site) == (1, card.name, other)
        assert 0 < (first.confidence or 0) < 1

        assert _parity_of_a_changed_record(folder, tmp_path, server.base_url).passed is False

    assert register.rollback(setting.home, CALL_SITE).adapter is None
    router = setting.start()
    assert ask(router, "charged twice on my invoice")
    assert router.log[-1].tier == 2


def _parity_of_a_changed_record(folder: Path, scratch: Path, url: str) -> classifier_parity.ClassifierParity:
    """As of an endpoint that computes something else than training did."""
    (scratch / classifiers.FILE).write_bytes((folder / classifiers.FILE).read_bytes())
    items = classifiers.load_parity(folder)
    changed = [msgspec.structs.replace(item, logprobs=[value - 0.1 for value in item.logprobs]) for item in items]
    (scratch / classifiers.PARITY).write_bytes(b"\n".join(msgspec.json.encode(item) for item in changed))
    return classifier_parity.check(url, scratch)


def test_a_classifier_serves_as_canary_and_shadow(setting: Setting) -> None:
    first, second = (make_classifier(setting.home.root, sites) for sites in ((CALL_SITE,), (CALL_SITE, "mail.topic")))
    cards = {folder: classifiers.load(folder) for folder in (first, second)}
    with start_classifiers(cards, setting.home, "test") as server:
        parities = {folder: classifier_parity.check(server.base_url, folder) for folder in cards}

        def register_at_site(folder: Path, **changes: Any) -> register.Registration:
            endpoint = register.endpoint_of(cards[folder].name, server.base_url)
            request = DeploymentRequest(
                adapter=folder, endpoint=endpoint, call_sites=(CALL_SITE,), override="a trial", **changes
            )
            return register.register(setting.home, request, parities[folder])

        assert register_at_site(first, share=0.5).registered
        router = setting.start()
        for _ in range(2):
            for number in range(12):
                ask(router, "charged twice on my invoice", user_id=f"user-{number}")
        tiers: dict[str | None, set[int | None]] = {}
        for record in router.log:
            tiers.setdefault(record.user_id, set()).add(record.tier)
        # A user stays on one side, and both sides have some.
        assert {frozenset(each) for each in tiers.values()} == {frozenset({1}), frozenset({2})}

        assert register_at_site(first).registered
        assert register_at_site(second, shadow=True).shadow
        router = setting.start()
        assert ask(router, "where is my parcel?") == "shipping"
        router.__exit__()  # waits for the shadow
        served, shadow = router.log[-2:]
        assert (served.purpose, served.tier, served.adapter) == ("serve", 1, cards[first].name)
        assert (shadow.purpose, shadow.adapter, shadow.output.text) == ("shadow", cards[second].name, "shipping")
        assert 0 < (shadow.confidence or 0) < 1

        assert register.rollback(setting.home, CALL_SITE, shadow=True).registered
        assert register_at_site(second).adapter == cards[second].name
        assert register.rollback(setting.home, CALL_SITE).adapter == cards[first].name
        router = setting.start()
        assert ask(router, "where is my parcel?") == "shipping"
        assert (router.log[-1].purpose, router.log[-1].adapter) == ("serve", cards[first].name)


def test_the_routers_log_shows_an_adapter_and_a_classifier_serving(
    setting: Setting, transformers_tiny: Server, tiny_adapter: Path
) -> None:
    adapter_site = "desk.intent"
    home = Home(setting.home.root.with_name("both"))
    shutil.copytree(tiny_adapter, home.adapters / tiny_adapter.name)
    adapter_parity = parity.check(
        transformers_tiny.base_url, tiny_adapter, model=tiny_adapter.name, base_model=transformers_tiny.models[0]
    )
    folder = make_classifier(home.root)
    with start_classifiers({folder: classifiers.load(folder)}, home, "test") as classifier_server:
        reports = (adapter_parity, classifier_parity.check(classifier_server.base_url, folder))
        servers = (transformers_tiny, classifier_server)
        for own, report, server in zip((tiny_adapter, folder), reports, servers, strict=True):
            endpoint = register.endpoint_of(own.name, server.base_url)
            request = DeploymentRequest(adapter=own, endpoint=endpoint, override="a trial")
            assert register.register(home, request, report).registered
        rules = [{"name": "own", "reason": "a test", "tier": 1, "when": {"call_site": [adapter_site, CALL_SITE]}}]
        with RunningRouter(routing(setting.endpoints, rules=rules), home) as router, client(router) as asking:
            for site, system in ((adapter_site, "Answer with one label."), (CALL_SITE, SYSTEM)):
                messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": "my parcel?"}]
                asking.chat.completions.create(model="m", messages=messages, metadata={"call_site": site})
        own_answers = [record for record in router.log if record.tier == 1]
    assert [(each.call_site, each.adapter, each.status) for each in own_answers] == [
        (adapter_site, tiny_adapter.name, 200),
        (CALL_SITE, folder.name, 200),
    ]
    assert own_answers[1].output.text == "shipping"
