# Shared by the Windows scripts that close sessions.

# CloseSession closes a session, which was created at that time, and lists the sessions until it is gone or has come back
# as another incarnation. It returns the result, or throws the reason if the session is still listed.
function CloseSession($id, $at) {
  $words = 'dcv closed it, and lists it still'
  try { $null = Query ('close-session "' + $id + '"') } catch { $words = "$_" }
  for ($try = 1; ; $try++) {
    $listed = Find $id
    if ($null -eq $listed) { Gone $id }
    if ($listed -notin -1, $at) { return 'closed' }
    if ($try -gt 4 -or $watch.ElapsedMilliseconds -ge 45000) { throw $words }
    Start-Sleep 1
  }
}
