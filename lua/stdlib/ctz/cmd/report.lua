-- cmd/report.lua: what ctz run --json and ctz eval print at the end. Called from cli_report.c.
-- SPDX-License-Identifier: MIT
local report = {}

local FACTS <const> = {
  "kind", "op", "message", "hint", "target", "at", "status", "code", "exit_code", "stderr", "attempts",
  "retry_after", "retryable", "simulated", "traceback",
}
local CAUSE_DEPTH <const> = 8 -- a chain may be a cycle made by hand

local function is_error(value)
  return type(value) == "table"
    and type(rawget(value, "kind")) == "string"
    and type(rawget(value, "message")) == "string"
end

local function facts(err, depth)
  local data = {}
  for _, name in ipairs(FACTS) do
    local value = rawget(err, name)
    if type(value) == "string" or type(value) == "number" or type(value) == "boolean" then
      data[name] = value
    end
  end
  if depth > 0 and is_error(rawget(err, "cause")) then
    data.cause = facts(err.cause, depth - 1)
  end
  if depth > 0 and type(rawget(err, "others")) == "table" then
    data.others = {}
    for i, other in ipairs(err.others) do
      data.others[i] = is_error(other) and facts(other, depth - 1) or { message = tostring(other) }
    end
  end
  return data
end

-- The line of JSON for an error value whose text is `text`.
function report.failure(err, text)
  local json = require "ctz.json"
  local data = is_error(err) and facts(err, CAUSE_DEPTH) or { message = text }
  local simulated = require("ctz.core.host").mode().simulate or nil
  return json.encode { error = data, simulated = simulated } .. "\n"
end

-- The line of JSON for what the recipe returned.
function report.result(value)
  local json = require "ctz.json"
  if value == nil then
    value = json.null
  end
  return json.encode(value) .. "\n"
end

-- What ctz eval prints: nothing for no value, texts as they are.
function report.shown(value, has_value)
  if not has_value then
    return ""
  elseif type(value) ~= "table" then
    return tostring(value) .. "\n"
  end
  return require "ctz.inspect"(value) .. "\n"
end

return report
