// The one dialog: a question with yes and back, and a reason where one is needed.

import { byId, setText, show } from "./dom.js";

// Resolves to {reason, otherCard}, or null for "back".
export function ask({ title, text, yes, withReason = false, withOtherCard = false }) {
  const dialog = byId("question");
  const reason = byId("reason");
  setText(byId("question-title"), title);
  setText(byId("question-text"), text);
  setText(byId("question-yes"), yes);
  show(byId("reason-field"), withReason);
  show(byId("other-field"), withOtherCard);
  reason.value = "";
  reason.required = withReason;
  reason.pattern = withReason ? ".*\\S.*" : ".*";
  byId("other").checked = false;
  dialog.returnValue = "";
  dialog.showModal();
  if (withReason) reason.focus();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => resolve(dialog.returnValue === "yes"
        ? { reason: reason.value.trim(), otherCard: byId("other").checked }
        : null),
      { once: true },
    );
  });
}

byId("question-no").addEventListener("click", () => byId("question").close(""));
