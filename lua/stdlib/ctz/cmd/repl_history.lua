-- cmd/repl_history.lua: what was typed at the prompt of ctz repl, for the next session.
-- SPDX-License-Identifier: MIT
--
-- One line of the file is one input; line ends and backslashes in it are escaped. Each is appended as
-- soon as it was evaluated, so that sessions share the file and a killed one loses nothing.
local ctz = require "ctz"
local core = require "ctz.core.repl"

local history = {}
history.__index = history

local ESCAPES <const> = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r" }
local CHARACTERS <const> = { n = "\n", r = "\r", ["\\"] = "\\" }

local function state_folder()
  local state = ctz.env.XDG_STATE_HOME
  if state and state:sub(1, 1) == "/" then
    return state
  end
  local home = ctz.env.HOME
  return home and home:sub(1, 1) == "/" and home .. "/.local/state" or nil
end

-- A secret that is made of a text right here: it may never have become known, as in a line that failed
-- before it got there.
local function spells_secret(source)
  return source:find "secret%s*%(?%s*[\"'%[]" ~= nil
end

-- The history for a session of the door; what it keeps is read into it.
function history.open(session)
  local self = setmetatable({ session = session }, history)
  local folder = state_folder()
  self.path = folder and folder .. "/ctz/history"
  local text = self:guard(function()
    ctz.fs.mkdir(folder .. "/ctz", { parents = true, mode = "0700" })
    return core.load(self.path)
  end)
  for line in (text or ""):gmatch "[^\n]+" do
    self.last = line:gsub("\\(.)", CHARACTERS)
    session:remember(self.last)
  end
  return self
end

-- What cannot be kept is no reason to stop: it is said once.
function history:guard(fn)
  if not self.path then
    return nil
  end
  local result, err = ctz.try(fn)
  if err then
    self.path = nil
    io.stderr:write("the history is not kept: ", tostring(err.message or err), "\n")
  end
  return result
end

-- Keeps an input that was evaluated. One that holds the value of a secret stays in memory only.
function history:add(source)
  if source == self.last or not source:find "%S" then
    return
  end
  self.last = source
  self.session:remember(source)
  if core.masks(source) or spells_secret(source) then
    return
  end
  self:guard(function()
    return core.append(self.path, source:gsub("[\\\n\r]", ESCAPES) .. "\n")
  end)
end

return history
