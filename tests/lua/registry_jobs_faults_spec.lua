-- registry_jobs_faults_spec.lua: copy, sync and retain beside a registry that does what registries in the world do.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local faults = require "tests.lua.support.faults"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local IMAGE <const> = "application/vnd.oci.image.manifest.v1+json"

describe("beside a registry that has faults", function()
  local folder, pipe, ports, made

  setup(function()
    folder = ctz.fs.tempdir()
    layouts.sh(("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
      .. "-addext subjectAltName=IP:127.0.0.1 -keyout %s/key.pem -out %s/cert.pem 2>/dev/null && cat %s/key.pem "
      .. "%s/cert.pem > %s/tls.pem"):format(folder, folder, folder, folder, folder))
    pipe = assert(io.popen(("exec python3 tests/testbed/registry_faults.py '%s'"):format(folder.path), "w"))
    ctz.timeout(30, function()
      repeat
        ctz.sleep(0.01)
        local chunk = loadfile(folder.path .. "/ports.lua")
        ports = chunk and chunk()
      until ports
    end)
    local noise = assert(io.open("/dev/urandom", "rb")):read(3 << 20)
    ctz.fs.write(folder .. "/noise", noise)
    for _, tag in ipairs { "1.0", "2.0" } do
      made = ctz.image.assemble {
        layers = { { files = { ["/noise"] = { from = folder .. "/noise" }, ["/tag"] = { text = tag } } } },
        to = ("oci:%s/in:%s"):format(folder.path, tag),
      }
    end
  end)

  teardown(function()
    pipe:close()
    folder:close()
  end)

  before_each(function()
    collectgarbage() -- how busy the registry was is forgotten with the last client
    ctz.http.get(("http://127.0.0.1:%d/reset"):format(ports.registry))
  end)

  local function host(name)
    return "127.0.0.1:" .. ports[name or "registry"]
  end

  -- How often; with a field that of the last one.
  local function asked(method, part, field)
    local count, last = 0, nil
    for _, one in ipairs(ctz.json.decode(ctz.http.get(("http://%s/log"):format(host())).body)) do
      if one.method == method and one.path:find(part, 1, true) then
        count, last = count + 1, one
      end
    end
    return field and last[field] or count
  end

  local function failure(fn, ...)
    local value, err = ctz.try(fn, ...)
    assert.is_nil(value)
    return err
  end

  local function sync(opts)
    opts.registries = { [host()] = { auth = false } }
    return ctz.registry.sync(opts)
  end

  local function layout(tag)
    return ("oci:%s/in%s"):format(folder.path, tag and ":" .. tag or "")
  end

  describe("ctz.registry.sync", function()
    it("gets there where uploads are cut, answered late, kept by halves, forgotten or refused in one piece", function()
      for _, kind in ipairs { "up-reset", "up-reset-500", "up-half", "up-lost", "up-416", "up-gone", "up-lostput" } do
        local to = ("%s/%s/all"):format(host(), kind)
        local record = sync { from = layout(), to = to }
        assert.same({ "2.0", "1.0" }, record.copied, kind)
        local client = ctz.registry.connect(host(), { auth = false })
        for _, layer in ipairs(made.layers) do
          assert.equal(layer.size_bytes, client:has_blob(kind .. "/all", layer.digest), kind)
        end
      end
    end)

    it("tells each tag that failed, where a registry never gets further", function()
      local record = sync { from = layout(), to = host() .. "/up-never/all", check = false }
      assert.same({}, record.copied)
      assert.equal(2, #record.failed)
      assert.equal("digest", record.failed[1].error.kind) -- it says that it has all, and does not
      assert.equal(0, asked("PUT", "up-never/all/manifests"))
    end)

    it("copies nothing when the tags of the source run in a circle, or lead to another host", function()
      local kinds = { ["tags-loop"] = "protocol", ["tags-other"] = "denied", ["tags-numbers"] = "protocol" }
      for kind, expected in pairs(kinds) do
        local to = ("oci:%s/%s"):format(folder.path, kind)
        assert.equal(expected, failure(sync, { from = host() .. "/" .. kind .. "/a", to = to }).kind)
        assert.is_nil(ctz.fs.stat(("%s/%s/index.json"):format(folder.path, kind)))
      end
    end)

    it("reads a whole repository with tokens that end in the middle of it", function()
      local to = ("oci:%s/short"):format(folder.path)
      local record = sync { from = host() .. "/auth-short/a", to = to, check = false }
      assert.equal(10, #record.copied + #record.failed)
      for _, one in ipairs(record.failed) do -- the registry has no config of theirs; all else was answered
        assert.equal("not_found", one.error.kind)
      end
    end)

    it("never plans to remove what it could not list", function()
      local err = failure(sync, { from = host() .. "/tags-loop/a", to = host() .. "/up-whole/a", prune = true })
      assert.equal("protocol", err.kind)
      assert.equal(0, asked("DELETE", "up-whole"))
    end)
  end)

  describe("ctz.registry.retain", function()
    local function retain(repo, opts)
      opts.registries = { [host()] = { auth = false } }
      return ctz.registry.retain(host() .. "/" .. repo, opts)
    end

    it("makes no plan of a repository whose tags or manifests cannot be believed", function()
      for repo, kind in pairs {
        ["tags-loop/a"] = "protocol", ["tags-other/a"] = "denied", ["wrongbody/a"] = "digest", ["both/a"] = "protocol",
        ["huge/a"] = "size", ["notjson/a"] = "protocol",
      } do
        local value, err = ctz.try(retain, repo, { newest = 1 })
        assert.is_nil(value and repo)
        assert.equal(kind, err.kind, repo)
        assert.equal(0, asked("DELETE", repo), repo)
      end
    end)

    it("lets nothing go of schema 1, which tells no age", function()
      assert.equal(0, #retain("schema1/a", { newest = 1 }).goes)
    end)

    it("waits for a busy registry, and then plans", function()
      local plan = retain("busy-503/a", { newest = 3, by = "tag" })
      assert.equal(7, #plan.goes)
      assert.equal(0, asked("DELETE", "busy-503"))
    end)

    it("makes no plan by age where the configs that tell it are not there", function()
      assert.equal("not_found", failure(retain, "whole/a", { newest = 1 }).kind)
    end)

    it("is no registry's business where 200 is answered to everything", function()
      local err = failure(ctz.registry.retain, host "everything" .. "/a/b", { newest = 1, by = "tag" })
      assert.equal("protocol", err.kind)
    end)
  end)

  describe("a registry of TLS", function()
    local client

    before_each(function()
      client = ctz.registry.connect(host "tls", {
        auth = { username = "user", password = "pass" }, tls = { ca = folder.path .. "/cert.pem" },
      })
    end)

    it("may not lead to http: what it names there is not asked", function()
      assert.is_truthy(client:resolve("redirect/a", "1"))
      local text = {}
      for i = 0, 255 do
        text[i + 1] = string.char(i)
      end
      local blob = client:blob("redirect/a", "sha256:" .. ctz.hash.sha256(table.concat(text):rep(20000)))
      local err = failure(blob.read, blob)
      assert.equal("denied", err.kind)
      assert.matches("from https to http://", err.message)
      assert.equal(0, asked("GET", "/storage/"))
    end)

    it("that calls itself http, behind a proxy, is spoken to by https all the same", function()
      client:put_blob("up-whole/a", "{}") -- the Location says http
      assert.equal("tls", asked("PUT", "up-whole", "port"))
    end)

    it("may name no token server of http: the password does not go there", function()
      local err = failure(client.manifest, client, "auth/a", "1")
      assert.equal("auth", err.kind)
      assert.matches("hands tokens out at http:", err.message)
      assert.equal(0, asked("GET", "/token"))
    end)
  end)

  describe("ctz.registry.copy", function()
    it("stays with the image that a tag meant when it was looked at", function()
      local client = ctz.registry.connect(host(), { auth = false })
      client:put_blob("moving/a", "{}")
      local to = ("oci:%s/moving:1"):format(folder.path)
      local done = ctz.registry.copy(host() .. "/moving/a:1", to)
      assert.equal(done.digest, ctz.image.open(to):digest())
      assert.not_equal(done.digest, client:resolve("moving/a", "1").digest)
    end)

    it("leaves nothing partial in sight when the disk is full at any write, and the same again is whole", function()
      if not faults.possible() then
        pending "this build has no fault points"
      end
      sync { from = layout(), to = host() .. "/up-whole/all" }
      local at = ("%s/full"):format(folder.path)
      local to = ("oci:%s:1"):format(at)
      for n = 1, 8 do
        local run = program.run({ "copy", host() .. "/up-whole/all:2.0", to },
          { environment = ("CTZ_FAIL=write:%d:ENOSPC"):format(n) })
        if run.code == 0 then
          break
        end
        assert.equal(1, run.code, run.err)
        assert.matches("no space left", run.err)
        assert.is_nil(ctz.fs.stat(at .. "/index.json"))
        for _, path in ipairs(ctz.fs.glob("blobs/sha256/*", { root = at })) do
          local hex = path:match "%x+$"
          assert.equal(hex, ctz.hash.file(("%s/blobs/sha256/%s"):format(at, hex)))
        end
      end
      ctz.registry.copy(host() .. "/up-whole/all:2.0", to)
      assert.equal(ctz.image.open(layout "2.0"):digest(), ctz.image.open(to):digest())
      assert.is_true(#ctz.fs.glob("blobs/sha256/*", { root = at }) == 3)
    end)

    it("goes no deeper into indexes than it may", function()
      local client = ctz.registry.connect(host(), { auth = false })
      local config = client:put_blob("kept/deep", "{}")
      config.mediaType = "application/vnd.oci.empty.v1+json"
      local depth, inner = 0, client:put_manifest("kept/deep", "0", {
        schemaVersion = 2, mediaType = IMAGE, layers = ctz.json.array {}, config = config,
      })
      repeat
        depth = depth + 1
        inner = client:create_index("kept/deep", "latest", { inner })
      until depth == 30
      local err = failure(ctz.registry.copy, host() .. "/kept/deep", ("oci:%s/deep"):format(folder.path))
      assert.equal("protocol", err.kind)
      assert.matches("indexes in indexes", err.message)
      assert.is_true(asked("GET", "kept/deep/manifests") < 15)
    end)
  end)
end)
