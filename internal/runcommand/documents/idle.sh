#!/bin/sh
# Closes the sessions of this host that nobody has used for so many minutes; 0 closes nothing.
#
# A session without a connection is idle since the last one ended, or since the session was created. A session with
# connections is idle since their newest last-interaction-time. A connection without such a time was never used, and its
# connection-time counts. Without that too, it counts as used now, since nobody knows better. Both sides of each
# comparison are times of this host.
# A session that is idle for long enough is checked again right before it is closed, with describe-session and
# list-connections. It must be the same session (creation time). After the close, it is listed until it is gone. If
# anything cannot be read, the session is left alone.
#
# With warnSeconds, the users are warned first: a session with connections is closed only if a warning was tried before.
# There is one try for each idle time, at the first run so many seconds or less before the limit. An idle time lasts for
# as long as nobody uses the session: a connection with a newer last-interaction-time begins another. The host records the
# idle time of the try, and until when the session stays: to the limit, or for half of warnSeconds if that ends later (the
# run came late). A failed try counts too: otherwise a session without a display would never be closed. A host that
# was restarted has no record, and tries again. A host that cannot write the record shows nothing, and leaves the session
# alone. If the session is used again, the next run closes the window; otherwise the window closes at its time. If nobody
# is connected any more, the session is closed as without warnSeconds.
# Such a window is separate from that of a deletion with a grace period: if both are due, both are shown.
#
# It prints a line for each session that was to be closed, could not be judged, or is past half of the limit:
#   {"id":ID,"created":CREATION-TIME,"result":RESULT,"minutes":IDLE,"connections":N,"reason":REASON}
#   closed    gone after the close
#   in-use    left alone
#   warned    left alone; the program in reason shows its users when it will be closed
#   failed    left alone or still there, for that reason; also if its users could not be warned
# All texts except the reason are as dcv printed them. The last line is {"end":NUMBER OF SESSIONS}. If the list fails or
# cannot be read, it prints {"failed":REASON}. Lines of sessions left alone are dropped when the output would exceed half
# of the 24,000 characters that Systems Manager keeps. The lines of closed sessions always have room.
# No call of dcv lasts longer than 8 s. After 40 s, only the calls begin that check what was closed, and after 49 s none
# begins. So each line is printed within 57 s. Each run starts at another session, so sessions that always hang do not
# block the others.

export PATH="$PATH:/usr/bin:/bin"
suffix=.idle
message() {
  case $(($1 / 60)) in
  0) left='less than a minute' ;;
  1) left='1 minute' ;;
  *) left="$(($1 / 60)) minutes" ;;
  esac
  printf %s "$SSM_message" | base64 -d
  [ -z "$SSM_message" ] || printf '\n\n'
  at=$(date -u -d "@$(($(date +%s) + $1))" '+%Y-%m-%d %H:%M')
  printf 'This session will be closed at %s UTC, in %s, unless it is used before.' "$at" "$left"
}

#include shared/notice.sh

# idle SESSION CREATED SINCE NOW UNTIL: answers until when the session stays, if a warning was already tried for the idle
# time that began at SINCE. A record for a time after NOW does not count: the clock was ahead then. Otherwise idle records
# that a warning is tried now (or not, if UNTIL is 0), closes the older window, and answers new.
idle() {
  record "$1"
  if [ "$created" = "$2" ] && [ "$order" -ge "$3" ] && [ "$order" -le "$4" ]; then answer "$until"; fi
  takeAway
  tidy
  order=$3 program=- mark=0 created=$2 until=$5
  [ "$until" != 0 ] || order=0
  keep 2>/dev/null || fail "it cannot be noted"
  answer new
}
if [ "${1-}" = idle ]; then idle "$2" "$3" "$4" "$5" "$6"; fi

if [ -z "${SSM_idleMinutes+x}" ]; then SSM_idleMinutes="{{ idleMinutes }}"; fi
if [ -z "${SSM_warnSeconds+x}" ]; then SSM_warnSeconds="{{ warnSeconds }}"; fi
if [ -z "${SSM_message+x}" ]; then SSM_message="{{ message }}"; fi
SELF=$0 NOTICES=$notices
export SELF NOTICES SSM_message
MINUTES=$SSM_idleMinutes AHEAD=$SSM_warnSeconds LC_ALL=C awk -v start="$(date +%s)" '
#include shared/dcv.awk
#include shared/listed.awk
#include shared/closing.awk
#include shared/survey.awk
#include shared/screen.awk
function fits(size, room) { if (used + size > room) return 0; used += size; return 1 }
function say(i, result, why,   s) {
  s = member[i, "creation-time"]; if (s !~ /^"/) s = "\""
  s = "{\"id\":" member[i, "id"] "\",\"created\":" s "\",\"result\":\"" result "\"" figures[i]
  s = s (why == "" ? "" : ",\"reason\":\"" reason(why) "\"") "}"
  if ((i in was) || fits(length(s) + 1, 12000)) print s
}

# since returns the whole minutes since that time.
function since(at) { at = int((clock - int(at / 1e6)) / 60); return at > 0 ? at : 0 }

# look sets minutes and connections (for how long the session in member[i] was not used, and how many use it), last (when
# it was used, in microseconds), and note, if dcv contradicts itself. It asks for the connections only if they matter;
# with ask, always. argument is the ID for the shell. It returns why nothing is known, or "".
function look(i, argument, ask,   t, n, why) {
  made = when(member[i, "creation-time"]); n = member[i, "num-of-connections"]; t = member[i, "last-disconnection-time"]
  last = t ~ /^"?$/ ? made : when(t)
  if (made < 0 || last < 0 || n !~ /^[0-9]+$/ || length(n) > 6) return "its times or connections are unreadable"
  if (last < made) last = made
  connections = n += 0
  if (ask || n && (clock - int(made / 1e6)) * 2 >= limit * 60) {
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

# records reads for which idle times a warning was tried, by the creation times of the sessions. Other sessions need no
# step then.
function records(   command, line, field) {
  command = "cat " shellQuote(ENVIRON["NOTICES"]) "/*.idle 2>/dev/null"
  while (ahead && (command | getline line) > 0) { split(line, field); if (field[1] + 0) order[field[8]] = field[1] + 0 }
}

# tried says whether a warning was tried for the idle time that began at last, as far as records knows. times returns the
# times for the step idle.
function tried(at) { return (at in order) && order[at] >= last && order[at] <= clock * 1e6 }
function times(at) { return " " at " " sprintf("%.0f %.0f ", last, clock * 1e6) }

# warn tries to warn the users of session i, which was created at that time, once for the idle time that began at last. If
# that was tried before, stays is until when the session stays. It returns why it could not be tried, or "". A try is
# recorded before it is made, and none begins without time for all of its calls: otherwise the session would be closed
# without a warning.
function warn(i, argument, at,   why, closes, key) {
  closes = int(last / 1e6) + limit * 60
  if (closes < clock + ahead / 2) closes = int(clock + ahead / 2 + 0.5)
  window[i] = argument " " sprintf("%.0f", last)
  key = sprintf("%.0f", at)
  why = step(tried(key) ? 40 : 23, "idle " argument times(key) closes)
  if (why == "" && reply != "new") { stays = reply + 0; warned = last; return "" }
  if (why == "") why = show(i, at, 40, closes)
  return why == "" ? "" : "not warned: " why
}

# judge closes session i if it is idle. It returns why it could not be judged, or "".
function judge(i, argument,   why, at, key) {
  why = look(i, argument, 0); at = made
  if (why != "" || note != "") return why
  if (ahead && connections && clock - int(last / 1e6) >= limit * 60 - ahead) {
    near = 1
    if ((why = warn(i, argument, at)) != "" || !stays || clock < stays) return why
  } else if (((key = sprintf("%.0f", at)) in order) && !tried(key))
    step(40, "idle " argument times(key) 0)
  if (minutes < limit) return ""
  near = 1
  if (clock >= start + 40) return "no time left"
  if ((why = read("describe-session " argument " -j", 1)) != "") return why
  if (unquote(member[objects, "id"]) != id[i] || when(member[objects, "creation-time"]) != at) return "another session has its ID by now"
  why = look(objects, argument, 1)
  if (why != "" || note != "" || minutes < limit || ahead && connections && last > warned) return why
  if (clock >= start + 40) return "no time left"
  if (!fits(length(member[i, "id"]) + length(member[i, "creation-time"]) + 200, 23500)) return "no room left for its line"
  closeSession(i, at)
  return ""
}
BEGIN {
  clock = start += 0; limit = ENVIRON["MINUTES"]
  if (!start) why = "no clock"
  else if (limit !~ /^[0-9]+$/ || (limit += 0) < 1) why = "idleMinutes is no number of minutes"
  else if ((ahead = ENVIRON["AHEAD"]) !~ /^[0-9]+$/) why = "warnSeconds is no number of seconds"
  ahead += 0
  survey(why)
  elsewhere(1, count)
  records()
  for (j = 1; j <= count; j++) {
    i = turn(j, start)
    if (member[i, "id"] !~ /^"/) continue
    minutes = connections = near = stays = warned = 0; note = ""
    if (id[i] ~ /^(-|$)/ || index(id[i], charOf[192] charOf[128]) || named[id[i]] > 1) why = "no ID for dcv, or named twice"
    else why = judge(i, shellQuote(id[i]))
    figures[i] = ",\"minutes\":" minutes ",\"connections\":" connections
    if (i in was || i in program) continue
    if (why != "") say(i, "failed", why)
    else if (near || note != "" || minutes * 2 > limit) say(i, "in-use", note)
  }
  awaitClosed(count)
  if (shown && clock < start + 49) system("sleep 2")
  for (i = 1; i <= count; i++) if (i in program) {
    why = settled(i, "warning")
    say(i, why == "" ? "warned" : "failed", why == "" ? program[i] : "not warned: " why)
  }
  print "{\"end\":" count "}"
}'
exit 0
