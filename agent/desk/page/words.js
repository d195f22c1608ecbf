// States in words. Nothing here touches the page.

const sentence = (text) => (text && !/[.!?]$/.test(text) ? `${text}.` : text || "");

export const nameOf = (job) => job.display_name || `Credential ${job.acs_credential_id.slice(0, 8)}`;

export function timeOf(text) {
  if (!text) return "";
  const moment = new Date(text);
  const today = new Date().toDateString() === moment.toDateString();
  const time = { hour: "2-digit", minute: "2-digit" };
  return moment.toLocaleString(undefined, today ? time : { day: "numeric", month: "short", ...time });
}

// Where the list that a job is in says it already, there is no more to say.
const JOB_STATES = {
  claimed: "",
  bound: "Card found",
  writing: "Interrupted",
  held: "",
  waiting: "",
  verified: "On its card",
  reported: "Issued",
  failed: "Conflict",
  cancelled: "Not encoded",
  orphaned: "Take the card back",
};

const TONES = {
  writing: "trouble", held: "wait", verified: "done", reported: "done", failed: "trouble", orphaned: "trouble",
};

export function jobState(job, isBusy) {
  if (isBusy) return { text: "On the encoder", tone: "busy" };
  if (job.state === "claimed" && job.picked) return { text: "Goes next", tone: "busy" };
  if (job.seen_to_by) return { text: "Seen to", tone: "" };
  if (job.out) return { text: job.code === "report_refused" ? "Report refused" : "Take the card back", tone: "trouble" };
  return { text: JOB_STATES[job.state] ?? job.state, tone: TONES[job.state] || "" };
}

export function jobFacts(job) {
  const facts = [];
  if (job.state === "reported") facts.push(timeOf(job.updated_at));
  else if (job.reason && job.code !== "waiting_to_be_issued") facts.push(sentence(job.reason));
  if (job.out || job.state === "held" || (job.state === "waiting" && !job.ready)) facts.push(job.next_step);
  if (job.reissue && job.code !== "needs_to_be_reissued") facts.push("To be encoded again.");
  if (job.ends_at && !["cancelled", "reported"].includes(job.state)) facts.push(`Valid until ${timeOf(job.ends_at)}`);
  if (job.card_uid && ["writing", "reported", "verified", "orphaned", "failed"].includes(job.state)) facts.push(`card ${job.card_uid}`);
  return facts.filter(Boolean).join(" · ");
}

export const reportState = (entry) =>
  ({ pending: "Being sent", conflict: "Conflict", refused: "Refused" })[entry.state] || entry.state;

const line = (kind, glyph, big, small = "") => ({ kind, glyph, big, small });

// The one line that matters: what the person at this encoder does now.
export function encoderLine(encoder, queue) {
  if (!encoder.online) {
    return encoder.trouble
      ? line("trouble", "trouble", "Trouble: the encoder is not ready", encoder.trouble.message)
      : line("idle", "idle", "Opening the encoder");
  }
  if (encoder.job_id !== null || encoder.prompt) {
    return atWork(encoder, queue.find((job) => job.job_id === encoder.job_id));
  }
  if (encoder.take_the_card_away) return afterwards(encoder);
  const interrupted = queue.find((job) => job.state === "writing" && job.encoder === encoder.name);
  if (interrupted) {
    const card = interrupted.card_uid ? `, card ${interrupted.card_uid}` : "";
    const big = encoder.sees_cards ? "Trouble: put the same card back"
      : encoder.asks_for_cards ? "Trouble: the same card is needed once more" : "Trouble: swipe the same card again";
    return line("trouble", "trouble", big, `${nameOf(interrupted)}${card}: ${interrupted.reason}`);
  }
  return encoder.sees_cards ? ready(encoder, queue) : inBetween(encoder, queue);
}

const WORK = { looking: "Looking at the card", writing: "Writing", verifying: "Checking" };

function atWork(encoder, job) {
  const who = job ? nameOf(job) : "";
  if (encoder.silent) {
    return line("trouble", "trouble", "Trouble: the encoder gives no sign of life",
      "Leave the card there, unplug the encoder and plug it in again.");
  }
  const step = encoder.progress;
  if (encoder.prompt) {
    const last = encoder.last_outcome;
    const before = last?.error && last.job_id === encoder.job_id ? last.error.message : "";
    return line("ready", "card", encoder.prompt, [who, before].filter(Boolean).join(" · "));
  }
  if (!encoder.sees_cards) return line("busy", "write", WORK[step?.stage] || "Getting ready", who);
  if (!step || step.stage === "looking") return line("busy", "write", "Card found – leave it there", who);
  if (step.stage === "verifying") return line("busy", "write", "Checking – leave the card there", who);
  return line("busy", "write", `Writing ${step.done} of ${step.total} – leave the card there`, who);
}

function afterwards(encoder) {
  const last = encoder.last_outcome;
  if (encoder.spent === "scanned" || !last) return line("done", "done", "Card read – take the card away");
  const who = last.display_name || "";
  if (last.ok) return line("done", "done", "Done – take the card away", who);
  return line("trouble", "trouble", `Trouble: ${last.error.message}`, [who, last.error.next_step].filter(Boolean).join(": "));
}

// For an encoder that doesn't see cards. Some ask for one by themselves, as soon as they have a job.
function inBetween(encoder, queue) {
  const last = encoder.last_outcome;
  const open = last && queue.some((job) => job.job_id === last.job_id);
  if (last?.error && open) {
    return line("trouble", "trouble", `Trouble: ${last.error.message}`,
      [last.display_name, last.error.next_step].filter(Boolean).join(": "));
  }
  const next = nextJob(encoder, queue);
  if (next && !encoder.asks_for_cards) return line("ready", "card", "Swipe a card", `Next: ${nameOf(next)}`);
  if (encoder.spent === "written" && last?.ok) return line("done", "done", "Done", last.display_name || "");
  const waiting = queue.some((job) => job.state === "claimed" || (job.state === "waiting" && job.ready));
  if (encoder.mode === "attended" && waiting) {
    return line("idle", "idle", "Choose what to encode", "Pick a credential from the list below.");
  }
  return line("idle", "idle", "Ready", waiting ? "It asks for a card in a moment." : "Nothing waits for a card.");
}

function nextJob(encoder, queue) {
  const fits = (job) => job.state === "claimed" && (!job.encoder || job.encoder === encoder.name || !job.picked);
  return queue.find((job) => fits(job) && (encoder.mode === "auto" || job.picked));
}

function ready(encoder, queue) {
  const next = nextJob(encoder, queue);
  if (next && !encoder.card_here) return line("ready", "card", "Put a card on the encoder", `Next: ${nameOf(next)}`);
  const waiting = queue.some((job) => job.state === "claimed" || (job.state === "waiting" && job.ready));
  if (encoder.mode === "attended" && waiting) {
    return line("idle", "idle", "Choose what to encode", "Pick a credential from the list below.");
  }
  if (encoder.card_here) return line("idle", "idle", "Nothing to write – take the card away");
  return line("idle", "idle", "Ready", "Nothing waits for a card.");
}

// Whether the card was left alone for what it holds or is, so that a person may decide otherwise.
export function mayBeOverwritten(encoder, queue) {
  const last = encoder.last_outcome;
  if (last?.error?.type !== "incompatible_card_format") return false;
  if (encoder.sees_cards) return encoder.spent === "refused";
  return queue.some((job) => job.job_id === last.job_id && job.state !== "held");
}

export function lastOutcome(outcome) {
  if (!outcome) return "";
  const who = outcome.display_name || "a card";
  return outcome.ok ? `Last: ${who}, done at ${timeOf(outcome.at)}` : `Last: ${who}. ${outcome.error.message}`;
}

// What an attempt came to, as title, text and tone.
export function attemptWords(what, body) {
  const { action_attempt: attempt, detail, next_step: nextStep } = body;
  if (attempt.status === "error") {
    const text = attempt.error.message;
    const message = nextStep && text.endsWith(nextStep) ? text.slice(0, -nextStep.length).trim() : text;
    return { tone: "trouble", title: `${what}: ${message}`, text: nextStep || "" };
  }
  if (attempt.action_type === "SCAN_CREDENTIAL") return scanWords(attempt.result, detail);
  const text = detail.reported ? "The service knows." : "The report is sent as soon as the service answers.";
  return { tone: "done", title: `${what} is on its card`, text };
}

function scanWords(result, detail) {
  const known = result.acs_credential_on_seam;
  const facts = [
    known && (known.display_name || "Unnamed credential"),
    known && known.ends_at && `valid until ${timeOf(known.ends_at)}`,
    detail.medium,
    detail.card_uid && `card ${detail.card_uid}`,
    detail.card_number && detail.card_number !== detail.card_uid && `number ${detail.card_number}`,
  ];
  return {
    tone: detail.match ? "done" : "wait",
    title: detail.match ? "Match: card and service agree" : `No match: ${detail.message}`,
    text: facts.filter(Boolean).join(" · "),
  };
}
