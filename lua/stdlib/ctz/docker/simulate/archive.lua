-- docker/simulate/archive.lua: files into a simulated container, out of it, and as an image.
-- SPDX-License-Identifier: MIT
local base64 = require "ctz.base64"
local engines = require "ctz.docker.simulate.engine"
local files_of = require "ctz.docker.simulate.files"
local images = require "ctz.docker.simulate.images"
local json = require "ctz.json"
local streams = require "ctz.docker.simulate.streams"
local tar = require "ctz.docker.simulate.tar"
local view = require "ctz.docker.simulate.view"

local ipairs, type = ipairs, type
local concat = table.concat

local refuse = engines.refuse

local FOLDER_MODE <const>, FILE_MODE <const> = 0x80000000 | 493, 420 -- Go's os.FileMode: rwxr-xr-x, rw-r--r--

local archive = {}

-- path, content of what is asked for
local function get(container, query, id)
  local path = files_of.resolve(query.path, "/")
  local content = container.files:get(path)
  if content == nil then
    refuse(404, "Could not find the file %s in container %s", query.path, id)
  end
  return path, content
end

local function headers_of(container, path, content)
  return {
    ["x-docker-container-path-stat"] = base64.encode(json.encode {
      name = path:match "[^/]+$" or "/",
      size = content ~= true and #content or 4096,
      mode = content == true and FOLDER_MODE or FILE_MODE,
      mtime = engines.stamp(container.created),
      linkTarget = "",
    }),
    ["content-type"] = "application/x-tar",
  }
end

function archive.look(engine, query, id)
  local container = engine:container(id)
  local path, content = get(container, query, id)
  return 200, nil, { headers = headers_of(container, path, content) }
end

-- What is at and below a path, named from its last part.
local function entries_of(files, path)
  local name = path:match "[^/]+$" or ""
  local list = { name ~= "" and { path = name, content = files:get(path) } or nil }
  for _, inside in ipairs(files:get(path) == true and files:list(path) or {}) do
    local rest = path == "/" and inside:sub(2) or name .. inside:sub(#path + 1)
    list[#list + 1] = { path = rest, content = files:get(inside) }
  end
  return list
end

function archive.read(engine, query, id)
  local container = engine:container(id)
  local path, content = get(container, query, id)
  local bytes = tar.write(entries_of(container.files, path))
  return 200, nil, { stream = streams.source_of { bytes }, headers = headers_of(container, path, content) }
end

function archive.export(engine, _, id)
  local bytes = tar.write(entries_of(engine:container(id).files, "/"))
  return 200, nil, { stream = streams.source_of { bytes }, headers = { ["content-type"] = "application/octet-stream" } }
end

local function body_of(source)
  if type(source) ~= "function" then
    return source or ""
  end
  local parts = {}
  for bytes in source do
    parts[#parts + 1] = bytes
  end
  return concat(parts)
end

function archive.write(engine, query, id, source)
  local container = engine:container(id)
  local folder, content = get(container, query, id)
  if content ~= true then
    refuse(400, "extraction point is not a directory")
  end
  local list = tar.read(body_of(source)) or refuse(500, "Error processing tar file(exit status 1): unexpected EOF")
  for _, entry in ipairs(list) do
    local path = files_of.resolve(entry.path, folder)
    if not (entry.content == true and container.files:get(path) == true) then
      container.files:put(path, entry.content)
    end
  end
  return 200
end

-- POST /images/create with fromSrc: the root file system of a new image.
local function import(engine, query, source)
  if query.fromSrc ~= "-" then
    engines.unsupported "the import of an address"
  end
  local list = tar.read(body_of(source))
  if not list then
    local words = "unexpected EOF"
    return 200, nil, { stream = images.messages { { errorDetail = { message = words }, error = words } } }
  end
  local files = {}
  for _, entry in ipairs(list) do
    files["/" .. entry.path] = entry.content
  end
  local name = query.repo and query.repo .. (query.tag and query.tag ~= "" and ":" .. query.tag or "")
  local image = images.add(engine, name, { files = files, env = {}, comment = query.message or "Imported from -" })
  image.is_known = files["/bin/busybox"] ~= nil
  for _, change in ipairs(query.changes or {}) do
    view.apply_change(image.config, change)
  end
  return 200, nil, { stream = images.messages { { status = image.id } } }
end

-- POST /images/create: a pull, or an import.
function archive.create_image(engine, query, source)
  if query.fromSrc then
    return import(engine, query, source)
  end
  return images.pull(engine, query)
end

return archive
