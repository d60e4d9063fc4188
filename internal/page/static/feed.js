// The items, updated by the server's stream of events, which is opened again whenever it ends.

const kinds = { about: new Map(), session: new Map(), host: new Map(), notice: new Map(), calls: new Map() };
let epoch = "", ahead = 0, heardAt = 0, leftOut = {}, problem = "", link = "connecting", restarts = 0;

export const sessions = kinds.session, hosts = kinds.host, notices = kinds.notice, calls = kinds.calls;
export const about = () => kinds.about.get("") ?? { Local: false, Broker: "" };
export const now = () => Date.now() + ahead; // by the broker's clock
export const status = () => ({ link, problem, leftOut, restarts });

// The secret is after the address's #, which is not sent to any server. It is removed from the address immediately.
const key = "dcvbroker-secret";
function keepSecret() {
  if (location.hash.length < 2 || document.getElementById(location.hash.slice(1))) return false;
  sessionStorage.setItem(key, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  return true;
}
keepSecret();
addEventListener("hashchange", () => { if (keepSecret()) location.reload(); });
export const secret = () => sessionStorage.getItem(key);
export const authorization = token => token ? { Authorization: "Bearer " + token } : {};

// follow calls back on changes, with the kinds and IDs, or null if anything may have changed.
export async function follow(changed) {
  const say = to => { if (link !== to) { link = to; changed([]); } };
  // A running server sends a frame every few seconds. Without one the connection may be dead.
  setInterval(() => { if (link === "live" && Date.now() - heardAt > 20000) say("quiet"); }, 1000);
  for (let wait = 250; ; wait = Math.min(wait * 2, 5000)) {
    try {
      const answer = await fetch("local/events", { headers: authorization(secret()), cache: "no-store" });
      if (answer.status === 401) { say("locked"); return; }
      if (!answer.ok) throw new Error(await answer.text());
      await read(answer.body, data => { wait = 250; take(data, changed); });
    } catch { /* the server does not answer: try again */ }
    say("away");
    await new Promise(resolve => setTimeout(resolve, wait));
  }
}

async function read(body, told) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const data = text.slice(0, end).split("\n").filter(line => line.startsWith("data: ")).map(line => line.slice(6)).join("\n");
      if (data) told(JSON.parse(data));
    }
  }
}

function take(frame, changed) {
  heardAt = Date.now();
  ahead = Date.parse(frame.Now) - heardAt;
  if (epoch && frame.Epoch !== epoch) restarts++;
  epoch = frame.Epoch;
  leftOut = frame.LeftOut ?? {};
  problem = frame.Problem ?? "";
  link = frame.More ? "loading" : "live";
  if (frame.Whole) for (const kind of Object.values(kinds)) kind.clear();
  const known = frame.Items.filter(item => kinds[item.Kind]);
  const before = known.map(item => kinds[item.Kind].get(item.ID));
  for (const item of known) {
    if (item.Value === undefined || item.Value === null) kinds[item.Kind].delete(item.ID);
    else kinds[item.Kind].set(item.ID, item.Value);
  }
  changed(frame.Whole ? null : known.map((item, i) => ({ kind: item.Kind, id: item.ID, was: before[i] })));
}
