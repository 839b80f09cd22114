"""The profile's report in a real browser: one offline file, no errors, nothing cut off, readable in light and dark."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo import traffic
from tests.fakes.browser import CONTRAST, browser

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CUT_CHARTS = """
[...document.querySelectorAll("figure svg")].filter(e => {
  const box = e.getBoundingClientRect();
  for (; e; e = e.parentElement)
    if (getComputedStyle(e).overflowX === "auto" && box.right > e.getBoundingClientRect().right + 1) return true;
  return box.right > innerWidth;
}).length
"""
"""Charts whose right part is not seen without scrolling: bars end there."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    log = home / "requests.jsonl"
    traffic.generate(log, requests=1200, days=4, seed=2)
    for command in (["ingest", str(log)], ["profile"]):
        subprocess.run(
            [sys.executable, "-m", "cli", *command, "--home", str(home)], cwd=ROOT, check=True, capture_output=True
        )
    return home / "profile" / "report.html"


@pytest.mark.needs_program("chromium")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_report_shows_everything(report: Path, tmp_path: Path, width: int, dark: bool) -> None:
    async def look() -> tuple[dict[str, Any], list[str]]:
        async with browser(tmp_path) as page:
            await page.open(report.as_uri(), width=width, dark=dark)
            return {
                "charts": await page.evaluate("document.querySelectorAll('figure svg').length"),
                "cut": await page.evaluate(CUT_CHARTS),
                "wide": await page.evaluate("document.documentElement.scrollWidth > innerWidth"),
                "contrast": await page.evaluate(CONTRAST),
            }, page.errors

    seen, errors = asyncio.run(look())
    assert errors == []
    assert seen["charts"] >= 3
    assert (seen["cut"], seen["wide"]) == (0, False)
    assert seen["contrast"] >= 4.5
