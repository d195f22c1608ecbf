"""What an operator has to read of more than one bad end."""

from __future__ import annotations

ANOTHER = "card-encoder reencode {id} --replace-card --reason TEXT"
TAKE_BACK = "Next: Take card {uid} back, then say so: `card-encoder cancel {job}`."
ONE_HELD = (
    "1 credential is held for a person. Settle what each is held for, then let it go on: `card-encoder resume JOB`."
)
ONE_TO_TAKE_BACK = "1 card is to be taken back. Take each back, then say so: `card-encoder cancel JOB`."
ITS_JOB = "[job {job}, credential {id}"
ITS_CARD = ITS_JOB + ", encoder Desk, card {uid}, by agent]"
