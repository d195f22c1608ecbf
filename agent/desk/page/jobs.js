// The lists of jobs: to be encoded, on hold, waiting, finished; and reports and what is left out.

import { byId, button, keyed, make, setText, show } from "./dom.js";
import { cancel, cardIsBack, encode, hold, orderAgain, reencode, resume } from "./actions.js";
import { jobFacts, jobState, nameOf, reportState, timeOf } from "./words.js";

const chosenEncoder = () => byId("encoder").value || null;

// Its key was ordered of a vendor's system, and what became of that is not known.
const ordered = (job) => job.code === "order_unknown" && job.state !== "held";

const BUTTONS = [
  { text: "Encode next", act: (job) => encode(job, chosenEncoder()), main: true,
    on: (job) => job.state === "claimed" || (job.state === "waiting" && job.ready) },
  { text: "Try again", act: (job) => encode(job, chosenEncoder()), main: true,
    on: (job) => job.state === "writing" && (ordered(job) || !job.card_uid) },
  { text: "Order it once more", act: (job) => orderAgain(job, chosenEncoder()), on: ordered },
  { text: "Let it go on", act: resume, main: true, on: (job) => job.state === "held" },
  { text: "Card is back", act: cardIsBack, main: true, on: (job) => job.out && job.state !== "verified" },
  { text: "Send again", act: resume, on: (job) => job.state === "failed" || job.code === "report_refused" },
  { text: "Hold", act: hold, on: (job) => ["claimed", "waiting"].includes(job.state) },
  { text: "Cancel", act: cancel, on: (job) => ["claimed", "waiting", "held"].includes(job.state) },
  { text: "Use another card", act: (job) => reencode(job, chosenEncoder()), on: (job) => job.state === "writing" },
  { text: "Encode again", act: (job) => reencode(job, chosenEncoder()), on: (job) => job.state === "reported" },
];

function create() {
  const row = make("li", "row");
  const words = make("div", "row-words");
  const name = make("p", "name");
  const facts = make("p", "facts");
  words.append(name, facts);
  const state = make("span", "tag");
  const buttons = make("div", "buttons");
  row.append(words, state, buttons);
  row.parts = { name, facts, state, buttons };
  return row;
}

function fill(row, name, facts, tag) {
  setText(row.parts.name, name);
  setText(row.parts.facts, facts);
  show(row.parts.facts, Boolean(facts));
  setText(row.parts.state, tag.text);
  row.parts.state.className = `tag ${tag.tone || ""}`;
  show(row.parts.state, Boolean(tag.text));
}

function updateJob(row, job, busy) {
  row.job = job;
  const isBusy = busy.has(job.job_id);
  fill(row, nameOf(job), jobFacts(job), jobState(job, isBusy));
  const wanted = isBusy ? [] : BUTTONS.filter((one) => one.on(job));
  keyed(row.parts.buttons, wanted, (one) => one.text,
    (one) => {
      const element = button(one.text, () => one.act(row.job), one.main ? "main" : "quiet");
      element.setAttribute("aria-label", `${one.text}: ${nameOf(job)}`);
      return element;
    },
    () => {});
}

function list(id, items, keyOf, update, count = items.length) {
  keyed(byId(id), items, keyOf, create, update);
  const part = byId(`${id}-part`);
  if (part) show(part, items.length > 0);
  const empty = byId(`${id}-empty`);
  if (empty) show(empty, items.length === 0);
  const counter = byId(`${id}-count`);
  if (counter) setText(counter, count ? String(count) : "");
}

// Cards that are out, and reports that the service refuses: as long as nobody has seen to them.
const OUT = ["take_back", "conflict", "report_refused"];

export function updateLists(state) {
  // A job that an encoder only waits with may still be held, cancelled or picked.
  const atWork = state.encoders.filter((encoder) => encoder.job_id !== null && !encoder.waits);
  const busy = new Set(atWork.map((encoder) => encoder.job_id));
  const job = (row, item) => updateJob(row, item, busy);
  const key = (item) => item.job_id;
  const names = new Map([...state.queue, ...state.recent].map((item) => [item.job_id, nameOf(item)]));
  const next = (item) => ["writing", "bound", "claimed"].includes(item.state) || (item.state === "waiting" && item.ready);
  const counts = state.jobs;
  const out = state.to_see_to.filter((group) => OUT.includes(group.code));
  list("out", out.flatMap((group) => group.jobs.map((item) => ({ ...item, out: true }))), key, job,
    out.reduce((sum, group) => sum + group.count, 0));
  list("queue", state.queue.filter(next), key, job);
  list("held", state.queue.filter((item) => item.state === "held"), key, job, counts.held);
  list("waiting", state.queue.filter((item) => item.state === "waiting" && !item.ready), key, job);
  list("recent", state.recent, key, job);
  list("reports", state.reports.entries, (entry) => entry.job_id, (row, entry) => {
    const tries = entry.tries ? `Tried ${entry.tries} times, again ${timeOf(entry.next_try_at)}.` : "";
    const facts = [entry.last_answer, entry.state === "pending" ? tries : ""].filter(Boolean).join(" · ");
    const tone = entry.state === "pending" ? "wait" : "trouble";
    fill(row, names.get(entry.job_id) || `Job ${entry.job_id}`, facts, { text: reportState(entry), tone });
  }, state.reports.unfinished);
  list("skipped", state.skipped, (item) => item.acs_credential_id, (row, item) =>
    fill(row, nameOf(item), item.reason, { text: "" }));
}

export function updateChoice(state) {
  const names = state.encoders.map((encoder) => encoder.name);
  show(byId("choice"), names.length > 1);
  const options = [{ value: "", text: "any encoder" }, ...names.map((name) => ({ value: name, text: name }))];
  keyed(byId("encoder"), names.length > 1 ? options : [], (one) => one.value,
    (one) => Object.assign(make("option", "", one.text), { value: one.value }), () => {});
}
