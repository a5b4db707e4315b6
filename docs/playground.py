"""Writes the picture of docs/playground.md: `python docs/playground.py`, with `s1-hf playground` running beside it.

Needs playwright (`pip install playwright`) and Chromium.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
PICTURE = Path(__file__).with_name("playground.png")

if __name__ == "__main__":
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto(ADDRESS)
        page.get_by_role("button", name="Run").click()
        page.get_by_text("Done:").wait_for()
        page.get_by_role("heading", name="s1-hf playground").click()  # away from the button
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE)
        browser.close()
