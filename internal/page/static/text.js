// Text and elements. IDs, owners, names and reasons are written by users and hosts: they become text nodes only, in
// which invisible characters are shown.

// Invisible characters, and those that change how other text is shown: control characters, line separators, marks of
// direction, tags.
const unseen = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

const escaped = c => "\\u{" + c.codePointAt(0).toString(16) + "}";

// plain replaces these characters. It can keep some: "\n" where lines are shown as lines.
export const plain = (text, kept = "") => String(text ?? "").replace(unseen, c => c === kept ? c : escaped(c));

// element makes one: properties that begin with on are listeners, those with - and role are attributes.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key.includes("-") || key === "role" || key === "for" || key === "list") made.setAttribute(key, value);
    else if (key === "class") made.className = value;
    else made[key] = value;
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false)
    .map(child => child instanceof Node ? child : plain(child)));
  return made;
}

// write sets an element's text only if it changes, since a screen reader reads each write.
export function write(at, text, kept) {
  const shown = plain(text, kept);
  if (at.textContent !== shown) at.textContent = shown;
}

// finder returns a function that tells whether a text has all words of a search.
export function finder(search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return text => words.every(word => text.toLowerCase().includes(word));
}

// name is an ID, isolated from the direction of the text around it.
export const name = text => element("bdi", { class: "id", title: plain(text) }, text);

// span is a time in words: 42 s, 3 min 05 s, 2 h 10 min.
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor(seconds / 60) % 60).padStart(2, "0")} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

// brief is a shorter form: 0:42, 3:05, 2 h 10 min.
const brief = milliseconds => milliseconds >= 3600000 ? span(milliseconds)
  : `${Math.floor(milliseconds / 60000)}:${String(Math.floor(milliseconds / 1000) % 60).padStart(2, "0")}`;

// clock is a time in the local time zone.
export function clock(time) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return plain(time);
  const day = at.toDateString() === new Date().toDateString() ? "" : at.toLocaleDateString(undefined, { month: "short", day: "numeric" }) + " ";
  return day + at.toLocaleTimeString(undefined, { hour12: false });
}

// until is a time that counts down, or says how long ago it was; see tick.
export const until = (time, before = "in ", after = "due for ", scarce = false) =>
  element("time", { dateTime: String(time), title: clock(time), "data-until": String(time), "data-before": before, "data-after": after, "data-brief": String(scarce) });

// tick updates all times that count.
export function tick(now) {
  for (const at of document.querySelectorAll("time[data-until]")) {
    const left = Date.parse(at.dataset.until) - now, words = at.dataset.brief === "true" ? brief : span;
    write(at, left >= 0 ? at.dataset.before + words(left) : at.dataset.after + words(-left));
  }
}

// quote is a word for a shell.
export function quote(word) {
  if (/^[A-Za-z0-9_.,:/@%+-][A-Za-z0-9_.,:/@%+=-]*$/.test(word)) return word; // zsh expands =word
  const printed = word.replace(unseen, "");
  if (printed === word) return "'" + word.replaceAll("'", "'\\''") + "'";
  // $'...' of bash and zsh: the copied text has no characters that control a terminal.
  return "$'" + word.replace(/[\\']/g, "\\$&").replace(unseen, c => "\\U" + c.codePointAt(0).toString(16).padStart(8, "0")) + "'";
}

// json is a value for a request, without invisible characters.
export const json = value => JSON.stringify(value).replace(unseen, c =>
  [...Array(c.length).keys()].map(i => "\\u" + c.charCodeAt(i).toString(16).padStart(4, "0")).join(""));
