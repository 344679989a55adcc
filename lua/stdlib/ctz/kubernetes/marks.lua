-- kubernetes/marks.lua: the labels of ctz's runs on objects of a cluster, where they are asked for.
-- SPDX-License-Identifier: MIT
--
-- ctz.run, ctz.recipe, ctz.host, ctz.pid and ctz.started are those of ctz.docker's objects (docker/labels.lua): what a
-- run has made is found by `-l ctz.run=...`, on engines and in clusters.
local pairs, require, type = pairs, require, type

local VALUE <const> = 63 -- characters of a label's value

-- "my recipe.lua", "<eval>" as the API takes them
local function value_of(text)
  return (text:gsub("[^%w._-]", "-"):gsub("^[^%w]+", ""):sub(1, VALUE):gsub("[^%w]+$", ""))
end

-- add(labels | nil) -> a new table: these labels, and those of this run.
local function add(labels)
  local marks, all = require("ctz.docker.labels").merge("object"), {}
  marks["ctz.object"] = nil -- objects of a cluster have a uid
  for name, value in pairs(type(labels) == "table" and labels or {}) do
    all[name] = value
  end
  for name, value in pairs(marks) do
    all[name] = value_of(value)
  end
  return all
end

local function copy_of(value)
  local copy = {}
  for key, one in pairs(value) do
    copy[key] = one
  end
  return copy
end

-- marked(object) -> a copy of the object that has them.
local function marked(object)
  local copy = copy_of(object)
  copy.metadata = copy_of(object.metadata)
  copy.metadata.labels = add(object.metadata.labels)
  return copy
end

return { add = add, marked = marked }
