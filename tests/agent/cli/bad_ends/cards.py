"""Bad ends that a card brings about: the wrong one, one that can't be written, one that leaves too soon."""

from __future__ import annotations

from agent.journal import JobState
from drivers import steps
from drivers.virtual.cards import VirtualType2
from tests.agent.cli.bad_ends.desk import BadEnd, Desk
from tests.agent.cli.bad_ends.words import ANOTHER, ITS_CARD, ITS_JOB, ONE_HELD
from tests.agent.guests import change_access, delete
from tests.rig.agent import VIRTUAL
from tests.rig.lies import says

NEVER = VIRTUAL | {"overwrite": "never"}
WIEGAND = VIRTUAL | {"options": {"feed": "manual", "layout": "wiegand", "wiegand": {"facility_code": 7}}}


async def torn(desk: Desk) -> str:
    return await desk.torn()


async def another_card_for_a_torn_one(desk: Desk) -> str:
    made = await desk.torn()
    torn = desk.uid
    await desk.put()
    desk.uid = torn
    return made


async def given_up(desk: Desk) -> str:
    made = await desk.torn()
    operations = desk.running.agent.operations
    operations.reencode(made, reason="it is in the river", encoder=None, who="cli:me", replace_card=True)
    await desk.stands(made, JobState.CLAIMED)
    await desk.running.until(lambda: desk.job(made).picked, "the wish")
    return made


async def live_credential(desk: Desk) -> str:
    await desk.issued()
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def foreign(desk: Desk) -> str:
    made = await desk.credential()
    uid = desk.running.encoder._tray.new("NTAG213")
    card = desk.running.encoder.card(uid)
    assert isinstance(card, VirtualType2)
    card.memory[16:32] = bytes.fromhex("030cd1010855016e66632e636f6dfe00")  # a web address
    await desk.put(uid)
    return made


async def not_blank(desk: Desk) -> str:
    gone = await desk.issued()
    delete(desk.guests, gone)
    await desk.comes(lambda: not desk.running.agent.journal.cards_of(gone))
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def other_card(desk: Desk) -> str:
    made = await desk.issued()
    change_access(desk.guests, made)
    await desk.stands(made, JobState.CLAIMED)
    await desk.put()
    return made


async def just_written(desk: Desk) -> str:
    await desk.issued()
    await desk.end()
    await desk.start()
    made = await desk.credential()
    await desk.put(desk.uid)
    return made


async def unknown_holder(desk: Desk) -> str:
    await desk.issued()
    made = await desk.credential()
    for operation in ("request.list", "request.get"):
        desk.liar.lie(operation, says((503, b"")))
    await desk.put(desk.uid)
    await desk.comes(lambda: desk.running.agent.polling.service_up is False)
    return made


async def locked(desk: Desk) -> str:
    made = await desk.credential()
    desk.running.encoder.fail_next("locked")
    await desk.put()
    return made


async def number_does_not_fit(desk: Desk) -> str:
    made = await desk.credential()
    await desk.put()
    await desk.stands(made, JobState.HELD)
    return made


async def taken_away_too_soon(desk: Desk) -> str:
    made = await desk.credential()
    encoder = desk.running.encoder
    steps.observe(lambda name, phase: encoder.take() if name == "journal.bind_card" and phase == "after" else None)
    desk.later.callback(steps.observe)
    await desk.put()
    return made


CASES: list[BadEnd] = [
    BadEnd(
        "torn",
        torn,
        queue=("while it was being written.", "Next: Put card {uid} back on encoder 'Desk': it is read", ANOTHER),
        status=("1 card was interrupted while it was written. Put each back on its encoder", "1 writing"),
        audit=("Writing was interrupted: what the card holds is unknown.", ITS_CARD),
        ends_in=("writing", "encoding_interrupted", "interrupted"),
    ),
    BadEnd(
        "another card than the torn one",
        another_card_for_a_torn_one,
        queue=("Writing card {uid} was interrupted, and this is another card.", "Next: Put card {uid} back", ANOTHER),
        status=("1 card was interrupted",),
        audit=("The card was refused before anything was written. Writing card {uid} was interrupted", ITS_JOB),
        ends_in=("writing", "card_refused"),
    ),
    BadEnd(
        "the torn card given up",
        given_up,
        queue=("Its first card was given up. Put another card on the encoder.",),
        status=("1 claimed",),
        audit=("cli:me gave its card up, which is void now", "Reason: it is in the river. " + ITS_JOB),
        ends_in=("claimed", "card_given_up", "picked"),
    ),
    BadEnd(
        "a card with a live credential",
        live_credential,
        queue=("The card holds a live credential. Take another card, or confirm at the desk",),
        status=("Desk: {name} was not written on this card. The card holds a live credential. Take another card",),
        audit=("Nothing was written that counts. The card holds a live credential. Take another card", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card with foreign content",
        foreign,
        queue=("The card holds something that this agent did not write and can't read. Take another card",),
        status=("was not written on this card. The card holds something", "Take another card"),
        audit=("The card holds something that this agent did not write and can't read.", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card that is not blank",
        not_blank,
        queue=("The card is not blank, and this encoder is configured to write blank cards only. Take a blank card.",),
        status=("The card is not blank", "Take a blank card."),
        audit=("The card is not blank", ITS_CARD, "any card that was made for it here is void"),
        ends_in=("claimed", "incompatible_card_format", "cards_voided"),
        encoder=NEVER,
    ),
    BadEnd(
        "another card than its own",
        other_card,
        queue=(
            "This credential was written to another card. Put the credential's own card on the encoder",
            ANOTHER[:40],
        ),
        status=("1 claimed",),
        audit=("Nothing was written that counts. This credential was written to another card.", ITS_CARD),
        ends_in=("claimed", "credential_cannot_be_reissued", "not_written"),
    ),
    BadEnd(
        "a card that was just written",
        just_written,
        queue=("This card was just written. Take it away first",),
        status=("was not written on this card. This card was just written. Take it away first",),
        audit=("The card was refused before anything was written. This card was just written.", "card {uid}"),
        ends_in=("claimed", "incompatible_card_format", "card_refused"),
        encoder=VIRTUAL | {"options": {"feed": "manual", "cards_file": "{folder}/cards"}},
    ),
    BadEnd(
        "a card of which nobody can tell",
        unknown_holder,
        queue=("The card is not blank, and the service can't be asked", "Take a blank card, or try this one again"),
        status=("OUT OF REACH", "The card is not blank, and the service can't be asked"),
        audit=("Nothing was written that counts. The card is not blank", ITS_CARD),
        ends_in=("claimed", "bridge_disconnected"),
    ),
    BadEnd(
        "a locked card",
        locked,
        queue=("The card refuses to be written: it is locked. Take another card.",),
        status=(
            "{name} was not written on this card. The card refuses to be written: it is locked. Take another card.",
        ),
        audit=("The card refuses to be written: it is locked.", ITS_CARD),
        ends_in=("claimed", "incompatible_card_format", "not_written"),
    ),
    BadEnd(
        "a card that left before it was written",
        taken_away_too_soon,
        queue=("Put a card on the encoder and try again.",),
        status=("1 claimed",),
        audit=("Nothing was written that counts.", ITS_CARD),
        ends_in=("claimed", "no_credential_on_encoder", "not_written"),
    ),
    BadEnd(
        "a number that doesn't fit",
        number_does_not_fit,
        queue=(
            "Next: Correct the card number at the service, or the encoder's layout; then `card-encoder resume {job}`.",
        ),
        status=(ONE_HELD,),
        audit=("Held for a person: its number can't be written in the encoder's layout.", ITS_JOB),
        ends_in=("held", "number_does_not_fit"),
        encoder=WIEGAND,
    ),
]
