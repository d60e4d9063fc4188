#!/bin/sh
# Lists the sessions of this host. It prints a line for each, its texts as dcv printed them:
#   {"id":ID,"owner":OWNER,"name":NAME,"type":TYPE,"created":CREATION-TIME,"connections":N,"left":LAST-DISCONNECTION-TIME}
# and last {"end":NUMBER OF SESSIONS}. What dcv does not give, or in more than 256 bytes, is left out. Without an owner or a
# creation time, or where two sessions have one ID, there is {"id":ID}, once. What has no ID of its own, or one of more than
# 256 bytes, has no line; the last one then counts it: {"end":NUMBER OF SESSIONS,"unnamed":THOSE WITHOUT A LINE}.
# A list that fails or cannot be read is {"failed":REASON}, never a host without sessions. It takes three calls of dcv at
# most, of 8 s each, where that prints nothing for no session.
#
# Lines of more than 18,000 bytes are packed: {"gzip":"BASE64"} is the same lines. Systems Manager keeps 24,000 characters,
# and its agent drops a reply of more than 120,000, in which a "<" takes seven. Where there is no gzip or base64, the lines
# that fit are printed: a reader who misses some knows that the list is not whole. Another session begins each time, so that
# each is seen now and then however many there are.
export PATH="$PATH:/usr/bin:/bin"
LC_ALL=C awk '
#include shared/dcv.awk
#include shared/survey.awk
function put(label, s) { return s ~ /^"/ && length(unquote(s)) < 257 ? ",\"" label "\":" s "\"" : "" }

# cost is how many bytes a text takes in the reply of the agent, at most: JSON in JSON.
function cost(s) { return length(s) + 6 * (gsub(/[<>&]/, "", s) + gsub(/[^ -~]/, "", s)) + 3 * gsub(/["\\]/, "", s) }

# canPack tries it.
function canPack(   command, packed) {
  command = "echo | gzip 2>/dev/null | base64 2>/dev/null"; command | getline packed; close(command)
  return packed ~ /^H4sI/
}
BEGIN {
  prepare(); survey("")
  for (j = 1; j <= count; j++) {
    i = turn(j, clock)
    s = put("id", member[i, "id"]); owner = put("owner", member[i, "owner"]); at = put("created", member[i, "creation-time"])
    connections = member[i, "num-of-connections"]
    if (s == "" || id[i] == "") { unnamed++; continue }
    if (printed[id[i]]++) continue
    if (owner != "" && owner !~ /:""$/ && at != "" && named[id[i]] == 1) {
      s = s owner put("name", member[i, "name"]) put("type", member[i, "type"]) at
      if (connections ~ /^[0-9]+$/ && length(connections) < 7) s = s ",\"connections\":" connections
      s = s put("left", member[i, "last-disconnection-time"])
    }
    text[++said] = "{" substr(s, 2) "}"; bytes += length(text[said]) + 1; spent += cost(text[said])
  }
  text[said + 1] = "{\"end\":" said + unnamed (unnamed ? ",\"unnamed\":" unnamed : "") "}"
  pack = (bytes > 18000 || spent > 60000) && canPack()
  output = "printf %s {\\\"gzip\\\":\\\"; gzip -9 | base64 | tr -d \"\\n\"; echo \\\"}"
  bytes = spent = 0
  for (i = 1; i <= said + 1; i++) {
    s = text[i]
    if (pack) { print s | output; continue }
    if (i <= said && (bytes + length(s) >= 23500 || spent + cost(s) > 90000)) continue
    print s; bytes += length(s) + 1; spent += cost(s)
  }
  if (pack) close(output)
}'
exit 0
