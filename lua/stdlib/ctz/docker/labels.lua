-- docker/labels.lua: the labels that every object of a run carries, so that leftovers can be found.
-- SPDX-License-Identifier: MIT
--
--   ctz.run      random, one for each run
--   ctz.recipe   the recipe's file name, or what ran instead: <eval>, <repl>, <test>
--   ctz.host     the machine, hashed: its machine id, host name and process namespace
--   ctz.pid      the process, with
--   ctz.started  its start (boot, hashed, and clock ticks), which a number used again does not have
--   ctz.object   kind and a random number: what this one object is. A container takes over the labels of
--                its image, and an image those of what it was made from: there the kind, or the number, is
--                another object's.
local core = require "ctz.core.docker"
local hash = require "ctz.hash"
local log = require "ctz.log"

local pairs, pcall, tonumber, tostring, type = pairs, pcall, tonumber, tostring, type

local UNKNOWN <const> = "unknown"
local SIMULATES <const> = require("ctz.core.host").mode().simulate

-- What each label looks like. One that does not is none of ours.
local FORMS <const> = {
  ["ctz.run"] = "^" .. ("%x"):rep(32) .. "$",
  ["ctz.recipe"] = "^.+$",
  ["ctz.host"] = "^" .. ("%x"):rep(32) .. "$",
  ["ctz.pid"] = "^[1-9]%d?%d?%d?%d?%d?%d?%d?%d?$",
  ["ctz.started"] = "^" .. ("%x"):rep(16) .. "%-%d+$",
  ["ctz.object"] = "^%l+%-" .. ("%x"):rep(16) .. "$",
}

local function digest(what, text, digits)
  return hash.sha256("ctz." .. what .. "\0" .. text):sub(1, digits)
end

-- Two machines cloned from one have the same id, and containers of one image too: so the name and the
-- namespace belong to it. Without an id, the machine is another one after each start.
local function host_of(facts)
  local id = facts.machine ~= "" and facts.machine or facts.boot
  return id ~= "" and digest("host", id .. "\0" .. facts.node .. "\0" .. facts.space, 32) or UNKNOWN
end

local function boot_of(facts)
  return digest("boot", facts.boot, 16)
end

local facts

local function our_facts()
  facts = facts or core.facts()
  return facts
end

local run

-- The labels of this run, its record made before the first object is.
local function of_run()
  if run then
    return run
  end
  local own = our_facts()
  run = {
    ["ctz.run"] = core.random(16),
    ["ctz.recipe"] = own.recipe,
    ["ctz.host"] = host_of(own),
    ["ctz.pid"] = tostring(own.pid),
    ["ctz.started"] = own.start > 0 and own.boot ~= "" and boot_of(own) .. "-" .. own.start or UNKNOWN,
  }
  local ok, err = SIMULATES, nil
  if not SIMULATES then -- it leaves nothing
    ok, err = pcall(core.begin_record, run["ctz.run"])
  end
  if not ok then
    log.debug("this run has no record, so `ctz gc` will not find what it leaves", { reason = tostring(err) })
  end
  return run
end

local labels = {}

-- labels.merge("network", {name = "value"}) -> a table of labels for a new object. Those of ctz go first.
-- kind: container, network, volume, image.
function labels.merge(kind, own)
  local all = {}
  for name, value in pairs(type(own) == "table" and own or {}) do
    all[name] = value
  end
  for name, value in pairs(of_run()) do
    all[name] = value
  end
  all["ctz.object"] = kind .. "-" .. core.random(8)
  return all
end

-- labels.read(kind, labels) -> {run=, recipe=, host=, pid=, started=, object=}; nil when they are not, or
-- not all, or not for an object of this kind.
function labels.read(kind, given)
  local mark = {}
  for name, form in pairs(FORMS) do
    local value = type(given) == "table" and given[name]
    if type(value) ~= "string" or not value:find(form) then
      return nil
    end
    mark[name:sub(5)] = value
  end
  return mark.object:match "^%l+" == kind and mark or nil
end

-- The machine that this process runs on, as its label.
function labels.host()
  return host_of(our_facts())
end

-- labels.fate(mark) of a run of this machine -> "alive"; "died": it failed or was killed; "ended": it
-- ended well, or left no record.
function labels.fate(mark)
  local boot, start = mark.started:match "^(%x+)%-(%d+)$"
  local record = core.look_record(mark.run)
  local same_boot = boot == boot_of(our_facts())
  if record == "held" or same_boot and core.lives(tonumber(mark.pid), tonumber(start)) then
    return "alive"
  end
  return record == "free" and "died" or "ended"
end

return labels
