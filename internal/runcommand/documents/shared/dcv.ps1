# What the Windows scripts of all three documents share. Run Command runs them by Windows PowerShell 5.1, so they have only
# what 5.1 has; the tests run them under PowerShell 7 on Linux, and nobody has yet run them on Windows.
$ErrorActionPreference = 'Stop'
trap { [Console]::Error.WriteLine($_); exit 0 }
$program = 'C:\Program Files\NICE\DCV\Server\bin\dcv.exe'
if (-not [IO.File]::Exists($program)) { $program = @(Get-Command dcv.exe -Type Application -EA 0)[0].Path }

# Dcv runs the command. Its words about a failure have warnings last: one that a locale is not installed, for example, is
# longer than a reason may be, and stands before it. No call lasts longer than 8 s.
function Dcv($arguments) {
  $process = [Diagnostics.Process]::Start((New-Object Diagnostics.ProcessStartInfo -Property @{
    FileName = $program; Arguments = $arguments; UseShellExecute = $false; CreateNoWindow = $true
    RedirectStandardInput = $true; RedirectStandardOutput = $true; RedirectStandardError = $true
    StandardOutputEncoding = [Text.Encoding]::UTF8; StandardErrorEncoding = [Text.Encoding]::UTF8
  }))
  $process.StandardInput.Close()
  $out = $process.StandardOutput.ReadToEndAsync(); $err = $process.StandardError.ReadToEndAsync()
  if (-not ($process.WaitForExit(7000) -and $out.Wait(500) -and $err.Wait(500))) {
    try { $process.Kill() } catch { }
    throw 'dcv took too long'
  }
  $words = "$($err.Result)`n$($out.Result)" -split '\r?\n'; $warning = 'warning|locale|ld[.]so'
  $words = @($words -notmatch $warning) + "(exit $($process.ExitCode))" + @($words -match $warning) -join ' '
  @{ Code = $process.ExitCode; Out = $out.Result.Trim(); Words = $words }
}

# Ask gives the objects of an answer that stands whole between these brackets, or throws why there are none. On its own,
# ConvertFrom-Json takes a list without its last bracket, and 7 takes a list in a list for the list; as the member of an
# object neither passes, and both 5.1 and 7 give it as it is.
function Ask($arguments, $brackets) {
  $answer = Dcv $arguments
  if ($answer.Code) { throw $answer.Words }
  try {
    if ([string]$answer.Out[0] + $answer.Out[-1] -cne $brackets) { throw }
    $all = ConvertFrom-Json ('{"all":' + $answer.Out + '}')
    if (@($all.PSObject.Properties).Count -ne 1) { throw }
    foreach ($object in $all.all) { if ($object -isnot [Management.Automation.PSCustomObject]) { throw } }
  } catch { throw "dcv $(($arguments -split ' ')[0]): unreadable answer" }
  ,@($all.all)
}

# Printable makes at most 80 harmless characters of what went wrong.
function Printable($why) {
  $why = ("$why" -creplace '[^!#-%\x27-;=?-\[\]-~]+', ' ').Trim()
  $why.Substring(0, [Math]::Min(80, $why.Length))
}
