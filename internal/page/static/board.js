// The hosts as columns, their sessions as cards. Only changed parts are written again, so that focus stays where it is. A
// card moves to the lane of its phase.

import { about, hosts, sessions } from "./feed.js";
import { inWords, keyOf, lanes, phase, sameIncarnation } from "./phases.js";
import { element, finder, name, until, write } from "./text.js";

const board = document.getElementById("board");
const columns = new Map(); // by host ID: { column, head, lanes, cards }
const byHost = new Map(); // host ID to a set of session IDs of the table
const shownEnded = 4;
let open = () => {}, found = () => true;

export function start(opened) {
  open = opened;
  board.addEventListener("keydown", move);
}

// keepByHost follows the records, whose host may change.
export function keepByHost(id, was, is) {
  if (was?.HostId && was.HostId !== is?.HostId) byHost.get(was.HostId)?.delete(id);
  if (!is?.HostId) return;
  if (!byHost.has(is.HostId)) byHost.set(is.HostId, new Set());
  byHost.get(is.HostId).add(id);
}

export const forget = () => byHost.clear();

// onHost returns what a host's column shows: records, and sessions that run there without one.
export function onHost(hostID) {
  const runs = hosts.get(hostID)?.Sessions;
  const known = new Map((runs ?? []).map(s => [s.Id, s]));
  const shown = [...byHost.get(hostID) ?? []].map(id => {
    const record = sessions.get(id), running = known.get(record.DcvSessionId ?? id);
    const same = running && sameIncarnation(running.CreationTime, record.CreationTime) ? running : null;
    if (same && record.State !== "DELETED") known.delete(running.Id);
    return { key: keyOf(hostID, id, true), id, record, running: runs ? same : undefined, phase: phase(record, runs ? same : undefined) };
  });
  for (const running of known.values()) {
    shown.push({ key: keyOf(hostID, running.Id, false), id: running.Id, record: null, running, phase: phase(null, running) });
  }
  const latest = s => s.record?.DeletedAt ?? s.record?.DeletionRequestedAt ?? "";
  return shown.sort((a, b) => (a.phase.lane === "ended" && b.phase.lane === "ended" ? latest(b).localeCompare(latest(a)) : 0) || a.id.localeCompare(b.id));
}

const hostIDs = () => [...new Set([...hosts.keys(), ...[...byHost].filter(([, of]) => of.size).map(([id]) => id)])].sort();

// trouble returns a host's faults in words.
export function trouble(host) {
  if (!host) return [];
  return [...(host.State && host.State !== "running" ? [host.State] : []), ...(host.Faults ?? [])];
}

// draw updates the columns of those hosts, or all.
export function draw(only, search, which) {
  found = finder(search);
  const ids = hostIDs();
  for (const [id, { column }] of columns) if (!hosts.has(id) && !byHost.get(id)?.size) { column.remove(); columns.delete(id); }
  const still = !only || only.size > 8 || matchMedia("(prefers-reduced-motion: reduce)").matches;
  let previous = null;
  for (const id of ids) {
    const there = columns.get(id) ?? make(id);
    if (there.column.previousElementSibling !== previous || there.column.parentElement !== board) {
      previous ? previous.after(there.column) : board.prepend(there.column);
    }
    previous = there.column;
    if (!only || only.has(id)) fill(id, there, which, still);
  }
  if (!board.querySelector('[tabindex="0"]')) firstStop()?.setAttribute("tabindex", "0");
  return { all: ids.length, shown: ids.filter(id => !columns.get(id).column.hidden).length };
}

function make(hostID) {
  const head = element("button", { type: "button", class: "host", tabIndex: -1, onclick: () => open({ host: hostID }) },
    element("span", { class: "dot", "aria-hidden": "true" }), name(hostID), element("span", { class: "says" }));
  const made = { head, lanes: {}, cards: new Map(), column: element("li", { class: "column" }, head) };
  for (const [lane, says] of Object.entries(lanes)) {
    made.lanes[lane] = element("ul", { class: "lane " + lane, "aria-label": says });
    made.column.append(made.lanes[lane]);
  }
  made.rest = element("p", { class: "rest", hidden: true });
  made.column.append(made.rest);
  columns.set(hostID, made);
  return made;
}

function fill(hostID, there, which, still) {
  const host = hosts.get(hostID), all = onHost(hostID), wrong = trouble(host);
  const matched = all.filter(s => found([s.id, s.record?.Owner ?? s.running?.Owner, s.record?.Name, s.phase.word, s.phase.more, hostID].join(" ")));
  const wanted = { all: true, deleting: all.some(s => s.phase.lane === "closing"), occupied: all.some(s => s.phase.lane !== "ended"),
    trouble: wrong.length > 0 || all.some(s => ["stuck", "ghost", "unknown"].includes(s.phase.is)) }[which];
  there.column.hidden = !wanted || !matched.length && !found([hostID, ...wrong].join(" "));
  there.column.dataset.state = host?.State ?? "running";
  there.column.classList.toggle("trouble", wrong.length > 0);
  const empty = matched.length ? "" : about().Local && host?.State === "stopped" ? "" : "no sessions";
  write(there.head.querySelector(".says"), wrong.join(", ") || empty);
  const shown = matched.filter((s, i) => s.phase.lane !== "ended" || matched.slice(0, i).filter(o => o.phase.lane === "ended").length < shownEnded);
  const left = matched.length - shown.length + (host?.MoreSessions ?? 0);
  there.rest.hidden = left === 0;
  write(there.rest, `and ${left} more`);
  const before = still ? new Map() : new Map([...there.cards].map(([key, card]) => [key, card.getBoundingClientRect()]));
  const keys = new Set(shown.map(s => s.key));
  for (const [key, card] of there.cards) if (!keys.has(key)) { card.parentElement.remove(); there.cards.delete(key); }
  const last = {};
  for (const s of shown) {
    const card = there.cards.get(s.key) ?? newCard(hostID, s, there);
    fillCard(card, s);
    const item = card.parentElement, lane = there.lanes[s.phase.lane], after = last[s.phase.lane] ?? null;
    if (item.parentElement !== lane || item.previousElementSibling !== after) after ? after.after(item) : lane.prepend(item);
    last[s.phase.lane] = item;
  }
  if (!still) glide(there.cards, before);
}

function newCard(hostID, s, there) {
  const card = element("button", { type: "button", class: "card", tabIndex: -1, onclick: () => open({ host: hostID, session: s.id, listed: s.record !== null }) },
    element("span", { class: "row" }, name(s.id), element("span", { class: "owner" })),
    element("span", { class: "row" }, element("span", { class: "state" }), element("span", { class: "more" })),
    element("span", { class: "track", "aria-hidden": "true" }, ...[1, 2, 3, 4].map(() => element("i"))));
  there.cards.set(s.key, card);
  element("li", {}, card);
  return card;
}

// The stages that a card goes through: listed, users warned or waited for, closing, ended.
const stage = { ready: 1, ghost: 1, unknown: 1, unlisted: 0, waiting: 2, closing: 3, stuck: 3, ended: 4 };

function fillCard(card, { record, running, phase: is }) {
  card.dataset.is = is.is;
  card.dataset.stage = stage[is.is];
  write(card.querySelector(".owner"), record?.Owner ?? running?.Owner ?? "");
  write(card.querySelector(".state"), is.brief ?? inWords(is));
  const more = card.querySelector(".more"), users = running?.Connections ?? record?.NumOfConnections;
  const line = is.is === "waiting" ? record.CloseAt : is.lane === "closing" ? record.NextAttemptAt : "";
  if (more.dataset.of !== line + users) {
    more.dataset.of = line + users;
    more.replaceChildren(line ? until(line, is.is === "waiting" ? "closes in " : "again in ", "due ", true)
      : users && is.lane !== "ended" ? `${users} connected` : "");
  }
}

// glide animates cards that have moved.
function glide(cards, before) {
  for (const [key, card] of cards) {
    const was = before.get(key), is = card.getBoundingClientRect();
    if (was && was.height && (was.top !== is.top || was.left !== is.left)) {
      card.animate([{ transform: `translate(${was.left - is.left}px, ${was.top - is.top}px)` }, { transform: "none" }], { duration: 260, easing: "ease-out" });
    } else if (!was && before.size) {
      card.animate([{ opacity: 0 }, { opacity: 1 }], { duration: 260 });
    }
  }
}

const stops = column => [...column.querySelectorAll("button")];
const firstStop = () => board.querySelector(".column:not([hidden]) button");

// go makes a button the tab stop, and focuses it.
function go(button) {
  board.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
  button.setAttribute("tabindex", "0");
  button.focus();
  button.scrollIntoView({ block: "nearest", inline: "nearest" });
}

// focus returns to a host or a session's card.
export function focus({ host, session, listed }) {
  const there = columns.get(host);
  go((session !== undefined ? there?.cards.get(keyOf(host, session, listed)) : null) ?? there?.head ?? firstStop() ?? board);
}

// mark shows which one is open.
export function mark(at) {
  for (const marked of board.querySelectorAll('[aria-current="true"]')) marked.removeAttribute("aria-current");
  const there = at && columns.get(at.host);
  if (there) (at.session !== undefined ? there.cards.get(keyOf(at.host, at.session, at.listed)) : there.head)?.setAttribute("aria-current", "true");
}

function move(event) {
  const at = event.target.closest("button"), column = at?.closest(".column");
  if (!column || event.ctrlKey || event.altKey || event.metaKey) return;
  const shown = [...board.querySelectorAll(".column:not([hidden])")], here = stops(column), row = here.indexOf(at), place = shown.indexOf(column);
  const nextTo = by => { const next = shown[place + by] && stops(shown[place + by]); return next?.[Math.min(row, next.length - 1)]; };
  const to = { ArrowDown: () => here[row + 1], ArrowUp: () => here[row - 1], ArrowRight: () => nextTo(1), ArrowLeft: () => nextTo(-1),
    Home: () => stops(shown[0])[0], End: () => stops(shown.at(-1))[0] }[event.key]?.();
  if (to) { event.preventDefault(); go(to); }
}
