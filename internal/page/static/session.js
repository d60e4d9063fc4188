// A session in the panel: its values, its actions, and its story.

import { about, notices, sessions } from "./feed.js";
import { onHost } from "./board.js";
import { inWords, keyOf, waits } from "./phases.js";
import { act, facts, howFields, line, section, told } from "./parts.js";
import { cancel, control, dcvbroker, read, remove } from "./requests.js";
import { sure } from "./sure.js";
import { clock, element, name, until, write } from "./text.js";

export function build(at, open) {
  const { host, session: id } = at;
  const listed = () => at.listed ? sessions.get(id) : undefined;
  const shown = () => onHost(listed()?.HostId ?? host).find(s => s.key === keyOf(s.record?.HostId ?? host, id, at.listed));
  const known = facts(), state = element("p", { class: "state-line" });
  const there = element("button", { type: "button", class: "plain", onclick: () => open({ host: listed()?.HostId ?? host }) });
  const story = element("ol", { class: "story" }), screen = element("div", { class: "screen" });
  const gone = element("p", { class: "note", hidden: true });
  const body = element("div", { class: "panel-body" }, state, gone, known.list, element("p", { class: "on" }, "on ", there));
  if (at.listed) body.append(deletion(listed));
  const stories = section("Its story", story);
  if (at.listed && about().Explains) stories.append(...explanation(id));
  if (at.listed) stories.append(line(dcvbroker("explain", "--", id)));
  body.append(section("On its screen", screen), stories);
  if (about().Local) body.append(onItsHost(host, id, listed));
  let told = "";
  const tell = async () => {
    const version = JSON.stringify(listed() ?? null);
    if (version === told || !at.listed) return;
    told = version;
    try { drawStory(story, await read("/local/stories/" + encodeURIComponent(id))); } catch (e) { write(story, e.message); }
  };
  const update = () => {
    const record = listed(), is = shown();
    gone.hidden = !!(record || is);
    write(gone, at.listed ? "The table no longer has this record." : "It has ended, or is listed now.");
    state.dataset.is = is?.phase.is ?? "ended";
    write(state, is ? inWords(is.phase) : "gone");
    write(there, record?.HostId ?? host);
    describe(known, record ?? {}, is);
    drawScreen(screen, record?.HostId ?? host, record?.DcvSessionId ?? id);
    tell();
  };
  return { title: [name(id)], body, update };
}

function describe(known, r, is) {
  const running = is?.running;
  known.set("Why", r.StateReason);
  known.set("Owner", r.Owner ?? running?.Owner);
  known.set("Name", r.Name && r.Name !== r.SessionId ? r.Name : "");
  known.set("Type", r.Type ?? running?.Type);
  known.set("Created", r.CreationTime || running?.CreationTime ? clock(r.CreationTime || running?.CreationTime) : "");
  const users = running?.Connections ?? r.NumOfConnections ?? 0;
  known.set("Connected", r.State === "DELETED" ? "" : users === 1 ? "1 user" : users ? users + " users" : "nobody");
  known.set("On the host", running === undefined ? "" : running ? "runs" : "does not run");
  known.set("Requested", r.DeletionRequestedAt ? `${clock(r.DeletionRequestedAt)} by ${r.DeletionRequestedBy ?? "?"}${r.Force ? ", by force" : ""}` : "");
  known.set("Reason given", r.DeletionReason);
  known.set("Closing begins", r.CloseAt ? waits(r) ? until(r.CloseAt) : clock(r.CloseAt) : "");
  known.set("Message", r.Message);
  known.set("Users", r.Warning);
  known.set("Attempts", r.State === "DELETING" || r.Attempts ? String(r.Attempts ?? 0) : "");
  known.set("Next attempt", r.State === "DELETING" && r.NextAttemptAt ? until(r.NextAttemptAt) : "");
  known.set("Tried until", r.State === "DELETING" && r.TryUntil ? clock(r.TryUntil) : "");
  known.set("Confirmed", r.Confirmation ? `${r.Confirmation}${r.ConfirmedAt ? ", " + clock(r.ConfirmedAt) : ""}` : "");
  known.set("Ended", r.DeletedAt ? clock(r.DeletedAt) : "");
  known.set("Cancelled", r.CancelledAt ? clock(r.CancelledAt) : "");
}

function deletion(record) {
  const { fields, how } = howFields();
  const wanted = async (title, more) => {
    const r = record();
    if (!r || !about().Local && !await sure(`${title} ${r.SessionId}?`, `The session of ${r.Owner} on ${r.HostId}. ${more.says}`, title)) return null;
    return remove(r, { ...how(), ...more });
  };
  return section("End it", fields,
    element("div", { class: "buttons" },
      act("Delete", () => wanted("Delete", { says: "Its host closes it." }), { class: "primary" }),
      act("Dry run", () => record() && remove(record(), { ...how(), dryRun: true })),
      act("Cancel deletion", () => record() && cancel(record())),
      act("Delete by force", () => wanted("Delete by force", { force: true, says: "Its record ends, whatever its host does." }), { class: "danger" })),
    told());
}

// explanation shows the output of dcvbroker explain, if the server has it.
function explanation(id) {
  const text = element("pre", { class: "explanation", hidden: true, tabIndex: 0, "aria-label": "Explanation" });
  const button = act("Explain it", async () => {
    try { write(text, (await read("/local/explanations/" + encodeURIComponent(id))).Text, "\n"); } catch (e) { write(text, e.message); }
    text.hidden = false;
    return null;
  });
  return [element("div", { class: "buttons" }, button), text];
}

function onItsHost(host, id, record) {
  const path = () => `/local/hosts/${record()?.HostId ?? host}/sessions/${encodeURIComponent(record()?.DcvSessionId ?? id)}`;
  return section("Without the broker", element("div", { class: "buttons" },
    act("Connect a user", () => control("connect a user to " + id, "PUT", path() + "/connections")),
    act("Disconnect users", () => control("disconnect the users of " + id, "DELETE", path() + "/connections")),
    act("End it on its host", () => control("end " + id + " on its host", "DELETE", path()), { title: "Its record stays READY until the next inventory" }),
    record() && act("Remove the record", () => control("remove the record of " + id, "DELETE", "/local/sessions/" + encodeURIComponent(id)))), told());
}

function drawStory(at, lines) {
  if (!lines.length) return at.replaceChildren(element("li", { class: "none" }, "Nothing has happened to it since this page's server started."));
  at.replaceChildren(...lines.map(l => element("li", { "data-state": l.State ?? "" },
    element("time", { dateTime: l.At }, clock(l.At)), element("span", { class: "state" }, l.State || "removed"), element("span", { class: "by" }, l.By ? " by " + l.By : ""),
    element("ul", {}, ...l.Says.map(says => element("li", {}, says))))));
}

function drawScreen(at, host, id) {
  const windows = [...notices.values()].filter(n => n.HostId === host && n.Id === id && n.Shown);
  at.parentElement.hidden = windows.length === 0;
  const text = windows.map(n => n.Text).join("\n\n");
  if (at.textContent === text) return;
  at.replaceChildren(...windows.map(n => element("blockquote", {}, ...n.Text.split("\n").flatMap(l => [l, element("br")]))));
}
