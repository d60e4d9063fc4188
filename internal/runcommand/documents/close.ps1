# Closes the sessions that the parameter names for this host, by the rules in close.sh, which also says what is printed. A
# Windows host has one session, so each session is finished before the next begins.
$sessions = $env:SSM_sessions; if ($null -eq $sessions) { $sessions = '{{ sessions }}' }
$voidAfter = $env:SSM_voidAfter; if ($null -eq $voidAfter) { $voidAfter = '{{ voidAfter }}' }
#include shared/dcv.ps1
#include shared/listed.ps1
#include shared/closing.ps1
#include shared/asked.ps1
# Close returns the result, or throws the reason.
function Close($asked) {
  if (Over $voidAfter) { return 'expired' }
  $session = Read $asked
  InTime 40000
  $at = Find $session.Id
  if ($null -eq $at) { Gone $session.Id; return 'absent' }
  if ($at -lt 0) { throw 'creation-time unreadable' }
  if (-not (Same $at $session)) { return 'replaced' }
  InTime 40000
  CloseSession $session.Id $at
}
foreach ($asked in Own) {
  try { Say $asked (Close $asked) } catch { Say $asked failed $_ }
}
exit 0
