import dataclasses

import pytest

from agent.card_policy import Knowledge, fate_refusal, key_refusal, needs_the_service, other_card, refusal
from agent.config import Overwrite
from agent.credential import read
from agent.journal import Card, CardStanding, Job, JobState
from drivers.encoder import CardState, FoundCard, OrderNote
from tests.agent.samples import ID, OTHER_ID, issued, waiting

UID = "04a1b2c3d4e5f6"
NUMBER = "164d29dc4a09b65f"
JOB = Job(
    **dict.fromkeys((field.name for field in dataclasses.fields(Job)), None)  # type: ignore[arg-type]
    | {"job_id": 1, "acs_credential_id": ID, "state": JobState.BOUND, "replace_card": False, "overwrite": False}
)
BLANK = FoundCard(UID, "NTAG213", CardState.BLANK)
FOREIGN = FoundCard(UID, "NTAG213", CardState.FOREIGN)
OTHERS = FoundCard(UID, "NTAG213", CardState.NUMBER, "777")
OWN = FoundCard(UID, "NTAG213", CardState.NUMBER, NUMBER)


def row(acs_credential_id: str = OTHER_ID, standing: CardStanding = CardStanding.LIVE, uid: str = UID) -> Card:
    return Card(uid, acs_credential_id, 1, standing, "777", False, None, "")


TABLE: list[tuple[str, FoundCard, Knowledge, dict[Overwrite, str | None]]] = [
    ("blank", BLANK, Knowledge(None, ()), {"never": None, "expired": None, "always": None}),
    (
        "foreign",
        FOREIGN,
        Knowledge(None, ()),
        {"never": "foreign_content", "expired": "foreign_content", "always": None},
    ),
    (
        "foreign by now, though written here once",
        FOREIGN,
        Knowledge(row(standing=CardStanding.VOID), ()),
        {"never": "foreign_content", "expired": "foreign_content", "always": None},
    ),
    (
        "its own card once, rewritten elsewhere for another guest",
        FoundCard(UID, "NTAG213", CardState.NUMBER, "9009"),
        Knowledge(row(ID), (OTHER_ID,)),
        {"never": "holds_live_credential", "expired": "holds_live_credential", "always": None},
    ),
    (
        "its own card once, foreign by now",
        FOREIGN,
        Knowledge(row(ID), ()),
        {"never": "foreign_content", "expired": "foreign_content", "always": None},
    ),
    (
        "somebody's live card",
        OTHERS,
        Knowledge(None, (OTHER_ID,)),
        {"never": "holds_live_credential", "expired": "holds_live_credential", "always": None},
    ),
    (
        "blank, but somebody's live card here",
        BLANK,
        Knowledge(row(), (OTHER_ID,)),
        {"never": "holds_live_credential", "expired": "holds_live_credential", "always": None},
    ),
    ("an old card", OTHERS, Knowledge(None, ()), {"never": "not_blank", "expired": None, "always": None}),
    (
        "nobody knows",
        OTHERS,
        Knowledge(None, None),
        {"never": "unknown_holder", "expired": "unknown_holder", "always": None},
    ),
    ("its own number", OWN, Knowledge(None, ()), {"never": None, "expired": None, "always": None}),
    ("its own number, no service", OWN, Knowledge(None, None), {"never": None, "expired": None, "always": None}),
    (
        "its own number, and somebody else's",
        OWN,
        Knowledge(None, (OTHER_ID,)),
        {"never": "holds_live_credential", "expired": "holds_live_credential", "always": None},
    ),
    ("its own card", OTHERS, Knowledge(row(ID), ()), {"never": None, "expired": None, "always": None}),
    ("its own torn card", FOREIGN, Knowledge(row(ID, CardStanding.UNKNOWN), ()), {"never": None, "expired": None}),
]


@pytest.mark.parametrize(
    ("found", "known", "overwrite", "reason"),
    [(found, known, overwrite, reason) for _, found, known, by in TABLE for overwrite, reason in by.items()],
    ids=[f"{name}, {overwrite}" for name, _, _, by in TABLE for overwrite in by],
)
@pytest.mark.promise(4, 6)
def test_which_cards_are_refused(found: FoundCard, known: Knowledge, overwrite: Overwrite, reason: str | None) -> None:
    error = refusal(found, NUMBER, read(waiting()), JOB, overwrite, known)
    assert (error and error.data["reason"]) == reason
    if error:
        assert error.next_step
        assert NUMBER not in str(error)
        assert "777" not in str(error)
        confirmed = dataclasses.replace(JOB, overwrite=True)
        assert refusal(found, NUMBER, read(waiting()), confirmed, overwrite, known) is None


@pytest.mark.promise(4, 6)
@pytest.mark.parametrize("known", [Knowledge(row(), None), Knowledge(None, None)])
def test_a_number_that_is_the_cards_uid_does_not_say_whose_card_it_is(known: Knowledge) -> None:
    """Two credentials without numbers look alike on it: the second one is not written while the service is away."""
    found = FoundCard(UID, "NTAG213", CardState.NUMBER, UID)
    error = refusal(found, UID, read(waiting(card_number=None)), JOB, "expired", known)
    assert error is not None
    assert error.data["reason"] == "unknown_holder"
    assert refusal(found, UID, read(waiting(card_number=UID)), JOB, "expired", Knowledge(None, None)) is None


@pytest.mark.parametrize(
    ("found", "known", "needed"),
    [
        (BLANK, None, False),
        (BLANK, row(), True),
        (BLANK, row(standing=CardStanding.VOID), False),
        (BLANK, row(ID), False),
        (OTHERS, None, True),
        (OTHERS, row(ID), False),
        (FOREIGN, None, False),
    ],
)
def test_the_service_is_asked_only_where_it_knows_more(found: FoundCard, known: Card | None, needed: bool) -> None:
    assert needs_the_service(found, known, ID) is needed


@pytest.mark.parametrize(
    ("found", "raw", "own", "other"),
    [
        (BLANK, waiting(), [], False),
        (BLANK, waiting(), [row(ID, uid="04ffff")], True),
        (BLANK, waiting(), [row(ID)], False),
        (BLANK, issued(), [], True),
        (OWN, issued(), [], False),
        (OTHERS, issued(), [], True),
        (BLANK, issued(card_number=UID.upper()), [], False),
        (OTHERS, issued(), [row(ID)], False),
    ],
)
@pytest.mark.promise(4)
def test_one_credential_one_card(found: FoundCard, raw: dict[str, object], own: list[Card], other: bool) -> None:
    error = other_card(found, read(raw), JOB, own)
    assert (error is not None) is other
    assert other_card(found, read(raw), dataclasses.replace(JOB, replace_card=True), own) is None
    if error:
        assert error.type == "credential_cannot_be_reissued"
        assert "--replace-card" in error.next_step


@pytest.mark.promise(4)
def test_a_torn_card_is_not_finished_when_its_credential_was_issued_on_another_since() -> None:
    torn = [row(ID, CardStanding.UNKNOWN)]
    again, first = read(issued(card_number=NUMBER)), read(waiting(card_number=NUMBER))
    assert other_card(BLANK, again, JOB, torn, begun_before_issue=True) is not None
    assert other_card(BLANK, again, JOB, torn, begun_before_issue=False) is None
    assert other_card(BLANK, first, JOB, torn, begun_before_issue=True) is None


STRIPE = FoundCard("", "stripe", CardState.BLANK)
OWN_STRIPE = FoundCard("", "stripe", CardState.NUMBER, NUMBER)
OTHERS_STRIPE = FoundCard("", "stripe", CardState.NUMBER, "777")
BEGUN = dataclasses.replace(JOB, state=JobState.WRITING, card_uid="")


@pytest.mark.parametrize(
    ("found", "raw", "own", "job", "other"),
    [
        (STRIPE, waiting(), [], JOB, False),
        (STRIPE, issued(), [], JOB, True),
        (OTHERS_STRIPE, issued(), [], JOB, True),
        (OWN_STRIPE, issued(), [], JOB, False),
        (STRIPE, waiting(), [row(ID)], JOB, True),
        (OWN_STRIPE, issued(), [row(ID)], JOB, True),
        (STRIPE, issued(), [], BEGUN, False),
        (STRIPE, waiting(), [], BEGUN, False),
    ],
)
@pytest.mark.promise(4, 5)
def test_one_credential_one_stripe_as_far_as_its_number_tells(
    found: FoundCard, raw: dict[str, object], own: list[Card], job: Job, other: bool
) -> None:
    assert (other_card(found, read(raw), job, own) is not None) is other
    assert other_card(found, read(raw), dataclasses.replace(job, replace_card=True), own) is None


@pytest.mark.promise(4)
def test_a_torn_stripe_is_not_finished_when_its_credential_was_issued_on_another_since() -> None:
    assert other_card(STRIPE, read(issued()), BEGUN, [], begun_before_issue=True) is not None
    assert other_card(STRIPE, read(waiting()), BEGUN, [], begun_before_issue=True) is None
    assert other_card(OWN_STRIPE, read(issued()), JOB, [], begun_before_issue=True) is None  # it isn't torn


KEY = FoundCard("", "key", CardState.BLANK)
AS_ORDERED = FoundCard("", "key", CardState.NUMBER)
LIVE_KEY = FoundCard("", "key", CardState.FOREIGN)


@pytest.mark.parametrize(
    ("found", "raw", "job", "reason"),
    [
        (KEY, waiting(), JOB, None),
        (KEY, waiting(), BEGUN, None),
        (AS_ORDERED, waiting(), JOB, "foreign_content"),
        (AS_ORDERED, waiting(), BEGUN, None),
        (AS_ORDERED, issued(), JOB, None),
        (AS_ORDERED, issued(), dataclasses.replace(JOB, replace_card=True), "foreign_content"),
        (LIVE_KEY, waiting(), JOB, None),  # `refusal` has a word on it
    ],
)
@pytest.mark.promise(4, 5, 6)
def test_which_keys_are_refused(found: FoundCard, raw: dict[str, object], job: Job, reason: str | None) -> None:
    error = key_refusal(found, read(raw), job, "expired")
    assert (error and error.data["reason"]) == reason
    assert key_refusal(found, read(raw), job, "always") is None
    assert key_refusal(found, read(raw), dataclasses.replace(job, overwrite=True), "never") is None


@pytest.mark.promise(6)
def test_a_live_key_is_somebodys_until_a_person_says_otherwise() -> None:
    nothing = Knowledge(None, ())
    error = refusal(LIVE_KEY, None, read(waiting()), JOB, "expired", nothing)
    assert error is not None
    assert error.data["reason"] == "foreign_content"
    assert refusal(LIVE_KEY, None, read(waiting()), JOB, "always", nothing) is None
    assert refusal(LIVE_KEY, None, read(waiting()), dataclasses.replace(JOB, overwrite=True), "never", nothing) is None
    assert refusal(KEY, None, read(waiting()), JOB, "never", nothing) is None


NOTED = OrderNote("asked", {"order": "o1"})


@pytest.mark.parametrize(
    ("job", "noted", "can_tell", "refused"),
    [
        (JOB, None, False, False),
        (JOB, None, True, False),
        (JOB, NOTED, False, True),  # of an earlier job
        (JOB, NOTED, True, False),
        (BEGUN, None, False, True),
        (BEGUN, NOTED, False, True),
        (BEGUN, NOTED, True, False),
    ],
)
@pytest.mark.promise(4, 5)
def test_nothing_is_ordered_while_an_orders_fate_is_unknown(
    job: Job, noted: OrderNote | None, can_tell: bool, refused: bool
) -> None:
    error = fate_refusal(job, noted, can_tell=can_tell)
    assert (error is not None) is refused
    if error is not None:
        assert error.data["reason"] == "unknown_content"
        assert f"encode {ID} --overwrite" in error.next_step
    assert fate_refusal(dataclasses.replace(job, overwrite=True), noted, can_tell=can_tell) is None


def vendors(card_id: str, *, live: bool = True, number: str | None = UID, **flags: bool) -> FoundCard:
    """A card that a vendor's server knows; what is on it can't be read."""
    state = CardState.NUMBER if number else CardState.FOREIGN
    return FoundCard(UID, "NTAG213", state, number, live=live, vendor={"card_id": card_id, **flags})


def made(card_id: str | None = "k1") -> OrderNote:
    return OrderNote("answered", {} if card_id is None else {"card_id": card_id})


OURS = Card(UID, ID, 1, CardStanding.LIVE, UID, False, None, "")
TORN = dataclasses.replace(OURS, standing=CardStanding.UNKNOWN, card_number=None)


@pytest.mark.parametrize(
    ("found", "known", "reason"),
    [
        # Nobody's, or nobody's that is known here.
        (vendors("k9"), Knowledge(None, ()), "vendor_key"),
        (vendors("k9", live=False, cancelled=True), Knowledge(None, ()), None),
        (vendors("k9"), Knowledge(None, None), "vendor_key"),
        # As it was made for this credential; whatever it is called by now.
        (vendors("k1"), Knowledge(OURS, (), made()), None),
        (vendors("k1", number=f"{UID}ff"), Knowledge(OURS, (), made()), None),
        (vendors("k1", live=False, expired=True), Knowledge(OURS, (), made()), None),
        # Another key by now, under the same number.
        (vendors("k2"), Knowledge(OURS, (), made()), "vendor_key"),
        (vendors("k2", live=False, cancelled=True), Knowledge(OURS, (), made()), None),
        (vendors("k2"), Knowledge(OURS, (), made(None)), None),  # the server told no id: nothing tells them apart
        (vendors("k2"), Knowledge(OURS, (), None), None),
        # Torn: as far as its order came, and what came after.
        (vendors("k1", live=False, number=None), Knowledge(TORN, (), made()), None),
        (vendors("k2", live=False, number=None), Knowledge(TORN, (), made()), "foreign_content"),
        (
            dataclasses.replace(vendors("k2", live=False), state=CardState.BLANK),
            Knowledge(TORN, (), made()),
            "vendor_key",
        ),
        (vendors("k2"), Knowledge(TORN, (), NOTED), "vendor_key"),
    ],
)
@pytest.mark.promise(4, 6)
def test_whose_key_a_card_is(found: FoundCard, known: Knowledge, reason: str | None) -> None:
    error = refusal(found, None, read(waiting()), JOB, "expired", known)
    assert (error and error.data["reason"]) == reason
    if error is not None:
        assert refusal(found, None, read(waiting()), JOB, "always", known) is None
        assert refusal(found, None, read(waiting()), dataclasses.replace(JOB, overwrite=True), "never", known) is None


@pytest.mark.promise(4)
def test_a_key_of_this_credential_by_the_services_word() -> None:
    """Made at another desk: the number tells, unless this desk knows of another key."""
    raw = read(issued(card_number=UID))
    assert refusal(vendors("k1"), UID, raw, JOB, "expired", Knowledge(None, ())) is None
    assert refusal(vendors("k2"), UID, raw, JOB, "expired", Knowledge(None, (), made())) is not None
