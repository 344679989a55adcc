-- docker/build/context.lua: what a build sends: the folder, the Dockerfile, the ignore file.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/command/image/build/context.go; moby/buildkit, frontend/dockerui.
local core = require "ctz.core.context"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local new_error = require("ctz.core.task").error
local path = require "ctz.path"

local error, pcall, type = error, pcall, type
local concat = table.concat

local OP <const> = "docker.build"
local IGNORE <const> = ".dockerignore"
local MODE <const> = 420 -- 0644

local function fail(kind, message, hint, target)
  error(new_error { kind = kind, op = OP, message = message, hint = hint, target = target }, 0)
end

-- Failures of what a build calls are failures of the build.
local function as_build(fn, ...)
  local ok, value = pcall(fn, ...)
  if ok then
    return value
  elseif type(value) == "table" and value.kind then
    value.op = OP
  end
  error(value, 0)
end

-- --- the Dockerfile ----------------------------------------------------------------------------

local function is_file(name)
  local facts = as_build(fs.stat, name)
  return facts and facts.type ~= "directory"
end

-- The path of the Dockerfile: below the context when there is one, else as seen from here.
local function find(folder, given)
  if folder and not path.is_absolute(given) then
    local below = path.join(folder, given)
    if is_file(below) then
      return below
    end
  end
  if is_file(given) then
    return path.absolute(given)
  end
  local shown = folder and not path.is_absolute(given) and path.join(folder, given) or given
  fail("not_found", ("there is no Dockerfile %s"):format(shown), "dockerfile = PATH names another one", shown)
end

-- Its name in the folder; nil when it lies elsewhere.
local function name_below(folder, file)
  local name = path.relative(file, folder)
  return name ~= ".." and name:sub(1, 3) ~= "../" and name or nil
end

-- {text=, name=: in the stream, is_extra=: it is not read from the folder, ignore=: its own ignore file}
local function dockerfile(folder, given)
  if given and given:find "\n" then
    return { text = given, is_extra = true }
  end
  local file = find(folder, given or "Dockerfile")
  local found = { text = as_build(fs.read, file), ignore = file .. IGNORE }
  found.name = folder and name_below(folder, file)
  -- The engine cannot follow a link that leads out of the context.
  found.is_extra = not found.name or fs.stat(file, { follow = false }).type == "symlink"
  return found
end

-- --- the ignore file ---------------------------------------------------------------------------

-- {text=, path=, is_own=: it belongs to the Dockerfile}; nil when there is none.
local function ignore_file(folder, found)
  if found.ignore and fs.exists(found.ignore) then
    return { text = as_build(fs.read, found.ignore), path = found.ignore, is_own = true }
  end
  local common = path.join(folder, IGNORE)
  return fs.exists(common) and { text = as_build(fs.read, common), path = common } or nil
end

-- The classic builder reads the .dockerignore of the stream too, and takes the Dockerfile and
-- .dockerignore away when it names them. So one that stands in for another file says so, and names
-- itself when the folder has none.
local function ignore_for_classic(root, file, name, made_up)
  if not made_up and not (file and file.is_own) then
    return nil
  end
  local lines = { file and file.text or "" }
  if made_up then
    lines[#lines + 1] = name
  end
  if not fs.exists(path.join(root, IGNORE)) then
    lines[#lines + 1] = IGNORE
  end
  return concat(lines, "\n") .. "\n"
end

-- --- both --------------------------------------------------------------------------------------

local function check_folder(folder)
  local facts = as_build(fs.stat, folder)
  if not facts then
    fail("not_found", ("there is no folder %s to build from"):format(folder), nil, folder)
  elseif facts.type ~= "directory" then
    fail("usage", ("%s is no folder"):format(folder), "context is a folder, dockerfile a file", folder)
  end
  return path.absolute(folder)
end

local Plan = {}
Plan.__index = Plan

-- A reader of the stream. BuildKit looks at no .dockerignore in it.
function Plan:open(is_classic)
  local extra = {}
  if self.is_extra then
    extra[1] = { path = self.name, text = self.text, mode = MODE }
  end
  if not self.root then
    return core.open { extra = extra }
  end
  local text = is_classic and ignore_for_classic(self.root, self.file, self.name, self.made_up)
  if text then
    extra[#extra + 1] = { path = IGNORE, text = text, mode = MODE }
  end
  return core.open {
    root = self.root,
    ignore = self.ignore,
    extra = extra,
    always = { self.name, is_classic and IGNORE or nil },
  }
end

-- plan(folder, dockerfile) -> {text=, name=: of the Dockerfile, open=}. Without a folder the Dockerfile
-- is all that is sent; a dockerfile that has several lines is its text.
local function plan(folder, given)
  local root = folder and check_folder(folder)
  local found = dockerfile(root, given)
  local made_up = not found.name
  local name = found.name or ".dockerfile." .. hash.sha256(found.text):sub(1, 16)
  local file = root and ignore_file(root, found)
  return setmetatable({
    text = found.text,
    name = name,
    root = root,
    is_extra = found.is_extra,
    made_up = made_up,
    file = file,
    ignore = file and as_build(core.compile, file.text, file.path),
  }, Plan)
end

return { plan = plan, as_build = as_build, fail = fail }
