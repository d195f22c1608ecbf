from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.credential import read
from agent.eligibility import Action, decide
from tests.agent.samples import issued, waiting, warning

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = (NOW + timedelta(days=1)).isoformat()
ERROR = {"error_code": "access_lost", "message": "m", "created_at": "2026-11-01T00:00:00Z"}
WAITS = warning("waiting_to_be_issued")
REISSUE = warning("needs_to_be_reissued")

# One row for each rule, each warning code, each access method, and for the rules that stand in each other's way.
TABLE = [
    ("waiting", waiting(), Action.ENCODE, "waiting_to_be_issued"),
    ("waiting without a warning", waiting(warnings=[]), Action.ENCODE, "waiting_to_be_issued"),
    ("no is_issued, with warning", waiting(is_issued=None), Action.ENCODE, "waiting_to_be_issued"),
    ("no is_issued, no warning", waiting(is_issued=None, warnings=[]), Action.NOTHING, "not_waiting"),
    ("issued", issued(), Action.NOTHING, "not_waiting"),
    ("issued, stale warning", issued(warnings=[WAITS]), Action.NOTHING, "not_waiting"),
    ("needs_to_be_reissued", issued(warnings=[REISSUE]), Action.ENCODE, "needs_to_be_reissued"),
    ("needs_to_be_reissued, unissued", waiting(warnings=[REISSUE]), Action.ENCODE, "needs_to_be_reissued"),
    (
        "needs_to_be_reissued, no is_issued",
        waiting(is_issued=None, warnings=[REISSUE]),
        Action.ENCODE,
        "needs_to_be_reissued",
    ),
    ("code", waiting(access_method="code"), Action.NOTHING, "not_a_card"),
    ("mobile_key", waiting(access_method="mobile_key"), Action.NOTHING, "not_a_card"),
    ("cloud_key", waiting(access_method="cloud_key"), Action.NOTHING, "not_a_card"),
    ("unknown method", waiting(access_method="retina"), Action.NOTHING, "not_a_card"),
    ("unmanaged", waiting(is_managed=False), Action.NOTHING, "unmanaged"),
    ("is_managed absent", waiting(is_managed=None), Action.ENCODE, "waiting_to_be_issued"),
    ("being_deleted", waiting(warnings=[WAITS, warning("being_deleted")]), Action.SKIP, "being_deleted"),
    ("expired", waiting(ends_at=(NOW - timedelta(seconds=1)).isoformat()), Action.SKIP, "expired"),
    ("ends this instant", waiting(ends_at=NOW.isoformat()), Action.SKIP, "expired"),
    (
        "ends in a second",
        waiting(ends_at=(NOW + timedelta(seconds=1)).isoformat()),
        Action.ENCODE,
        "waiting_to_be_issued",
    ),
    ("no end", waiting(ends_at=None), Action.ENCODE, "waiting_to_be_issued"),
    ("errors", waiting(errors=[ERROR]), Action.HOLD, "errors"),
    (
        "unknown_issue",
        waiting(warnings=[WAITS, warning("unknown_issue_with_acs_credential")]),
        Action.HOLD,
        "unknown_issue_with_acs_credential",
    ),
    ("visionline invalid", waiting(visionline_metadata={"is_valid": False}), Action.HOLD, "visionline_invalid"),
    ("visionline valid", waiting(visionline_metadata={"is_valid": True}), Action.ENCODE, "waiting_to_be_issued"),
    ("visionline says nothing", waiting(visionline_metadata={}), Action.ENCODE, "waiting_to_be_issued"),
    ("not synced", waiting(is_latest_desired_state_synced_with_provider=False), Action.WAIT, "not_synced"),
    ("sync absent", waiting(is_latest_desired_state_synced_with_provider=None), Action.ENCODE, "waiting_to_be_issued"),
    (
        "schedule_modified",
        waiting(warnings=[WAITS, warning("schedule_modified")]),
        Action.ENCODE,
        "waiting_to_be_issued",
    ),
    (
        "schedule_externally_modified",
        waiting(warnings=[WAITS, warning("schedule_externally_modified")]),
        Action.ENCODE,
        "waiting_to_be_issued",
    ),
    (
        "requested_code_unavailable",
        waiting(warnings=[WAITS, warning("requested_code_unavailable")]),
        Action.ENCODE,
        "waiting_to_be_issued",
    ),
    ("unknown warning", waiting(warnings=[WAITS, warning("of_next_year")]), Action.ENCODE, "waiting_to_be_issued"),
    ("deleted before held", waiting(errors=[ERROR], warnings=[warning("being_deleted")]), Action.SKIP, "being_deleted"),
    ("expired before held", waiting(errors=[ERROR], ends_at="2026-01-01T00:00:00Z"), Action.SKIP, "expired"),
    (
        "held before waits",
        waiting(errors=[ERROR], is_latest_desired_state_synced_with_provider=False),
        Action.HOLD,
        "errors",
    ),
    ("issued with errors is no work", issued(errors=[ERROR]), Action.NOTHING, "not_waiting"),
]


@pytest.mark.parametrize(("raw", "action", "code"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_rules(raw: dict[str, object], action: Action, code: str) -> None:
    decision = decide(read(raw), NOW)
    assert (decision.action, decision.code) == (action, code)
    assert decision.reason.endswith(".")


@pytest.mark.parametrize(
    ("raw", "action", "code"),
    [
        (issued(ends_at=LATER), Action.ENCODE, "asked_for"),
        (issued(ends_at="2026-01-01T00:00:00Z"), Action.SKIP, "expired"),
        (issued(errors=[ERROR]), Action.HOLD, "errors"),
        (issued(warnings=[REISSUE]), Action.ENCODE, "needs_to_be_reissued"),
        (issued(access_method="code"), Action.NOTHING, "not_a_card"),
    ],
)
def test_what_a_person_asks_for(raw: dict[str, object], action: Action, code: str) -> None:
    decision = decide(read(raw), NOW, asked=True)
    assert (decision.action, decision.code) == (action, code)


@given(
    st.booleans() | st.none(),
    st.sets(st.sampled_from(["waiting_to_be_issued", "needs_to_be_reissued", "being_deleted", "schedule_modified"])),
    st.booleans() | st.none(),
    st.sampled_from(["card", "code", "mobile_key"]),
)
def test_nothing_is_encoded_that_does_not_wait(
    is_issued: bool | None, codes: set[str], is_managed: bool | None, method: str
) -> None:
    raw = waiting(access_method=method, is_managed=is_managed) | {"is_issued": is_issued}
    decision = decide(read(raw | {"warnings": [warning(code) for code in codes]}), NOW)
    if decision.action is Action.ENCODE:
        assert method == "card"
        assert is_managed is not False
        assert "being_deleted" not in codes
        assert is_issued is False or codes & {"waiting_to_be_issued", "needs_to_be_reissued"}
