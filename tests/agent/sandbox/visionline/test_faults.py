from __future__ import annotations

import asyncio

import pytest

from agent.sandbox.visionline.faults import STEPS, Fault, Faults, Incident


def test_a_fault_strikes_the_step_that_it_is_for_once() -> None:
    faults = Faults()
    incident = faults.add("order", Fault.DROPPED)
    assert faults.strike("find") is None
    assert not incident.struck.is_set()
    assert faults.strike("order") is incident
    assert incident.struck.is_set()
    assert faults.strike("order") is None


def test_faults_strike_in_the_order_in_which_they_were_asked_for() -> None:
    faults = Faults()
    first, look, second = (faults.add(step, Fault.DROPPED) for step in ("find", "look", "any"))
    assert [faults.strike("find") for _ in range(4)] == [first, look, second, None]


def test_a_fault_may_strike_more_than_once_or_until_it_is_cleared() -> None:
    faults = Faults()
    twice = faults.add("order", Fault.DROPPED, 2)
    always = faults.add("any", Fault.DROPPED, None)
    assert [faults.strike("order") for _ in range(4)] == [twice, twice, always, always]
    faults.clear()
    assert faults.strike("order") is None


def test_a_step_that_does_not_exist_is_no_step() -> None:
    with pytest.raises(KeyError):
        Faults().add("orders", Fault.DROPPED)
    assert set(STEPS["any"]) == set(STEPS) - {"look", "any"}


async def test_what_is_held_is_let_go_when_it_is_released() -> None:
    incident = Incident(Fault.HELD_BEFORE)
    held = asyncio.create_task(incident.is_released())
    await asyncio.sleep(0)
    assert not held.done()
    await asyncio.to_thread(incident.release)
    assert await held
    assert await incident.is_released()


async def test_what_is_held_is_abandoned_when_all_is_closed() -> None:
    faults = Faults()
    incident = faults.add("order", Fault.HELD_BEFORE)
    held = asyncio.create_task(incident.is_released())
    await asyncio.sleep(0)
    faults.close()
    assert not await held
    incident.release()
    assert not await incident.is_released()


async def test_what_was_met_before_is_let_go_by_clearing() -> None:
    faults = Faults()
    incident = faults.add("order", Fault.LATE)
    faults.strike("order")
    held = asyncio.create_task(incident.is_released())
    await asyncio.sleep(0)
    faults.clear()
    assert await held


async def test_whoever_waits_for_a_client_to_go_waits_no_longer_then() -> None:
    async def gone() -> None: ...

    assert not await Incident(Fault.NO_ANSWER).is_released(gone())
