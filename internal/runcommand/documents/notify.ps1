# Shows a message in the sessions that the parameter names for this host, by the rules in notify.sh, which also says what
# is printed. Here msg shows it in the console's session, which is the one that DCV shows. Nothing closes it early except
# the user: a warning stays until closeAt.
$sessions = $env:SSM_sessions; if ($null -eq $sessions) { $sessions = '{{ sessions }}' }
$text = $env:SSM_text; if ($null -eq $text) { $text = '{{ text }}' }
$closeAt = $env:SSM_closeAt; if ($null -eq $closeAt) { $closeAt = '{{ closeAt }}' }
$voidAfter = $env:SSM_voidAfter; if ($null -eq $voidAfter) { $voidAfter = '{{ voidAfter }}' }
#include shared/dcv.ps1
#include shared/listed.ps1
#include shared/asked.ps1
$cancel = $closeAt -ceq '0'
$suffix = ''
#include shared/notice.ps1

# Notify returns the result, or throws the reason.
function Notify($asked) {
  if (Over $voidAfter) { throw 'the notice is void' }
  $left = [long]$closeAt - [long][Math]::Floor(([DateTime]::UtcNow.Ticks - $epoch) / 10000000)
  if ($cancel) { $left = 3600 } elseif ($left -lt 1) { throw 'its time to close has come' }
  if ($asked -cnotmatch '^(.+):([0-9a-z]{1,11})\z') { throw 'no ID for dcv' }
  $notice = Number $Matches[2]
  $session = Read $Matches[1]
  if ($notice -lt 1) { throw 'no ID for dcv' }
  InTime 40000
  $at = Find $session.Id
  if ($null -eq $at) { throw 'no such session' }
  if ($at -lt 0 -or -not (Same $at $session)) { throw 'another session has its ID by now' }
  InTime 40000
  $people = $cancel -or (Ask ('list-connections "' + $session.Id + '" -j') '[]').Count
  InTime 40000
  $file = Record $session.Id
  try {
    $order, $shown, $mark, $created = (New-Object IO.StreamReader $file).ReadToEnd() -split ' '
    if (-not $created) { $order = 0; $shown = 0; $mark = 0; $created = 0 }
    if ([long]$order -gt $notice) { throw 'a newer notice was here before' }
    if ([long]$created -ne $at) { $mark = 0 }
    if ([long]$order -eq $notice -and $shown -eq 1) { if ($cancel) { return 'told' }; return 'warned' }
    $warned = $mark -eq 1
    if ($cancel -or -not $people) { $mark = 0 }
    Keep $file $notice 0 $mark $at
    if (-not $people) { return 'nobody' }
    if ($cancel -and -not $warned) { return 'nothing' }
    Show (Text $text) $left
    if ($cancel) { Keep $file $notice 1 0 $at; return 'told' }
    Keep $file $notice 1 1 $at
    'warned'
  } finally { $file.Close() }
}
foreach ($asked in Own) {
  $why = ''
  try { $result = Notify $asked; if ($result -cin 'warned', 'told') { $why = 'msg' } } catch { $result = 'failed'; $why = $_ }
  Say $asked $result $why
}
exit 0
