"""One trial: a training run in the folder that `fasttier train` would use for the same settings, recorded and pruned.

Because of the shared folder, a killed trial continues from its checkpoint, equal settings are trained once, and the
winner is not trained again.
"""

import queue
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline import dataset as datasets
from pipeline import tracking, train
from pipeline.sweep import answers
from pipeline.sweep.answers import Graded
from pipeline.train import base_models, job, launch
from pipeline.train.config import TrainConfig
from traffic.artifacts import Home
from traffic.errors import InputError


class Stopped(Exception):
    """The sweep is stopping; its trials continue at the next start."""


class Pruned(Exception):
    """The trial is worse than the median."""


class Bench:
    """Runs trials, one per GPU or one on the CPU."""

    def __init__(
        self, home: Home, dataset: Path, base: base_models.LocalModel, device: str, slots: int, parent: str
    ) -> None:
        """`parent`: the sweep's MLflow run."""
        self._home, self._dataset, self._base = home, dataset, base
        self._card = datasets.load(dataset)
        self._device = device
        self._free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot if device == "cuda" else None)
        self._parent = parent
        self._stopping = threading.Event()
        self._busy: dict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._client: Any = tracking.configure(home).MlflowClient()
        self._experiment = self._client.get_run(parent).info.experiment_id

    def stop(self) -> None:
        """Stop all trials; their checkpoints stay."""
        self._stopping.set()

    def train(
        self,
        config: TrainConfig,
        *,
        name: str,
        tags: Mapping[str, str],
        on_loss: Callable[[int, float], bool] = lambda evaluation, loss: False,
        on_progress: Callable[[job.Event], None] = lambda event: None,
        answered: int = 0,
    ) -> tuple[job.Result, Graded | None]:
        """Train, or reuse a finished run; then generate answers to `answered` validation rows.

        `on_loss` receives each validation's number (from 1) and loss; returning true prunes the trial.
        Raises: Pruned, Stopped, TrainingFailed.
        """
        work = self._work(config)
        slot = self._free.get()
        run = self._begin(config, name, tags)
        status = "FAILED"
        try:
            # The second of two trials with equal settings waits and reuses the result of the first.
            with self._busy[work.folder], train.only_one(work.folder):
                result = self._train(work, slot, run, on_loss, on_progress)
                graded = self._answers(work, slot, answered) if answered else None
            self._end(run, result, graded)
            status = "FINISHED"
        except (Pruned, Stopped):
            status = "KILLED"
            raise
        finally:
            self._client.set_terminated(run, status)
            self._free.put(slot)
        return result, graded

    def _train(
        self,
        work: job.Job,
        slot: int | None,
        run: str,
        on_loss: Callable[[int, float], bool],
        on_progress: Callable[[job.Event], None],
    ) -> job.Result:
        evaluations = 0

        def record(event: job.Event) -> None:
            on_progress(event)
            for name, value in event.metrics.items():
                self._client.log_metric(run, name, value, step=event.step)

        def on_event(event: job.Event) -> None:
            nonlocal evaluations
            record(event)
            if event.kind == "eval":
                evaluations += 1
                if on_loss(evaluations, event.metrics["eval_loss"]):
                    raise Pruned

        done = job.finished(work.folder, work)
        if done is not None:
            for event in job.EventReader(work.folder).new():
                record(event)
            return done
        train.prepare(work)
        try:
            result = launch.run(work, log=self._log(work), on_event=on_event, gpu=slot, watch=self._watch)
        except Pruned:
            # A pruned trial is never continued; its optimiser states would fill the disk.
            job.forget(work.folder)
            raise
        job.drop_checkpoints(work.folder)
        return result

    def _answers(self, work: job.Job, slot: int | None, row_count: int) -> Graded:
        graded = answers.of(work.folder, row_count)
        if graded is None:
            arguments = [sys.executable, "-m", "pipeline.sweep.answers", str(work.folder), str(row_count)]
            launch.attend(arguments, launch.environment(work.device, slot), self._log(work), self._watch)
            graded = answers.of(work.folder, row_count)
        if graded is None or not graded.correct:
            raise InputError(f"{work.dataset}: no validation row fits max_length; set answers: 0 in the sweep's file")
        return graded

    def _work(self, config: TrainConfig) -> job.Job:
        folder = train.folder_of(config, self._card, self._home, 1)
        folder.mkdir(parents=True, exist_ok=True)
        device: Any = self._device
        return train.job_of(config, self._card, self._dataset, self._base, folder, device, 1)

    def _begin(self, config: TrainConfig, name: str, tags: Mapping[str, str]) -> str:
        created = self._client.create_run(
            self._experiment, run_name=name, tags={"mlflow.parentRunId": self._parent, "stage": "sweep", **tags}
        )
        run: str = created.info.run_id
        for key, value in tracking.flatten(msgspec.to_builtins(config, str_keys=True)).items():
            self._client.log_param(run, key, value)
        return run

    def _end(self, run: str, result: job.Result, graded: Graded | None) -> None:
        self._client.log_metric(run, "final.eval_loss", result.best_eval_loss)
        self._client.log_metric(run, "final.seconds", result.seconds)
        if graded is not None:
            self._client.log_metric(run, "final.accuracy", graded.accuracy)

    def _watch(self) -> None:
        if self._stopping.is_set():
            raise Stopped

    @staticmethod
    def _log(work: job.Job) -> Path:
        return work.folder / "train.log"
