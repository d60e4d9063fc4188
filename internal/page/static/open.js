// The open deletions, the most urgent first, with the next event and its time.

import { sessions } from "./feed.js";
import { phase, waits } from "./phases.js";
import { element, finder, name, until, write } from "./text.js";

const rows = new Map(); // by session ID
const body = document.getElementById("open-rows");
const most = 100;

export function draw(search, opened) {
  const found = finder(search);
  const open = [...sessions.values()].filter(r => r.State === "DELETING")
    .sort((a, b) => rank(a) - rank(b) || String(a.DeletionRequestedAt).localeCompare(String(b.DeletionRequestedAt)));
  const shown = open.filter(r => found([r.SessionId, r.Owner, r.HostId, r.StateReason].join(" "))).slice(0, most);
  write(document.getElementById("open-count"), open.length > most ? `${most} of ${open.length}` : String(open.length));
  document.getElementById("open").classList.toggle("empty", open.length === 0);
  const keys = new Set(shown.map(r => r.SessionId));
  for (const [id, row] of rows) if (!keys.has(id)) { row.remove(); rows.delete(id); }
  let previous = null;
  for (const record of shown) {
    const row = rows.get(record.SessionId) ?? make(record.SessionId, opened);
    fill(row, record);
    if (row.previousElementSibling !== previous || row.parentElement !== body) previous ? previous.after(row) : body.prepend(row);
    previous = row;
  }
}

const rank = record => ({ stuck: 0, closing: 1, waiting: 2 })[phase(record).is] ?? 3;

function make(id, opened) {
  const cell = () => element("td");
  const row = element("tr", {}, element("th", { scope: "row" },
    element("button", { type: "button", class: "plain", onclick: () => opened({ host: sessions.get(id)?.HostId, session: id, listed: true }) }, name(id))),
    cell(), cell(), cell(), cell(), cell(), cell());
  rows.set(id, row);
  return row;
}

function fill(row, record) {
  const [, owner, host, stage, attempts, next, reason] = row.children, is = phase(record);
  row.dataset.is = is.is;
  write(owner, record.Owner);
  write(host, record.HostId ?? "");
  write(stage, record.Confirmation ? "confirmed: " + record.Confirmation : waits(record) ? "grace period" : is.is === "stuck" ? "stuck" : "closing");
  write(attempts, record.Attempts ? String(record.Attempts) : "none yet");
  write(reason, record.StateReason ?? "");
  const [to, before, after] = waits(record) ? [record.CloseAt, "closes in ", "close time over for "] : [record.NextAttemptAt, "tried again in ", "lease over for "];
  if (next.dataset.of !== to) {
    next.dataset.of = to;
    next.replaceChildren(to ? until(to, before, after) : "");
  }
}
