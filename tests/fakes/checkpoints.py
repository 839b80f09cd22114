"""Checkpoints as `transformers` leaves them in a run's folder, without anything having been trained."""

import json
import math
import zipfile
from pathlib import Path


def make(folder: Path, step: int, *, processes: int = 1, ended: bool = False, max_steps: int = 100) -> Path:
    """A checkpoint with the files that matter here."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    random_states = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    for name in ("optimizer.pt", "scheduler.pt", *random_states):
        with zipfile.ZipFile(checkpoint / name, "w") as archive:
            archive.writestr("data.pkl", b"0123456789" * 10)
    control = {"TrainerControl": {"args": {"should_training_stop": ended}, "attributes": {}}}
    # As `transformers` writes it, with what JSON does not know.
    state = {"global_step": step, "max_steps": max_steps, "log_history": [{"grad_norm": math.inf}]}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state | {"stateful_callbacks": control}))
    return checkpoint
