// The system in the panel: cleanup's tasks, the clock, and the calls of AWS's services by each function.

import { about, calls } from "./feed.js";
import { act, section, told } from "./parts.js";
import { control } from "./requests.js";
import { element } from "./text.js";

const tasks = [
  ["deletions", "tries due deletions again"], ["inventory", "asks the hosts for their sessions"],
  ["idle", "makes hosts close idle sessions"], ["stop", "stops empty hosts"],
];

export function build() {
  const counts = element("div", { class: "scroll" }), body = element("div", { class: "panel-body" });
  if (about().Local) {
    body.append(
      section("Run cleanup now", element("ul", { class: "faults" }, ...tasks.map(([task, says]) => element("li", {},
        act(task, () => control("cleanup: " + task, "POST", "/local/cleanup/" + task)), element("span", {}, says)))), told()),
      section("The clock", element("p", { class: "note" }, "Leases, close times and give-up times come without waiting; the hosts' clocks do not change."),
        element("div", { class: "buttons" }, ...["1m", "2m", "10m", "1h"].map(ahead =>
          act("+" + ahead, () => control("set the clock " + ahead + " ahead", "POST", "/local/clock", { Ahead: ahead })))), told()),
      section("Commands by tag", element("div", { class: "buttons" },
        act("end them", () => control("end commands by tag", "POST", "/local/broadcasts/end"), { title: "Systems Manager ends each before any host receives it" }),
        act("deliver them", () => control("deliver commands by tag", "POST", "/local/broadcasts/deliver"))), told()),
      section("Calls per function", counts, element("div", { class: "buttons" },
        act("Forget them", () => control("forget the calls", "DELETE", "/local/calls"))), told()));
  }
  body.append(section("Keys", element("dl", { class: "keys" }, ...[["/", "find"], ["Arrow keys", "from host to host, from session to session"],
    ["Enter", "open"], ["Esc", "close, and back"]].flatMap(([key, does]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)]))));
  const update = () => {
    const rows = [...calls].sort(([a], [b]) => a.localeCompare(b)).flatMap(([of, counted]) =>
      Object.entries(counted).sort().map(([operation, n], i) => [i ? "" : of, operation, n]));
    const key = JSON.stringify(rows);
    if (counts.dataset.of === key) return;
    counts.dataset.of = key;
    counts.replaceChildren(rows.length ? element("table", { class: "calls" },
      element("thead", {}, element("tr", {}, ...["Function", "Call", "Times"].map(h => element("th", { scope: "col" }, h)))),
      element("tbody", {}, ...rows.map(r => element("tr", {}, ...r.map(text => element("td", {}, String(text)))))))
      : element("p", { class: "note" }, "none yet"));
  };
  return { title: ["System"], body, update };
}
