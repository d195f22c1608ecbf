// The tray of virtual cards, where an encoder has one.

import { button, keyed, make, setText, show } from "./dom.js";
import { post } from "./api.js";
import { attempt } from "./notices.js";

const STATES = { fresh: "fresh", encoded: "encoded", torn: "torn in writing" };

function build(container, encoder) {
  const title = make("h4", "", "Virtual cards");
  const cards = make("ul", "cards");
  cards.setAttribute("aria-label", `Virtual cards for ${encoder}`);
  const fresh = button("Put a fresh card", () => attempt("Virtual card", () => post("/api/tray/put", { encoder })), "quiet");
  container.append(title, cards, fresh);
  container.parts = { cards };
}

function createCard(card, encoder) {
  const item = make("li");
  const element = make("button", "card");
  element.type = "button";
  const kind = make("span", "card-kind", card.kind);
  const holds = make("span", "card-holds");
  const action = make("span", "card-action");
  element.append(kind, make("span", "card-holds", card.uid), holds, action);
  element.addEventListener("click", () => attempt("Virtual card", () =>
    item.card.on_encoder ? post("/api/tray/take", { encoder }) : post("/api/tray/put", { encoder, uid: item.card.uid })));
  item.append(element);
  item.parts = { element, holds, action };
  return item;
}

function updateCard(item, card) {
  item.card = card;
  const { element, holds, action } = item.parts;
  element.setAttribute("aria-label", `${card.on_encoder ? "Take away" : "Put down"} ${card.kind} ${card.uid}`);
  setText(holds, STATES[card.state] || card.state);
  setText(action, card.on_encoder ? "Take away" : "Put down");
  element.className = card.on_encoder ? "card here" : "card";
  element.setAttribute("aria-pressed", String(card.on_encoder));
}

export function updateTray(container, encoder, tray) {
  show(container, Boolean(tray));
  if (!tray) return;
  if (!container.parts) build(container, encoder);
  keyed(container.parts.cards, tray.cards, (card) => card.uid, (card) => createCard(card, encoder), updateCard);
}
