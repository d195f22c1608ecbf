// Starts the page and keeps it live.

import { get } from "./api.js";
import { byId, setText, show } from "./dom.js";
import { updateEncoders } from "./encoders.js";
import { updateChoice, updateLists } from "./jobs.js";

const PAUSE_MS = 40;
const SILENCE_MS = 31000; // an encoder that hangs tells nobody

let state = null;
let trays = [];
let asked = false;
let busy = false;
let silence = 0;

function updateService(service, desk) {
  setText(byId("desk-name"), desk);
  const element = byId("service");
  const [text, tone] = service.key_refused
    ? ["The service refuses the API key", "trouble"]
    : service.up
      ? ["Service connected", "done"]
      : service.up === false
        ? ["Service out of reach – reports wait here", "trouble"]
        : ["Connecting to the service", "wait"];
  setText(element, text);
  element.className = `pill ${tone}`;
  element.title = service.trouble || "";
}

function updateClaims(claims) {
  const element = byId("claims");
  show(element, claims.shared);
  setText(element, claims.up ? "In touch with the other desks" : "Other desks out of reach – what is held here goes on");
  element.className = `pill ${claims.up ? "done" : "trouble"}`;
  element.title = claims.trouble || "";
}

function updateJournal(journal) {
  const [note] = journal.set_aside;
  const aside = note && `A damaged journal was set aside. Read ${note}, and move it away when all is settled.`;
  setText(byId("journal"), journal.trouble || aside || "");
  show(byId("journal"), Boolean(journal.trouble || aside));
}

function draw() {
  updateService(state.service, state.desk);
  updateClaims(state.claims);
  updateJournal(state.journal);
  updateEncoders(state, trays);
  updateChoice(state);
  updateLists(state);
  clearTimeout(silence);
  if (state.encoders.some((encoder) => encoder.job_id !== null)) silence = setTimeout(refresh, SILENCE_MS);
}

// However many events come at once, the state is fetched once, and never twice at a time.
async function refresh() {
  asked = true;
  if (busy) return;
  busy = true;
  try {
    while (asked) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      asked = false;
      const [newState, newTrays] = await Promise.all([get("/api/state?jobs=200"), get("/api/tray")]);
      state = newState;
      trays = newTrays.trays;
      draw();
    }
  } catch {
    lost("The agent doesn't answer. This page goes on by itself when it does.");
  } finally {
    busy = false;
  }
}

function lost(text) {
  setText(byId("lost"), text);
  show(byId("lost"), true);
  document.body.classList.add("stale");
}

function found() {
  show(byId("lost"), false);
  document.body.classList.remove("stale");
}

function progress(event) {
  asked = true; // a state that is on its way may be older than this step, and is fetched once more
  const step = JSON.parse(event.data);
  const encoder = state?.encoders.find((one) => one.name === step.encoder);
  if (!encoder) return;
  encoder.job_id = step.job_id;
  encoder.progress = step;
  encoder.prompt = step.prompt;
  updateEncoders(state, trays);
}

function listen() {
  const events = new EventSource("/api/events");
  events.addEventListener("state", () => {
    found();
    refresh();
  });
  for (const kind of ["job", "encoder", "outcome", "service", "report", "journal", "claims"]) events.addEventListener(kind, refresh);
  events.addEventListener("progress", progress);
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) {
      lost("This browser isn't let in any more. Run card-encoder status and open the link that it prints.");
    } else {
      lost("The agent doesn't answer. This page goes on by itself when it does.");
    }
  });
}

listen();
