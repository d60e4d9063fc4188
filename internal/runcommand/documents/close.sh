#!/bin/sh
# Closes the sessions that the parameter names for this host.
#
# It takes the group of this host from `sessions` (the grammar is in parameter.go of package runcommand), asks dcv for its
# list, and compares each session with the incarnation that was asked for:
#   @ the incarnation: equal to the creation time listed; to the second, if either has no decimals
#   ~ no incarnation was recorded: created no later than this
# It closes a session that matches, and lists the sessions until this one is gone or has come back as another incarnation.
# It prints {"id":ID as in the parameter,"result":RESULT}, with a "reason" of at most 80 harmless characters if it failed:
#   closed    gone after the close
#   absent    not in the list; said only after a list that worked and could be read
#   replaced  in the list, but another incarnation
#   expired   the clock of this host is past voidAfter; nothing was closed
#   failed    anything else, also when dcv cannot be asked
# When a session is closed, the list that shows it is at most one second old. A list without sessions may take two calls
# of dcv, and one more for each session that it lacks. No call lasts longer than 8 s, no close begins after 40 s, and no
# call after 49 s. So each line is printed within 57 s, whatever hangs, before the step is cut off at 60. Each run starts
# at another session, so sessions that always hang do not block the others.
#
# Agents older than 3.3.2746.0 paste the parameters in. The parameters' patterns allow no character that means anything
# between the quotes.
if [ -z "${SSM_sessions+x}" ]; then SSM_sessions="{{ sessions }}"; fi
if [ -z "${SSM_voidAfter+x}" ]; then SSM_voidAfter="{{ voidAfter }}"; fi
export PATH="$PATH:/usr/bin:/bin"
SESSIONS=$SSM_sessions LC_ALL=C awk -v start="$(date +%s)" -v void="$SSM_voidAfter" -v host="$AWS_SSM_INSTANCE_ID=" '
#include shared/dcv.awk
#include shared/listed.awk
#include shared/closing.awk
#include shared/asked.awk
function askOne(s) { add(s) }
BEGIN {
  unwanted = "\\\\"
  clock = start += 0; void += 0
  if (ENVIRON["SESSIONS"] !~ "[^A-Za-z0-9._%/@~=,;-]") ask(ENVIRON["SESSIONS"])
  for (j = 1; j <= closings; j++) {
    i = (j + start) % closings + 1; s = id[i]
    if (!clock || clock > void) { say(i, "expired"); continue }
    if (s == "") { say(i, "failed", "no ID for dcv, or named twice"); continue }
    if (why == "" && clock != fresh && clock < start + 40) { why = list(); fresh = clock }
    if (why != "") say(i, "failed", why)
    else if (!(s in listed)) { s = gone(s); say(i, s == "" ? "absent" : "failed", s) }
    else if (listed[s] < 0) say(i, "failed", "creation-time unreadable")
    else if (!same(listed[s], i)) say(i, "replaced")
    else if (clock > void) say(i, "expired")
    else if (clock >= start + 40) say(i, "failed", "no time left")
    else closeSession(i, listed[s])
  }
  awaitClosed(closings)
}'
exit 0
