# What the Windows scripts that close sessions share. No close begins after 40 s: Systems Manager cuts the step off at 60.
function InTime { if ($watch.ElapsedMilliseconds -ge 40000) { throw 'no time left' } }

# At gives a time that dcv printed. PowerShell 7 makes a DateTime of what 5.1 leaves a string.
function At($value) {
  if ($value -is [DateTime]) { return $value.ToUniversalTime() }
  if ($value -isnot [string] -or $value -cnotmatch '^[0-9-]{10}T[0-9:]{8}(\.[0-9]+)?Z\z') { throw 'a time of it is unreadable' }
  [DateTimeOffset]::Parse($value, [CultureInfo]::InvariantCulture).UtcDateTime
}

# CloseSession closes a session. It gives what to say if the session is listed all the same.
function CloseSession($id) {
  try { $closed = Dcv ('close-session "' + $id + '"') } catch { return "$_" }
  if ($closed.Code) { $closed.Words } else { 'dcv closed it, and lists it still' }
}
