-- http_tls_spec.lua: whom ctz.http trusts, and how it goes through proxies.
local ctz = require "ctz"
local faults = dofile "tests/testbed/http_faults.lua"
local program = require "tests.lua.support.program"
local http = ctz.http

local server, ca

setup(function()
  server = faults.start(true)
  ca = server.folder .. "/ca.crt"
end)

teardown(function()
  server:stop()
end)

local function secure(name, path)
  return server:url(path or "/hello", name, "https")
end

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end

local function file(name)
  return server.folder .. "/" .. name
end

describe("TLS", function()
  it("trusts the authority that is named, as a file or as text", function()
    assert.equal("hello", http.get(secure "good", { tls = { ca = ca } }).body)
    assert.equal("hello", http.get(secure "good", { tls = { ca = program.read(ca) } }).body)
  end)

  it("refuses by default, and says why in words", function()
    for name, expected in pairs {
      good = { "CERT_UNKNOWN_CA", "its certificate comes from an unknown authority" },
      self_signed = { "CERT_SELF_SIGNED", "its certificate is signed by itself" },
    } do
      local err = failure(http.get, secure(name))
      assert.equal("protocol", err.kind, tostring(err))
      assert.equal(expected[1], err.code, tostring(err))
      assert.matches("127.0.0.1 is not trusted: " .. expected[2], err.message, 1, true)
      assert.matches("ca=FILE", err.hint, 1, true)
      assert.is_false(err.retryable)
    end
  end)

  it("refuses an expired certificate, one for another host and a weak one", function()
    for name, expected in pairs {
      expired = { "CERT_EXPIRED", "its certificate has expired" },
      wrong_host = { "CERT_WRONG_HOST", "its certificate is for another host" },
      weak = { "CERT_WEAK_KEY", "its certificate has too weak a key" },
    } do
      local err = failure(http.get, secure(name), { tls = { ca = ca } })
      assert.equal("protocol", err.kind, tostring(err))
      assert.equal(expected[1], err.code, tostring(err))
      assert.matches(expected[2], err.message, 1, true)
    end
  end)

  it("older than 1.2 is refused", function()
    local err = failure(http.get, secure "old", { tls = { ca = ca } })
    assert.equal("protocol", err.kind)
    assert.matches("TLS", err.message)
  end)

  it("to a server that speaks none says so", function()
    local err = failure(http.get, secure "plain")
    assert.equal("protocol", err.kind)
    assert.matches("does not speak TLS", err.message)
    assert.matches("is it http://127.0.0.1:%d+", err.hint)
  end)

  it("checks another name when server_name says so, and asks for the URL's host", function()
    local tls = { ca = ca, server_name = "elsewhere.test" }
    assert.equal("hello", http.get(secure "wrong_host", { tls = tls }).body)
    local body = http.get(secure("wrong_host", "/echo"), { tls = tls }).body
    assert.matches("\nHost: 127.0.0.1:" .. server.ports.wrong_host .. "\n", body, 1, true)
    assert.equal("CERT_WRONG_HOST", failure(http.get, secure "good", { tls = tls }).code)
  end)

  it("shows our certificate to a server that wants one", function()
    local tls = { ca = ca, cert = file "good.crt", key = file "good.key" }
    assert.equal("hello", http.get(secure "client", { tls = tls }).body)
    tls = { ca = ca, cert = program.read(file "good.crt"), key = program.read(file "good.key") }
    assert.equal("hello", http.get(secure "client", { tls = tls }).body)
    tls = { ca = ca, cert = file "good.pem" } -- both in one file
    assert.equal("hello", http.get(secure "client", { tls = tls }).body)
    local err = failure(http.get, secure "client", { tls = { ca = ca } })
    assert.equal("auth", err.kind, tostring(err))
    assert.matches("cert=FILE", err.hint, 1, true)
  end)

  it("names what of ours cannot be used", function()
    for _, tls in ipairs {
      { ca = "/no/such/file" },
      { ca = ca, cert = "/no/such/file", key = file "good.key" },
      { ca = ca, cert = file "good.crt", key = "/no/such/file" },
      { ca = ca, cert = file "good.crt", key = file "expired.key" },
      { ca = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n" },
    } do
      local err = failure(http.get, secure "good", { tls = tls })
      assert.equal("usage", err.kind, tostring(err))
    end
  end)

  it("is not checked with insecure, which is warned of once per host", function()
    local recipe = ([[
      local ctz = require "ctz"
      print(ctz.http.get("%s", {insecure=true}).body)
      print(ctz.http.get("%s", {tls={insecure=true}}).body)
      local _, err = ctz.try(ctz.http.get, "%s")
      print(err.code)
    ]]):gsub("%%s", secure "wrong_host")
    local result = program.recipe(recipe)
    assert.equal("hello\nhello\nCERT_UNKNOWN_CA\n", result.out, result.err)
    local _, times = result.err:gsub("warn +TLS is not checked for 127.0.0.1", "")
    assert.equal(1, times, result.err)
  end)

  it("is not left for plain http by a redirect", function()
    local to = secure("good", "/redirect/302?" .. server:url "/hello")
    local err = failure(http.get, to, { tls = { ca = ca } })
    assert.equal("denied", err.kind)
    assert.matches("a redirect from https to http://", err.message)
  end)

  it("of another host is checked without what was given for the first", function()
    local to = secure("good", "/redirect/302?" .. secure "self_signed")
    assert.equal("protocol", failure(http.get, to, { insecure = true }).kind)
    to = secure("good", "/redirect/302?" .. secure "expired")
    assert.equal("protocol", failure(http.get, to, { tls = { ca = ca } }).kind)
  end)

  it("carries upgraded connections, closed one way too", function()
    local connection <close> = http.upgrade(secure("good", "/upgrade"), { protocol = "tcp", tls = { ca = ca } })
    assert.equal("greeting\n", connection:read(9))
    local block = ("x"):rep(300000)
    ctz.scope(function()
      ctz.spawn(function()
        connection:write(block)
      end)
      assert.equal(block:upper(), connection:read(#block))
    end)
    assert.is_true(connection:close_write())
    repeat
      local rest = connection:read() -- asyncio ends both ways then
    until not rest
  end)

  it("gives a connection on which nothing was asked, unless HTTP/2 is wanted and not there", function()
    local connection <close> = http.connect(secure "good", { tls = { ca = ca } })
    connection:write "GET /hello HTTP/1.0\r\n\r\n"
    assert.equal("HTTP/1.1 200", connection:read(12))
    local err = failure(http.connect, secure "good", { tls = { ca = ca }, http_version = "2" })
    assert.equal("unsupported", err.kind)
    assert.matches("does not speak HTTP/2", err.message, 1, true)
  end)

  it("carries streams and large bodies", function()
    local opts = { tls = { ca = ca } }
    local body = ("0123456789abcdef"):rep(1 << 16)
    opts.body = body
    assert.equal(#body .. " " .. ctz.hash.sha256(body), http.put(secure("good", "/digest"), opts).body)
    local count = 0
    for chunk in http.get(secure("good", "/bytes/3000000"), { stream = true, tls = { ca = ca } }):chunks() do
      count = count + #chunk
    end
    assert.equal(3000000, count)
  end)

  it("finds the system's authorities where SSL_CERT_FILE says", function()
    local recipe = ([[print(require("ctz").http.get("%s").body)]]):format(secure "good")
    local result = program.recipe(recipe, nil, { environment = "SSL_CERT_FILE=" .. ca })
    assert.equal("hello\n", result.out, result.err)
  end)
end)

describe("a proxy", function()
  local function proxy(name, userinfo)
    return ("http://%s127.0.0.1:%d"):format(userinfo or "", server.ports[name or "proxy"])
  end

  it("is asked for plain URLs; the name is its business", function()
    local body = http.get("http://no-such-host.invalid:81/x?y", { proxy = proxy() }).body
    assert.matches("^by proxy http://no%-such%-host.invalid:81/x%?y\n", body)
  end)

  it("connects TLS through; it sees no header of the request", function()
    local url = ("https://registry.test:%d/echo"):format(server.ports.good)
    local opts = { proxy = proxy(), tls = { ca = ca }, bearer = "tok", headers = { ["X-Key"] = "k" } }
    local body = http.get(url, opts).body
    assert.matches("\nAuthorization: Bearer tok\n", body, 1, true)
    local log = http.get(server:url("/log", "proxy")).body
    assert.matches("CONNECT registry.test:" .. server.ports.good, log, 1, true)
    assert.is_nil(log:find("tok", 1, true))
    assert.is_nil(log:find("X-Key", 1, true))
  end)

  it("that wants a user gets it from its URL", function()
    local url = ("https://registry.test:%d/hello"):format(server.ports.good)
    local opts = { proxy = proxy("proxy_auth", "u:p@"), tls = { ca = ca } }
    assert.equal("hello", http.get(url, opts).body)
    assert.matches("^by proxy", http.get("http://x.test/", opts).body)
    for _, user in ipairs { "", "u:wrong@" } do
      local err = failure(http.get, url, { proxy = proxy("proxy_auth", user), tls = { ca = ca } })
      assert.equal("auth", err.kind, tostring(err))
      assert.equal(407, err.status)
      assert.is_nil(tostring(err):find("wrong", 1, true))
      assert.equal("auth", failure(http.get, "http://x.test/", { proxy = proxy("proxy_auth", user) }).kind)
    end
  end)

  it("that does not connect is named", function()
    local err = failure(http.get, "https://refused.example/", { proxy = proxy() })
    assert.equal("unreachable", err.kind)
    assert.equal(502, err.status)
    err = failure(http.get, "https://x.test/", { proxy = "http://127.0.0.1:1" })
    assert.equal("unreachable", err.kind)
    assert.matches("cannot connect to the proxy 127.0.0.1:1", err.message, 1, true)
    err = failure(http.get, "http://x.test/", { proxy = "http://no-such-proxy.invalid" })
    assert.matches('cannot find the host "no-such-proxy.invalid"', err.message, 1, true)
    assert.equal("usage", failure(http.get, "http://x.test/", { proxy = "ftp://x" }).kind)
  end)

  it("of the kind SOCKS gets a name, or with socks5:// an address", function()
    local socks = "127.0.0.1:" .. server.ports.socks
    local at = (":%d/hello"):format(server.ports.http)
    assert.equal("hello", http.get("http://no-such-host.invalid" .. at, { proxy = "socks5h://" .. socks }).body)
    assert.equal("hello", http.get("http://127.0.0.1" .. at, { proxy = "socks5://" .. socks }).body)
    local err = failure(http.get, "http://no-such-host.invalid" .. at, { proxy = "socks5://" .. socks })
    assert.matches('cannot find the host "no-such-host.invalid"', err.message, 1, true)
    assert.equal("no-such-host.invalid 127.0.0.1", http.get(server:url "/socks").body)
  end)

  it("carries upgraded connections", function()
    local connection <close> = http.upgrade(("http://registry.test:%d/upgrade"):format(server.ports.http), {
      protocol = "tcp", proxy = proxy(),
    })
    assert.equal("greeting\n", connection:read(9))
  end)

  it("comes from the environment, unless no_proxy names the host or proxy is empty", function()
    local recipe = ([[
      local http = require("ctz").http
      print(http.get("http://a.test/").body:match("^by proxy"))
      print(http.get("http://127.0.0.1:%d/hello").body)
      local _, err = require("ctz").try(http.get, "http://b.invalid/", {proxy=""})
      print(err.kind)
    ]]):format(server.ports.http)
    local environment = ("http_proxy=%s no_proxy=10.0.0.0/8,127.0.0.0/8,.test.example"):format(proxy())
    local result = program.recipe(recipe, nil, { environment = environment })
    assert.equal("by proxy\nhello\nunreachable\n", result.out, result.err)
    result = program.recipe(recipe, nil, { environment = "HTTP_PROXY=http://127.0.0.1:1 ALL_PROXY=" .. proxy() })
    assert.matches("^by proxy\n", result.out, result.err)
  end)
end)

describe("HTTP/2", function()
  local nginx_conf <const> = [[
    daemon off; worker_processes 1; pid %s/nginx.pid; error_log %s/nginx.log;
    events { worker_connections 256; }
    http {
      access_log off; client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3;
      uwsgi_temp_path %s/t4; scgi_temp_path %s/t5;
      server {
        listen 127.0.0.1:%d ssl http2; root %s/web;
        ssl_certificate %s/good.crt; ssl_certificate_key %s/good.key;
        add_header X-Connection $connection;
      }
    }]]
  local nginx, url

  setup(function()
    local folder = server.folder
    local free = "import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])"
    local pipe = io.popen("python3 -c '" .. free .. "'")
    local port = pipe:read "n"
    pipe:close()
    os.execute(("mkdir -p %s/web && chmod 755 %s %s/web"):format(folder, folder, folder))
    program.write(folder .. "/web/page", ("0123456789"):rep(50000))
    program.write(folder .. "/nginx.conf", (nginx_conf:gsub("%%s", folder):gsub("%%d", port)))
    url = ("https://127.0.0.1:%d/page"):format(port)
    nginx = io.popen(("exec nginx -c %s/nginx.conf -p %s 2>/dev/null; echo"):format(folder, folder))
    ctz.timeout(20, function()
      while not pcall(http.head, url, { tls = { ca = ca }, http_version = "2" }) do
        ctz.sleep(0.02)
      end
    end)
  end)

  teardown(function()
    os.execute(("kill $(cat %s/nginx.pid)"):format(server.folder))
    nginx:close()
  end)

  it("is spoken when it is asked for, many requests over one connection", function()
    local opts = { http_version = "2", tls = { ca = ca } }
    local list, connections = {}, {}
    for i = 1, 50 do
      list[i] = i
    end
    for _, answer in ipairs(ctz.map(list, function()
      return http.get(url, opts)
    end, { jobs = 50 })) do
      assert.equal("2", answer.http_version)
      assert.equal(500000, #answer.body)
      connections[answer.headers["x-connection"]] = true
    end
    assert.is_nil(next(connections, next(connections)))
  end)

  it("is not spoken by streams, which must not stall their neighbours", function()
    local opts = { http_version = "2", tls = { ca = ca } }
    assert.equal("2", http.get(url, opts).http_version)
    local stream <close> = http.get(url, { http_version = "2", tls = { ca = ca }, stream = true })
    assert.equal("1.1", stream.http_version)
    assert.equal("2", http.get(url, opts).http_version) -- while the stream is paused
    assert.equal(500000, #stream:read(600000))
    assert.equal("1.1", http.get(url, { tls = { ca = ca } }).http_version)
  end)

  it("lets requests be cancelled at any time", function()
    local opts = { http_version = "2", tls = { ca = ca } }
    for i = 1, 100 do
      local tasks = {}
      for j = 1, 4 do
        tasks[j] = ctz.spawn(function()
          ctz.try(http.get, url, opts)
        end)
      end
      for _ = 1, i % 13 do
        ctz.sleep(0)
      end
      tasks[1]:cancel()
      tasks[2]:cancel()
      if i % 7 == 0 then
        ctz.sleep(0.002)
      end
      tasks[3]:cancel()
      tasks[4]:await()
    end
    assert.equal(500000, #http.get(url, opts).body)
  end)
end)
