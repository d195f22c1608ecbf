// One panel for each encoder: what to do now, in one big line.

import { byId, button, glyph, keyed, make, setText, show } from "./dom.js";
import { overwrite, scan } from "./actions.js";
import { updateTray } from "./tray.js";
import { encoderLine, lastOutcome, mayBeOverwritten } from "./words.js";

function create(encoder) {
  const panel = make("article", "encoder");
  const head = make("div", "encoder-head");
  const title = make("h3", "", encoder.name);
  const device = make("p", "device");
  const names = make("div");
  names.append(title, device);
  head.append(names, button("Scan a card", () => scan(encoder.name)));

  const now = make("div", "now");
  const sign = glyph("idle");
  const badge = make("div", "badge");
  badge.append(sign.svg);
  const words = make("div", "now-words");
  words.setAttribute("role", "status");
  const big = make("p", "big");
  const small = make("p", "small");
  words.append(big, small);
  const over = button("Write over the card", () => overwrite(panel.encoder.last_outcome, encoder.name));
  now.append(badge, words, over);

  const bar = make("progress");
  bar.setAttribute("aria-label", "Progress");
  const before = make("p", "before");
  const tray = make("div", "tray");
  panel.append(head, now, bar, before, tray);
  panel.parts = { device, sign, big, small, over, bar, before, tray };
  return panel;
}

function update(panel, encoder, state, trays) {
  panel.encoder = encoder;
  const { device, sign, big, small, over, bar, before, tray } = panel.parts;
  const now = encoderLine(encoder, state.queue);
  panel.className = `encoder ${now.kind}`;
  setText(device, [encoder.device, encoder.mode === "auto" ? "Automatic" : "On request"].filter(Boolean).join(" · "));
  sign.set(now.glyph);
  setText(big, now.big);
  setText(small, now.small);
  show(over, mayBeOverwritten(encoder, state.queue));
  updateBar(bar, encoder.progress);
  const idle = ["ready", "idle"].includes(now.kind);
  setText(before, idle ? lastOutcome(encoder.last_outcome) : "");
  show(before, idle && Boolean(encoder.last_outcome));
  updateTray(tray, encoder.name, trays.find((one) => one.encoder === encoder.name));
}

function updateBar(bar, step) {
  show(bar, Boolean(step));
  if (!step) return;
  bar.max = Math.max(1, step.total);
  bar.value = step.done;
}

export function updateEncoders(state, trays) {
  const container = byId("encoders");
  keyed(container, state.encoders, (encoder) => encoder.name, create, (panel, encoder) =>
    update(panel, encoder, state, trays));
}
