#!/bin/sh
# Lists the sessions of this host. It prints a line for each session, with its texts as dcv printed them:
#   {"id":ID,"owner":OWNER,"name":NAME,"type":TYPE,"created":CREATION-TIME,"connections":N,"left":LAST-DISCONNECTION-TIME}
# The last line is {"end":NUMBER OF SESSIONS}. A text that dcv does not give, or that has more than 256 bytes, is left
# out. A session without an owner or a creation time gets {"id":ID}. Sessions that share an ID get one such line and count
# once. A session without an ID, or with one of more than 256 bytes, gets no line. The last line then counts these
# sessions: {"end":NUMBER OF SESSIONS,"unnamed":THOSE WITHOUT A LINE}.
# If the list fails or cannot be read, it prints {"failed":REASON}, so the host never seems to have no sessions. If dcv
# prints nothing when there are no sessions, this takes three calls of dcv, of at most 8 s each.
#
# Lines of more than 18,000 bytes are packed, and so are lines that cost more than 60,000 in the reply of the agent:
# {"gzip":"BASE64"} is the same lines. Systems Manager keeps 24,000 characters. Its agent drops a reply of more than
# 120,000, in which a "<" takes seven. Without gzip or base64, only the lines that fit are printed: a reader who misses
# some knows that the list is not complete. Each run starts at another session, so each is printed now and then, however
# many there are.
export PATH="$PATH:/usr/bin:/bin"
LC_ALL=C awk '
#include shared/dcv.awk
#include shared/survey.awk
function put(label, s) { return s ~ /^"/ && length(unquote(s)) < 257 ? ",\"" label "\":" s "\"" : "" }

# cost is the most bytes that a text can take in the reply of the agent, which is JSON in JSON.
function cost(s) { return length(s) + 6 * (gsub(/[<>&]/, "", s) + gsub(/[^ -~]/, "", s)) + 3 * gsub(/["\\]/, "", s) }

# canPack says whether gzip and base64 work.
function canPack(   command, packed) {
  command = "echo | gzip 2>/dev/null | base64 2>/dev/null"; command | getline packed; close(command)
  return packed ~ /^H4sI/
}
BEGIN {
  survey("")
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
