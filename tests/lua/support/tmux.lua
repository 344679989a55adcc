-- tmux.lua: a real terminal for specs: what a program shows, and keys typed at it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"

local tmux = { is_there = os.execute "command -v tmux >/dev/null 2>&1" }

local PATIENCE_S <const> = 20

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local Terminal = {}
Terminal.__index = Terminal

function Terminal:tmux(words)
  local result = program.shell(("tmux -u -S %s %s"):format(quote(self.folder .. "/socket"), words))
  assert(result.code == 0, result.err)
  return result.out
end

-- tmux.open("ctz repl", {columns=80, rows=24, environment="A=1"}): the line of shell on a terminal of
-- its own, in an empty folder that is also its home. Close it with <close>.
function tmux.open(command, opts)
  opts = opts or {}
  local self = setmetatable({ folder = program.folder() }, Terminal)
  program.write(self.folder .. "/tmux.conf", [[
    set -g status off
    set -g escape-time 10
    set -g default-terminal screen-256color
    set -g history-limit 5000]])
  local line = table.concat({
    "cd " .. quote(self.folder),
    "export HOME=$PWD LC_ALL=C.UTF-8 XDG_STATE_HOME=$PWD/state " .. (opts.environment or ""),
    "unset NO_COLOR",
    command,
    "echo exit=$?",
    "exec sleep 1000",
  }, "; ")
  self:tmux(("-f %s/tmux.conf new-session -d -x %d -y %d %s"):format(self.folder, opts.columns or 80, opts.rows or 24,
    quote("exec bash --norc -c " .. quote(line))))
  return self
end

-- The lines of the screen, without what is empty at its end.
function Terminal:screen(opts)
  local from = opts and opts.history and "-S -" or ""
  return (self:tmux("capture-pane -p " .. from):gsub("%s+$", "\n"))
end

-- Types keys by tmux's names: "Enter", "C-c", "Tab".
function Terminal:keys(...)
  local words = {}
  for i, key in ipairs { ... } do
    words[i] = quote(key)
  end
  self:tmux("send-keys " .. table.concat(words, " "))
end

-- Types text as it is.
function Terminal:type(text)
  self:tmux("send-keys -l -- " .. quote(text))
end

function Terminal:line(text)
  self:type(text)
  self:keys "Enter"
end

-- Pastes text at once, as a terminal does.
function Terminal:paste(text, opts)
  program.write(self.folder .. "/paste", text)
  self:tmux(("load-buffer %s/paste"):format(self.folder))
  self:tmux("paste-buffer " .. (opts and opts.bracketed and "-p -r" or "-r"))
end

function Terminal:resize(columns, rows)
  self:tmux(("resize-window -x %d -y %d"):format(columns, rows))
end

-- Waits until seen(screen) is true, or the pattern (or plain text) stands on the screen; returns it.
function Terminal:wait(expected, opts)
  local screen
  for _ = 1, PATIENCE_S * 50 do
    screen = self:screen(opts)
    local found
    if type(expected) == "function" then
      found = expected(screen)
    else
      found = screen:find(expected, 1, not (opts and opts.pattern))
    end
    if found then
      return screen
    end
    ctz.sleep(0.02)
  end
  error(("never seen: %s\non the screen:\n%s"):format(expected, screen), 2)
end

function Terminal:__close()
  program.shell(("tmux -S %s kill-server"):format(quote(self.folder .. "/socket")))
  program.remove(self.folder)
end

return tmux
