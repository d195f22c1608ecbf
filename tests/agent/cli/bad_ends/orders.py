"""Bad ends that a vendor's server brings about by what it makes of an order: it doesn't say, or it won't."""

from __future__ import annotations

from agent.journal import JobState
from tests.agent.cli.bad_ends.desk import SECRET, BadEnd, Desk
from tests.agent.cli.bad_ends.words import ANOTHER, ITS_CARD, ONE_HELD
from tests.agent.vendor import encoder_of, guest_card, new_chip, put, server, table


async def _begun(desk: Desk) -> str:
    """A card was put down for a credential that the vendor alone can make, and the encoder is through with it."""
    made = guest_card(desk.guests, f"{SECRET}-1")
    await desk.stands(made, JobState.CLAIMED)
    station = desk.running.agent.stations[0]
    desk.uid = put(desk.running, new_chip()).uid
    await desk.running.until(lambda: station.last_outcome and station.job is None, "an outcome")
    return made


async def unanswered(desk: Desk) -> str:
    server().faults.append("unanswered")
    return await _begun(desk)


async def torn(desk: Desk) -> str:
    encoder_of(desk.running).faults.extend(["torn"] * 3)
    return await _begun(desk)


async def unfit(desk: Desk) -> str:
    server().faults.append("unfit")
    return await _begun(desk)


CASES: list[BadEnd] = [
    BadEnd(
        "an order without an answer",
        unanswered,
        queue=(
            "The server did not answer.",
            "Next: With card {uid} on encoder 'Desk', `card-encoder encode {id}` has the vendor's system asked what "
            "became of it.",
            "with --overwrite it is ordered once more, which voids what came of the first order",
            ANOTHER,
        ),
        status=("1 key was ordered, and no answer came. Whether each was made is not known.", "1 writing"),
        audit=("Its key is being ordered of the vendor's system", "The server did not answer.", ITS_CARD),
        ends_in=("writing", "order_unknown", "ordering", "interrupted"),
        encoder=table("carded"),
    ),
    BadEnd(
        "a torn card for which a key was made",
        torn,
        queue=("while it was written", "Next: Put card {uid} back on encoder 'Desk': it is read", ANOTHER),
        status=("1 card was interrupted while it was written.",),
        audit=("The vendor's system has answered the order, and has it as its card k1.", ITS_CARD),
        ends_in=("writing", "encoding_interrupted", "ordered", "interrupted"),
        encoder=table("carded"),
    ),
    BadEnd(
        "an order that the vendor can't carry out",
        unfit,
        queue=(
            "The vendor's server knows no such door.",
            "Next: Correct its entrances or its times at the service; then `card-encoder resume {job}`.",
        ),
        status=(ONE_HELD,),
        audit=(
            "The vendor's system did not carry the order out.",
            "Held for a person: the encoder can't make such a key.",
            ITS_CARD,
        ),
        ends_in=("held", "order_does_not_fit", "order_refused"),
        encoder=table("carded"),
    ),
]
