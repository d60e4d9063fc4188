#!/bin/sh
# Closes the sessions that the parameter names for this host.
#
# It takes the group of this host out of `sessions` (the grammar is in parameter.go of package runcommand), asks dcv for its
# list, and compares each session with the incarnation that was asked for:
#   @ the incarnation: equal to the creation time listed; to the second, where either has no decimals
#   ~ none was recorded: created no later than this
# What matches is closed, and listed again until it is gone or has come back as another incarnation. It prints
# {"id":ID as in the parameter,"result":RESULT}, with a "reason" of at most 80 harmless characters if it failed:
#   closed    gone after the close
#   absent    not in the list; said only after a list that worked and could be read
#   replaced  in the list, but another incarnation
#   expired   the clock of this host is past voidAfter; nothing was closed
#   failed    anything else, a dcv that cannot be asked among it
# A list is a second old at most when a session is closed because of it. A list without sessions may take two calls of dcv,
# and one more for each session that it lacks. No call lasts longer than 8 s, no close begins after 40 s, and no call after
# 49 s: so each line is printed within 57 s, before the step is cut off at 60, whatever hangs. Sessions are taken from another starting point each time, so that some that always hang do not keep those behind
# them from their turn.
#
# Agents older than 3.3.2746.0 paste the parameters in; their patterns leave nothing in the values that means anything
# between the quotes.
if [ -z "${SSM_sessions+x}" ]; then SSM_sessions="{{ sessions }}"; fi
if [ -z "${SSM_voidAfter+x}" ]; then SSM_voidAfter="{{ voidAfter }}"; fi
export PATH="$PATH:/usr/bin:/bin"
SESSIONS=$SSM_sessions LC_ALL=C awk -v start="$(date +%s)" -v void="$SSM_voidAfter" -v host="$AWS_SSM_INSTANCE_ID=" '
#include shared/dcv.awk
#include shared/listed.awk
#include shared/closing.awk
#include shared/asked.awk
BEGIN {
  prepare(); unwanted = "\\\\"
  clock = start += 0; void += 0
  if (ENVIRON["SESSIONS"] !~ /:/) ask(ENVIRON["SESSIONS"], host)
  for (j = 1; j <= closings; j++) {
    i = (j + start) % closings + 1; s = id[i]
    if (!clock || clock > void) { say(i, "expired"); continue }
    if (s == "") { say(i, "failed", "no ID for dcv, or named twice"); continue }
    if (why == "" && clock != fresh && clock < start + 40) { why = list(); fresh = clock }
    if (why != "") say(i, "failed", why)
    else if (!(s in listed)) { s = gone(s); say(i, s == "" ? "absent" : "failed", s) }
    else if (listed[s] < 0) say(i, "failed", "creation-time unreadable")
    else if (!same(listed[s], wanted[i], latest[i])) say(i, "replaced")
    else if (clock > void) say(i, "expired")
    else if (clock >= start + 40) say(i, "failed", "no time left")
    else closeSession(i, listed[s])
  }
  awaitClosed(closings)
}'
exit 0
