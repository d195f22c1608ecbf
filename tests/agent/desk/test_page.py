"""The desk page in a real Chromium, on a real agent and the sandbox service."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, Route, expect

from agent import overview
from agent.journal import JobState
from drivers import steps
from tests.agent.guests import create, job, poll
from tests.agent.unseen import desk_with, drivers, guest_key, keymaking, swiped, table
from tests.agent.vendor import desk_with as ordering_desk
from tests.agent.vendor import drivers as ordering_drivers
from tests.agent.vendor import guest_card, server
from tests.agent.vendor import table as ordering_table
from tests.rig.agent import VIRTUAL, Running, running_agent
from tests.rig.browser import Visit, browser_page
from tests.rig.lies import says
from tests.rig.sandbox import Sandbox, running_sandbox
from tests.rig.scripted import error, lying
from tests.rig.unseen import PUT_A_CARD, SWIPE_TO_VERIFY, SWIPE_TO_WRITE, Card

__all__ = ["drivers", "ordering_drivers"]

pytestmark = pytest.mark.browser

NAME = "Spa and gym card 1"


@pytest.fixture
async def auto(tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Running]:
    """An agent that puts the oldest waiting credential on the next card."""
    async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[VIRTUAL]) as desk:
        await desk.until(lambda: desk.agent.polling.last_pass_at and desk.agent.stations[0].online, "the first pass")
        yield desk


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    async with browser_page() as visit:
        yield visit
        # An agent that stops while its page is open refuses the page's connections: that is no fault of the page.
        assert [complaint for complaint in visit.complaints if "net::ERR_CONNECTION_" not in complaint] == []
        assert visit.hosts == {"127.0.0.1"}


def row(page: Page, lists: str, name: str) -> Locator:
    return page.locator(f"#{lists} .row", has=page.get_by_text(name, exact=True))


def big_line(page: Page) -> Locator:
    return page.locator(".encoder .big")


async def test_a_card_from_the_tray_is_issued_before_the_clerks_eyes(auto: Running, visit: Visit) -> None:
    page = visit.page
    await page.goto(await auto.link())
    await expect(page).to_have_url(f"{auto.url}/")
    await expect(page.locator("#service")).to_have_text("Service connected")
    await expect(big_line(page)).to_have_text("Put a card on the encoder")
    first = await page.locator("#queue .row .name").first.inner_text()
    await page.get_by_role("button", name="Put a fresh card").click()
    await expect(row(page, "recent", first)).to_contain_text("Issued")
    await expect(row(page, "queue", first)).to_have_count(0)
    await expect(big_line(page)).to_have_text("Done – take the card away")
    job = auto.job(first)
    assert job
    assert job.state is JobState.REPORTED
    await page.get_by_role("button", name=re.compile(r"^Take away")).click()
    await expect(big_line(page)).to_have_text("Put a card on the encoder")
    await expect(page.locator(".before")).to_contain_text(first)
    await expect(page.locator("#skipped .row .name", has_text="Spa card of last week")).to_have_count(1)


async def test_a_clerk_asks_holds_cancels_and_scans(desk: Running, visit: Visit) -> None:
    page = visit.page
    await page.goto(await desk.link())
    await expect(big_line(page)).to_have_text("Choose what to encode")

    await row(page, "queue", "Office card 2").get_by_role("button", name=re.compile("Hold")).click()
    await expect(row(page, "held", "Office card 2")).to_be_visible()
    await row(page, "held", "Office card 2").get_by_role("button", name=re.compile("Let it go on")).click()
    await row(page, "queue", "Office card 2").get_by_role("button", name=re.compile("Cancel")).click()
    await page.get_by_role("button", name="Don't encode it").click()
    await expect(row(page, "recent", "Office card 2")).to_contain_text("Not encoded")

    await row(page, "queue", NAME).get_by_role("button", name=re.compile("Encode next")).click()
    await expect(big_line(page)).to_have_text("Put a card on the encoder")
    await expect(page.locator(".encoder .small")).to_have_text(f"Next: {NAME}")
    uid = desk.encoder.put()
    notice = page.locator("#notices .notice", has_text=NAME)
    await expect(notice).to_contain_text("is on its card")
    await notice.get_by_role("button", name="Dismiss").click()
    await expect(notice).to_have_count(0)

    await page.get_by_role("button", name="Scan a card").click()
    await expect(page.locator("#notices .notice.done")).to_contain_text("Match: card and service agree")
    desk.encoder.take()
    desk.encoder.put()
    await page.get_by_role("button", name="Scan a card").click()
    await expect(page.locator("#notices .notice.wait")).to_contain_text("No match: The card is blank.")
    desk.encoder.take()

    await row(page, "recent", NAME).get_by_role("button", name=re.compile("Encode again")).click()
    await page.get_by_role("button", name="Encode again", exact=True).click()
    await expect(page.locator("#question")).to_be_visible()  # not without a reason
    await page.get_by_label("Reason").fill("The door stayed shut")
    await page.keyboard.press("Enter")
    await expect(page.locator("#question")).not_to_be_visible()
    await expect(big_line(page)).to_have_text("Put a card on the encoder")
    desk.encoder.put(uid)
    await expect(page.locator("#notices .notice.done").first).to_contain_text("is on its card")
    picked = [entry for entry in desk.agent.journal.audit() if entry["event"] == "picked"]
    assert picked[-1]["detail"]["reason"] == "The door stayed shut"


async def test_what_the_service_says_is_shown_as_text(desk: Running, sandbox: Sandbox, visit: Visit) -> None:
    evil = '<img src=x onerror="alert(1)">'
    page = visit.page
    await page.goto(await desk.link())
    job = desk.job(NAME)
    assert job
    desk.agent.journal._database.row(
        "UPDATE jobs SET credential = json_set(credential, '$.display_name', ?) WHERE job_id = ?", evil, job.job_id
    )
    desk.agent.events.publish("job")
    await expect(row(page, "queue", evil)).to_be_visible()
    assert await page.locator("#queue img").count() == 0


async def test_the_keyboard_is_enough(desk: Running, visit: Visit) -> None:
    page = visit.page
    await page.goto(await desk.link())
    button = row(page, "queue", NAME).get_by_role("button", name=re.compile("Encode next"))
    await button.focus()
    desk.agent.events.publish("job")
    await page.wait_for_timeout(200)
    await expect(button).to_be_focused()  # a refresh doesn't take the focus away
    await page.keyboard.press("Tab")
    await expect(row(page, "queue", NAME).get_by_role("button", name=re.compile("Hold"))).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(row(page, "held", NAME)).to_be_visible()


async def test_the_page_says_that_the_agent_is_gone(tmp_path: Path, sandbox: Sandbox) -> None:
    async with browser_page() as visit:
        async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[VIRTUAL]) as desk:
            await visit.page.goto(await desk.link())
            await expect(big_line(visit.page)).to_be_visible()
            await expect(visit.page.locator("#lost")).not_to_be_visible()
        await expect(visit.page.locator("#lost")).to_contain_text("The agent doesn't answer")


async def test_trouble_comes_with_the_next_step(auto: Running, visit: Visit) -> None:
    page = visit.page
    await page.goto(await auto.link())
    await expect(big_line(page)).to_have_text("Put a card on the encoder")
    auto.encoder.fail_next("locked")
    auto.encoder.put()
    await expect(big_line(page)).to_have_text("Trouble: The card refuses to be written: it is locked.")
    await expect(page.locator(".encoder .small")).to_contain_text("Take another card.")
    await page.get_by_role("button", name="Write over the card").click()
    await page.get_by_role("button", name="Write over it").click()  # the fault is gone: a person's word is enough
    await expect(page.locator("#notices .notice.done")).to_contain_text("is on its card")
    auto.encoder.take()
    await expect(big_line(page)).to_have_text("Put a card on the encoder")

    auto.encoder.fail_next("torn")
    await auto.event("outcome", auto.encoder.put)
    (torn,) = (card["uid"] for card in auto.encoder.tray() if card["state"] == "torn")
    auto.encoder.take()
    await expect(big_line(page)).to_have_text("Trouble: put the same card back")
    await expect(page.locator(".encoder .small")).to_contain_text(torn)
    auto.encoder.put(torn)
    await expect(big_line(page)).to_have_text("Done – take the card away")


async def test_reports_wait_for_the_service(tmp_path: Path, visit: Visit) -> None:
    page = visit.page
    with ExitStack() as service:
        sandbox = service.enter_context(running_sandbox(cards=3))
        async with running_agent(tmp_path, sandbox.url, sandbox.key, encoders=[VIRTUAL]) as desk:
            await page.goto(await desk.link())
            await expect(big_line(page)).to_have_text("Put a card on the encoder")
            await asyncio.to_thread(service.close)
            await expect(page.locator("#service")).to_have_text("Service out of reach – reports wait here")
            desk.encoder.put()
            await expect(page.locator("#reports .row")).to_contain_text("Being sent")
            await expect(page.locator("#reports .row")).to_contain_text("again")
            await expect(big_line(page)).to_have_text("Done – take the card away")


@pytest.mark.promise(7)
async def test_a_card_that_is_out_is_shown_until_it_is_back(tmp_path: Path, sandbox: Sandbox, visit: Visit) -> None:
    page = visit.page
    async with lying(sandbox.url) as liar, running_agent(tmp_path, liar.front.url, sandbox.key) as desk:
        liar.lie("request.report", says((404, error("acs_credential_not_found"))), times=1)
        await page.goto(await desk.link())
        await expect(big_line(page)).to_have_text("Put a card on the encoder")
        first = await page.locator("#queue .row .name").first.inner_text()
        gone = desk.job(first)
        assert gone is not None
        uid = desk.encoder.put()
        out = row(page, "out", first)
        await expect(out).to_contain_text("Take the card back")
        await expect(out).to_contain_text(f"Take card {uid} back, then say so")
        desk.encoder.take()
        with sandbox.client() as service:  # it is gone in earnest: else it would come again, and be the next one
            service.post("/acs/credentials/delete", json={"acs_credential_id": gone.acs_credential_id})
        await desk.agent.polling.poll_once()
        await expect(page.locator("#queue .row .name").filter(has_text=first)).to_have_count(0)
        liar.lie("request.report", says((400, error("invalid_input"))), times=1)
        await desk.until(lambda: not desk.agent.stations[0].card_here, "the card to be gone")
        second = await page.locator("#queue .row .name").first.inner_text()
        desk.encoder.put()
        await expect(row(page, "out", second)).to_contain_text("Report refused")
        await expect(page.locator("#out-count")).to_have_text("2")
        await row(page, "out", second).get_by_role("button", name=re.compile("Send again")).click()
        await expect(row(page, "recent", second)).to_contain_text("Issued")
        await out.get_by_role("button", name=re.compile("Card is back")).click()
        await page.get_by_role("button", name="It is back").click()
        await expect(page.locator("#out-part")).not_to_be_visible()
        # By its job: a poll between the refused report and the deletion takes the credential in once more.
        await expect(page.locator(f'#recent .row[data-key="{gone.job_id}"]')).to_contain_text("Seen to")


@pytest.mark.promise(7)
async def test_an_encoder_that_hangs(auto: Running, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "SILENT_S", 0.0)
    await visit.page.goto(await auto.link())
    await expect(big_line(visit.page)).to_have_text("Put a card on the encoder")
    let_go = threading.Event()

    def hang(name: str, _: steps.Phase) -> None:
        if name == "card.exchange":
            let_go.wait(60)

    steps.observe(hang)
    try:
        auto.encoder.put()
        await expect(big_line(visit.page)).to_have_text("Trouble: the encoder gives no sign of life")
        await expect(visit.page.locator(".encoder .small")).to_contain_text("unplug the encoder")
    finally:
        steps.observe()
        let_go.set()
    await expect(big_line(visit.page)).to_have_text("Done – take the card away")


@pytest.fixture
def empty() -> Iterator[Sandbox]:
    """A service without guests."""
    with running_sandbox(cards=0) as sandbox:
        with sandbox.client() as service:
            for credential in service.post("/acs/credentials/list", json={}).json()["acs_credentials"]:
                service.post("/acs/credentials/delete", json={"acs_credential_id": credential["acs_credential_id"]})
        yield sandbox


@pytest.mark.usefixtures("drivers")
async def test_a_vendors_encoder_asks_for_its_card_on_the_page(tmp_path: Path, empty: Sandbox, visit: Visit) -> None:
    page = visit.page
    with empty.client() as service:
        guest_key(service, "1001")
    async with desk_with(tmp_path, empty, table("keymaking")) as desk:
        await page.goto(await desk.link())
        await expect(big_line(page)).to_have_text(PUT_A_CARD)
        # Nobody has come yet: it may still be taken out of the encoder's hands.
        await page.locator("#queue .row").get_by_role("button", name=re.compile("Hold")).click()
        await expect(page.locator("#held .row")).to_be_visible()
        await expect(big_line(page)).to_have_text("Ready")
        await page.locator("#held .row").get_by_role("button", name=re.compile("Let it go on")).click()
        await expect(big_line(page)).to_have_text(PUT_A_CARD)
        keymaking(desk).faults.append("lost")
        keymaking(desk).bring(card := Card())
        await expect(page.locator(".encoder .small")).to_contain_text("whether the key was made")
        await expect(page.locator(".encoder .small")).not_to_contain_text("card :")
        keymaking(desk).bring(card)
        await expect(page.locator("#recent .row")).to_contain_text("Issued")
        await expect(page.locator("body")).not_to_contain_text("take the card away")


@pytest.mark.usefixtures("ordering_drivers")
async def test_an_order_without_an_answer_is_for_a_person(tmp_path: Path, empty: Sandbox, visit: Visit) -> None:
    page = visit.page
    with empty.client() as guests:
        credential = guest_card(guests)
    async with ordering_desk(tmp_path, empty, ordering_table("native", recalls=False)) as desk:
        await poll(desk)
        server().faults.append("unanswered")
        await page.goto(await desk.link())
        name = str(job(desk, credential).credential["display_name"])
        await row(page, "queue", name).get_by_role("button", name=re.compile("Encode next")).click()
        shown = row(page, "queue", name)
        await expect(shown).to_contain_text("The server did not answer.")
        await shown.get_by_role("button", name=re.compile("Try again")).click()
        await expect(page.locator("#notices")).to_contain_text("whether it was made is not known")
        assert server().overrides == 1
        await shown.get_by_role("button", name=re.compile("Order it once more")).click()
        await expect(page.get_by_role("dialog")).to_contain_text("in the vendor's system, whether it was made")
        await page.get_by_role("dialog").get_by_role("button", name="Order it once more").click()
        await expect(row(page, "recent", name)).to_contain_text("Issued")
        assert server().overrides == 2


@pytest.mark.usefixtures("drivers")
async def test_a_state_that_comes_late_does_not_hide_what_is_asked_for(
    tmp_path: Path, empty: Sandbox, visit: Visit
) -> None:
    """The state was made up before the encoder asked for the card, and reaches the page after that."""
    page = visit.page
    with empty.client() as service:
        create(service, "1001")
    async with desk_with(tmp_path, empty, table("swiped")) as desk:
        station, late, again = desk.agent.stations[0], asyncio.Event(), asyncio.Event()

        async def state(route: Route) -> None:
            response = await route.fetch()
            answer = await response.json()
            (encoder,) = answer["encoders"]
            if late.is_set():
                again.set()
            elif encoder["prompt"]:
                encoder |= {"prompt": "", "progress": None}
                assert station.job
                assert station.progress
                station.note_progress(station.job, station.progress)
                await expect(big_line(page)).to_have_text(SWIPE_TO_WRITE)
                late.set()
            await route.fulfill(response=response, json=answer)

        await poll(desk)
        await page.goto(await desk.link())
        await expect(big_line(page)).to_have_text("Swipe a card")
        await page.route("**/api/state*", state)
        swiped(desk).bring(Card())
        await asyncio.wait_for(again.wait(), 10)
        await expect(big_line(page)).to_have_text(SWIPE_TO_WRITE)
        await page.unroute_all(behavior="wait")
        swiped(desk).bring(Card(), times=2)


@pytest.mark.usefixtures("drivers")
async def test_a_stripe_is_swiped_again_when_the_page_says_so(tmp_path: Path, empty: Sandbox, visit: Visit) -> None:
    page = visit.page
    with empty.client() as service:
        create(service, "1001")
    async with desk_with(tmp_path, empty, table("swiped")) as desk:
        await poll(desk)
        await page.goto(await desk.link())
        await expect(big_line(page)).to_have_text("Swipe a card")
        await expect(page.locator(".encoder .small")).to_contain_text("Next:")
        foreign = Card(foreign=True)
        swiped(desk).bring(foreign)
        await expect(big_line(page)).to_contain_text("Trouble: The card holds something")
        await expect(page.get_by_role("button", name="Write over the card")).to_be_visible()
        stripe = Card()
        swiped(desk).bring(stripe)
        await expect(big_line(page)).to_have_text(SWIPE_TO_WRITE)
        await expect(page.locator("#queue .row").get_by_role("button")).to_have_count(0)
        swiped(desk).bring(stripe)
        await expect(big_line(page)).to_have_text(SWIPE_TO_VERIFY)
        swiped(desk).bring(Card())  # another one
        await expect(big_line(page)).to_have_text("Trouble: swipe the same card again")
        await expect(page.locator(".encoder .small")).to_contain_text("What was swiped last")
        swiped(desk).bring(stripe)
        await expect(page.locator("#recent .row")).to_contain_text("Issued")
        await page.get_by_role("button", name="Scan a card").click()
        await expect(big_line(page)).to_contain_text("to be read")
        swiped(desk).bring(stripe)
        await expect(page.locator("#notices .notice.done")).to_contain_text("Match")
        await expect(page.locator("body")).not_to_contain_text("take the card away")
