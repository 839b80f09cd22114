"""The optuna study in the sweep's folder, which survives a killed sweep."""

import datetime as dt
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from pipeline.sweep.config import Settings, SweepConfig

CONTINUES = "continues"
"""Trial attribute: number of the trial it continues, which was running when the sweep was killed."""
FINAL_STATES = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def open_study(folder: Path, config: SweepConfig, seed: int) -> optuna.Study:
    """Create or reopen the sweep's study and enqueue the trials that were running when it was killed.

    Trials are identified by their settings, which lead them to their checkpoints.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'optuna.db'}"
    # Optuna does not prune at steps below n_warmup_steps; ours are counted from 1.
    spared = config.warmup_evaluations + 1
    pruner = optuna.pruners.MedianPruner(n_startup_trials=config.startup_trials, n_warmup_steps=spared)
    study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True, pruner=pruner)
    # The sampler's generator restarts with each process; with the same seed it would repeat its proposals.
    startup = max(config.startup_trials, 5)
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=startup)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params, user_attrs={CONTINUES: trial.number})
    return study


def settings_of(trial: Trial, config: SweepConfig) -> Settings:
    """The sampler's proposal for a new trial."""
    space = config.space
    rate = space.learning_rate
    return {
        # Six digits, so that the printed value is the one used.
        "learning_rate": float(f"{trial.suggest_float('learning_rate', rate.low, rate.high, log=True):.6g}"),
        "rank": trial.suggest_categorical("rank", space.rank),
        "epochs": trial.suggest_categorical("epochs", space.epochs),
        "rslora": trial.suggest_categorical("rslora", space.rslora),
        "quantization": trial.suggest_categorical("quantization", space.quantization),
    }


def report(trial: Trial, evaluation: int, loss: float) -> bool:
    """Record a validation loss; return whether the trial should be pruned."""
    with warnings.catch_warnings():
        # A continued trial reports some losses again.
        warnings.simplefilter("ignore", UserWarning)
        trial.report(loss, evaluation)
    return trial.should_prune()


def trials_of(study: optuna.Study) -> list[FrozenTrial]:
    """Trials that are not continued by another one."""
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False)
    continued = {trial.user_attrs.get(CONTINUES) for trial in trials}
    return [trial for trial in trials if trial.number not in continued]


def hours_used(study: optuna.Study, slots: int) -> float:
    """Hours the trials took so far, `slots` at a time."""
    spans = [trial.duration for trial in trials_of(study) if trial.duration is not None]
    return sum(spans, dt.timedelta()).total_seconds() / 3600 / slots


def best(study: optuna.Study, count: int) -> list[FrozenTrial]:
    """The trials with the lowest validation losses, one per setting."""
    distinct: list[FrozenTrial] = []
    complete = [trial for trial in trials_of(study) if trial.state == TrialState.COMPLETE]
    for trial in sorted(complete, key=lambda trial: (value_of(trial), trial.number)):
        if settings(trial) not in [settings(other) for other in distinct]:
            distinct.append(trial)
    return distinct[:count]


def value_of(trial: FrozenTrial) -> float:
    """Lowest validation loss of a completed trial."""
    assert trial.value is not None
    return trial.value


def settings(trial: FrozenTrial) -> Settings:
    """Settings of a trial."""
    values: dict[str, Any] = trial.user_attrs["settings"]
    return values
