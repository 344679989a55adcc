-- docker/archive.lua: files into a container and out of it, as `docker cp` does it.
-- SPDX-License-Identifier: MIT
local base64 = require "ctz.base64"
local check = require("ctz.options").check
local context = require "ctz.core.context"
local copy_path = require "ctz.copy_path"
local fs = require "ctz.fs"
local json = require "ctz.json"
local object = require "ctz.docker.object"
local new_error = require("ctz.core.task").error

local error, type = error, type

local DIRECTORY <const>, LINK <const> = 1 << 31, 1 << 27 -- of Go's file modes
local LINKS <const> = 10 -- followed in a container, one after the other

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

-- --- what is in the container ---------------------------------------------------------------------

-- {name, size, mode, mtime, linkTarget} of a path, nil when there is none.
local function stat_once(client, path, about)
  local _, status, headers = client:call("HEAD", about.path .. "/archive", {
    op = about.op,
    target = about.target,
    query = { path = path },
    ok = { [404] = true },
  })
  if status == 404 then
    -- Is it the container that is not there? Then this raises.
    client:call("GET", about.path .. "/json", { op = about.op, target = about.target })
    return nil
  end
  return json.decode(base64.decode(headers["x-docker-container-path-stat"]))
end

-- Links are followed, as far as the engine says where they lead.
local function stat(client, path, about)
  for _ = 1, LINKS do
    local found = stat_once(client, path, about)
    if not found or found.mode & LINK == 0 or (found.linkTarget or "") == "" then
      return found, path
    end
    path = found.linkTarget
  end
  return usage(about.op, "%s: %s leads in a circle", about.target, path)
end

local function is_folder(found)
  return found ~= nil and found.mode & DIRECTORY ~= 0
end

-- --- in ----------------------------------------------------------------------------------------

-- Where a local file or folder goes: the folder of the container that takes the stream, and the name
-- at the top of the stream (nil: what is in the folder goes there).
local function place(client, source, target, about)
  local own, _, only_content = copy_path.trim(source)
  local from = fs.stat(own)
  if not from then
    error(new_error { kind = "not_found", op = about.op, message = own .. ": no such file or folder", target = own }, 0)
  end
  local wanted, says_folder = copy_path.trim(target)
  local there, resolved = stat(client, wanted, about)
  local folder = from.type == "directory"
  if is_folder(there) then
    return resolved, not only_content and copy_path.last_name(own) or nil
  elseif there and (folder or says_folder) then
    error(new_error {
      kind = "conflict",
      op = about.op,
      message = ("%s: %s is a file"):format(about.target, wanted),
      target = about.target,
    }, 0)
  elseif says_folder and not folder then
    error(new_error {
      kind = "not_found",
      op = about.op,
      message = ("%s: there is no folder %s"):format(about.target, wanted),
      target = about.target,
    }, 0)
  end
  return copy_path.folder_of(resolved), copy_path.last_name(resolved)
end

local function put(client, about, folder, body, opts)
  client:call("PUT", about.path .. "/archive", {
    op = about.op,
    target = about.target,
    query = { path = folder, copyUIDGID = opts.keep_owner, noOverwriteDirNonDir = true },
    headers = { ["Content-Type"] = "application/x-tar" },
    body = body,
  })
end

local archive = {}

--- ctz.docker.containers.copy_in(container, source, path, opts?) -> true
--- Copies a file or a folder of this machine into a container, which need not run, as `docker cp` does:
--- into `path` when that is a folder, else as `path`; "DIR/." means what is in DIR. A function as source
--- gives the pieces of a tar stream that is unpacked in the folder `path`.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param source string|fun(): string?  a path here, or pieces of a tar stream until nil
--- @param path string  in the container, from its root
--- @param opts.keep_owner? boolean  user and group as here or in the stream; default root
--- @error not_found no such container, no such source, no such folder in the container
--- @error conflict a folder would become a file
--- @example local _, err = ctz.try(ctz.docker.containers.copy_in, "web", "site", "var/www")
--- @example assert(err.kind == "usage")
function archive.copy_in(client, container, source, path, opts)
  local op <const> = "docker.containers.copy_in"
  opts = check(op, opts, { keep_owner = "boolean" })
  copy_path.check_inside(op, path)
  local base, target = object.container(op, container)
  local about = { op = op, target = target, path = base }
  if type(source) ~= "function" and type(source) ~= "string" then
    usage(op, "bad argument 'source' to '%s': expected a path or a function, got %s", op, type(source))
  elseif client:plans("copy %s to %s:%s", type(source) == "string" and source or "a tar stream", target, path) then
    return true
  elseif type(source) == "function" then
    put(client, about, (copy_path.trim(path)), source, opts)
    return true
  end
  local folder, name = place(client, source, path, about)
  local reader <close> = context.open {
    root = (copy_path.trim(source)), name = name, keep_owner = opts.keep_owner or false,
  }
  put(client, about, folder, function()
    return reader:read()
  end, opts)
  return true
end

-- --- out ---------------------------------------------------------------------------------------

-- Where a path of the container goes: the local path, and whether it is one file.
local function place_here(source, found, target)
  local own, _, only_content = copy_path.trim(source)
  local name = copy_path.last_name(own)
  local wanted, says_folder = copy_path.trim(target)
  local here = fs.stat(wanted)
  local is_here = here and here.type == "directory"
  if not is_folder(found) then
    return is_here and wanted .. "/" .. name or wanted, true, says_folder and not is_here
  end
  return is_here and not only_content and wanted .. "/" .. name or wanted, false, here and not is_here
end

local function unpack(stream, path, options)
  local writer <close> = context.extract(path, options)
  for chunk in stream:chunks() do
    writer:write(chunk)
  end
  writer:finish()
end

--- ctz.docker.containers.copy_out(container, path, target?, opts?) -> table|stream
--- Copies a file or a folder out of a container, which need not run, as `docker cp` does: into `target`
--- when that is a folder, else as `target`; "DIR/." means what is in DIR. Nothing is written outside
--- of it, whatever the container holds. Without target it returns the tar stream: read(), chunks(),
--- close(); its entries begin with the last name of the path.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param path string  in the container, from its root
--- @param target? string  a path here
--- @param opts.keep_owner? boolean  user and group as in the container; default who runs this
--- @return {path: string}
--- @error not_found no such container, no such path in it
--- @error conflict a folder would become a file
--- @example local _, err = ctz.try(ctz.docker.containers.copy_out, "web", "var/www", "site")
--- @example assert(err.kind == "usage")
function archive.copy_out(client, container, path, target, opts)
  local op <const> = "docker.containers.copy_out"
  opts = check(op, opts, { keep_owner = "boolean" })
  copy_path.check_inside(op, path)
  local base, shown = object.container(op, container)
  local about = { op = op, target = shown, path = base }
  if target and client:plans("copy %s:%s to %s", shown, path, target) then
    return { path = target }
  end
  local source = copy_path.trim(path)
  local query = { op = op, target = shown, query = { path = source } }
  if not target then
    return client:stream("GET", base .. "/archive", query)
  end
  local found = stat(client, source, about)
  if not found then
    local message = ("%s: there is no %s"):format(shown, source)
    error(new_error { kind = "not_found", op = op, message = message, target = shown }, 0)
  end
  local here, is_file, clashes = place_here(path, found, target)
  if clashes then
    local message = ("%s is no folder"):format(target)
    error(new_error { kind = "conflict", op = op, message = message, target = target }, 0)
  end
  local stream <close> = client:stream("GET", base .. "/archive", query)
  unpack(stream, here, { file = is_file, strip = not is_file and 1 or nil, keep_owner = opts.keep_owner or false })
  return { path = here }
end

--- ctz.docker.containers.export(container, opts?) -> table|stream
--- All files of a container as a tar stream: read(), chunks(), close(). With `to` it is saved as this
--- file, which appears when it is complete, and {path=} is returned.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.to? string  path of the tar file
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.export, "web")
--- @example assert(err:is "unreachable")
function archive.export(client, container, opts)
  local op <const> = "docker.containers.export"
  opts = check(op, opts, { to = "string" })
  local base, target = object.container(op, container)
  local stream = client:stream("GET", base .. "/export", { op = op, target = target, to = opts.to })
  return opts.to and { path = opts.to } or stream
end

return archive
