# Shared by the Linux scripts that look at all sessions of their host.

# survey asks dcv for the sessions, if why is "". It sets member[1..count, NAME], id[1..count] to the IDs, and named[ID]
# to the number of sessions with an ID. If there is no list, it prints why and ends the script.
function survey(why,   i) {
  # A control character in a string would be printed as it is.
  unwanted = "[\\\\\001-\037]"
  if (why == "" && (why = read("list-sessions -j", 0)) == "") why = gone("no-such-session")
  if (why != "") { print "{\"failed\":\"" reason(why) "\"}"; exit }
  count = objects + 0
  for (i = 1; i <= count; i++) named[id[i] = unquote(member[i, "id"])]++
}

# turn returns the session whose turn is the j-th; which session is first depends on the time.
function turn(j, time) { return (j + int(count * (time * 0.618034 % 1))) % count + 1 }
