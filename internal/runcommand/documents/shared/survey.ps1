# What the Windows scripts share that print texts of dcv.

# Reason gives what went wrong, in some words.
function Reason($why) {
  $why = Printable $why
  if (-not $why) { $why = 'no reason given' }
  $why
}

# Quote gives a text as JSON, with whatever a code page could spoil escaped; '' if it is none. A script block becomes a
# delegate by compiling it, which takes a millisecond: once, not for each text.
$escape = [Text.RegularExpressions.MatchEvaluator]{ '\u{0:x4}' -f [int][char]$args[0].Value }
function Quote($value) {
  if ($value -is [DateTime]) { $value = $value.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ss.FFFFFFZ', [CultureInfo]::InvariantCulture) }
  if ($value -isnot [string]) { return '' }
  '"' + [regex]::Replace($value, '[^ !#-\[\]-~]', $escape) + '"'
}
