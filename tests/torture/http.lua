-- A GET, a stream, a file, an upload; args: the URL of a page with the text "hello", of a server that takes no PUT.
local ctz = require "ctz"
local http = require "ctz.http"
local url = ...
local answer = http.get(url, { timeout = 10 })
assert(answer.status == 200 and answer.body == "hello", answer.body)
local stream <close> = http.get(url, { stream = true })
assert(stream:read(5) == "hello")
local dir <close> = ctz.fs.tempdir()
http.get(url, { to = dir .. "/page" })
assert(ctz.fs.read(dir .. "/page") == "hello")
local pieces = { "a", ("b"):rep(200000) }
local taken, err = ctz.try(http.put, url, { body = function()
  return table.remove(pieces)
end, length = 200001, check = false })
assert(taken and taken.status == 501 or err and err.kind == "unreachable", tostring(err))
