// The parts of panels.

import { element, write } from "./text.js";

// section has a heading and children.
export const section = (title, ...children) => element("section", {}, element("h3", {}, title), ...children);

// act is a button that does something and shows the result in its section.
export function act(label, does, options = {}) {
  const made = element("button", {
    type: "button", class: options.class ?? "", ...(options.title ? { title: options.title } : {}),
    onclick: async () => {
      made.setAttribute("aria-busy", "true");
      try {
        const answer = await does();
        if (answer) outcome(made, answer);
      } finally { made.removeAttribute("aria-busy"); }
    },
  }, label);
  return made;
}

function outcome(button, answer) {
  const at = button.closest("section")?.querySelector(".outcome");
  if (!at) return;
  at.dataset.ok = answer.ok;
  at.replaceChildren(element("p", {}, answer.outcome), ...(answer.lines ?? []).map(line));
}

// told is the place in a section for the results of its buttons, and the commands that do the same. Screen readers read the
// page's status line instead.
export const told = () => element("div", { class: "outcome" });

// facts is a list of names and values; names without a value are not shown. set writes them.
export function facts() {
  const list = element("dl", { class: "facts" }), rows = new Map();
  return {
    list,
    set(label, value) {
      let row = rows.get(label);
      if (!row) {
        row = element("div", {}, element("dt", {}, label), element("dd"));
        rows.set(label, row);
        list.append(row);
      }
      const shown = value instanceof Node ? value.textContent : value ?? "", key = value instanceof Node ? value.dataset?.until ?? shown : shown;
      row.hidden = shown === "";
      const dd = row.lastChild;
      if (dd.dataset.of === String(key)) return;
      dd.dataset.of = String(key);
      value instanceof Node ? dd.replaceChildren(value) : write(dd, shown);
    },
  };
}

const graces = [[0, "none: now"], [60, "1 minute"], [300, "5 minutes"], [600, "10 minutes"], [1800, "30 minutes"], [3600, "1 hour"]];

// howFields are the fields for the options of a deletion; how returns the options.
export function howFields() {
  const grace = element("select", { id: "grace" }, ...graces.map(([seconds, says]) => element("option", { value: seconds }, says)));
  const message = element("input", { id: "message", maxLength: 200, placeholder: "Please save your work.", disabled: true });
  const reason = element("input", { id: "reason", maxLength: 200, placeholder: "maintenance" });
  grace.addEventListener("change", () => { message.disabled = grace.value === "0"; });
  return {
    fields: element("div", { class: "fields" },
      element("label", { for: "grace" }, "Grace period"), grace, element("label", { for: "message" }, "Message to its users"), message,
      element("label", { for: "reason" }, "Reason, for the record"), reason),
    how: () => ({ grace: Number(grace.value), message: message.value.trim(), reason: reason.value.trim() }),
  };
}

// line is a command to copy.
export function line(text) {
  const copied = element("button", {
    type: "button", class: "copy", "aria-label": "Copy: " + text,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        write(copied, "copied");
      } catch { // the browser refuses the clipboard: the line is selected, to be copied by hand
        getSelection().selectAllChildren(code);
        write(copied, "marked");
      }
      setTimeout(() => write(copied, "copy"), 2000);
    },
  }, "copy"), code = element("code", { tabIndex: -1 }, text);
  return element("div", { class: "line" }, code, copied);
}
