-- credentials_spec.lua: ctz.registry.credentials, with real files and real helper programs.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"

local base64, json = ctz.base64, ctz.json

-- A helper as docker-credential-helpers are: what it was asked goes to a file, its answers come from
-- files of its folder, named after the registry with / as _.
local HELPER <const> = [[#!/bin/sh
key=$(cat)
echo "$0 $* $key" >> "$FOLDER/asked"
case "$1" in
  list) cat "$FOLDER/list" 2>/dev/null || echo '{}'; exit ;;
esac
answer="$FOLDER/$(echo "$key" | tr / _)"
if [ -f "$answer" ]; then cat "$answer"; exit; fi
if [ -f "$FOLDER/broken" ]; then cat "$FOLDER/broken"; exit 1; fi
echo "credentials not found in native keychain"
exit 1
]]

local folder

local function write(name, value)
  local path = folder .. "/" .. name
  ctz.fs.mkdir(ctz.path.dirname(path), { parents = true })
  ctz.fs.write(path, type(value) == "table" and json.encode(value) or value)
  return path
end

local function add_helper(name, text)
  ctz.fs.write(folder .. "/bin/docker-credential-" .. name, text or HELPER, { mode = "755" })
end

local function auth(text)
  return { auth = base64.encode(text) }
end

-- What a run finds, with the secrets in plain text: it writes them to a file, as print shows ***.
local function ask(expression, environment, options)
  local code = ([[
    local ctz = require "ctz"
    local credentials = ctz.registry.credentials
    local function plain(value)
      if type(value) == "table" then
        local copy = {}
        for key, item in pairs(value) do copy[key] = plain(item) end
        return copy
      end
      local ok, text = pcall(function() return value:reveal() end)
      return ok and text or value
    end
    local ok, value = pcall(function() return %s end)
    if not ok then
      value = {kind = value.kind, op = value.op, message = value.message, hint = value.hint,
        is_registry = value:is "registry"}
    end
    print(value) print(ctz.inspect(value))
    ctz.fs.write(%q, ctz.json.encode{ok = ok, value = plain(value), was = type(value)})
  ]]):format(expression, folder .. "/result")
  local variables = { "FOLDER=" .. folder, "HOME=" .. folder .. "/home", "PATH=" .. folder .. "/bin:$PATH",
    "DOCKER_CONFIG=", "XDG_CONFIG_HOME=", "XDG_RUNTIME_DIR=", "REGISTRY_AUTH_FILE=", "DOCKER_AUTH_CONFIG=" }
  for name, value in pairs(environment or {}) do
    variables[#variables + 1] = ("%s='%s'"):format(name, value)
  end
  local result = program.recipe(code, {}, { environment = table.concat(variables, " "), options = options })
  assert.equal(0, result.code, result.err)
  local found = json.decode(program.read(folder .. "/result"))
  return found.ok, found.value ~= json.null and found.value or nil, result
end

local function get(host, environment)
  local ok, value, result = ask(("credentials.get(%q)"):format(host), environment)
  assert.is_true(ok, ok or value.message)
  return value, result
end

local function failure(expression, environment)
  local ok, err = ask(expression, environment)
  assert.is_false(ok)
  assert.is_true(err.is_registry)
  return err
end

local function asked()
  return ctz.fs.exists(folder .. "/asked") and ctz.fs.read(folder .. "/asked"):gsub("[^\n]*/", "", 1) or nil
end

describe("ctz.registry.credentials", function()
  local scratch

  before_each(function()
    scratch = ctz.fs.tempdir()
    folder = scratch.path
    ctz.fs.mkdir(folder .. "/bin")
    ctz.fs.mkdir(folder .. "/home")
  end)

  after_each(function()
    scratch:close()
  end)

  it("knows nobody where nothing is written", function()
    assert.is_nil(get "ghcr.io")
  end)

  it("reads auths of ~/.docker/config.json", function()
    write("home/.docker/config.json", { auths = { ["ghcr.io"] = auth "me:pass:word-1" } })
    assert.same({ username = "me", password = "pass:word-1" }, get "ghcr.io")
    assert.is_nil(get "ghcr.io.example")
    assert.is_nil(get "io")
  end)

  it("reads the config.json of DOCKER_CONFIG instead", function()
    write("home/.docker/config.json", { auths = { ["ghcr.io"] = auth "me:home-pass" } })
    write("other/config.json", { auths = { ["ghcr.io"] = auth "you:other-pass" } })
    assert.same({ username = "you", password = "other-pass" }, get("ghcr.io", { DOCKER_CONFIG = folder .. "/other" }))
  end)

  it("takes names with scheme and path of old files", function()
    write("home/.docker/config.json", { auths = {
      ["https://old.example/v2/"] = auth "a:pass-old", ["http://plain.example:5000"] = auth "b:pass-plain",
      ["short.example/v1/"] = auth "c:pass-short",
    } })
    assert.equal("pass-old", get("old.example").password)
    assert.equal("pass-plain", get("plain.example:5000").password)
    assert.equal("pass-short", get("short.example").password)
    assert.equal("pass-old", get("https://old.example").password)
    assert.is_nil(get "plain.example")
  end)

  it("knows Docker Hub by all its names", function()
    write("home/.docker/config.json", { auths = { ["https://index.docker.io/v1/"] = auth "me:hub-pass" } })
    for _, name in ipairs { "docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/",
      "docker.io/library/alpine" } do
      assert.equal("hub-pass", get(name).password)
    end
    write("home/.docker/config.json", { auths = { ["docker.io"] = auth "me:hub-pass-2" } })
    assert.equal("hub-pass-2", get("docker.io").password)
  end)

  it("gives identity tokens", function()
    write("home/.docker/config.json", { auths = {
      ["a.example"] = { auth = base64.encode "me:", identitytoken = "tok-1" } } })
    assert.same({ identity_token = "tok-1" }, get "a.example")
  end)

  it("takes user and password in plain, and a password that ends in NUL bytes", function()
    write("home/.docker/config.json", { auths = {
      ["a.example"] = { username = "u", password = "plain-pass" }, ["b.example"] = auth "u:nul-pass\0\0" } })
    assert.equal("plain-pass", get("a.example").password)
    assert.equal("nul-pass", get("b.example").password)
  end)

  it("passes over an entry that says nothing", function()
    write("home/.docker/config.json", { auths = { ["a.example"] = json.object {} } })
    assert.is_nil(get "a.example")
  end)

  it("reads DOCKER_AUTH_CONFIG first", function()
    write("home/.docker/config.json", { auths = {
      ["a.example"] = auth "u:file-pass", ["b.example"] = auth "u:file-b" } })
    local environment = { DOCKER_AUTH_CONFIG = json.encode { auths = { ["a.example"] = auth "u:variable-pass" } } }
    assert.equal("variable-pass", get("a.example", environment).password)
    assert.equal("file-b", get("b.example", environment).password)
  end)

  describe("of auth.json", function()
    it("come after config.json, from each place it may be", function()
      write("run/containers/auth.json", { auths = { ["a.example"] = auth "u:run-pass" } })
      write("home/.config/containers/auth.json", { auths = {
        ["a.example"] = auth "u:home-pass", ["b.example"] = auth "u:b-pass" } })
      local environment = { XDG_RUNTIME_DIR = folder .. "/run" }
      assert.equal("run-pass", get("a.example", environment).password)
      assert.equal("b-pass", get("b.example", environment).password)
      assert.equal("home-pass", get("a.example").password)
      write("own.json", { auths = { ["a.example"] = auth "u:own-pass" } })
      assert.equal("own-pass", get("a.example", { REGISTRY_AUTH_FILE = folder .. "/own.json" }).password)
      write("home/.docker/config.json", { auths = { ["a.example"] = auth "u:docker-pass" } })
      assert.equal("docker-pass", get("a.example", environment).password)
    end)

    it("may be of a part of a registry", function()
      write("home/.config/containers/auth.json", { auths = {
        ["a.example"] = auth "u:all-pass", ["a.example/team"] = auth "u:team-pass",
        ["a.example/team/app"] = auth "u:app-pass", ["docker.io/me"] = auth "u:mine-pass",
      } })
      assert.equal("app-pass", get("a.example/team/app:1.0").password)
      assert.equal("team-pass", get("a.example/team/other").password)
      assert.equal("all-pass", get("a.example/teams/app").password)
      assert.equal("all-pass", get("a.example").password)
      assert.equal("mine-pass", get("docker.io/me/app").password)
      assert.is_nil(get "docker.io")
    end)
  end)

  describe("of a helper", function()
    before_each(function()
      add_helper "test"
      add_helper "other"
    end)

    it("are asked for by the name of the registry on stdin", function()
      write("home/.docker/config.json", { credsStore = "test" })
      write("a.example", { ServerURL = "a.example", Username = "me", Secret = "helper-pass" })
      assert.same({ username = "me", password = "helper-pass" }, get "a.example")
      assert.equal("docker-credential-test get a.example\n", asked())
    end)

    it("have Docker Hub's old name for it", function()
      write("home/.docker/config.json", { credsStore = "test" })
      write("https:__index.docker.io_v1_", { Username = "me", Secret = "hub-helper-pass" })
      assert.equal("hub-helper-pass", get("docker.io").password)
    end)

    it("of one registry go before the store of all", function()
      write("home/.docker/config.json", { credsStore = "test", credHelpers = { ["a.example"] = "other" } })
      write("a.example", { Username = "me", Secret = "helper-pass" })
      assert.equal("helper-pass", get("a.example").password)
      assert.equal("docker-credential-other get a.example\n", asked())
    end)

    it("are nobody's when it knows none; then auths are asked", function()
      write("home/.docker/config.json", { credsStore = "test", auths = { ["b.example"] = auth "u:file-pass" } })
      assert.is_nil(get "a.example")
      assert.equal("file-pass", get("b.example").password)
    end)

    it("may be identity tokens", function()
      write("home/.docker/config.json", { credsStore = "test" })
      write("a.example", { Username = "<token>", Secret = "identity-1" })
      assert.same({ identity_token = "identity-1" }, get "a.example")
    end)

    it("that fails raise auth, with its words", function()
      write("home/.docker/config.json", { credsStore = "test" })
      write("broken", "the keychain is locked\n")
      local err = failure 'credentials.get "a.example"'
      assert.equal("auth", err.kind)
      assert.equal("registry.credentials.get", err.op)
      assert.equal("docker-credential-test get: the keychain is locked", err.message)
      assert.matches("config.json asks for it", err.hint, 1, true)
    end)

    it("that is not there raise auth", function()
      write("home/.docker/config.json", { credHelpers = { ["a.example"] = "none" } })
      local err = failure 'credentials.get "a.example"'
      assert.equal("auth", err.kind)
      assert.equal("no credential helper docker-credential-none in PATH", err.message)
    end)

    it("that answers nonsense raise auth and show nothing of it", function()
      write("home/.docker/config.json", { credsStore = "test" })
      for _, answer in ipairs { "swordfish", "", '{"Username":"u"', '"swordfish"', '{"Username":"u"}', "[]",
        '{"Username":1,"Secret":"swordfish"}' } do
        write("a.example", answer)
        local err = failure 'credentials.get "a.example"'
        assert.equal("auth", err.kind)
        assert.not_matches("swordfish", err.message, 1, true)
      end
    end)

    it("that is a path is refused", function()
      for _, name in ipairs { "../evil", "a/b", "", "-x" } do
        write("home/.docker/config.json", { credHelpers = { ["a.example"] = name } })
        assert.equal("usage", failure('credentials.get "a.example"').kind)
      end
      assert.is_nil(asked())
    end)

    it("that gives no answer is ended with the task's deadline", function()
      add_helper("slow", "#!/bin/sh\nexec sleep 1000\n")
      write("home/.docker/config.json", { credsStore = "slow" })
      local ok, err = ask 'ctz.timeout(0.2, function() return credentials.get "a.example" end)'
      assert.is_false(ok)
      assert.equal("timeout", err.kind)
    end)
  end)

  it("never show a password", function()
    write("home/.docker/config.json", { auths = { ["a.example"] = auth "me:never-seen-1" } })
    local _, _, result = ask '{credentials.get "a.example", credentials.x_registry_auth "a.example"}'
    assert.not_matches("never-seen-1", result.out .. result.err, 1, true)
    for word in result.out:gmatch "[%w+/=_-]+" do
      local ok, text = pcall(base64.decode, word, { url = true })
      assert.is_false(ok and text:find("never-seen-1", 1, true) ~= nil, word)
    end
  end)

  it("are refused from a file that is none", function()
    for _, text in ipairs { "", "{", "[", "7", "\0" } do
      write("home/.docker/config.json", text)
      local err = failure 'credentials.get "a.example"'
      assert.equal("usage", err.kind)
      assert.matches(".docker/config.json is no JSON", err.message, 1, true)
    end
  end)

  it("are refused from an entry that is none, without its text", function()
    for _, entry in ipairs { { auth = "swordfish" }, auth "swordfish", auth ":swordfish", { auth = "%%%%" } } do
      write("home/.docker/config.json", { auths = { ["a.example"] = entry } })
      local err = failure 'credentials.get "a.example"'
      assert.equal("auth", err.kind)
      assert.matches("docker login a.example writes it anew", err.hint, 1, true)
      assert.not_matches("swordfish", err.message, 1, true)
    end
    for _, entry in ipairs { 5, "x", true } do
      write("home/.docker/config.json", { auths = { ["a.example"] = entry } })
      assert.is_nil(get "a.example")
    end
    write("home/.docker/config.json", { auths = "x", credHelpers = { 1 }, credsStore = "" })
    assert.is_nil(get "a.example")
  end)

  it("need the name of a registry", function()
    for _, value in ipairs { '""', "nil", "5", '"a b"', '"a\\n"' } do
      assert.equal("usage", failure(("credentials.get(%s)"):format(value)).kind)
    end
  end)
end)

describe("the headers for an engine", function()
  local scratch

  before_each(function()
    scratch = ctz.fs.tempdir()
    folder = scratch.path
    ctz.fs.mkdir(folder .. "/bin")
    ctz.fs.mkdir(folder .. "/home")
  end)

  after_each(function()
    scratch:close()
  end)

  local function header(expression)
    local ok, value = ask(expression)
    assert.is_true(ok, ok or value.message)
    assert.equal(0, #value % 4) -- with padding
    assert.not_matches("[+/]", value)
    return json.decode(base64.decode(value, { url = true }))
  end

  it("say {} when nobody is logged in", function()
    local ok, value = ask 'credentials.x_registry_auth "a.example"'
    assert.is_true(ok)
    assert.equal("e30=", value)
    ok, value = ask "credentials.x_registry_config()"
    assert.is_true(ok)
    assert.equal("e30=", value)
  end)

  it("have user, password and registry, or an identity token", function()
    write("home/.docker/config.json", { auths = {
      ["a.example"] = auth "me:pass-\u{ff}\u{fe}?>~~", ["b.example"] = { identitytoken = "tok-1" },
      ["https://index.docker.io/v1/"] = auth "me:hub-pass" } })
    assert.same({ username = "me", password = "pass-\u{ff}\u{fe}?>~~", serveraddress = "a.example" },
      header 'credentials.x_registry_auth "a.example"')
    assert.same({ identitytoken = "tok-1", serveraddress = "b.example" },
      header 'credentials.x_registry_auth "b.example"')
    assert.same({ username = "me", password = "hub-pass", serveraddress = "https://index.docker.io/v1/" },
      header 'credentials.x_registry_auth "docker.io"')
  end)

  it("are secrets themselves", function()
    write("home/.docker/config.json", { auths = { ["a.example"] = auth "me:pass-1234" } })
    local _, _, result = ask 'credentials.x_registry_auth "a.example"'
    assert.equal("***\n***\n", result.out)
  end)

  it("of a build have all registries that are known", function()
    add_helper "test"
    write("list", { ["https://c.example"] = "me" })
    write("c.example", { Username = "me", Secret = "c-pass-1" })
    write("d.example", { Username = "me", Secret = "d-pass-1" })
    write("home/.docker/config.json", { credsStore = "test", credHelpers = { ["d.example"] = "test" }, auths = {
      ["a.example"] = auth "me:a-pass-1", ["https://index.docker.io/v1/"] = auth "me:hub-pass",
      ["empty.example"] = json.object {} } })
    local found = header "credentials.x_registry_config()"
    local passwords = {}
    for key, value in pairs(found) do
      assert.equal(key, value.serveraddress)
      passwords[key] = value.password
    end
    assert.same({ ["a.example"] = "a-pass-1", ["c.example"] = "c-pass-1", ["d.example"] = "d-pass-1",
      ["https://index.docker.io/v1/"] = "hub-pass" }, passwords)
    assert.same({ ["a.example"] = { username = "me", password = "a-pass-1", serveraddress = "a.example" } },
      header 'credentials.x_registry_config{"a.example"}')
  end)

  it("of a build leave out, with a warning, what a helper keeps to itself", function()
    add_helper "test"
    write("broken", "locked")
    write("home/.docker/config.json", { credHelpers = { ["d.example"] = "test" }, auths = {
      ["a.example"] = auth "me:a-pass-1" } })
    local ok, value, result = ask "credentials.x_registry_config()"
    assert.is_true(ok)
    assert.equal("a-pass-1", json.decode(base64.decode(value, { url = true }))["a.example"].password)
    assert.matches("credentials of d.example: docker-credential-test get: locked", result.err, 1, true)
    assert.equal("auth", failure('credentials.x_registry_config{"d.example"}').kind)
  end)
end)
