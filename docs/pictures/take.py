"""The README's pictures: a layer table of the site, light and dark.

    python docs/pictures/take.py reports

`reports` is a folder written by `paperspec check --report` or `paperspec report --out`.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
WIDTH = 1200


def take(site: Path) -> None:
    """Write resnet50-light.png and resnet50-dark.png beside this file."""
    with sync_playwright() as running:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        browser = running.chromium.launch(executable_path=system, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(
                color_scheme=scheme, viewport={"width": WIDTH, "height": 900}
            )
            page.goto((site / "resnet.html").resolve().as_uri())
            table = page.locator("details:has-text('resnet50')[open]").first
            box = table.bounding_box()
            page.screenshot(
                path=HERE / f"resnet50-{scheme}.png",
                full_page=True,
                clip={
                    "x": 0,
                    "y": box["y"] - 10,
                    "width": WIDTH,
                    "height": box["height"] + 20,
                },
            )


if __name__ == "__main__":
    take(Path(sys.argv[1]))
