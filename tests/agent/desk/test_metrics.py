from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from agent.journal import JobState
from tests.rig.agent import Running


async def samples(desk: Running) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with desk.client() as client:
        text = (await client.get("/metrics")).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_promised_names_are_there_from_the_start(desk: Running) -> None:
    found = await samples(desk)
    encoder = ("encoder", "Desk")
    assert found["card_encoder_service_up", ()] == 1
    assert found["card_encoder_encoder_online", (encoder,)] == 1
    assert found["card_encoder_outbox_entries", ()] == 0
    assert found["card_encoder_encodes_total", (encoder, ("result", "done"))] == 0
    assert found["card_encoder_encode_seconds_count", (encoder,)] == 0
    states = {labels[0][1]: value for (name, labels), value in found.items() if name == "card_encoder_jobs"}
    assert set(states) == set(JobState)
    assert states["waiting"] >= 3


async def test_outcomes_are_counted(desk: Running) -> None:
    job = desk.job("Spa and gym card 1")
    assert job
    attempt = desk.agent.operations.encode(job.acs_credential_id, encoder=None, who="test")
    desk.encoder.put()
    await attempt.over.wait()
    desk.agent.events.publish("outcome", job_id=-1, encoder="Desk", error={"type": "encoding_interrupted"})
    found = await samples(desk)
    encoder = ("encoder", "Desk")
    assert found["card_encoder_encodes_total", (encoder, ("result", "done"))] == 1
    assert found["card_encoder_encodes_total", (encoder, ("result", "encoding_interrupted"))] == 1
    assert found["card_encoder_encode_seconds_count", (encoder,)] == 1
    assert 0 < found["card_encoder_encode_seconds_sum", (encoder,)] < 10


async def test_it_is_ready_with_an_encoder(desk: Running) -> None:
    async with desk.client() as client:
        assert (await client.get("/livez")).json() == {"ok": True}
        assert (await client.get("/readyz")).status_code == 200


async def test_it_lives_without_one_and_is_not_ready(bare: Running) -> None:
    async with bare.client() as client:
        assert (await client.get("/livez")).json() == {"ok": True}
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ok": False, "reasons": ["No encoder is configured."]})


async def test_nothing_is_up_without_service_and_encoder(bare: Running) -> None:
    found = await samples(bare)
    assert found["card_encoder_service_up", ()] == 0
    assert not [name for name, _ in found if name == "card_encoder_encoder_online"]
