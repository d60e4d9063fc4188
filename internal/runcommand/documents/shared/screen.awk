# Shared by the Linux scripts that show messages on screens: they call the steps of notice.sh.

# step runs one of the steps above, and sets reply to its answer. It returns why there is no answer, or "".
function step(limit, arguments,   command, line, words) {
  if (clock >= start + limit) return "no time left"
  command = "{ timeout -k 1 7 sh \"$SELF\" " arguments "; } </dev/null 2>&1; echo; echo \"@ $(date +%s)\""
  reply = ""
  while ((command | getline line) > 0)
    if (line ~ /^= /) reply = substr(line, 3)
    else if (line ~ /^@ /) clock = substr(line, 3) + 0
    else words = words line " "
  close(command)
  if (reply == "") return words ~ /[^ ]/ ? words : "it took too long"
  return sub(/^failed /, "", reply) ? reply : ""
}

# text returns a string of an object of dcv.
function text(i, name,   s) { s = member[i, name]; return s ~ /^"/ ? unquote(s) : "" }

# elsewhere records the displays that dcv lists for sessions first..last. A session without a listed display is on none
# of these.
function elsewhere(first, last,   i, s) {
  for (i = first; i <= last; i++) { s = text(i, "x11-display"); if (s ~ /^:[0-9]+/) taken = taken " " s }
}

# show starts the program for session i, which was created at that time. window[i] has the ID for the shell, and the order
# of its notice. The window closes at ends. settled checks later whether it stayed open. show returns why it could not
# start the program, or "".
function show(i, at, limit, ends,   why, owner) {
  why = window[i]; sub(/ [0-9]+$/, "", why)
  if (clock >= start + limit) return "no time left"
  if ((why = read("describe-session " why " -j", 1)) != "") return why
  if (text(objects, "id") != id[i] || when(member[objects, "creation-time"]) != at) return "another session has its ID by now"
  owner = text(objects, "owner")
  if (owner ~ /^(-|$)/) return "its owner is unreadable"
  # timeout takes 0 as no limit.
  if (clock >= ends) return "its time to close has come"
  why = "show " window[i] " " shellQuote(owner) " " shellQuote(text(objects, "x11-display"))
  why = why " " shellQuote(text(objects, "x11-authority")) " " shellQuote(taken) " " (ends - clock)
  if ((why = step(limit, why)) != "") return why
  program[i] = reply; shown++
  return ""
}
function settled(i, kind) { return step(49, "settle " window[i] " " program[i] " " kind) }
