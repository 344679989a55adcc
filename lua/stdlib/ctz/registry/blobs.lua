-- registry/blobs.lua: blobs of a registry: read with verification, going on where a connection broke.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-2, end-10); RFC 9110, 14 (Range).
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local hash = require "ctz.hash"
local monotonic = require("ctz.time").monotonic
local new_error = require("ctz.core.task").error
local number_of = require("ctz.registry.client").number_of

local error, pcall, setmetatable, tonumber, type = error, pcall, setmetatable, tonumber, type

local PROGRESS_BYTES <const>, PROGRESS_S <const> = 1 << 20, 60 -- after which a break counts as the first
local BREAKS <const> = 4

-- What every operation on one blob begins with.
local function context_of(self, op, repo, digest, actions)
  if type(digest) ~= "string" or not digest:find(":", 1, true) then
    error(new_error { kind = "usage", op = op,
      message = ("bad argument 'digest' to '%s': expected a digest, sha256: and 64 hex digits"):format(op) }, 0)
  end
  local path, target = self:repository(op, repo, "@" .. digest)
  return {
    op = op, target = target, repo = path, path = ("/v2/%s/blobs/%s"):format(path, digest), digest = digest,
    scopes = { ("repository:%s:%s"):format(path, actions) },
  }
end

local function request_of(context, changes)
  changes.op, changes.target, changes.scopes, changes.repo = context.op, context.target, context.scopes, context.repo
  return changes
end

-- --- reading -----------------------------------------------------------------------------------

local Blob = { __name = "ctz.registry.Blob" }
Blob.__index = Blob

local function fail(self, kind, text, ...)
  self:close()
  error(failure.make(kind, self.context, text:format(...)), 0)
end

-- A part has to begin where it was asked to.
local function check_part(self, answer)
  local first, last, total = (answer.headers["content-range"] or ""):match "^bytes (%d+)%-(%d+)/([%d*]+)$"
  if tonumber(first) ~= self.offset then
    fail(self, "protocol", "asked for what follows byte %d, the registry sends %q", self.offset,
      answer.headers["content-range"] or "no Content-Range")
  elseif self.size and (tonumber(total) or self.size) ~= self.size or self.size and tonumber(last) >= self.size then
    fail(self, "size", "it has %d bytes, the registry says %s", self.size, total)
  end
end

local function check_length(self, answer)
  local length = number_of(answer, "content-length")
  local is_whole = answer.status == 200
  local expected = self.size and (is_whole and self.size or self.size - self.offset)
  if length and expected and length ~= expected then
    fail(self, "size", "it has %d bytes, the registry sends %d", expected, length)
  end
  self.size = self.size or is_whole and length or nil
end

local function leave(self)
  if self.stream then
    self.stream:close()
    if self.stream.permit then
      self.stream.permit:release()
    end
    self.stream = nil
  end
end

local function ask(self, offset)
  local is_part = offset > 0
  return self.client:read("GET", self.context.path, request_of(self.context, {
    stream = true, headers = is_part and { Range = ("bytes=%d-"):format(offset) } or nil,
    ok = is_part and { [416] = true } or nil,
  }))
end

-- A server that knows no ranges sends all: what is known already is passed over.
local function open(self)
  local offset = self.offset
  local answer = ask(self, offset)
  if answer.status == 416 and offset > 0 then -- by a server that cannot go on: from the beginning
    self.stream = answer
    leave(self)
    answer = ask(self, 0)
  end
  self.stream, self.skip = answer, 0
  if answer.status == 206 then
    check_part(self, answer)
  elseif answer.status == 200 then
    self.skip = offset
  else
    fail(self, "protocol", "the registry answers %d", answer.status)
  end
  check_length(self, answer)
end

-- The connection broke. Raises when it did so too often without getting further.
local function go_on(self, err)
  leave(self)
  local now = monotonic()
  if self.offset - self.break_at >= PROGRESS_BYTES or now - self.break_s >= PROGRESS_S then
    self.breaks = 0
  end
  self.breaks, self.break_at, self.break_s = self.breaks + 1, self.offset, now
  if type(err) ~= "table" or not err.retryable or self.breaks > BREAKS
    or not self.client.pace:take_breath(self.breaks) then
    if type(err) == "table" and err.kind then
      err.attempts = self.breaks
    end
    self.ended = true
    error(err, 0)
  end
end

local function finish(self)
  leave(self)
  self.ended = true
  local digest = self.hash and self.algorithm .. ":" .. self.hash:digest()
  if digest and digest ~= self.digest then
    fail(self, "digest", "the registry sent something else: %s", digest)
  end
  return nil
end

local function take(self, chunk)
  if self.skip > 0 then
    chunk = type(chunk) == "string" and chunk or chunk:text()
    local passed = #chunk < self.skip and #chunk or self.skip
    self.skip = self.skip - passed
    chunk = chunk:sub(passed + 1)
  end
  self.offset = self.offset + #chunk
  if self.size and self.offset > self.size then
    fail(self, "size", "it has %d bytes, the registry sends more", self.size)
  elseif self.hash then
    self.hash:update(chunk)
  end
  return chunk
end

--- blob:read() -> string | nil
--- The next bytes; nil at the end, when all were verified. Trust nothing before. A connection that
--- breaks is taken up again where it broke.
--- @async
--- @return string?
--- @error digest  what came is not what was asked for
--- @error size  it is longer or shorter than its size
--- @error unreachable  the connection broke again and again
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local digest = "sha256:" .. ctz.hash.sha256("x")
--- @example local _, err = ctz.try(function() return client:blob("a/b", digest):read() end)
--- @example assert(err:is "unreachable")
--- Api: OCI distribution-spec, end-2
function Blob:read()
  while not self.ended do
    local ok, chunk = pcall(function()
      if not self.stream then
        open(self)
      end
      return self.piece and self.stream:chunk(self.piece) or not self.piece and self.stream:read() or nil
    end)
    if not ok then
      local known = type(chunk) == "table" and chunk.op == self.context.op
      go_on(self, known and chunk or failure.of_transport(chunk, self.context, self.client.name))
    elseif chunk then
      chunk = take(self, chunk)
      if #chunk > 0 then
        return chunk
      end
    elseif self.size and self.offset < self.size then
      go_on(self, failure.make("unreachable", self.context, ("the connection ended after %d of %d bytes")
        :format(self.offset, self.size), { retryable = true }))
    else
      return finish(self)
    end
  end
  return nil
end

--- blob:close() -> true
--- Ends the reading; <close> does it by itself.
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local blob <close> = client:blob("a/b", "sha256:" .. ctz.hash.sha256("x"))
--- @example assert(blob:close())
function Blob:close()
  self.ended = true
  leave(self)
  return true
end

Blob.__close = Blob.close

--- client:blob(repo, digest, opts?) -> ctz.registry.Blob
--- A reader of a blob's bytes as they are stored; nothing is asked before the first read(). Size and
--- digest are checked on the way; a reader that begins later checks its size only.
--- @param repo string
--- @param digest string
--- @param opts.size? ctz.bytes  as the descriptor has it
--- @param opts.offset? ctz.bytes  the first byte to read, default 0
--- @param opts.piece? ctz.bytes  read at once, for ctz.registry.copy, which checks the digest itself
--- @return ctz.registry.Blob
--- @error usage  it is no digest, or of an algorithm that is not computed here
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local blob <close> = client:blob("a/b", "sha256:" .. ctz.hash.sha256("x"), {size=1})
--- Api: OCI distribution-spec, end-2
local function blob(self, repo, digest, opts)
  local op <const> = "registry.client.blob"
  opts = check(op, opts, { size = "count", offset = "count", piece = "count" })
  local context = context_of(self, op, repo, digest, "pull")
  local algorithm = digest:match "^[^:]+"
  local offset = opts.offset or 0
  local ok, running = pcall(hash.new, algorithm)
  if not ok then
    error(failure.make("usage", context, ("digests of %s are not computed here"):format(algorithm)), 0)
  end
  return setmetatable({
    client = self, context = context, digest = digest, algorithm = algorithm, size = opts.size, offset = offset,
    piece = opts.piece, hash = offset == 0 and not opts.piece and running or nil,
    skip = 0, breaks = 0, break_at = 0, break_s = monotonic(),
  }, Blob)
end

-- --- what is there -----------------------------------------------------------------------------

local function size_in(self, context)
  local answer = self:request("HEAD", context.path, request_of(context, { ok = { [404] = true, [405] = true } }))
  if answer.status == 405 then -- a server that knows GET only
    answer = self:request("GET", context.path, request_of(context, { ok = { [404] = true }, stream = true }))
    answer:close()
    if answer.permit then
      answer.permit:release()
    end
  end
  if answer.status == 404 then
    return nil
  end
  return number_of(answer, "content-length") or 0
end

--- client:has_blob(repo, digest) -> ctz.bytes | nil
--- Is the blob in the repository? Its size (0 when the registry tells none), nil when it is not there.
--- @async
--- @param repo string
--- @param digest string
--- @return ctz.bytes?
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(client.has_blob, client, "a/b", "sha256:" .. ctz.hash.sha256("x"))
--- @example assert(err:is "unreachable")
--- Api: OCI distribution-spec, end-2
local function has_blob(self, repo, digest)
  return size_in(self, context_of(self, "registry.client.has_blob", repo, digest, "pull"))
end

--- client:delete_blob(repo, digest) -> true
--- Takes a blob out of a repository; manifests that name it are broken then.
--- @async
--- @param repo string
--- @param digest string
--- @return true
--- @error not_found  it is not there
--- @error unsupported  the registry removes nothing
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(client.delete_blob, client, "a/b", "sha256:" .. ctz.hash.sha256("x"))
--- @example assert(err:is "unreachable")
--- Api: OCI distribution-spec, end-10
local function delete_blob(self, repo, digest)
  local context = context_of(self, "registry.client.delete_blob", repo, digest, "pull,push,delete")
  if not self:plans("remove the blob %s", context.target) then
    self:request("DELETE", context.path, request_of(context, {}))
  end
  return true
end

return {
  blob = blob, has_blob = has_blob, delete_blob = delete_blob, context_of = context_of, request_of = request_of,
  size_in = size_in,
}
