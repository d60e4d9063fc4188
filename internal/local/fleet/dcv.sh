#!/bin/sh
# A stand-in for the `dcv` command of an Amazon DCV server, for simulated hosts and tests.
#
# Its server is the directory $DCV_STATE. A session is one file in it, whose content is the session's JSON object as
# `dcv describe-session -j` prints it and whose name says the ID: the ID's bytes in lower-case hex, or, where these are
# more than 240 digits (file names are short), "sha256-" and the ID's SHA-256 in hex; then ".json". Other files of a
# session NAME:
#   NAME.connections  what `list-connections -j` prints ([] without it); with it, num-of-connections is the number of
#                     objects in it, whatever NAME.json says
#   NAME.stuck        closing the session fails with this text
#   NAME.next         replaces NAME.json when the session is closed, as an automatic console session is created again
# Files that cause a fault of the server, each as long as it exists:
#   broken   every call fails, with the file's text on standard error
#   hang     every call hangs; with a session's NAME in it only the close of that session does
#   garbage  list-sessions -j prints this instead
#   mute     every call prints nothing, does nothing and succeeds, as a wrapper without its dcv does
#   flood    each list-sessions -j has that many additional new sessions
# What dcv prints if there are no sessions is not documented. These files replace what 2024.0 prints:
#   none       for list-sessions -j, instead of []
#   none-text  for list-sessions, instead of a sentence
# A file must be renamed into place, since a call may read it at any time.
set -u

fail() {
  printf '%s\n' "$1" >&2
  exit 1
}

# Sets file to the session's file without its extension.
locate() {
  id=$1
  shift "$#"
  case $id in
  *[!A-Za-z0-9._-]*)
    # The digits are one word for each byte, so they must be split.
    # shellcheck disable=SC2046
    set -- $(printf %s "$id" | od -An -v -tx1)
    ;;
  *)
    # Most IDs need no other program.
    rest=$id
    while [ -n "$rest" ]; do
      set -- "$@" "'${rest%"${rest#?}"}"
      rest=${rest#?}
    done
    # shellcheck disable=SC2046
    [ $# -eq 0 ] || set -- $(printf '%02x ' "$@")
    ;;
  esac
  if [ $# -le 120 ]; then
    IFS=
    file=$DCV_STATE/$*
    unset IFS
  else
    file=$(printf %s "$id" | sha256sum)
    file=$DCV_STATE/sha256-${file%% *}
  fi
  [ -f "$file.json" ] || fail "Could not $command: no session with ID '$id'"
}

[ -d "${DCV_STATE:-}" ] || fail "dcv: DCV_STATE is not a directory"
json=
operand=
operands=0
for argument in "$@"; do
  case $argument in
  -j | --json) json=1 ;;
  -*) fail "dcv: unknown option '$argument'" ;;
  *)
    operands=$((operands + 1))
    [ "$operands" -ne 2 ] || operand=$argument
    ;;
  esac
done
command=${1:-}
case $command in
list-sessions | version) [ "$operands" -eq 1 ] ;;
describe-session | close-session | list-connections) [ "$operands" -eq 2 ] ;;
*) fail "dcv: unknown command '$command'" ;;
esac || fail "dcv $command: wrong number of arguments"

if [ -e "$DCV_STATE/broken" ]; then
  [ -s "$DCV_STATE/broken" ] || fail "Could not connect to the DCV server: is dcvserver running?"
  cat "$DCV_STATE/broken" >&2
  exit 1
fi
[ ! -e "$DCV_STATE/mute" ] || exit 0
if [ -e "$DCV_STATE/hang" ]; then
  [ -s "$DCV_STATE/hang" ] || exec sleep 3600
  read -r hung <"$DCV_STATE/hang"
fi

# Prints the sessions in these files, as lines or, if json is set, as JSON: a list of them, or with one set just the one.
# Sessions that end meanwhile are skipped.
print_sessions() {
  JSON=$json ONE=${one:-} FLOOD=${flood:-0} CALL=${call:-} LC_ALL=C awk '
    function member(s, key,   r) {
      if (!match(s, "\"" key "\" *: *\"([^\"\\\\]|\\\\.)*\"")) return ""
      r = substr(s, RSTART, RLENGTH)
      sub(/^"[^"]*" *: *"/, "", r)
      return substr(r, 1, length(r) - 1)
    }
    function content(file,   s, line) {
      while ((getline line < file) > 0) s = s line "\n"
      close(file)
      return s
    }
    function counted(s, connections) {
      if (connections == "") return s
      gsub(/"([^"\\]|\\.)*"/, "", connections)
      sub(/"num-of-connections" *: *[0-9]+/, "\"num-of-connections\" : " gsub(/[{]/, "", connections), s)
      return s
    }
    BEGIN {
      for (i = 1; i < ARGC; i++) {
        session = content(ARGV[i])
        if (session == "") continue
        sub(/[.]json$/, ".connections", ARGV[i])
        if (ENVIRON["JSON"]) {
          if (!ENVIRON["ONE"]) printf "%s", (listed++ ? ",\n" : "[\n")
          printf "%s", counted(session, content(ARGV[i]))
        } else {
          type = member(session, "type")
          printf "Session: %s (owner:%s type:%s name:\047%s\047)\n", member(session, "id"), member(session, "owner"),
            (type == "" ? "virtual" : type), member(session, "name")
          listed++
        }
      }
      if (ENVIRON["ONE"]) exit
      for (i = 1; i <= ENVIRON["FLOOD"]; i++)
        printf "%s{\"id\": \"flood-%s-%d\", \"owner\": \"flood\", \"creation-time\": \"2020-03-02T16:08:50Z\", \"num-of-connections\": 0}",
          (listed++ ? ",\n" : "[\n"), ENVIRON["CALL"], i
      if (ENVIRON["JSON"]) print listed ? "]" : "[]"
      else if (!listed) print "There are no sessions available."
    }' "$@"
}

case $command in
version)
  echo "Amazon DCV 2024.0 (r19030)"
  ;;
list-sessions)
  if [ -n "$json" ] && [ -e "$DCV_STATE/garbage" ]; then
    cat "$DCV_STATE/garbage"
    exit
  fi
  set -- "$DCV_STATE"/*.json
  flood=
  if [ -n "$json" ] && [ -e "$DCV_STATE/flood" ]; then
    read -r flood <"$DCV_STATE/flood"
    call=$(date +%s)-$$
    [ -e "$1" ] || set --
  fi
  if [ -n "$flood" ] || [ -e "$1" ]; then
    print_sessions "$@"
    exit
  fi
  none=$DCV_STATE/none-text
  [ -z "$json" ] || none=$DCV_STATE/none
  if [ -e "$none" ]; then
    cat "$none"
  elif [ -n "$json" ]; then
    echo "[]"
  else
    echo "There are no sessions available."
  fi
  ;;
describe-session)
  locate "$operand"
  if [ -n "$json" ]; then
    one=1
    print_sessions "$file.json"
  else
    printf 'Session: %s\n' "$id"
  fi
  ;;
list-connections)
  locate "$operand"
  if [ -e "$file.connections" ]; then
    cat "$file.connections"
  else
    echo "[]"
  fi
  ;;
close-session)
  locate "$operand"
  [ "${hung:-}" != "${file##*/}" ] || exec sleep 3600
  [ ! -e "$file.stuck" ] || fail "Could not close session: $(cat "$file.stuck")"
  if [ -e "$file.next" ]; then
    rm -f "$file.connections"
    mv -f "$file.next" "$file.json"
  else
    rm -f "$file.connections" "$file.json"
  fi
  ;;
esac
