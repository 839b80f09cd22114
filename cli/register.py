"""`fasttier register`: deploy a served adapter or classifier at Tier 1 of its call sites."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, OWN_MODEL, Common, Summary, announce, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def register(
    adapter: Annotated[str | None, OWN_MODEL] = None,
    *,
    url: Annotated[
        str | None,
        Parameter(help="Base URL of its endpoint, ending in /v1 (default: that of the server that `serve` started)."),
    ] = None,
    api_key_env: Annotated[
        str | None, Parameter(help="Environment variable with the endpoint's key, here and at the router.")
    ] = None,
    allow_http: Annotated[
        bool, Parameter(negative="", help="Plain http to another machine, inside a private network.")
    ] = False,
    call_site: Annotated[
        tuple[str, ...], Parameter(help="Deploy for these call sites only (default: all of the model).")
    ] = (),
    decision: Annotated[Path | None, Parameter(help="Decision file (default: the newest of the task).")] = None,
    override: Annotated[str | None, Parameter(help="Reason for deploying without a build verdict.")] = None,
    share: Annotated[float, Parameter(help="Canary: share of the requests, 0 to 1.")] = 1.0,
    shadow: Annotated[
        bool, Parameter(negative="", help="Shadow: ask it in addition and only log its answers.")
    ] = False,
    cohort: Annotated[tuple[str, ...], Parameter(help="Cohort of requests: KEY=VALUE, such as language=de.")] = (),
    threshold: Annotated[
        bool, Parameter(help="Escalate answers below the calibrated threshold; --no-threshold keeps them.")
    ] = True,
    common: Common = DEFAULTS,
) -> int:
    """Deploy a served model at its call sites if it passes the parity check and the decision is build."""

    def stage(home: "Home") -> Summary:
        from serving import classifier_parity, parity, supervise
        from serving import register as stage
        from traffic import artifacts, own_models
        from traffic.classifiers import Classifier
        from traffic.errors import NotFound

        folder = own_models.find(home, adapter)
        card = own_models.load(folder)
        names = {card.served_name(site) for site in card.models} if isinstance(card, Classifier) else {card.name}
        running = next((server for server in supervise.running(home) if names <= set(server.models)), None)
        base_url = url or (running.base_url if running else None)
        if base_url is None:
            raise NotFound(
                f"no running server serves {card.name}; start one with `fasttier serve {card.name}`, or --url"
            )
        local = running is not None and base_url == running.base_url
        name = api_key_env or (running.api_key_env if running and local else None)
        endpoint = stage.endpoint_of(card.name, base_url, api_key_env=name, allow_http=allow_http or local)
        endpoint, key = stage.with_key(endpoint, os.environ)
        current = artifacts.current(home, artifacts.DECISION, task=card.task)
        report = (
            classifier_parity.check(endpoint.base_url, folder, api_key=key)
            if isinstance(card, Classifier)
            else parity.check(
                endpoint.base_url,
                folder,
                model=card.name,
                base_model=card.base_model.name,
                api_key=key,
                training_dtype=card.parity_dtype,
            )
        )
        request = stage.DeploymentRequest(
            adapter=folder,
            endpoint=endpoint,
            call_sites=call_site,
            decision=decision or (current.path if current else None),
            override=override,
            cohort=stage.cohort_of(cohort),
            share=share,
            shadow=shadow,
            calibrate=threshold,
        )
        done = stage.register(home, request, report)
        tag_runs(home)
        return done

    return run_stage(common, stage)


def tag_runs(home: "Home") -> None:
    """Update the serving tags of MLflow runs, where MLflow is installed and has runs."""
    import importlib.util

    tracked = home.mlflow_uri.startswith("http") or (home.root / "mlflow.db").is_file()
    if tracked and importlib.util.find_spec("mlflow"):
        from pipeline import serving_tags
        from traffic.errors import FastTierError

        try:
            serving_tags.update(home)
        except FastTierError as error:
            # The deployment table is already written, so this failure must not look like a failed deployment.
            announce(f"fasttier: deployed, but MLflow's tags are not up to date: {error}")
