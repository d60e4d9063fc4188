# What the Linux scripts share that look at all sessions of their host.

# survey asks for the sessions, if why is "": member[1..count, NAME], id[1..count] their IDs, and named[ID] how many have one.
# Where there is no list it prints why, and ends the script.
function survey(why,   i) {
  # A control character in a string would be printed.
  unwanted = "[\\\\\001-\037]"
  if (why == "" && (why = read("list-sessions -j", 0)) == "") why = gone("no-such-session")
  if (why != "") { print "{\"failed\":\"" reason(why) "\"}"; exit }
  count = objects + 0
  for (i = 1; i <= count; i++) named[id[i] = unquote(member[i, "id"])]++
}

# turn gives the session whose turn is the j-th: another one begins at another time.
function turn(j, time) { return (j + int(count * (time * 0.618034 % 1))) % count + 1 }
