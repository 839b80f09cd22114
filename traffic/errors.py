"""Errors caused by user input or configuration.

    FastTierError                 exit code 2, one clear line, no traceback
    ├── ConfigError               a YAML file or --set value is wrong            (ValueError)
    ├── InputError                a log, dataset or adapter cannot be used       (ValueError)
    │   ├── UnknownFormat         no log format recognises the file
    │   └── NotEnoughData         too few rows for what was asked
    ├── NotFound                  a named dataset, adapter, model or file is missing  (LookupError)
    │   ├── UnknownPrice          no price for this model on this date
    │   └── ModelUnavailable      base model weights are not available here
    ├── MissingSecret             an environment variable with a key is unset    (LookupError)
    ├── EndpointError             a model server did not start, answer or stay up (RuntimeError)
    ├── BudgetReached             the next request could cost more than is left  (RuntimeError)
    ├── TrainingFailed            the training process ended with an error       (RuntimeError)
    ├── ProcessEnded              a worker process was killed                    (RuntimeError)
    └── Unsupported               asked for something this version refuses by name (NotImplementedError)

The message states where, what and how to fix it; the command line prints nothing else.
"""

import difflib
from collections.abc import Iterable


class FastTierError(Exception):
    """Base of all errors that are shown to the user as one line."""


class ConfigError(FastTierError, ValueError):
    """A configuration file or a --set value is wrong; the message has the file and the key."""


class InputError(FastTierError, ValueError):
    """A log, dataset or adapter exists but cannot be used."""


class UnknownFormat(InputError):
    """No supported log format recognises this file."""


class NotEnoughData(InputError):
    """Too few rows for what was asked; the message has both numbers."""


class NotFound(FastTierError, LookupError):
    """A named dataset, adapter, model or file does not exist; the message says how to make it."""


class UnknownPrice(NotFound):
    """No price for this model on this date. Never guess zero."""


class ModelUnavailable(NotFound):
    """Base model weights are not available here; the message says how to get them."""


class MissingSecret(FastTierError, LookupError):
    """An environment variable that should hold a key is unset. The message names the variable, never a value."""


class EndpointError(FastTierError, RuntimeError):
    """A model server did not start, did not answer, or died."""


class BudgetReached(FastTierError, RuntimeError):
    """The next request could cost more than is left of the budget. Answers so far are kept."""


class TrainingFailed(FastTierError, RuntimeError):
    """The training process ended with an error; the message has its log file."""


class ProcessEnded(FastTierError, RuntimeError):
    """A worker process was killed from outside; finished work is kept."""


class Unsupported(FastTierError, NotImplementedError):
    """Asked for something that this version refuses by name, rather than dropping it silently."""


def known_names(name: str, names: Iterable[str], shown: int = 8) -> str:
    """The hint behind an unknown name: the nearest known name, else the first of them."""
    known = list(names)
    if close := difflib.get_close_matches(name, known, n=1):
        return f"; did you mean `{close[0]}`?"
    if not known:
        return ""
    more = f" and {len(known) - shown} more" if len(known) > shown else ""
    return f"; there are: {', '.join(known[:shown])}{more}"
