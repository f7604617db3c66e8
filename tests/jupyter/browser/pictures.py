"""The README's pictures: a policy is replaced under the calls of a Rust loop, as JupyterLab shows it.

`make pictures` writes `docs/images/swap-light.png`, `swap-dark.png` and the moving `swap.webp`. Nothing in them is
staged: the notebook, its kernel and the loop of notebook 02 run while they are taken.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.jupyter.browser.lab import Notebook

IMAGES = ROOT / "docs" / "images"
LOOP = ROOT / "target" / "release" / "cart_pole"

FALLS = """\
from pycrust import RpcEndpoint
endpoint = RpcEndpoint("cart_pole")
endpoint.serve()

@endpoint.register()
def policy(x: float, x_dot: float, theta: float, theta_dot: float) -> float:
    return 1.0"""
BALANCES = """\
@endpoint.register()      # run while the Rust loop calls it 500 times a second
def policy(x: float, x_dot: float, theta: float, theta_dot: float) -> float:
    force = 1.0 * x + 2.0 * x_dot + 35.0 * theta + 8.0 * theta_dot
    return max(-1.0, min(1.0, force / 10.0))"""
SHOW = "endpoint"
#: What is seen of the page: its width and height, in CSS pixels.
SIZE = (1180, 1080)
#: Pixels of a picture for one of the page's.
SCALE = 2
BEFORE, AFTER, FRAME = 8.0, 8.0, 0.4


def shot(notebook: Notebook) -> bytes:
    """The notebook's cells, down to the view's methods, without the front end around them."""
    box = notebook.page.locator(".jp-WindowedPanel-outer").bounding_box()
    last = notebook.view.locator(".pycrust-legend").bounding_box()
    assert box is not None
    assert last is not None
    height = min(box["height"], last["y"] + last["height"] - box["y"])
    return notebook.page.screenshot(clip={**box, "height": height})


def frames(notebook: Notebook, seconds: float) -> list[bytes]:
    """Pictures of that many seconds, one after the other."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        taken.append(shot(notebook))
        notebook.page.wait_for_timeout(FRAME * 1000)
    return taken


def film(taken: list[bytes], path: Path) -> None:
    """Writes pictures as one that moves, for ever, and stays on its last one for a while."""
    pictures = [Image.open(io.BytesIO(one)).convert("RGB") for one in taken]
    width, height = max(one.width for one in pictures), max(one.height for one in pictures)
    pages = []
    for one in pictures:
        page = Image.new("RGB", (width, height), one.getpixel((0, one.height - 1)))
        page.paste(one)
        pages.append(page.resize((width // SCALE, height // SCALE), Image.Resampling.LANCZOS))
    times = [int(FRAME * 1000)] * (len(pages) - 1) + [3000]
    pages[0].save(path, save_all=True, append_images=pages[1:], duration=times, loop=0, quality=70, method=6)


def main() -> None:
    """Takes the pictures."""
    with tempfile.TemporaryDirectory(prefix="pycrust-pictures-") as scratch:
        os.environ["PYCRUST_RUNTIME_DIR"] = f"{scratch}/runtime"
        # Where that is, is read when it is imported.
        from tests.jupyter.browser.lab import running_lab

        IMAGES.mkdir(exist_ok=True)
        with (
            running_lab(Path(scratch)) as lab,
            lab.opened([FALLS, BALANCES, SHOW], size=SIZE, scale=SCALE) as notebook,
        ):
            notebook.theme("Light")
            notebook.run(0)
            notebook.run(2)
            with subprocess.Popen([LOOP, "--seconds", "600", "--quiet"], stdout=subprocess.DEVNULL) as loop:
                try:
                    notebook.wait(lambda: notebook.tile("calls") > 0, "a rate")
                    notebook.cell(1).locator(".cm-content").click()
                    taken = frames(notebook, BEFORE)
                    notebook.run(1)
                    notebook.wait(lambda: notebook.row("policy").get_attribute("data-version") == "2", "the swap")
                    taken += frames(notebook, AFTER)
                    film(taken, IMAGES / "swap.webp")
                    for theme in ("Light", "Dark"):
                        notebook.theme(theme)
                        notebook.page.locator(
                            f'[data-testid=pycrust-dashboard][data-theme="{theme.lower()}"]'
                        ).wait_for()
                        notebook.page.wait_for_timeout(1_500)  # the chart follows in the next frames
                        (IMAGES / f"swap-{theme.lower()}.png").write_bytes(shot(notebook))
                finally:
                    loop.terminate()
            notebook.execute("endpoint.stop()")


if __name__ == "__main__":
    main()
