# Shared by the Linux scripts that compare sessions with an incarnation.

# microseconds converts a time, as dcv prints it, to microseconds since 1970, which a double holds exactly; -1 if it is no
# such time.
function microseconds(s,   part, y, m) {
  m = s; gsub(/[0-9]/, 0, m); split(s, part, /[-T:.Z]/)
  if (m !~ /^0000-00-00T00:00:00([.]0+)?Z$/ || part[2] < 1 || part[2] > 12 || part[3] < 1 || part[3] > 31) return -1
  if (part[4] > 23 || part[5] > 59 || part[6] > 59) return -1
  y = part[1] - (part[2] < 3); m = (part[2] + 9) % 12
  y = y * 365 + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + part[3] - 719469
  return (((y * 24 + part[4]) * 60 + part[5]) * 60 + part[6] - 1) * 1e6 + ("1" substr(part[7] "000000", 1, 6))
}

# when does the same for a token.
function when(s) { return s ~ /^"/ ? microseconds(unquote(s)) : -1 }

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
