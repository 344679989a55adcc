-- http_spec.lua: ctz.http against a server that answers well, badly, slowly or not at all.
local ctz = require "ctz"
local faults = dofile "tests/testbed/http_faults.lua"
local program = require "tests.lua.support.program"
local http = ctz.http

local server

setup(function()
  server = faults.start()
end)

teardown(function()
  server:stop()
end)

local function url(path, name)
  return server:url(path, name)
end

-- The error that fn raises.
local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end

-- /count/PATH: requests for the path, connections so far, connections open now.
local function counts(path)
  local asked, connections, open = http.get(url("/count" .. path)).body:match("(%d+) (%d+) (%d+)")
  return tonumber(asked), tonumber(connections), tonumber(open)
end

local function eventually(check)
  ctz.timeout(20, function()
    while not check() do
      ctz.sleep(0.01)
    end
  end)
end

describe("ctz.http.get", function()
  it("returns status, headers, body, url and version", function()
    local answer = http.get(url "/hello")
    assert.equal(200, answer.status)
    assert.equal("hello", answer.body)
    assert.equal(url "/hello", answer.url)
    assert.equal("1.1", answer.http_version)
    assert.equal("text/plain", answer.headers["content-type"])
  end)

  it("finds headers in any case and joins those of one name", function()
    local headers = http.get(url "/hello").headers
    assert.equal("5", headers["Content-Length"])
    assert.equal("a, b", headers["X-TWICE"])
    assert.equal("a=1, b\nc=2", headers["Set-Cookie"])
    assert.is_nil(headers["No-Such"])
    assert.is_nil(headers[1])
  end)

  it("encodes the query, in the order of its names", function()
    local body = http.get(url "/echo", { query = { b = 1, a = { "x y", "&=#?%/" }, c = true } }).body
    assert.matches("^GET /echo%?a=x%%20y&a=%%26%%3D%%23%%3F%%25%%2F&b=1&c=true\n", body)
    assert.matches("GET /echo%?z=1&a=2\n", http.get(url "/echo?z=1#part", { query = { a = 2 } }).body)
  end)

  it("sends headers, several of one name, numbers and secrets", function()
    local body = http.get(url "/echo", {
      headers = { Accept = { "a/b", "c/d" }, ["X-Number"] = 7, ["X-Empty"] = "", ["X-Key"] = ctz.secret "s3cret-key" },
    }).body
    assert.matches("\nAccept: a/b\nAccept: c/d\n", body)
    assert.matches("\nX%-Number: 7\n", body)
    assert.matches("\nX%-Empty: ?\n", body)
    assert.matches("\nX%-Key: s3cret%-key\n", body)
    assert.matches("\nUser%-Agent: ctz/", body)
  end)

  it("names the nearest option when one is unknown", function()
    local err = failure(http.get, url "/hello", { heders = {} })
    assert.equal("usage", err.kind)
    assert.matches("did you mean 'headers'?", err.message, 1, true)
  end)

  it("refuses what is no URL before anything is sent", function()
    for text, words in pairs {
      ["example.org/x"] = "is no URL",
      ["ftp://example.org/"] = "only http and https",
      ["file:///etc/passwd"] = "only http and https",
      ["gopher://example.org/"] = "only http and https",
      ["http://"] = "is no URL",
      ["http:///x"] = "is no URL",
      ["http://a b/"] = "is no URL",
      ["http://a/\r\nX: y"] = "is no URL",
      ["http://a/\127"] = "is no URL",
      ["http://a:99999/"] = "is no URL",
      ["http://[::1/"] = "is no URL",
    } do
      local err = failure(http.get, text)
      assert.equal("usage", err.kind, text)
      assert.matches(words, err.message, 1, true)
    end
    assert.matches("NUL byte", failure(http.get, "http://a/\0b").message)
    assert.matches("it is empty", failure(http.get, "").message)
    assert.matches("longer than", failure(http.get, "http://a/" .. ("x"):rep(70000)).message)
  end)

  it("refuses headers that could be two", function()
    for name, value in pairs {
      ["X-A"] = "a\r\nX-B: b",
      ["X-C"] = "a\nb",
      ["X-D"] = "a\0b",
      ["X-E"] = "\27[0m",
      ["X F"] = "v",
      ["X:G"] = "v",
      [""] = "v",
      ["X\r\nH"] = "v",
      ["Content-Length"] = "3",
      ["Transfer-Encoding"] = "chunked",
    } do
      local err = failure(http.get, url "/hello", { headers = { [name] = value } })
      assert.equal("usage", err.kind, name)
    end
    assert.equal("usage", failure(http.get, url "/hello", { bearer = "a\nb" }).kind)
    assert.equal("usage", failure(http.get, url "/hello", { auth = { user = "a:b", password = "" } }).kind)
    assert.equal("usage", failure(http.request, url "/hello", { method = "GET /x HTTP/1.1\r\n" }).kind)
  end)

  it("encodes spaces and bytes above ASCII in a path", function()
    assert.matches("^get /echo/a%%20%%c3%%bc\n", http.get(url "/echo/a \u{FC}").body:lower())
  end)

  it("sends a user and password, or a token, as Authorization", function()
    local basic = "\nAuthorization: Basic " .. ctz.base64.encode "me:s3cret/pw" .. "\n"
    local body = http.get(url "/echo", { auth = { user = "me", password = ctz.secret "s3cret/pw" } }).body
    assert.matches(basic, body, 1, true)
    local with = (url "/echo"):gsub("//", "//me:s3cret%%2Fpw@", 1)
    body = http.get(with).body
    assert.matches(basic, body, 1, true)
    body = http.get(url "/echo", { bearer = "tok" }).body
    assert.matches("\nAuthorization: Bearer tok\n", body, 1, true)
  end)

  it("shows no password of a URL in its answer or error", function()
    local with = (url "/status/404"):gsub("//", "//me:hunter2@", 1)
    local err = failure(http.get, with)
    assert.is_nil(tostring(err):find("hunter2", 1, true))
    assert.is_nil(http.get(with, { check = false }).url:find("hunter2", 1, true))
    err = failure(http.get, "http://me:hunter2@a b/")
    assert.matches('"http://***@a b/" is no URL', err.message, 1, true)
  end)

  it("decodes gzip, and asks for none when compressed is false", function()
    assert.equal(("packed text "):rep(100), http.get(url "/gzip").body)
    assert.equal("nobody asked for gzip", http.get(url "/gzip", { compressed = false }).body)
  end)

  it("takes an answer to HEAD that says how long the body would be", function()
    local answer = http.head(url "/hello")
    assert.equal("", answer.body)
    assert.equal("5", answer.headers["content-length"])
  end)
end)

describe("ctz.http.post", function()
  it("sends a body as it is and says its length", function()
    local body = http.post(url "/echo", { body = "a\0b\n" }).body
    assert.matches("^POST /echo\n", body)
    assert.matches("\nContent%-Length: 4\n", body)
    assert.is_nil(body:find("Content-Type", 1, true))
    assert.is_nil(body:find("Expect", 1, true))
    assert.equal("a\0b\n", body:match("\n\n(.*)$"))
  end)

  it("says that there is no body by its length", function()
    for _, method in ipairs { "POST", "PUT", "PATCH" } do
      assert.matches("\nContent%-Length: 0\n", http.request(url "/echo", { method = method }).body)
    end
    assert.is_nil(http.delete(url "/echo").body:find("Content-Length", 1, true))
  end)

  it("encodes json and form, and leaves the caller's table as it was", function()
    local opts = { json = { list = {}, n = 1 }, headers = { ["X-A"] = "1" } }
    local body = http.post(url "/echo", opts).body
    assert.matches("\nContent%-Type: application/json\n", body)
    assert.equal(1, ctz.json.decode(body:match("\n\n(.*)$")).n)
    assert.is_nil(opts.body)
    assert.is_nil(opts.headers["Content-Type"])
    body = http.post(url "/echo", { form = { b = "x y", a = "&" } }).body
    assert.matches("\nContent%-Type: application/x%-www%-form%-urlencoded\n", body)
    assert.matches("\n\na=%%26&b=x%%20y$", body)
    assert.equal("usage", failure(http.post, url "/echo", { form = {}, body = "x" }).kind)
  end)

  it("keeps a content type of the caller's", function()
    local body = http.post(url "/echo", { json = 1, headers = { ["content-type"] = "application/x+json" } }).body
    assert.matches("\ncontent%-type: application/x%+json\n", body)
    assert.is_nil(body:find("Content-Type", 1, true))
  end)

  it("sends 8 MB unchanged", function()
    local body = ("0123456789abcdef"):rep(1 << 19)
    assert.equal(#body .. " " .. ctz.hash.sha256(body), http.put(url "/digest", { body = body }).body)
  end)
end)

describe("a status of 400 or more", function()
  it("raises the kind that it stands for", function()
    for status, kind in pairs {
      [400] = "usage", [401] = "auth", [403] = "denied", [404] = "not_found", [405] = "unsupported",
      [407] = "auth", [408] = "timeout", [409] = "conflict", [410] = "not_found", [412] = "conflict",
      [413] = "size", [422] = "usage", [429] = "rate_limited", [500] = "unreachable", [501] = "unsupported",
      [502] = "unreachable", [503] = "unreachable", [504] = "timeout",
    } do
      local err = failure(http.get, url("/status/" .. status))
      assert.equal(kind, err.kind, status)
      assert.equal(status, err.status)
      assert.equal(url("/status/" .. status), err.target)
      assert.matches('the server says "{"message":"status ' .. status .. '"}"', err.message, 1, true)
    end
  end)

  it("says whether trying again may help, for POST only when nothing was done", function()
    for status, retryable in pairs { [404] = false, [429] = true, [500] = true, [501] = false, [503] = true } do
      assert.equal(retryable, failure(http.get, url("/status/" .. status)).retryable, status)
    end
    assert.is_false(failure(http.post, url "/status/500").retryable)
    assert.is_true(failure(http.post, url "/status/503").retryable)
  end)

  it("is an answer like others with check=false", function()
    local answer = http.get(url "/status/418", { check = false })
    assert.equal(418, answer.status)
    assert.equal('{"message":"status 418"}', answer.body)
  end)

  it("tells Retry-After in seconds, also when it is a date", function()
    local later = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 100):gsub(" ", "_")
    assert.equal(3600, failure(http.get, url "/status/429?3600").retry_after)
    local seconds = failure(http.get, url("/status/503?" .. later)).retry_after
    assert.is_true(seconds > 60 and seconds <= 100, seconds)
    for _, value in ipairs { "-5", "soon", "Thu,_01_Jan_1970_00:00:00_GMT", "1.5", "" } do
      assert.is_nil(failure(http.get, url("/status/429?" .. value)).retry_after, value)
    end
  end)

  it("leaves its connection for the next request", function()
    local first = http.get(url "/status/404", { check = false }).headers["x-connection"]
    assert.equal(first, http.get(url "/hello").headers["x-connection"])
    assert.is_false(pcall(http.get, url "/status/500", { stream = true }))
    assert.equal(first, http.get(url "/hello").headers["x-connection"])
  end)
end)

describe("a redirect", function()
  local function redirect(status, to, opts)
    opts = opts or {}
    return http.request(url("/redirect/" .. status .. "?" .. to), opts)
  end

  it("is followed, also when it is relative, and url tells where it ended", function()
    for _, status in ipairs { 301, 302, 303, 307, 308 } do
      assert.equal(url "/hello", redirect(status, "/hello").url)
    end
    assert.equal(url "/hello", redirect(302, "../hello").url)
    assert.equal("arrived", http.get(url "/hops/10").body)
  end)

  it("is an answer with redirects=0", function()
    local answer = redirect(302, "/hello", { redirects = 0 })
    assert.equal(302, answer.status)
    assert.equal("/hello", answer.headers.location)
  end)

  it("ends after the limit with the place it points to", function()
    local err = failure(http.get, url "/loop/1")
    assert.equal("protocol", err.kind)
    assert.matches("more than 10 redirects", err.message)
    assert.matches("/loop/12", err.hint)
    assert.equal("protocol", failure(http.get, url "/hops/3", { redirects = 2 }).kind)
  end)

  it("makes GET of POST for 301, 302 and 303, and keeps method and body for 307 and 308", function()
    local opts = { method = "POST", body = "x", headers = { ["Content-Type"] = "a/b" } }
    for _, status in ipairs { 301, 302, 303 } do
      local body = redirect(status, "/echo", opts).body
      assert.matches("^GET /echo\n", body)
      assert.is_nil(body:find("Content-", 1, true))
    end
    for _, status in ipairs { 307, 308 } do
      local body = redirect(status, "/echo", opts).body
      assert.matches("^POST /echo\n", body)
      assert.matches("\nContent%-Type: a/b\n.*\n\nx$", body)
    end
    assert.matches("^PUT ", redirect(302, "/echo", { method = "PUT", body = "x" }).body)
    assert.matches("^GET ", redirect(303, "/echo", { method = "PUT", body = "x" }).body)
  end)

  it("takes credentials and headers along on the same host", function()
    local body = redirect(307, "/echo", { bearer = "tok", headers = { Cookie = "c", ["X-Vault-Token"] = "v" } }).body
    assert.matches("\nAuthorization: Bearer tok\n", body, 1, true)
    assert.matches("\nCookie: c\n", body, 1, true)
    assert.matches("\nX-Vault-Token: v\n", body, 1, true)
  end)

  it("takes no credential to another port, only headers of a known list", function()
    local body = redirect(307, url("/echo", "other"), {
      method = "POST", body = "x", bearer = "tok",
      headers = { Cookie = "c", ["X-Vault-Token"] = "v", Accept = "a/b", ["Content-Type"] = "t/u", Host = "x.test" },
    }).body
    for _, word in ipairs { "tok", "Cookie", "Vault", "x.test" } do
      assert.is_nil(body:find(word, 1, true), word)
    end
    assert.matches("\nAccept: a/b\n", body, 1, true)
    assert.matches("\nContent-Type: t/u\n", body, 1, true)
    assert.matches("\n\nx$", body)
  end)

  it("gives nothing back when it returns to the first host", function()
    local back = url("/redirect/302?" .. url "/echo", "other")
    local body = redirect(302, back, { bearer = "tok", headers = { Cookie = "c" } }).body
    assert.is_nil(body:find("tok", 1, true))
    assert.is_nil(body:find("Cookie", 1, true))
  end)

  it("ignores credentials that the new place names", function()
    local to = url("/echo", "other"):gsub("//", "//evil:pw@", 1)
    assert.is_nil(redirect(302, to).body:find("Authorization", 1, true))
  end)

  it("to another scheme is refused", function()
    for _, to in ipairs { "file:///etc/passwd", "gopher://127.0.0.1:1/x", "unix:/run/x.sock", "ftp://127.0.0.1/" } do
      assert.equal("protocol", failure(redirect, 302, to).kind, to)
    end
  end)

  it("asks a body made by a function again never", function()
    local parts = { "a", "b" }
    local err = failure(redirect, 307, "/echo", {
      method = "POST",
      body = function()
        return table.remove(parts, 1)
      end,
    })
    assert.equal("unsupported", err.kind)
  end)

  it("asks --allow for each place", function()
    local recipe = ([[
      local ctz = require "ctz"
      assert(ctz.http.get("%s").status == 200)
      local _, err = ctz.try(ctz.http.get, "%s")
      print(err.kind, err.message, err.hint)
      _, err = ctz.try(ctz.http.get, "%s")
      print(err.kind)
    ]]):format(url "/hello", url("/redirect/302?" .. url("/hello", "other")), url("/hello", "other"))
    local result = program.recipe(recipe, { "--allow", "net=127.0.0.1:" .. server.ports.http })
    assert.equal(0, result.code, result.err)
    assert.matches("^denied\t.*may not reach\t%-%-allow net=127.0.0.1:%d+ grants it\ndenied\n$", result.out)
  end)
end)

describe("a connection", function()
  it("is used again", function()
    local first = http.get(url "/hello").headers["x-connection"]
    for _ = 1, 5 do
      assert.equal(first, http.get(url "/hello").headers["x-connection"])
    end
  end)

  it("that ended between two requests is made anew, for POST too", function()
    for _, send in ipairs { http.post, http.get, http.post } do
      http.get(url("/close-after", "other"))
      eventually(function() -- the other server has seen it end, and so can we
        return http.get(url "/count/x?other").body:match("%d+$") == "0"
      end)
      assert.equal("hello", send(url("/hello", "other")).body)
      http.get(url("/close-after", "other"))
    end
  end)

  it("that dies when it is used again costs a GET one retry and a POST an error", function()
    local path = "/dies-when-used-again"
    http.get(url(path, "other"))
    assert.equal("first", http.get(url(path, "other")).body)
    local err = failure(http.post, url(path, "other"), { body = "x" })
    assert.equal("unreachable", err.kind)
    assert.is_false(err.retryable)
    http.get(url(path, "other"))
    err = failure(http.post, url(path, "other"))
    assert.equal("unreachable", err.kind)
  end)

  it("is closed when its request is cancelled", function()
    local _, _, before = counts "/silent"
    local task = ctz.spawn(function()
      http.get(url "/silent")
    end)
    eventually(function()
      return select(3, counts "/silent") > before
    end)
    task:cancel()
    eventually(function()
      return select(3, counts "/silent") <= before
    end)
  end)

  it("to localhost tries all its addresses", function()
    assert.equal("hello", http.get(("http://localhost:%d/hello"):format(server.ports.http)).body)
    assert.equal("unreachable", failure(http.get, "http://localhost:1/").kind)
  end)

  it("to a port where nobody listens is refused with the port", function()
    local err = failure(http.get, "http://127.0.0.1:1/")
    assert.equal("unreachable", err.kind)
    assert.equal("ECONNREFUSED", err.code)
    assert.matches("127.0.0.1:1: connection refused", err.message, 1, true)
    assert.is_true(err.retryable)
  end)

  it("to a name that does not exist says so", function()
    local err = failure(http.get, "http://no-such-host.invalid/")
    assert.equal("unreachable", err.kind)
    assert.matches('cannot find the host "no-such-host.invalid"', err.message, 1, true)
  end)

  it("carries nothing of one request into the next", function()
    local plain = http.get(url "/echo").body
    for _, opts in ipairs {
      { bearer = "tok", headers = { Cookie = "c", Accept = "a/b", ["User-Agent"] = "u" } },
      { method = "POST", body = "x", headers = { ["Content-Type"] = "a/b" } },
      { method = "HEAD" },
      { method = "PUT", body = function() return nil end },
      { compressed = false },
      { http_version = "2" },
      { unix_socket = server.folder .. "/http.sock" },
      { stream = true },
      { max_bytes = 100000, timeout = 10, query = { a = 1 } },
    } do
      http.request(url "/echo", opts)
      assert.equal(plain, http.get(url "/echo").body)
      assert.equal(plain, http.get(url "/echo").body)
    end
  end)

  it("waits for its turn when descriptors are few", function()
    local recipe = ([[
      local ctz = require "ctz"
      local list = {}
      for i = 1, 100 do list[i] = i end
      local answers = ctz.map(list, function() return ctz.http.get("%s").body end, {jobs=100})
      print(#answers, answers[100])
    ]]):format(url "/hello")
    local folder = program.folder()
    program.write(folder .. "/recipe.lua", recipe)
    local result = program.shell(("prlimit --nofile=18 '%s' run '%s/recipe.lua'"):format(program.path, folder))
    program.remove(folder)
    assert.equal("100\thello\n", result.out, result.err)
  end)

  it("serves a thousand tasks at once", function()
    local list = {}
    for i = 1, 1000 do
      list[i] = i
    end
    local answers = ctz.map(list, function(i)
      return http.get(url "/echo", { query = { i = i } }).body:match("i=(%d+)")
    end, { jobs = 1000 })
    for i = 1, 1000 do
      assert.equal(tostring(i), answers[i])
    end
  end)
end)

describe("limits", function()
  it("end headers that are too long", function()
    for _, path in ipairs { "/headers/100000/1", "/headers/40/10000", "/headers/1/10000000" } do
      assert.equal("size", failure(http.get, url(path)).kind, path)
    end
    assert.equal(200, http.get(url "/headers/200/100").status)
  end)

  it("end a thousand informational answers, and let a few pass", function()
    assert.equal("informed", http.get(url "/informed/3").body)
    assert.equal("size", failure(http.get, url "/informed/20000").kind)
  end)

  it("end a body that is longer than max_bytes", function()
    local err = failure(http.get, url "/bytes/1001", { max_bytes = 1000 })
    assert.equal("size", err.kind)
    assert.equal(1000, #http.get(url "/bytes/1000", { max_bytes = 1000 }).body)
    assert.equal("size", failure(http.get, url "/endless", { max_bytes = 100000 }).kind)
  end)

  it("end 1 GiB out of a gzip of 1 MB in kind size, with little memory", function()
    local sanitized = program.read("/proc/self/maps"):find("libasan", 1, true)
    local most_kib = sanitized and 800 * 1024 or 150 * 1024
    local recipe = ([[
      local ctz = require "ctz"
      local _, err = ctz.try(ctz.http.get, "%s")
      local peak = io.open("/proc/self/status"):read("a"):match("VmHWM:%%s*(%%d+)")
      print(err.kind, tonumber(peak) < %d)
    ]]):format(url "/bomb/1073741824", most_kib)
    local result = program.recipe(recipe, { "--timeout", "50" })
    assert.equal("size\ttrue\n", result.out, result.err)
  end)

  it("refuse a body that is encoded twice", function()
    assert.equal("protocol", failure(http.get, url "/coded-twice").kind)
    assert.equal("protocol", failure(http.get, url "/bad-gzip").kind)
  end)
end)

describe("a malformed answer", function()
  local function raw(text)
    local query = ctz.base64.encode(text):gsub("%+", "-"):gsub("/", "_")
    return failure(http.get, url("/raw?" .. query))
  end

  it("is kind protocol", function()
    for name, text in pairs {
      ["no HTTP"] = "SSH-2.0-OpenSSH_9.2\r\n",
      ["an odd status"] = "HTTP/1.1 2x0 OK\r\n\r\n",
      ["a NUL in a header"] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
      ["a folded header"] = "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
      ["no colon"] = "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
      ["two lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      ["a negative length"] = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
      ["a length that is no number"] = "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nabcde",
      ["a huge length"] = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
      ["a bad chunk size"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
      ["no last chunk"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
      ["a short body"] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
      ["101 unasked"] = "HTTP/1.1 101 Why\r\nUpgrade: x\r\n\r\n",
    } do
      local err = raw(text)
      assert.equal("protocol", err.kind, name .. ": " .. tostring(err))
    end
  end)

  it("of nothing at all is unreachable", function()
    assert.equal("unreachable", raw("").kind)
  end)

  it("that breaks off anywhere is an error, never a short success", function()
    for _, how in ipairs { "reset", "fin" } do
      for percent = 0, 90, 10 do
        local err = failure(http.get, url(("/%s/%d"):format(how, percent)))
        assert.is_true(err.kind == "protocol" or err.kind == "unreachable", tostring(err))
      end
    end
  end)

  it("leaves the next request unharmed", function()
    local two = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    assert.equal("abc", http.get(url("/raw?" .. ctz.base64.encode(two))).body)
    assert.equal("hello", http.get(url "/hello").body)
  end)
end)

describe("time", function()
  it("ends an answer that does not come, with what it waited for", function()
    local err = failure(http.get, url "/silent", { timeout = 0.05 })
    assert.equal("timeout", err.kind)
    assert.matches("no complete answer within 0.05 s (waiting for the answer)", err.message, 1, true)
    assert.is_true(err.retryable)
    err = failure(http.get, url("/hello", "hole"), { timeout = 0.05 })
    assert.equal("timeout", err.kind)
    assert.is_false(failure(http.post, url "/silent", { timeout = 0.05 }).retryable)
  end)

  it("ends silence in the middle of a body", function()
    local err = failure(http.get, url "/silent-body", { idle_timeout = 0.05 })
    assert.equal("timeout", err.kind)
    assert.matches("not a byte within 0.05 s (after 5 bytes of the body)", err.message, 1, true)
  end)

  it("does not call a slow answer silent", function()
    assert.equal(("."):rep(20), http.get(url "/drip/20/0.02", { idle_timeout = 0.3 }).body)
  end)

  it("is inherited from ctz.timeout", function()
    local err = failure(ctz.timeout, 0.05, http.get, url "/silent")
    assert.equal("timeout", err.kind)
  end)

  it("leaves other requests alone while many wait", function()
    ctz.scope(function(scope)
      for _ = 1, 100 do
        ctz.spawn(function()
          http.get(url "/silent")
        end)
      end
      for _ = 1, 10 do
        assert.equal("hello", http.get(url "/hello").body)
      end
      scope:cancel()
    end)
  end)
end)

describe("permission and modes", function()
  it("send only GET and HEAD under --dry-run, and show the others", function()
    local recipe = ([[
      local ctz = require "ctz"
      print(ctz.http.get("%s").body, ctz.http.head("%s").status)
      local _, err = ctz.try(ctz.http.post, "%s", {body="x"})
      print(err.kind, err.hint)
      _, err = ctz.try(ctz.http.request, "%s", {method="PURGE"})
      print(err.kind)
      _, err = ctz.try(ctz.http.get, "%s", {to="file"})
      print(err.kind)
    ]]):gsub("%%s", url "/hello")
    local result = program.recipe(recipe, { "--dry-run" })
    assert.equal(0, result.code, result.err)
    local hint = "branch on ctz.mode(), or run without it"
    assert.equal("hello\t200\nunsupported\t" .. hint .. "\nunsupported\nunsupported\n", result.out)
    assert.matches("would POST http://127.0.0.1:%d+/hello\n", result.err)
    assert.matches("would PURGE ", result.err)
    assert.matches("would save .* as file\n", result.err)
    result = program.recipe(recipe, { "--simulate" })
    assert.matches("^hello\t200\nunsupported\t", result.out)
  end)

  it("ask net with host and port, and write for a file", function()
    local recipe = ([[
      local ctz = require "ctz"
      print(ctz.http.get("%s").body)
      local _, err = ctz.try(ctz.http.get, "%s", {to="file"})
      print(err.kind)
      _, err = ctz.try(ctz.http.get, "http://example.org/")
      print(err.kind, err.hint)
      _, err = ctz.try(ctz.http.get, "http://x/", {unix_socket="/run/x.sock"})
      print(err.kind, err.hint)
      _, err = ctz.try(ctz.http.get, "%s", {proxy="http://10.1.2.3:3128"})
      print(err.kind, err.hint)
    ]]):gsub("%%s", url "/hello")
    local result = program.recipe(recipe, { "--allow", "net=127.0.0.1" })
    assert.equal("hello\ndenied\ndenied\t--allow net=example.org:80 grants it\n"
      .. "denied\t--allow net=unix:/run/x.sock grants it\n"
      .. "denied\t--allow net=10.1.2.3:3128 grants it\n", result.out, result.err)
  end)
end)
