# Closes the sessions that the parameter names for this host: close.sh says by which rules, and what it prints. A Windows
# host has one session, so each is seen through by itself.
$sessions = $env:SSM_sessions; if ($null -eq $sessions) { $sessions = '{{ sessions }}' }
$voidAfter = $env:SSM_voidAfter; if ($null -eq $voidAfter) { $voidAfter = '{{ voidAfter }}' }
#include shared/dcv.ps1
#include shared/closing.ps1
# Close gives the result, or throws the reason. Only IDs that no reader of a command line can take for anything else
# between double quotes are given to dcv: letters, digits and _.:@+=,~- with spaces inside.
function Close($asked) {
  if (([DateTime]::UtcNow.Ticks - $epoch) / 10000000 -ge [long]$voidAfter + 1) { return 'expired' }
  if ($asked -cnotmatch '^(?:[\w.%-]+/)?(?<id>[\w.%-]+)(?<how>[@~])(?<at>[0-9a-z]{1,11})\z') { throw 'no ID for dcv' }
  $id = [Uri]::UnescapeDataString($Matches.id); $how = $Matches.how; $wanted = [long]0
  foreach ($digit in $Matches.at.ToCharArray()) { $wanted = $wanted * 36 + '0123456789abcdefghijklmnopqrstuvwxyz'.IndexOf($digit) }
  if ($id -cnotmatch '^[\w.][\w .:@+=,~-]*\z') { throw 'no ID for dcv' }
  InTime 40000
  $listed = List
  if (-not $listed.ContainsKey($id)) { Gone $id; return 'absent' }
  $at = $listed[$id]
  if ($at -lt 0) { throw 'creation-time unreadable' }
  $same = $wanted -in $at, ($at - $at % 1000000) -or $at -eq $wanted - $wanted % 1000000
  if ($how -ceq '~') { $same = $at -le $wanted }
  if (-not $same) { return 'replaced' }
  InTime 40000
  CloseSession $id $at
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
