-- registry/upload.lua: blobs into a registry: found, mounted, sent in one piece, and in chunks where that
-- does not work.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-4, end-5, end-6, end-11, end-13, end-14).
local blobs = require "ctz.registry.blobs"
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local journal = require "ctz.registry.journal"
local number_of = require("ctz.registry.client").number_of
local task = require "ctz.core.task"
local urls = require "ctz.registry.url"

local error, pcall, tonumber, type = error, pcall, tonumber, type
local concat, max, min, open_file = table.concat, math.max, math.min, io.open

local PIECE_BYTES <const> = 256 << 10
local CHUNK_BYTES <const> = 4 << 20 -- GHCR takes no more
local JOURNAL_BYTES <const> = 1 << 20 -- smaller ones are sent again
local HELD_BYTES <const> = 64 << 20 -- of a chunk: it is kept until the registry has it
local STALLS <const> = 5
local STORED <const> = { [201] = true, [202] = true, [204] = true }

local function refuse(context, kind, text, ...)
  error(failure.make(kind, context, text:format(...)), 0)
end

-- --- what is sent ------------------------------------------------------------------------------

-- A source: size and digest (nil: not known), open(offset) -> function that returns the next piece and
-- nil at the end; repeatable: it can be opened again.

local function of_text(text)
  return {
    size = #text, repeatable = true,
    text = text,
    open = function(offset)
      local at = offset
      return function()
        local piece = text:sub(at + 1, at + PIECE_BYTES)
        at = at + #piece
        return #piece > 0 and piece or nil
      end
    end,
  }
end

local function of_file(context, path)
  local stat = fs.stat(path)
  if not stat then
    refuse(context, "not_found", "there is no file %s", path)
  end
  return {
    size = stat.size_bytes, repeatable = true, path = path,
    open = function(offset)
      local file, why = open_file(path, "rb")
      if not file then
        refuse(context, "io", "%s", why)
      end
      file:seek("set", offset)
      return function()
        local piece = file and file:read(PIECE_BYTES)
        if file and not piece then
          file:close()
          file = nil
        end
        return piece
      end
    end,
  }
end

-- A function(offset) -> reader, which can be called again.
local function of_opener(opener)
  return {
    repeatable = true,
    open = function(offset)
      local reader = opener(offset)
      return type(reader) == "function" and reader or function()
        return reader:read()
      end
    end,
  }
end

-- A reader can be read once.
local function of_reader(context, reader)
  local opened = false
  return {
    repeatable = false,
    open = function()
      if opened then
        refuse(context, "unsupported", "what is sent can be read only once, and it has to be sent again")
      end
      opened = true
      return function()
        return reader:read()
      end
    end,
  }
end

local function source_of(context, content)
  local kind = type(content)
  if kind == "string" then
    return of_text(content)
  elseif kind == "table" and type(content.path) == "string" and not content.read then
    return of_file(context, content.path)
  elseif kind == "function" then
    return of_opener(content)
  elseif (kind == "table" or kind == "userdata") and content.read then
    return of_reader(context, content)
  end
  refuse(context, "usage", "bad argument 'content' to '%s': expected string, {path=}, reader or function, got %s",
    context.op, kind)
end

-- Size and digest, from what is known or from the content.
local function describe(context, source, opts)
  if source.size and opts.size and source.size ~= opts.size then
    refuse(context, "size", "%d bytes were announced, there are %d", opts.size, source.size)
  end
  source.size = source.size or opts.size
  source.digest = opts.digest
  source.algorithm = opts.digest and opts.digest:match "^[^:]+" or "sha256"
  if source.text then
    local digest = source.algorithm .. ":" .. hash.new(source.algorithm):update(source.text):digest()
    if opts.digest and opts.digest ~= digest then
      refuse(context, "digest", "the content is %s", digest)
    end
    source.digest = digest
  elseif source.path and not source.digest then
    source.digest = "sha256:" .. hash.file(source.path)
  end
end

-- Pieces of a source whose size and digest are checked before the last one is given away, so that the
-- registry never sees the end of something else.
local function checked(context, source)
  local next_piece, held, sent, sum = source.open(0), nil, 0, hash.new(source.algorithm)
  local ended = false
  return function()
    while not ended do
      local piece = next_piece()
      if piece then
        sum:update(piece)
        sent = sent + #piece
        if source.size and sent > source.size then
          refuse(context, "size", "%d bytes were announced, there are more", source.size)
        end
        held, piece = piece, held
      else
        if source.size and sent < source.size then
          refuse(context, "size", "%d bytes were announced, there are %d", source.size, sent)
        elseif source.digest and source.algorithm .. ":" .. sum:digest() ~= source.digest then
          refuse(context, "digest", "what is sent is %s:%s", source.algorithm, sum:digest())
        end
        ended, held, piece = true, nil, held
      end
      if piece then
        return piece
      end
    end
    return nil
  end
end

local function pieces_of(context, source, verify)
  return verify and checked(context, source) or source.open(0)
end

-- --- sessions ----------------------------------------------------------------------------------

local function request(self, method, context, changes)
  return self:request(method, context.path, blobs.request_of(context, changes))
end

-- Where the upload goes on, from a Location header.
local function location_of(self, context, answer)
  return self:follow(answer, answer.headers.location, context, "the upload's Location")
end

local function session_of(self, context, answer)
  return { url = location_of(self, context, answer), least = number_of(answer, "oci-chunk-min-length") or 0 }
end

-- For another process that goes on with it, when the caller wants that.
local function remember(context, session)
  if context.journal then
    journal.put(context.journal, urls.text_of(session.url))
  end
end

-- Begins an upload; fields: of its query.
local function begin(self, context, fields)
  if context.digest and not context.digest:find "^sha256:" then
    fields["digest-algorithm"] = context.digest:match "^[^:]+"
  end
  local path = urls.add_query(("/v2/%s/blobs/uploads/"):format(context.repo), fields)
  -- A session too many does no harm: the registry ends it by itself.
  local answer = self:request("POST", path, blobs.request_of(context, { pushes = true, ok = "any", retry = true }))
  if answer.status == 202 or answer.status == 201 and fields.mount then
    return answer
  elseif answer.status < 300 then
    refuse(context, "protocol", "the registry answers %d to the beginning of an upload, and not 202", answer.status)
  end
  return answer, true
end

local function open_session(self, context)
  local answer, refused = begin(self, context, {})
  if refused then
    error(self:refusal(answer, blobs.request_of(context, { pushes = true })), 0)
  end
  local session = session_of(self, context, answer)
  remember(context, session)
  return session
end

local function forget(context)
  if context.journal then
    journal.drop(context.journal)
  end
end

local function give_up(self, context, session)
  forget(context)
  pcall(request, self, "DELETE", context, { url = session.url, ok = "any", retry = false })
end

-- Bytes that the registry has, of a Range header "0-41"; nil when it says nothing. "0-0" is said of none
-- as well as of one.
local function stored_of(answer)
  local last = (answer.headers.range or ""):match "^%s*b?y?t?e?s?=?0%-(%d+)%s*$"
  last = tonumber(last)
  return last and (last == 0 and 0 or last + 1)
end

-- Asks what the registry has; nil when it does not know the session any more.
local function status_of(self, context, session)
  local answer = request(self, "GET", context, { url = session.url, ok = "any" })
  if answer.status ~= 204 and answer.status ~= 200 then
    return nil
  elseif answer.headers.location then
    session.url = location_of(self, context, answer)
  end
  return stored_of(answer) or 0
end

-- --- chunks ------------------------------------------------------------------------------------

-- May the registry have got what was sent? Whether it may be sent again is asked of the registry.
local function is_lost(err)
  return type(err) == "table" and (err.kind == "unreachable" or err.kind == "timeout") and task.remaining() > 0
end

local function stall(self, context, state, err)
  state.stalls = state.stalls + 1
  if state.stalls > STALLS or not self.pace:take_breath(state.stalls) then
    error(err or failure.make("protocol", context, ("the upload does not get beyond byte %d"):format(state.stored)), 0)
  end
end

local function ask_again(self, context, state, err)
  stall(self, context, state, err)
  local stored = status_of(self, context, state.session)
  if not stored then
    state.lost = true
    error(err or failure.make("not_found", context, "the registry does not know the upload any more"), 0)
  end
  return stored
end

-- Sends bytes from..to of the chunk; returns how many bytes of the blob the registry has then.
local function patch(self, context, state, chunk, first, from)
  local last = first + #chunk - 1
  local ok, answer = pcall(request, self, "PATCH", context, {
    url = state.session.url, body = from > first and chunk:sub(from - first + 1) or chunk, ok = "any", retry = false,
    headers = { ["Content-Type"] = "application/octet-stream", ["Content-Range"] = ("%d-%d"):format(from, last) },
  })
  if not ok then
    if not is_lost(answer) then
      error(answer, 0)
    end
    return ask_again(self, context, state, answer)
  elseif failure.busy[answer.status] then
    return ask_again(self, context, state, self:refusal(answer, context))
  elseif answer.status ~= 416 and not STORED[answer.status] then
    error(self:refusal(answer, context), 0)
  end
  if answer.headers.location then
    state.session.url = location_of(self, context, answer)
    remember(context, state.session)
  end
  local said, stored = answer.headers.range, stored_of(answer)
  if answer.status == 416 then
    state.counts = true -- what it says of its bytes is meant
    stored = stored == 0 and from == 0 and 1 or stored -- "0-0": had it none, it would have taken them
    return stored and stored ~= from and stored or ask_again(self, context, state)
  elseif not stored or stored == last + 1 or last == 0 or said == state.said and not state.counts then
    state.said = said -- one that never moves is not looked at: the digest tells in the end
    return last + 1
  end
  state.said = said
  return stored > from and stored <= last and stored or ask_again(self, context, state)
end

-- The next chunk of that size, shorter at the end; nil behind it.
local function fill(state, size)
  local parts, length = { state.rest }, #(state.rest or "")
  while length < size do
    local piece = state.next_piece()
    if not piece then
      break
    end
    piece = type(piece) == "string" and piece or piece:text() -- a chunk of another room
    parts[#parts + 1], length = piece, length + #piece
  end
  local text = concat(parts)
  state.rest = #text > size and text:sub(size + 1) or nil
  return #text > 0 and text:sub(1, size) or nil
end

-- The registry has less than what was read already: the source is opened anew.
local function go_back(self, context, state, source, stored)
  state.stored = stored
  stall(self, context, state)
  if not source.repeatable then
    refuse(context, "unsupported", "the registry wants byte %d again, and what is sent can be read only once", stored)
  end
  state.next_piece, state.rest = source.open(stored), nil
  state.sum = nil -- the digest was known, else it could not be opened again
end

local function send_chunk(self, context, state, source, chunk)
  local first = state.stored
  local behind = first + #chunk
  while state.stored < behind do
    local stored = patch(self, context, state, chunk, first, state.stored)
    if stored > behind then
      refuse(context, "protocol", "the registry has %d bytes, %d were sent", stored, behind)
    elseif stored < first then
      return go_back(self, context, state, source, stored)
    elseif stored > state.most then
      state.most, state.stalls = stored, 0
    end
    state.stored = stored
  end
end

local function ends(self, context, answer)
  if answer.status ~= 201 and answer.status ~= 204 and answer.status ~= 200 and answer.status ~= 202 then
    return false
  end
  local said = answer.headers["docker-content-digest"]
  if said and said:match "^%w+" == context.digest:match "^%w+" and said ~= context.digest then
    refuse(context, "digest", "the registry has stored something else: %s", said)
  elseif answer.status ~= 201 and answer.status ~= 204 and not blobs.size_in(self, context) then
    refuse(context, "protocol", "the registry answers %d, and the blob is not there", answer.status)
  end
  return true
end

-- Ends the session. When the answer is lost the blob may be there all the same.
local function close_session(self, context, state)
  while true do
    local url = state.session.url
    local ok, answer = pcall(request, self, "PUT", context, {
      url = { scheme = url.scheme, host = url.host, port = url.port,
        target = urls.add_query(url.target, { digest = context.digest }) },
      body = "", ok = "any", retry = false,
    })
    if ok and ends(self, context, answer) then
      return
    end
    local err = not ok and answer or self:refusal(answer, context)
    if ok and not failure.busy[answer.status] or not ok and not is_lost(err) then
      error(err, 0)
    end
    stall(self, context, state, err)
    if blobs.size_in(self, context) then
      return
    end
  end
end

local function chunk_size(self, context, session)
  local size = max(min(self.quirks.chunk or CHUNK_BYTES, CHUNK_BYTES), session.least)
  if size > HELD_BYTES then
    refuse(context, "size", "the registry takes only chunks of %d bytes and more; %d are kept in memory at most",
      size, HELD_BYTES)
  end
  return size
end

local function send_all_chunks(self, context, state, source)
  local size = chunk_size(self, context, state.session)
  local chunk = fill(state, size)
  while chunk do
    if state.sum then
      state.sum:update(chunk)
    end
    send_chunk(self, context, state, source, chunk)
    chunk = fill(state, size)
  end
  if source.size and state.stored ~= source.size then
    refuse(context, "size", "%d bytes were announced, there are %d", source.size, state.stored)
  end
  source.size = state.stored
  if not context.digest then
    context.digest = source.algorithm .. ":" .. state.sum:digest()
    context.path = ("/v2/%s/blobs/%s"):format(context.repo, context.digest)
  end
  close_session(self, context, state)
end

local function put_chunks(self, context, source, session)
  for try = 1, 2 do
    local state = {
      session = session or open_session(self, context), stored = 0, most = 0, stalls = 0, next_piece = source.open(0),
      sum = not context.digest and hash.new(source.algorithm) or nil,
    }
    local ok, err = pcall(send_all_chunks, self, context, state, source)
    if ok then
      return
    elseif not state.lost or not source.repeatable or try == 2 then
      if type(err) == "table" and err.kind ~= "cancelled" and task.remaining() > 0 then
        give_up(self, context, state.session)
      end
      error(err, 0)
    end
    session = nil
  end
end

-- --- what another process has begun ------------------------------------------------------------

-- The session that is in the journal, when the registry knows it still, and how much it has.
local function find_session(self, context, source)
  local text = journal.take(context.journal)
  local url = text and urls.parse(text)
  if not url or not self.url or not urls.same_origin(url, self.origin) then
    return nil
  end
  local session = { url = url, least = 0 }
  local ok, stored = pcall(status_of, self, context, session)
  if not ok and (type(stored) ~= "table" or stored.kind == "cancelled") then
    error(stored, 0)
  elseif not ok or not stored or stored == 0 or stored > source.size then
    return nil
  end
  return session, stored
end

-- True when it is there now. What does not work is begun anew.
local function go_on(self, context, source)
  local session, stored = find_session(self, context, source)
  if not session then
    return false
  end
  remember(context, session)
  local state = { session = session, stored = stored, most = stored, stalls = 0, next_piece = source.open(stored) }
  local ok, err = pcall(send_all_chunks, self, context, state, source)
  if not ok and (type(err) ~= "table" or err.kind == "cancelled" or task.remaining() <= 0) then
    error(err, 0)
  elseif not ok then
    give_up(self, context, session)
  end
  return ok, stored
end

-- --- one piece ---------------------------------------------------------------------------------

-- Statuses after which chunks may work.
local function may_work_in_chunks(status)
  return failure.busy[status] or status == 413 or status == 416 or status >= 500
end

-- True when it is there. False: not in one piece.
local function put_whole(self, context, source, session, verify)
  local url = session.url
  local ok, answer = pcall(request, self, "PUT", context, {
    url = { scheme = url.scheme, host = url.host, port = url.port,
      target = urls.add_query(url.target, { digest = context.digest }) },
    headers = { ["Content-Type"] = "application/octet-stream" }, ok = "any", retry = false,
    body = (source.size == 0 or source.text and #source.text <= CHUNK_BYTES) and (source.text or "") or nil,
    make_body = source.size > 0 and not (source.text and #source.text <= CHUNK_BYTES) and function()
      return pieces_of(context, source, verify)
    end or nil,
    length = source.size > 0 and not (source.text and #source.text <= CHUNK_BYTES) and source.size or nil,
  })
  if ok and ends(self, context, answer) then
    return true
  end
  local err = not ok and answer or self:refusal(answer, context)
  local again = not ok and is_lost(err) or ok and may_work_in_chunks(answer.status) and err.kind ~= "digest"
  if not again then
    error(err, 0)
  elseif blobs.size_in(self, context) then
    return true
  elseif not source.repeatable then
    error(err, 0)
  end
  give_up(self, context, session)
  return false
end

-- --- the functions -----------------------------------------------------------------------------

local function scopes_of(path, from)
  return { ("repository:%s:pull,push"):format(path), from and ("repository:%s:pull"):format(from) or nil }
end

-- Tries to mount; returns true, or nil and the session that the registry opened instead, if any. from nil: the
-- registry may take it from any repository.
local function mount(self, context, from)
  local other = from and self:repository(context.op, from)
  local both = blobs.request_of(context, { path = context.path, digest = context.digest })
  both.scopes = scopes_of(context.repo, other)
  local ok, answer, refused = pcall(begin, self, both, { mount = context.digest, from = other })
  if not ok then
    if type(answer) == "table" and answer.kind and answer.kind ~= "cancelled" and task.remaining() > 0
      and not answer.retryable then
      return nil
    end
    error(answer, 0)
  elseif refused then
    return nil
  elseif answer.status == 201 then
    return true
  end
  return nil, session_of(self, context, answer)
end

-- Sends a blob whose digest is known; returns how it got there.
local function send(self, context, source, opts, looks)
  local mounted, session
  if looks and blobs.size_in(self, context) then
    return "exists"
  elseif opts.mount then
    mounted, session = mount(self, context, opts.mount)
    if mounted then
      return "mounted"
    end
  end
  if opts.resume and source.repeatable and (source.size or 0) >= JOURNAL_BYTES then
    context.journal = ("%s/%s@%s"):format(self.name, context.repo, source.digest)
    local done, stored = go_on(self, context, source)
    if done then
      forget(context)
      return "resumed", stored
    end
  end
  if source.size and not opts.chunked then
    if put_whole(self, context, source, session or open_session(self, context), opts.verify) then
      forget(context)
      return "pushed"
    end
    session = nil
  end
  put_chunks(self, context, source, session)
  forget(context)
  return "pushed"
end

--- client:put_blob(repo, content, opts?) -> table, string
--- Puts a blob into a repository and returns its descriptor {digest, size} and how: "exists", "mounted"
--- or "pushed". It is sent in one piece, and in chunks when the registry does not take it so.
--- @async
--- @param repo string
--- @param content string|table|function  its bytes; {path=FILE}; a reader (read() -> string|nil), which is sent once;
---   or function(offset) -> reader, which can be sent again from there
--- @param opts.digest? string  of a reader that is sent in one piece; checked for a text
--- @param opts.size? ctz.bytes  the same
--- @param opts.mount? string  a repository of this registry that may have it
--- @param opts.chunked? boolean  true: in chunks at once
--- @param opts.verify? boolean  true: size and digest are checked here before the registry sees the end; else by it
--- @param opts.check? boolean  false: does not ask whether it is there already
--- @param opts.resume? boolean  true: goes on with an upload of a process that died, and leaves what another needs for
---   that; for content that can be sent again
--- @return {digest: string, size: ctz.bytes}, "exists"|"mounted"|"pushed"|"resumed", integer?
--- @error digest  the content is another one
--- @error size  it is longer or shorter than announced, or too long for the registry
--- @error denied  we may not push there
--- @error not_found  the repository does not exist, and the registry makes none
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.put_blob, client, "a/b", "hello")):is "unreachable")
--- Api: OCI distribution-spec, end-4a, end-5, end-6, end-11, end-13
local function put_blob(self, repo, content, opts)
  local op <const> = "registry.client.put_blob"
  opts = check(op, opts, {
    digest = "string", size = "count", mount = "string", chunked = "boolean", verify = "boolean", check = "boolean",
    resume = "boolean",
  })
  local path, target = self:repository(op, repo, opts.digest and "@" .. opts.digest)
  local context = { op = op, target = target, repo = path, scopes = scopes_of(path) }
  local source = source_of(context, content)
  describe(context, source, opts)
  context.digest = source.digest
  context.path = ("/v2/%s/blobs/%s"):format(path, source.digest or "")
  context.target = source.digest and ("%s/%s@%s"):format(self.name, repo, source.digest) or target
  local result = { digest = source.digest, size = source.size }
  if self:plans("push the blob %s", context.target) then
    return result, "pushed"
  end
  if not source.digest then
    put_chunks(self, context, source)
    return { digest = context.digest, size = source.size }, "pushed"
  end
  local turn <close>, others = self.pace:turn_for(context.path) -- luacheck: ignore 211
  return result, send(self, context, source, opts, opts.check ~= false or others)
end

--- client:mount_blob(repo, digest, from?) -> boolean
--- Has the registry take a blob over from another of its repositories; false when it does not.
--- @async
--- @param repo string
--- @param digest string
--- @param from? string  the repository that has it; without it the registry looks for one that we may read, if it can
--- @return boolean
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local digest = "sha256:" .. ctz.hash.sha256("x")
--- @example assert(select(2, ctz.try(client.mount_blob, client, "a/b", digest, "a/c")):is "unreachable")
--- Api: OCI distribution-spec, end-11
local function mount_blob(self, repo, digest, from)
  local op <const> = "registry.client.mount_blob"
  local context = blobs.context_of(self, op, repo, digest, "pull,push")
  if self:plans("mount %s from %s", context.target, from or "wherever it is") then
    return true
  end
  local mounted, session = mount(self, context, from)
  if session then
    give_up(self, context, session)
  end
  return mounted == true
end

return { put_blob = put_blob, mount_blob = mount_blob }
