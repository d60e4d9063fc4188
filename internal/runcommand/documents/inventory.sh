#!/bin/sh
# Lists the sessions of this host. It prints a line for each, its texts as dcv printed them:
#   {"id":ID,"owner":OWNER,"name":NAME,"type":TYPE,"created":CREATION-TIME,"connections":N,"left":LAST-DISCONNECTION-TIME}
# and last {"end":NUMBER OF SESSIONS}. What dcv does not give is left out; without an ID of its own, an owner or a creation
# time there is no line, but the session counts: a reader who misses lines knows that the list is not whole. So it is with
# lines that would not fit into the 24,000 characters that Systems Manager keeps. Another session begins each time, so that
# each is seen now and then however many there are.
# A list that fails or cannot be read is {"failed":REASON}, never a host without sessions.
export PATH="$PATH:/usr/bin:/bin"
LC_ALL=C awk '
#include shared/dcv.awk
function put(label, s) { return s ~ /^"/ ? ",\"" label "\":" s "\"" : "" }
BEGIN {
  # A control character in a string would be printed.
  prepare(); unwanted = "[\\\\\001-\037]"
  why = read("list-sessions -j", 0)
  if (why != "") { print "{\"failed\":\"" reason(why) "\"}"; exit }
  count = objects + 0
  for (i = 1; i <= count; i++) named[unquote(member[i, "id"])]++
  for (j = 1; j <= count; j++) {
    i = (j + int(count * (clock * 0.618034 % 1))) % count + 1
    id = member[i, "id"]; owner = member[i, "owner"]; at = member[i, "creation-time"]; connections = member[i, "num-of-connections"]
    if (id !~ /^"./ || owner !~ /^"./ || at !~ /^"/ || named[unquote(id)] > 1) continue
    s = put("id", id) put("owner", owner) put("name", member[i, "name"]) put("type", member[i, "type"]) put("created", at)
    if (connections ~ /^[0-9]+$/ && length(connections) < 7) s = s ",\"connections\":" connections
    s = "{" substr(s put("left", member[i, "last-disconnection-time"]), 2) "}"
    if (used + length(s) < 23500) { print s; used += length(s) + 1 }
  }
  print "{\"end\":" count "}"
}'
exit 0
