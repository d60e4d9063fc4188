# Shared by the Linux scripts whose parameter names sessions. parameter.go of package runcommand has its grammar.

# say prints a line about session i.
function say(i, result, why) {
  why = reason(why)
  if (why != "") why = "\",\"reason\":\"" why
  print "{\"id\":\"" key[i] "\",\"result\":\"" result why "\"}"
}

# same says whether a session created at that time is session i; with latest, whether it was created no later than wanted.
function same(at, i) {
  if (latest[i]) return at <= wanted[i]
  return at == wanted[i] || at - at % 1e6 == wanted[i] || wanted[i] - wanted[i] % 1e6 == at
}

# decode returns the bytes of a percent-encoded ID, or "" if dcv cannot be given them: a leading "-" or a NUL.
function decode(s,   r, i, c) {
  while (i = index(s, "%")) {
    if (!(c = byteOf[substr(s, i + 1, 2)])) return ""
    r = r substr(s, 1, i - 1) charOf[c]; s = substr(s, i + 3)
  }
  return r s ~ /^-/ ? "" : r s
}

# ask reads the parameter. It calls askOne, which the script defines, with the text about each session of this host. The
# group of this host begins with "HOST=".
function ask(sessions,   i, j, groups, group, count, asked) {
  if (host == "=") return
  groups = split(sessions, group, ";")
  for (i = 1; i <= groups; i++) if (index(group[i], host) == 1) {
    count = split(substr(group[i], length(host) + 1), asked, ",")
    for (j = 1; j <= count; j++) askOne(asked[j])
  }
}

# add adds a session to 1..closings. One that breaks the grammar gets no id.
function add(s,   part, k) {
  k = split(s, part, "[/@~]"); key[++closings] = part[1]
  if (s !~ "^([A-Za-z0-9._%-]+/)?[A-Za-z0-9._%-]+[@~][0-9a-z]+$" || length(part[k]) > 11) return
  wanted[closings] = number(part[k]); latest[closings] = s ~ /~/; s = decode(part[k - 1])
  if (!named[s]++) id[closings] = s
}

# number converts a text from base 36. A double holds any ten digits exactly.
function number(s,   i, n) {
  for (i = 1; i <= length(s); i++) n = n * 36 + index("123456789abcdefghijklmnopqrstuvwxyz", substr(s, i, 1))
  return n
}
