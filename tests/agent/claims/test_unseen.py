"""Desks that share a system, whose encoders see no cards."""

from __future__ import annotations

import httpx
import pytest

from agent.journal import JobState
from tests.agent.claims.two_desks import Desks, agreed, desks, sandbox, service
from tests.agent.guests import change_access, create, job, poll
from tests.agent.unseen import drivers, guest_key, keymaking, refused, swiped, table
from tests.rig.lied_to import applied
from tests.rig.unseen import Card

__all__ = ["desks", "drivers", "sandbox", "service"]
pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("drivers")]


@pytest.mark.promise(4)
async def test_a_key_is_made_and_made_anew_at_one_desk_only(desks: Desks, service: httpx.Client) -> None:
    """It may go on any card, so that no desk is the only one that can have it."""
    encoder = table("keymaking", hopper=True)
    async with desks.running("one", encoder) as one, desks.running("two", encoder) as two:
        await agreed(one)
        await agreed(two)
        credential = guest_key(service, "1001")

        def made() -> int:
            return len(keymaking(one).made) + len(keymaking(two).made)

        async def known_as(events: list[str]) -> None:
            await poll(one)
            await poll(two)
            await desks.until(lambda _: applied(service, credential) == events)
            await poll(one)
            await poll(two)

        await known_as(["acs_credential.issued"])
        assert made() == 1
        for times in (1, 2, 3):
            change_access(service, credential)
            await known_as(["acs_credential.issued"] + ["acs_credential.reissued"] * times)
            assert made() == 1 + times


@pytest.mark.promise(4, 5)
async def test_a_stripe_that_was_begun_is_not_free_for_another_desk(desks: Desks, service: httpx.Client) -> None:
    async with (
        desks.running("one", table("swiped")) as one,
        desks.running("two", table("swiped", mode="attended")) as two,
    ):
        await agreed(two)
        await agreed(one)
        credential = create(service, "1001")
        await poll(one)
        await one.until(lambda: job(one, credential).state is JobState.CLAIMED, "the claim")
        swiped(one).faults.append("torn")
        await refused(one, lambda: swiped(one).bring(Card(), 2))
        await one.until(lambda: one.agent.stations[0].job is None, "the encoder to be free")
        one.agent.operations.hold(job(one, credential).job_id, who="me")
        await desks.until(lambda rows: rows[credential]["standing"] == "begun")
        await poll(two)
        swiped(two).bring(Card())
        attempt = two.agent.operations.encode(credential, encoder=None, who="me")
        await attempt.over.wait()
        assert attempt.error is not None
        assert attempt.error.type == "credential_cannot_be_reissued"
        assert "has begun to write its card" in attempt.error.message
