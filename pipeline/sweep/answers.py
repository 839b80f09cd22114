"""Generate a trained adapter's answers to validation rows and grade them, without a server.

    python -m pipeline.sweep.answers RUN ROWS

RUN is a finished run's folder; writes RUN/answers.json. Runs in a process of its own, on the run's device.
"""

import sys
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline import metrics
from pipeline.train import job, rows
from traffic.processes import end_with_stdin

BATCH = 16


class Graded(msgspec.Struct, frozen=True):
    """`answers.json`."""

    rows: int
    """Rows asked for; the split may have fewer."""
    correct: list[bool]
    """Per row."""

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return sum(self.correct) / len(self.correct)


def of(folder: Path, row_count: int) -> Graded | None:
    """Graded answers of a run for this many rows, or None."""
    try:
        graded = msgspec.json.decode((folder / "answers.json").read_bytes(), type=Graded)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return graded if graded.rows == row_count else None


def grade(work: job.Job, row_count: int) -> Graded:
    """Greedy answers of a finished run's adapter to at most `wanted` rows, evenly spaced in time.

    Rows longer than max_length are left out. Raises: InputError if a row's answer cannot be read.
    """
    from peft import PeftModel

    from pipeline.train import chat, entry, parity

    folder = Path(work.dataset)
    card = datasets.load(folder)
    tokenizer = chat.load_tokenizer(work.base)
    prompts = []
    for row in rows.spread(datasets.read_split(folder, "validation").to_pylist(), row_count):
        encoded = chat.encode(tokenizer, row["prompt"], row["completion"])
        if len(encoded.ids) <= work.config.max_length:
            prompts.append((encoded.ids[: encoded.prompt_length], row))
    # Sorted by length for little padding.
    prompts.sort(key=lambda pair: len(pair[0]))
    base = entry.load_base(work, quantised=False)
    model = PeftModel.from_pretrained(base, str(work.folder / "adapter"), autocast_adapter_dtype=False).eval()
    correct = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        answers = parity.greedy(model, [prompt for prompt, _ in batch], tokenizer, work.max_tokens)
        for (_, row), ids in zip(batch, answers, strict=True):
            site = card.call_sites[row["call_site"]]
            text, wanted_text = tokenizer.decode(ids, skip_special_tokens=True), row["completion"][0]["content"]
            correct.append(metrics.score(site.request_type, text, wanted_text, site.checks).correct)
    return Graded(row_count, correct)


def main(run: str, row_count: str) -> None:
    end_with_stdin()
    work = job.load_job(Path(run) / "job.json")
    job.save(work.folder / "answers.json", grade(work, int(row_count)))


if __name__ == "__main__":
    main(*sys.argv[1:])
