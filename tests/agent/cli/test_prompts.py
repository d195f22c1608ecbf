"""What an encoder asks of the person at the desk, in the terminal of whoever waits for the card."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from agent.cli.following import follow
from agent.cli.output import Output
from agent.control import Control
from tests.agent.cli.program import answer_of, card_encoder
from tests.agent.guests import create, poll, sandbox, service
from tests.agent.unseen import desk_with, drivers, guest_key, keymaking, swiped, table
from tests.rig.agent import Running
from tests.rig.sandbox import Sandbox
from tests.rig.unseen import PUT_A_CARD, SWIPE_TO_VERIFY, SWIPE_TO_WRITE, Card

__all__ = ["drivers", "sandbox", "service"]
pytestmark = pytest.mark.usefixtures("drivers")


def configured(desk: Running) -> Path:
    path = desk.folder / "config.toml"
    endpoint, socket = desk.agent.service._config.endpoint, desk.folder / "control.sock"
    path.write_text(f'[service]\nendpoint = "{endpoint}"\n[desk]\nsocket = "{socket}"\n')
    return path


async def asked(desk: Running, prompt: str) -> None:
    await desk.until(lambda: desk.agent.stations[0].prompt == prompt, prompt)


async def test_each_is_told_once_while_the_command_waits(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("swiped", mode="attended")) as desk:
        credential, stripe = create(service, "1001"), Card()
        await poll(desk)
        run = asyncio.create_task(asyncio.to_thread(card_encoder, "--config", configured(desk), "encode", credential))
        await desk.until(lambda: (job := desk.agent.journal.open_job(credential)) and job.picked, "the wish")
        for prompt in (SWIPE_TO_WRITE, SWIPE_TO_VERIFY):
            swiped(desk).bring(stripe)
            await asked(desk, prompt)
        swiped(desk).bring(stripe)
        done = await run
        assert done.returncode == 0
        assert "is on its card, and verified." in done.stdout
        for prompt in (SWIPE_TO_WRITE, SWIPE_TO_VERIFY):
            assert done.stderr.splitlines().count(prompt) <= 1


async def test_what_was_asked_before_anybody_listened_is_told_too(
    tmp_path: Path, sandbox: Sandbox, service: httpx.Client
) -> None:
    async with desk_with(tmp_path, sandbox, table("keymaking", mode="attended")) as desk:
        credential, other = guest_key(service, "1001"), guest_key(service, "1002")
        await poll(desk)
        socket = desk.folder / "control.sock"
        told: list[str] = []
        output = Output(as_json=False)
        output.note = told.append  # type: ignore[method-assign]

        def encode() -> dict[str, object]:
            with Control(socket) as control:
                return follow(control, output, "/api/encode", acs_credential_id=credential, who="me")

        run = asyncio.create_task(asyncio.to_thread(encode))
        await asked(desk, PUT_A_CARD)
        while PUT_A_CARD not in told:
            await asyncio.sleep(0.01)
        keymaking(desk).bring(Card())
        await run
        assert told == ["Put the card on the encoder.", PUT_A_CARD]
        assert desk.agent.journal.open_job(other) is not None


async def test_status_says_what_an_encoder_waits_for(tmp_path: Path, sandbox: Sandbox, service: httpx.Client) -> None:
    async with desk_with(tmp_path, sandbox, table("keymaking")) as desk:
        guest_key(service, "1001")
        await poll(desk)
        await asked(desk, PUT_A_CARD)
        config = configured(desk)
        shown = await asyncio.to_thread(card_encoder, "--config", config, "encoders")
        assert f": {PUT_A_CARD}" in shown.stdout
        answer = answer_of(await asyncio.to_thread(card_encoder, "--json", "--config", config, "encoders"))
        assert answer["encoders"][0]["prompt"] == PUT_A_CARD
        keymaking(desk).bring(Card())
