# Shared by the Windows scripts that show messages. Each script sets $suffix, the end of the names of its records.

$msg = [IO.Path]::Combine([Environment]::SystemDirectory, 'msg.exe')
if (-not [IO.File]::Exists($msg)) { $msg = @(Get-Command msg.exe -Type Application -EA 0)[0].Path }

# Record waits until no other script uses the file of a session, and opens it; meanwhile no other script can. The file has
# ORDER SHOWN MARK CREATED, where SHOWN is 1 if the newest notice was shown. Its folder belongs to the account of this
# script, and only administrators may write there.
function Record($id) {
  $folder = [IO.Path]::Combine([Environment]::GetFolderPath('LocalApplicationData', 'Create'), 'dcv-session-broker')
  $folder = [IO.Directory]::CreateDirectory($folder).FullName
  $hash = [Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::UTF8.GetBytes($id))
  $path = [IO.Path]::Combine($folder, [BitConverter]::ToString($hash) + $suffix)
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

# Text decodes a parameter in base64.
function Text($encoded) { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($encoded)) }

# Show shows a message with msg, which reads it from its standard input, as Microsoft documents. In which code page is not
# documented. The one here is that of the other commands of Windows: a character that it lacks becomes a question mark.
# msg takes less than 256 characters (Ansible's win_msg). Of a longer text it gets the beginning, and the last line, which
# has the time.
function Show($message, $seconds) {
  $end = "`n`n" + ($message -split "`n")[-1]
  if ($message.Length -gt 255 -and $end.Length -lt 200) { $message = $message.Substring(0, 252 - $end.Length) + '...' + $end }
  $page = [Text.Encoding]::GetEncoding([Globalization.CultureInfo]::CurrentCulture.TextInfo.OEMCodePage)
  if (-not $msg) { throw 'there is no msg.exe' }
  $said = Run "console /time:$seconds" $msg $page.GetBytes($message)
  if ($said.Code) { throw "msg: $($said.Words)" }
}
