"""A journal with jobs in every state that they can be in, and what of it must outlive any damage."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from agent import clock
from agent.journal import Intake, Job, JobState, Journal
from drivers.encoder import OrderNote

Truth = dict[str, Any]


def sample(name: str, number: str | None = None, **changes: object) -> Intake:
    """A credential as polling takes it in: of some size, as real ones are."""
    number = number or f"number of {name}"
    credential = {
        "acs_credential_id": name,
        "access_method": "card",
        "card_number": number,
        "acs_system_id": "a system",
        "display_name": f"Guest {name}",
        "warnings": [{"warning_code": "waiting_to_be_issued", "message": "x" * 600}],
    }
    values: dict[str, Any] = {
        "acs_credential_id": name,
        "state": JobState.WAITING,
        "ready": True,
        "code": "waiting_to_be_issued",
        "reason": "It is waiting to be issued.",
        "credential": json.dumps(credential),
        "digest": hashlib.blake2b(name.encode(), digest_size=16).digest(),
        "reissue": False,
        "vendor": None,
        "issued": False,
        "card_number": number,
        "sort_key": f"2026-11-20 {name}",
        "ends_at": "2999-01-01T00:00:00.000000Z",
        "acs_system_id": "a system",
        "by_order": name.startswith("key"),
    }
    if name.startswith("vendor"):
        values["vendor"] = "visionline"
    return Intake(**(values | changes))


def take_in(journal: Journal, *names: str) -> None:
    journal.take_in([sample(name) for name in names], seen_at=clock.now_text())


def claimed(journal: Journal, name: str) -> Job:
    take_in(journal, name)
    journal.claim(joiners=True)
    job = journal.open_job(name)
    assert job is not None
    return job


def bound(journal: Journal, name: str) -> tuple[Job, int]:
    job = claimed(journal, name)
    binding = journal.bind_card(job, encoder="Desk", uid=uid(name), medium="NTAG213", content_digest=digest(name))
    return job, binding


def digest(name: str) -> str:
    """Of what its card is to hold: its number, or, of a key, more than that."""
    what = "order" if name.startswith(("key", "vendor")) else "number"
    return hashlib.sha256(f"{what} of {name}".encode()).hexdigest()


def uid(name: str) -> str:
    """Stripes and keys have none."""
    return "" if name.startswith(("stripe", "key")) else "04" + hashlib.sha256(name.encode()).hexdigest()[:12]


def writing(journal: Journal, name: str) -> tuple[Job, int]:
    job, attempt = bound(journal, name)
    journal.begin_writing(job, attempt, card_number=f"number of {name}", number_is_uid=False)
    return job, attempt


def ordered(journal: Journal, name: str, stage: Literal["asked", "answered"] = "answered") -> tuple[Job, int]:
    """Its key was ordered of its vendor's server, which has answered or not."""
    job, attempt = writing(journal, name)
    image = "" if stage == "asked" else digest(name) * 3
    journal.note_order(job, attempt, OrderNote(stage, {"order": f"of {name}", "before": []}, image))
    return job, attempt


def verified(journal: Journal, name: str) -> Job:
    job, attempt = ordered(journal, name) if name.startswith("vendor") else writing(journal, name)
    journal.record_verified(
        job,
        attempt,
        card_number=f"number of {name}",
        number_is_uid=False,
        verified_by="read_back",
        replaces_card_number=None,
    )
    return journal.job(job.job_id)


ORDERS: dict[str, Literal["asked", "answered"]] = {
    "vendor-asked": "asked",
    "vendor-answered": "answered",
    "vendor-begun-anew": "asked",
    "vendor-cancelled": "answered",
}
"""Orders that stand: their cards were begun, and not finished."""
CANCELLED = ("vendor-begun-anew", "vendor-cancelled")
"""The jobs that gave these were cancelled; the first one's credential has a new one."""


def live(journal: Journal, finished: int = 12) -> None:
    """Some days at a desk: after this, jobs stand in every state."""
    for n in range(finished):
        report(journal, verified(journal, f"finished-{n}"))
    for name, end in (("orphaned", "orphaned"), ("conflict", "conflict"), ("refused", "refused")):
        report(journal, verified(journal, name), end)
    for n in range(3):
        verified(journal, f"pending-{n}")
    for name in ("stripe-pending", "key-pending", "vendor-pending"):
        verified(journal, name)
    report(journal, verified(journal, "vendor-finished"))
    for name in ("interrupted-0", "interrupted-1", "stripe-interrupted", "key-interrupted"):
        job, attempt = writing(journal, name)
        journal.record_unknown(job, attempt, error_type="encoding_interrupted", error="e")
    for name, stage in ORDERS.items():
        job, attempt = ordered(journal, name, stage)
        journal.record_unknown(job, attempt, error_type="encoding_interrupted", error="e")
    for name in CANCELLED:
        job = journal.job(journal.open_job(name).job_id)  # type: ignore[union-attr]
        journal.cancel(job.job_id, actor="me", code="cancelled", reason="Cancelled by me.")
    journal.take_in([sample(CANCELLED[0])], seen_at=clock.now_text(), asked_for=True)
    job, attempt = writing(journal, "left")
    journal.record_left(job, attempt, error_type="incompatible_card_format", error="e")
    journal.hold(claimed(journal, "held").job_id, actor="me", code="held_by_person", reason="Held by me.")
    journal.cancel(claimed(journal, "cancelled").job_id, actor="me", code="cancelled", reason="Cancelled by me.")
    claimed(journal, "claimed")
    writing(journal, "writing")
    bound(journal, "bound")
    take_in(journal, *(f"waiting-{n}" for n in range(6)))


def report(journal: Journal, job: Job, end: str = "acknowledged") -> None:
    entry = journal.report_of(job.job_id)
    assert entry is not None
    if end == "acknowledged":
        journal.record_acknowledged(entry)
    else:
        {
            "orphaned": journal.record_orphaned,
            "conflict": journal.record_conflict,
            "refused": journal.record_refused,
        }[end](entry, "as the service says")


def what_matters(path: Path) -> Truth:
    """What nobody but the journal knows, or what decides about cards."""
    journal = Journal(path)
    try:
        rows = journal._database.rows
        return {
            "reports": {
                row["acs_credential_id"]: (row["idempotency_key"], row["body"], row["state"])
                for row in rows("SELECT * FROM outbox WHERE state NOT IN ('acknowledged', 'orphaned')")
            },
            "cards": {
                row["uid"]: (
                    row["acs_credential_id"],
                    row["standing"],
                    row["card_number"] if row["standing"] == "live" else None,
                )
                for row in rows("SELECT * FROM cards")
            },
            "jobs": {
                row["acs_credential_id"]: (row["job_id"], row["state"], row["card_uid"], row["card_number"])
                for row in rows("SELECT * FROM jobs")
            },
            "orders": {
                row["acs_credential_id"]: (row["stage"], row["facts"], row["image"])
                for row in rows("SELECT orders.* FROM orders JOIN jobs USING (job_id) WHERE state <> 'reported'")
            },
            "wishes": [tuple(row) for row in rows("SELECT job_id, overwrite, replace_card FROM jobs WHERE overwrite")],
        }
    finally:
        journal.close()


def copy_of(journal: Path, folder: Path) -> Path:
    """The journal's files, as they are, in another folder."""
    folder.mkdir()
    for file in journal.parent.glob(f"{journal.name}*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / journal.name
