---@meta ctz.http
-- Generated from the doc comments; do not edit.

---requests, streams, downloads, uploads.
---@class ctz.http
local http = {}

---@class ctz.http.connect.opts
---@field http_version? "1.1"|"2"  2: TLS offers HTTP/2 and nothing else

---Connects to the URL's host as a request would (TLS, proxy, unix socket) and asks nothing: the recipe sends the first byte. The connection is that of ctz.http.upgrade.
---@async
---@param url string
---@param opts? ctz.http.connect.opts  of ctz.http.request, as far as they concern the connection
---@return connection
function http.connect(url, opts) end

---DELETE: see ctz.http.request.
---@async
---@param url string
---@param opts? table  of ctz.http.request
---@return table
function http.delete(url, opts) end

---GET: see ctz.http.request.
---@async
---@param url string
---@param opts? table  of ctz.http.request
---@return table
function http.get(url, opts) end

---HEAD, an answer without a body: see ctz.http.request.
---@async
---@param url string
---@param opts? table  of ctz.http.request
---@return table
function http.head(url, opts) end

---POST: see ctz.http.request. It is never sent twice by itself.
---@async
---@param url string
---@param opts? table  of ctz.http.request
---@return table
function http.post(url, opts) end

---PUT: see ctz.http.request.
---@async
---@param url string
---@param opts? table  of ctz.http.request
---@return table
function http.put(url, opts) end

---@class ctz.http.request.opts
---@field method? string  default GET
---@field headers? table  {Name = value or list of values}
---@field query? table  {name = value or list}: is appended to the URL, encoded
---@field body? string|fun(): string?  a function is called for the next piece until it returns nil
---@field length? ctz.bytes  of the body that a function makes; without it the body is chunked
---@field json? any  the body, as JSON
---@field form? table  the body, as an HTML form sends it
---@field timeout? ctz.seconds  for the whole answer, of a stream for its head; default: none but ctz.timeout
---@field idle_timeout? ctz.seconds  without a byte; default 60, streams none
---@field connect_timeout? ctz.seconds  default 30
---@field stream? boolean  returns when the head is there: read with chunks(), lines(), read(n)
---@field to? string  saves the body as this file, which appears when it is complete
---@field on_progress? fun(p: table)  {received, total?, sent, to_send?, seconds}, ten times a second
---@field max_bytes? ctz.bytes  of the decoded body; default the limit http_body_bytes
---@field redirects? integer  most to follow, 0: a redirect is an answer; default the limit http_redirects
---@field once? boolean  true: never sent again on a new connection when a kept one proves dead, as GET, HEAD, PUT and DELETE are
---@field check? boolean  false: a status of 400 or more is an answer like others
---@field compressed? boolean  asks for compression and decodes it; default true, of streams and files false
---@field unix_socket? string  path of the socket to connect to
---@field proxy? string  URL; "" for none; default as http_proxy, https_proxy and no_proxy say
---@field auth? table  {user=, password=}
---@field bearer? string  token
---@field tls? table  {ca=, cert=, key=} files or PEM texts, server_name=, insecure=
---@field insecure? boolean  no check of TLS for this host; warned of
---@field http_version? "1.1"|"2"  default 1.1; 2 is a wish: the server or a kept connection may have 1.1

---Sends a request and returns {status, headers, body, url, http_version}. headers is found in any case (headers["Content-Type"]), its names are in lower case; several of one name are joined with ", " (set-cookie with a line end). url is where redirects ended. A status of 400 or more raises unless check=false. Names are resolved, TLS is verified, gzip, deflate, br and zstd are decoded, and redirects are followed; to another host they take no credential along.
---@async
---@param url string  http:// or https://; user:password@ in it is sent as Authorization
---@param opts? ctz.http.request.opts
---@return {status: integer, headers: table, body: string, url: string, http_version: string}
function http.request(url, opts) end

---@class ctz.http.upgrade.opts
---@field protocol? string  sent as Upgrade

---Asks the server to leave HTTP (101 Switching Protocols) and returns the connection: read(n?), chunks(), lines(), write(bytes), close_write(), close().
---@async
---@param url string
---@param opts? ctz.http.upgrade.opts  of ctz.http.request, without what concerns bodies made piece by piece
---@return connection
function http.upgrade(url, opts) end

---@class ctz.connection
local connection = {}

---Tells the other side that we send no more; it may go on sending.
---@return true
function connection:close_write() end

---@class ctz.connection.write.opts
---@field timeout? ctz.seconds  after it, how many bytes were sent is not known

---Sends all bytes; waits while the other side is slow.
---@async
---@param bytes string
---@param opts? ctz.connection.write.opts
---@return true
function connection:write(bytes, opts) end

---@class ctz.stream
local stream = {}

---for chunk in stream:chunks() do ... end: the body as it comes; break closes the stream.
---@async
---@return fun(): any
function stream:chunks() end

---Ends the stream; its connection is closed unless all was read. A second call does nothing.
---@return true
function stream:close() end

---for line in stream:lines() do ... end: the body line by line, without line ends; break closes the stream. The last line needs no line end.
---@async
---@return fun(): any
function stream:lines() end

---@class ctz.stream.read.opts
---@field timeout? ctz.seconds  of this read; the stream can be read further

---The bytes that are there, waiting for the first one; with n exactly n bytes, fewer at the end. nil at the end. The sender is paused while nobody reads.
---@async
---@param n? ctz.bytes
---@param opts? ctz.stream.read.opts
---@return string|nil
function stream:read(n, opts) end

return http
