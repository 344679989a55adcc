-- image_spec.lua: ctz.image.assemble: what is written, and what is refused.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local assemble = ctz.image.assemble

local program = io.popen("readlink /proc/$PPID/exe"):read("l")

local function sh(command)
  assert(os.execute(command), command)
end

local function write(path, content)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(content))
end

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return (file:read("a"))
end

-- The lines of a program's output.
local function lines(command)
  local list = {}
  local pipe <close> = assert(io.popen(command))
  for line in pipe:lines() do
    list[#list + 1] = line
  end
  return list
end

describe("ctz.image.assemble", function()
  local folder, out, site

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    out, site = folder .. "/out", folder .. "/site"
    sh(("mkdir -p %s/css"):format(site))
    write(site .. "/index.html", "<h1>hello</h1>\n")
    write(site .. "/css/main.css", "h1 { color: teal }\n")
    write(site .. "/run.sh", "#!/bin/sh\n")
    sh(("chmod 700 %s/run.sh"):format(site))
  end)

  after_each(function()
    sh("rm -rf " .. folder)
  end)

  -- One image of text files; more says what differs.
  local function image(more)
    local opts = {
      layers = { { files = { ["/etc/motd"] = { text = "hello\n" } } } },
      to = "oci:" .. out .. ":1.0",
      platform = "linux/amd64",
    }
    for key, value in pairs(more or {}) do
      opts[key] = value
    end
    return opts
  end

  local function blob(digest)
    return read(out .. "/blobs/sha256/" .. digest:match("^sha256:(%x+)$"))
  end

  local function index()
    return json.decode(read(out .. "/index.json"))
  end

  -- "path mode uid/gid size -> link" of each entry of a layer, by GNU tar.
  local function entries(layer)
    local list = {}
    local command = ("tar --numeric-owner --full-time -tvf %s/blobs/sha256/%s"):format(out, layer.digest:sub(8))
    for _, line in ipairs(lines(command)) do
      local mode, owner, size, date, time, path = line:match("^(%S+) (%S+) +(%d+) (%S+) (%S+) (.*)$")
      assert.equal("1970-01-01 00:00:00", date .. " " .. time)
      list[#list + 1] = ("%s %s %s %s"):format(mode, owner, size, path)
    end
    return list
  end

  local function fail(opts)
    local value, err = ctz.try(assemble, opts)
    assert.is_nil(value)
    assert.equal("image.assemble", err.op)
    assert.matches("image_spec.lua:%d+", err.at)
    return err
  end

  local function blob_count()
    return #lines(("ls -A %s/blobs/sha256"):format(out))
  end

  -- --- what is written ---------------------------------------------------------------------------

  it("writes a layout whose blobs have the digests it tells", function()
    local result = assemble(image {
      layers = { { files = { ["/etc/motd"] = { text = "hello\n" } } }, { from = site, to = "/www" } },
    })
    assert.equal(("oci:%s:1.0"):format(out), result.name)
    assert.equal('{"imageLayoutVersion":"1.0.0"}', read(out .. "/oci-layout"))
    assert.same({
      schemaVersion = 2,
      mediaType = "application/vnd.oci.image.index.v1+json",
      manifests = { {
        mediaType = "application/vnd.oci.image.manifest.v1+json",
        digest = result.digest,
        size = #blob(result.digest),
        platform = { os = "linux", architecture = "amd64" },
        annotations = { ["org.opencontainers.image.ref.name"] = "1.0" },
      } },
    }, index())
    local manifest = json.decode(blob(result.digest))
    assert.equal("application/vnd.oci.image.manifest.v1+json", manifest.mediaType)
    assert.equal(result.config_digest, manifest.config.digest)
    local total = #blob(result.digest) + #blob(result.config_digest)
    for i, layer in ipairs(result.layers) do
      assert.same({ mediaType = layer.media_type, digest = layer.digest, size = layer.size_bytes }, manifest.layers[i])
      assert.equal(layer.digest, "sha256:" .. ctz.hash.sha256(blob(layer.digest)))
      assert.equal(layer.size_bytes, #blob(layer.digest))
      total = total + layer.size_bytes
    end
    assert.equal(total, result.size_bytes)
    assert.equal(4, blob_count())
    assert.is_true(result.seconds >= 0)
  end)

  it("tells the digest of the uncompressed tar as diff id", function()
    for _, kind in ipairs { { "gzip", "zcat" }, { "zstd", "zstd -dc" } } do
      local layer = assemble(image { compression = kind[1] }).layers[1]
      assert.equal("application/vnd.oci.image.layer.v1.tar+" .. kind[1], layer.media_type)
      local path = ("%s/blobs/sha256/%s"):format(out, layer.digest:sub(8))
      assert.equal(layer.diff_id:sub(8), lines(("%s < %s | sha256sum"):format(kind[2], path))[1]:match("^%x+"))
      assert.equal(layer.uncompressed_bytes, tonumber(lines(("%s < %s | wc -c"):format(kind[2], path))[1]))
    end
  end)

  it("writes the same config, byte for byte, as it always did", function()
    local result = assemble(image {
      config = { command = { "cat", "/etc/motd" }, env = { B = 2, A = "1" }, ports = { 8080 }, labels = { x = "y" } },
    })
    -- The config holds the diff ids and no packed bytes, so it is the same with every version of zlib.
    assert.equal("sha256:af23d62e3e23e1e3c6f64553174215b33e5d0339dd473bce57e51039926bfc9d", result.config_digest)
  end)

  it("gives the same diff id with either compression, and fast unpacks to it", function()
    local gzip = assemble(image()).layers[1]
    local fast = assemble(image { fast = true }).layers[1]
    local zstd = assemble(image { compression = "zstd" }).layers[1]
    assert.equal(gzip.diff_id, fast.diff_id)
    assert.equal(gzip.diff_id, zstd.diff_id)
    assert.not_equal(gzip.digest, fast.digest)
    assert.same({ "drwxr-xr-x 0/0 0 etc/", "-rw-r--r-- 0/0 6 etc/motd" }, entries(fast))
  end)

  it("puts files, texts, links and folders where they belong, root's and with plain modes", function()
    local layer = assemble(image { layers = { {
      { files = {
        ["/bin/sh"] = { link = "busybox" },
        ["/bin/busybox"] = { from = site .. "/run.sh" },
        ["/etc//motd"] = { text = "hi" },
        ["/tmp"] = { dir = true, mode = "1777" },
        ["/srv/data/"] = { dir = true, owner = "1000:100" },
        ["/bin/su"] = { from = site .. "/index.html", mode = "4755" },
      } },
      { from = site, to = "/www/" },
    } } }).layers[1]
    assert.same({
      "drwxr-xr-x 0/0 0 bin/",
      "-rwxr-xr-x 0/0 10 bin/busybox",
      "lrwxrwxrwx 0/0 0 bin/sh -> busybox",
      "-rwsr-xr-x 0/0 15 bin/su",
      "drwxr-xr-x 0/0 0 etc/",
      "-rw-r--r-- 0/0 2 etc/motd",
      "drwxr-xr-x 0/0 0 srv/",
      "drwxr-xr-x 1000/100 0 srv/data/",
      "drwxrwxrwt 0/0 0 tmp/",
      "drwxr-xr-x 0/0 0 www/",
      "drwxr-xr-x 0/0 0 www/css/",
      "-rw-r--r-- 0/0 19 www/css/main.css",
      "-rw-r--r-- 0/0 15 www/index.html",
      "-rwxr-xr-x 0/0 10 www/run.sh",
    }, entries(layer))
    assert.equal(14, layer.entries)
  end)

  it("takes owner and modes of a folder from its part", function()
    local layer = assemble(image {
      layers = { { from = site, to = "/srv", owner = "7:8", mode = "640", dir_mode = "750" } },
    }).layers[1]
    assert.same({
      "drwxr-x--- 7/8 0 srv/",
      "drwxr-x--- 7/8 0 srv/css/",
      "-rw-r----- 7/8 19 srv/css/main.css",
      "-rw-r----- 7/8 15 srv/index.html",
      "-rw-r----- 7/8 10 srv/run.sh",
    }, entries(layer))
  end)

  it("puts a single file in a folder or under a name of its own, and a folder at the root", function()
    local function paths(part)
      local list = {}
      for _, line in ipairs(entries(assemble(image { layers = { part } }).layers[1])) do
        list[#list + 1] = line:match("(%S+)$")
      end
      return list
    end
    local file = site .. "/index.html"
    assert.same({ "index.html" }, paths { from = file })
    assert.same({ "srv/", "srv/index.html" }, paths { from = file, to = "/srv/" })
    assert.same({ "srv/", "srv/home.html" }, paths { from = file, to = "/srv/home.html" })
    assert.same({ "css/", "css/main.css", "index.html", "run.sh" }, paths { from = site })
  end)

  it("leaves out what exclude names, and takes only what include names", function()
    local function paths(include, exclude)
      local part = { from = site, include = include, exclude = exclude }
      local list = {}
      for _, line in ipairs(entries(assemble(image { layers = { part } }).layers[1])) do
        list[#list + 1] = line:match("(%S+)$")
      end
      return table.concat(list, " ")
    end
    sh(("mkdir -p %s/css/deep/er %s/empty && touch %s/css/deep/er/a.css %s/css/[x]"):format(site, site, site, site))
    local all = "css/ css/[x] css/deep/ css/deep/er/ css/deep/er/a.css css/main.css empty/ index.html run.sh"
    assert.equal(all, paths())
    assert.equal("empty/ index.html run.sh", paths(nil, { "css" }))
    assert.equal("empty/ index.html run.sh", paths(nil, "css/"))
    assert.equal("css/ css/[x] css/deep/ css/deep/er/ empty/ index.html run.sh", paths(nil, { "*.css" }))
    assert.equal("css/ css/[x] css/deep/ css/deep/er/ css/deep/er/a.css empty/ index.html run.sh",
      paths(nil, { "/css/*.css" }))
    assert.equal("css/ css/deep/ css/deep/er/ css/deep/er/a.css css/main.css", paths { "css/**/*.css" })
    assert.equal("index.html run.sh", paths { "*.html", "r?n.sh" })
    assert.equal("css/ css/main.css", paths({ "*.css" }, { "deep" }))
    assert.equal("css/ css/deep/ css/deep/er/ css/deep/er/a.css css/main.css", paths({ "[am]*.css" }))
    assert.equal("run.sh", paths { "[!i]*.[hs]*" })
  end)

  it("makes a folder that nobody named once, in the lowest layer that needs it", function()
    local result = assemble(image { layers = {
      { files = { ["/srv/a/1"] = { text = "" }, ["/var"] = { dir = true, mode = "700" } } },
      { files = { ["/srv/a/2"] = { text = "" }, ["/var/log/x"] = { text = "" } } },
    } })
    assert.same({
      "drwxr-xr-x 0/0 0 srv/", "drwxr-xr-x 0/0 0 srv/a/", "-rw-r--r-- 0/0 0 srv/a/1", "drwx------ 0/0 0 var/",
    }, entries(result.layers[1]))
    assert.same({
      "-rw-r--r-- 0/0 0 srv/a/2", "drwxr-xr-x 0/0 0 var/log/", "-rw-r--r-- 0/0 0 var/log/x",
    }, entries(result.layers[2]))
  end)

  it("keeps links of a folder as links, also broken ones, and follows the folder itself", function()
    sh(("cd %s && ln -s /etc/passwd absolute && ln -s ../gone broken && ln -s %s ../link"):format(site, site))
    local listed = entries(assemble(image { layers = { { from = folder .. "/link", to = "/w" } } }).layers[1])
    assert.equal("lrwxrwxrwx 0/0 0 w/absolute -> /etc/passwd", listed[2])
    assert.equal("lrwxrwxrwx 0/0 0 w/broken -> ../gone", listed[3])
  end)

  it("takes names with every byte that a file system allows", function()
    local names = { "new\nline", "-rf", " ", "d\u{e9}j\u{e0}", "\xff\xfe", "quote'\"", "a\\b", ("n"):rep(255) }
    sh("mkdir " .. folder .. "/weird")
    for _, name in ipairs(names) do
      write(folder .. "/weird/" .. name, name)
    end
    local layer = assemble(image { layers = { { from = folder .. "/weird" } } }).layers[1]
    sh(("mkdir %s/back && tar -xf %s/blobs/sha256/%s -C %s/back"):format(folder, out, layer.digest:sub(8), folder))
    for _, name in ipairs(names) do
      assert.equal(name, read(folder .. "/back/" .. name))
    end
    assert.equal(#names, layer.entries)
  end)

  it("holds thousands of files of every size around a block", function()
    sh("mkdir " .. folder .. "/many")
    for i = 0, 1099 do
      write(("%s/many/%d"):format(folder, i), ("x"):rep(i))
    end
    local layer = assemble(image { layers = { { from = folder .. "/many", to = "/m" } } }).layers[1]
    assert.equal(1101, layer.entries)
    sh(("mkdir %s/back && tar -xf %s/blobs/sha256/%s -C %s/back"):format(folder, out, layer.digest:sub(8), folder))
    sh(("diff -r %s/many %s/back/m"):format(folder, folder))
  end)

  it("writes what the config says in the words of the OCI specification", function()
    local result = assemble(image {
      created = 1700000000,
      platform = "linux/arm/v7",
      annotations = { ["org.opencontainers.image.title"] = "web" },
      config = {
        entrypoint = { "/bin/httpd" },
        cmd = { "-p", "8080" },
        env = { "B=2", "A=x=y" },
        ports = { 8080, "53/udp", "443" },
        labels = { version = 2, team = "web" },
        workdir = "/www",
        user = 1000,
        volumes = { "/data" },
        stop_signal = "SIGINT",
        healthcheck = { command = { "true" }, interval = 1.5, retries = 3 },
      },
    })
    local config = json.decode(blob(result.config_digest))
    assert.equal("2023-11-14T22:13:20Z", config.created)
    assert.equal("arm", config.architecture)
    assert.equal("v7", config.variant)
    assert.same({ "/bin/httpd" }, config.config.Entrypoint)
    assert.same({ "-p", "8080" }, config.config.Cmd)
    assert.same({ "B=2", "A=x=y" }, config.config.Env)
    assert.same({ ["8080/tcp"] = {}, ["53/udp"] = {}, ["443/tcp"] = {} }, config.config.ExposedPorts)
    assert.same({ version = "2", team = "web" }, config.config.Labels)
    assert.equal("/www", config.config.WorkingDir)
    assert.equal("1000", config.config.User)
    assert.same({ ["/data"] = {} }, config.config.Volumes)
    assert.equal("SIGINT", config.config.StopSignal)
    assert.same({ Test = { "CMD", "true" }, Interval = 1500000000, Retries = 3 }, config.config.Healthcheck)
    assert.same({ type = "layers", diff_ids = { result.layers[1].diff_id } }, config.rootfs)
    assert.equal("web", json.decode(blob(result.digest)).annotations["org.opencontainers.image.title"])
  end)

  it("writes an empty object, not an empty list, for a port and for an empty map", function()
    local result = assemble(image { config = { ports = { 80 }, labels = {}, volumes = {} } })
    local expected = '"config":{"ExposedPorts":{"80/tcp":{}},"Labels":{},"Volumes":{}}'
    assert.matches(expected, blob(result.config_digest), 1, true)
  end)

  -- --- index.json ----------------------------------------------------------------------------------

  it("keeps the other names of a folder, and moves a name to the new image", function()
    local first = assemble(image { to = "oci:" .. out .. ":a" })
    local second = assemble(image { to = "oci:" .. out .. ":b", created = 7 })
    local third = assemble(image { to = "oci:" .. out .. ":a", created = 8 })
    local manifests = index().manifests
    assert.equal(2, #manifests)
    assert.equal(third.digest, manifests[1].digest)
    assert.equal(second.digest, manifests[2].digest)
    assert.not_equal(first.digest, third.digest)
  end)

  it("keeps what others wrote into index.json and does not understand", function()
    assemble(image())
    local before = index()
    before.annotations = { ["x.y"] = "kept" }
    before.big = 9007199254740993
    before.list = json.array {}
    before.manifests[2] = { mediaType = "text/plain", digest = "sha256:" .. ("0"):rep(64), size = 3, data = "YWJj" }
    write(out .. "/index.json", json.encode(before))
    assemble(image { created = 9 })
    local after = index()
    before.manifests[1] = after.manifests[1]
    assert.same(before, after)
    assert.matches('"big":9007199254740993', read(out .. "/index.json"), 1, true)
    assert.matches('"list":[]', read(out .. "/index.json"), 1, true)
  end)

  it("changes nothing when the same image is written again", function()
    local first = assemble(image())
    local inode = lines(("ls -i %s/blobs/sha256"):format(out))
    assert.equal(first.digest, assemble(image()).digest)
    assert.same(inode, lines(("ls -i %s/blobs/sha256"):format(out)))
    assert.equal(1, #index().manifests)
  end)

  it("writes many images into one folder at once", function()
    local numbers = {}
    for i = 1, 24 do
      numbers[i] = i
    end
    ctz.map(numbers, function(i)
      assemble(image {
        layers = { { files = { ["/n"] = { text = tostring(i) } } }, { from = site, to = "/www" } },
        to = ("oci:%s:t%d"):format(out, i),
      })
    end, { jobs = 24 })
    local seen = {}
    for _, descriptor in ipairs(index().manifests) do
      seen[descriptor.annotations["org.opencontainers.image.ref.name"]] = true
    end
    for i = 1, 24 do
      assert.is_true(seen["t" .. i])
    end
    assert.equal(24 * 3 + 1, blob_count())
  end)

  it("takes the folder up to the first colon, and latest when no name follows", function()
    assert.equal(("oci:%s:latest"):format(out), assemble(image { to = "oci:" .. out .. "/" }).name)
    assert.equal(("oci:%s:docker.io/library/web:1.0"):format(out),
      assemble(image { to = "oci:" .. out .. ":docker.io/library/web:1.0" }).name)
  end)

  -- --- progress, time, cancel ------------------------------------------------------------------------

  it("tells its progress, at the end all of it", function()
    write(site .. "/big", ("b"):rep(3 << 20))
    local last, calls = nil, 0
    assemble(image {
      layers = { { from = site, to = "/www" } },
      on_progress = function(progress)
        assert.is_true(progress.done_bytes <= progress.total_bytes)
        last, calls = progress, calls + 1
      end,
    })
    assert.is_true(calls >= 1)
    assert.same({ phase = "layers", done = 1, total = 1, done_bytes = last.total_bytes,
      total_bytes = (3 << 20) + 15 + 19 + 10 }, last)
  end)

  it("fails with the error of a progress function", function()
    local ok, err = pcall(assemble, image { on_progress = function() error("no bar", 0) end })
    assert.is_false(ok)
    assert.matches("no bar", tostring(err))
  end)

  it("leaves no part of a layer behind when it is cancelled, and the old index as it was", function()
    assemble(image())
    local before, blobs = read(out .. "/index.json"), blob_count()
    sh(("truncate -s 4G %s/huge"):format(site))
    local _, err = ctz.try(assemble, image { layers = { { from = site } }, timeout = 0.05 })
    assert.equal("timeout", err.kind)
    local task = ctz.spawn(function()
      return ctz.try(assemble, image { layers = { { from = site } } })
    end)
    ctz.sleep(0.05)
    task:cancel()
    ctz.try(task.await, task)
    assert.equal(before, read(out .. "/index.json"))
    -- The jobs may still be on their way out; where files need a name, it goes with them.
    ctz.timeout(10, function()
      while blob_count() ~= blobs do
        ctz.sleep(0.01)
      end
    end)
  end)

  -- --- bad input -------------------------------------------------------------------------------------

  it("tells all problems at once, in the order of the description, and writes nothing", function()
    local err = fail {
      layers = {
        { from = folder .. "/missing", to = "www" },
        { files = { ["/a"] = { text = "1", link = "b" }, ["/../b"] = { text = "" } }, ownr = "0:0" },
      },
      config = { comand = { "x" }, ports = { 0 } },
      to = "oci:" .. out,
      compresion = "gzip",
    }
    assert.equal("usage", err.kind)
    local expected = ([[
8 problems:
  opts: unknown field 'compresion'; did you mean 'compression'?
  config: unknown field 'comand'; did you mean 'command'?
  config.ports[1]: expected a port such as 8080 or "53/udp", got 0
  layers[1].to: "www" is not absolute; paths in an image begin with /
  layers[1].from: read FOLDER/missing: no such file or directory
  layers[2]: unknown field 'ownr'; did you mean 'owner'?
  layers[2].files["/../b"]: "/../b" holds ".."
  layers[2].files["/a"]: expected one of from, text, link and dir, got text and link]]):gsub("FOLDER", folder)
    assert.equal(expected, err.message)
    assert.is_nil(io.open(out))
  end)

  it("raises not_found for a missing source, with its path", function()
    local path = folder .. "/missing"
    local err = fail(image { layers = { { from = path } } })
    assert.equal("not_found", err.kind)
    assert.equal(path, err.target)
    assert.equal("ENOENT", err.code)
    assert.equal(("layers[1].from: read %s: no such file or directory"):format(path), err.message)
    err = fail(image { layers = { { files = { ["/x"] = { from = path } } } } })
    assert.equal(("layers[1].files[\"/x\"].from: read %s: no such file or directory"):format(path), err.message)
  end)

  it("refuses fifos, sockets and devices, and says how to leave them out", function()
    sh("mkfifo " .. site .. "/pipe")
    local err = fail(image { layers = { { from = site, to = "/www" } } })
    assert.equal("unsupported", err.kind)
    local expected = "layers[1].from: %s/pipe is a fifo; a layer holds files, folders and links"
    assert.equal(expected:format(site), err.message)
    assert.equal("leave it out with exclude", err.hint)
    assert.is_table(assemble(image { layers = { { from = site, to = "/www", exclude = { "pipe" } } } }))
    err = fail(image { layers = { { files = { ["/dev/null"] = { from = "/dev/null" } } } } })
    assert.equal("unsupported", err.kind)
  end)

  it("raises conflict for a file that changes while it is read", function()
    -- A file of /proc tells 0 bytes and then gives some.
    local err = fail(image { layers = { { from = "/proc/version" } } })
    assert.equal("conflict", err.kind)
    assert.equal("/proc/version grew while it was read", err.message)
    assert.equal("/proc/version", err.target)
    assert.equal(0, blob_count())
  end)

  it("refuses more entries than the limit allows", function()
    write(folder .. "/r.lua", ([[
      require "ctz".image.assemble { layers = { { from = %q } }, to = %q }]]):format(site, "oci:" .. out))
    local text = table.concat(lines(("'%s' run --limit tar_entries=3 %s/r.lua 2>&1"):format(program, folder)), "\n")
    assert.matches("holds more than 3 files", text, 1, true)
    assert.matches("--limit tar_entries=N", text, 1, true)
  end)

  it("tells the digest and writes nothing in a dry run", function()
    write(folder .. "/r.lua", ([[
      print(require "ctz".image.assemble { layers = { { from = %q } }, to = %q }.digest)]]):format(site, "oci:" .. out))
    local dry = lines(("'%s' run --dry-run %s/r.lua 2>&1"):format(program, folder))
    assert.is_nil(io.open(out))
    local real = lines(("'%s' run %s/r.lua"):format(program, folder))
    assert.same({ ("would write %s/index.json"):format(out), real[1] }, dry)
  end)

  it("touches what --allow grants, and nothing else", function()
    write(folder .. "/r.lua", ([[
      require "ctz".image.assemble { layers = { { from = %q } }, to = %q }]]):format(site, "oci:" .. out))
    local function run(...)
      return table.concat(lines(("'%s' run %s %s/r.lua 2>&1"):format(program, ("--allow %s "):rep(select("#", ...))
        :format(...), folder)), "\n")
    end
    assert.matches("may not read " .. site, run("write=" .. out), 1, true)
    assert.matches("may not write " .. out, run("read=" .. site), 1, true)
    assert.is_nil(io.open(out))
    assert.equal("", run("read=" .. site, "write=" .. out))
    assert.is_table(index())
  end)

  it("refuses two entries for one place", function()
    local err = fail(image { layers = { {
      { from = site, to = "/www" },
      { files = { ["/www/index.html"] = { text = "other" } } },
    } } })
    assert.equal('layers[1][2].files["/www/index.html"]: /www/index.html stands in this layer already, by layers[1][1]',
      err.message)
  end)

  it("lets two parts of a layer share a folder, but not with two owners", function()
    assert.is_table(assemble(image { layers = { {
      { from = site, to = "/w" }, { from = site .. "/css", to = "/w" },
    } } }))
    local err = fail(image { layers = { {
      { from = site, to = "/w" }, { from = site .. "/css", to = "/w", owner = "5:5" },
    } } })
    assert.matches("/w stands in this layer already", err.message)
  end)

  it("refuses a file below a file or a link", function()
    local err = fail(image { layers = {
      { files = { ["/bin"] = { link = "usr/bin" }, ["/bin/sh"] = { text = "" } } },
    } })
    assert.equal('layers[1].files["/bin/sh"]: /bin/sh cannot stand below /bin, which is a link', err.message)
    err = fail(image { layers = {
      { files = { ["/etc"] = { text = "" } } },
      { files = { ["/etc/motd"] = { text = "" } } },
    } })
    assert.equal('layers[2].files["/etc/motd"]: /etc/motd cannot stand below /etc, which is a file of an earlier layer',
      err.message)
  end)

  it("refuses paths that are not places in an image", function()
    local function message(path)
      return fail(image { layers = { { files = { [path] = { text = "" } } } } }).message:match(": (.*)")
    end
    assert.equal('"etc/motd" is not absolute; paths in an image begin with /', message("etc/motd"))
    assert.equal('"/a/../b" holds ".."', message("/a/../b"))
    assert.equal('"/./a" holds "."', message("/./a"))
    assert.equal('"/a/.wh.b": names that begin with ".wh." delete in a layer', message("/a/.wh.b"))
    assert.equal("/ itself has no entry", message("/"))
    assert.equal("the path holds a NUL byte", message("/a\0b"))
    assert.matches("a name has at most 255 bytes", message("/" .. ("n"):rep(256)))
    assert.matches("a path has at most 4095 bytes", message(("/nnnnnnn"):rep(600)))
    write(site .. "/.wh.x", "")
    assert.matches("delete in a layer", fail(image { layers = { { from = site } } }).message)
  end)

  it("refuses values that are not what they should be", function()
    local function message(more)
      return fail(image(more)).message
    end
    local function file(fields)
      return message { layers = { { files = { ["/f"] = fields } } } }:match(": (.*)")
    end
    assert.equal('755 is a decimal number; write mode="755" for octal', file { text = "", mode = 755 })
    assert.equal('expected an octal mode such as "755", got "rwx"', file { text = "", mode = "rwx" })
    assert.equal('expected an octal mode such as "755", got 4096', file { text = "", mode = 4096 })
    assert.equal('expected an octal mode such as "755", got "99999"', file { text = "", mode = "99999" })
    assert.equal("a link has no mode of its own", file { link = "x", mode = "755" })
    assert.equal('expected numbers such as "1000:1000", got "www-data"', file { text = "", owner = "www-data" })
    assert.equal("an owner is at most 4294967294", file { text = "", owner = 4294967295 })
    assert.equal("expected string, got number", file { text = 5 })
    assert.equal("expected true", file { dir = false })
    assert.matches("is a folder$", file { from = site })
    assert.equal("layers: an image has at least one layer", message { layers = {} })
    assert.equal("layers[1]: it has neither from nor files", message { layers = { {} } })
    assert.equal("layers[1]: it has both from and files", message { layers = { { from = "x", files = {} } } })
    assert.equal("layers[1]: expected table, got string", message { layers = { "site" } })
    assert.equal('compression: expected "gzip" or "zstd", got bzip2', message { compression = "bzip2" })
    assert.equal("fast: it is about gzip only", message { compression = "zstd", fast = true })
    assert.equal("created: expected seconds since 1970, got now", message { created = "now" })
    assert.matches('^platform: expected "linux/amd64"', message { platform = "amd64" })
    assert.equal("opts: expected table, got nothing", fail(nil).message)
    assert.equal("on_progress: expected function, got boolean", message { on_progress = true })
  end)

  it("refuses a config that is not what it should be", function()
    local function message(config)
      return fail(image { config = config }).message
    end
    assert.equal("config.command: expected a list of words, got a string", message { command = "httpd -f" })
    assert.equal("config.cmd[2]: expected string, got number", message { cmd = { "a", 5 } })
    assert.equal("config: cmd and command are the same; give one", message { cmd = { "a" }, command = { "b" } })
    assert.equal('config.env[1]: expected "NAME=value"', message { env = { "A" } })
    assert.equal("config.env[2]: A is given twice", message { env = { "A=1", "A=2" } })
    assert.equal("config.env.A: expected a string, an integer or a boolean, got table", message { env = { A = {} } })
    assert.matches("^config%.env%.A=B: a variable's name", message { env = { ["A=B"] = "1" } })
    assert.matches("^config%.ports%[1%]: expected a port", message { ports = { 65536 } })
    assert.matches("^config%.ports%[1%]: expected a port", message { ports = { "80/icmp" } })
    assert.equal("config.labels.x: expected a string, got table", message { labels = { x = {} } })
    assert.equal('config.workdir: expected an absolute path such as "/srv"', message { workdir = "srv" })
    assert.equal('config.volumes[1]: "data" is not absolute', message { volumes = { "data" } })
    assert.matches("^config%.user: expected", message { user = "a b" })
    assert.matches("^config%.stop_signal: expected", message { stop_signal = "TERM" })
    assert.equal("config.healthcheck: it needs a command", message { healthcheck = {} })
    assert.matches("^config%.healthcheck%.interval: expected seconds",
      message { healthcheck = { command = { "x" }, interval = 0 } })
  end)

  it("refuses names that are no OCI folder", function()
    local function message(to)
      local err = fail(image { to = to })
      return err.message, err.kind
    end
    assert.equal('to: expected "oci:DIR:TAG", got "out"', (message "out"))
    assert.same({ "to: docker-archive: is not written here", "unsupported" }, { message "docker-archive:x.tar" })
    assert.equal('to: "oci:" names no folder', (message "oci:"))
    assert.matches('^to: "a b" is not a tag', (message("oci:" .. out .. ":a b")))
    assert.matches('^to: "" is not a tag', (message("oci:" .. out .. ":")))
    assert.matches('^to: "%-x" is not a tag', (message("oci:" .. out .. ":-x")))
  end)

  it("refuses a folder with other files in it, and one whose index is broken, and leaves them alone", function()
    local err = fail(image { to = "oci:" .. site })
    assert.equal("conflict", err.kind)
    assert.matches("holds other files %(.+%) and is no OCI layout", err.message)
    assemble(image())
    for _, text in ipairs { "", "{", "[]", "null", '{"schemaVersion":1,"manifests":[]}', '{"schemaVersion":2}' } do
      write(out .. "/index.json", text)
      err = fail(image())
      assert.equal("protocol", err.kind)
      assert.equal(out .. "/index.json", err.target)
      assert.equal(text, read(out .. "/index.json"))
    end
  end)
end)
