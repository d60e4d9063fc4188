# Closes the sessions of this host that nobody used for so many minutes: idle.sh says by which rules, and what it prints.
# Here texts are escaped again. A Windows host has one session, so each is seen through by itself, and its line needs no
# bound.
$idleMinutes = $env:SSM_idleMinutes; if ($null -eq $idleMinutes) { $idleMinutes = '{{ idleMinutes }}' }
#include shared/dcv.ps1
#include shared/listed.ps1
#include shared/closing.ps1
#include shared/survey.ps1
function Minutes($since) { [long][Math]::Max(0, [Math]::Floor(([DateTime]::UtcNow - $since).TotalMinutes)) }

# Look sets $now to how long a session was not used and by how many it is used, with a note if dcv contradicts itself. It
# asks for the connections where they matter, with $ask always.
function Look($session, $ask) {
  $now.Minutes = 0; $now.Note = ''
  $made = At $session.'creation-time'; $last = $made; $counted = "$($session.'num-of-connections')"
  if ("$($session.'last-disconnection-time')") { $last = At $session.'last-disconnection-time' }
  if ($counted -cnotmatch '^[0-9]{1,6}\z') { throw 'its connections are unreadable' }
  if ($last -lt $made) { $last = $made }
  $counted = [int]$counted; $now.Connections = $counted
  if ($ask -or ($counted -and (Minutes $made) * 2 -gt $limit)) {
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
}

# Judge closes a session if it is idle. It gives the result, or throws the reason. dcv is given the IDs that it is given
# in close.ps1.
function Judge($session) {
  if ($session.id -cnotmatch '^[\w.][\w .:@+=,~-]*\z') { throw 'no ID for dcv' }
  Look $session $false
  if ($now.Note -or $now.Minutes -lt $limit) { return 'in-use' }
  $now.Near = $true
  InTime 40000
  $at = At $session.'creation-time'
  $again = (Ask ('describe-session "' + $session.id + '" -j') '{}')[0]
  if (-not [string]::Equals([string]$again.id, [string]$session.id) -or (At $again.'creation-time') -ne $at) { throw 'another session has its ID by now' }
  Look $again $true
  if ($now.Note -or $now.Minutes -lt $limit) { return 'in-use' }
  InTime 40000
  CloseSession $session.id (Microseconds $session.'creation-time')
}
try {
  if ($idleMinutes -cnotmatch '^[0-9]{1,6}\z' -or [int]$idleMinutes -lt 1) { throw 'idleMinutes is no number of minutes' }
  $limit = [int]$idleMinutes
  $sessions = Ask 'list-sessions -j' '[]'
  Gone no-such-session
} catch {
  [Console]::Out.WriteLine('{"failed":"' + (Reason $_) + '"}')
  exit 0
}
foreach ($session in $sessions) {
  if ($session.id -isnot [string]) { continue }
  $now = @{ Minutes = 0; Connections = 0; Note = ''; Near = $false }
  $why = ''
  try { $result = Judge $session; if ($now.Note) { $why = Reason $now.Note } } catch { $result = 'failed'; $why = Reason $_ }
  if ($result -ceq 'in-use' -and -not ($why -or $now.Near -or $now.Minutes * 2 -gt $limit)) { continue }
  if ($why) { $why = ',"reason":"' + $why + '"' }
  $created = Quote $session.'creation-time'
  if (-not $created) { $created = '""' }
  [Console]::Out.WriteLine('{"id":' + (Quote $session.id) + ',"created":' + $created + ',"result":"' + $result +
    '","minutes":' + $now.Minutes + ',"connections":' + $now.Connections + $why + '}')
}
[Console]::Out.WriteLine('{"end":' + $sessions.Count + '}')
exit 0
