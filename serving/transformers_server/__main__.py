"""Start the server. serving/transformers_args.py writes this command line.

python -m serving.transformers_server --model FOLDER --served-model-name NAME --port 8001 --adapter NAME=FOLDER
"""

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from serving.transformers_server.api import Api, read_template
from serving.transformers_server.engine import Engine
from traffic.processes import end_with_stdin


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    end_with_stdin()
    adapters = dict(_parse_adapter(option) for option in options.adapter)
    logging.info("loading %s with %d adapters in %s", options.model, len(adapters), options.dtype)
    engine = Engine(
        options.model,
        options.served_model_name,
        adapters,
        device=options.device,
        dtype=options.dtype,
        max_batch=options.max_num_seqs,
        logprobs_mode=options.logprobs_mode,
    )
    api = Api(
        engine,
        max_model_len=min(options.max_model_len, engine.max_positions),
        chat_template=read_template(options.chat_template),
        api_key=os.environ.get("VLLM_API_KEY") or None,
    )
    uvicorn.run(api.app(), host=options.host, port=options.port, log_level="warning", access_log=False)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serving.transformers_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--adapter", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--chat-template", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16", "float16"], default="auto")
    parser.add_argument("--max-model-len", type=int, default=4096)
    parser.add_argument("--max-num-seqs", type=int, default=32)
    parser.add_argument("--logprobs-mode", choices=["raw_logprobs", "processed_logprobs"], default="raw_logprobs")
    return parser


def _parse_adapter(option: str) -> tuple[str, Path]:
    name, _, folder = option.rpartition("=")
    return name, Path(folder)


if __name__ == "__main__":
    main()
