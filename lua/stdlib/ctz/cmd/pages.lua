-- cmd/pages.lua: the table of commands as man pages and as Markdown.
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"

local pages = {}

-- --- man -----------------------------------------------------------------------------------------

local function roff(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("'", "\\(aq"):gsub("`", "\\(ga"):gsub("~", "\\(ti")
  return (text:gsub("\n%.", "\n\\&."):gsub("^%.", "\\&."))
end

local function add(out, format, ...)
  out[#out + 1] = format:format(...)
end

local function man_options(out, title, options)
  if #options == 0 then
    return
  end
  add(out, ".SH %s", title)
  for _, option in ipairs(options) do
    local letter = option.letter and ("\\fB\\-%s\\fR, "):format(option.letter) or ""
    local value = option.value and (" \\fI%s\\fR"):format(roff(option.value)) or ""
    add(out, ".TP\n%s\\fB\\-\\-%s\\fR%s\n%s", letter, roff(option.name), value, roff(option.help))
  end
end

local function man_exit_codes(out, codes)
  add(out, ".SH EXIT STATUS")
  for _, code in ipairs(codes) do
    add(out, ".TP\n.B %d\n%s", code[1], roff(code[2]))
  end
end

local function man_environment(out)
  add(out, ".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nno colours, when it is set and not empty")
  add(out, ".TP\n.B LUA_PATH_5_4\nwhere modules are looked for after the recipe's folder and its lua_modules")
  add(out, ".TP\n.B XDG_STATE_HOME\nwhere the history of ctz repl is kept, in ctz/history")
end

local function man_command(command, common, codes)
  local out = {}
  add(out, '.TH CTZ\\-%s 1 "" "ctz %s" "ctz manual"', roff(command.name:upper()), host.version)
  add(out, ".SH NAME\nctz\\-%s \\- %s", roff(command.name), roff(command.summary))
  add(out, ".SH SYNOPSIS\n.B ctz %s\n[options] %s", roff(command.name), roff(command.arguments))
  add(out, ".SH DESCRIPTION\n%s", roff(command.text):gsub("\n\n", "\n.PP\n"))
  man_options(out, "OPTIONS", command.options)
  man_options(out, "OPTIONS OF EVERY COMMAND", common)
  if #command.examples > 0 then
    add(out, ".SH EXAMPLES")
    for _, example in ipairs(command.examples) do
      add(out, ".TP\n.B %s\n%s", roff(example.line), roff(example.text))
    end
  end
  if command.words == "recipe" then
    man_exit_codes(out, codes)
  end
  add(out, ".SH SEE ALSO\n.BR ctz (1)")
  return table.concat(out, "\n") .. "\n"
end

local function man_overview(commands, common, codes)
  local out = {}
  add(out, '.TH CTZ 1 "" "ctz %s" "ctz manual"', host.version)
  add(out, ".SH NAME\nctz \\- build, scan, ship and deploy containers with Lua recipes")
  add(out, ".SH SYNOPSIS\n.B ctz\n.I COMMAND\n[options] ...")
  add(out, ".SH DESCRIPTION\nRuns Lua recipes. Without a command, on a terminal, it starts the")
  add(out, "interactive mode. The commands are:")
  local names = {}
  for i, command in ipairs(commands) do
    add(out, ".TP\n.BR ctz\\-%s (1)\n%s", roff(command.name), roff(command.summary))
    names[i] = (".BR ctz\\-%s (1)"):format(roff(command.name))
  end
  man_options(out, "OPTIONS", common)
  man_exit_codes(out, codes)
  man_environment(out)
  add(out, ".SH SEE ALSO\n%s", table.concat(names, ",\n"))
  return table.concat(out, "\n") .. "\n"
end

function pages.man(commands, common, codes, command)
  return command and man_command(command, common, codes) or man_overview(commands, common, codes)
end

-- --- Markdown ------------------------------------------------------------------------------------

local function cell(text)
  return (text:gsub("|", "\\|"))
end

local function markdown_options(out, options)
  if #options > 0 then
    add(out, "\n| option | |\n| --- | --- |")
  end
  for _, option in ipairs(options) do
    local letter = option.letter and ("`-%s`, "):format(option.letter) or ""
    local value = option.value and " " .. cell(option.value) or ""
    add(out, "| %s`--%s%s` | %s |", letter, option.name, value, cell(option.help))
  end
end

local function markdown_command(out, command)
  add(out, "\n## ctz %s\n\n%s", command.name, command.text)
  add(out, "\n    %s", ("ctz %s [options] %s"):format(command.name, command.arguments):gsub(" $", ""))
  markdown_options(out, command.options)
  if #command.examples > 0 then
    add(out, "\n```sh")
    for _, example in ipairs(command.examples) do
      add(out, "%s   # %s", example.line, example.text)
    end
    add(out, "```")
  end
end

function pages.markdown(commands, common, codes, command)
  local out = {}
  if command then
    markdown_command(out, command)
    return table.concat(out, "\n"):gsub("^\n", "") .. "\n"
  end
  add(out, "# The commands of ctz\n\nMade by `ctz help --format markdown`.\n\nOptions of every command:")
  markdown_options(out, common)
  for _, each in ipairs(commands) do
    markdown_command(out, each)
  end
  add(out, "\n## Exit codes\n\n| code | |\n| --- | --- |")
  for _, code in ipairs(codes) do
    add(out, "| %d | %s |", code[1], code[2])
  end
  return table.concat(out, "\n") .. "\n"
end

return pages
