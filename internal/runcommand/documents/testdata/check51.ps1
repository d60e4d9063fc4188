# For each line of standard input, a script as a JSON string, prints a JSON list of what Windows PowerShell 5.1 does not
# take in it: what no parser takes, the syntax of later versions, and commands and parameters that are not on this list of
# what 5.1 has. Methods of .NET are not looked up.
$commands = @{
  'ConvertFrom-Json' = @(); 'ForEach-Object' = @(); 'Get-Command' = @('Type', 'EA'); 'New-Object' = @('Property')
  'Start-Sleep' = @(); 'Where-Object' = @()
}
function Tell($node, $what) { "line $($node.StartLineNumber): $what`: $(($node.Text -split "`n")[0])" }
function Faults($text) {
  $errors = $null
  $tree = [Management.Automation.Language.Parser]::ParseInput($text, [ref]$null, [ref]$errors)
  $errors | ForEach-Object { Tell $_.Extent 'syntax' }
  $own = $tree.FindAll({ $args[0] -is [Management.Automation.Language.FunctionDefinitionAst] }, $true).Name
  $tree.FindAll({ $true }, $true) | ForEach-Object {
    $node = $_
    switch ($node.GetType().Name) {
      'TernaryExpressionAst' { Tell $node.Extent 'PowerShell 7 only' }
      'PipelineChainAst' { Tell $node.Extent 'PowerShell 7 only' }
      'BinaryExpressionAst' {
        if ("$($node.Operator)" -like 'QuestionQuestion*') { Tell $node.Extent 'PowerShell 7 only' }
        $pair = "$($node.Operator) $($node.Left.Operator)"
        if ($pair -eq 'And Or' -or $pair -eq 'Or And') { Tell $node.Extent '-and and -or without brackets' }
      }
      'AssignmentStatementAst' { if ("$($node.Operator)" -like 'QuestionQuestion*') { Tell $node.Extent 'PowerShell 7 only' } }
      'PipelineAst' { if ($node.Background) { Tell $node.Extent 'PowerShell 7 only' } }
      'MemberExpressionAst' { if ($node.NullConditional) { Tell $node.Extent 'PowerShell 7 only' } }
      'InvokeMemberExpressionAst' {
        if ($node.NullConditional -or $node.GenericTypeArguments) { Tell $node.Extent 'PowerShell 7 only' }
        if ($node.Arguments -and $node.Arguments.Where({ $_ -is [Management.Automation.Language.ScriptBlockExpressionAst] })) {
          Tell $node.Extent 'a script block that is compiled at each call'
        }
      }
      'IndexExpressionAst' { if ($node.NullConditional) { Tell $node.Extent 'PowerShell 7 only' } }
      'FunctionDefinitionAst' { if ($node.Body.CleanBlock) { Tell $node.Extent 'PowerShell 7 only' } }
      'CommandAst' {
        $name = $node.GetCommandName()
        if ($name -and $own -contains $name) { break }
        if (-not $name -or -not $commands.ContainsKey($name)) { Tell $node.Extent 'a command that is not known to be in 5.1'; break }
        foreach ($element in $node.CommandElements) {
          if ($element -is [Management.Automation.Language.CommandParameterAst] -and $commands[$name] -notcontains $element.ParameterName) {
            Tell $element.Extent "a parameter of $name that is not known to be in 5.1"
          }
        }
      }
    }
  }
}
while ($null -ne ($line = [Console]::In.ReadLine())) {
  [Console]::Out.WriteLine((ConvertTo-Json -Compress @(Faults (ConvertFrom-Json $line))))
}
