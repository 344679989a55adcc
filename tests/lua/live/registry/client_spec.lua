-- client_spec.lua: ctz.registry.connect against real registries.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local registry = require "tests.lua.support.registries"

local NONE <const> = "sha256:" .. ctz.hash.sha256 "nobody has this"

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.is_true(err:is "registry", tostring(err))
  assert.is_true(err:is "container", tostring(err))
  return err
end

describe("a registry on this machine #live", function()
  it("is found by http when it speaks no TLS", function()
    local client = registry.connect "plain"
    assert.equal("registry/2.0", client:ping().version)
    assert.equal("http://" .. registry.host "plain", client.url)
    assert.equal("generic", client.type)
    assert.is_nil(client.credentials)
    assert.is_false(client.security_scan_enabled)
  end)

  it("is spoken to by https when its authority is trusted, and never by http instead", function()
    local err = failure(function()
      return registry.connect("tls"):ping()
    end)
    assert.equal("protocol", err.kind)
    assert.equal("CERT_UNKNOWN_CA", err.code)
    local client = registry.connect("tls", { tls = { ca = registry.ca } })
    client:ping()
    assert.equal("https://" .. registry.host "tls", client.url)
  end)

  it("that wants a certificate gets the one of certs.d, or of the recipe", function()
    local folder = ctz.path.dirname(registry.ca)
    local client = registry.connect("mtls", { tls = { ca = registry.ca, cert = folder .. "/client.crt",
      key = folder .. "/client.key" } })
    assert.equal("registry/2.0", client:ping().version)
    local err = failure(function()
      return registry.connect("mtls", { tls = { ca = registry.ca } }):ping()
    end)
    assert.equal("auth", err.kind)
    local config <close> = ctz.fs.tempdir()
    local place = ("%s/containers/certs.d/%s"):format(config.path, registry.host "mtls")
    ctz.fs.mkdir(place, { parents = true })
    ctz.fs.copy(registry.ca, place .. "/ca.crt")
    ctz.fs.copy(folder .. "/client.crt", place .. "/client.cert")
    ctz.fs.copy(folder .. "/client.key", place .. "/client.key")
    local recipe = config.path .. "/recipe.lua"
    ctz.fs.write(recipe, ([[
      local ctz = require "ctz"
      print(ctz.registry.connect(%q):ping().version)
    ]]):format(registry.host "mtls"))
    local program = require("tests.lua.support.program").path
    local result = ctz.process.run({ program, "run", recipe }, { env = { XDG_CONFIG_HOME = config.path } })
    assert.equal("registry/2.0\n", result.stdout)
  end)

  it("is taken as it is with tls.insecure", function()
    assert.equal("registry/2.0", registry.connect("tls", { tls = { insecure = true } }):ping().version)
  end)

  it("that speaks TLS does not answer to http=true", function()
    local err = failure(function()
      return registry.connect("tls", { http = true }):ping()
    end)
    assert.equal("usage", err.kind) -- "Client sent an HTTP request to an HTTPS server", 400
  end)
end)

describe("manifests #live", function()
  local client, repo, pushed, written

  setup(function()
    client, repo = registry.connect "plain", registry.repo()
    pushed, written = registry.push(client, repo, "1.0")
  end)

  it("come back as they were sent, by tag and by digest", function()
    local by_tag = client:manifest(repo, "1.0")
    assert.equal(pushed.digest, by_tag.digest)
    assert.equal("sha256:" .. ctz.hash.sha256(by_tag.bytes), by_tag.digest)
    assert.equal(pushed.size, by_tag.size)
    assert.same(written, by_tag.value)
    assert.is_false(by_tag.is_index)
    assert.equal(by_tag.bytes, client:manifest(repo, pushed.digest).bytes)
  end)

  it("are resolved without being fetched; what is not there is nil", function()
    assert.same(pushed, client:resolve(repo, "1.0"))
    assert.is_nil(client:resolve(repo, "2.0"))
    assert.is_nil(client:resolve(repo, NONE))
    assert.is_nil(client:resolve("test/nowhere", "1.0"))
  end)

  it("that are not there are an error with the registry's code", function()
    local err = failure(client.manifest, client, repo, "2.0")
    assert.equal("not_found", err.kind)
    assert.equal(404, err.status)
    assert.equal("MANIFEST_UNKNOWN", err.code)
    assert.equal("registry.client.manifest", err.op)
    assert.equal(("%s/%s:2.0"):format(registry.host "plain", repo), err.target)
  end)

  it("get more tags in one call", function()
    client:put_manifest(repo, "a", client:manifest(repo, "1.0"), { tags = { "b", "c" } })
    local digests = client:digests(repo, { "a", "b", "c", "none" })
    assert.same({ a = pushed.digest, b = pushed.digest, c = pushed.digest }, digests)
  end)

  it("are refused under the digest of something else, before anything is sent", function()
    local err = failure(client.put_manifest, client, repo, NONE, client:manifest(repo, "1.0"))
    assert.equal("digest", err.kind)
  end)

  it("that name a blob which is not there are refused by the registry", function()
    local broken = { config = { mediaType = "application/vnd.oci.image.config.v1+json", digest = NONE, size = 3 },
      layers = ctz.json.array {} }
    local err = failure(client.put_manifest, client, repo, "broken", broken)
    assert.equal("not_found", err.kind)
    assert.equal("MANIFEST_BLOB_UNKNOWN", err.code)
    assert.matches("before the manifest", err.hint)
  end)

  it("that are two things at once are not sent", function()
    local err = failure(client.put_manifest, client, repo, "both", { layers = {}, manifests = {} })
    assert.equal("protocol", err.kind)
  end)

  it("longer than the registry's 4 MiB are refused in its words", function()
    local long = { config = written.config, layers = written.layers, annotations = { a = ("x"):rep(5 << 20) } }
    local err = failure(client.put_manifest, client, repo, "long", long)
    assert.is_true(err.kind == "usage" or err.kind == "size", tostring(err))
  end)

  it("under names that are none raise before anything is sent", function()
    for name, reference in pairs { ["test/UPPER"] = "1", [repo] = "a tag", [repo .. ":1"] = "1", [""] = "1" } do
      assert.equal("usage", failure(client.manifest, client, name, reference).kind)
    end
    assert.equal("usage", failure(client.manifest, client, repo, "sha256:abc").kind)
    assert.equal("usage", failure(client.manifest, client, repo).kind)
  end)
end)

describe("indexes #live", function()
  local client, repo, arm

  setup(function()
    client, repo = registry.connect "plain", registry.repo()
    arm = registry.push(client, repo, "arm", "arm")
    registry.push(client, repo, "other", "other")
  end)

  it("are made of tags, with the platforms of their configs", function()
    local made = client:create_index(repo, "all", { "arm" }, { annotations = { a = "b" } })
    local index = client:manifest(repo, "all")
    assert.equal(made.digest, index.digest)
    assert.is_true(index.is_index)
    assert.same({ { mediaType = arm.mediaType, digest = arm.digest, size = arm.size,
      platform = { os = "linux", architecture = "arm64", variant = "v8" } } }, index.value.manifests)
    assert.same({ a = "b" }, index.value.annotations)
  end)

  it("are changed: entries in, entries out, annotations", function()
    client:create_index(repo, "edited", { "arm" }, { annotations = { old = "1" } })
    local platform = { os = "linux", architecture = "riscv64" }
    client:edit_index(repo, "edited", { remove = { "arm" }, add = { { reference = "other", platform = platform } },
      annotations = { old = false, new = "2" } })
    local value = client:manifest(repo, "edited").value
    assert.equal(1, #value.manifests)
    assert.same(platform, value.manifests[1].platform)
    assert.same({ new = "2" }, value.annotations)
  end)

  it("name what there is", function()
    assert.equal("not_found", failure(client.create_index, client, repo, "x", { "nowhere" }).kind)
    assert.equal("usage", failure(client.edit_index, client, repo, "arm", {}).kind)
  end)
end)

describe("blobs #live", function()
  local client, repo

  setup(function()
    client, repo = registry.connect "plain", registry.repo()
  end)

  it("go in and come back, also empty ones", function()
    for _, text in ipairs { "hello", "", ("0123456789"):rep(1000000) } do
      local digest = "sha256:" .. ctz.hash.sha256(text)
      local descriptor, how = client:put_blob(repo, text)
      assert.same({ digest = digest, size = #text }, descriptor)
      assert.equal("pushed", how)
      assert.equal(#text, client:has_blob(repo, digest))
      assert.equal(text, registry.read(client:blob(repo, digest, { size = #text })))
      assert.equal("exists", select(2, client:put_blob(repo, text)))
    end
  end)

  it("are sent from a file, from a reader and from what can be read again", function()
    local file <close> = ctz.fs.tempfile()
    ctz.fs.write(file.path, ("file"):rep(200000))
    for _, verify in ipairs { true, false } do
      local text = ("file"):rep(200000) .. tostring(verify)
      ctz.fs.write(file.path, text)
      local descriptor = client:put_blob(repo, { path = file.path }, { verify = verify })
      assert.equal("sha256:" .. ctz.hash.sha256(text), descriptor.digest)
    end
    local text = ("again"):rep(100000)
    local digest = "sha256:" .. ctz.hash.sha256(text)
    local function opener(offset)
      local done = false
      return { read = function()
        local rest = not done and text:sub(offset + 1) or nil
        done = true
        return rest
      end }
    end
    assert.equal("pushed", select(2, client:put_blob(repo, opener, { digest = digest, size = #text })))
    local left = 3
    local streamed = client:put_blob(repo, { read = function()
      left = left - 1
      return left >= 0 and ("%d"):format(left):rep(3000000) or nil
    end })
    assert.equal(9000000, streamed.size)
    assert.equal(9000000, client:has_blob(repo, streamed.digest))
  end)

  it("are sent in chunks when that is asked for", function()
    local text = ("chunk"):rep(2000000) -- three chunks
    assert.equal("pushed", select(2, client:put_blob(repo, text, { chunked = true })))
    assert.equal(text, registry.read(client:blob(repo, "sha256:" .. ctz.hash.sha256(text))))
  end)

  it("that are not what was announced are refused, and not there afterwards", function()
    local function of(text)
      return function()
        local done = false
        return { read = function()
          local rest = not done and text or nil
          done = true
          return rest
        end }
      end
    end
    local err = failure(client.put_blob, client, repo, "something", { digest = NONE })
    assert.equal("digest", err.kind)
    err = failure(client.put_blob, client, repo, of "something", { digest = NONE, size = 9, verify = true })
    assert.equal("digest", err.kind)
    err = failure(client.put_blob, client, repo, of "something", { digest = NONE, size = 9 })
    assert.equal("digest", err.kind)
    assert.equal("DIGEST_INVALID", err.code)
    err = failure(client.put_blob, client, repo, of "short", { digest = NONE, size = 9, verify = true })
    assert.equal("size", err.kind)
    assert.is_nil(client:has_blob(repo, NONE))
  end)

  it("are mounted from another repository, else pushed", function()
    local other = registry.repo()
    local digest = client:put_blob(repo, "mounted").digest
    assert.is_true(client:mount_blob(other, digest, repo))
    assert.equal(7, client:has_blob(other, digest))
    assert.is_false(client:mount_blob(other, NONE, repo))
    assert.equal("mounted", select(2, client:put_blob(registry.repo(), "mounted", { mount = repo })))
    assert.equal("pushed", select(2, client:put_blob(registry.repo(), "not mounted", { mount = repo })))
  end)

  it("are read from the middle, and end early", function()
    local text = ("0123456789"):rep(100000)
    local digest = client:put_blob(repo, text).digest
    assert.equal("789", registry.read(client:blob(repo, digest, { offset = #text - 3 })))
    do
      local blob <close> = client:blob(repo, digest)
      assert.is_true(#blob:read() > 0)
    end
    assert.equal("size", failure(registry.read, client:blob(repo, digest, { size = 5 })).kind)
  end)

  it("that are not there are an error when they are read", function()
    local err = failure(registry.read, client:blob(repo, NONE))
    assert.equal("not_found", err.kind)
    assert.equal("BLOB_UNKNOWN", err.code)
  end)

  it("are taken out", function()
    local digest = client:put_blob(repo, "to be removed").digest
    assert.is_true(client:delete_blob(repo, digest))
    assert.is_nil(client:has_blob(repo, digest))
    assert.equal("not_found", failure(client.delete_blob, client, repo, digest).kind)
  end)
end)

describe("skopeo #live", function()
  local function skopeo(...)
    return ctz.process.run({ "skopeo", ... }).stdout
  end

  it("reads what was pushed as it was meant", function()
    local client, repo = registry.connect "plain", registry.repo()
    local pushed, manifest = registry.push(client, repo, "1.0")
    client:create_index(repo, "all", { "1.0" })
    local name = ("docker://%s/%s"):format(registry.host "plain", repo)
    local raw = skopeo("inspect", "--tls-verify=false", "--raw", name .. ":1.0")
    assert.equal(pushed.digest, "sha256:" .. ctz.hash.sha256(raw))
    assert.same(manifest, ctz.json.decode(raw))
    local config = ctz.json.decode(skopeo("inspect", "--tls-verify=false", "--config", name .. ":1.0"))
    assert.equal("arm64", config.architecture)
    local index = ctz.json.decode(skopeo("inspect", "--tls-verify=false", "--raw", name .. ":all"))
    assert.equal(pushed.digest, index.manifests[1].digest)
    local tags = ctz.json.decode(skopeo("list-tags", "--tls-verify=false", name)).Tags
    table.sort(tags)
    assert.same(registry.list(client:tags(repo)), tags)
  end)
end)

describe("lists #live", function()
  it("of tags are complete, also page by page", function()
    local client, repo = registry.connect "plain", registry.repo()
    local manifest = select(2, registry.push(client, repo, "t00"))
    local all = { "t00" }
    for i = 1, 11 do
      all[i + 1] = ("t%02d"):format(i)
    end
    client:put_manifest(repo, "t00", manifest, { tags = { table.unpack(all, 2) } })
    assert.same(all, registry.list(client:tags(repo)))
    assert.same(all, registry.list(client:tags(repo, { page = 4 })))
    assert.same(all, registry.list(client:tags(repo, { page = 12 })))
    assert.same({ "t10", "t11" }, registry.list(client:tags(repo, { match = "^t1" })))
    local count = 0
    for _, digest in pairs(client:digests(repo)) do
      count = count + 1
      assert.equal(client:resolve(repo, "t00").digest, digest)
    end
    assert.equal(12, count)
  end)

  it("of tags of what is not there are an error", function()
    local client = registry.connect "plain"
    local err = failure(function()
      return registry.list(client:tags "test/nowhere")
    end)
    assert.equal("not_found", err.kind)
    assert.equal("NAME_UNKNOWN", err.code)
  end)

  it("of repositories are a field", function()
    local client, repo = registry.connect "plain", registry.repo()
    registry.push(client, repo, "1")
    local found = {}
    for name in client.repositories do
      found[name] = true
    end
    assert.is_true(found[repo])
    assert.same({ repo }, registry.list(client:catalog { page = 2, match = repo:gsub("%W", "%%%0") .. "$" }))
  end)
end)

describe("removal #live", function()
  it("of a tag leaves the others that point to the same", function()
    local client, repo = registry.connect "plain", registry.repo()
    local pushed = registry.push(client, repo, "gone")
    client:put_manifest(repo, "stays", client:manifest(repo, "gone"))
    assert.is_true(client:delete(repo, "gone"))
    assert.is_nil(client:resolve(repo, "gone"))
    assert.equal(pushed.digest, client:resolve(repo, "stays").digest)
    assert.same({ "stays" }, registry.list(client:tags(repo)))
    assert.equal("not_found", failure(client.delete, client, repo, "gone").kind)
  end)

  it("of a manifest takes its tags along", function()
    local client, repo = registry.connect "plain", registry.repo()
    local pushed = registry.push(client, repo, "1")
    assert.is_true(client:delete(repo, pushed.digest))
    assert.is_nil(client:resolve(repo, "1"))
    assert.equal("not_found", failure(client.delete, client, repo, pushed.digest).kind)
  end)

  it("is refused by a registry that removes nothing, and all stays as it was", function()
    local client, repo = registry.connect "fixed", registry.repo()
    local pushed = registry.push(client, repo, "1")
    for _, reference in ipairs { "1", pushed.digest } do
      local err = failure(client.delete, client, repo, reference)
      assert.equal("unsupported", err.kind)
      assert.matches("DELETE_ENABLED", err.hint)
    end
    assert.equal(pushed.digest, client:resolve(repo, "1").digest)
  end)
end)

describe("artifacts #live", function()
  it("belong to an image: they are attached, listed, chosen by type and removed", function()
    local client, repo = registry.connect "plain", registry.repo()
    local pushed = registry.push(client, repo, "1.0")
    assert.same({}, client:referrers(repo, "1.0"))
    local sbom = client:attach(repo, "1.0", { type = "application/spdx+json",
      files = { { content = "{}", title = "sbom.json" } }, annotations = { a = "b" } })
    local other = client:attach(repo, pushed.digest, { type = "application/x-report" })
    local all = client:referrers(repo, pushed.digest)
    assert.equal(2, #all)
    local chosen = client:referrers(repo, "1.0", { type = "application/spdx+json" })
    assert.equal(1, #chosen)
    assert.equal(sbom.digest, chosen[1].digest)
    assert.equal("application/spdx+json", chosen[1].artifactType)
    assert.equal("b", chosen[1].annotations.a)
    local value = client:manifest(repo, sbom.digest).value
    assert.equal(pushed.digest, value.subject.digest)
    assert.equal("sbom.json", value.layers[1].annotations["org.opencontainers.image.title"])
    assert.equal("{}", registry.read(client:blob(repo, value.layers[1].digest)))
    client:delete(repo, other.digest)
    assert.same({ chosen[1] }, client:referrers(repo, "1.0"))
  end)

  it("of several tasks at the same time are all entered", function()
    local client, repo = registry.connect "plain", registry.repo()
    registry.push(client, repo, "1.0")
    ctz.map({ "a", "b", "c" }, function(word)
      client:attach(repo, "1.0", { type = "application/x-" .. word })
    end)
    assert.equal(3, #client:referrers(repo, "1.0"))
  end)
end)

describe("who we are #live", function()
  local NAMELESS <const> = { auth = false }

  it("is told by basic authentication", function()
    local client, repo = registry.connect("basic", { auth = registry.user }), registry.repo()
    registry.push(client, repo, "1")
    assert.is_truthy(client:resolve(repo, "1"))
    assert.equal("user", client.credentials.username)
    assert.equal("***", tostring(client.credentials.password))
  end)

  it("is an error with a hint when it is wrong or missing", function()
    for _, auth in ipairs { { username = "user", password = "wrong" }, false } do
      local err = failure(function()
        return registry.connect("basic", { auth = auth }):ping()
      end)
      assert.equal("auth", err.kind)
      assert.equal(401, err.status)
      assert.equal("UNAUTHORIZED", err.code)
      assert.matches("ctz login " .. registry.host "basic", err.hint, 1, true)
    end
  end)

  it("is found in config.json", function()
    local folder <close> = ctz.fs.tempdir()
    local auth = ctz.base64.encode "user:secret word"
    local auths = { [registry.host "basic"] = { auth = auth } }
    ctz.fs.write(folder.path .. "/config.json", ctz.json.encode { auths = auths })
    local recipe = folder.path .. "/recipe.lua"
    ctz.fs.write(recipe, ([[
      local ctz = require "ctz"
      print(ctz.registry.connect(%q):ping().version)
    ]]):format(registry.host "basic"))
    local program = require("tests.lua.support.program").path
    local result = ctz.process.run({ program, "run", recipe }, { env = { DOCKER_CONFIG = folder.path } })
    assert.equal("registry/2.0\n", result.stdout)
  end)

  it("is told by tokens, for pull, push, mount and removal", function()
    local client = registry.connect("token", { auth = registry.user })
    local repo, other = registry.repo(), registry.repo()
    local pushed = registry.push(client, repo, "1")
    assert.equal(pushed.digest, client:resolve(repo, "1").digest)
    assert.equal("mounted", select(2, client:put_blob(other, "layer ", { mount = repo })))
    assert.is_true(client:delete(repo, "1"))
    assert.is_true(#registry.list(client:catalog()) >= 0)
  end)

  it("is asked for once for many requests of the same kind", function()
    local client, repo = registry.connect("token", { auth = registry.user }), registry.repo()
    registry.push(client, repo, "1")
    local function asked() -- of this repository: other specs ask the same server
      local count = 0
      for _, one in ipairs(registry.asked()) do
        if table.concat(one.scopes, " "):find(repo, 1, true) then
          count = count + 1
        end
      end
      return count
    end
    local before = asked()
    ctz.map({ "1", "1", "1", "1", "1", "1" }, function(tag)
      client:resolve(repo, tag)
    end)
    assert.equal(before, asked())
    local fresh = registry.connect("token", { auth = registry.user })
    ctz.map({ "1", "1", "1", "1", "1", "1" }, function(tag)
      fresh:resolve(repo, tag)
    end)
    assert.equal(before + 1, asked())
  end)

  it("may be nobody, where that is enough", function()
    local client = registry.connect("token", { auth = registry.user })
    local public, private = registry.repo "public", registry.repo "private"
    registry.push(client, public, "1")
    registry.push(client, private, "1")
    local nobody = registry.connect("token", NAMELESS)
    assert.is_truthy(nobody:resolve(public, "1"))
    local err = failure(nobody.resolve, nobody, private, "1")
    assert.equal("auth", err.kind)
    err = failure(nobody.put_blob, nobody, public, "x")
    assert.equal("auth", err.kind)
  end)

  it("is an error of the token server when the password is wrong", function()
    local client = registry.connect("token", { auth = { username = "user", password = "nonsense" } })
    local err = failure(client.resolve, client, "test/x", "1")
    assert.equal("auth", err.kind)
    assert.matches("wrong user or password", err.message)
    assert.matches("token server", err.message)
    assert.is_nil(tostring(err):find("nonsense", 1, true))
  end)

  it("may be an identity token, which is exchanged by POST", function()
    local client, repo = registry.connect("token", { auth = registry.user }), registry.repo()
    registry.push(client, repo, "1")
    local by_identity = registry.connect("token", { auth = { identity_token = "identity" } })
    assert.is_truthy(by_identity:resolve(repo, "1"))
    local grant
    for _, one in ipairs(registry.asked()) do -- other specs ask the same server
      if one.method == "POST" and table.concat(one.scopes, " "):find(repo, 1, true) then
        grant = one.grant
      end
    end
    assert.equal("refresh_token", grant)
    local wrong = registry.connect("token", { auth = { identity_token = "stolen" } })
    assert.equal("auth", failure(wrong.resolve, wrong, repo, "1").kind)
  end)
end)

describe("a run that may reach only one registry #live", function()
  it("reaches it, and no other", function()
    local recipe <close> = ctz.fs.tempfile()
    ctz.fs.write(recipe.path, [[
      local ctz = require "ctz"
      print(ctz.registry.connect(ctz.args[1]):ping().version)
    ]])
    local program = require "tests.lua.support.program"
    local function run(name)
      return program.run { "run", "--allow", "net=" .. registry.host "plain", recipe.path, registry.host(name) }
    end
    local allowed = run "plain"
    assert.equal("registry/2.0\n", allowed.out, allowed.err)
    local refused = run "fixed"
    assert.equal(1, refused.code)
    assert.matches("--allow net=" .. registry.host "fixed", refused.err, 1, true)
  end)
end)

describe("a dry run #live", function()
  it("shows what it would change, and changes nothing", function()
    local client, repo = registry.connect "plain", registry.repo()
    registry.push(client, repo, "1")
    local program = require "tests.lua.support.program"
    local recipe <close> = ctz.fs.tempfile()
    ctz.fs.write(recipe.path, ([[
      local ctz = require "ctz"
      local client = ctz.registry.connect(%q)
      client:put_blob(%q, "text")
      client:put_manifest(%q, "2", client:manifest(%q, "1"))
      client:delete(%q, "1")
    ]]):format(registry.host "plain", repo, repo, repo, repo))
    local result = program.run { "run", "--dry-run", recipe.path }
    assert.equal(0, result.code, result.err)
    local shown = result.out .. result.err
    for _, text in ipairs { "would push the blob", "would push " .. registry.host "plain", "would remove" } do
      assert.matches(text, shown, 1, true)
    end
    assert.same({ "1" }, registry.list(client:tags(repo)))
  end)
end)
