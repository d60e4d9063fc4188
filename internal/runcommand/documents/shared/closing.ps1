# Shared by the Windows scripts that close sessions.

# CloseSession closes a session, which was created at that time, and lists the sessions until it is gone or has come back
# as another incarnation. It returns the result, or throws the reason if the session is still listed.
function CloseSession($id, $at) {
  try {
    $closed = Dcv ('close-session "' + $id + '"')
    $words = if ($closed.Code) { $closed.Words } else { 'dcv closed it, and lists it still' }
  } catch { $words = "$_" }
  for ($try = 1; ; $try++) {
    $listed = List
    if (-not $listed.ContainsKey($id)) { Gone $id; return 'closed' }
    if ($listed[$id] -ge 0 -and $listed[$id] -ne $at) { return 'closed' }
    if ($try -gt 4 -or $watch.ElapsedMilliseconds -ge 45000) { throw $words }
    Start-Sleep 1
  }
}
