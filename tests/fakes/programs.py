"""Programs that a few tests need and pip does not install.

    python3 tests/fakes/programs.py    # the Debian packages of those that are missing

A test says what it needs with the marker `needs_program("chromium")`, a fixture calls `require("chromium")`. Where the
program is missing the test is skipped by name; under REQUIRE_ALL=1, which `.ci/run` sets, it fails.
"""

import os
import shutil

DEBIAN = {"chromium": "chromium", "node": "nodejs", "npm": "npm", "wrk": "wrk"}
"""Program on the PATH -> Debian package that brings it."""


def missing() -> list[str]:
    return [name for name in DEBIAN if shutil.which(name) is None]


def require(*names: str) -> tuple[str, ...]:
    """Paths of the programs. Skips the test that runs if one is missing, or fails it under REQUIRE_ALL=1."""
    import pytest

    absent = [name for name in names if shutil.which(name) is None]
    if absent:
        packages = " ".join(sorted({DEBIAN[name] for name in absent}))
        reason = f"{', '.join(absent)} not installed (Debian: apt-get install {packages})"
        if os.environ.get("REQUIRE_ALL", "") not in ("", "0"):
            pytest.fail(f"REQUIRE_ALL is set, but {reason}", pytrace=False)
        pytest.skip(reason)
    return tuple(path for name in names if (path := shutil.which(name)))


if __name__ == "__main__":
    print(*sorted({DEBIAN[name] for name in missing()}))
