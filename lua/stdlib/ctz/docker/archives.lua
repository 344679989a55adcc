-- docker/archives.lua: images as tar archives: save, load, import.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, GET /images/get, POST /images/load, POST /images/create;
-- moby, api/server/router/image/image_routes.go.
local check = require("ctz.options").check
local engine_error = require("ctz.docker.client").engine_error
local fs = require "ctz.fs"
local image = require "ctz.docker.image"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local object = require "ctz.docker.object"
local progress = require "ctz.docker.progress"
local ui = require "ctz.ui"

local error, io, ipairs, pcall = error, io, ipairs, pcall
local select, setmetatable, type = select, setmetatable, type
local concat, random = table.concat, math.random

local PIECE_BYTES <const> = 1 << 20
local END_BYTES <const> = 1024 -- a tar archive ends with two blocks of zeros
local SHOWN_BYTES <const> = 4096

local archives = {}

local function fail(kind, op, target, text, ...)
  error(new_error { kind = kind, op = op, message = text:format(...), target = target }, 0)
end

-- --- save --------------------------------------------------------------------------------------

-- The end of what the engine sent shows whether it is all: when it fails in between, it writes the error
-- behind what it has sent, and the answer ends well.
local function check_end(about, tail)
  if #tail >= END_BYTES and tail:sub(-END_BYTES):find "^%z+$" then
    return
  end
  local found, message = pcall(json.decode, tail:match "(%b{})%s*$" or "")
  local detail = found and type(message.errorDetail) == "table" and message.errorDetail or message
  local words = found and (detail.message or message.error)
  if words then
    error(engine_error(words, about), 0)
  end
  fail("protocol", about.op, about.target, "%s: the engine's archive ends before its end", about.target)
end

local Saved = { __name = "ctz.docker.archive" }
Saved.__index = Saved

function Saved:__call()
  if self.ended then
    return nil
  end
  local ok, chunk = pcall(self.stream.read, self.stream)
  if not ok then
    self:close()
    error(self.client:failure(chunk, self.about), 0)
  elseif not chunk then
    self:close()
    check_end(self.about, self.tail)
    return nil
  end
  self.tail = #chunk >= SHOWN_BYTES and chunk:sub(-SHOWN_BYTES) or (self.tail .. chunk):sub(-SHOWN_BYTES)
  return chunk
end

function Saved:close()
  self.ended = true
  return self.stream:close()
end

Saved.__close = Saved.close

-- Removes what is unfinished.
local Partial = {
  __close = function(self)
    if self.file then
      self.file:close()
    end
    if not self.kept then
      pcall(fs.remove, self.path)
    end
  end,
}

-- What io says names the partial file: only the reason of it is told.
local function written(ok, words, path, op)
  if not ok then
    fail("io", op, path, "cannot write %s: %s", path, words:match "([^:]+)$":gsub("^ ", ""))
  end
end

local function save_to(saved, path, opts)
  local op = saved.about.op
  local partial <close> = setmetatable({ path = ("%s.%08x"):format(path, random(0, 0xffffffff)) }, Partial)
  local show <close> = not opts.on_progress and ui.progress { title = "save " .. path, unit = "bytes" } or nil
  local file, words = io.open(partial.path, "wb")
  written(file, words, path, op)
  partial.file = file
  local size = 0
  for chunk in saved, nil, nil, saved do
    local ok, why = file:write(chunk)
    written(ok, why, path, op)
    size = size + #chunk
    if show then
      show:set(size)
    else
      opts.on_progress { current = size }
    end
  end
  partial.file = nil
  local ok, why = file:close()
  written(ok, why, path, op)
  fs.move(partial.path, path)
  partial.kept = true
  return { path = path, size_bytes = size }
end

-- One or several: as a list, and what they are called.
local function read_images(op, given)
  local is_list = type(given) == "table" and type(given.id) ~= "string"
  local list, names = is_list and given or { given }, {}
  for i, one in ipairs(list) do
    names[i] = select(2, image.subject(op, one))
  end
  if #names == 0 then
    object.usage(op, "bad argument 'images' to '%s': expected the name of an image or a list of them", op)
  end
  return list, names
end

--- ctz.docker.images.save(images, opts?) -> iterator | table
--- Images as a tar archive, as docker save makes it. With `to` it becomes this file, which appears when it
--- is complete, and the result is {path=, size_bytes=}; else for chunk in ctz.docker.images.save("web") do
--- gives its bytes as they come, and raises at the end when the engine could not give all.
--- @async
--- @param images string|ctz.docker.image|table  name, id or object, or a list of them
--- @param opts.to? string  path of a file
--- @param opts.platform? string  only this one of images for several; needs API 1.48
--- @param opts.on_progress? fun(event: table)  {current} with `to`: bytes so far; default: a line of progress
--- @param opts.timeout? ctz.seconds  until it begins
--- @error not_found there is no such image; the hint names the nearest
--- @error protocol the archive is not complete
--- @error io the file cannot be written
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.save, "web", {to="web.tar"})
--- @example assert(err:is "unreachable" and not ctz.fs.exists "web.tar")
--- Api: Docker Engine v1.41, GET /images/get
function archives.save(client, given, opts)
  local op <const> = "docker.images.save"
  local list, names = read_images(op, given)
  opts = check(op, opts, { to = "string", platform = "string", on_progress = "function", timeout = "seconds" })
  local wanted = image.platform(op, opts.platform)
  local text = concat(names, ", ")
  if opts.to and client:plans("save image %s as %s", text, opts.to) then
    return { path = opts.to, size_bytes = 0 }
  elseif wanted then
    object.needs(client, "1.48", "platform", op)
  end
  for i, one in ipairs(list) do -- so that a missing one has its hint, and the engine begins with no failure
    if type(one) == "table" then
      image.named_subject(client, op, one)
    else
      image.call(client, "GET", names[i], "/json", { op = op })
    end
  end
  local about = { op = op, target = "image " .. text }
  local saved = setmetatable({
    client = client,
    about = about,
    tail = "",
    stream = client:stream("GET", "/images/get", {
      op = op,
      target = about.target,
      timeout = opts.timeout,
      query = { names = { each = names }, platform = wanted },
    }),
  }, Saved)
  if opts.to then
    local closing <close> = saved -- luacheck: ignore 211
    return save_to(saved, opts.to, opts)
  end
  return saved, nil, nil, saved
end

-- --- where an archive comes from ----------------------------------------------------------------

local function pieces_of(file, path, op)
  return function()
    local bytes, words = file:read(PIECE_BYTES)
    if not bytes and words then
      fail("io", op, path, "cannot read %s: %s", path, words)
    end
    return bytes
  end
end

-- {body=, length=, name=, file=}: of a path, of {bytes=}, or of a function that gives pieces.
local function open_source(op, source)
  if type(source) == "function" then
    return { body = source, name = "a stream" }
  elseif type(source) == "table" and type(source.bytes) == "string" then
    return { body = source.bytes, name = ("an archive of %d bytes"):format(#source.bytes) }
  elseif type(source) ~= "string" then
    object.usage(op, "bad argument 'source' to '%s': expected a path, a function or {bytes=}, got %s", op, type(source))
  end
  local stat = fs.stat(source)
  if not stat then
    fail("not_found", op, source, "there is no file %s", source)
  end
  local file, words = io.open(source, "rb")
  if not file then
    fail("io", op, source, "cannot read %s: %s", source, words)
  end
  local length = stat.type == "file" and stat.size_bytes or nil
  return { body = pieces_of(file, source, op), length = length, name = source, file = file }
end

-- Tells how much was sent: the engine tells only of layers that it does not have.
local function counted(pieces, length, tell)
  local sent = 0
  return function()
    local bytes = pieces()
    if type(bytes) == "string" then
      sent = sent + #bytes
      tell(sent, length)
    end
    return bytes
  end
end

local function body_of(source, opts, show)
  local function tell(sent, total)
    if show then
      show:set(sent, total)
    else
      opts.on_progress { status = "Sending", current = sent, total = total, sum_current = sent, sum_total = total }
    end
  end
  if type(source.body) == "string" then
    tell(#source.body, #source.body)
    return source.body
  end
  return counted(source.body, source.length, tell)
end

-- POSTs an archive and follows what the engine tells of it.
local function send(client, path, op, given, opts)
  local source = open_source(op, given)
  local file <close> = source.file -- luacheck: ignore 211
  local target = opts.verb .. " " .. source.name
  local show <close> = not opts.on_progress
    and ui.progress { title = target, unit = "bytes", total = source.length } or nil
  local stream = client:stream("POST", path, {
    op = op,
    target = target,
    timeout = opts.timeout,
    headers = { ["Content-Type"] = "application/x-tar" },
    body = body_of(source, opts, show),
    length = source.length,
    query = opts.query,
  })
  progress.follow(client, stream, {
    op = op,
    target = target,
    on_progress = opts.on_progress,
    on_event = opts.on_event,
    on_end = function()
      opts.on_end(target)
    end,
  })
end

-- --- load --------------------------------------------------------------------------------------

--- ctz.docker.images.load(source, opts?) -> string[]
--- Takes images from a tar archive, as docker save or `ctz build --to docker-archive:` make it, and
--- returns their names, or the id of one that has none. Shows a line of progress, unless on_progress is
--- given. In a dry run the list is empty.
--- @async
--- @param source string|function|table  path of a file, a function that returns its pieces, or {bytes=}
--- @param opts.platform? string  only this one of images for several; needs API 1.48
--- @param opts.on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; while the
---   archive is sent the status is "Sending"
--- @param opts.timeout? ctz.seconds  until the engine has taken it
--- @return string[]
--- @error not_found there is no such file
--- @error io it is no archive of images
--- @error protocol the stream ended before it was done
--- @example local _, err = ctz.try(ctz.docker.images.load, "none.tar")
--- @example assert(err.kind == "not_found")
--- Api: Docker Engine v1.41, POST /images/load
function archives.load(client, source, opts)
  local op <const> = "docker.images.load"
  opts = check(op, opts, { platform = "string", on_progress = "function", timeout = "seconds" })
  local wanted = image.platform(op, opts.platform)
  if client:plans("load images from %s", type(source) == "string" and source or "an archive") then
    return {}
  elseif wanted then
    object.needs(client, "1.48", "platform", op)
  end
  local names = {}
  send(client, "/images/load", op, source, {
    verb = "load",
    on_progress = opts.on_progress,
    timeout = opts.timeout,
    query = { quiet = false, platform = wanted },
    on_event = function(event)
      local text = event.text or ""
      names[#names + 1] = text:match "^Loaded image: ([^\n]+)" or text:match "^Loaded image ID: ([^\n]+)"
    end,
    on_end = function(target)
      if #names == 0 then
        fail("protocol", op, target, "%s: the engine names no image that it loaded", target)
      end
    end,
  })
  return names
end

-- --- import ------------------------------------------------------------------------------------

--- ctz.docker.images.import(source, opts?) -> ctz.docker.image
--- Makes an image with one layer of a root file system in a tar archive, and returns its object. In a dry
--- run the object has planned=true.
--- @async
--- @param source string|function|table  path of a file, an address (https://...) that the engine asks, a
---   function that returns its pieces, or {bytes=}
--- @param opts.name? string  "repository:tag"
--- @param opts.changes? string[]  Dockerfile instructions: {'CMD ["sh"]', "ENV PATH=/bin"}
--- @param opts.message? string
--- @param opts.platform? string  "linux/arm64"; default: the engine's
--- @param opts.on_progress? fun(event: table)  as of ctz.docker.images.load; default: a line of progress
--- @param opts.timeout? ctz.seconds  until the engine has taken it
--- @return ctz.docker.image
--- @error not_found there is no such file
--- @error io it is no tar archive
--- @error usage an instruction is wrong
--- @example local _, err = ctz.try(ctz.docker.images.import, "none.tar", {name="base:1"})
--- @example assert(err.kind == "not_found")
--- Api: Docker Engine v1.41, POST /images/create?fromSrc=
function archives.import(client, source, opts)
  local op <const> = "docker.images.import"
  opts = check(op, opts, {
    name = "string",
    changes = "list",
    message = "string",
    platform = "string",
    on_progress = "function",
    timeout = "seconds",
  })
  local parts = opts.name and image.parse(op, "opts.name", opts.name)
  image.platform(op, opts.platform)
  local shown = type(source) == "string" and source or "an archive"
  if client:plans("import %s%s", shown, parts and " as " .. image.text(parts) or "") then
    return image.planned(client, parts or { domain = "docker.io", path = "library/planned" })
  end
  local id
  local is_address = type(source) == "string" and source:find "^https?://"
  send(client, "/images/create", op, is_address and { bytes = "" } or source, {
    verb = "import",
    on_progress = opts.on_progress,
    timeout = opts.timeout,
    query = {
      fromSrc = is_address and source or "-",
      repo = parts and image.text(parts, {}),
      tag = parts and parts.tag,
      message = opts.message,
      platform = opts.platform,
      changes = opts.changes and { each = opts.changes },
    },
    on_event = function(event)
      id = event.status and event.status:match "^sha256:%x+$" or id
    end,
    on_end = function(target)
      if not id then
        fail("protocol", op, target, "%s: the engine tells no id of what it imported", target)
      end
    end,
  })
  local name = parts and image.text(parts) or id
  return image.of_inspect(client, (image.call(client, "GET", name, "/json", { op = op })), name)
end

return archives
