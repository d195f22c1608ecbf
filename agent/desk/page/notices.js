// Answers to what was asked: one card each, newest first, until dismissed.

import { byId, button, make, setText } from "./dom.js";
import { outcome } from "./api.js";
import { attemptWords } from "./words.js";

const KEPT = 4;

function notice(title, text) {
  const element = make("article", "notice busy");
  const words = make("div");
  const heading = make("h3", "", title);
  const detail = make("p", "", text);
  words.append(heading, detail);
  const close = button("Dismiss", () => element.remove(), "quiet");
  element.append(words, close);
  const container = byId("notices");
  container.prepend(element);
  while (container.children.length > KEPT) container.lastChild.remove();
  return (next) => {
    element.className = `notice ${next.tone}`;
    setText(heading, next.title);
    setText(detail, next.text);
    if (next.action) element.insertBefore(next.action, close);
  };
}

// Runs `start`, which answers with an action attempt, and shows what comes of it. `onFailure(body)` may offer a button.
export async function follow(what, hint, start, onFailure = () => null) {
  const tell = notice(what, hint);
  try {
    const body = await outcome((await start()).action_attempt);
    const action = body.action_attempt.status === "error" ? onFailure(body) : null;
    tell({ ...attemptWords(what, body), action });
  } catch (error) {
    tell({ tone: "trouble", title: `${what}: ${error.message}`, text: error.nextStep || "" });
  }
}

// Runs `work` and says something only where it is refused.
export async function attempt(what, work) {
  try {
    await work();
  } catch (error) {
    notice("", "")({ tone: "trouble", title: `${what}: ${error.message}`, text: error.nextStep || "" });
  }
}
