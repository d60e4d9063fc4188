# Shared by the Windows scripts of all four documents. Run Command runs them with Windows PowerShell 5.1, so they use only
# what 5.1 has. The tests run them with PowerShell 7 on Linux; nobody has yet run them on Windows.
$ErrorActionPreference = 'Stop'
trap { [Console]::Error.WriteLine($_); exit 0 }
$watch = [Diagnostics.Stopwatch]::StartNew()
$none = 'There are no sessions available.'; $whyBlank = 'dcv list-sessions: blank answer'
$program = 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe'
if (-not [IO.File]::Exists($program)) { $program = @(Get-Command dcv.exe -Type Application -EA 0)[0].Path }

# InTime throws if the script has run for so many milliseconds. Systems Manager cuts the step off at 60 seconds: no close
# begins after 40, and no call of dcv after 49.
function InTime($limit) { if ($watch.ElapsedMilliseconds -ge $limit) { throw 'no time left' } }

# Run runs dcv, or another program with these bytes as its standard input. In Words, warnings are last: a program prints
# them first, and one (that a locale is not installed, for example) is longer than a reason may be. A program that ends
# without reading its input says why itself. No call lasts longer than 8 s.
function Run($arguments, $file = $program, $stdin) {
  InTime 49000
  $process = [Diagnostics.Process]::Start((New-Object Diagnostics.ProcessStartInfo $file, $arguments -Property @{
    UseShellExecute = $false; CreateNoWindow = $true
    RedirectStandardInput = $true; RedirectStandardOutput = $true; RedirectStandardError = $true
    StandardOutputEncoding = [Text.Encoding]::UTF8; StandardErrorEncoding = [Text.Encoding]::UTF8
  }))
  try {
    if ($stdin) { $process.StandardInput.BaseStream.Write($stdin, 0, $stdin.Length) }
    $process.StandardInput.Close()
  } catch { }
  $out = $process.StandardOutput.ReadToEndAsync(); $err = $process.StandardError.ReadToEndAsync()
  if (-not ($process.WaitForExit(7000) -and $out.Wait(500) -and $err.Wait(500))) {
    try { $process.Kill() } catch { }
    throw [IO.Path]::GetFileNameWithoutExtension($file) + ' took too long'
  }
  $words = "$($err.Result)`n$($out.Result)" -split '\r?\n'; $warning = 'warning|locale|ld[.]so'
  $words = @($words -notmatch $warning) + "(exit $($process.ExitCode))" + @($words -match $warning) -join ' '
  @{ Code = $process.ExitCode; Out = $out.Result.Trim(); Words = $words }
}

# Query returns the answer of dcv, or throws why there is none.
function Query($arguments) {
  $answer = Run $arguments
  if ($answer.Code) { throw $answer.Words }
  $script:blank = -not $answer.Out
  $answer.Out
}

# Ask returns the objects of a complete answer between these brackets, or throws why there are none. On its own,
# ConvertFrom-Json accepts a list without its last bracket, and that of PowerShell 7 reads a list in a list as the list.
# As a member of an object, the first is refused, and both 5.1 and 7 return the second unchanged.
#
# Instead of a list of sessions, dcv may print a sentence or nothing. After nothing it is asked again without -j: dcv.awk
# says why.
function Ask($arguments, $brackets) {
  $out = Query $arguments
  if ($brackets -ceq '[]' -and ($blank -or $out -ceq $none)) {
    if ($blank -and $arguments -clike 'list-s*') {
      $out = Query list-sessions
      if ($out -and $out -cne $none) { throw $whyBlank }
    }
    return ,@()
  }
  try {
    if (-join $out[0, -1] -cne $brackets) { throw }
    $all = ConvertFrom-Json ('{"all":' + $out + '}')
    if (@($all.PSObject.Properties).Count -ne 1) { throw }
    foreach ($object in $all.all) { if ($object -isnot [Management.Automation.PSCustomObject]) { throw } }
  } catch { throw "dcv $(($arguments -split ' ')[0]): unreadable answer" }
  ,@($all.all)
}

# Gone throws why a session that the list lacks may still be there: after a blank list, dcv must fail to describe the
# session.
function Gone($id) {
  if (-not $blank) { return }
  $answer = Run ('describe-session "' + $id + '" -j')
  if (-not $answer.Code) { throw $whyBlank }
  if ($answer.Code -notin 1..123) { throw $answer.Words }
}

# Printable reduces the text of a failure to at most 80 harmless characters.
function Printable($why) {
  $why = ("$why" -creplace '[^!#-%\x27-;=?-\[\]-~]+', ' ').Trim()
  $why.Substring(0, [Math]::Min(80, $why.Length))
}
