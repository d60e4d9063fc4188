# Lists the sessions of this host: inventory.sh says what it prints. Here texts are escaped again.
#include shared/dcv.ps1
#include shared/survey.ps1
function Member($label, $value) {
  $text = Quote $value
  if ($text) { ',"' + $label + '":' + $text } else { '' }
}
try { $all = Ask 'list-sessions -j' '[' } catch {
  [Console]::Out.WriteLine('{"failed":"' + (Reason $_) + '"}')
  exit 0
}
$named = New-Object 'Collections.Generic.Dictionary[string,int]' ([StringComparer]::Ordinal)
foreach ($session in $all) {
  $id = $session.id
  if ($id -is [string]) { $named[$id] = 1 + $(if ($named.ContainsKey($id)) { $named[$id] }) }
}
$used = 0
foreach ($session in $all) {
  $id = $session.id; $created = Member 'created' $session.'creation-time'; $connections = "$($session.'num-of-connections')"
  if ($id -isnot [string] -or -not $id -or $named[$id] -gt 1 -or $session.owner -isnot [string] -or -not $session.owner -or -not $created) { continue }
  $line = (Member 'id' $id) + (Member 'owner' $session.owner) + (Member 'name' $session.name) + (Member 'type' $session.type) + $created
  if ($connections -cmatch '^[0-9]{1,6}\z') { $line += ',"connections":' + $connections }
  $line = '{' + ($line + (Member 'left' $session.'last-disconnection-time')).Substring(1) + '}'
  if ($used + $line.Length + 2 -le 23500) { [Console]::Out.WriteLine($line); $used += $line.Length + 2 }
}
[Console]::Out.WriteLine('{"end":' + $all.Count + '}')
exit 0
