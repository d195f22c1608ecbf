// What the buttons do.

import { button } from "./dom.js";
import { post } from "./api.js";
import { attempt, follow } from "./notices.js";
import { ask } from "./question.js";
import { nameOf } from "./words.js";

const PUT = "Put a card on the encoder.";

export function encode(job, encoder, overwrite = false) {
  const body = { acs_credential_id: job.acs_credential_id, encoder, overwrite };
  return follow(nameOf(job), PUT, () => post("/api/encode", body), (failed) => overwriteButton(job, encoder, failed));
}

// The card holds something: a person may say that it may be lost.
function overwriteButton(job, encoder, { action_attempt: failed }) {
  if (failed.error.type !== "incompatible_card_format") return null;
  return button("Write over the card", () => overwrite(job, encoder));
}

export async function overwrite(job, encoder) {
  const sure = await ask({
    title: "Write over this card?",
    text: `Whatever the card holds is lost, and ${nameOf(job)} is written on it.`,
    yes: "Write over it",
  });
  if (sure) await encode(job, encoder, true);
}

// What became of an order only the vendor's system tells: a person has to have looked there.
export async function orderAgain(job, encoder) {
  const sure = await ask({
    title: `Order the key of ${nameOf(job)} once more?`,
    text: "See first, in the vendor's system, whether it was made. Another order may void what came of the first one, "
      + "and what was made to join it. Whatever the card holds is lost.",
    yes: "Order it once more",
  });
  if (sure) await encode(job, encoder, true);
}

export async function reencode(job, encoder) {
  const answer = await ask({
    title: `Encode ${nameOf(job)} again`,
    text: "The reason goes into the audit trail.",
    yes: "Encode again",
    withReason: true,
    withOtherCard: true,
  });
  if (!answer) return;
  const body = {
    acs_credential_id: job.acs_credential_id,
    reason: answer.reason,
    replace_card: answer.otherCard,
    encoder,
  };
  const hint = answer.otherCard ? "Put the new card on the encoder." : "Put its own card on the encoder.";
  await follow(nameOf(job), hint, () => post("/api/reencode", body));
}

export async function cancel(job) {
  const sure = await ask({ title: `Don't encode ${nameOf(job)}?`, text: "It leaves the list.", yes: "Don't encode it" });
  if (sure) await attempt(nameOf(job), () => post("/api/cancel", { job_id: job.job_id }));
}

// Whether it was taken back or settled otherwise: somebody has seen to the card that is out.
export async function cardIsBack(job) {
  const sure = await ask({
    title: `Is the card of ${nameOf(job)} back?`,
    text: "Then it leaves the list, and the audit trail says so.",
    yes: "It is back",
  });
  if (sure) await attempt(nameOf(job), () => post("/api/cancel", { job_id: job.job_id }));
}

export const hold = (job) => attempt(nameOf(job), () => post("/api/hold", { job_id: job.job_id }));

export const resume = (job) => attempt(nameOf(job), () => post("/api/resume", { job_id: job.job_id }));

export const scan = (encoder) =>
  follow(`Reading a card on ${encoder}`, PUT, () => post("/api/scan", { encoder }));
