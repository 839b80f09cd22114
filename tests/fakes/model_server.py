"""A fake of vLLM's front end, as a process: /health, /v1/models, /v1/completions, /v1/chat/completions.

    python model_server.py PORT MODE --models NAME [NAME ...] [--pid-file FILE] [--answers FILE] [--fail TEXT]

MODE is `ok`, `never-healthy`, `dies` (at once, with --fail as the last line of a traceback), or `stubborn` (ignores
SIGTERM). With --pid-file it starts a child of its own, as vLLM starts its engine, and writes both pids there.
--answers is JSON: model -> log-probabilities by token id, and `next` (token id -> the token generated after it).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("mode", choices=["ok", "never-healthy", "dies", "stubborn"])
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--fail", default="ValueError: no such model")
    options = parser.parse_args()
    if options.mode == "dies":
        print(
            f"INFO loading\nTraceback (most recent call last):\n{options.fail}\nnanobind: leaked 3 types",
            file=sys.stderr,
        )
        sys.exit(3)
    if options.mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.pid_file:
        engine = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        written = options.pid_file.with_suffix(".tmp")
        written.write_text(f"{os.getpid()} {engine.pid}")
        written.rename(options.pid_file)
    answers = json.loads(options.answers.read_text()) if options.answers else {}
    ThreadingHTTPServer(("127.0.0.1", options.port), handler(options, answers)).serve_forever()


def handler(options: argparse.Namespace, answers: dict[str, Any]) -> type[BaseHTTPRequestHandler]:
    key = os.environ.get("VLLM_API_KEY")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self.reply(503 if options.mode == "never-healthy" else 200, {})
            elif self.refused():
                self.reply(401, {"error": "key"})
            elif self.path == "/v1/models":
                self.reply(200, {"data": [{"id": name} for name in options.models]})
            else:
                self.reply(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            print(f"POST {self.path} {body['model']}", file=sys.stderr, flush=True)
            if self.refused():
                self.reply(401, {"error": "key"})
            elif body["model"] not in options.models:
                self.reply(404, {"error": f"no model {body['model']}"})
            elif self.path == "/v1/completions":
                self.reply(200, {"choices": [complete(body, answers[body["model"]])]})
            else:
                self.reply(200, {"choices": [{"message": {"role": "assistant", "content": "yes"}}]})

        def refused(self) -> bool:
            return key is not None and self.headers["Authorization"] != f"Bearer {key}"

        def reply(self, status: int, body: Any) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def complete(body: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    ids = body["prompt"]
    if "prompt_logprobs" in body:
        steps = [{str(token): {"logprob": known["logprobs"].get(str(token), -1.0)}} for token in ids[1:]]
        return {"prompt_logprobs": [None, *steps]}
    generated: list[int] = []
    for _ in range(body["max_tokens"]):
        last = (ids + generated)[-1]
        generated.append(known["next"].get(str(last), 0))
    return {"token_ids": generated}


if __name__ == "__main__":
    main()
