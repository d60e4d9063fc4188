# Lists the sessions of this host; inventory.sh says what is printed. Here texts are escaped again.
#include shared/dcv.ps1
#include shared/survey.ps1
function Member($label, $value) {
  $text = Quote $value
  if ($text -and ($value -isnot [string] -or [Text.Encoding]::UTF8.GetByteCount($value) -lt 257)) { ',"' + $label + '":' + $text } else { '' }
}

# Cost is the most bytes that a text can take in the reply of the agent, which is JSON in JSON.
function Cost($text) { $text.Length + 6 * [regex]::Matches($text, '[<>&]').Count + 3 * [regex]::Matches($text, '["\\]').Count }

function Pack($text) {
  $memory = New-Object IO.MemoryStream
  $zip = New-Object IO.Compression.GZipStream($memory, [IO.Compression.CompressionMode]::Compress)
  $bytes = [Text.Encoding]::UTF8.GetBytes($text)
  $zip.Write($bytes, 0, $bytes.Length)
  $zip.Close()
  '{"gzip":"' + [Convert]::ToBase64String($memory.ToArray()) + '"}'
}
try { $all = Ask 'list-sessions -j' '[]'; Gone no-such-session } catch {
  [Console]::Out.WriteLine('{"failed":"' + (Reason $_) + '"}')
  exit 0
}
$named = New-Object 'Collections.Generic.Dictionary[string,int]' ([StringComparer]::Ordinal)
foreach ($session in $all) {
  $id = $session.id
  if ($id -is [string]) { $named[$id] = 1 + $(if ($named.ContainsKey($id)) { $named[$id] }) }
}
$lines = New-Object 'Collections.Generic.List[string]'
$printed = New-Object 'Collections.Generic.HashSet[string]' ([StringComparer]::Ordinal)
$unnamed = 0
foreach ($session in $all) {
  $id = $session.id; $line = ''
  if ($id -is [string] -and $id) { $line = Member 'id' $id }
  if (-not $line) { $unnamed++; continue }
  if (-not $printed.Add($id)) { continue }
  $owner = Member 'owner' $session.owner; $created = Member 'created' $session.'creation-time'; $connections = "$($session.'num-of-connections')"
  if ($session.owner -is [string] -and $session.owner -and $owner -and $created -and $named[$id] -eq 1) {
    $line += $owner + (Member 'name' $session.name) + (Member 'type' $session.type) + $created
    if ($connections -cmatch '^[0-9]{1,6}\z') { $line += ',"connections":' + $connections }
    $line += Member 'left' $session.'last-disconnection-time'
  }
  $lines.Add('{' + $line.Substring(1) + '}')
}
$end = '{"end":' + ($lines.Count + $unnamed)
if ($unnamed) { $end += ',"unnamed":' + $unnamed }
$lines.Add($end + '}')
$text = [string]::Join("`n", $lines)
if ($text.Length -gt 18000 -or (Cost $text) -gt 60000) { $text = Pack $text }
[Console]::Out.WriteLine($text)
exit 0
