"""A small classifier on n-grams, made as `fasttier train` makes one, without MLflow."""

import itertools
from pathlib import Path

from pipeline.classifiers import artifact, classical
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData
from traffic.adapters import CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks
from traffic.classifiers import Classifier
from traffic.prompts import MessagePattern, Template

CALL_SITE = "support.topic"
WORDS = {
    "billing": ("invoice", "charged twice", "refund", "payment"),
    "access": ("password", "log in", "locked out", "two-factor"),
    "shipping": ("parcel", "courier", "tracking", "delivery"),
}
FRAMES = ("{}", "please help with my {}", "hello, {} since yesterday", "where is my {}?", "it is about the {}")


def make_classifier(home: Path, call_sites: tuple[str, ...] = (CALL_SITE,)) -> Path:
    """The folder of a classifier for these call sites, each with the three labels of `WORDS`."""
    rows = [
        (frame.format(word), label)
        for (label, words), frame in itertools.product(WORDS.items(), FRAMES)
        for word in words
    ]
    checks = Checks(labels=tuple(WORDS))
    examples = Examples([text for text, _ in rows], [label for _, label in rows])
    data = {site: SiteData(examples, checks=checks) for site in call_sites}
    settings = ClassicalFit()
    sites = {site: classical.fit(row, settings, folder=f"{number}") for number, (site, row) in enumerate(data.items())}
    system, user = MessagePattern("system", "Which topic? Answer with one label."), MessagePattern("user", slot=True)
    template = Template("00000000", original=(system, user), pruned=(user,))
    prompts = CallSitePrompts(templates=(template,), request_type="classification", checks=checks)
    card = Classifier(
        name="",
        task=call_sites[0],
        kind="classical",
        dataset=f"{call_sites[0]}@00000000",
        call_sites=dict.fromkeys(call_sites, prompts),
        models={},
        config={"kind": "classical"},
        metrics={},
        libraries={},
    )
    return artifact.publish(card, sites, data, {}, Home(home))
