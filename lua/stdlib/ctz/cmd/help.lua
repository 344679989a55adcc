-- cmd/help.lua: ctz help: the table of commands as text; man pages and Markdown are in pages.lua.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local host = require "ctz.core.host"

local WIDTH <const> = 80
local COLUMN <const> = 28 -- where the text of an option begins

local EXIT_CODES <const> = {
  { 0, "all went well" },
  { 1, "the recipe failed" },
  { 2, "the command line or a parameter is wrong" },
  { 3, "a gate or policy of the recipe failed (ctz.fail)" },
  { 4, "the recipe does not load" },
  { 69, "a service is not available" },
  { 70, "a bug of ctz" },
  { 124, "--timeout ended the run" },
  { 130, "Ctrl-C ended the run" },
  { 141, "nobody read the output any more" },
  { 143, "SIGTERM or SIGHUP ended the run" },
}

-- Lines of at most WIDTH columns, each after the first begins with indent.
local function wrap(text, indent, first)
  local lines, line = {}, first or indent
  local is_empty = true
  for word in text:gmatch("%S+") do
    if not is_empty and #line + 1 + #word > WIDTH then
      lines[#lines + 1] = line
      line, is_empty = indent, true
    end
    line = line .. (is_empty and "" or " ") .. word
    is_empty = false
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- "  -t, --timeout S" and its help beside or below it.
local function option_text(option)
  local letter = option.letter and ("-%s, "):format(option.letter) or "    "
  local left = ("  %s--%s%s"):format(letter, option.name, option.value and " " .. option.value or "")
  local indent = (" "):rep(COLUMN)
  if #left + 2 > COLUMN then
    return left .. "\n" .. wrap(option.help, indent)
  end
  return wrap(option.help, indent, left .. (" "):rep(COLUMN - #left))
end

local function add_options(out, title, options)
  if #options == 0 then
    return
  end
  out[#out + 1] = "\n" .. title
  for _, option in ipairs(options) do
    out[#out + 1] = option_text(option)
  end
end

local function split_busted(options)
  local own, passed = {}, {}
  for _, option in ipairs(options) do
    local list = option.passed_on and passed or own
    list[#list + 1] = option
  end
  return own, passed
end

local function page_of(command, common)
  local out = {
    ("ctz %s: %s\n"):format(command.name, command.summary),
    wrap(("usage: ctz %s [options] %s"):format(command.name, command.arguments), "    ", ""),
  }
  for paragraph in (command.text .. "\n\n"):gmatch("(.-)\n\n") do
    out[#out + 1] = "\n" .. wrap(paragraph, "")
  end
  local own, passed = split_busted(command.options)
  add_options(out, "options:", own)
  add_options(out, "options of busted:", passed)
  add_options(out, "options of every command:", common)
  if #command.examples > 0 then
    out[#out + 1] = "\nexamples:"
    for _, example in ipairs(command.examples) do
      out[#out + 1] = ("  %s\n%s"):format(example.line, wrap(example.text, "      "))
    end
  end
  if command.words == "recipe" then
    out[#out + 1] = "\nexit codes:"
    for _, code in ipairs(EXIT_CODES) do
      out[#out + 1] = ("  %3d  %s"):format(code[1], code[2])
    end
  end
  return table.concat(out, "\n") .. "\n"
end

local function overview(commands, common)
  local out = {
    ("ctz %s: build, scan, ship and deploy containers with Lua recipes\n"):format(host.version),
    "usage: ctz COMMAND [options] ...\n",
  }
  for _, command in ipairs(commands) do
    out[#out + 1] = ("  %-12s%s"):format(command.name, command.summary)
  end
  add_options(out, "options of every command:", common)
  out[#out + 1] = "\nctz help COMMAND shows all about one command; ctz doc NAME, about a function.\n"
  return table.concat(out, "\n")
end

local function find(commands, name)
  local names = {}
  for i, command in ipairs(commands) do
    names[i] = command.name
    if command.name == name then
      return command
    end
  end
  local near = host.nearest(name, names)
  io.stderr:write(
    ("ctz help: no command is called \"%s\"%s\n"):format(name, near and (": did you mean \"%s\"?"):format(near) or "")
  )
end

local function run(options, words)
  local commands, common = cli.commands()
  local name = options.help and cli.command() or words[1]
  if options.help and cli.command() == "help" then
    name = words[1]
  end
  local command = name and find(commands, name)
  if name and not command then
    return 2
  end
  if options.json then
    print(require("ctz.json").encode(command or { commands = commands, options = common }))
  elseif options.format == "man" or options.format == "markdown" then
    io.write(require("ctz.cmd.pages")[options.format](commands, common, EXIT_CODES, command))
  else
    io.write(command and page_of(command, common) or overview(commands, common))
  end
  return 0
end

return { run = run, exit_codes = EXIT_CODES }
