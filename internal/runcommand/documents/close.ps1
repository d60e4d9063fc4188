# Closes the sessions that the parameter names for this host: close.sh says by which rules, and what it prints. A Windows
# host has one session, so each is seen through by itself.
$sessions = $env:SSM_sessions; if ($null -eq $sessions) { $sessions = '{{ sessions }}' }
$voidAfter = $env:SSM_voidAfter; if ($null -eq $voidAfter) { $voidAfter = '{{ voidAfter }}' }
#include shared/dcv.ps1
#include shared/closing.ps1
$epoch = 621355968000000000

# List gives each session's creation time, in microseconds since 1970; -1 where it cannot be read or two sessions have the
# ID. IDs are compared by their bytes.
function List {
  $listed = New-Object 'Collections.Generic.Dictionary[string,long]' ([StringComparer]::Ordinal)
  $all = Ask 'list-sessions -j' '[]'
  foreach ($session in $all) {
    if ($session.id -isnot [string]) { throw 'dcv list-sessions: unreadable answer' }
    $microseconds = -1
    if (-not $listed.ContainsKey($session.id)) {
      try {
        $ticks = (At $session.'creation-time').Ticks - $epoch
        $microseconds = ($ticks - $ticks % 10) / 10
      } catch { }
    }
    $listed[$session.id] = $microseconds
  }
  $listed
}

# Close gives the result, or throws the reason. Only IDs that no reader of a command line can take for anything else
# between double quotes are given to dcv: letters, digits and _.:@+=,~- with spaces inside.
function Close($asked) {
  if (([DateTime]::UtcNow.Ticks - $epoch) / 10000000 -ge [long]$voidAfter + 1) { return 'expired' }
  if ($asked -cnotmatch '^(?:[\w.%-]+/)?(?<id>[\w.%-]+)(?<how>[@~])(?<at>[0-9a-z]{1,11})\z') { throw 'no ID for dcv' }
  $id = [Uri]::UnescapeDataString($Matches.id); $how = $Matches.how; $wanted = [long]0
  foreach ($digit in $Matches.at.ToCharArray()) { $wanted = $wanted * 36 + '0123456789abcdefghijklmnopqrstuvwxyz'.IndexOf($digit) }
  if ($id -cnotmatch '^[\w.][\w .:@+=,~-]*\z') { throw 'no ID for dcv' }
  InTime
  $listed = List
  if (-not $listed.ContainsKey($id)) { Gone $id; return 'absent' }
  $at = $listed[$id]
  if ($at -lt 0) { throw 'creation-time unreadable' }
  $same = $at -eq $wanted -or (($at % 1000000 -eq 0 -or $wanted % 1000000 -eq 0) -and $at - $at % 1000000 -eq $wanted - $wanted % 1000000)
  if ($how -ceq '~') { $same = $at -le $wanted }
  if (-not $same) { return 'replaced' }
  InTime
  $words = CloseSession $id
  for ($try = 1; ; $try++) {
    $listed = List
    if (-not $listed.ContainsKey($id)) { Gone $id; return 'closed' }
    if ($listed[$id] -ge 0 -and $listed[$id] -ne $at) { return 'closed' }
    if ($try -gt 4 -or $watch.ElapsedMilliseconds -ge 45000) { throw $words }
    Start-Sleep 1
  }
}
$own = $env:AWS_SSM_INSTANCE_ID + '='
foreach ($group in $sessions.Split(';')) {
  if ($own.Length -eq 1 -or -not $group.StartsWith($own, [StringComparison]::Ordinal)) { continue }
  foreach ($asked in $group.Substring($own.Length).Split(',')) {
    $why = ''
    try { $result = Close $asked } catch { $result = 'failed'; $why = Printable $_ }
    if ($why) { $why = '","reason":"' + $why }
    [Console]::Out.WriteLine('{"id":"' + ($asked -split '[/@~]')[0] + '","result":"' + $result + $why + '"}')
  }
}
exit 0
