# Shows a message in the sessions that the parameter names for this host: notify.sh says by which rules, and what it prints.
# Here msg puts it on the console's session, which is the one that DCV shows, and nothing takes it away before its time: it
# stays until closeAt, unless the user closes it.
$sessions = $env:SSM_sessions; if ($null -eq $sessions) { $sessions = '{{ sessions }}' }
$text = $env:SSM_text; if ($null -eq $text) { $text = '{{ text }}' }
$closeAt = $env:SSM_closeAt; if ($null -eq $closeAt) { $closeAt = '{{ closeAt }}' }
$voidAfter = $env:SSM_voidAfter; if ($null -eq $voidAfter) { $voidAfter = '{{ voidAfter }}' }
#include shared/dcv.ps1
#include shared/listed.ps1
#include shared/asked.ps1
$cancel = $closeAt -ceq '0'
$msg = [IO.Path]::Combine([Environment]::SystemDirectory, 'msg.exe')
if (-not [IO.File]::Exists($msg)) { $msg = @(Get-Command msg.exe -Type Application -EA 0)[0].Path }

# Record opens the file of a session, once no other script uses it, which none can meanwhile: ORDER SHOWN MARK CREATED, where SHOWN is 1 if the
# newest notice was shown. Its folder is one of this script's account, which only administrators may write.
function Record($id) {
  $folder = [IO.Path]::Combine([Environment]::GetFolderPath('LocalApplicationData', 'Create'), 'dcv-session-broker')
  $folder = [IO.Directory]::CreateDirectory($folder).FullName
  $hash = [Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::UTF8.GetBytes($id))
  $path = [IO.Path]::Combine($folder, [BitConverter]::ToString($hash))
  for ($try = 1; ; $try++) {
    try { return [IO.File]::Open($path, 'OpenOrCreate', 'ReadWrite', 'None') } catch { if ($try -gt 5) { throw } }
    [Threading.Thread]::Sleep(1000)
  }
}
function Keep($file, $order, $shown, $mark, $at) {
  $line = [Text.Encoding]::ASCII.GetBytes("$order $shown $mark $at")
  $file.SetLength(0)
  $file.Write($line, 0, $line.Length)
  $file.Flush()
}

# Show has msg show the text. It reads it from its standard input, as Microsoft documents; in which code page, nobody does. The
# one here is that of Windows's other commands: what it lacks becomes a question mark. msg takes less than 256 characters
# (Ansible's win_msg): of a longer text it gets the beginning and the last line, which has the time.
function Show($seconds) {
  $message = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($text))
  $end = "`n`n" + ($message -split "`n")[-1]
  if ($message.Length -gt 255 -and $end.Length -lt 200) { $message = $message.Substring(0, 252 - $end.Length) + '...' + $end }
  $page = [Text.Encoding]::GetEncoding([Globalization.CultureInfo]::CurrentCulture.TextInfo.OEMCodePage)
  if (-not $msg) { throw 'there is no msg.exe' }
  $said = Run $msg "console /time:$seconds" $page.GetBytes($message)
  if ($said.Code) { throw "msg: $($said.Words)" }
}

# Notify gives the result, or throws the reason.
function Notify($asked) {
  if (Over $voidAfter) { throw 'the notice is void' }
  $left = [long]$closeAt - [long][Math]::Floor(([DateTime]::UtcNow.Ticks - $epoch) / 10000000)
  if ($cancel) { $left = 3600 } elseif ($left -lt 1) { throw 'its time to close has come' }
  $session = Read $asked
  if ($session.Order -lt 1) { throw 'no ID for dcv' }
  InTime 40000
  $listed = List
  if (-not $listed.ContainsKey($session.Id)) { throw 'no such session' }
  $at = $listed[$session.Id]
  if ($at -lt 0 -or -not (Same $at $session)) { throw 'another session has its ID by now' }
  InTime 40000
  $people = $cancel -or (Ask ('list-connections "' + $session.Id + '" -j') '[]').Count
  InTime 40000
  $file = Record $session.Id
  try {
    $order, $shown, $mark, $created = (New-Object IO.StreamReader $file).ReadToEnd() -split ' '
    if (-not $created) { $order = 0; $shown = 0; $mark = 0; $created = 0 }
    if ([long]$order -gt $session.Order) { throw 'a newer notice was here before' }
    if ([long]$created -ne $at) { $mark = 0 }
    if ([long]$order -eq $session.Order -and $shown -eq 1) { if ($cancel) { return 'told' }; return 'warned' }
    $warned = $mark -eq 1
    if ($cancel -or -not $people) { $mark = 0 }
    Keep $file $session.Order 0 $mark $at
    if (-not $people) { return 'nobody' }
    if ($cancel -and -not $warned) { return 'nothing' }
    Show $left
    if ($cancel) { Keep $file $session.Order 1 0 $at; return 'told' }
    Keep $file $session.Order 1 1 $at
    'warned'
  } finally { $file.Close() }
}
foreach ($asked in Own) {
  $why = ''
  try { $result = Notify $asked; if ($result -cin 'warned', 'told') { $why = 'msg' } } catch { $result = 'failed'; $why = $_ }
  Say $asked $result $why
}
exit 0
