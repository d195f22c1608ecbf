"""Jobs in a journal, brought as far as a test needs them."""

import json
from pathlib import Path

import pytest

from agent import clock
from agent.journal import Intake, Job, JobState, Journal, Scope

SEEN = "2026-11-23T12:00:00.000000Z"


def intake(acs_credential_id: str = "c1", **changes: object) -> Intake:
    values: dict[str, object] = {
        "acs_credential_id": acs_credential_id,
        "state": JobState.WAITING,
        "ready": True,
        "code": "waiting_to_be_issued",
        "reason": "It is waiting to be issued.",
        "credential": json.dumps(
            {
                "acs_credential_id": acs_credential_id,
                "access_method": "card",
                "card_number": changes.get("card_number", "n1"),
            }
        ),
        "digest": b"1",
        "reissue": False,
        "vendor": None,
        "issued": False,
        "card_number": "n1",
        "sort_key": "2026-11-20",
        "ends_at": None,
    }
    return Intake(**(values | changes))  # type: ignore[arg-type]


def next_job(journal: Journal, encoder: str = "Desk", vendors: tuple[str | None, ...] = (None,)) -> Job | None:
    return journal.next_job(encoder, Scope(vendors), picked_only=False)


def claimed(journal: Journal, acs_credential_id: str = "c1", **changes: object) -> Job:
    journal.take_in([intake(acs_credential_id, **changes)], seen_at=clock.now_text())
    journal.claim(joiners=True)
    job = journal.open_job(acs_credential_id)
    assert job is not None
    return job


def bind(journal: Journal, job: Job, uid: str = "04a1") -> int:
    return journal.bind_card(job, encoder="Desk", uid=uid, medium="NTAG213", content_digest="d")


def writing(journal: Journal, job: Job, uid: str = "04a1") -> int:
    attempt = bind(journal, job, uid)
    journal.begin_writing(job, attempt, card_number="n1", number_is_uid=False)
    return attempt


def verified(journal: Journal, job: Job, uid: str = "04a1", number: str = "n1") -> int:
    attempt = writing(journal, job, uid)
    journal.record_verified(
        job, attempt, card_number=number, number_is_uid=False, verified_by="read_back", replaces_card_number=None
    )
    return attempt


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite3")
