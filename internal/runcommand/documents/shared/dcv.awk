# Shared by the Linux scripts of all four documents. POSIX awk: the tests run it with gawk, mawk and busybox.

# charOf[0..255], byteOf[two upper-case hex digits], and quote, a single quote: the program must not contain one.
BEGIN {
  for (i = 0; i < 256; i++) { charOf[i] = sprintf("%c", i); byteOf[sprintf("%02X", i)] = i }
  quote = charOf[39]; whyBlank = "dcv list-sessions: blank answer"
}

# shellQuote makes a text one argument of a shell command.
function shellQuote(s) { gsub(quote, quote "\"" quote "\"" quote, s); return quote s quote }

# reason reduces the text of a failure to at most 80 harmless characters. A "<" would take seven bytes in the reply of the
# agent.
function reason(why) { gsub(/[^]!#-%\047-;=?-[^-~]+/, " ", why); sub(/^ /, "", why); return substr(why, 1, 80) }

# dcv runs the command. It sets token[1..tokens] to the standard output, code to the exit code, and clock to the time
# after it. It returns what the command says about a failure, or "". There, warnings are last: dcv prints them first, and
# one (that a locale is not installed, for example) is longer than a reason may be. It ignores a byte order mark: Windows
# programs write one. No call lasts longer than 8 s, and none begins 49 s after start, if the script has set it. The locale
# is UTF-8, since dcv might print IDs differently in another.
function dcv(arguments,   command, line, lines, field, end, words, warnings) {
  command = "{ e=$(2>&1 >&3 </dev/null timeout -k 1 7 env LC_ALL=C.UTF-8 dcv " arguments "); r=$?; } 3>&1\n"
  command = command "echo; echo = $r $(date +%s); printf %s \"$e\""
  tokens = malformed = 0; code = 125
  if (start && clock >= start + 49) return "no time left"
  code = 1
  while ((command | getline line) > 0) {
    if (++lines == 1) sub("^" charOf[239] charOf[187] charOf[191], "", line)
    if (end && tolower(line) ~ /warning|locale|ld[.]so/) warnings = warnings " " line
    else if (end) words = words line " "
    else if (line ~ /^= /) { split(line, field); code = field[2] + 0; clock = field[3] + 0; end = 1 }
    else scan(line)
  }
  close(command)
  if (code == 124 || code == 137) return "dcv took too long"
  return code ? words "(exit " code ")" warnings : ""
}

# scan splits a line of JSON into token[1..tokens]; a string keeps only its opening quote. malformed is set if JSON does
# not allow the line, or if a string without its escapes matches unwanted.
function scan(line,   piece, word, i, j, pieces, count, s) {
  pieces = split(line, piece, "\"")
  for (i = 1; i <= pieces; i++) {
    s = piece[i]; gsub(/\r/, " ", s); gsub(/[][{},:]/, " & ", s)
    count = split(s, word)
    for (j = 1; j <= count; j++) {
      token[++tokens] = word[j]
      if (word[j] !~ /^([][{},:]|true|false|null|-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?)$/) malformed = 1
    }
    if (i == pieces) return
    s = piece[++i]
    while (i < pieces && match(s, /\\+$/) && RLENGTH % 2) s = s "\"" piece[++i]
    token[++tokens] = "\"" s
    gsub(/\\(["\\\/bfnrt]|u[0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f][0-9A-Fa-f])/, "", s)
    if (i == pieces || s ~ unwanted) malformed = 1
  }
}

# value reads the value that begins at token[position]. It must be a list at depth 0, and an object at depth 1. The
# members of an object go to member[++objects, NAME], as tokens.
function value(depth,   open, shut, name) {
  open = token[position++]; shut = open == "{" ? "}" : "]"
  if (depth < 2 && open != (depth ? "{" : "[") || open ~ /^[]},:]?$/) malformed = 1
  if (depth == 1) objects++
  if (open !~ /^[[{]/) return
  if (token[position] == shut) position++
  else do {
    if (open == "{") {
      name = unquote(token[position++])
      if (token[position - 1] !~ /^"/ || token[position++] != ":") malformed = 1
    }
    if (depth == 1) member[objects, name] = token[position]
    value(depth + 1)
  } while (!malformed && token[position++] == ",")
  if (token[position - 1] != shut) malformed = 1
}

# unquote decodes a JSON string to UTF-8; \u0000 becomes bytes that no ID has.
function unquote(s,   r, i, c, u, lead) {
  s = substr(s, 2)
  while (i = index(s, "\\")) {
    c = substr(s, i + 1, 1); r = r substr(s, 1, i - 1); s = substr(s, i + 2)
    if (c != "u") { i = index("bfnrt", c); r = r (i ? substr("\b\f\n\r\t", i, 1) : c); continue }
    u = codeUnit(s); s = substr(s, 5)
    if (u >= 55296 && u < 56320 && s ~ /^\\u[Dd][C-Fc-f]/) { u = (u - 55296) * 1024 + codeUnit(substr(s, 3)) + 9216; s = substr(s, 7) }
    c = ""; lead = 64
    if (u && u < 128) c = charOf[u]
    else { do { c = charOf[128 + u % 64] c; u = int(u / 64); lead /= 2 } while (u >= lead); c = charOf[256 - 2 * lead + u] c }
    r = r c
  }
  return r s
}
function codeUnit(s) { s = toupper(s); return byteOf[substr(s, 1, 2)] * 256 + byteOf[substr(s, 3, 2)] }

# read asks dcv for a list (depth 0) or an object (depth 1): the answer is member[before+1..objects, NAME]. It returns why
# there is no answer, or "".
#
# It is not documented what dcv prints if there are no sessions: programs that call dcv expect a list, a sentence or
# nothing. The sentence is accepted. If dcv prints nothing, it is asked again without -j, and must print the sentence or
# nothing. If it prints nothing again, blank is 1, and a session that is not listed is gone only if gone confirms it: a
# program that is not dcv might print nothing. A list of connections needs no such check, since another answer gives their
# number.
function read(arguments, depth,   why) {
  before = objects; position = 1
  if ((why = dcv(arguments)) != "") return why
  sub(/ .*/, "", arguments)
  if (!depth && empty()) {
    if (blank && arguments == "list-sessions") why = dcv(arguments)
    return why != "" || empty() ? why : whyBlank
  }
  token[tokens + 1] = ""; value(depth)
  return malformed || position <= tokens ? "dcv " arguments ": unreadable answer" : ""
}

# empty says whether the answer is nothing or the sentence, and sets blank.
function empty() {
  blank = !tokens
  return blank || tokens == 5 && token[1] token[2] token[3] token[4] token[5] == "Therearenosessionsavailable."
}

# gone returns why a session that the list lacks may still be there, or "". After a blank list, dcv must fail to describe
# the session. Exit codes from 124 on do not count: they come from timeout, env and signals.
function gone(s,   why) {
  if (!blank) return ""
  why = dcv("describe-session " shellQuote(s) " -j")
  if (!code) return whyBlank
  return code < 124 ? "" : why
}
