# Shared by the Windows scripts whose parameter names sessions. parameter.go of package runcommand has its grammar.

function Number($text) {
  $number = [long]0
  foreach ($digit in $text.ToCharArray()) { $number = $number * 36 + '0123456789abcdefghijklmnopqrstuvwxyz'.IndexOf($digit) }
  $number
}

# Read parses the parameter's text about one session. dcv is given only IDs that every reader of a command line takes the
# same way between double quotes: letters, digits and _.:@+=,~- and spaces, beginning with a letter, a digit, _ or a dot.
function Read($asked) {
  if ($asked -cnotmatch '^(?:[\w.%-]+/)?(?<id>[\w.%-]+)(?<how>[@~])(?<at>[0-9a-z]{1,11})\z') { throw 'no ID for dcv' }
  $id = [Uri]::UnescapeDataString($Matches.id)
  $session = @{ Id = $id; Latest = $Matches.how -ceq '~'; Wanted = Number $Matches.at }
  if ($id -cnotmatch '^[\w.][\w .:@+=,~-]*\z') { throw 'no ID for dcv' }
  $session
}

# Same says whether a session created at that time is the one that was asked for; with Latest, whether it was created no
# later than Wanted.
function Same($at, $session) {
  $wanted = $session.Wanted
  if ($session.Latest) { return $at -le $wanted }
  $wanted -in $at, ($at - $at % 1000000) -or $at -eq $wanted - $wanted % 1000000
}

# Own returns the parameter's text about each session of this host.
function Own {
  $own = $env:AWS_SSM_INSTANCE_ID + '='
  foreach ($group in $sessions.Split(';')) {
    if ($own.Length -gt 1 -and $group.StartsWith($own, [StringComparison]::Ordinal)) { $group.Substring($own.Length).Split(',') }
  }
}

# Say prints a line about one session.
function Say($asked, $result, $why) {
  $why = Printable $why
  if ($why) { $why = '","reason":"' + $why }
  [Console]::Out.WriteLine('{"id":"' + ($asked -split '[/@~]')[0] + '","result":"' + $result + $why + '"}')
}

# Over says whether this second, counted since 1970, has passed.
function Over($time) { ([DateTime]::UtcNow.Ticks - $epoch) / 10000000 -ge [long]$time + 1 }
