# Shared by the Windows scripts that print texts of dcv.

# Reason returns the text of a failure, which is never empty.
function Reason($why) {
  $why = Printable $why
  if (-not $why) { $why = 'no reason given' }
  $why
}

# Quote returns a text as JSON, or '' if the value is not a text. It escapes every character that a code page could change. A
# script block is compiled to become a delegate, which takes a millisecond, so $escape is made once and not for each text.
$escape = [Text.RegularExpressions.MatchEvaluator]{ '\u{0:x4}' -f [int][char]$args[0].Value }
function Quote($value) {
  if ($value -is [DateTime]) { $value = $value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.FFFFFFZ', [CultureInfo]::InvariantCulture) }
  if ($value -isnot [string]) { return '' }
  '"' + [regex]::Replace($value, '[^ !#-\[\]-~]', $escape) + '"'
}
