#!/bin/sh
# Shows a message on the screens of the sessions that the parameter names for this host: the session will be closed, or it
# will not. `sessions` is as in close.sh, but after the time of each session come ":" and the NoticeAt of its notice, in
# milliseconds since 1970, in base 36. `text` is the whole message, UTF-8 in base64.
# With a closeAt, the message is a warning, shown until closeAt if somebody is connected. With 0, it is the notice of a
# cancel, shown only if a warning was shown. It prints {"id":ID as in the parameter,"result":RESULT,"reason":REASON}:
#   warned   a program still runs two seconds or more after its start, and has read the message; the reason is its name
#   nobody   nobody is connected
#   told     the program in reason shows the notice of a cancel
#   nothing  there is no warning to take back, so no notice of a cancel is shown
#   failed   anything else, such as no display, user or program, a notice older than the newest, a clock past voidAfter
# A notice that notice.sh has accepted closes the window of an older one, even if it is not shown itself. No call of dcv
# and no step of notice.sh lasts longer than 8 s. None begins after 38 s, except the steps that check the windows: of
# these, none begins after 49 s. So each line is printed within 57 s.

export PATH="$PATH:/usr/bin:/bin"
suffix=''
message() { printf %s "$SSM_text" | base64 -d; }
#include shared/notice.sh

# Agents older than 3.3.2746.0 paste the parameters in. The parameters' patterns allow no character that means anything
# between the quotes.
if [ -z "${SSM_sessions+x}" ]; then SSM_sessions="{{ sessions }}"; fi
if [ -z "${SSM_text+x}" ]; then SSM_text="{{ text }}"; fi
if [ -z "${SSM_closeAt+x}" ]; then SSM_closeAt="{{ closeAt }}"; fi
if [ -z "${SSM_voidAfter+x}" ]; then SSM_voidAfter="{{ voidAfter }}"; fi
SELF=$0 SESSIONS=$SSM_sessions
export SELF SESSIONS SSM_text
LC_ALL=C awk -v start="$(date +%s)" -v close_at="$SSM_closeAt" -v void="$SSM_voidAfter" -v host="$AWS_SSM_INSTANCE_ID=" '
#include shared/dcv.awk
#include shared/listed.awk
#include shared/asked.awk
#include shared/screen.awk

# askOne reads the NoticeAt, too. If that has more than 11 digits, it stays in the text, which add does not take then.
function askOne(s) {
  if (match(s, /:[0-9a-z]+$/) && RLENGTH < 13) { order[closings + 1] = number(substr(s, RSTART + 1)); s = substr(s, 1, RSTART - 1) }
  add(s)
}

# notify prepares session i, and may start a window, which settled checks later. It returns why that does not work, or "".
function notify(i,   s, at, kind, why, c, unread) {
  s = id[i]; c = shellQuote(s)
  if (clock > void) return "the notice is void"
  if (close_at && clock >= close_at) return "its time to close has come"
  if (s == "" || order[i] < 1) return "no ID for dcv, or named twice"
  if (!asked++) whyNone = clock < start + 38 ? list() : "no time left"
  if (asked == 1) elsewhere(before + 1, objects)
  if (whyNone != "") return whyNone
  if (!(s in listed)) return "no such session"
  at = listed[s]
  if (at < 0 || !same(at, i)) return "another session has its ID by now"
  if (clock >= start + 38) return "no time left"
  kind = close_at ? "warning" : "cancel"
  if (close_at) {
    unread = read("list-connections " c " -j", 0)
    if (unread == "" && objects == before) kind = "nobody"
  }
  order[i] = sprintf("%.0f", order[i]); window[i] = c " " order[i]
  why = step(38, "accept " c " " sprintf("%.0f", at) " " order[i] " " kind)
  if (why != "" || unread != "") return why unread
  if (kind == "nobody" || reply == "nothing") { say(i, reply == "nothing" ? reply : kind); return "" }
  if (sub(/^again /, "", reply)) { say(i, close_at ? "warned" : "told", reply); return "" }
  return show(i, at, 38, close_at ? close_at : clock + 3600)
}
BEGIN {
  unwanted = "\\\\"; clock = start += 0; void += 0; close_at += 0
  if (clock && ENVIRON["SESSIONS"] !~ "[^A-Za-z0-9._%/@~=,;:-]") ask(ENVIRON["SESSIONS"])
  for (j = 1; j <= closings; j++) {
    i = (j + start) % closings + 1
    if ((why = notify(i)) != "") say(i, "failed", why)
  }
  if (shown) system("sleep 2")
  for (i = 1; i <= closings; i++) if (i in program) {
    why = settled(i, close_at ? "warning" : "cancel")
    say(i, why != "" ? "failed" : close_at ? "warned" : "told", why != "" ? why : program[i])
  }
}'
exit 0
