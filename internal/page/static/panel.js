// The panel next to the hosts: one session, one host, or the system. It is built once; then only its changing parts are
// written again, so that typed text and focus stay.

import * as host from "./host.js";
import * as session from "./session.js";
import * as system from "./system.js";
import { element } from "./text.js";

const panel = document.getElementById("panel");
let at = null, built = null, closed = () => {};

export const start = whenClosed => {
  closed = whenClosed;
  panel.addEventListener("keydown", event => { if (event.key === "Escape") { event.preventDefault(); close(); } });
};
export const opened = () => at;

// open shows a session, a host or the system, and moves the focus there.
export function open(to) {
  at = to;
  const of = to.system ? system : to.session !== undefined ? session : host;
  built = of.build(to, open);
  const title = element("h2", { id: "panel-title", tabIndex: -1 }, ...built.title);
  panel.replaceChildren(element("div", { class: "panel-head" }, title,
    element("button", { type: "button", class: "close", "aria-label": "Close this panel", onclick: close }, "×")), built.body);
  panel.hidden = false;
  document.body.classList.add("opened");
  panel.scrollTop = 0;
  built.update();
  title.focus({ preventScroll: true });
}

export function close() {
  if (!at) return;
  const was = at;
  [at, built] = [null, null];
  panel.hidden = true;
  panel.replaceChildren();
  document.body.classList.remove("opened");
  closed(was);
}

export const update = () => built?.update();
