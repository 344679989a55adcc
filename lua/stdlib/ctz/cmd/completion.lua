-- cmd/completion.lua: ctz completion bash|zsh|fish: scripts made from the table of commands.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local host = require "ctz.core.host"

local shells = {}

local function choices(option)
  return option.type == "choice" and option.value:gsub("|", " ") or nil
end

-- The options of a command and the common ones.
local function all_options(command, common)
  local list = table.move(command.options, 1, #command.options, 1, {})
  return table.move(common, 1, #common, #list + 1, list)
end

local function names_of(list)
  local names = {}
  for i, item in ipairs(list) do
    names[i] = item.name
  end
  return names
end

-- --- bash ------------------------------------------------------------------------------------------

local BASH <const> = [=[
# bash completion of ctz. Made by: ctz completion bash
_ctz() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= i
    # "=" is a word of its own to bash
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            @COMMANDS@) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()
    case $command:$prev in
@VALUES@
    esac
    case $command:$cur in
@WORDS@
    esac
}
_ctz_files() {
    compopt -o filenames 2>/dev/null
    local IFS=$'\n'
    COMPREPLY=($(compgen -f -X "!*$2" -- "$1") $(compgen -d -- "$1"))
}
complete -F _ctz ctz
]=]

local function bash_list(words)
  return ("COMPREPLY=($(compgen -W '%s' -- \"$cur\"))"):format(words)
end

local function bash_values(commands, common)
  local lines = {}
  local function add(prefix, option)
    local pattern = ("%s:--%s"):format(prefix, option.name)
    if option.letter then
      pattern = pattern .. ("|%s:-%s"):format(prefix, option.letter)
    end
    local list = choices(option)
    if list then
      lines[#lines + 1] = ("        %s) %s; return ;;"):format(pattern, bash_list(list))
    elseif option.value then
      lines[#lines + 1] = ("        %s) return ;;"):format(pattern)
    end
  end
  for _, command in ipairs(commands) do
    for _, option in ipairs(command.options) do
      add(command.name, option)
    end
  end
  for _, option in ipairs(common) do
    add("*", option)
  end
  return table.concat(lines, "\n")
end

local bash_words = {
  none = ":",
  recipe = "_ctz_files \"$cur\" .lua",
  file = "_ctz_files \"$cur\" .lua",
  folder = "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\"))",
  name = "COMPREPLY=($(compgen -W \"$(ctz doc --list 2>/dev/null)\" -- \"$cur\"))",
  shell = "COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\"))",
  code = ":",
}

local function option_words(options)
  local words = {}
  for i, option in ipairs(options) do
    words[i] = "--" .. option.name
  end
  return table.concat(words, " ")
end

function shells.bash(commands, common)
  local names, lines = names_of(commands), {}
  local function add(pattern, reply)
    lines[#lines + 1] = ("        %s) %s ;;"):format(pattern, reply)
  end
  local any_command = bash_list(table.concat(names, " "))
  for _, command in ipairs(commands) do
    add(command.name .. ":-*", bash_list(option_words(all_options(command, common))))
    add(command.name .. ":*", bash_words[command.words] or any_command)
  end
  add(":-*", bash_list(option_words(common) .. " --version"))
  add(":*", any_command)
  local parts = {
    COMMANDS = table.concat(names, "|"),
    VALUES = bash_values(commands, common),
    WORDS = table.concat(lines, "\n"),
  }
  return (BASH:gsub("@(%u+)@", parts))
end

-- --- zsh -------------------------------------------------------------------------------------------

local ZSH <const> = [=[
#compdef ctz
# zsh completion of ctz. Made by: ctz completion zsh
_ctz() {
    local -a commands=(
@COMMANDS@
    )
    local context state state_descr line
    typeset -A opt_args
    _arguments -C @COMMON@ '1: :->command' '*:: :->words'
    case $state in
        command) _describe -t commands command commands ;;
        words)
            case $words[1] in
@WORDS@
            esac
            ;;
    esac
}
if [ "$funcstack[1]" = _ctz ]; then
    _ctz "$@"
else
    compdef _ctz ctz
fi
]=]

local zsh_words = {
  none = "",
  recipe = "'1: :_files -g \"*.lua\"' '*: :_files'",
  file = "'*: :_files'",
  folder = "'1: :_files -/'",
  name = "'1: :( $(ctz doc --list 2>/dev/null) )'",
  shell = "'1: :(bash zsh fish)'",
  code = "",
}

-- Within single quotes; brackets and colons part the fields of _arguments.
local function zsh_text(text)
  return (text:gsub("'", "'\\''"):gsub("[%[%]:]", "\\%0"))
end

local function zsh_options(options)
  local words = {}
  for _, option in ipairs(options) do
    local value = ""
    if option.value then
      local list = choices(option)
      value = (":%s:%s"):format(zsh_text(option.value), list and "(" .. list .. ")" or " ")
    end
    local help = zsh_text(option.help)
    if option.letter then
      words[#words + 1] = ("'-%s[%s]%s'"):format(option.letter, help, value)
    end
    local equals = option.value and "=" or ""
    words[#words + 1] = ("'*--%s%s[%s]%s'"):format(option.name, equals, help, value)
  end
  return table.concat(words, " ")
end

function shells.zsh(commands, common)
  local list, cases = {}, {}
  for i, command in ipairs(commands) do
    list[i] = ("        '%s:%s'"):format(command.name, zsh_text(command.summary))
    local words = zsh_words[command.words] or ("'1: :(%s)'"):format(table.concat(names_of(commands), " "))
    cases[i] = ("                %s) _arguments %s %s ;;"):format(command.name,
      zsh_options(all_options(command, common)), words)
  end
  local parts = {
    COMMANDS = table.concat(list, "\n"),
    COMMON = zsh_options(common) .. " '--version[print the version]'",
    WORDS = table.concat(cases, "\n"),
  }
  return (ZSH:gsub("@(%u+)@", parts))
end

-- --- fish ------------------------------------------------------------------------------------------

local function fish_text(text)
  return "'" .. text:gsub("[\\']", "\\%0") .. "'"
end

local fish_words = {
  recipe = "-k -a '(__fish_complete_suffix .lua)'",
  file = "-F",
  folder = "-x -a '(__fish_complete_directories)'",
  name = "-x -a '(ctz doc --list 2>/dev/null)'",
  shell = "-x -a 'bash zsh fish'",
}

local function fish_option(condition, option)
  local letter = option.letter and " -s " .. option.letter or ""
  local list = choices(option)
  local value = list and (" -x -a '%s'"):format(list) or option.value and " -x" or ""
  return ("complete -c ctz %s%s -l %s%s -d %s"):format(condition, letter, option.name, value, fish_text(option.help))
end

function shells.fish(commands, common)
  local names = table.concat(names_of(commands), " ")
  local out = {
    "# fish completion of ctz. Made by: ctz completion fish",
    "set -g __ctz_commands " .. names,
    "complete -c ctz -f",
  }
  local none = '-n "not __fish_seen_subcommand_from $__ctz_commands"'
  for _, command in ipairs(commands) do
    out[#out + 1] = ("complete -c ctz %s -a %s -d %s"):format(none, command.name, fish_text(command.summary))
  end
  for _, option in ipairs(common) do
    out[#out + 1] = fish_option("", option)
  end
  for _, command in ipairs(commands) do
    local condition = ("-n '__fish_seen_subcommand_from %s'"):format(command.name)
    for _, option in ipairs(command.options) do
      out[#out + 1] = fish_option(condition, option)
    end
    local words = command.words == "command" and ("-x -a '%s'"):format(names) or fish_words[command.words]
    if words then
      out[#out + 1] = ("complete -c ctz %s %s"):format(condition, words)
    end
  end
  return table.concat(out, "\n") .. "\n"
end

local function run(_, words)
  local make = shells[words[1]]
  if not make then
    local near = host.nearest(words[1], { "bash", "zsh", "fish" })
    io.stderr:write(
      ("ctz completion: no script for the shell \"%s\"; there are bash, zsh and fish%s\n"):format(words[1],
        near and (' (did you mean "%s"?)'):format(near) or "")
    )
    return 2
  end
  io.write(make(cli.commands()))
  return 0
end

return { run = run, scripts = shells }
