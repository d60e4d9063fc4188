// The page's requests: each click is one request, which is noted with its answer and the commands that do the same in a
// terminal.

import { about, authorization, secret } from "./feed.js";
import { json, quote } from "./text.js";

export const log = []; // the newest first
const kept = 100;
let number = 0, token = null, noted = () => {};
export const onRequest = listener => { noted = listener; };

// address of the broker's API, for commands.
const address = () => about().Address ?? location.origin;

// curl returns the command line that sends the same request.
function curl(method, path, body, authorized) {
  const words = ["curl", "-s"];
  if (method !== (body === undefined ? "GET" : "POST")) words.push("-X", method);
  words.push(quote(address() + path));
  let line = words.join(" ");
  if (authorized && about().NeedsToken) line += ' -H "Authorization: Bearer $TOKEN"';
  if (body !== undefined) line += " -H 'Content-Type: application/json' -d " + quote(json(body));
  return line;
}

// dcvbroker returns the command line that does the same.
export const dcvbroker = (...words) =>
  ["dcvbroker", ...(about().Arguments ?? ["--url", location.origin]), ...words].map(quote).join(" ");

// send sends a request, and notes it. Its answer is { ok, status, body }.
async function send({ title, method = "POST", path, body, lines = [], authorized = false, judge = judged }) {
  const request = { number: ++number, at: new Date(), title, lines, outcome: "...", ok: true };
  log.unshift(request);
  log.length = Math.min(log.length, kept);
  noted(request);
  let answer;
  try {
    answer = await ask(method, path, body, authorized);
    [request.outcome, request.ok] = judge(answer);
  } catch (e) {
    [request.outcome, request.ok, answer] = ["no answer: " + e.message, false, { ok: false }];
  }
  noted(request);
  return { ...answer, outcome: request.outcome, ok: request.ok, lines };
}

async function ask(method, path, body, authorized) {
  const once = bearer => fetch(path.slice(1), {
    method, body: body === undefined ? undefined : JSON.stringify(body), redirect: "error", credentials: "omit",
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...authorization(bearer) },
  });
  if (authorized && about().Local && about().NeedsToken) token ??= await localToken();
  const response = await once(secret() ?? token);
  const text = await response.text();
  let parsed = null;
  try { parsed = text ? JSON.parse(text) : null; } catch { parsed = { message: text }; }
  return { ok: response.ok, status: response.status, body: parsed };
}

// localToken gets a token from the local system's token endpoint.
async function localToken() {
  const answer = await fetch("oauth2/token", {
    method: "POST", headers: { Authorization: "Basic " + btoa("page:any") },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "dcv-session-manager/sm_scope" }),
  });
  return (await answer.json()).access_token;
}

function judged(answer) {
  if (!answer.ok) return [`${answer.status}: ${faults(answer.body)}`, false];
  return [answer.body?.message ?? "done", true];
}

const faults = body => body?.errors?.map(e => `${e.Field}: ${e.Reason}`).join("; ") || body?.message || "no reason";

// judgedEntry returns the outcome of a request's only entry.
function judgedEntry(answer) {
  const done = answer.body?.SuccessfulList?.[0], failed = answer.body?.UnsuccessfulList?.[0];
  if (!answer.ok || !(done || failed)) return judged(answer);
  if (failed) return [failed.FailureReason, false];
  const at = done.CloseAt ? `, closing begins at ${done.CloseAt}` : "";
  const hits = done.Session;
  const would = hits ? `; it would delete on ${hits.HostId}, ${hits.State}, ${hits.NumOfConnections} connected` : "";
  return [(answer.body.DryRun ? "dry run: " : "") + (done.State ?? "done") + at + would, true];
}

// An entry names exactly the session that is shown: a newer one with its ID is not deleted.
function entry(record) {
  const made = { SessionId: record.SessionId, Owner: record.Owner };
  if (record.HostId) made.HostId = record.HostId;
  if (record.CreationTime) made.CreationTime = record.CreationTime;
  return made;
}

// asHow adds to an entry, and to dcvbroker's words, how the session is deleted: { force, grace (seconds), message, reason, dryRun }.
function asHow(made, words, how) {
  if (how.force) { made.Force = true; words.push("--force"); }
  if (how.grace && !how.force) { made.GracePeriodSeconds = how.grace; words.push("--grace", how.grace % 60 ? how.grace + "s" : how.grace / 60 + "m"); }
  if (how.message && how.grace && !how.force) { made.Message = how.message; words.push("--message", how.message); }
  if (how.reason) { made.Reason = how.reason; words.push("--reason", how.reason); }
  return made;
}

const deletePath = how => "/deleteSessions" + (how.dryRun ? "?dryRun=true" : "");

// remove deletes a session.
export function remove(record, how = {}) {
  const words = [], body = [asHow(entry(record), words, how)], path = deletePath(how);
  words.push(how.dryRun ? "--dry-run" : "--yes");
  const title = (how.dryRun ? "dry run of deleting " : how.force ? "delete by force " : "delete ") + record.SessionId;
  return send({
    title, path, body, authorized: true, judge: judgedEntry,
    lines: [curl("POST", path, body, true), dcvbroker("delete", ...words, "--", record.SessionId)],
  });
}

// drain deletes the host's sessions that are shown. The line for dcvbroker goes on until nothing runs there.
export function drain(host, records, how = {}) {
  const words = [], body = records.map((record, i) => asHow(entry(record), i ? [] : words, how)), path = deletePath(how);
  return send({
    title: (how.dryRun ? "dry run of deleting all of " : "delete all of ") + host, path, body, authorized: true, judge: judgedEntries,
    lines: [curl("POST", path, body, true),
      how.dryRun ? dcvbroker("delete", "--host", host, ...words, "--dry-run") : dcvbroker("drain", host, ...words, "--yes")],
  });
}

function judgedEntries(answer) {
  const done = answer.body?.SuccessfulList, failed = answer.body?.UnsuccessfulList;
  if (!answer.ok || !done) return judged(answer);
  const reasons = [...new Set(failed.map(f => f.FailureReason))].join("; ");
  return [`${answer.body.DryRun ? "dry run: " : ""}${done.length} DELETING` + (failed.length ? `, ${failed.length} not: ${reasons}` : ""), !failed.length];
}

export function cancel(record) {
  const body = [{ SessionId: record.SessionId, Owner: record.Owner }];
  return send({
    title: "cancel the deletion of " + record.SessionId, path: "/cancelDeletions", body, authorized: true, judge: judgedEntry,
    lines: [curl("POST", "/cancelDeletions", body, true), dcvbroker("cancel", "--yes", "--", record.SessionId)],
  });
}

// control calls the control API.
export function control(title, method, path, body) {
  return send({ title, method, path, body, lines: [curl(method, path, body, false)] });
}

// read gets data to show, without a note.
export async function read(path) {
  const answer = await ask("GET", path, undefined, false);
  if (!answer.ok) throw new Error(faults(answer.body));
  return answer.body;
}
