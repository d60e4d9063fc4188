# What the Linux scripts share that show messages: the steps of a notice, each of which a script does by calling itself
# (screen.awk), since a call may hang, as one of the user database or of a home directory may. A script says by suffix what
# its records are called, and by message what a window shows for so many seconds.
#
# The message travels to its program by standard input, never by a command line, script or markup. The program runs with the
# rights of the owner of the session, never of root or a system account: GTK loads modules that the settings of the
# X server name, and these are the user's. It runs with an environment of its own and outlives the script.

umask 077

# The folder has one file for each session, which only root can write: users can make nothing in /run. Its one line is
#   ORDER PROGRAM MARK PID STARTED UID GID CREATED UNTIL
# the NoticeAt of the newest notice, the program that showed it or -, 1 if a warning was shown and not taken back, the process
# that shows it, when that started, with whose rights, and the creation time of the session; UNTIL is for idle.sh only.
notices=${DCV_BROKER_NOTICES:-/run/dcv-session-broker}

answer() {
  printf '= %s\n' "$*"
  exit 0
}
fail() { answer failed "$@"; }

# record waits for the file of session $1, of which no other script may use it now, and reads it.
record() {
  mkdir -m 700 "$notices" 2>/dev/null
  [ "$(stat -c '%u %a %F' "$notices")" = "$(id -u) 700 directory" ] || fail "$notices is not a folder of root alone"
  file=$notices/$(printf %s "$1" | sha256sum | cut -c 1-64)$suffix
  exec 9>>"$file"
  flock -w 5 9 || fail "another notice of it is under way"
  order='' program='' mark='' pid='' started='' uid='' gid='' created='' until=''
  read -r order program mark pid started uid gid created until <"$file"
  # What a full disk has cut off is no line.
  [ -n "$created" ] || order=0 program=- mark=0 pid=0 started=0 uid=0 gid=0 created=0
}
keep() { printf '%s\n' "$order $program $mark $pid $started $uid $gid $created $until" >"$file"; }

# alive says whether the process of the record is still that one, and runs. Process IDs are used again.
alive() {
  [ "$pid" -gt 1 ] || return 1
  set -- "$(cat "/proc/$pid/stat" 2>/dev/null)"
  # The words behind the name, which may have anything in it: the state is the third of all, the start the 22nd.
  # shellcheck disable=SC2086
  set -- ${1##*) }
  [ "$#" -ge 20 ] && [ "$1" != Z ] && [ "${20}" = "$started" ]
}

# asUser runs a command with the rights of a user. It has nothing of this script: no environment, no file of a record, and no
# output except for $(...). Whoever may look into a process of the user could use all of it.
asUser() {
  env -i PATH="$PATH" LANG=C.UTF-8 setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs "$@" </dev/null 2>/dev/null 9>&-
}

# takeAway ends the process of the record, with no other rights than it has itself.
takeAway() {
  # shellcheck disable=SC2016
  ! alive || asUser sh -c 'kill "$1"' sh "$pid" >/dev/null
  pid=0 started=0
}

# tidy removes the files of notices that are two days old.
tidy() { find "$notices" -type f -mmin +2880 -exec rm -f {} +; }

# accept SESSION CREATED ORDER KIND: notes that there is this notice, unless a newer one was here, and takes the older window
# away. KIND is warning, nobody or cancel. It answers new, or again where the same notice is shown already, by which
# program; or nothing to a cancel without a warning.
accept() {
  record "$1"
  tidy
  [ "$order" -le "$3" ] || fail "a newer notice was here before"
  [ "$created" = "$2" ] || mark=0
  if [ "$order" = "$3" ] && [ "$program" != - ]; then answer again "$program"; fi
  # A warning that settle has not judged yet may have been read.
  if [ "$program" = - ] && alive && [ "$(place)" -gt 0 ]; then mark=1; fi 2>/dev/null
  takeAway
  warned=$mark
  [ "$4" = warning ] || mark=0
  order=$3 program=- created=$2
  keep
  if [ "$4" = cancel ] && [ "$warned" = 0 ]; then answer nothing; fi
  answer new
}

# console finds the display of a session of which dcv names none: that of a process of the user which is not on one of the
# displays in $1, those of other sessions. Programs of a desktop come first: users may run X servers of their own.
console() {
  other=''
  # shellcheck disable=SC2013
  for status in $(grep -ls "^Uid:[[:space:]]*${uid}[[:space:]]" /proc/[0-9]*/status); do
    process=${status%/status}
    settings=$(tr '\0' '\n' <"$process/environ" | grep -a -e '^DISPLAY=' -e '^XAUTHORITY=')
    seen=$(printf '%s\n' "$settings" | sed -n 's/^DISPLAY=\(:[0-9]*\)\(\.[0-9]*\)\{0,1\}$/\1/p')
    # dcv keeps the authority files of virtual sessions in a folder of its own, as the administrator guide shows.
    case "$seen $settings" in ' '* | *XAUTHORITY=/run/user/*/dcv/*) continue ;; esac
    case " $1 " in *" $seen "*) continue ;; esac
    display=$seen authority=$(printf '%s\n' "$settings" | sed -n 's/^XAUTHORITY=//p')
    case $(cat "$process/comm") in *sessio* | *shell | startplasma* | kwin*) return ;; esac
    other=${other:-$display $authority}
  done 2>/dev/null
  [ -n "$other" ] || fail "no process of the owner has a display"
  display=${other%% *} authority=${other#* }
}

# show SESSION ORDER OWNER DISPLAY AUTHORITY TAKEN SECONDS: starts the program, and answers with its name.
show() {
  cd /
  if ! user=$(id -u "$3") || ! group=$(id -g "$3"); then fail "the owner is no user of this host"; fi
  # UID_MIN of login.defs(5) is 1000. Above it stand nobody and what systemd gives to greeters and services, for a
  # while: https://systemd.io/UIDS-GIDS/.
  if [ "$user" -lt 1000 ] || [ "$user" -ge 60578 ] && [ "$user" -le 65535 ]; then fail "the owner is a system account"; fi
  uid=$user gid=$group display=$4 authority=$5 home=$(getent passwd "$user" | cut -d : -f 6)
  [ -n "$display" ] || console "$6"
  authority=${authority:-$home/.Xauthority}
  case $display in '' | : | [!:]* | *[!:0-9.]* | ?*:*) fail "its display is none of this host" ;; esac
  # With the rights of the user, which the program has, too: what comes into the place of the file after this look is nothing
  # that the user could not read.
  case $authority,$(asUser stat -c '%u %F' "$authority") in
  /*",$uid regular file") ;;
  *) fail "the authority file is no plain file of the owner" ;;
  esac
  name=$(command -v zenity || command -v xmessage) || fail "neither zenity nor xmessage is installed"
  name=${name##*/} notice=$2 seconds=$7
  record "$1"
  [ "$order" = "$notice" ] || fail "a newer notice came"
  takeAway
  uid=$user gid=$group
  # xmessage breaks no lines.
  fold='cat'
  [ "$name" = zenity ] || fold='fold -s -w 80'
  message "$seconds" | $fold >"$file.text"
  exec 8<"$file.text"
  rm -f "$file.text"
  # Labels of its own: a button "Cancel" would look as if it cancelled the close. All dialogs of zenity 3 and 4 take them
  # (3.44 and 4.1.90 were tried). The longest message fits.
  case $name in
  zenity) set -- zenity --text-info --title="Amazon DCV session" --ok-label=OK --cancel-label="Hide this message" --width=600 --height=340 ;;
  *) set -- xmessage -title "Amazon DCV session" -center -buttons OK:0 -file - ;;
  esac
  set -- setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs setsid timeout -k 5 "$seconds" "$@"
  # A child that kept the output of this script open would keep the step until its time-out.
  env -i DISPLAY="$display" XAUTHORITY="$authority" HOME="$home" PATH="$PATH" LANG=C.UTF-8 "$@" <&8 >/dev/null 2>&1 8<&- 9>&- &
  pid=$!
  started=$(cut -d ' ' -f 22 "/proc/$pid/stat")
  started=${started:-0}
  keep
  answer "$name"
}

# settle SESSION ORDER PROGRAM KIND: answers shown if the program of that notice runs and has read the message, which it does
# once the X server has let it in: one that runs and has not is given five seconds more, for its libraries may come from a slow
# disk. The process of the record is timeout, which ends with the program and shares its place in the text.
settle() {
  record "$1"
  exec 9>&-
  for pause in 1 1 1 1 1; do [ "$(place)" != 0 ] || sleep "$pause"; done
  record "$1"
  [ "$order" = "$2" ] || fail "a newer notice came"
  if [ "$(place)" -gt 0 ]; then
    program=$3
    [ "$4" = cancel ] || mark=1
    keep
    answer shown
  fi 2>/dev/null
  takeAway
  keep
  fail "$3 did not stay on the screen"
}

# place says how much of the message was read; nothing, if nobody is there to read it.
place() { sed -n 's/^pos:[[:space:]]*//p' "/proc/$pid/fdinfo/0" 2>/dev/null; }

case ${1-} in
accept) accept "$2" "$3" "$4" "$5" ;;
show) show "$2" "$3" "$4" "$5" "$6" "$7" "$8" ;;
settle) settle "$2" "$3" "$4" "$5" ;;
esac
