"""The batch API of the fake OpenAI server: files in, batches that end after some looks, files out.

with FakeOpenAI(answer=lambda body: "spam") as server:
    server.batches.looks = 3          # a batch is done when it has been looked at three times
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass
class Batches:
    """State of the batch endpoints; all attributes may be changed while the server runs."""

    complete: Callable[[Body], tuple[int, Body]]
    """Status and body that the server has for a chat request."""
    looks: int = 1
    """So often a batch must be retrieved until it has ended."""
    answered: int | None = None
    """At most so many requests of a batch get an answer, then it expires; None: all."""
    refuse: str | None = None
    """Every batch fails as a whole, for this reason."""
    lose_next: bool = False
    """The next batch is created, and the connection cut before its id is told."""
    files: dict[str, bytes] = field(default_factory=dict)
    created: list[Body] = field(default_factory=list)
    """Batches in the order of their creation."""
    _looked: dict[str, int] = field(default_factory=dict)

    def handle(self, method: str, path: str, headers: dict[str, str], data: bytes) -> tuple[int, bytes] | None:
        """Status and body of the answer; None for a path that is not ours. Raises: ConnectionAbortedError."""
        resource = path.removeprefix("/v1/")
        if resource == "files" and method == "POST":
            return 200, self._upload(headers, data)
        if match := re.fullmatch(r"files/([\w-]+)/content", resource):
            return (200, self.files[match[1]]) if match[1] in self.files else (404, b"{}")
        if resource == "batches" and method == "POST":
            return self._create(json.loads(data))
        if resource == "batches":
            listed = {"object": "list", "data": self.created[::-1], "has_more": False}
            return 200, json.dumps(listed).encode()
        if match := re.fullmatch(r"batches/([\w-]+)", resource):
            return self._retrieve(match[1])
        return None

    def requests(self, batch: Body) -> list[Body]:
        """The lines of a batch's input file."""
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def _upload(self, headers: dict[str, str], data: bytes) -> bytes:
        boundary = headers["content-type"].partition("boundary=")[2].strip('"').encode()
        parts = [part for part in data.split(b"--" + boundary) if b"filename=" in part.partition(b"\r\n\r\n")[0]]
        name = f"file-{len(self.files)}"
        self.files[name] = parts[0].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        card = {"id": name, "object": "file", "bytes": len(self.files[name]), "created_at": 0, "filename": "batch"}
        return json.dumps(card | {"purpose": "batch", "status": "processed"}).encode()

    def _create(self, body: Body) -> tuple[int, bytes]:
        if body["input_file_id"] not in self.files:
            return 400, json.dumps({"error": {"message": "no such file"}}).encode()
        batch = {"id": f"batch_{len(self.created)}", "object": "batch", "created_at": 0, "status": "in_progress"} | body
        self.created.append(batch)
        if self.lose_next:
            self.lose_next = False
            raise ConnectionAbortedError
        return 200, json.dumps(batch).encode()

    def _retrieve(self, name: str) -> tuple[int, bytes]:
        batch = next((batch for batch in self.created if batch["id"] == name), None)
        if batch is None:
            return 404, json.dumps({"error": {"message": f"no batch {name}"}}).encode()
        self._looked[name] = self._looked.get(name, 0) + 1
        if batch["status"] == "in_progress" and self._looked[name] >= self.looks:
            self._finish(batch)
        return 200, json.dumps(batch).encode()

    def _finish(self, batch: Body) -> None:
        requests = self.requests(batch)
        if self.refuse is not None:
            batch |= {"status": "failed", "errors": {"object": "list", "data": [{"message": self.refuse}]}}
            return
        good, bad = [], []
        for request in requests[: self.answered]:
            code, body = self.complete(request["body"])
            response = {"status_code": code, "request_id": "r", "body": body}
            row = {"id": "x", "custom_id": request["custom_id"], "response": response, "error": None}
            (good if code == 200 else bad).append(row)
        batch["status"] = "completed" if self.answered is None else "expired"
        batch["request_counts"] = {"total": len(requests), "completed": len(good), "failed": len(bad)}
        for key, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                batch[key] = f"file-{len(self.files)}"
                # Answers come in any order.
                self.files[batch[key]] = b"".join(json.dumps(row).encode() + b"\n" for row in reversed(rows))
