-- registry_spec.lua: what ctz.registry.connect does before anything is sent, and what it reads from headers.
-- SPDX-License-Identifier: MIT
local auth = require "ctz.registry.auth"
local challenge = require "ctz.registry.challenge"
local ctz = require "ctz"
local hosts = require "ctz.registry.hosts"
local paces = require "ctz.registry.pace"
local transport = require "ctz.registry.transport"
local urls = require "ctz.registry.url"

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.equal("table", type(err), tostring(err))
  assert.is_true(err:is "registry", tostring(err))
  return err
end

describe("registry.connect", function()
  it("knows registries by their names", function()
    for name, kind in pairs {
      ["docker.io"] = "dockerhub", ["index.docker.io"] = "dockerhub", ["registry-1.docker.io"] = "dockerhub",
      ["123456789012.dkr.ecr.eu-west-1.amazonaws.com"] = "ecr", ["public.ecr.aws"] = "ecr",
      ["123456789012.dkr.ecr-fips.us-gov-east-1.amazonaws.com"] = "ecr", ["team.azurecr.io"] = "acr",
      ["gcr.io"] = "gcr", ["eu.gcr.io"] = "gcr", ["europe-west1-docker.pkg.dev"] = "gcr", ["ghcr.io"] = "ghcr",
      ["quay.io"] = "quay", ["registry.gitlab.com"] = "gitlab", ["harbor.example.org"] = "harbor",
      ["registry.example.org:5000"] = "generic", ["gcr.io.example.org"] = "generic", ["[::1]:5000"] = "generic",
    } do
      assert.equal(kind, ctz.registry.connect(name).type, name)
    end
    assert.equal("harbor", ctz.registry.connect("registry.example.org", { type = "harbor" }).type)
  end)

  it("gives all names of Docker Hub one, and finds its API", function()
    local client = ctz.registry.connect "index.docker.io"
    assert.equal("ctz.registry.client(docker.io)", tostring(client))
    assert.equal("https://registry-1.docker.io", client.url)
    assert.equal("library/alpine", (client:repository("registry.x", "alpine")))
    assert.equal("https://ghcr.io", ctz.registry.connect("https://ghcr.io/").url)
  end)

  it("refuses what is no registry, and options that are none", function()
    for _, name in ipairs {
      "", "a b", "ghcr.io/owner", "user@host", "http://", "ftp://ghcr.io", "host:port", "-x-.org", "a\nb",
        "host:99999999x",
      "ghcr.io?x", "ghcr.io#x", "..", "/", ("x"):rep(10) .. "\0",
    } do
      assert.equal("usage", failure(ctz.registry.connect, name).kind, name)
    end
    for _, value in ipairs { 7, false, {} } do
      assert.equal("usage", failure(ctz.registry.connect, value).kind)
    end
    for _, opts in ipairs {
      { htp = true }, { auth = true }, { auth = { user = "x" } }, { auth = { password = "x" } }, { rps = 0 },
        { rps = -1 },
      { connections = 0 }, { connections = 1.5 }, { type = "docker" }, { mirrors = "x" }, { mirrors = { "a b" } },
      { auth = { username = "u", password = "p", realm = "nowhere" } }, { tls = true },
    } do
      assert.equal("usage", failure(ctz.registry.connect, "ghcr.io", opts).kind)
    end
    assert.matches("dockerhub", failure(ctz.registry.connect, "ghcr.io", { type = "dockerhib" }).hint)
    assert.matches("did you mean 'http'", failure(ctz.registry.connect, "ghcr.io", { htp = true }).message)
  end)

  it("keeps passwords masked", function()
    local client = ctz.registry.connect("ghcr.io", { auth = { username = "me", password = "hidden word" } })
    assert.equal("me", client.credentials.username)
    assert.is_nil(ctz.inspect(client.credentials):find("hidden", 1, true))
    client = ctz.registry.connect("ghcr.io", { auth = { token = "hidden word" } })
    assert.is_nil(ctz.inspect(client.credentials):find("hidden", 1, true))
    assert.is_nil(ctz.registry.connect("ghcr.io", { auth = false }).credentials)
  end)

  it("keeps a policy of retention, and scans nothing", function()
    local client = ctz.registry.connect("ghcr.io", { retention_policy = { newest = 3 } })
    assert.same({ newest = 3 }, client.retention_policy)
    assert.is_false(client.security_scan_enabled)
    assert.equal("unsupported", failure(function()
      client.security_scan_enabled = true
    end).kind)
    assert.equal("unsupported", failure(ctz.registry.connect, "ghcr.io", { security_scan_enabled = true }).kind)
  end)

  it("says what a registry does not do without asking it", function()
    for _, name in ipairs { "docker.io", "ghcr.io" } do
      local client = ctz.registry.connect(name)
      assert.equal("unsupported", failure(client.catalog, client).kind)
    end
  end)
end)

describe("names of functions of a client", function()
  local client = ctz.registry.connect "127.0.0.1:1"
  local digest = "sha256:" .. ctz.hash.sha256 "x"

  it("are refused with arguments that are none, before anything is sent", function()
    for _, call in ipairs {
      { "manifest" }, { "manifest", "a/b" }, { "manifest", "a/b", 1 }, { "manifest", 1, "1" },
      { "manifest", "a/b", "x y" }, { "manifest", "a/b", "" }, { "manifest", "A/b", "1" }, { "manifest", "../x", "1" },
      { "manifest", "a//b", "1" }, { "manifest", "a/b", ("x"):rep(129) }, { "manifest", "a/b", "sha256:00" },
      { "manifest", "a/b", "1", { timeuot = 1 } }, { "blob", "a/b", "1" }, { "blob", "a/b" },
      { "blob", "a/b", "sha384:" .. ("0"):rep(96) }, { "blob", "a/b", digest, { size = -1 } },
      { "put_blob", "a/b" }, { "put_blob", "a/b", 7 }, { "put_blob", "a/b", {} },
      { "put_blob", "a/b", "x", { digest = "x" } }, { "mount_blob", "a/b", "x" }, { "mount_blob", "a/b", digest,
        "B" },
      { "put_manifest", "a/b", "1" }, { "put_manifest", "a/b", "1", 7 }, { "create_index", "a/b", "1" },
      { "create_index", "a/b", "1", { 7 } }, { "attach", "a/b", "1" }, { "attach", "a/b", "1", { type = 7 } },
      { "digests", "a/b", 7 }, { "delete", "a/b" }, { "tags", "a/b", { page = "x" } },
    } do
      local err = failure(function()
        local fn = client[call[1]]
        local made = fn(client, table.unpack(call, 2, 4))
        return made
      end)
      assert.equal("usage", err.kind, ctz.inspect(call) .. tostring(err))
    end
  end)
end)

describe("challenges", function()
  it("are read as RFC 9110 has them, several in one header too", function()
    assert.same({ { scheme = "basic", params = { realm = "a" } } }, challenge.parse 'Basic realm="a"')
    assert.same({ { scheme = "negotiate", params = {} }, { scheme = "basic", params = { realm = 'a, "b" \\' } },
      { scheme = "bearer", params = { realm = "https://x/t?a=1,2", service = "s", scope = "a:b:c d" } } },
      challenge.parse([[Negotiate, Basic realm="a, \"b\" \\",]]
        .. ' BEARER Realm = "https://x/t?a=1,2",service=s, scope="a:b:c d"'))
    assert.same({ { scheme = "negotiate", params = {} }, { scheme = "bearer", params = { realm = "r" } } },
      challenge.parse 'Negotiate YWJjZA==, Bearer realm="r"')
    assert.same({}, challenge.parse "")
    assert.same({}, challenge.parse " , ,")
  end)

  it("that are broken raise nothing", function()
    for _, text in ipairs { 'Bearer realm="', "=", '"', "Bearer =", "Bearer realm=,", "Bearer a=b=c", "\0\1",
      'Basic realm="a" x',
      ("a "):rep(10000), 'Bearer realm="\\' } do
      assert.equal("table", type(challenge.parse(text)))
    end
  end)
end)

describe("Link, Warning and Retry-After", function()
  it("are read", function()
    assert.equal("/v2/a/tags/list?n=1&last=b", challenge.next_link '</v2/a/tags/list?n=1&last=b>; rel="next"')
    assert.equal("x", challenge.next_link '<p>; rel=prev, <x>; title="a"; rel="last next"')
    assert.is_nil(challenge.next_link '<p>; rel="prev"')
    assert.is_nil(challenge.next_link(nil))
    assert.same({ 'one "1"', "two" }, challenge.warnings [[299 - "one \"1\"", 199 x "no", 299 - "two"]])
    assert.same({}, challenge.warnings '299 - "without end')
    assert.equal(120, challenge.retry_after("120", 0))
    assert.equal(784111777, challenge.retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 0))
    assert.equal(7, challenge.retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111770))
    assert.equal(0, challenge.retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 784111799))
    for _, text in ipairs { "", "soon", "-1", "1.5", "Sun, 06 Foo 1994 08:49:37 GMT" } do
      assert.is_nil(challenge.retry_after(text, 0))
    end
    assert.is_nil(challenge.retry_after(nil, 0))
  end)
end)

describe("URLs", function()
  local base = urls.parse "https://reg.test/v2/a/blobs/uploads/?x=1"

  it("of Locations are resolved", function()
    for reference, expected in pairs {
      ["/v2/x?y=1"] = "https://reg.test/v2/x?y=1", ["uuid?_s=1"] = "https://reg.test/v2/a/blobs/uploads/uuid?_s=1",
      ["../../x"] = "https://reg.test/v2/a/x", ["?z=2"] = "https://reg.test/v2/a/blobs/uploads/?z=2",
      ["//other:444/y"] = "https://other:444/y", ["http://h:80/p#f"] = "http://h/p", ["https://H:443"] = "https://h/",
      ["https://u:p@h/x"] = "https://h/x", ["https://[::1]:5000/x"] = "https://[::1]:5000/x",
      [""] = "https://reg.test/v2/a/blobs/uploads/?x=1", ["/../../etc"] = "https://reg.test/etc",
    } do
      assert.equal(expected, urls.text_of(urls.resolve(base, reference)), reference)
    end
    for _, reference in ipairs { "ftp://x/y", "https://", "https://a b/", "/a b", "/a\nb", "javascript:x",
      "https://h\\@x/" } do
      assert.is_nil(urls.resolve(base, reference), reference)
    end
  end)

  it("get what is added to their query, and are shown without it", function()
    assert.equal("/x?a=1&digest=sha256%3Aab", urls.add_query("/x?a=1", { digest = "sha256:ab" }))
    assert.equal("/x?n=1&scope=a&scope=b", urls.add_query("/x", { n = 1, scope = { "a", "b" } }))
    assert.equal("https://h/x?...", urls.shown(urls.parse "https://h/x?secret=1"))
    assert.equal('see https://h/x?... and "http://i/?..."', urls.redact 'see https://h/x?s=1&t=2 and "http://i/?u=3"')
  end)

  it("of private networks are known in every way of writing", function()
    for _, host in ipairs { "localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1",
      "172.31.9.9",
      "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]",
      "[fd00::1]", "2130706433", "0x7f000001", "0x7f.1", "127.1", "010.0.0.1" } do
      assert.is_true(urls.is_private(host), host)
    end
    for _, host in ipairs { "ghcr.io", "8.8.8.8", "172.32.0.1", "192.169.1.1", "[2001:db8::1]", "10.example.org" } do
      assert.is_false(urls.is_private(host), host)
    end
  end)
end)

describe("where a registry may lead us", function()
  local context = { op = "registry.client.blob", target = "reg.test/a" }
  local from = urls.parse "https://reg.test/v2/"

  local function check(to, policy)
    policy.context = context
    return transport.check(urls.resolve(from, to), from, policy, "a redirect")
  end

  it("is everywhere but to http, into private networks and to what is no URL", function()
    local public = { secure = true, private = false }
    assert.is_truthy(check("https://storage.test/x", public))
    assert.equal("denied", failure(check, "http://storage.test/x", public).kind)
    assert.equal("denied", failure(check, "https://169.254.169.254/latest", public).kind)
    assert.equal("protocol", failure(check, "gopher://x/", public).kind)
    assert.is_truthy(check("https://10.0.0.1/x", { secure = true, private = true }))
    local err = failure(check, "https://10.0.0.1/x?token=secret", public)
    assert.is_nil(tostring(err):find("secret", 1, true))
  end)

  local function ask(realm, secure, private)
    local who = auth.new { name = "reg.test", given = false, quirks = {}, pace = paces.new("reg.test", {}),
      on_challenge = function() end }
    who.host, who.secure, who.private, who.origin = "reg.test", secure, private, from
    local answer = { headers = { ["www-authenticate"] = ('Bearer realm="%s"'):format(realm) } }
    assert.is_true(who:challenged(answer, {}, { kind = "none" }, 1))
    return who:apply({}, {}, context)
  end

  it("is no token server without TLS, in a private network, or with a realm that is no URL", function()
    local err = failure(ask, "http://reg.test/token", true, false)
    assert.equal("auth", err.kind)
    assert.matches("external URL", err.hint)
    assert.equal("denied", failure(ask, "https://10.0.0.1/token", true, false).kind)
    assert.equal("protocol", failure(ask, "nowhere", true, false).kind)
  end)
end)

describe("certs.d", function()
  local config <const> = "containers/certs.d/reg.test:5000"

  -- What a run finds there: it is told by the environment where its configuration is.
  local function find(files)
    local folder <close> = ctz.fs.tempdir()
    local place = folder.path .. "/" .. config
    ctz.fs.mkdir(place, { parents = true })
    for name, text in pairs(files) do
      ctz.fs.write(place .. "/" .. name, text)
    end
    local recipe = folder.path .. "/recipe.lua"
    ctz.fs.write(recipe, [[
      local ctz = require "ctz"
      local ok, value = pcall(require("ctz.registry.hosts").tls_of, "reg.test:5000", {insecure = true})
      print(ctz.json.encode{ok = ok, value = ok and value or {kind = value.kind, message = value.message}})
    ]])
    local program = require("tests.lua.support.program").path
    local result = ctz.process.run({ program, "run", recipe }, { env = { XDG_CONFIG_HOME = folder.path } })
    local found = ctz.json.decode(result.stdout)
    return found.value, found.ok, place
  end

  it("has authorities, a certificate and its key", function()
    local tls, ok, place = find { ["ca.crt"] = "CA", ["more.crt"] = "MORE", ["client.cert"] = "C",
      ["client.key"] = "K" }
    assert.is_true(ok)
    assert.same({ ca = "CA\nMORE", cert = place .. "/client.cert", key = place .. "/client.key", insecure = true }, tls)
  end)

  it("with half of a pair is an error that names the other half", function()
    local err, ok = find { ["client.cert"] = "C" }
    assert.is_false(ok)
    assert.equal("usage", err.kind)
    assert.matches("client.key", err.message)
    assert.matches("client.cert", (find { ["client.key"] = "K" }).message)
  end)

  it("may be empty or missing", function()
    assert.same({ insecure = true }, (find {}))
    assert.is_nil(hosts.tls_of "nobody.knows.test:1")
  end)
end)
