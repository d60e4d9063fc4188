// The question before an action that cannot be undone, for real sessions.

import { write } from "./text.js";

const dialog = document.getElementById("sure");

// sure asks, and is true for yes. Escape is no.
export function sure(title, text, yes) {
  write(document.getElementById("sure-title"), title);
  write(document.getElementById("sure-text"), text);
  write(document.getElementById("sure-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}
