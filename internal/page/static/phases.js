// The phase of a session, in one word and as a colour.

// phase of a record, and of the session that its host runs under its name (undefined if that is not known).
export function phase(record, running) {
  if (!record) return { is: "unlisted", word: "not listed yet", lane: "here" };
  switch (record.State) {
    case "DELETING":
      if (record.Confirmation) return { is: "closing", word: "DELETING", more: record.Confirmation, lane: "closing" };
      if (waits(record)) return { is: "waiting", word: "DELETING", more: "its users can still work", brief: "grace period", lane: "closing" };
      if (record.StateReason) return { is: "stuck", word: "DELETING", more: "stuck", brief: "stuck", lane: "closing" };
      return { is: "closing", word: "DELETING", lane: "closing" };
    case "DELETED": return { is: "ended", word: "DELETED", more: record.Confirmation, lane: "ended" };
    case "UNKNOWN": return { is: "unknown", word: "UNKNOWN", lane: "here" };
    case "READY":
      if (running === null) return { is: "ghost", word: "READY", more: "ended on its host", lane: "here" };
      return { is: "ready", word: "READY", lane: "here" };
  }
  return { is: "ready", word: record.State ?? "", lane: "here" };
}

export const inWords = is => is.word + (is.more ? " · " + is.more : "");

// waits tells whether the deletion has a grace period that is not over.
export const waits = record => record.State === "DELETING" && !record.Attempts && !!record.CloseAt && !record.Confirmation;

// lanes of a host's column, from top to bottom, with their names for screen readers.
export const lanes = { here: "listed", closing: "closing", ended: "ended" };

// key names a session on the page: by its ID in the table, or by its host if it is not listed.
export const keyOf = (hostID, id, listed) => listed ? "s " + id : "u " + hostID + " " + id;

// sameIncarnation compares creation times as hosts do: to the second if one has no decimals.
export function sameIncarnation(a, b) {
  if (!a || !b) return true;
  const whole = a.includes(".") && b.includes(".") ? text => text : text => text.replace(/\.\d+/, "");
  return whole(a) === whole(b);
}
