-- docker_endpoint_spec.lua: which engine is meant, and what is said of one that is none.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local host = require "ctz.core.host"

local DOCKER <const> = { "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG" }

local home -- an empty folder

-- A run of ctz in which only these variables of docker's are set.
local function eval(code, variables, ...)
  local environment = { HOME = home.path }
  for _, name in ipairs(DOCKER) do
    environment[name] = false
  end
  for name, value in pairs(variables or {}) do
    environment[name] = value
  end
  return ctz.process.run({ host.program, "eval", "--json", code, ... }, { env = environment, check = false })
end

-- What the environment, and the options of docker.connect as Lua text, come to.
local function resolve(variables, opts)
  local result = eval(("return require('ctz.docker.endpoint').resolve(%s)"):format(opts or "{}"), variables)
  assert.equal(0, result.exit_code, result.stderr .. result.stdout)
  return ctz.json.decode(result.stdout)
end

-- The error of the first call.
local function failure(variables, opts, ...)
  local code = ("local _, err = ctz.try(function() return ctz.docker%s.system.version() end) err.text = tostring(err) "
    .. "err.is_container = err:is 'container' return err"):format(opts and ".connect(" .. opts .. ")" or "")
  local result = eval(code, variables, ...)
  assert.equal(0, result.exit_code, result.stderr .. result.stdout)
  local err = ctz.json.decode(result.stdout)
  assert.is_true(err.is_container, err.text)
  return err
end

local function says(err, kind, ...)
  assert.equal(kind, err.kind, err.text)
  for _, text in ipairs { ... } do
    assert.truthy(err.text:find(text, 1, true), err.text)
  end
end

before_each(function()
  home = ctz.fs.tempdir()
end)

after_each(function()
  home:close()
end)

describe("the engine of docker.connect", function()
  it("is the local socket when nothing names another", function()
    local found = resolve()
    assert.equal("/var/run/docker.sock", found.unix_socket)
    assert.equal("unix:/var/run/docker.sock", found.address)
    assert.is_nil(found.source)
    assert.equal("/var/run/docker.sock", resolve({ DOCKER_HOST = "", DOCKER_CONTEXT = "" }).unix_socket)
    assert.equal("/var/run/docker.sock", resolve({ DOCKER_CONTEXT = "default" }).unix_socket)
  end)

  it("is that of DOCKER_HOST, in every form", function()
    for address, expected in pairs {
      ["unix:///run/my.sock"] = { "http://docker", "unix:/run/my.sock" },
      ["tcp://build"] = { "http://build:2375", "build:2375" },
      ["tcp://build:4000"] = { "http://build:4000", "build:4000" },
      ["tcp://10.0.0.1:4000/engine/"] = { "http://10.0.0.1:4000/engine", "10.0.0.1:4000" },
      ["tcp://[::1]:4000"] = { "http://[::1]:4000", "[::1]:4000" },
      ["tcp://[::1]"] = { "http://[::1]:2375", "[::1]:2375" },
      ["build:4000"] = { "http://build:4000", "build:4000" },
      ["http://build"] = { "http://build:2375", "build:2375" },
      ["https://build"] = { "https://build:2376", "build:2376" },
    } do
      local found = resolve({ DOCKER_HOST = address })
      assert.same(expected, { found.base, found.address })
      assert.equal("DOCKER_HOST", found.source)
    end
  end)

  it("is that of the options, whatever the environment names", function()
    local variables = { DOCKER_HOST = "tcp://other", DOCKER_CONTEXT = "none" }
    assert.equal("unix:/x", resolve(variables, "{host='unix:///x'}").address)
    assert.equal("other:2375", resolve(variables, "{context='default'}").address)
  end)

  it("is spoken to by TLS as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH say", function()
    for _, name in ipairs { "ca", "cert", "key" } do
      ctz.fs.write(home.path .. "/" .. name .. ".pem", "-----BEGIN " .. name)
    end
    local certs = { ca = "-----BEGIN ca", cert = "-----BEGIN cert", key = "-----BEGIN key" }
    local variables = { DOCKER_HOST = "tcp://build", DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = home.path }
    local found = resolve(variables)
    assert.equal("https://build:2376", found.base)
    assert.same(certs, found.tls)
    assert.same(certs, resolve(variables, "{host='tcp://other:1'}").tls)
    assert.is_nil(resolve(variables, "{host='unix:///x'}").tls)
    assert.same({ insecure = true }, resolve(variables, "{host='tcp://other:1', tls={insecure=true}}").tls)

    variables.DOCKER_TLS_VERIFY = false
    assert.equal("http://build:2375", resolve(variables).base)
    ctz.fs.mkdir(home.path .. "/.docker")
    ctz.fs.write(home.path .. "/.docker/ca.pem", "-----BEGIN mine")
    found = resolve({ DOCKER_HOST = "tcp://build", DOCKER_TLS_VERIFY = "1" })
    assert.same({ ca = "-----BEGIN mine" }, found.tls)
  end)

  it("is not guessed when the folder of certificates has none", function()
    local variables = { DOCKER_HOST = "tcp://build", DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = "/no/such/folder" }
    says(failure(variables), "not_found", "docker.connect: ", "ca.pem", "/no/such/folder", "DOCKER_TLS_VERIFY")
  end)

  it("is no engine when its address is none", function()
    for _, address in ipairs {
      "foo", "unix:/x", "unix://x", "unix://", "npipe:////./pipe/docker_engine", "fd://", "tcp://", "tcp://:2375",
      "tcp://a b:1", "tcp://a:b", "tcp://a:123456", "tcp://user@host:1", "tcp://a:1/?x=y",
      "ftp://a", "://",
      "unix:///" .. ("x"):rep(107),
    } do
      local err = failure({ DOCKER_HOST = address })
      says(err, "usage", "docker.connect: ", "hint: ")
    end
    local err = failure({ DOCKER_HOST = "unix:///" .. ("x"):rep(107) })
    says(err, "usage", "at most 107 bytes, this has 108", "symbolic link")
  end)
end)

describe("a context", function()
  local has_docker = os.execute "command -v docker >/dev/null 2>&1"

  local function docker(...)
    return ctz.process.run({ "docker", "--config", home.path .. "/.docker", ... }, {
      env = { DOCKER_HOST = false, DOCKER_CONTEXT = false },
    })
  end

  if not has_docker then
    pending "the docker command is not installed"
    return
  end

  it("made by the docker command is found by DOCKER_CONTEXT, by the option and as the current one", function()
    docker("context", "create", "far", "--docker", "host=tcp://far.example:2375")
    docker("context", "create", "near", "--docker", "host=unix:///run/near.sock")
    assert.equal("far.example:2375", resolve({ DOCKER_CONTEXT = "far" }).address)
    assert.equal('the context "far"', resolve({ DOCKER_CONTEXT = "far" }).source)
    assert.equal("unix:/run/near.sock", resolve({ DOCKER_CONTEXT = "far" }, "{context='near'}").address)
    assert.equal("/var/run/docker.sock", resolve().unix_socket)
    docker("context", "use", "near")
    assert.equal("unix:/run/near.sock", resolve().address)
    assert.equal("far.example:2375", resolve({ DOCKER_CONTEXT = "far" }).address)
    assert.equal("other:2375", resolve({ DOCKER_HOST = "tcp://other", DOCKER_CONTEXT = "far" }).address)
    assert.equal("/var/run/docker.sock", resolve({ DOCKER_CONTEXT = "default" }).unix_socket)
    assert.equal("/var/run/docker.sock", resolve({}, "{context='default'}").unix_socket)
    assert.equal("unix:/run/near.sock", resolve({ DOCKER_CONFIG = home.path .. "/.docker", HOME = "/none" }).address)
  end)

  it("brings its own certificates, and those alone", function()
    local path = home.path
    ctz.process.run({ "openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=test", "-keyout",
      path .. "/key.pem", "-out", path .. "/cert.pem" }, { stderr = "null" })
    docker("context", "create", "safe", "--docker",
      ("host=tcp://safe.example:2376,ca=%s/cert.pem,cert=%s/cert.pem,key=%s/key.pem"):format(path, path, path))
    docker("context", "create", "blind", "--docker", "host=tcp://safe.example:2376,skip-tls-verify=true")
    docker("context", "create", "plain", "--docker", "host=tcp://safe.example:2376")
    local found = resolve({ DOCKER_CONTEXT = "safe" })
    assert.equal("https://safe.example:2376", found.base)
    assert.same({ ca = ctz.fs.read(path .. "/cert.pem"), cert = ctz.fs.read(path .. "/cert.pem"),
      key = ctz.fs.read(path .. "/key.pem") }, found.tls)
    assert.same({ insecure = true }, resolve({ DOCKER_CONTEXT = "blind" }).tls)
    assert.equal("http://safe.example:2376", resolve({ DOCKER_CONTEXT = "plain", DOCKER_TLS_VERIFY = "1" }).base)
  end)

  it("that is not there is named, with the nearest that is", function()
    docker("context", "create", "production", "--docker", "host=unix:///x")
    says(failure({ DOCKER_CONTEXT = "prodution" }), "not_found", 'there is no context "prodution"',
      'did you mean "production"?')
    says(failure({ DOCKER_CONTEXT = "../../etc" }), "not_found", "there is no context")
    says(failure({}, "{context='else'}"), "not_found", 'there is no context "else"', "docker context ls")
  end)

  it("whose files are broken is named", function()
    docker("context", "create", "broken", "--docker", "host=unix:///x")
    local meta = ctz.fs.glob(home.path .. "/.docker/contexts/meta/*/meta.json")[1]
    for text, expected in pairs {
      [""] = "is no JSON",
      ["{"] = "is no JSON",
      ["[]"] = "has no Docker endpoint",
      ["null"] = "is no JSON",
      ['{"Name":"broken"}'] = "has no Docker endpoint",
      ['{"Name":"broken","Endpoints":{"docker":{"Host":7}}}'] = "has no Docker endpoint",
      ['{"Name":"broken","Endpoints":{"docker":{"Host":"?"}}}'] = "is no address of an engine",
    } do
      ctz.fs.write(meta, text)
      says(failure({ DOCKER_CONTEXT = "broken" }), "usage", expected)
    end
    ctz.fs.write(home.path .. "/.docker/config.json", "{")
    says(failure({}), "usage", "config.json is no JSON", "mend it, or set DOCKER_HOST")
    assert.equal("unix:/x", resolve({ DOCKER_HOST = "unix:///x" }).address)
  end)
end)

describe("--allow", function()
  it("lets a run find its engine that may use one, and see no more", function()
    local variables = { DOCKER_HOST = "unix:///none.sock" }
    local function denied(...)
      return failure(variables, nil, ...)
    end
    says(denied("--allow", "docker"), "unreachable", "/none.sock")
    says(denied("--allow", "docker=unix:/none.sock"), "unreachable", "/none.sock")
    says(denied("--allow", "docker=unix:/other.sock"), "denied", "--allow docker=unix:/none.sock grants it")
    says(denied("--allow", "net"), "denied", "--allow docker=unix:/none.sock grants it")
    local function code(...)
      return eval("ctz.env.DOCKER_HOST", variables, ...).exit_code
    end
    assert.equal(1, code("--allow", "docker"))
    assert.equal(0, code("--allow", "env=DOCKER_HOST"))
  end)

  it("keeps the files of docker from a run that may use no engine", function()
    ctz.fs.mkdir(home.path .. "/.docker")
    ctz.fs.write(home.path .. "/.docker/config.json", '{"auths":{}}')
    says(failure({}, nil, "--allow", "net"), "denied", "--allow docker grants it")
    says(failure({}, nil, "--allow", "docker=unix:/var/run/docker.sock"), "unreachable")
  end)

  it("gives no way out of docker's folder", function()
    for _, name in ipairs { "../secret", "/etc/passwd", "a/../../b", "..", "a//b", "" } do
      local core = require "ctz.core.docker"
      assert.equal("usage", select(2, ctz.try(core.setting_file, "config", name)).kind)
    end
  end)
end)

-- --- what is no engine -----------------------------------------------------------------------------

-- A server on a socket that answers every request with these bytes.
local function stub(answer)
  local folder = ctz.fs.tempdir()
  ctz.fs.write(folder.path .. "/answer", answer)
  local child = ctz.process.spawn { "python3", "-c", [[
import socket, sys
answer = open(sys.argv[2], "rb").read()
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
while True:
    connection = server.accept()[0]
    connection.recv(65536)
    connection.sendall(answer)
    connection.close()
]], folder.path .. "/socket", folder.path .. "/answer" }
  assert.equal("ready", child:read "l")
  return setmetatable({ host = "unix://" .. folder.path .. "/socket" }, {
    __close = function()
      child:close()
      folder:close()
    end,
  })
end

local function http(status, body, headers)
  return ("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s")
    :format(status, headers or "", #body, body)
end

describe("an address that is no engine", function()
  it("is a socket that is not there", function()
    says(failure({ DOCKER_HOST = "unix:///no/such.sock" }), "unreachable", "docker.system.version: ",
      "the engine at unix:///no/such.sock (DOCKER_HOST)", "no such file or directory", "installed and started")
  end)

  it("is a plain file, or a folder", function()
    ctz.fs.write(home.path .. "/file", "")
    says(failure({ DOCKER_HOST = "unix://" .. home.path .. "/file" }), "unreachable", "that is a file, not a socket")
    says(failure({ DOCKER_HOST = "unix://" .. home.path }), "unreachable", "that is a directory, not a socket")
  end)

  it("is a socket on which nobody listens any more", function()
    local path = home.path .. "/stale"
    ctz.process.run { "python3", "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path }
    says(failure({ DOCKER_HOST = "unix://" .. path }), "unreachable", "nobody listens: start the engine")
  end)

  it("is a socket that we may not use", function()
    local server <close> = stub(http("200 OK", "OK", "Api-Version: 1.41\r\n"))
    local path = server.host:match "^unix://(.*)$"
    ctz.process.run { "chmod", "000", path }
    ctz.process.run { "chmod", "711", (path:match "^(.*)/") }
    local words = { host.program, "eval", "--json" }
    if ctz.process.run({ "id", "-u" }).stdout == "0\n" then -- root may use any
      words = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", table.unpack(words) }
    end
    local code = "return select(2, ctz.try(function() return ctz.docker.system.version() end))"
    words[#words + 1] = code
    local result = ctz.process.run(words, {
      env = { DOCKER_HOST = server.host, HOME = "/nonexistent" },
      check = false,
    })
    assert.equal(0, result.exit_code, result.stderr)
    local err = ctz.json.decode(result.stdout)
    assert.equal("denied", err.kind)
    assert.equal("EACCES", err.code)
    assert.truthy(err.hint:find("group docker", 1, true), err.hint)
  end)

  it("is a server that speaks something else", function()
    local web <close> = stub(http("200 OK", "<html>welcome to nginx</html>", "Server: nginx\r\n"))
    says(failure({ DOCKER_HOST = web.host }), "protocol", "answers 200, but is no Docker Engine", "DOCKER_HOST")
    local missing <close> = stub(http("404 Not Found", "no"))
    says(failure({ DOCKER_HOST = missing.host }), "protocol", "answers 404, but is no Docker Engine")
    local odd <close> = stub(http("200 OK", "OK", "Api-Version: yes\r\n"))
    says(failure({ DOCKER_HOST = odd.host }), "protocol", "is no Docker Engine")
    local ftp <close> = stub "220 welcome\r\n"
    says(failure({ DOCKER_HOST = ftp.host }), "protocol", ftp.host)
    local silent <close> = stub ""
    says(failure({ DOCKER_HOST = silent.host }), "unreachable", silent.host)
  end)

  it("is one that wants TLS", function()
    local server <close> = stub(http("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"))
    says(failure({ DOCKER_HOST = server.host }), "protocol", "it wants TLS: DOCKER_TLS_VERIFY=1")
  end)

  it("is an engine too old for us, or one that we are too old for", function()
    local old <close> = stub(http("200 OK", "OK", "Api-Version: 1.18\r\n"))
    says(failure({ DOCKER_HOST = old.host }), "unsupported", "speaks API 1.18; ctz needs 1.24", "newer engine")
    local answer = http("400 Bad Request",
      '{"message":"client version 1.56 is too old. Minimum supported API version is 1.90"}',
      "Api-Version: 1.99\r\nContent-Type: application/json\r\n")
    local new <close> = stub(answer)
    says(failure({ DOCKER_HOST = new.host }), "unsupported", "client version 1.56 is too old", "1.90")
  end)
end)
