-- image_files_spec.lua: image:files, image:read, image:extract: what layers make together, what is refused.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local hash = require "ctz.hash"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"

local sh = layouts.sh

-- A tar by Python's tarfile, our second opinion. Each entry is {path, type?, text-or-link?, mode=, xattr=...}.
local PYTHON <const> = [[
import io, json, sys, tarfile
entries = json.load(open(sys.argv[1]))
types = {"file": b"0", "hard": b"1", "link": b"2", "char": b"3", "block": b"4", "dir": b"5", "fifo": b"6"}
with tarfile.open(sys.argv[2], "w" + sys.argv[3], format=tarfile.PAX_FORMAT) as tar:
    for e in entries:
        info = tarfile.TarInfo(e["path"])
        info.type = types[e.get("type", "file")]
        info.mode, info.mtime = int(e.get("mode", "644"), 8), e.get("mtime", 1600000000)
        info.uid, info.gid = e.get("uid", 0), e.get("gid", 0)
        info.linkname = e.get("link", "")
        info.devmajor, info.devminor = e.get("major", 0), e.get("minor", 0)
        if "xattr" in e:
            info.pax_headers = {"SCHILY.xattr.user.note": e["xattr"]}
        data = e.get("text", "").encode()
        info.size = len(data) if info.type == b"0" else 0
        tar.addfile(info, io.BytesIO(data) if info.size else None)
]]

describe("image", function()
  local folder, layout

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
    layouts.write(folder .. "/tar.py", PYTHON)
  end)

  after_each(function()
    sh("chmod -R u+rwX " .. folder .. "; rm -rf " .. folder)
  end)

  -- The bytes of a layer, and its diff id.
  local function tar(entries, compression)
    layouts.write(folder .. "/entries", json.encode(json.array { table.unpack(entries) }))
    sh(("python3 %s/tar.py %s/entries %s/tar ''"):format(folder, folder, folder))
    local plain = layouts.read(folder .. "/tar")
    if compression then
      sh(("%s -c %s/tar > %s/packed"):format(compression, folder, folder))
    end
    return compression and layouts.read(folder .. "/packed") or plain, "sha256:" .. hash.sha256(plain)
  end

  -- An image of layers, each a list of entries or {bytes=, diff_id=}.
  local function image(layers)
    local descriptors, diff_ids = json.array {}, json.array {}
    for i, layer in ipairs(layers) do
      local bytes, diff_id = layer.bytes, layer.diff_id
      if not bytes then
        bytes, diff_id = tar(layer, layer.compression)
      end
      descriptors[i] = layout:blob(bytes, layouts.LAYER)
      diff_ids[i] = diff_id
    end
    local config = layout:document({
      architecture = "amd64", os = "linux", config = json.object {},
      rootfs = { type = "layers", diff_ids = diff_ids },
    }, layouts.CONFIG)
    layout:tag(layout:document {
      schemaVersion = 2, mediaType = layouts.MANIFEST, config = config, layers = descriptors,
    })
    return ctz.image.open("oci:" .. layout.folder)
  end

  local function listing(one)
    local lines = {}
    for file in one:files() do
      lines[#lines + 1] = ("%s %s %d"):format(file.path, file.type, file.layer)
    end
    return table.concat(lines, "\n")
  end

  local function refused(kind, pattern, layers)
    local ok, err = ctz.try(listing, image(layers))
    assert.is_nil(ok)
    assert.equal(kind, err.kind, tostring(err))
    assert.equal("image.files", err.op)
    assert.matches(pattern, err.message)
  end

  describe("files", function()
    it("tells the facts of each file, whatever packs the layer", function()
      for _, compression in ipairs { "", "gzip" } do
        local one = image { {
          { path = "etc", type = "dir", mode = "755" },
          { path = "etc/passwd", text = "root", mode = "4640", uid = 3000000, gid = 7, xattr = "hello" },
          { path = "etc/link", type = "link", link = "../passwd" },
          { path = "etc/same", type = "hard", link = "etc/passwd" },
          { path = "dev/null", type = "char", major = 1, minor = 3 },
          { path = "pipe", type = "fifo" },
          compression = compression ~= "" and compression or nil,
        } }
        local by_path = {}
        for file in one:files() do
          by_path[file.path] = file
        end
        assert.same({ path = "/etc/passwd", type = "file", layer = 1, size_bytes = 4, mode = 2464, uid = 3000000,
          gid = 7, mtime = 1600000000, xattrs = { ["user.note"] = "hello" } }, by_path["/etc/passwd"])
        assert.equal("../passwd", by_path["/etc/link"].link)
        assert.equal("/etc/passwd", by_path["/etc/same"].hardlink)
        assert.equal(4, by_path["/etc/same"].size_bytes)
        assert.equal("character", by_path["/dev/null"].device)
        assert.equal(3, by_path["/dev/null"].minor)
        assert.equal("fifo", by_path["/pipe"].type)
        assert.equal("dir", by_path["/dev"].type) -- no entry names it
        assert.is_nil(by_path["/"])
        sh("rm -rf " .. layout.folder)
        layout = layouts.new(folder .. "/in")
      end
    end)

    it("hides what whiteouts name, in lower layers only, wherever they stand in the tar", function()
      local one = image {
        { { path = "a" }, { path = "d/x" }, { path = "d/y" }, { path = "o/old" }, { path = "o/sub/old" },
          { path = "keep" } },
        { { path = ".wh.a" }, { path = "d/.wh.x" }, { path = "o/new" }, { path = "o/.wh..wh..opq" },
          { path = "both" }, { path = ".wh.both" }, { path = ".wh.absent" }, { path = ".wh..wh.plnk/1" } },
      }
      assert.equal("/both file 2\n/d dir 1\n/d/y file 1\n/keep file 1\n/o dir 2\n/o/new file 2", listing(one))
    end)

    it("lets a layer hide a folder and make it anew", function()
      local one = image {
        { { path = "d", type = "dir" }, { path = "d/a" }, { path = "d/b/c" } },
        { { path = ".wh.d" }, { path = "d", type = "dir" }, { path = "d/new" } },
        { { path = "d/b", type = "dir" } },
      }
      assert.equal("/d dir 2\n/d/b dir 3\n/d/new file 2", listing(one))
    end)

    it("lets the later one have the place when types change", function()
      local one = image {
        { { path = "a", type = "dir" }, { path = "a/x" }, { path = "b" }, { path = "l", type = "link", link = "a" },
          { path = "a.txt" } },
        { { path = "a" }, { path = "b/deep/er" }, { path = "l/in" } },
      }
      assert.equal("/a file 2\n/a.txt file 1\n/b dir 2\n/b/deep dir 2\n/b/deep/er file 2\n/l dir 2\n/l/in file 2",
        listing(one))
    end)

    it("takes the last of several entries for one path in a layer", function()
      local one = image { {
        { path = "p", text = "first" }, { path = "h", type = "hard", link = "p" },
        { path = "p", type = "dir" }, { path = "p/gone" }, { path = "p", type = "link", link = "h" },
        { path = "q", type = "dir" }, { path = "q/gone" }, { path = "q", text = "file" }, { path = "q", type = "dir" },
        { path = "q/in" }, { path = "./r//s/" , type = "dir" }, { path = "/abs" },
      } }
      assert.equal("/abs file 1\n/h file 1\n/p link 1\n/q dir 1\n/q/in file 1\n/r dir 1\n/r/s dir 1", listing(one))
      assert.equal("first", one:read "/h")
      assert.equal("first", one:read "/p")
    end)

    it("finds a hard link's content in a lower layer, also when that is hidden later", function()
      local one = image {
        { { path = "bin/sh", text = "shell" } },
        { { path = "bin/ash", type = "hard", link = "bin/sh" } },
        { { path = "bin/.wh.sh" } },
      }
      assert.equal("/bin dir 1\n/bin/ash file 2", listing(one))
      assert.equal("shell", one:read "/bin/ash")
      one:extract(folder .. "/out")
      assert.equal("shell", layouts.read(folder .. "/out/bin/ash"))
      layout = layouts.new(folder .. "/in2")
      refused("protocol", "hard link /a leads to /gone, which is not there",
        { { { path = "a", type = "hard", link = "gone" } } })
    end)

    it("refuses paths that lead out, whiteouts of nothing and links to folders", function()
      refused("protocol", "leads out of the image", { { { path = "a/../../x" } } })
      layout = layouts.new(folder .. "/in2")
      refused("protocol", "leads out of the image", { { { path = "a", type = "hard", link = "../x" } } })
      for i, name in ipairs { ".wh.", ".wh..", ".wh...", "d/.wh." } do
        layout = layouts.new(folder .. "/w" .. i)
        refused("protocol", "whiteout of nothing", { { { path = name } } })
      end
      layout = layouts.new(folder .. "/in3")
      refused("protocol", "a folder", { { { path = "d", type = "dir" }, { path = "h", type = "hard", link = "d" } } })
    end)

    it("names a layer that is damaged, cut or longer than it should be", function()
      local bytes, diff_id = tar({ { path = "a", text = "x" } }, "gzip")
      local cases = {
        { "protocol", "ends early", bytes:sub(1, -9) },
        { "protocol", "no gzip header", bytes .. "garbage" },
        { "digest", "its tar has the digest", bytes, "sha256:" .. ("0"):rep(64) },
        { "unsupported", "bzip2", "BZh91AY&SY" },
        { "protocol", "empty", "" },
      }
      for i, case in ipairs(cases) do
        layout = layouts.new(folder .. "/case" .. i)
        refused(case[1], case[2], { { bytes = case[3], diff_id = case[4] or diff_id } })
      end
      layout = layouts.new(folder .. "/changed")
      local one = image { { bytes = bytes, diff_id = diff_id } }
      sh(("printf X | dd of=%s bs=1 seek=40 conv=notrunc 2>/dev/null"):format(layout:path(one:layers()[1].digest)))
      local ok, err = ctz.try(listing, one)
      assert.is_nil(ok)
      assert.is_true(err.kind == "digest" or err.kind == "protocol")
      assert.matches("^layer sha256:", err.message)
    end)

    it("refuses a config that names another number of layers", function()
      local config = layout:document({ rootfs = { type = "layers", diff_ids = json.array {} } }, layouts.CONFIG)
      local layer = layout:blob((tar { { path = "a" } }), layouts.LAYER)
      layout:tag(layout:document({ schemaVersion = 2, mediaType = layouts.MANIFEST, config = config,
        layers = json.array { layer } }))
      local ok, err = ctz.try(listing, ctz.image.open("oci:" .. layout.folder))
      assert.is_nil(ok)
      assert.matches("1 layers, its config 0 diff_ids", err.message)
    end)

    it("sees what GNU tar and an overlay of folders see, for random layers", function()
      math.randomseed(7)
      local names = { "a", "b", "c", "d.x" }
      for round = 1, 5 do
        layout = layouts.new(folder .. "/r" .. round)
        local layers, merged = {}, {}
        for i = 1, 4 do
          local entries, seen = {}, {}
          for _ = 1, 12 do
            local parts, depth = {}, math.random(3)
            for j = 1, depth do
              parts[j] = names[math.random(#names)]
            end
            local path = table.concat(parts, "/")
            -- In one layer: no path twice, and files only where no folder is.
            local clash = false
            for other in pairs(seen) do
              clash = clash or other == path or other:find(path .. "/", 1, true) == 1
                or path:find(other .. "/", 1, true) == 1
            end
            if not clash then
              seen[path] = true
              local kind = math.random(6)
              local before, name = path:match "^(.-)([^/]+)$"
              entries[#entries + 1] = kind == 1 and { path = before .. ".wh." .. name }
                or kind == 2 and { path = path .. "/.wh..wh..opq" }
                or { path = path, text = ("%d %s"):format(i, path) }
            end
          end
          layers[i] = entries
          -- The truth: whiteouts first, then files, each in a plain table.
          local function remove(path, also)
            for other in pairs(merged) do
              if also and other == path or other:find(path .. "/", 1, true) == 1 then
                merged[other] = nil
              end
            end
          end
          for _, entry in ipairs(entries) do
            local before, name = entry.path:match "^(.-)([^/]+)$"
            if name == ".wh..wh..opq" then
              remove(before:sub(1, -2), false)
              merged[before:sub(1, -2)] = nil -- a file there becomes a folder
            elseif name:find("^%.wh%.") then
              remove(before .. name:sub(5), true)
            end
          end
          for _, entry in ipairs(entries) do
            local parent = entry.path
            repeat
              parent = parent:match "^(.*)/"
              if parent then
                merged[parent] = nil
              end
            until not parent
            if not entry.path:find(".wh.", 1, true) then
              remove(entry.path, true)
              merged[entry.path] = entry.text
            end
          end
        end
        local one, found = image(layers), {}
        for file in one:files() do
          if file.type == "file" then
            local text = one:read(file.path)
            found[file.path:sub(2)] = text
            assert.equal(file.layer, tonumber(text:match "^%d+"))
          end
        end
        assert.same(merged, found)
        one:extract(folder .. "/x" .. round)
        for path, text in pairs(merged) do
          assert.equal(text, layouts.read(("%s/x%d/%s"):format(folder, round, path)))
        end
        local count = tonumber(layouts.output(("find %s/x%d -type f | wc -l"):format(folder, round)))
        local wanted = 0
        for _ in pairs(merged) do
          wanted = wanted + 1
        end
        assert.equal(wanted, count)
      end
    end)

    it("reads the layers of an archive too", function()
      sh("mkdir -p " .. folder .. "/site && printf hello > " .. folder .. "/site/index")
      ctz.image.assemble { layers = { { from = folder .. "/site", to = "/www" } }, to = "oci:" .. folder .. "/made" }
      ctz.registry.copy("oci:" .. folder .. "/made", "docker-archive:" .. folder .. "/made.tar:made:1")
      local one <close> = ctz.image.open("docker-archive:" .. folder .. "/made.tar")
      assert.equal("/www dir 1\n/www/index file 1", listing(one))
      assert.equal("hello", one:read "www/index")
    end)
  end)

  describe("read", function()
    it("follows links inside of the image only", function()
      local one = image { {
        { path = "etc/os-release", type = "link", link = "../usr/lib/os-release" },
        { path = "usr/lib/os-release", text = "ID=x" },
        { path = "lib", type = "link", link = "/usr/lib" },
        { path = "up", type = "link", link = "../../../../etc/os-release" },
        { path = "loop", type = "link", link = "loop" },
        { path = "pipe", type = "fifo" },
      } }
      for _, path in ipairs { "/etc/os-release", "etc/os-release", "/lib/os-release", "/up", "/lib/../lib/./os-release",
      } do
        assert.equal("ID=x", one:read(path))
      end
      for path, kind in pairs { ["/loop"] = "protocol", ["/none"] = "not_found", ["/usr"] = "conflict",
        ["/pipe"] = "conflict", ["/usr/lib/os-release/x"] = "not_found", ["/etc/passwd"] = "not_found" } do
        local ok, err = ctz.try(one.read, one, path)
        assert.is_nil(ok)
        assert.equal(kind, err.kind, path)
        assert.equal("image.read", err.op)
      end
    end)
  end)

  describe("extract", function()
    it("writes nothing outside of the folder, and tells which devices it left out", function()
      local one = image {
        { { path = "out", type = "link", link = folder }, { path = "dev/null", type = "char", major = 1, minor = 3 },
          { path = "suid", text = "s", mode = "4755" } },
        { { path = "out/file", text = "inside" }, { path = "ro", type = "dir", mode = "500" }, { path = "ro/f" } },
      }
      local result = one:extract(folder .. "/root")
      assert.same({ "/dev/null" }, result.skipped)
      assert.equal("inside", layouts.read(folder .. "/root/out/file"))
      assert.is_nil(io.open(folder .. "/file"))
      assert.equal("755 500\n", layouts.output(("stat -c %%a %s/root/suid %s/root/ro | xargs"):format(folder, folder)))
      -- A link that stands in the folder is not gone through.
      sh(("mkdir -p %s/evil %s/away; ln -s %s/away %s/evil/ro"):format(folder, folder, folder, folder))
      local ok, err = ctz.try(one.extract, one, folder .. "/evil")
      assert.is_true(ok == nil and err.kind == "protocol" or ok ~= nil)
      assert.equal("", layouts.output("ls " .. folder .. "/away"))
    end)

    it("gives the tree that tar gives for one layer", function()
      sh(("mkdir -p %s/src && cp -r lua/stdlib/ctz/image docs/decisions %s/src && ln -s image %s/src/l && "
        .. "ln %s/src/image/open.lua %s/src/hard"):format(folder, folder, folder, folder, folder))
      sh(("tar -C %s/src -cf %s/one.tar . && mkdir %s/truth && tar -C %s/truth -xf %s/one.tar"):format(
        folder, folder, folder, folder, folder))
      local bytes = layouts.read(folder .. "/one.tar")
      local one = image { { bytes = bytes, diff_id = "sha256:" .. hash.sha256(bytes) } }
      one:extract(folder .. "/ours")
      sh(("diff -r --no-dereference %s/truth %s/ours"):format(folder, folder))
      local facts = "cd %s/%s && find . ! -type d -printf '%%p %%y %%m %%s %%n %%Ts %%l\\n' | sort"
      assert.equal(layouts.output(facts:format(folder, "truth")), (layouts.output(facts:format(folder, "ours"))))
      local folders = "cd %s/%s && find . -type d -printf '%%p %%m %%Ts\\n' | sort"
      assert.equal(layouts.output(folders:format(folder, "truth")), (layouts.output(folders:format(folder, "ours"))))
    end)
  end)
end)
