"""Fetch a base model before a training needs it.

    python -m pipeline.train.fetch configs/train/smollm2-135m.yaml data-demo [KEY=VALUE ...]

The demo runs it beside its first stages. `fasttier train` does the same itself.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.train import base_models
from pipeline.train.config import TrainConfig
from traffic import config, processes
from traffic.artifacts import Home
from traffic.errors import FastTierError


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
            # Nothing is timed here: beside the other stages this machine seems half as fast.
            base_models.resolve(config.load(options.config, TrainConfig, options.set).model, Home(options.home))
    except FastTierError as error:
        sys.exit(str(error))
    except processes.Interrupted:
        sys.exit(lifetime.exit_status)


if __name__ == "__main__":
    main()
