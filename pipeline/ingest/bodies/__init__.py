"""Request and response bodies of every provider's API, read into chat messages and one answer.

Log formats wrap these bodies; `read_prompt` and `read_answer` recognise which API wrote one. A body that no reader
knows raises `Unreadable`: it is never an empty answer.
"""

from pipeline.ingest.bodies.answers import failure_text, read_answer
from pipeline.ingest.bodies.exchange import Answer, Prompt, Unreadable
from pipeline.ingest.bodies.prompts import read_messages, read_prompt

__all__ = ["Answer", "Prompt", "Unreadable", "failure_text", "read_answer", "read_messages", "read_prompt"]
