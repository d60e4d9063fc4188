#!/bin/sh
# Closes the sessions of this host that nobody used for so many minutes; 0 closes nothing.
#
# A session without a connection is idle since the last one ended, or since it was created; one with connections since the
# newest last-interaction-time of them. A connection without such a time was never used, and counts from its
# connection-time; without that too it counts as used now: nobody knows better. Both sides of each comparison are times of
# this host.
# A session idle for long enough is looked at once more right before it is closed, with describe-session and
# list-connections, and must be the same one (creation time); then it is listed until it is gone. Whatever cannot be read
# leaves its session alone.
# It prints a line for each session that was to be closed, could not be judged, or is half-way there:
#   {"id":ID,"created":CREATION-TIME,"result":RESULT,"minutes":IDLE,"connections":N,"reason":REASON}
#   closed    gone after the close
#   in-use    left alone
#   failed    left alone or still there, for that reason
# the texts but the reason as dcv printed them, and last {"end":NUMBER OF SESSIONS}. A list that fails or cannot be read is
# {"failed":REASON}. Lines of sessions left alone are dropped when they would take half of the 24,000 characters that
# Systems Manager keeps; the lines of the closed always have their room.
# No call of dcv lasts longer than 8 s; after 40 s none begins but those that tell what became of what was closed, and none
# after 49 s: so each line is printed within 57 s. Another session begins each time, so that some that always hang do not keep the rest from its turn.
if [ -z "${SSM_idleMinutes+x}" ]; then SSM_idleMinutes="{{ idleMinutes }}"; fi
export PATH="$PATH:/usr/bin:/bin"
MINUTES=$SSM_idleMinutes LC_ALL=C awk -v start="$(date +%s)" '
#include shared/dcv.awk
#include shared/listed.awk
#include shared/closing.awk
#include shared/survey.awk
function fits(size, room) { if (used + size > room) return 0; used += size; return 1 }
function say(i, result, why,   s) {
  s = member[i, "creation-time"]; if (s !~ /^"/) s = "\""
  s = "{\"id\":" member[i, "id"] "\",\"created\":" s "\",\"result\":\"" result "\"" figures[i]
  s = s (why == "" ? "" : ",\"reason\":\"" reason(why) "\"") "}"
  if ((i in was) || fits(length(s) + 1, 12000)) print s
}

# since gives the whole minutes since then.
function since(at) { at = int((clock - int(at / 1e6)) / 60); return at > 0 ? at : 0 }

# look sets minutes and connections, for how long the session in member[i] was not used and how many use it, and note if
# dcv contradicts itself. It asks for the connections where they matter, with ask always. argument is the ID for the shell.
# It returns why nothing is known, or "".
function look(i, argument, ask,   t, n, why) {
  made = when(member[i, "creation-time"]); n = member[i, "num-of-connections"]; t = member[i, "last-disconnection-time"]
  last = t ~ /^"?$/ ? made : when(t)
  if (made < 0 || last < 0 || n !~ /^[0-9]+$/ || length(n) > 6) return "its times or connections are unreadable"
  if (last < made) last = made
  connections = n += 0
  if (ask || n && since(made) * 2 > limit) {
    if (clock >= start + 40) return "no time left"
    if ((why = read("list-connections " argument " -j", 0)) != "") return why
    if (objects - before != n) {
      note = "dcv counts " n " and lists " objects - before " connections"
      minutes = 0; if (objects - before > n) connections = objects - before
      return ""
    }
    if (n) last = 0
    for (i = before + 1; i <= objects; i++) {
      t = member[i, "last-interaction-time"]
      if (t ~ /^("|null)?$/) t = member[i, "connection-time"]
      t = t ~ /^("|null)?$/ ? clock * 1e6 : when(t)
      if (t < 0) return "last-interaction-time unreadable"
      if (t > last) last = t
    }
  }
  minutes = since(last)
  return ""
}

# judge closes session i if it is idle. It returns why it could not be judged, or "".
function judge(i, argument,   why, at) {
  why = look(i, argument, 0); at = made
  if (why != "" || note != "" || minutes < limit) return why
  near = 1
  if (clock >= start + 40) return "no time left"
  if ((why = read("describe-session " argument " -j", 1)) != "") return why
  if (unquote(member[objects, "id"]) != id[i] || when(member[objects, "creation-time"]) != at) return "another session has its ID by now"
  why = look(objects, argument, 1)
  if (why != "" || note != "" || minutes < limit) return why
  if (clock >= start + 40) return "no time left"
  if (!fits(length(member[i, "id"]) + length(member[i, "creation-time"]) + 200, 23500)) return "no room left for its line"
  closeSession(i, at)
  return ""
}
BEGIN {
  prepare(); clock = start += 0; limit = ENVIRON["MINUTES"]
  if (!start) why = "no clock"
  else if (limit !~ /^[0-9]+$/ || (limit += 0) < 1) why = "idleMinutes is no number of minutes"
  survey(why)
  for (j = 1; j <= count; j++) {
    i = turn(j, start)
    if (member[i, "id"] !~ /^"/) continue
    minutes = connections = near = 0; note = ""
    if (id[i] ~ /^(-|$)/ || index(id[i], charOf[192] charOf[128]) || named[id[i]] > 1) why = "no ID for dcv, or named twice"
    else why = judge(i, shellQuote(id[i]))
    figures[i] = ",\"minutes\":" minutes ",\"connections\":" connections
    if (i in was) continue
    if (why != "") say(i, "failed", why)
    else if (near || note != "" || minutes * 2 > limit) say(i, "in-use", note)
  }
  awaitClosed(count)
  print "{\"end\":" count "}"
}'
exit 0
