# Shared by the Windows scripts that compare sessions with an incarnation.
$epoch = 621355968000000000

# At converts a time that dcv printed. PowerShell 7 has already made it a DateTime; 5.1 leaves it a string.
function At($value) {
  if ($value -is [DateTime]) { return $value.ToUniversalTime() }
  if ($value -isnot [string] -or $value -cnotmatch '^[0-9-]{10}T[0-9:]{8}(\.[0-9]+)?Z\z') { throw 'a time of it is unreadable' }
  [DateTimeOffset]::Parse($value, [CultureInfo]::InvariantCulture).UtcDateTime
}

# Microseconds converts such a time to microseconds since 1970.
function Microseconds($value) {
  $ticks = (At $value).Ticks - $epoch
  ($ticks - $ticks % 10) / 10
}

# Find asks dcv for the sessions. It returns the creation time of the session with this ID, in microseconds since 1970: -1
# if it cannot be read or if two sessions have the ID, $null if the session is not listed. IDs are compared by their bytes.
function Find($id) {
  $at = $null
  foreach ($session in (Ask 'list-sessions -j' '[]')) {
    if ($session.id -isnot [string]) { throw 'dcv list-sessions: unreadable answer' }
    if (-not [string]::Equals($session.id, $id)) { continue }
    $twice = $null -ne $at; $at = -1
    if (-not $twice) { try { $at = Microseconds $session.'creation-time' } catch { } }
  }
  $at
}
