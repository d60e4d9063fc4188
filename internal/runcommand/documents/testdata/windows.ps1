# Runs scripts of Windows steps, one after the other: a start of PowerShell takes a second, a script a few hundredths. Each
# line of standard input is a JSON object: script and dir are paths, env the script's variables. Where a script's
# clock is the test's, TEST_CLOCK among them is a file with the time of the next look at it, and TEST_STEP how many seconds later
# each look is than the last. Each line of standard output is a JSON object, too: out and err are what the script printed.
Set-StrictMode -Off
$driverOut = [Console]::Out

# A script waits for what the stand-in does immediately.
function Start-Sleep { }

# What a script whose clock is the test's calls in place of [DateTime]::UtcNow and of a stopwatch.
function Clock { [DateTime]::UnixEpoch.AddSeconds([long][IO.File]::ReadAllText($env:TEST_CLOCK).Trim() - [long]$env:TEST_STEP) }
function Watch {
  $watch = New-Object PSObject -Property @{ Begun = Clock }
  $watch | Add-Member ScriptProperty ElapsedMilliseconds { [long]((Clock) - $this.Begun).TotalMilliseconds }
  $watch
}

# What a script calls in place of WaitForExit where a call of dcv may hang: a file says that it does.
function Ended($process) {
  while (-not $process.WaitForExit(50)) {
    if (Test-Path -LiteralPath $env:TEST_HANGS) { Remove-Item -LiteralPath $env:TEST_HANGS; return $false }
  }
  $true
}

# A scope of its own for each script, and none of the driver's variables in it but these.
function Invoke-Case($driverCase) {
  Set-Location -LiteralPath $driverCase.dir
  [Environment]::CurrentDirectory = $driverCase.dir
  foreach ($driverName in $driverCase.env.Keys) { [Environment]::SetEnvironmentVariable($driverName, $driverCase.env[$driverName]) }
  $driverStdout = New-Object IO.StringWriter; $driverStderr = New-Object IO.StringWriter
  [Console]::SetOut($driverStdout); [Console]::SetError($driverStderr)
  try {
    & $driverCase.script | ForEach-Object { [Console]::Out.WriteLine("$_") }
  } catch {
    [Console]::Error.WriteLine("$_")
  } finally {
    [Console]::SetOut($driverOut)
    foreach ($driverName in $driverCase.env.Keys) {
      if ($driverName -cne 'PATH') { [Environment]::SetEnvironmentVariable($driverName, [NullString]::Value) }
    }
  }
  $driverOut.WriteLine((ConvertTo-Json -Compress @{ out = $driverStdout.ToString(); err = $driverStderr.ToString() }))
}
while ($null -ne ($driverLine = [Console]::In.ReadLine())) { Invoke-Case (ConvertFrom-Json -AsHashtable $driverLine) }
