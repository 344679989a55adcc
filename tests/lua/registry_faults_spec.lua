-- registry_faults_spec.lua: ctz.registry.connect beside a registry that does what registries in the world do.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"

local BLOB_BYTES <const> = 256 * 20000
local USER <const> = { username = "user", password = "pass word" }

local folder, pipe, ports, blob_text, blob_digest

setup(function()
  folder = ctz.fs.tempdir()
  pipe = assert(io.popen(("exec python3 tests/testbed/registry_faults.py '%s'"):format(folder.path), "w"))
  ctz.timeout(30, function()
    repeat
      ctz.sleep(0.01)
      local chunk = loadfile(folder.path .. "/ports.lua")
      ports = chunk and chunk()
    until ports
  end)
  local bytes = {}
  for i = 0, 255 do
    bytes[i + 1] = string.char(i)
  end
  blob_text = table.concat(bytes):rep(20000)
  blob_digest = "sha256:" .. ctz.hash.sha256(blob_text)
end)

teardown(function()
  pipe:close()
  folder:close()
end)

local function host(name)
  return "127.0.0.1:" .. ports[name or "registry"]
end

before_each(function()
  collectgarbage() -- how busy the registry was is forgotten with the last client
  ctz.http.get(("http://%s/reset"):format(host()))
end)

local function connect(opts)
  opts = opts or {}
  opts.auth = opts.auth or false
  return ctz.registry.connect(host(), opts)
end

-- What was asked, of one method and of paths that hold a text.
local function asked(method, part)
  local found = {}
  for _, one in ipairs(ctz.json.decode(ctz.http.get(("http://%s/log"):format(host())).body)) do
    if (not method or one.method == method) and (not part or one.path:find(part, 1, true)) then
      found[#found + 1] = one
    end
  end
  return found
end

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.is_true(err:is "registry", tostring(err))
  return err
end

local function read(blob)
  local parts = {}
  for chunk in function()
    return blob:read()
  end do
    parts[#parts + 1] = chunk
  end
  return table.concat(parts)
end

local function list(iterator)
  local found = {}
  for name in iterator do
    found[#found + 1] = name
  end
  return found
end

describe("a manifest", function()
  it("whose digest the registry does not tell is hashed, also where HEAD is not known", function()
    for _, repo in ipairs { "nodigest/a", "nohead/a", "head500/a" } do
      local manifest = connect():manifest(repo, "1")
      assert.equal("sha256:" .. ctz.hash.sha256(manifest.bytes), manifest.digest)
      assert.equal(manifest.digest, connect():resolve(repo, "1").digest)
    end
  end)

  it("is refused when it is not what the digest says, or not what the header says", function()
    local right = connect():manifest("right/a", "1").digest
    assert.equal("digest", failure(connect().manifest, connect(), "wrongbody/a", right).kind)
    assert.equal("digest", failure(connect().manifest, connect(), "wrongdigest/a", "1").kind)
  end)

  it("of schema 1, of two kinds at once, of two types, or that is none, is refused", function()
    for repo, kind in pairs {
      schema1 = "unsupported", both = "protocol", types = "protocol", notjson = "protocol", huge = "size",
    } do
      local err = failure(connect().manifest, connect(), repo .. "/a", "1")
      assert.equal(kind, err.kind, tostring(err))
    end
    assert.matches("manifest_bytes", failure(connect().manifest, connect(), "huge/a", "1").hint)
  end)

  it("is read whatever stands behind its type, and when a server of files sends it", function()
    local oci = "application/vnd.oci.image.manifest.v1+json"
    assert.equal(oci, connect():manifest("params/a", "1").mediaType)
    assert.equal(oci, connect():manifest("vague/a", "1").mediaType)
  end)

  it("that the registry did not keep, or kept otherwise, is an error", function()
    local manifest = connect():manifest("right/a", "1")
    assert.equal("protocol", failure(connect().put_manifest, connect(), "kept-nothing/a", "1", manifest).kind)
    assert.equal("digest", failure(connect().put_manifest, connect(), "kept-other/a", "1", manifest).kind)
  end)
end)

describe("a server that answers 200 to everything", function()
  it("is no registry", function()
    local client = ctz.registry.connect(host "everything", { auth = false })
    assert.equal("protocol", failure(client.manifest, client, "a/b", "1").kind)
    assert.equal("protocol", failure(client.resolve, client, "a/b", "1").kind)
    assert.equal("protocol", failure(client.put_blob, client, "a/b", "x", { check = false }).kind)
    assert.equal("protocol", failure(function()
      return list(client:tags "a/b")
    end).kind)
  end)
end)

describe("what a registry says", function()
  it("is shown without the queries of signed URLs", function()
    local err = failure(connect().manifest, connect(), "secretmessage/a", "1")
    assert.equal("denied", err.kind)
    assert.equal("DENIED", err.code)
    assert.matches("https://storage.test/x?...", err.message, 1, true)
    assert.is_nil(tostring(err):find("topsecret", 1, true))
  end)

  it("as a page for browsers is not shown", function()
    local err = failure(connect().manifest, connect(), "html/a", "1")
    assert.equal(502, err.status)
    assert.equal("unreachable", err.kind)
    assert.is_nil(err.message:find("html>", 1, true))
    assert.equal(5, err.attempts)
  end)

  it("in a Warning header is shown once", function()
    local recipe <close> = ctz.fs.tempfile()
    ctz.fs.write(recipe.path, ([[
      local client = require("ctz").registry.connect(%q, {auth=false})
      client:manifest("warning/a", "1") client:manifest("warning/a", "1")
    ]]):format(host()))
    local result = program.run { "run", recipe.path }
    assert.equal(0, result.code, result.err)
    assert.equal(1, select(2, result.err:gsub('says: this is "old"', "")))
    assert.is_nil(result.err:find("not shown", 1, true))
  end)

  it("of pulls that are left is read", function()
    assert.same({ limit = 100, remaining = 42, window_s = 21600, source = "192.0.2.1" }, connect():quota "quota/a")
    assert.is_nil(connect():quota "right/a")
    assert.equal("usage", failure(connect().quota, connect()).kind)
  end)
end)

describe("a busy registry", function()
  it("is asked again, for every status that means it", function()
    for _, status in ipairs { 408, 429, 499, 500, 502, 503, 504, 522 } do
      local repo = ("busy-%d/a"):format(status)
      assert.is_truthy(connect():manifest(repo, "1"))
      assert.equal(3, #asked("GET", repo))
    end
  end)

  it("is asked again when it said, as a date too", function()
    local before = ctz.time.monotonic()
    connect():manifest("busy-429-date/a", "1")
    assert.is_true(ctz.time.monotonic() - before >= 1)
  end)

  it("that asks for a day gets an error that tells it", function()
    local err = failure(connect().manifest, connect(), "busy-429-long/a", "1")
    assert.equal("rate_limited", err.kind)
    assert.equal(86400, err.retry_after)
    assert.is_true(err.retryable)
    assert.equal(1, #asked("GET", "busy-429-long"))
  end)

  it("is not waited for beyond the deadline", function()
    local err = failure(ctz.timeout, 25, function()
      return connect():manifest("busy-429-half/b", "1") -- wants a pause of half a minute
    end)
    assert.equal("rate_limited", err.kind)
    assert.equal(1, #asked("GET", "busy-429-half/b"))
  end)

  it("is not asked by others either, until it may be", function()
    local client = connect()
    ctz.map({ 1, 2, 3, 4 }, function()
      client:manifest("busy-503/b", "1")
    end)
    assert.is_true(#asked("GET", "busy-503/b") <= 6)
  end)
end)

describe("rps and connections", function()
  it("bound what is asked", function()
    local client = connect { rps = 20, connections = 1 }
    local before = ctz.time.monotonic()
    ctz.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, function()
      client:resolve("right/a", "1")
    end)
    assert.is_true(ctz.time.monotonic() - before >= 0.39)
  end)

  it("are given back when a task is cancelled", function()
    local client = connect { connections = 1 }
    for _, repo in ipairs { "cut-always/a", "up-never/a" } do
      local started = ctz.channel(1)
      local task = ctz.spawn(function()
        pcall(function()
          started:send(true)
          if repo:find "^cut" then
            read(client:blob(repo, blob_digest))
          else
            client:put_blob(repo, blob_text, { chunked = true })
          end
        end)
      end, { background = true })
      started:receive()
      while #asked(nil, repo) < 2 do
        ctz.sleep(0.01)
      end
      task:cancel()
      assert.is_truthy(client:manifest("right/a", "1"))
    end
  end)

  it("are given back when a blob is closed early", function()
    local client = connect { connections = 1 }
    for _ = 1, 3 do
      local blob <close> = client:blob("right/a", blob_digest)
      blob:read()
    end
    assert.equal(blob_text, read(client:blob("right/a", blob_digest)))
  end)
end)

describe("redirects", function()
  it("are followed to a storage, which is not told who we are", function()
    local client = connect { auth = { token = "mine" } }
    assert.equal(blob_text, read(client:blob("redirect/a", blob_digest, { size = BLOB_BYTES })))
    local storage = asked("GET", "/storage/")
    assert.equal(1, #storage)
    assert.equal("other", storage[1].port)
    assert.equal("", storage[1].auth)
    assert.equal("Bearer mine", asked("GET", "redirect/a")[1].auth)
  end)

  it("lead to a storage that wants a token of its own: it gets one for anybody", function()
    local client = connect { auth = { token = "mine" } }
    assert.equal(blob_text, read(client:blob("redirect-token/a", blob_digest, { size = BLOB_BYTES })))
    local told = {}
    for i, one in ipairs(asked("GET", "/storage/token")) do
      told[i] = one.auth
    end
    assert.same({ "", "", "Bearer of the storage" }, told)
  end)

  it("that lead nowhere end", function()
    local err = failure(connect().manifest, connect(), "loop/a", "1")
    assert.equal("protocol", err.kind)
    assert.matches("more than 10 redirects", err.message)
  end)
end)

describe("a blob", function()
  it("whose connection breaks is read on from there", function()
    assert.equal(blob_text, read(connect():blob("cut/a", blob_digest, { size = BLOB_BYTES })))
    local ranges = {}
    for i, one in ipairs(asked("GET", "cut/a")) do
      ranges[i] = one.range
    end
    assert.equal(4, #ranges)
    assert.equal("", ranges[1])
    assert.matches("^bytes=%d+%-$", ranges[2])
  end)

  it("whose connection breaks after any tenth of it is read on from there", function()
    for tenth = 0, 9 do
      local repo = ("tenth-%d/a"):format(tenth)
      assert.equal(blob_digest, "sha256:" .. ctz.hash.sha256(read(connect():blob(repo, blob_digest))), repo)
      local gets = asked("GET", repo .. "/blobs/")
      assert.equal(tenth > 0 and ("bytes=%d-"):format(BLOB_BYTES * tenth // 10) or "", gets[#gets].range)
    end
  end)

  it("of a server that knows no ranges begins again, and nothing comes twice", function()
    assert.equal(blob_text, read(connect():blob("cut-whole/a", blob_digest)))
  end)

  it("of a server that refuses ranges begins again, and nothing comes twice", function()
    assert.equal(blob_text, read(connect():blob("cut-416/a", blob_digest)))
    assert.equal(7, #asked("GET", "cut-416/a")) -- three breaks, each with a refused range
  end)

  it("is refused when a part begins somewhere else", function()
    assert.equal("protocol", failure(read, connect():blob("cut-wrong/a", blob_digest)).kind)
  end)

  it("that never comes is given up", function()
    local err = failure(read, connect():blob("cut-always/a", blob_digest))
    assert.equal("unreachable", err.kind)
    assert.equal(5, err.attempts)
  end)

  it("that is another one, too long or too short is refused", function()
    assert.equal("digest", failure(read, connect():blob("wrong/a", blob_digest)).kind)
    assert.equal("digest", failure(read, connect():blob("long/a", blob_digest)).kind)
    assert.equal("size", failure(read, connect():blob("long/a", blob_digest, { size = BLOB_BYTES })).kind)
    assert.equal("digest", failure(read, connect():blob("short/a", blob_digest)).kind)
    assert.equal("size", failure(read, connect():blob("right/a", blob_digest, { size = 7 })).kind)
  end)
end)

describe("an upload", function()
  local function push(repo, opts)
    return connect():put_blob(repo, blob_text, opts)
  end

  it("follows a Location of any form", function()
    for _, repo in ipairs { "up-whole/a", "up-relative/a", "up-dots/a" } do
      assert.equal("pushed", select(2, push(repo)))
      assert.matches("_state=%d+&digest=sha256%%3A", asked("PUT", repo)[1].path)
    end
  end)

  it("to another host does not tell it who we are", function()
    local client = connect { auth = { token = "mine" } }
    client:put_blob("up-other/a", blob_text)
    local put = asked("PUT", "up-other")
    assert.equal("other", put[1].port)
    assert.equal("", put[1].auth)
  end)

  it("goes in chunks when it is too long for one piece", function()
    push "up-chunks/a"
    local ranges = {}
    for i, one in ipairs(asked("PATCH", "up-chunks")) do
      ranges[i] = one.content_range
    end
    assert.same({ "0-4194303", "4194304-5119999" }, ranges)
  end)

  it("goes in chunks as long as the registry wants them", function()
    push "up-minimum/a"
    assert.equal(1, #asked("PATCH", "up-minimum"))
    assert.equal("size", failure(push, "up-maximum/a").kind)
  end)

  it("goes on where the registry says, or where it is when the registry does not get along", function()
    for _, repo in ipairs { "up-416/a", "up-half/a", "up-lost/a", "up-ecr/a", "up-gone/a" } do
      assert.equal("pushed", select(2, push(repo)), repo)
      assert.equal(BLOB_BYTES, connect():has_blob(repo, blob_digest))
    end
  end)

  it("whose connection ends in the middle is sent in chunks, whatever was answered by then", function()
    for _, kind in ipairs { "", "-half", "-500", "-late", "-half-late", "-500-late" } do
      assert.equal("pushed", select(2, push("up-reset" .. kind .. "/a")), kind)
      local at = 0
      local read_anew = connect():put_blob("up-reset" .. kind .. "/b", function(offset)
        at = offset
        return function()
          local piece = blob_text:sub(at + 1, at + 100000)
          at = at + #piece
          return #piece > 0 and piece or nil
        end
      end, { digest = blob_digest, size = BLOB_BYTES })
      assert.equal(blob_digest, read_anew.digest)
      assert.equal(BLOB_BYTES, connect():has_blob("up-reset" .. kind .. "/b", blob_digest))
    end
  end)

  it("of two bytes goes on where the registry has one of them", function()
    local content = "{}"
    assert.equal("pushed", select(2, connect():put_blob("up-half/small", content)))
    assert.equal(2, connect():has_blob("up-half/small", "sha256:" .. ctz.hash.sha256(content)))
  end)

  it("that the registry stops to read ends at its deadline, and leaves no blob", function()
    local began = ctz.time.monotonic()
    local value, err = ctz.try(ctz.timeout, 1, push, "up-stall/a")
    assert.is_nil(value)
    assert.equal("timeout", err.kind, tostring(err))
    assert.is_true(ctz.time.monotonic() - began < 10)
    assert.is_nil(connect():has_blob("up-stall/a", blob_digest))
  end)

  it("that never gets further is given up", function()
    local err = failure(push, "up-never/a")
    assert.equal("protocol", err.kind)
    assert.matches("does not get beyond byte 0", err.message)
  end)

  it("whose last answer is lost is found, and not sent again", function()
    assert.equal("pushed", select(2, push "up-lostput/a"))
    assert.equal(1, #asked("PUT", "up-lostput"))
  end)

  it("that is answered by 200 and not kept is an error", function()
    assert.equal("protocol", failure(push, "up-put200/a").kind)
  end)

  it("of a reader that breaks off cannot be sent again, and says so", function()
    local done = false
    local reader = { read = function()
      local text = not done and blob_text or nil
      done = true
      return text
    end }
    local opts = { digest = blob_digest, size = BLOB_BYTES }
    local err = failure(connect().put_blob, connect(), "up-chunks/b", reader, opts)
    assert.equal("size", err.kind)
    assert.equal(413, err.status)
  end)

  it("is mounted when the registry does it, and pushed when it does not", function()
    assert.equal("mounted", select(2, push("up-mount/a", { mount = "up-mount/b" })))
    assert.equal("pushed", select(2, push("up-mount-202/a", { mount = "up-mount-202/b" })))
    assert.equal(1, #asked("POST", "up-mount-202")) -- the session that was opened is used
    assert.equal("pushed", select(2, push("up-mount-400/a", { mount = "up-mount-400/b" })))
  end)

  it("is mounted from wherever it is, where the registry finds it; else the session it opened is given back", function()
    local client = connect()
    assert.is_true(client:mount_blob("up-mount-any/a", blob_digest))
    assert.matches("%?mount=sha256%%3A%x+$", asked("POST", "up-mount-any")[1].path)
    assert.is_false(client:mount_blob("up-mount-any/b", blob_digest, "up-mount-any/a"))
    assert.is_false(client:mount_blob("up-mount-202/c", blob_digest))
    assert.equal(1, #asked("DELETE", "up-mount-202/c"))
    assert.is_false(client:mount_blob("up-mount-400/c", blob_digest))
  end)
end)

describe("pages of tags", function()
  local all = {}
  for i = 0, 9 do
    all[i + 1] = ("t%02d"):format(i)
  end

  it("are followed as the registry says, or by the last tag", function()
    for _, repo in ipairs { "tags-link/a", "tags-short/a", "tags-last/a", "tags-quay/a", "tags-ignore/a" } do
      assert.same(all, list(connect():tags(repo, { page = 5 })), repo)
      assert.same(all, list(connect():tags(repo, { page = 10 })), repo)
    end
  end)

  it("may be none", function()
    assert.same({}, list(connect():tags "tags-null/a"))
  end)

  it("that run in a circle, lead to another host or hold no texts are refused", function()
    for repo, kind in pairs { loop = "protocol", other = "denied", numbers = "protocol" } do
      assert.equal(kind, failure(function()
        return list(connect():tags("tags-" .. repo .. "/a"))
      end).kind, repo)
    end
  end)
end)

describe("referrers", function()
  local function types(client, repo, opts)
    local found = {}
    for i, entry in ipairs(client:referrers(repo, blob_digest, opts)) do
      found[i] = entry.artifactType
    end
    return found
  end

  it("are filtered here when the registry does not do it", function()
    for _, repo in ipairs { "ref-all/a", "ref-filter/a" } do
      assert.same({ "sbom", "signature", "sbom2" }, types(connect(), repo))
      assert.same({ "sbom" }, types(connect(), repo, { type = "sbom" }))
    end
  end)

  it("of several pages are each there once", function()
    assert.same({ "sbom", "signature", "sbom2" }, types(connect(), "ref-pages/a"))
  end)

  it("are kept under a tag where the registry keeps none, and GitLab's answer for it is no list", function()
    for _, repo in ipairs { "ref-tag/a", "ref-gitlab/a", "ref-race/a" } do
      local client = connect()
      local image = client:put_manifest(repo, "1", client:manifest("right/a", "1"))
      assert.same({}, client:referrers(repo, "1"))
      local attached = client:attach(repo, "1", { type = "application/x-report" })
      local found = client:referrers(repo, image.digest, { type = "application/x-report" })
      assert.equal(1, #found, repo)
      assert.equal(attached.digest, found[1].digest)
    end
    local client = connect()
    assert.equal(2, #client:referrers("ref-race/a", "1")) -- what somebody else wrote meanwhile is there too
  end)
end)

describe("the removal of a tag", function()
  it("that the registry begins and does not end gives the tag back", function()
    local client, repo = connect(), "delete-tag/a"
    local image = client:put_manifest(repo, "1", client:manifest("right/a", "1"), { tags = { "2" } })
    local err = failure(client.delete, client, repo, "1") -- the first removal is the trial, the second fails
    assert.equal("denied", err.kind)
    assert.equal(image.digest, client:resolve(repo, "1").digest)
    assert.equal(image.digest, client:resolve(repo, "2").digest)
  end)
end)

describe("tokens", function()
  it("are asked for as the challenge among several says", function()
    local client = connect { auth = USER }
    client:manifest("auth/a", "1")
    local token = asked("GET", "/token")
    assert.equal(1, #token)
    assert.matches("/token?kept=1&account=user&scope=repository%3Aauth%2Fa%3Apull&service=the%2C%20service",
      token[1].path, 1, true)
    assert.matches("^Basic ", token[1].auth)
  end)

  it("that end in the middle of long work are renewed", function()
    local client = connect { auth = USER }
    for _ = 1, 7 do
      client:resolve("auth-short/a", "1")
    end
    assert.is_true(#asked("GET", "/token") >= 2)
    client:put_blob("auth-short/a", blob_text, { chunked = true })
  end)

  it("get the wider scope that the registry names", function()
    connect { auth = USER }:manifest("auth-scope/a", "1")
    local token = asked("GET", "/token")
    assert.equal(2, #token)
    assert.matches("scope=repository%3Aauth-scope%2Fa%3Apull&scope=repository%3Aauth-scope%2Fextra%3Apull",
      token[2].path, 1, true)
  end)

  it("that are never enough are an error, and not asked for without end", function()
    local err = failure(connect { auth = USER }.manifest, connect { auth = USER }, "auth-never/a", "1")
    assert.equal("auth", err.kind)
    assert.is_true(#asked("GET", "/token") <= 3)
  end)

  it("of a server on another host are asked for without the password, unless the recipe trusts it", function()
    local err = failure(connect().manifest, connect { auth = USER }, "auth-elsewhere/a", "1")
    assert.equal("auth", err.kind)
    for _, one in ipairs(asked("GET", "/token")) do
      assert.equal("", one.auth)
    end
    local auth = { username = "user", password = "pass word",
      realm = ("http://0.0.0.0:%d/token"):format(ports.registry) }
    failure(connect().manifest, connect { auth = auth }, "auth-elsewhere/a", "1")
    local token = asked("GET", "/token")
    assert.matches("^Basic ", token[#token].auth)
  end)

  it("that are too long, or empty, are refused", function()
    assert.equal("size", failure(connect().manifest, connect { auth = USER }, "auth-long/a", "1").kind)
    assert.equal("protocol", failure(connect().manifest, connect { auth = USER }, "auth-none/a", "1").kind)
  end)
end)

describe("mirrors", function()
  it("are asked first, without who we are elsewhere, and told whose image it is", function()
    local client = ctz.registry.connect("registry.test", { auth = { token = "mine" },
      mirrors = { { host = host(), auth = false } } })
    assert.equal("1", client:manifest("right/a", "1") and "1")
    local got = asked("GET", "right/a")
    assert.matches("?ns=registry.test", got[1].path, 1, true)
    assert.equal("", got[1].auth)
  end)

  it("that have nothing are passed over", function()
    local client = ctz.registry.connect(host(), { auth = false, mirrors = { "127.0.0.1:1" } })
    assert.is_truthy(client:manifest("right/a", "1"))
  end)
end)
