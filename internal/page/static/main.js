// The page: changes are drawn once a frame, times that count down once a second.

import * as board from "./board.js";
import * as feed from "./feed.js";
import * as open from "./open.js";
import * as panel from "./panel.js";
import { phase } from "./phases.js";
import { line } from "./parts.js";
import { log, onRequest } from "./requests.js";
import { clock, element, tick, write } from "./text.js";

const at = id => document.getElementById(id);
const search = at("search"), which = at("which");
let dirty = new Set(), all = true, drawing = false;

function opened(to) {
  panel.open(to);
  board.mark(to);
  at("system").setAttribute("aria-pressed", String(!!to.system));
}

board.start(opened);
panel.start(was => {
  board.mark(null);
  at("system").setAttribute("aria-pressed", "false");
  was.system ? at("system").focus() : board.focus(was);
});
at("system").addEventListener("click", () => panel.opened()?.system ? panel.close() : opened({ system: true }));
at("find").addEventListener("submit", event => event.preventDefault());
search.addEventListener("input", () => drawAll());
which.addEventListener("change", () => drawAll());
document.addEventListener("keydown", event => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || at("sure").open;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); search.focus(); search.select(); }
  if (event.key === "Escape" && event.target === search && search.value) { search.value = ""; drawAll(); }
  else if (event.key === "Escape" && !typing && panel.opened()) panel.close();
});

function drawAll() {
  all = true;
  soon();
}

function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const { all: hosts, shown } = board.draw(all ? null : dirty, search.value, which.value);
  [dirty, all] = [new Set(), false];
  write(at("hosts-count"), shown === hosts ? String(hosts) : `${shown} of ${hosts}`);
  open.draw(search.value, opened);
  panel.update();
  if (panel.opened()) board.mark(panel.opened());
  sums();
  link();
  tick(feed.now());
}

const counted = { ready: "ready", waiting: "in their grace period", closing: "closing", stuck: "stuck", unknown: "unknown", ended: "ended" };

function sums() {
  const sum = {};
  for (const record of feed.sessions.values()) sum[phase(record).is] = (sum[phase(record).is] ?? 0) + 1;
  const list = at("sums");
  for (const [is, says] of Object.entries(counted)) {
    let item = list.querySelector(`[data-is="${is}"]`);
    if (!item) list.append(item = element("li", { "data-is": is }));
    item.hidden = !sum[is];
    write(item, `${sum[is] ?? 0} ${says}`);
  }
}

const links = { connecting: "connecting", loading: "loading", live: "live", quiet: "no data: the server is busy or not running", away: "the server does not answer; trying again",
  locked: "no secret: open the address that dcvbroker printed" };

function link() {
  const { link, problem, restarts, leftOut } = feed.status();
  at("link").dataset.state = problem && link === "live" ? "quiet" : link;
  write(at("link"), problem && link === "live" ? "old: " + problem : links[link] + (restarts && link === "live" ? " · the server was started again" : ""));
  write(at("broker"), feed.about().Broker ?? "");
  const left = Object.entries(leftOut).map(([kind, n]) => `${n} ${kind}s`).join(" and ");
  const missing = feed.about().Missing;
  const notes = [left && `There is too much to show: ${left} are left out, ended sessions first.`, missing && `It is not known ${missing}`].filter(Boolean);
  at("board-note").hidden = !notes.length;
  write(at("board-note"), notes.join(" "));
}

onRequest(request => {
  write(at("requests-count"), String(log.length));
  at("requests-none").hidden = log.length > 0;
  const list = at("requests"), id = "request-" + request.number;
  const made = element("li", { id, "data-ok": String(request.ok) },
    element("div", { class: "what" }, element("time", {}, clock(request.at)), element("strong", {}, request.title), element("span", { class: "outcome" }, request.outcome)),
    ...request.lines.map(line));
  at(id) ? at(id).replaceWith(made) : list.prepend(made);
  while (list.children.length > log.length) list.lastChild.remove();
  if (request.outcome !== "...") write(at("said"), `${request.title}: ${request.outcome}`);
});

setInterval(() => tick(feed.now()), 1000);
feed.follow(changes => {
  if (changes === null) {
    board.forget();
    for (const [id, record] of feed.sessions) board.keepByHost(id, undefined, record);
    all = true;
  }
  for (const { kind, id, was } of changes ?? []) {
    const is = feed.sessions.get(id);
    if (kind === "host") dirty.add(id);
    if (kind === "about") all = true;
    if (kind !== "session") continue;
    board.keepByHost(id, was, is);
    for (const host of [was?.HostId, is?.HostId]) if (host) dirty.add(host);
  }
  soon();
});
