"""Translates pip's settings (pip.conf, PIP_* variables) for uv, which ignores them.

So a pip configuration for a mirror, local wheels or a certificate also applies to fasttier's set-up. UV_* variables
take precedence.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

SECTIONS = ("global", "install", ":env:")  # in pip's order of precedence, the last one wins

# uv's argument per setting of pip, and uv's own variable for the same.
LISTS = {
    "extra-index-url": ("--index", "UV_INDEX"),
    "find-links": ("--find-links", "UV_FIND_LINKS"),
    "trusted-host": ("--allow-insecure-host", "UV_INSECURE_HOST"),
    "constraint": ("--constraint", "UV_CONSTRAINT"),
}
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
    "proxy": "ALL_PROXY",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}


def read(listing: str) -> dict[str, str]:
    """Settings by name, from the output of `pip config list` (lines `section.name='value'`)."""
    by_section: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in by_section:
            by_section[section][name] = str(ast.literal_eval(value))
    settings: dict[str, str] = {}
    for section in SECTIONS:
        settings |= by_section[section]
    return settings


def arguments(settings: Mapping[str, str], environ: Mapping[str, str], *, without: tuple[str, ...] = ()) -> list[str]:
    """Equivalent arguments of `uv pip install` and `uv pip compile`."""
    flags: list[str] = []
    for name, (flag, variable) in LISTS.items():
        if name not in without and variable not in environ:
            flags += [part for value in settings.get(name, "").split() for part in (flag, value)]
    if "--index" in flags and "UV_INDEX_STRATEGY" not in environ:
        # pip takes the best version of all indexes; uv by default stops at the first index with the package.
        flags += ["--index-strategy", "unsafe-best-match"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        flags.append("--no-index")
    return flags


def variables(settings: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables to add to uv's environment."""
    named = {VARIABLES[name]: value for name, value in settings.items() if name in VARIABLES}
    return {variable: value for variable, value in named.items() if variable not in environ}


def of_this_machine() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    return read(subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout)
