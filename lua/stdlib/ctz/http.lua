-- http: requests, streams, downloads, uploads.
-- SPDX-License-Identifier: MIT
--
-- A request whose answer is held in memory is one call of the door. Whatever goes on while the recipe
-- runs (a stream, a body made piece by piece, a file, progress) is an exchange of the door, driven here.
local core = require "ctz.core.http"
local task = require "ctz.core.task"

local error, ipairs, next, pairs, pcall, require = error, ipairs, next, pairs, pcall, require
local setmetatable, tostring, type = setmetatable, tostring, type
local concat, sort = table.concat, table.sort

local PROGRESS_S <const> = 0.1 -- between two calls of on_progress
local ERROR_BYTES <const> = 65536 -- of the body of an error answer that is not saved

local function usage(text, ...)
  error(task.error { kind = "usage", message = text:format(...) }, 0)
end

-- --- bodies and queries ------------------------------------------------------------------------

local function escape(text)
  return (text:gsub("[^%w%-._~]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

local function pair(name, value, option)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    usage("bad argument 'opts.%s': the value of %s is a %s", option, name, kind)
  end
  return escape(name) .. "=" .. escape(tostring(value))
end

-- {b = 1, a = {"x", "y"}} is a=x&a=y&b=1: in the order of the names.
local function encode_pairs(fields, option)
  if type(fields) ~= "table" then
    usage("bad argument 'opts.%s': expected table, got %s", option, type(fields))
  end
  local names, parts = {}, {}
  for name in pairs(fields) do
    if type(name) ~= "string" then
      usage("bad argument 'opts.%s': a field has a name, got a %s as key", option, type(name))
    end
    names[#names + 1] = name
  end
  sort(names)
  for _, name in ipairs(names) do
    local value = fields[name]
    if type(value) ~= "table" then
      value = { value }
    end
    for _, one in ipairs(value) do
      parts[#parts + 1] = pair(name, one, option)
    end
  end
  return concat(parts, "&")
end

local function with_query(url, query)
  local text = encode_pairs(query, "query")
  if type(url) ~= "string" or text == "" then
    return url
  end
  local before, fragment = url:match("^([^#]*)(#?.*)$")
  local joint = not before:find("?", 1, true) and "?" or before:find("[?&]$") and "" or "&"
  return before .. joint .. text .. fragment
end

local function has_header(headers, wanted)
  for name in pairs(headers) do
    if type(name) == "string" and name:lower() == wanted then
      return true
    end
  end
  return false
end

local function set_body(opts, body, content_type)
  if opts.body ~= nil then
    usage("json and form make the body: give one of body, json and form")
  end
  opts.body = body
  local headers = {}
  for name, value in pairs(opts.headers or {}) do
    headers[name] = value
  end
  if not has_header(headers, "content-type") then
    headers["Content-Type"] = content_type
  end
  opts.headers = headers
end

-- What the door does not know becomes what it knows; the caller's table stays as it is.
local function prepare(url, opts)
  if type(opts) ~= "table" or (opts.query == nil and opts.json == nil and opts.form == nil) then
    return url, opts
  end
  local copy = {}
  for name, value in next, opts do
    copy[name] = value
  end
  if opts.query ~= nil then
    url = with_query(url, opts.query)
  end
  if opts.json ~= nil then
    set_body(copy, require("ctz.json").encode(opts.json), "application/json")
  end
  if opts.form ~= nil then
    set_body(copy, encode_pairs(opts.form, "form"), "application/x-www-form-urlencoded")
  end
  copy.query, copy.json, copy.form = nil, nil, nil
  return url, copy
end

-- opts.protocol is two headers.
local function with_protocol(opts)
  if type(opts) ~= "table" or opts.protocol == nil then
    return opts
  end
  local copy, headers = {}, { Connection = "Upgrade", Upgrade = opts.protocol }
  for name, value in next, opts do
    copy[name] = value
  end
  for name, value in pairs(opts.headers or {}) do
    headers[name] = value
  end
  copy.headers, copy.protocol = headers, nil
  return copy
end

-- --- streams -----------------------------------------------------------------------------------

local Stream = { __name = "ctz.http.stream" }
Stream.__index = Stream

--- stream:close() -> true
--- Ends the stream; its connection is closed unless all was read. A second call does nothing.
--- @example local s = ctz.try(ctz.http.get, "http://127.0.0.1:1/", {stream=true}) assert(s == nil)
function Stream:close()
  self.ended = true
  if self.sending then
    self.sending.task:cancel()
  end
  return self.exchange:close()
end

Stream.__close = Stream.close

-- A body that is still sent may fail while the answer is read.
local function take(self, ok, value)
  local sending = self.sending
  if sending and sending.err then
    value, ok = sending.err, false
  end
  if not ok then
    error(value, 0)
  elseif value == nil then
    self:close()
  end
  return value
end

--- stream:read(n?, opts?) -> string|nil
--- The bytes that are there, waiting for the first one; with n exactly n bytes, fewer at the end.
--- nil at the end. The sender is paused while nobody reads.
--- @async
--- @param n? ctz.bytes
--- @param opts.timeout? ctz.seconds  of this read; the stream can be read further
--- @error timeout nothing came by then
--- @error unreachable the connection broke
--- @error protocol the body is truncated or malformed
--- @example local _, err = ctz.try(ctz.http.get, "http://127.0.0.1:1/", {stream=true})
--- @example assert(err:is "unreachable")
function Stream:read(n, opts)
  if self.ended then
    return nil
  end
  return take(self, pcall(self.exchange.read, self.exchange, n, opts))
end

-- About so many bytes as a chunk (host/chunk.h), for another room.
function Stream:chunk(bytes)
  if self.ended then
    return nil
  end
  return take(self, pcall(self.exchange.chunk, self.exchange, bytes))
end

local function next_chunk(self)
  if self.ended then
    return nil
  end
  return take(self, pcall(self.exchange.read, self.exchange))
end

local function next_line(self)
  if self.ended then
    return nil
  end
  return take(self, pcall(self.exchange.line, self.exchange))
end

--- stream:chunks() -> iterator
--- for chunk in stream:chunks() do ... end: the body as it comes; break closes the stream.
--- @async
--- @example local _, err = ctz.try(ctz.http.get, "http://127.0.0.1:1/", {stream=true})
--- @example assert(err:is "unreachable")
function Stream:chunks()
  return next_chunk, self, nil, self
end

--- stream:lines() -> iterator
--- for line in stream:lines() do ... end: the body line by line, without line ends; break closes the
--- stream. The last line needs no line end.
--- @async
--- @error size a line is longer than the limit log_line_bytes
--- @example local _, err = ctz.try(ctz.http.get, "http://127.0.0.1:1/", {stream=true})
--- @example assert(err:is "unreachable")
function Stream:lines()
  return next_line, self, nil, self
end

-- An upgraded connection reads like a stream, and writes.
local Connection = setmetatable({ __name = "ctz.http.connection", __close = Stream.close }, { __index = Stream })
Connection.__index = Connection

--- connection:write(bytes, opts?) -> true
--- Sends all bytes; waits while the other side is slow.
--- @async
--- @param bytes string
--- @param opts.timeout? ctz.seconds  after it, how many bytes were sent is not known
--- @error timeout the other side does not take them
--- @error unreachable the connection broke
--- @example local _, err = ctz.try(ctz.http.upgrade, "http://127.0.0.1:1/", {protocol="tcp"})
--- @example assert(err:is "unreachable")
function Connection:write(bytes, opts)
  return self.exchange:write(bytes, opts)
end

--- connection:close_write() -> true
--- Tells the other side that we send no more; it may go on sending.
--- @example local _, err = ctz.try(ctz.http.upgrade, "http://127.0.0.1:1/", {protocol="tcp"})
--- @example assert(err:is "unreachable")
function Connection:close_write()
  return self.exchange:finish()
end

-- --- exchanges ---------------------------------------------------------------------------------

-- Closes the exchange unless it was handed on.
local Guard = {
  __close = function(self)
    if self.exchange then
      self.exchange:close()
    end
  end,
}

local function tell_progress(exchange, on_progress)
  local received, total, sent, to_send, seconds = exchange:progress()
  on_progress { received = received, total = total, sent = sent, to_send = to_send, seconds = seconds }
  return seconds
end

local function wait_for_answer(exchange, on_progress)
  if on_progress then
    while not exchange:step(PROGRESS_S) do
      tell_progress(exchange, on_progress)
    end
    tell_progress(exchange, on_progress)
  end
  return exchange:response()
end

local function send_body(exchange, body)
  for chunk in body do
    if type(chunk) ~= "string" and type(chunk) ~= "userdata" then -- the door knows chunks from others
      usage("the function that makes the body returned a %s", type(chunk))
    end
    if not exchange:write(chunk) then
      return -- it was answered already
    end
  end
  exchange:finish()
end

local function exchange_bodies(exchange, opts)
  local on_progress = opts.on_progress
  if type(opts.body) ~= "function" then
    return wait_for_answer(exchange, on_progress)
  end
  return task.scope(function()
    task.spawn(function()
      send_body(exchange, opts.body)
    end, { background = true })
    return wait_for_answer(exchange, on_progress)
  end)
end

local function save(exchange, path, on_progress)
  local told = 0
  exchange:save_open(path)
  while exchange:fill() do
    exchange:save_write()
    local _, _, _, _, seconds = exchange:progress()
    if on_progress and seconds - told >= PROGRESS_S then
      told = tell_progress(exchange, on_progress)
    end
  end
  exchange:save_close()
  if on_progress then
    tell_progress(exchange, on_progress)
  end
end

-- Some servers answer while the body comes (a build tells its steps): it is sent on while the answer is
-- read, as a background task of the caller's scope. When it fails, or that scope ends, the exchange does.
local function stream_bodies(exchange, opts)
  local sending = {}
  sending.task = task.spawn(function()
    local ok, err = pcall(send_body, exchange, opts.body)
    if not ok then
      sending.err = err
      exchange:close()
    end
  end, { background = true })
  local ok, response = pcall(wait_for_answer, exchange, opts.on_progress)
  if not ok then
    sending.task:cancel()
    error(sending.err or response, 0)
  end
  response.sending = sending
  return response
end

-- With check=false the body of an error is no file: its beginning is the answer's body.
local function read_error(exchange)
  local parts, size = {}, 0
  repeat
    local chunk = exchange:read()
    parts[#parts + 1] = chunk
    size = size + #(chunk or "")
  until not chunk or size > ERROR_BYTES
  return concat(parts)
end

local function drive(url, opts, method)
  if opts.on_progress ~= nil and type(opts.on_progress) ~= "function" then
    usage("bad argument 'opts.on_progress': expected function, got %s", type(opts.on_progress))
  end
  local guard <close> = setmetatable({}, Guard)
  local exchange = core.open(url, opts, method)
  guard.exchange = exchange
  local is_duplex = opts.stream and type(opts.body) == "function"
  local response = (is_duplex and stream_bodies or exchange_bodies)(exchange, opts)
  if opts.to and response.status >= 400 then
    response.body = read_error(exchange)
  elseif opts.to then
    save(exchange, opts.to, opts.on_progress)
    response.path = opts.to
  elseif opts.stream then
    response.exchange = exchange
    guard.exchange = nil
    setmetatable(response, Stream)
  end
  return response
end

local function needs_exchange(opts)
  return type(opts) == "table"
    and (opts.stream or opts.to or opts.on_progress or type(opts.body) == "function")
end

local function verb(perform, method)
  return function(url, opts)
    url, opts = prepare(url, opts)
    if needs_exchange(opts) then
      return drive(url, opts, method)
    end
    return perform(url, opts)
  end
end

local function connect(begin, url, opts)
  local guard <close> = setmetatable({}, Guard)
  local exchange = begin(url, opts)
  guard.exchange = exchange
  local connection = exchange:response()
  connection.exchange = exchange
  guard.exchange = nil
  return setmetatable(connection, Connection)
end

-- --- the module --------------------------------------------------------------------------------

local http = {}

--- ctz.http.request(url, opts?) -> table
--- Sends a request and returns {status, headers, body, url, http_version}. headers is found in any
--- case (headers["Content-Type"]), its names are in lower case; several of one name are joined with
--- ", " (set-cookie with a line end). url is where redirects ended. A status of 400 or more raises
--- unless check=false. Names are resolved, TLS is verified, gzip, deflate, br and zstd are decoded,
--- and redirects are followed; to another host they take no credential along.
--- @async
--- @param url string  http:// or https://; user:password@ in it is sent as Authorization
--- @param opts.method? string  default GET
--- @param opts.headers? table  {Name = value or list of values}
--- @param opts.query? table  {name = value or list}: is appended to the URL, encoded
--- @param opts.body? string|fun(): string?  a function is called for the next piece until it returns nil
--- @param opts.length? ctz.bytes  of the body that a function makes; without it the body is chunked
--- @param opts.json? any  the body, as JSON
--- @param opts.form? table  the body, as an HTML form sends it
--- @param opts.timeout? ctz.seconds  for the whole answer, of a stream for its head; default: none but ctz.timeout
--- @param opts.idle_timeout? ctz.seconds  without a byte; default 60, streams none
--- @param opts.connect_timeout? ctz.seconds  default 30
--- @param opts.stream? boolean  returns when the head is there: read with chunks(), lines(), read(n)
--- @param opts.to? string  saves the body as this file, which appears when it is complete
--- @param opts.on_progress? fun(p: table)  {received, total?, sent, to_send?, seconds}, ten times a second
--- @param opts.max_bytes? ctz.bytes  of the decoded body; default the limit http_body_bytes
--- @param opts.redirects? integer  most to follow, 0: a redirect is an answer; default the limit http_redirects
--- @param opts.once? boolean  true: never sent again on a new connection when a kept one proves dead, as GET, HEAD, PUT
---   and DELETE are
--- @param opts.check? boolean  false: a status of 400 or more is an answer like others
--- @param opts.compressed? boolean  asks for compression and decodes it; default true, of streams and files false
--- @param opts.unix_socket? string  path of the socket to connect to
--- @param opts.proxy? string  URL; "" for none; default as http_proxy, https_proxy and no_proxy say
--- @param opts.auth? table  {user=, password=}
--- @param opts.bearer? string  token
--- @param opts.tls? table  {ca=, cert=, key=} files or PEM texts, server_name=, insecure=
--- @param opts.insecure? boolean  no check of TLS for this host; warned of
--- @param opts.http_version? "1.1"|"2"  default 1.1; 2 is a wish: the server or a kept connection may have 1.1
--- @return {status: integer, headers: table, body: string, url: string, http_version: string}
--- @error usage the call is wrong, or the server says so (400, 405, 422)
--- @error not_found 404, 410
--- @error auth 401, 407, or TLS wants a certificate of ours
--- @error denied 403, or --allow does not grant net=host:port, or a redirect from https to http
--- @error conflict 409, 412
--- @error rate_limited 429; err.retry_after tells the seconds
--- @error timeout 408, 504, or ours
--- @error unreachable nobody listens, no such host, the connection broke, 500, 502, 503
--- @error protocol TLS is not to be trusted, the answer is malformed or truncated, too many redirects
--- @error size the body or the headers are longer than the limit
--- @example local _, err = ctz.try(ctz.http.request, "http://127.0.0.1:1/", {method="OPTIONS"})
--- @example assert(err:is "unreachable" and err.retryable)
http.request = verb(core.request)

--- ctz.http.get(url, opts?) -> table
--- GET: see ctz.http.request.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request
--- @example local _, err = ctz.try(ctz.http.get, "http://127.0.0.1:1/") assert(err:is "unreachable")
http.get = verb(core.get, "GET")

--- ctz.http.head(url, opts?) -> table
--- HEAD, an answer without a body: see ctz.http.request.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request
--- @example local _, err = ctz.try(ctz.http.head, "http://127.0.0.1:1/") assert(err:is "unreachable")
http.head = verb(core.head, "HEAD")

--- ctz.http.post(url, opts?) -> table
--- POST: see ctz.http.request. It is never sent twice by itself.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request
--- @example local _, err = ctz.try(ctz.http.post, "http://127.0.0.1:1/", {body="x"})
--- @example assert(err:is "unreachable")
http.post = verb(core.post, "POST")

--- ctz.http.put(url, opts?) -> table
--- PUT: see ctz.http.request.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request
--- @example local _, err = ctz.try(ctz.http.put, "http://127.0.0.1:1/", {body="x"})
--- @example assert(err:is "unreachable")
http.put = verb(core.put, "PUT")

--- ctz.http.delete(url, opts?) -> table
--- DELETE: see ctz.http.request.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request
--- @example local _, err = ctz.try(ctz.http.delete, "http://127.0.0.1:1/") assert(err:is "unreachable")
http.delete = verb(core.delete, "DELETE")

--- ctz.http.upgrade(url, opts?) -> connection
--- Asks the server to leave HTTP (101 Switching Protocols) and returns the connection: read(n?),
--- chunks(), lines(), write(bytes), close_write(), close().
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request, without what concerns bodies made piece by piece
--- @param opts.protocol? string  sent as Upgrade
--- @error protocol the server answers something else than 101
--- @example local _, err = ctz.try(ctz.http.upgrade, "http://127.0.0.1:1/", {protocol="tcp"})
--- @example assert(err:is "unreachable")
function http.upgrade(url, opts)
  url, opts = prepare(url, opts)
  return connect(core.upgrade, url, with_protocol(opts))
end

--- ctz.http.connect(url, opts?) -> connection
--- Connects to the URL's host as a request would (TLS, proxy, unix socket) and asks nothing: the recipe
--- sends the first byte. The connection is that of ctz.http.upgrade.
--- @async
--- @param url string
--- @param opts? table  of ctz.http.request, as far as they concern the connection
--- @param opts.http_version? "1.1"|"2"  2: TLS offers HTTP/2 and nothing else
--- @error unreachable nobody listens, no such host
--- @error unsupported the server does not take the offer of HTTP/2
--- @example local _, err = ctz.try(ctz.http.connect, "http://127.0.0.1:1/") assert(err:is "unreachable")
function http.connect(url, opts)
  return connect(core.connect, url, opts)
end

return http
