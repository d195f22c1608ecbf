"""Takes the README's picture of the desk page: `python -m tests.rig.screenshot` writes docs/desk.png."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import expect

from drivers.encoder import Stage
from tests.rig.agent import running_agent
from tests.rig.browser import browser_page
from tests.rig.sandbox import running_sandbox

PICTURE = Path(__file__).parents[2] / "docs" / "desk.png"
FINISHED = 3
ENCODER = {"name": "Front desk", "driver": "virtual", "options": {"feed": "manual", "pace_ms": 60}}


async def main() -> None:
    """A morning at the hotel: some cards done, one being written, others waiting, on hold and left out."""
    with tempfile.TemporaryDirectory() as folder, running_sandbox(cards=7) as sandbox:
        async with running_agent(Path(folder), sandbox.url, sandbox.key, encoders=[ENCODER]) as desk:
            await desk.until(lambda: desk.agent.polling.last_pass_at, "the first pass")
            for _ in range(FINISHED):
                await desk.event("report", desk.encoder.put)
                desk.encoder.take()
                await desk.until(lambda: not desk.agent.stations[0].card_here, "the card's removal")
            async with browser_page(width=1240, height=955) as visit:
                await visit.page.goto(await desk.link())
                await expect(visit.page.locator("#recent .row")).to_have_count(FINISHED)
                desk.encoder.put()
                await desk.until(lambda: _is_writing(desk.agent.stations[0].progress), "the third page")
                await expect(visit.page.locator(".encoder.busy .big")).to_contain_text("Writing")
                PICTURE.parent.mkdir(exist_ok=True)
                await visit.page.screenshot(path=PICTURE)


def _is_writing(step: object) -> bool:
    return getattr(step, "stage", None) is Stage.WRITING and getattr(step, "done", 0) >= 3


if __name__ == "__main__":
    asyncio.run(main())
