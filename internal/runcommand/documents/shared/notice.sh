# Shared by the Linux scripts that show messages: the steps of a notice. A script runs each step by calling itself
# (screen.awk), since a call may hang, such as one of the user database or of a home directory. Each script sets suffix,
# the end of the names of its records, and defines message, which prints the text of a window that stays for so many
# seconds.
#
# The message goes to its program by standard input, never by a command line, script or markup. The program runs with the
# rights of the owner of the session, never of root or a system account: GTK loads modules that the settings of the X
# server name, and these belong to the user. It has its own environment and outlives the script.

umask 077

# The folder has one file for each session. Only root can write it: users cannot create anything in /run. Its one line is
#   ORDER PROGRAM MARK PID STARTED UID GID CREATED UNTIL
# the NoticeAt of the newest notice; the program that showed it, or -; 1 if a warning was shown and not taken back; the
# process that shows it; when that process started; the user and group that it runs as; and the creation time of the
# session. Only idle.sh uses UNTIL.
notices=${DCV_BROKER_NOTICES:-/run/dcv-session-broker}

answer() {
  printf '= %s\n' "$*"
  exit 0
}
fail() { answer failed "$@"; }

# record waits until no other script uses the file of session $1, locks it and reads it.
record() {
  mkdir -m 700 "$notices" 2>/dev/null
  [ "$(stat -c '%u %a %F' "$notices")" = "$(id -u) 700 directory" ] || fail "$notices is not a folder of root alone"
  file=$notices/$(printf %s "$1" | sha256sum | cut -c 1-64)$suffix
  exec 9>>"$file"
  flock -w 5 9 || fail "another notice of it is under way"
  order='' program='' mark='' pid='' started='' uid='' gid='' created='' until=''
  read -r order program mark pid started uid gid created until <"$file"
  # A line that a full disk has cut off does not count.
  [ -n "$created" ] || order=0 program=- mark=0 pid=0 started=0 uid=0 gid=0 created=0
}
keep() { printf '%s\n' "$order $program $mark $pid $started $uid $gid $created $until" >"$file"; }

# alive says whether the process of the record still runs, and is not another one: process IDs are used again.
alive() {
  [ "$pid" -gt 1 ] || return 1
  set -- "$(cat "/proc/$pid/stat" 2>/dev/null)"
  # These are the words after the name, which may have anything in it. Of all words, the state is the third, the start the
  # 22nd.
  # shellcheck disable=SC2086
  set -- ${1##*) }
  [ "$#" -ge 20 ] && [ "$1" != Z ] && [ "${20}" = "$started" ]
}

# asUser runs a command with the rights of a user. The command gets nothing of this script: no environment, no file of a
# record, and no output except for $(...). Anybody who may look into a process of the user could use all of these.
asUser() {
  env -i PATH="$PATH" LANG=C.UTF-8 setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs "$@" </dev/null 2>/dev/null 9>&-
}

# takeAway ends the process of the record, with only the rights that the process has itself.
takeAway() {
  # shellcheck disable=SC2016
  ! alive || asUser sh -c 'kill "$1"' sh "$pid" >/dev/null
  pid=0 started=0
}

# tidy removes the files of notices that are two days old.
tidy() { find "$notices" -type f -mmin +2880 -exec rm -f {} +; }

# accept SESSION CREATED ORDER KIND: records this notice, unless a newer one was here, and closes the older window. KIND
# is warning, nobody or cancel. It answers new; or again and the program, if the same notice is already shown; or nothing,
# to a cancel without a warning.
accept() {
  record "$1"
  tidy
  [ "$order" -le "$3" ] || fail "a newer notice was here before"
  [ "$created" = "$2" ] || mark=0
  if [ "$order" = "$3" ] && [ "$program" != - ]; then answer again "$program"; fi
  # The user may have read a warning that settle has not judged yet.
  if [ "$program" = - ] && alive && [ "$(place)" -gt 0 ]; then mark=1; fi 2>/dev/null
  takeAway
  warned=$mark
  [ "$4" = warning ] || mark=0
  order=$3 program=- created=$2
  keep
  if [ "$4" = cancel ] && [ "$warned" = 0 ]; then answer nothing; fi
  answer new
}

# console finds the display of a session if dcv names none: the display of a process of the user. $1 has the displays of
# other sessions, which do not count. Programs of a desktop come first, since users may run X servers of their own.
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
  # UID_MIN of login.defs(5) is 1000. Above it, 60578 to 65535 are for nobody, and for the greeters and services to which
  # systemd gives an ID for a while: https://systemd.io/UIDS-GIDS/.
  if [ "$user" -lt 1000 ] || [ "$user" -ge 60578 ] && [ "$user" -le 65535 ]; then fail "the owner is a system account"; fi
  uid=$user gid=$group display=$4 authority=$5 home=$(getent passwd "$user" | cut -d : -f 6)
  [ -n "$display" ] || console "$6"
  authority=${authority:-$home/.Xauthority}
  case $display in '' | : | [!:]* | *[!:0-9.]* | ?*:*) fail "its display is none of this host" ;; esac
  # stat runs with the rights of the user, as the program does. If another file replaces this one after the check, the
  # program reads nothing that the user could not read.
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
  # xmessage does not break lines.
  fold='cat'
  [ "$name" = zenity ] || fold='fold -s -w 80'
  message "$seconds" | $fold >"$file.text"
  exec 8<"$file.text"
  rm -f "$file.text"
  # A button "Cancel" would look as if it cancelled the close, so the buttons have other labels. All dialogs of zenity 3
  # and 4 take labels (3.44 and 4.1.90 were tried). The longest message fits.
  case $name in
  zenity) set -- zenity --text-info --title="Amazon DCV session" --ok-label=OK --cancel-label="Hide this message" --width=600 --height=340 ;;
  *) set -- xmessage -title "Amazon DCV session" -center -buttons OK:0 -file - ;;
  esac
  set -- setpriv --reuid "$uid" --regid "$gid" --init-groups --no-new-privs setsid timeout -k 5 "$seconds" "$@"
  # If the child kept the output of this script open, the step would last until its time-out.
  env -i DISPLAY="$display" XAUTHORITY="$authority" HOME="$home" PATH="$PATH" LANG=C.UTF-8 "$@" <&8 >/dev/null 2>&1 8<&- 9>&- &
  pid=$!
  started=$(cut -d ' ' -f 22 "/proc/$pid/stat")
  started=${started:-0}
  keep
  answer "$name"
}

# settle SESSION ORDER PROGRAM KIND: answers shown if the program of that notice runs and has read the message. The
# program reads it once the X server has accepted the program. If it runs and has not read it yet, settle waits five
# seconds more, for its libraries may come from a slow disk. The process of the record is timeout, which ends with the
# program and shares its position in the text.
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

# place prints how much of the message was read, or nothing if the process is gone.
place() { sed -n 's/^pos:[[:space:]]*//p' "/proc/$pid/fdinfo/0" 2>/dev/null; }

case ${1-} in
accept) accept "$2" "$3" "$4" "$5" ;;
show) show "$2" "$3" "$4" "$5" "$6" "$7" "$8" ;;
settle) settle "$2" "$3" "$4" "$5" ;;
esac
