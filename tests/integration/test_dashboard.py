"""The dashboard as a user runs it, in a real browser: no errors, nothing cut off, readable in light and dark."""

import asyncio
import datetime as dt
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import store
from tests.fakes.browser import CONTRAST, browser
from tests.fakes.metered import record
from traffic.artifacts import Home
from traffic.record import encode_record

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (390, 1280)
TEXT = b'[{"role":"user","content":"which topic?"}]'
CONTROLS = "a[href], select, button, .scroll"
FOCUSED = f"""
(() => {{
  const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
  const shown = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return [[...document.querySelectorAll("{CONTROLS}")].indexOf(e),
          style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1, shown];
}})()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dashboard")
    sites = ("desk.topic", "a.call.site.with.a.very.long.name.that.somebody.chose", "mail.reply")
    listed = [
        record(n, at=n * 90, feature=sites[n % 3], call_site=sites[n % 3], tier=1 + n % 3, messages=msgspec.Raw(b"[]"))
        for n in range(90)
    ]
    store.append(Home(folder), [*listed, record(91, cost_usd=None, model="house")], source="test")
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "cli", "dashboard", "--port", "0", "--refresh", "1", "--home", str(home)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert found
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.needs_program("chromium")
def test_every_page_in_a_browser_at_two_widths_light_and_dark(address: str, tmp_path: Path) -> None:
    async def look() -> list[dict[str, Any]]:
        seen = []
        async with browser(tmp_path) as page:
            for path in ("", "alerts", "savings", "waste", "deployments", "playbook", "requests", "request?id=r1"):
                for width in WIDTHS:
                    await page.open(address + path, width=width, dark=width == 390)
                    seen.append({
                        "page": path, "width": width, "contrast": await page.evaluate(CONTRAST),
                        "wide": await page.evaluate("document.documentElement.scrollWidth > innerWidth"),
                        "title": await page.evaluate("document.querySelector('h1').innerText"),
                        "focus": await page.evaluate("document.querySelectorAll('a[href], select, button').length"),
                    })  # fmt: skip
            assert page.errors == []
        return seen

    for found in asyncio.run(look()):
        assert found["title"], found
        assert not found["wide"], found
        assert found["contrast"] >= 4.5, found
        assert found["focus"] >= 7, found


@pytest.mark.needs_program("chromium")
@pytest.mark.parametrize("path", ["?feature=desk.topic", "requests", "playbook"])
def test_the_tab_key_reaches_every_control_with_visible_focus(address: str, path: str, tmp_path: Path) -> None:
    async def walk() -> tuple[int, list[Any]]:
        async with browser(tmp_path) as page:
            await page.open(address + path, width=1280)
            # The page renews its content every second: the walk must not lose its place.
            count = await page.evaluate(f"document.querySelectorAll('{CONTROLS}').length")
            stops = []
            for _ in range(count):
                await page.press("Tab")
                stops.append(await page.evaluate(FOCUSED))
            return count, stops

    count, stops = asyncio.run(walk())
    assert sorted(stop[0] for stop in stops) == list(range(count))
    assert [stop for stop in stops if not (stop[1] and stop[2])] == []


@pytest.mark.needs_program("chromium")
def test_enter_follows_links_and_submits_the_form(address: str, tmp_path: Path) -> None:
    async def walk() -> list[str]:
        async with browser(tmp_path) as page:
            seen = []
            for path, control in (("", "nav a[href='/alerts']"), ("?by=model", "form button"), ("", "a.skip")):
                await page.open(address + path, width=390)
                await page.evaluate(f'document.querySelector("{control}").focus()')
                await page.press("Enter")
                for _ in range(50):
                    found = await page.evaluate("location.pathname + location.search + location.hash")
                    if found != f"/{path}":
                        break
                    await asyncio.sleep(0.1)
                seen.append(found)
            return seen

    alerts, costs, content = asyncio.run(walk())
    assert (alerts, content) == ("/alerts", "/#content")
    assert "month=2026-11" in costs
    assert "by=model" in costs


def test_the_first_page_shows_the_numbers_of_costs(address: str, home: Path) -> None:
    import urllib.request

    with urllib.request.urlopen(address, timeout=20) as answer:  # noqa: S310 -- our own server
        text = answer.read().decode()
    done = subprocess.run(
        [sys.executable, "-m", "cli", "costs", "--json", "--home", str(home)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for row in json.loads(done.stdout)["rows"]:
        amount = "unpriced" if row["usd"] is None else f"${row['usd']:.2f}"
        assert f'<td class="n">{row["requests"]}</td><td class="n">{amount}</td>' in text


@pytest.mark.needs_program("chromium")
def test_an_open_page_shows_a_request_that_the_router_has_just_logged(address: str, home: Path, tmp_path: Path) -> None:
    """Runs last: it adds to the log."""

    async def watch() -> dict[str, Any]:
        async with browser(tmp_path) as page:
            await page.open(f"{address}?month=all", width=1280)
            await page.evaluate("document.querySelector('#content td a').focus()")
            focused = await page.evaluate("document.activeElement.href")
            now = dt.datetime.now(dt.UTC)
            (home / "log").mkdir()
            line = encode_record(record(500, ts=now, cost_usd=7.5, messages=msgspec.Raw(TEXT))) + b"\n"
            (home / "log" / f"requests-box-1-{now:%Y%m%dT%H}.jsonl").write_bytes(line)
            for _ in range(150):
                if "With 1 records" in await page.evaluate("document.body.innerText"):
                    break
                await asyncio.sleep(0.1)
            assert page.errors == []
            return {
                "text": await page.evaluate("document.querySelector('.card b').innerText"), "focused": focused,
                "after": await page.evaluate("document.activeElement.href"),
                "state": await page.evaluate("document.getElementById('state').innerText"),
            }  # fmt: skip

    found = asyncio.run(watch())
    live = [sys.executable, "-m", "cli", "costs", "--live", "--json", "--since", "2026-01-01", "--home", str(home)]
    done = subprocess.run(live, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found["text"] == f"${json.loads(done.stdout)['total']['usd']:.2f}"
    assert found["focused"] == found["after"] != ""
    assert found["state"]
