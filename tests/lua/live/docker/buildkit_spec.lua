-- buildkit_spec.lua: a build's session on real engines: secrets, credentials, failures.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local buildkit = require "ctz.docker.buildkit"
local clients = require "ctz.docker.client"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local client, folder
local grpc = engine.api and tonumber(engine.api:match "%d+$") >= 53 -- over the engine's own socket

setup(function()
  client = clients.new { host = engine.host() }
end)

before_each(function()
  folder = program.folder()
end)

after_each(function()
  program.remove(folder)
end)

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end

-- --- a build, as docker.build does it but for the session ----------------------------------------

local function context(dockerfile)
  local own <close> = ctz.fs.tempdir { dir = folder }
  ctz.fs.write(own.path .. "/Dockerfile", dockerfile)
  return ctz.process.run({ "tar", "-C", own.path, "-c", "." }).stdout
end

-- Builds with the session; returns {image, err, log, names, text}: log is what the steps wrote, names the
-- steps', text all that the engine sent, decoded.
local function build(dockerfile, session, name)
  local said = { log = {}, names = {}, text = {} }
  local stream <close> = client:stream("POST", "/build", {
    op = "docker.build",
    query = { version = "2", session = session and session.id, nocache = true, networkmode = "host", t = name },
    headers = { ["Content-Type"] = "application/x-tar" },
    body = context(dockerfile),
  })
  for line in stream:lines() do
    local message = ctz.json.decode(line)
    said.text[#said.text + 1] = line
    if message.id == "moby.buildkit.trace" then
      local trace = buildkit.trace(message.aux)
      said.text[#said.text + 1] = ctz.inspect(trace)
      for _, log in ipairs(trace.logs) do
        said.log[#said.log + 1] = log.text
      end
      for _, vertex in ipairs(trace.vertexes) do
        said.names[vertex.name] = vertex.completed and vertex.started and vertex or said.names[vertex.name]
      end
    elseif message.id == "moby.image.id" then
      said.image = message.aux.ID
    elseif message.errorDetail then
      said.err = message.errorDetail.message
    end
  end
  said.log, said.text = table.concat(said.log), table.concat(said.text, "\n")
  return said
end

local function from(lines)
  return "FROM " .. engine.image .. "\n" .. lines
end

-- Says the secret x in capitals, which nothing masks. BuildKit takes equal steps of several builds
-- for one, so none is equal to another.
local function capitals()
  return from(("RUN --mount=type=secret,id=x : %s; tr a-z A-Z </run/secrets/x"):format(engine.name()))
end

local function remove(name)
  client:call("DELETE", "/images/" .. name, { op = "test", query = { force = true } })
end

describe("the session of a build #live", function()
  teardown(engine.is_clean)

  it("takes the way that the engine's API wants", function()
    local other = grpc and "upgrade" or "connect"
    local one_way = setmetatable({
      [other] = function()
        error "this engine is reached the other way"
      end,
    }, { __index = client })
    local session <close> = buildkit.open(one_way, {})
    assert.equal(64, #session.id)
  end)

  it("falls back to the old way when something between speaks HTTP/1.1 only", function()
    local old = setmetatable({
      connect = function()
        return ctz.http.upgrade("http://docker/session", {
          method = "POST", protocol = "h2c", unix_socket = engine.socket(),
        })
      end,
    }, { __index = client })
    local session <close> = buildkit.open(old, { secrets = { x = "fallback-4711" } })
    local said = build(from "RUN --mount=type=secret,id=x cat /run/secrets/x | tr a-z A-Z", session)
    assert.is_nil(said.err)
    assert.matches("FALLBACK%-4711", said.log)
  end)

  -- A session over TLS: which of client's ways were taken?
  local function ways_over_tls(protocols)
    local key, certificate = folder .. "/key.pem", folder .. "/certificate.pem"
    ctz.process.run { "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
      "-days", "2", "-subj", "/CN=engine", "-addext", "subjectAltName=IP:127.0.0.1" }
    local command = { "tests/testbed/tls_front.py", engine.socket(), certificate, key, table.unpack(protocols) }
    local front <close> = ctz.process.spawn(command, { stdin = "pipe" })
    local secure = clients.new { host = "tcp://127.0.0.1:" .. front:read "l", tls = { ca = certificate } }
    local ways = {}
    local session <close> = buildkit.open(setmetatable({
      connect = function(_, ...)
        ways[#ways + 1] = "connect"
        return secure:connect(...)
      end,
      upgrade = function(_, ...)
        ways[#ways + 1] = "upgrade"
        return secure:upgrade(...)
      end,
    }, { __index = secure }), { secrets = { x = "over-tls" } })
    local said = build(capitals(), session)
    assert.equal("OVER-TLS", said.log)
    return ways
  end

  it("goes over TLS with HTTP/2", function()
    assert.same({ grpc and "connect" or "upgrade" }, ways_over_tls { "h2", "http/1.1" })
  end)

  it("goes the old way over TLS when the other side offers no HTTP/2, as dockerd does", function()
    assert.same(grpc and { "connect", "upgrade" } or { "upgrade" }, ways_over_tls {})
  end)

  it("gives a step its secrets, from texts, secrets and functions that wait", function()
    local asked = {}
    local session <close> = buildkit.open(client, {
      secrets = {
        text = "text-value-1",
        bytes = "\0\1\2\255" .. ("binary"):rep(10000),
        secret = ctz.secret "secret-value-2",
        later = function(id)
          asked[#asked + 1] = id
          ctz.sleep(0.05)
          return "later-value-3"
        end,
      },
    })
    local said = build(from [[
RUN --mount=type=secret,id=text --mount=type=secret,id=bytes --mount=type=secret,id=secret \
    --mount=type=secret,id=later,target=/elsewhere,mode=0444 \
    sha256sum /run/secrets/* /elsewhere]], session)
    assert.is_nil(said.err)
    for _, value in ipairs {
      "text-value-1", "secret-value-2", "later-value-3", "\0\1\2\255" .. ("binary"):rep(10000),
    } do
      assert.matches(ctz.hash.sha256(value), said.log, 1, true)
    end
    assert.same({ "later" }, asked)
    assert.is_nil(session:hint())
    assert.is_nil(session.err)
  end)

  it("leaves no trace of a secret: not in what is said, in the image, its history or a command line", function()
    local value, name = "n0body-must-see-this-8fd2", engine.name("secret")
    local session <close> = buildkit.open(client, { secrets = { token = value } })
    local said
    local done = false
    ctz.scope(function()
      ctz.spawn(function()
        said = build(from [[
RUN --mount=type=secret,id=token test -s /run/secrets/token && sleep 0.5 && echo used > /used
]], session, name)
        done = true
      end)
      while not done do
        assert.same({}, programs.with(value))
        ctz.sleep(0.01)
      end
    end)
    assert.is_nil(said.err)
    assert.is_nil(said.text:find(value, 1, true))
    for _, path in ipairs { "/images/" .. name .. "/history", "/images/" .. name .. "/json" } do
      local _, answer = engine.get(path)
      assert.is_nil(answer.body:find(value, 1, true))
    end
    local whole = ctz.http.get("http://docker/images/" .. name .. "/get", { unix_socket = engine.socket() }).body
    assert.is_nil(whole:find(value, 1, true))
    remove(name)
  end)

  it("masks what a step prints of a secret", function()
    local result = program.recipe(([[
      local ctz = require "ctz"
      local client = require("ctz.docker.client").new { host = %q }
      local buildkit = require "ctz.docker.buildkit"
      local session <close> = buildkit.open(client, { secrets = { x = "printed-by-a-step" } })
      local stream <close> = client:stream("POST", "/build", {
        op = "docker.build", body = ctz.fs.read(%q), headers = { ["Content-Type"] = "application/x-tar" },
        query = { version = "2", session = session.id, nocache = true, networkmode = "host" },
      })
      for line in stream:lines() do
        local message = ctz.json.decode(line)
        for _, log in ipairs(message.id == "moby.buildkit.trace" and buildkit.trace(message.aux).logs or {}) do
          io.write(log.text)
        end
      end
    ]]):format(engine.host(), (function()
      local path = folder .. ".tar"
      ctz.fs.write(path, context(from "RUN --mount=type=secret,id=x echo got $(cat /run/secrets/x) there"))
      return path
    end)()))
    ctz.fs.remove(folder .. ".tar")
    assert.equal("got *** there\n", result.out)
    assert.equal("", result.err)
  end)

  it("tells of a secret that is not there, with the nearest name", function()
    local session <close> = buildkit.open(client, { secrets = { token = "x" } })
    local said = build(from "RUN --mount=type=secret,id=tokn,required=true cat /run/secrets/tokn", session)
    assert.matches("secret tokn", said.err, 1, true)
    assert.matches("not found", said.err, 1, true)
    assert.same({ "tokn" }, session.missing)
    assert.equal('the Dockerfile asks for the secret "tokn": did you mean "token"?', session:hint())
  end)

  it("says how to give a secret when none was given", function()
    local session <close> = buildkit.open(client, {})
    local said = build(from "RUN --mount=type=secret,id=token,required=true cat /run/secrets/token", session)
    assert.matches("secret token", said.err, 1, true)
    assert.equal('the Dockerfile asks for the secret "token": secrets = {token = {env = ...}} gives it', session:hint())
  end)

  it("fails the build with the words of a function that fails, and keeps its error", function()
    local session <close> = buildkit.open(client, {
      secrets = {
        token = function()
          error(ctz.error { kind = "denied", message = "the vault is sealed: 100 %" })
        end,
      },
    })
    local said = build(from "RUN --mount=type=secret,id=token cat /run/secrets/token", session)
    assert.matches('secret "token": the vault is sealed: 100 %', said.err, 1, true)
    assert.equal("denied", session.err.kind)
  end)

  it("fails the build when a function returns something else than a text", function()
    local session <close> = buildkit.open(client, {
      secrets = {
        token = function()
          return {}
        end,
      },
    })
    local said = build(from "RUN --mount=type=secret,id=token cat /run/secrets/token", session)
    assert.matches('secret "token"', said.err, 1, true)
    assert.equal("usage", session.err.kind)
  end)

  it("serves several builds at once, each with its own", function()
    local logs = ctz.map({ "one", "two", "three", "four" }, function(value)
      local session <close> = buildkit.open(client, { secrets = { x = "value-of-" .. value } })
      return build(capitals(), session).log
    end)
    assert.same({ "VALUE-OF-ONE", "VALUE-OF-TWO", "VALUE-OF-THREE", "VALUE-OF-FOUR" }, logs)
  end)

  it("is asked for credentials of the registry that wants some", function()
    local log = folder .. "/registry.log"
    local registry <close> = ctz.process.spawn({ "python3", "-c", [[
import http.server, sys
class Registry(http.server.BaseHTTPRequestHandler):
    default_request_version = "HTTP/1.1"  # so that a greeting in TLS is answered in plain HTTP
    def answer(self):
        given = self.headers.get("Authorization")
        open(sys.argv[1], "a").write(f"{self.path} {given}\n")
        self.send_response(404 if given else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_HEAD = answer
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(server.server_address[1], flush=True)
server.serve_forever()
]], log }, { stdout = "stream" })
    local port = registry:read "l"
    local hosts = {}
    local session <close> = buildkit.open(client, {
      auth = function(host)
        hosts[#hosts + 1] = host
        return { username = "me", password = ctz.secret "pass-word" }
      end,
    })
    local said = build(("FROM 127.0.0.1:%s/private/image:1\n"):format(port), session)
    assert.matches("not found", said.err, 1, true)
    assert.equal("127.0.0.1:" .. port, hosts[1])
    assert.matches("Basic " .. ctz.base64.encode "me:pass-word", ctz.fs.read(log), 1, true)
  end)

  it("without auth answers with no credentials", function()
    local session <close> = buildkit.open(client, {})
    local said = build("FROM 127.0.0.1:1/private/image:1\n", session)
    assert.is_truthy(said.err)
    assert.is_nil(session.err)
  end)

  it("tells what the steps were and when", function()
    local session <close> = buildkit.open(client, {})
    local said = build(from "RUN echo hello", session)
    local step
    for name, vertex in pairs(said.names) do
      step = name:find "RUN echo hello" and vertex or step
    end
    assert.matches("^sha256:", step.digest)
    assert.is_true(step.completed >= step.started and step.started > 1.6e9)
    assert.is_false(step.cached)
    assert.equal("hello\n", said.log)
  end)

  it("that is closed in the middle fails the build instead of leaving it waiting", function()
    local session
    session = buildkit.open(client, {
      secrets = {
        token = function()
          session:close()
          return "too late"
        end,
      },
    })
    local said = build(from "RUN --mount=type=secret,id=token,required=true cat /run/secrets/token", session)
    assert.is_truthy(said.err)
    assert.is_true(session:close())
  end)

  it("stands through the engine's checks of its health", function()
    local session <close> = buildkit.open(client, { secrets = { x = "still-there" } })
    ctz.sleep(6) -- the engine checks every second (1.41) or every five
    local said = build(capitals(), session)
    assert.equal("STILL-THERE", said.log)
  end)

  it("ends with its scope", function()
    local session
    ctz.scope(function()
      session = buildkit.open(client, { secrets = { x = "gone" } })
    end)
    assert.equal("usage", failure(session.handle.ready, session.handle).kind)
  end)

  it("is cancelled at random points without harm", function()
    for i = 1, 200 do
      local task = ctz.spawn(function()
        local session <close> = buildkit.open(client, { secrets = { x = "value" } }) -- luacheck: ignore 211
        ctz.sleep(1)
      end)
      for _ = 1, i % 23 do
        ctz.sleep(0)
      end
      if i % 3 == 0 then
        ctz.sleep(0.002)
      end
      task:cancel()
    end
    local session <close> = buildkit.open(client, { secrets = { x = "after-that" } })
    assert.equal("AFTER-THAT", build(capitals(), session).log)
  end)

  it("is lost when the engine dies, and the build with it", function()
    local own <close> = engine.own()
    local lonely = clients.new { host = own.host }
    local session = buildkit.open(lonely, {})
    own:down { kill = true }
    local stream, err = ctz.try(lonely.stream, lonely, "POST", "/build", {
      op = "docker.build", query = { version = "2", session = session.id }, body = context(from ""),
      headers = { ["Content-Type"] = "application/x-tar" },
    })
    assert.is_nil(stream)
    assert.equal("unreachable", err.kind)
    assert.equal("unreachable", failure(buildkit.open, lonely, {}).kind)
    assert.is_true(session:close())
    own:up()
  end)
end)
