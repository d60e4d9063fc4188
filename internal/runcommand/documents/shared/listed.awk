# Shared by the Linux scripts that compare sessions with an incarnation.

# when converts a string with a time, as dcv prints it, to microseconds since 1970, which a double holds exactly; -1 if it
# is no such time.
function when(s,   part, y, m) {
  s = unquote(s)
  if (s !~ /^[0-9][0-9][0-9][0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?Z$/) return -1
  split(s, part, /[-T:.Z]/)
  y = part[1] - (part[2] < 3); m = (part[2] + 9) % 12
  y = y * 365 + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + part[3] - 719469
  return (((y * 24 + part[4]) * 60 + part[5]) * 60 + part[6] - 1) * 1e6 + ("1" substr(part[7] "000000", 1, 6))
}

# list asks dcv for the sessions: listed[ID] is the creation time of a session, or -1 if it cannot be read or if two
# sessions have the ID. It returns why there is no list, or "".
function list(   i, s, at, why) {
  why = read("list-sessions -j", 0); split("", listed)
  for (i = before + 1; i <= objects && why == ""; i++) {
    if (member[i, "id"] !~ /^"/) return "dcv list-sessions: unreadable answer"
    s = unquote(member[i, "id"]); at = (s in listed) ? -1 : when(member[i, "creation-time"]); listed[s] = at
  }
  return why
}
