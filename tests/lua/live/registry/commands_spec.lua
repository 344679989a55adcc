-- commands_spec.lua: ctz tags and ctz login beside real registries.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registries"
local tmux = require "tests.lua.support.tmux"

-- Keeps what it is told in its folder, as docker-credential-helpers do in a key ring.
local HELPER <const> = [[#!/bin/sh
input=$(cat)
case "$1" in
  store) test -e %q/full && { echo "the key ring is full"; exit 1; }; echo "$input" > %q/kept ;;
  get) test -e %q/kept && cat %q/kept && exit; echo "credentials not found in native keychain"; exit 1 ;;
esac
]]

describe("--tls-verify=false #live", function()
  local folder, name

  before_each(function()
    folder = ctz.fs.tempdir()
    name = ("%s/%s:1"):format(registry.host "tls", registry.repo())
    local layer = { files = { ["/a"] = { text = "a" } } }
    ctz.image.assemble { layers = { layer }, to = ("oci:%s/in:1"):format(folder.path) }
  end)

  after_each(function()
    folder:close()
  end)

  it("takes the certificate of that registry and of no other, and warns", function()
    local source, target = ("oci:%s/in:1"):format(folder.path), ("oci:%s/out:1"):format(folder.path)
    local refused = program.run { "copy", source, name }
    assert.equal(1, refused.code, refused.err)
    assert.matches("certificate", refused.err)
    refused = program.run { "copy", source, name, "--src-tls-verify=false" }
    assert.equal(2, refused.code)
    assert.matches("names none", refused.err)
    local pushed = program.run { "copy", source, name, "--dest-tls-verify=false" }
    assert.equal(0, pushed.code, pushed.err)
    assert.matches("not checked", pushed.err)
    local pulled = program.run { "copy", name, target, "--src-tls-verify=false" }
    assert.equal(pushed.out, pulled.out)
    assert.not_equal(0, program.run({ "copy", name, name .. "b", "--src-tls-verify=true" }).code)
    local seen = program.run { "inspect", name, "--tls-verify=false" }
    assert.equal(0, seen.code, seen.err)
    assert.not_equal(0, program.run({ "inspect", name }).code)
    assert.equal("1\n", program.run({ "tags", name:gsub(":1$", ""), "--tls-verify=false" }).out)
    assert.not_equal(0, program.run({ "tags", (name:gsub(":1$", "")) }).code)
  end)
end)

describe("ctz tags #live", function()
  local client, repo, name, digests

  setup(function()
    client, repo = registry.connect "plain", registry.repo()
    name, digests = registry.host "plain" .. "/" .. repo, {}
    for _, tag in ipairs { "1.0", "1.1", "latest" } do
      digests[tag] = registry.push(client, repo, tag, tag).digest
    end
  end)

  -- In the order of the registry, of which nothing is said.
  local function sorted(text)
    return registry.list(text:gmatch "[^\n]+")
  end

  it("prints one a line", function()
    local result = program.run { "tags", name }
    assert.same({ "1.0", "1.1", "latest" }, sorted(result.out))
    assert.equal(0, result.code)
    assert.same({ "1.0", "1.1" }, sorted(program.run({ "tags", name, "--match", "^%d" }).out))
  end)

  it("prints digests, and JSON", function()
    assert.equal(digests.latest .. "  latest\n", program.run({ "tags", name, "--digests", "--match", "late" }).out)
    local report = ctz.json.decode(program.run({ "tags", name, "--json" }).out)
    table.sort(report.tags)
    assert.same({ repository = name, tags = { "1.0", "1.1", "latest" } }, report)
    local with = ctz.json.decode(program.run({ "tags", name, "--json", "--digests", "--match", "^1%.1$" }).out)
    assert.same({ { tag = "1.1", digest = digests["1.1"] } }, with.tags)
  end)

  it("says what is wrong", function()
    local result = program.run { "tags", name .. ":1.0" }
    assert.equal(2, result.code)
    assert.matches("without a tag", result.err)
    result = program.run { "tags", registry.host "plain" .. "/test/nowhere" }
    assert.equal(1, result.code)
    assert.matches("test/nowhere", result.err, 1, true)
    assert.equal(2, program.run({ "tags" }).code)
    assert.not_equal(0, program.run({ "tags", name, "--match", "[x" }).code)
  end)
end)

describe("ctz login #live", function()
  local folder, host, secret

  before_each(function()
    folder, host, secret = program.folder(), registry.host "basic", registry.user.password
    ctz.fs.mkdir(folder .. "/bin")
    ctz.fs.write(folder .. "/bin/docker-credential-test", (HELPER:gsub("%%q", folder)), { mode = "0755" })
  end)

  after_each(function()
    program.remove(folder)
  end)

  local function environment()
    return ("HOME=%s DOCKER_CONFIG=%s/.docker PATH=%s/bin:$PATH"):format(folder, folder, folder)
  end

  local function write_config(value)
    ctz.fs.mkdir(folder .. "/.docker", { parents = true })
    ctz.fs.write(folder .. "/.docker/config.json", ctz.json.encode(value), { mode = "0644" })
  end

  local function config()
    return ctz.json.decode(program.read(folder .. "/.docker/config.json"))
  end

  local function login(words, input)
    local all = { "login", host, table.unpack(words or {}) }
    return program.run(all, { environment = environment(), stdin = input or secret .. "\n" })
  end

  local function pings()
    return program.run({ "eval", ("ctz.registry.connect(%q):ping().version"):format(host) },
      { environment = environment() }).code == 0
  end

  it("hands the password to the configured helper, and nothing to the file", function()
    write_config { credsStore = "test", other = { 1, 2 } }
    assert.is_false(pings())
    local result = login { "--username", "user" }
    assert.equal(0, result.code, result.err)
    assert.matches("docker-credential-test", result.err, 1, true)
    local kept = ctz.json.decode(program.read(folder .. "/kept"))
    assert.same({ ServerURL = host, Username = "user", Secret = secret }, kept)
    assert.same({ credsStore = "test", other = { 1, 2 } }, config())
    assert.is_true(pings())
  end)

  it("asks the helper of that registry before the one for all", function()
    write_config { credsStore = "none", credHelpers = { [host] = "test" } }
    local result = login { "--username", "user", "--json" }
    assert.same({ registry = host, username = "user", kept_by = "docker-credential-test" },
      ctz.json.decode(result.out))
  end)

  it("keeps nothing without a helper, unless it is told to, and then for the user alone", function()
    local result = login { "--username", "user" }
    assert.equal(1, result.code)
    assert.matches("no credential helper is configured", result.err)
    assert.is_false(ctz.fs.stat(folder .. "/.docker") ~= nil)
    write_config { auths = { ["other.example"] = { auth = "eDp5" } }, HttpHeaders = { A = "b" } }
    result = login { "--username", "user", "--plain" }
    assert.equal(0, result.code, result.err)
    local kept = config()
    assert.equal("eDp5", kept.auths["other.example"].auth)
    assert.same({ A = "b" }, kept.HttpHeaders)
    assert.equal("user:" .. secret, ctz.base64.decode(kept.auths[host].auth))
    assert.equal(384, ctz.fs.stat(folder .. "/.docker/config.json").mode & 511)
    assert.is_true(pings())
  end)

  it("makes the folder and the file when there are none", function()
    assert.equal(0, login({ "--username", "user", "--plain" }).code)
    assert.equal(448, ctz.fs.stat(folder .. "/.docker").mode & 511)
    assert.is_true(pings())
  end)

  it("keeps nothing that the registry does not take", function()
    write_config { credsStore = "test" }
    local result = login({ "--username", "user" }, "hidden-4711\n")
    assert.equal(1, result.code)
    assert.is_nil((result.out .. result.err):find("hidden-4711", 1, true))
    assert.is_nil(ctz.fs.stat(folder .. "/kept"))
  end)

  it("tells what the helper says, without the password", function()
    write_config { credsStore = "test" }
    program.write(folder .. "/full", "")
    local result = login { "--username", "user" }
    assert.equal(1, result.code)
    assert.matches("the key ring is full", result.err, 1, true)
    assert.is_nil(result.err:find(secret, 1, true))
    write_config { credsStore = "absent" }
    result = login { "--username", "user" }
    assert.matches("no credential helper docker-credential-absent in PATH", result.err, 1, true)
  end)

  it("refuses what cannot work", function()
    write_config { credsStore = "test", credHelpers = { [host] = "test" } }
    assert.equal(2, login({}).code)
    assert.equal(2, login({ "--username", "user" }, "").code)
    assert.matches("and not the file", login({ "--username", "user", "--plain" }).err, 1, true)
    local words = { "login", "a b", "--username", "u" }
    assert.equal(1, program.run(words, { environment = environment(), stdin = "x" }).code)
    ctz.fs.write(folder .. "/.docker/config.json", "{")
    assert.equal(1, login({ "--username", "user" }).code)
    assert.equal("{", program.read(folder .. "/.docker/config.json"))
  end)

  -- Then whether the terminal shows what is typed.
  local function shown(options)
    return ("%s %s login %s %s; stty -a | grep -o ' echo '"):format(environment(), program.path, host, options)
  end

  it("asks on the terminal, and does not show what is typed", function()
    if not tmux.is_there then
      return pending "tmux is not in PATH"
    end
    write_config { credsStore = "test" }
    local terminal <close> = tmux.open(shown "")
    terminal:wait "Username:"
    terminal:line "user"
    terminal:wait "Password for"
    terminal:line(secret)
    local screen = terminal:wait "exit="
    assert.is_nil(screen:find(secret, 1, true))
    assert.matches("logged in", screen)
    assert.matches(" echo", screen)
    assert.equal(secret, ctz.json.decode(program.read(folder .. "/kept")).Secret)
  end)

  it("shows what is typed again after Ctrl-C", function()
    if not tmux.is_there then
      return pending "tmux is not in PATH"
    end
    write_config { credsStore = "test" }
    local terminal <close> = tmux.open(shown "--username user")
    terminal:wait "Password for"
    terminal:keys "C-c"
    assert.matches("\n echo", terminal:wait "exit=")
    assert.is_nil(ctz.fs.stat(folder .. "/kept"))
  end)
end)
