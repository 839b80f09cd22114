"""Fetch a base model, and time this machine's matrix products for it, before a training needs both.

    python -m pipeline.train.fetch configs/train/smollm2-135m.yaml data-demo [KEY=VALUE ...]

The demo runs it beside its first stages. `fasttier train` does the same itself.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.train import base_models, compute_dtype
from pipeline.train.config import TrainConfig
from traffic import config, processes
from traffic.artifacts import Home
from traffic.errors import FastTierError


def fetch(settings: TrainConfig, home: Home) -> base_models.LocalModel:
    """The base model on this machine. Raises: ModelUnavailable, InputError."""
    base = base_models.resolve(settings.model, home)
    compute_dtype.of_weights(base.path, "cpu")
    return base


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("home", type=Path)
    parser.add_argument("set", nargs="*", metavar="KEY=VALUE")
    options = parser.parse_args(arguments)
    processes.end_with_parent()
    lifetime = processes.Lifetime()
    try:
        with lifetime:
            fetch(config.load(options.config, TrainConfig, options.set), Home(options.home))
    except FastTierError as error:
        sys.exit(str(error))
    except processes.Interrupted:
        sys.exit(lifetime.exit_status)


if __name__ == "__main__":
    main()
