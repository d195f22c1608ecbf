"""What a person is to do about a job, by where it stands and why: a command, or a movement of the hand.

Pure. `Job.reason` says what has happened; this says what comes next.
"""

from __future__ import annotations

from agent.credential import NEEDS_TO_BE_REISSUED, UNKNOWN_ISSUE, WAITING_TO_BE_ISSUED
from agent.journal import JOURNAL_LOST, ORDER_STANDS, ORDER_UNKNOWN, Job, JobState
from drivers.errors import CATALOGUE

JOINS = "joins"
"""The code of a job that waits for another one's card, in this agent's answers."""

AT_ANOTHER_DESK = "at_another_desk"
"""The code of a job that another desk has in hand, in this agent's answers."""

_SETTLE_IT = (
    "Settle it at the service: the job then goes on by itself. To encode it all the same: `card-encoder resume {job}`."
)
_NOTHING = "Nothing is to be encoded."
_ENCODE_NEXT = "`card-encoder encode {id}` has it encoded next."
_ANOTHER_CARD = "`card-encoder reencode {id} --replace-card --reason TEXT`"

BY_STATE: dict[JobState, str] = {
    JobState.WAITING: _ENCODE_NEXT,
    JobState.CLAIMED: "Put a card on the encoder.",
    JobState.BOUND: "Leave the card there until the encoder says that it is done.",
    JobState.WRITING: "Put {card} back on {encoder}: it is read, and finished where needed. If it can't come back: "
    f"{_ANOTHER_CARD} writes another one.",
    JobState.VERIFIED: "Hand the card over: its report is sent by itself until the service acknowledges it.",
    JobState.REPORTED: "Hand the card over.",
    JobState.HELD: "When that is settled: `card-encoder resume {job}`. To encode nothing: `card-encoder cancel {job}`.",
    JobState.FAILED: "Take {card} back, then say so: `card-encoder cancel {job}`. If it is this one that is to be "
    f"used, put it on the encoder: {_ANOTHER_CARD}.",
    JobState.CANCELLED: _NOTHING,
    JobState.ORPHANED: "Take {card} back, then say so: `card-encoder cancel {job}`.",
}
"""For a job whose code has nothing more to say."""

BY_CODE: dict[str, str] = {
    WAITING_TO_BE_ISSUED: "",
    NEEDS_TO_BE_REISSUED: "",
    "asked_for": "",
    "resumed": "",
    "verified": "",
    "reported": "",
    "orphaned": "",
    "conflict": "",
    "encoding_interrupted": "",
    ORDER_UNKNOWN: "With {card} on {encoder}, `card-encoder encode {id}` has the vendor's system asked what became of "
    "it. Where that can't tell, see there yourself: with --overwrite it is ordered once more, which voids what came of "
    f"the first order. For another card: {_ANOTHER_CARD}.",
    ORDER_STANDS: "What the vendor's system made can't be used as it is. To have it made once more: "
    "`card-encoder encode {id} --overwrite`, with {card} on {encoder}; that voids what came of the first order. For "
    f"another card: {_ANOTHER_CARD}. To give it up: `card-encoder cancel {{job}}`.",
    "order_lost": "See at the vendor's system whether its key was made; then `card-encoder resume {job}`.",
    "given_up": "To try again: " + _ENCODE_NEXT,
    "card_given_up": "Put another card on the encoder.",
    "not_synced": "It is encoded when the provider has it. If it stays so, tell whoever runs the credential service.",
    "no_encoder_for_it": "Encode it at a desk that has such an encoder, or configure one here: the README says which "
    "drivers write which cards.",
    JOINS: "Encode that one first; this one follows by itself.",
    AT_ANOTHER_DESK: "It is encoded there. To have it here instead: `card-encoder encode {id}`.",
    "errors": _SETTLE_IT,
    UNKNOWN_ISSUE: _SETTLE_IT,
    "visionline_invalid": _SETTLE_IT,
    "malformed": "Tell whoever runs the credential service: it goes on by itself as soon as its data can be read.",
    "number_does_not_fit": "Correct the card number at the service, or the encoder's layout; then `card-encoder resume "
    "{job}`.",
    "order_incomplete": "Complete it at the service; then `card-encoder resume {job}`.",
    "order_does_not_fit": "Correct its entrances or its times at the service; then `card-encoder resume {job}`.",
    "held_by_person": "`card-encoder resume {job}` lets it go on, `card-encoder cancel {job}` ends it.",
    JOURNAL_LOST: "Put the card that was made for it on the encoder, or, if there is none, a new one; then "
    "`card-encoder resume {job}`. What a card holds, `card-encoder scan` tells.",
    "report_lost": "Get {card} back; with it at hand: `card-encoder resume {job}`.",
    "report_refused": "Find out at the service why; `card-encoder resume {job}` sends the report again.",
    "journal_set_aside": _NOTHING,
    "cancelled": "If it is to be encoded after all: `card-encoder encode {id}`.",
    "expired": "If it is still needed, have its validity prolonged at the service: it then comes by itself.",
    "being_deleted": _NOTHING,
    "credential_deleted": _NOTHING,
    "not_waiting": _NOTHING,
    "not_a_card": _NOTHING,
    "unmanaged": _NOTHING,
    "taken_over": _NOTHING,
}
"""By the job's code; where it is empty, the state says it all. For error types, which are codes too, see CATALOGUE."""


def next_step(job: Job, code: str | None = None) -> str:
    """What a person is to do about this job now. `code` stands for another reason than the journal's."""
    code = code or job.code
    if job.seen_to_by is not None:
        return f"Nothing: it was seen to by {job.seen_to_by}."
    if code in (ORDER_UNKNOWN, ORDER_STANDS):
        text = BY_CODE[code]
    elif job.state is JobState.WRITING:
        text = BY_STATE[job.state]  # whatever has come in between: that card has to be read
    elif job.state is JobState.CLAIMED and code in CATALOGUE:
        text = CATALOGUE[code].default_next_step.replace("reencode ID", "reencode {id}")
    elif job.state is JobState.CLAIMED and job.issued and not job.replace_card and not job.by_order:
        text = "Put its own card on the encoder."
    else:
        text = BY_CODE.get(code) or BY_STATE[job.state]
    return _filled(text, job)


def named(text: str, acs_credential_id: str) -> str:
    """A next step whose commands are about some credential, about this one."""
    return text.replace("encode ID", f"encode {acs_credential_id}")


def take_back(job: Job) -> str:
    """What to do about a job that has ended, and whose card is out."""
    return _filled(BY_STATE[JobState.FAILED if job.state is JobState.FAILED else JobState.ORPHANED], job)


def _filled(text: str, job: Job) -> str:
    card = f"card {job.card_uid}" if job.card_uid else "its card"
    encoder = f"encoder '{job.encoder}'" if job.encoder else "the encoder"
    return text.format(id=job.acs_credential_id, job=job.job_id, card=card, encoder=encoder)
