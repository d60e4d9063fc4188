# Shared by the Linux scripts that close sessions. Each script sets id[1..], the IDs, and start, the time at which it
# began, and defines say, which prints a line.

# closeSession closes session i, which was created at that time. awaitClosed finds the results later: it lists the
# sessions until each closed one of 1..count is gone or has come back as another incarnation, at most five times.
function closeSession(i, at) {
  was[i] = at; left++
  said[i] = dcv("close-session " shellQuote(id[i]) " >&2")
  if (!code) said[i] = "dcv closed it, and lists it still"
}
function awaitClosed(count,   i, s, tries, why) {
  while (left) {
    why = list()
    for (i = 1; i <= count; i++) if (why == "" && i in was) {
      if (id[i] in listed) { if (listed[id[i]] < 0 || listed[id[i]] == was[i]) continue }
      else if ((s = gone(id[i])) != "") { said[i] = s; continue }
      say(i, "closed"); delete was[i]; left--
    }
    if (!left || ++tries > 4 || clock >= start + 45) break
    system("sleep 1")
  }
  for (i = 1; i <= count; i++) if (i in was) say(i, "failed", why == "" ? said[i] : why)
}
