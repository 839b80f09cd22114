"""Rows of NVIDIA's data flywheel: `timestamp` (epoch), `workload_id`, `client_id`, `request`, `response`."""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import tree_format


def _recognises(tree: Mapping[str, Any]) -> bool:
    return "workload_id" in tree and pairs.request_of(tree) is not None


FORMAT = tree_format("flywheel", _recognises, pairs.read_pair)
