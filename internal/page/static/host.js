// A host in the panel: its sessions, its faults, and actions that cause faults.

import { about, hosts } from "./feed.js";
import { onHost, trouble } from "./board.js";
import { faults } from "./faults.js";
import { act, facts, howFields, section, told } from "./parts.js";
import { inWords } from "./phases.js";
import { control, drain } from "./requests.js";
import { sure } from "./sure.js";
import { clock, element, name, write } from "./text.js";

export function build(at, open) {
  const { host: id } = at, known = facts(), state = element("p", { class: "state-line" });
  const list = element("ul", { class: "names" });
  const body = element("div", { class: "panel-body" }, state, known.list, section("Sessions", list));
  const buttons = new Map();
  body.append(draining(id));
  if (about().Local) body.append(...faultSections(id, buttons), newSession(id));
  const update = () => {
    const host = hosts.get(id), wrong = trouble(host);
    state.dataset.is = wrong.length ? "stuck" : "ready";
    write(state, wrong.join(", ") || host?.State || "no known fault");
    known.set("Last answer", host?.SentAt ? "to the inventory of " + clock(host.SentAt) : "to no inventory yet");
    known.set("Last whole answer", host?.CompleteAt ? "to that of " + clock(host.CompleteAt) : "");
    known.set("Empty", host?.EmptySince ? "by its inventories since " + clock(host.EmptySince) : "");
    for (const [does, button] of buttons) {
      const on = host?.Faults?.includes(does) ?? false;
      button.setAttribute("aria-pressed", String(on));
    }
    const all = onHost(id), key = all.map(s => s.key + s.phase.is).join("\n");
    if (list.dataset.of === key) return;
    list.dataset.of = key;
    list.replaceChildren(...all.map(s => element("li", { "data-is": s.phase.is },
      element("button", { type: "button", class: "plain", onclick: () => open({ host: id, session: s.id, listed: s.record !== null }) }, name(s.id)),
      element("span", { class: "state" }, inWords(s.phase)))));
    if (!all.length) list.replaceChildren(element("li", { class: "none" }, "none"));
  };
  return { title: [name(id)], body, update };
}

// draining deletes the sessions that live there now. For later ones click again, or use dcvbroker drain.
function draining(id) {
  const { fields, how } = howFields();
  const living = () => onHost(id).filter(s => s.record && s.phase.lane !== "ended").map(s => s.record);
  return section("Drain it", fields, element("div", { class: "buttons" },
    act("Delete all of them", async () => {
      const all = living();
      if (!all.length) return { ok: true, outcome: "no session is listed there" };
      const names = all.slice(0, 5).map(r => `${r.SessionId} of ${r.Owner}`).join(", ") + (all.length > 5 ? ` and ${all.length - 5} more` : "");
      if (!about().Local && !await sure(`Delete all ${all.length} sessions of ${id}?`, names, "Delete all")) return null;
      return drain(id, all, how());
    }, { class: "danger" }),
    act("Dry run", () => living().length ? drain(id, living(), { ...how(), dryRun: true }) : null)),
  told());
}

function faultSections(id, buttons) {
  const groups = [...new Set(faults.map(f => f.group))];
  return groups.map(group => section(group, element("ul", { class: "faults" }, ...faults.filter(f => f.group === group).map(f => {
    const button = act(f.does, () => {
      const action = f.undoes && button.getAttribute("aria-pressed") === "true" ? f.undoes : f.does;
      return control(`${action} ${id}`, "POST", `/local/hosts/${id}/${action}`);
    });
    button.setAttribute("aria-describedby", "fault-" + f.does);
    if (f.undoes) {
      button.setAttribute("aria-pressed", "false");
      buttons.set(f.does, button);
    }
    return element("li", {}, button, element("span", { id: "fault-" + f.does }, f.says));
  })), told()));
}

function newSession(id) {
  const session = element("input", { id: "new-id", required: true, maxLength: 128, placeholder: "render-8" });
  const owner = element("input", { id: "new-owner", required: true, maxLength: 256, placeholder: "user1" });
  const listed = element("input", { id: "new-listed", type: "checkbox", checked: true });
  return section("Start a session here",
    element("div", { class: "fields" }, element("label", { for: "new-id" }, "ID"), session, element("label", { for: "new-owner" }, "Owner"), owner,
      element("label", { for: "new-listed" }, "In the table now"), element("span", {}, listed)),
    element("div", { class: "buttons" }, act("Start", async () => {
      const missing = [session, owner].find(input => !input.reportValidity());
      if (missing) return null;
      return control(`start ${session.value} on ${id}`, "PUT", `/local/hosts/${id}/sessions/${encodeURIComponent(session.value)}`,
        { Owner: owner.value, Registered: listed.checked });
    })), told());
}
