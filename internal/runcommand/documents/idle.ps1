# Closes the sessions of this host that nobody has used for so many minutes, by the rules in idle.sh, which also says what
# is printed. Here texts are escaped again. A Windows host has one session, so each session is finished before the next
# begins, and the output has no limit.
# A warning stays on the screen until its time, unless the users close it, even if the session is used again.
$idleMinutes = $env:SSM_idleMinutes; if ($null -eq $idleMinutes) { $idleMinutes = '{{ idleMinutes }}' }
$warnSeconds = $env:SSM_warnSeconds; if ($null -eq $warnSeconds) { $warnSeconds = '{{ warnSeconds }}' }
$message = $env:SSM_message; if ($null -eq $message) { $message = '{{ message }}' }
$suffix = '.idle'
#include shared/dcv.ps1
#include shared/listed.ps1
#include shared/closing.ps1
#include shared/survey.ps1
#include shared/notice.ps1
function Minutes($since) { [long][Math]::Max(0, [Math]::Floor(([DateTime]::UtcNow - $since).TotalMinutes)) }
function Second($time) { [long][Math]::Floor(($time.Ticks - $epoch) / 10000000) }
function Seconds($since) { (Second ([DateTime]::UtcNow)) - (Second $since) }

# Look sets $now to how long a session was not used and how many use it, with a note if dcv contradicts itself. Last is
# when it was used. It asks for the connections only if they matter; with $ask, always.
function Look($session, $ask) {
  $now.Minutes = 0; $now.Note = ''
  $made = At $session.'creation-time'; $last = $made; $counted = "$($session.'num-of-connections')"
  if ("$($session.'last-disconnection-time')") { $last = At $session.'last-disconnection-time' }
  if ($counted -cnotmatch '^[0-9]{1,6}\z') { throw 'its connections are unreadable' }
  if ($last -lt $made) { $last = $made }
  $counted = [int]$counted; $now.Connections = $counted
  if ($ask -or ($counted -and (Seconds $made) * 2 -ge $limit * 60)) {
    InTime 40000
    $all = Ask ('list-connections "' + $session.id + '" -j') '[]'
    if ($all.Count -ne $counted) {
      $now.Note = "dcv counts $counted and lists $($all.Count) connections"
      $now.Connections = [Math]::Max($counted, $all.Count)
      return
    }
    if ($counted) { $last = [DateTime]::MinValue }
    foreach ($connection in $all) {
      $used = $connection.'last-interaction-time'
      if (-not "$used") { $used = $connection.'connection-time' }
      if ("$used") { $used = At $used } else { $used = [DateTime]::UtcNow }
      if ($used -gt $last) { $last = $used }
    }
  }
  $now.Minutes = Minutes $last
  $now.Last = $last
}

# Warn tries to warn the users of a session, which was created at that time, once for the idle time that began at Last. If
# that was tried before, it returns until when the session stays.
function Warn($id, $at) {
  $since = $now.Last.Ticks - $epoch
  $file = Record $id
  try {
    $order, $shown, $closes, $created = (New-Object IO.StreamReader $file).ReadToEnd() -split ' '
    if ($created -and [long]$created -eq $at -and [long]$order -ge $since -and [long]$order -le [DateTime]::UtcNow.Ticks - $epoch) { return [long]$closes }
    $clock = Second ([DateTime]::UtcNow)
    $closes = [long][Math]::Max((Second $now.Last) + $limit * 60, $clock + [Math]::Ceiling($ahead / 2))
    Keep $file $since 0 $closes $at
    $minutes = [Math]::Floor(($closes - $clock) / 60)
    $left = switch ($minutes) { 0 { 'less than a minute' } 1 { '1 minute' } default { "$minutes minutes" } }
    $time = (New-Object DateTime ($epoch + $closes * 10000000)).ToString('yyyy-MM-dd HH:mm', [CultureInfo]::InvariantCulture)
    $text = "This session will be closed at $time UTC, in $left, unless it is used before."
    if ($message) { $text = (Text $message) + "`n`n" + $text }
    Show $text ($closes - $clock)
  } catch { throw "not warned: $_" } finally { $file.Close() }
}

# Judge closes a session if it is idle. It returns the result, or throws the reason. It gives dcv only the IDs that
# close.ps1 gives it.
function Judge($session) {
  if ($session.id -cnotmatch '^[\w.][\w .:@+=,~-]*\z') { throw 'no ID for dcv' }
  Look $session $false
  if ($now.Note) { return 'in-use' }
  $tried = [DateTime]::MinValue
  if ($ahead -and $now.Connections -and (Seconds $now.Last) -ge $limit * 60 - $ahead) {
    $now.Near = $true
    InTime 40000
    $stays = Warn $session.id (Microseconds $session.'creation-time')
    if ($null -eq $stays) { return 'warned' }
    if ((Second ([DateTime]::UtcNow)) -lt $stays) { return 'in-use' }
    $tried = $now.Last
  }
  if ($now.Minutes -lt $limit) { return 'in-use' }
  $now.Near = $true
  InTime 40000
  $at = At $session.'creation-time'
  $again = (Ask ('describe-session "' + $session.id + '" -j') '{}')[0]
  if (-not [string]::Equals([string]$again.id, [string]$session.id) -or (At $again.'creation-time') -ne $at) { throw 'another session has its ID by now' }
  Look $again $true
  if ($now.Note -or $now.Minutes -lt $limit -or ($ahead -and $now.Connections -and $now.Last -gt $tried)) { return 'in-use' }
  InTime 40000
  CloseSession $session.id (Microseconds $session.'creation-time')
}
try {
  if ($idleMinutes -cnotmatch '^[0-9]{1,6}\z' -or [int]$idleMinutes -lt 1) { throw 'idleMinutes is no number of minutes' }
  $limit = [int]$idleMinutes
  if ($warnSeconds -cnotmatch '^[0-9]{1,6}\z') { throw 'warnSeconds is no number of seconds' }
  $ahead = [int]$warnSeconds
  $sessions = Ask 'list-sessions -j' '[]'
  Gone no-such-session
} catch {
  [Console]::Out.WriteLine('{"failed":"' + (Reason $_) + '"}')
  exit 0
}
foreach ($session in $sessions) {
  if ($session.id -isnot [string]) { continue }
  $now = @{ Minutes = 0; Connections = 0; Note = ''; Near = $false; Last = [DateTime]::MinValue }
  $why = ''
  try { $result = Judge $session; if ($now.Note) { $why = Reason $now.Note } elseif ($result -ceq 'warned') { $why = 'msg' } } catch { $result = 'failed'; $why = Reason $_ }
  if ($result -ceq 'in-use' -and -not ($why -or $now.Near -or $now.Minutes * 2 -gt $limit)) { continue }
  if ($why) { $why = ',"reason":"' + $why + '"' }
  $created = Quote $session.'creation-time'
  if (-not $created) { $created = '""' }
  [Console]::Out.WriteLine('{"id":' + (Quote $session.id) + ',"created":' + $created + ',"result":"' + $result +
    '","minutes":' + $now.Minutes + ',"connections":' + $now.Connections + $why + '}')
}
[Console]::Out.WriteLine('{"end":' + $sessions.Count + '}')
exit 0
