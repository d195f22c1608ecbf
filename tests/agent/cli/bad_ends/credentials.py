"""Bad ends that a credential brings about by what the service has on it: errors, an end, a deletion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from agent import clock
from agent.journal import JobState
from tests.agent.cli.bad_ends.desk import SECRET, BadEnd, Desk, listing
from tests.agent.cli.bad_ends.words import ITS_CARD, ITS_JOB, ONE_HELD, ONE_TO_TAKE_BACK, TAKE_BACK
from tests.agent.guests import delete

SETTLE = (
    "Next: Settle it at the service: the job then goes on by itself. To encode it all the same: "
    "`card-encoder resume {job}`."
)


def listed(state: JobState, code: str, **changes: Any) -> Callable[[Desk], Awaitable[str]]:
    """The service lists a credential so."""

    async def come(desk: Desk) -> str:
        desk.lie_about(**changes)
        made = await desk.credential(state)
        await desk.stands(made, state, code)
        return made

    return come


async def joins(desk: Desk) -> str:
    erring = {"errors": [{"error_code": "some_error", "message": ""}]}
    desk.lie_about(**erring)
    first = await desk.credential(JobState.HELD)
    joined = {"errors": [], "visionline_metadata": {"joiner_acs_credential_ids": [first]}}
    desk.liar.lie(
        "request.list",
        listing(lambda found: [c | (erring if c["acs_credential_id"] == first else joined) for c in found]),
    )
    made = await desk.credential()
    await desk.comes(lambda: desk.running.agent.journal.joins_pending(desk.job(made)))
    return made


async def unreadable(desk: Desk) -> None:
    desk.liar.lie("request.list", listing(lambda found: [*found, {"name": "nobody"}]))
    await desk.comes(lambda: desk.running.agent.polling.unreadable)


def soon() -> str:
    return clock.to_text(clock.now() + timedelta(seconds=1.5))


async def expired(desk: Desk) -> str:
    made = await desk.credential(ends_at=soon())
    await desk.stands(made, JobState.CANCELLED)
    await desk.comes(lambda: list(desk.running.agent.polling.remarks))
    return made


async def expired_torn(desk: Desk) -> str:
    made = await desk.torn(ends_at=soon())
    await desk.stands(made, JobState.CANCELLED)
    return made


async def deleted(desk: Desk) -> str:
    made = await desk.credential()
    delete(desk.guests, made)
    await desk.stands(made, JobState.CANCELLED)
    return made


async def deleted_torn(desk: Desk) -> str:
    made = await desk.torn()
    delete(desk.guests, made)
    await desk.stands(made, JobState.CANCELLED)
    return made


async def being_deleted(desk: Desk) -> str:
    made = await desk.credential()
    desk.lie_about(warnings=[{"warning_code": "being_deleted", "message": ""}])
    await desk.stands(made, JobState.CANCELLED)
    return made


async def made_elsewhere(desk: Desk) -> str:
    made = await desk.credential()
    body = {"acs_credential_id": made, "card_number": f"{SECRET}-0001", "issued_at": clock.now_text()}
    desk.guests.post("/acs/credentials/report_issued", json=body, headers={"idempotency-key": made})
    await desk.stands(made, JobState.CANCELLED)
    return made


def held(name: str, code: str, shown: str, why: str, **changes: Any) -> BadEnd:
    """The service lists a credential so, and that is for a person to settle."""
    return BadEnd(
        name,
        listed(JobState.HELD, code, **changes),
        queue=("Job {job}, {name}", shown, SETTLE),
        status=(ONE_HELD,),
        audit=(f"Held for a person: {why}. {ITS_JOB}",),
        ends_in=("held", code),
    )


CASES: list[BadEnd] = [
    held(
        "errors",
        "errors",
        "The service reports errors on it: failed_to_issue.",
        "the service reports errors on it",
        errors=[{"error_code": "failed_to_issue", "message": ""}],
    ),
    held(
        "an unknown issue",
        "unknown_issue_with_acs_credential",
        "The service reports an unknown issue with it.",
        "the service reports an unknown issue with it",
        warnings=[{"warning_code": "unknown_issue_with_acs_credential", "message": ""}],
    ),
    held(
        "not valid in Visionline",
        "visionline_invalid",
        "Visionline says that it is not valid.",
        "Visionline says that it is not valid",
        visionline_metadata={"is_valid": False},
    ),
    BadEnd(
        "malformed",
        listed(JobState.HELD, "malformed", ends_at=7),
        queue=("The service's data on it can't be read", "Next: Tell whoever runs the credential service"),
        status=(ONE_HELD,),
        audit=(f"Held for a person: the service's data on it can't be read. {ITS_JOB}",),
        ends_in=("held", "malformed"),
    ),
    BadEnd(
        "without an id",
        unreadable,
        queue=("1 credential of the service can't be read at all. Tell whoever runs the credential service.",),
        status=("1 credentials can't be read", "1 credential of the service can't be read at all."),
    ),
    BadEnd(
        "not yet at the provider",
        listed(JobState.WAITING, "not_synced", is_latest_desired_state_synced_with_provider=False),
        queue=("Its latest state has not reached the provider yet. It is encoded when the provider has it.",),
        status=("1 waiting",),
        ends_in=("waiting", "not_synced"),
    ),
    BadEnd(
        "no encoder for it",
        listed(JobState.WAITING, "no_encoder_for_it", external_type="visionline_card"),
        queue=("No encoder configured at this desk can write Visionline card data. Encode it at a desk that has such",),
        status=("1 waiting",),
        ends_in=("waiting", "no_encoder_for_it"),
    ),
    BadEnd(
        "a joiner",
        joins,
        queue=(
            "It joins a credential that is not on its card yet. Encode that one first; this one follows by itself.",
        ),
        status=("1 claimed", ONE_HELD),
        ends_in=("claimed", "held"),
    ),
    BadEnd(
        "expired before it was encoded",
        expired,
        queue=("Skipped: 1", "{name}: Its validity ended at"),
        status=("1 cancelled",),
        audit=(f"Nothing is to be encoded: its validity ended before it was encoded. {ITS_JOB}",),
        ends_in=("cancelled", "expired"),
    ),
    BadEnd(
        "expired while its card was torn",
        expired_torn,
        queue=("1 card is to be taken back.", "Its validity ended before it was encoded.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("Nothing is to be encoded: its validity ended before it was encoded.", ITS_CARD),
        ends_in=("cancelled", "expired"),
    ),
    BadEnd(
        "deleted before it was encoded",
        deleted,
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it was deleted at the service. " + ITS_JOB,),
        ends_in=("cancelled", "credential_deleted", "cards_voided"),
    ),
    BadEnd(
        "deleted while its card was torn",
        deleted_torn,
        queue=("1 card is to be taken back.", "It was deleted at the service.", TAKE_BACK),
        status=(ONE_TO_TAKE_BACK,),
        audit=("Nothing is to be encoded: it was deleted at the service.", ITS_CARD),
        ends_in=("cancelled", "credential_deleted"),
    ),
    BadEnd(
        "being deleted",
        being_deleted,
        queue=("Skipped: 1", "{name}: It is being deleted."),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it is being deleted at the service. " + ITS_JOB,),
        ends_in=("cancelled", "being_deleted"),
    ),
    BadEnd(
        "made elsewhere",
        made_elsewhere,
        queue=("No card waits to be encoded.",),
        status=("1 cancelled",),
        audit=("Nothing is to be encoded: it is issued, or not waiting to be. " + ITS_JOB,),
        ends_in=("cancelled", "not_waiting"),
    ),
]
