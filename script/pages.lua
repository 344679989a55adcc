-- pages.lua FOLDER: writes the man pages and completion scripts of the ctz that runs it. For the build.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local completion = require "ctz.cmd.completion"
local help = require "ctz.cmd.help"
local pages = require "ctz.cmd.pages"

local root = ...
local commands, common = cli.commands()

local function write(path, text)
  local full = root .. "/" .. path
  assert(os.execute(("mkdir -p '%s'"):format(full:match "^(.*)/")))
  local file = assert(io.open(full, "wb"))
  assert(file:write(text))
  assert(file:close())
end

write("man/man1/ctz.1", pages.man(commands, common, help.exit_codes))
for _, command in ipairs(commands) do
  write(("man/man1/ctz-%s.1"):format(command.name), pages.man(commands, common, help.exit_codes, command))
end
write("bash-completion/completions/ctz", completion.scripts.bash(commands, common))
write("zsh/site-functions/_ctz", completion.scripts.zsh(commands, common))
write("fish/vendor_completions.d/ctz.fish", completion.scripts.fish(commands, common))
