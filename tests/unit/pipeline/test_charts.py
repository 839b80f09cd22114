"""Charts as SVG."""

import subprocess
import sys


def test_any_name_can_be_drawn() -> None:
    # In another process: the renderer aborts the one that it runs in.
    script = r"""
from pipeline.charts import of_rows, svg
for name in ["\x00", "\x1b[31m", "\x0b", "\ufffe", "\ud800", "<b>&", "日本\n"]:
    print(ascii(name), flush=True)
    assert "<svg" in svg(of_rows([{"name": name, "value": 1}]).mark_bar().encode(x="value:Q", y="name:N"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
