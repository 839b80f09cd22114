"""Start the server. serving/classifier_args.py writes this command line.

python -m serving.classifier_server --classifier FOLDER --classifier FOLDER --port 8001
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from serving.classifier_server.api import Api
from serving.classifier_server.engine import Engine
from traffic.classifier_model import Model
from traffic.processes import end_with_stdin


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="serving.classifier_server", description=__doc__)
    parser.add_argument("--classifier", type=Path, action="append", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1, help="threads for the matrix products of a batch")
    parser.add_argument("--max-batch", type=int, default=32)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    end_with_stdin()
    models = []
    for folder in options.classifier:
        logging.info("loading %s", folder)
        models.append(Model(folder, threads=options.threads))
    api = Api(Engine(models, max_batch=options.max_batch), api_key=os.environ.get("VLLM_API_KEY") or None)
    uvicorn.run(api.app(), host=options.host, port=options.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
