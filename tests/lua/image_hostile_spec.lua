-- image_hostile_spec.lua: layers that want to lead astray, header by header: what is listed, extracted, refused.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local hash = require "ctz.hash"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local sh = layouts.sh

-- A number as 12 octal digits; larger ones, and negative ones, as big-endian binary.
local function number(value, width)
  if math.type(value) == "integer" and value >= 0 and value < 1 << 3 * (width - 1) then
    return ("%0" .. width - 1 .. "o\0"):format(value)
  end
  local bytes = (value < 0 and "\255" or "\0"):rep(width) .. string.pack(">i8", value)
  return string.char(value < 0 and 255 or 128) .. bytes:sub(1 - width)
end

local function field(text, width)
  return text .. ("\0"):rep(width - #text)
end

-- One member: {path, kind, content or link}, and size=, mtime=, uid=, mode=, sum= for what its header says otherwise.
local function member(entry)
  local path, kind, text = table.unpack(entry)
  kind, text = kind or "0", text or ""
  local content = kind:find "[0xgLKS]" and text or ""
  local link = content == "" and text or ""
  local head = field(path:sub(1, 100), 100) .. number(entry.mode or 420, 8) .. number(entry.uid or 0, 8) .. number(0, 8)
    .. number(entry.size or #content, 12) .. number(entry.mtime or 0, 12)
  local tail = kind .. field(link:sub(1, 100), 100) .. "ustar\00000" .. field("", 64) .. number(entry.major or 0, 8)
    .. number(entry.minor or 0, 8)
  tail = tail .. ("\0"):rep(512 - #head - 8 - #tail)
  local sum = entry.sum or 8 * 32
  for byte in (head .. tail):gmatch "." do
    sum = sum + byte:byte()
  end
  return head .. ("%06o\0 "):format(sum) .. tail .. content .. ("\0"):rep(-#content % 512)
end

-- A pax header for the next member.
local function pax(records)
  local text = ""
  for key, value in pairs(records) do
    local rest = (" %s=%s\n"):format(key, value)
    local length = #rest + 1
    while #tostring(length) + #rest ~= length do
      length = #tostring(length) + #rest
    end
    text = text .. length .. rest
  end
  return { "pax", "x", text }
end

local function tar(entries)
  local parts = {}
  for i, entry in ipairs(entries) do
    parts[i] = member(entry)
  end
  return table.concat(parts) .. ("\0"):rep(1024)
end

describe("a layer", function()
  local folder, layout

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
  end)

  after_each(function()
    sh("chmod -R u+rwX " .. folder .. "; rm -rf " .. folder)
  end)

  local function image(layers)
    local descriptors, ids = json.array {}, json.array {}
    for i, layer in ipairs(layers) do
      local bytes = type(layer) == "string" and layer or tar(layer)
      descriptors[i], ids[i] = layout:blob(bytes, layouts.LAYER), "sha256:" .. hash.sha256(bytes)
    end
    local config = layout:document({ rootfs = { type = "layers", diff_ids = ids } }, layouts.CONFIG)
    local one = layout:document {
      schemaVersion = 2, mediaType = layouts.MANIFEST, config = config, layers = descriptors,
    }
    return ctz.image.open(("oci:%s@%s"):format(layout.folder, one.digest))
  end

  local function paths(one)
    local found = {}
    for file in one:files() do
      found[#found + 1] = file.path
    end
    return found
  end

  local function refused(layers)
    local one = image(layers)
    local value, err = ctz.try(paths, one)
    assert.is_nil(value)
    assert.is_string(err.kind)
    local ok = ctz.try(one.extract, one, folder .. "/refused")
    assert.is_nil(ok)
    assert.is_nil(ctz.fs.stat(folder .. "/refused/x"))
    return err
  end

  it("whose names lead out is refused", function()
    local names = { "../x", "a/../../x", "/../x", "..", "a/../../../../../../tmp/x", "./../x", "a/b/../../../x" }
    for _, name in ipairs(names) do
      assert.equal("protocol", refused({ { { name, "0", "x" } } }).kind, name)
      assert.equal("protocol", refused({ { { "f", "0", "x" }, { "h", "1", name } } }).kind, name)
    end
    assert.equal("protocol", refused({ { pax { path = "../x" }, { "f", "0", "x" } } }).kind)
    assert.equal("protocol", refused({ { { "n", "L", "../x\0" }, { "f", "0", "x" } } }).kind)
  end)

  it("has absolute names, names with dots, slashes and backslashes within its root", function()
    local one = image { { { "/etc/a", "0", "1" }, { "./b", "0", "2" }, { "c//d/./e", "0", "3" }, { "..\\x", "0", "4" },
      { "...", "0", "5" }, { ".", "5" }, { "/", "5" } } }
    assert.same({ "/...", "/..\\x", "/b", "/c", "/c/d", "/c/d/e", "/etc", "/etc/a" }, paths(one))
    one:extract(folder .. "/out")
    assert.equal("4", layouts.read(folder .. "/out/..\\x"))
    assert.equal("in\nout\n", layouts.output("ls " .. folder))
  end)

  it("with names of thousands of characters is listed, and not extracted where the system has no such names", function()
    local long = ("n"):rep(5000)
    local one = image { { pax { path = long }, { "f", "0", "x" } } }
    assert.same({ "/" .. long }, paths(one))
    local value, err = ctz.try(one.extract, one, folder .. "/out")
    assert.is_nil(value)
    assert.is_true(err.kind == "size" or err.kind == "io", tostring(err))
    local deep = ("d/"):rep(1500) .. "f"
    one = image { { pax { path = deep }, { "f", "0", "x" } } }
    assert.equal(1501, #paths(one))
  end)

  it("never writes through its own links, in whatever order they come", function()
    sh(("mkdir %s/away && echo old > %s/away/file"):format(folder, folder))
    local away = folder .. "/away"
    for _, entries in ipairs {
      { { "l", "2", away }, { "l/file", "0", "new" } },
      { { "l", "2", "../away" }, { "l/file", "0", "new" } },
      { { "l", "5" }, { "l", "2", away }, { "l/file", "0", "new" } },
      { { "a", "2", "b" }, { "b", "2", away }, { "a/file", "0", "new" }, { "b/more", "0", "new" } },
      { { "l", "2", away .. "/file" }, { "l", "0", "new" } },
      { { "l", "2", away .. "/file" }, { "h", "1", "l" }, { "h", "0", "new" } },
    } do
      local one = image { entries }
      ctz.try(one.extract, one, folder .. "/out") -- some are refused, others put a folder in the link's place
      assert.equal("old\n", layouts.read(away .. "/file"))
      assert.equal("file\n", layouts.output("ls " .. away))
      sh(("rm -rf %s/out"):format(folder))
    end
  end)

  it("with devices, fifos, setuid files, capabilities and huge owners makes none of them unasked", function()
    local one = image { { { "null", "3", major = 1, minor = 3 }, { "disk", "4", major = 8 }, { "pipe", "6" },
      { "suid", "0", "s", mode = 2541 }, pax { ["SCHILY.xattr.security.capability"] = "\1\0\0\2" }, { "cap", "0", "c" },
      { "big", "0", "b", uid = 1 << 31 } } }
    local owner
    for file in one:files() do
      owner = file.path == "/big" and file.uid or owner
    end
    assert.equal(1 << 31, owner)
    local result = one:extract(folder .. "/out")
    table.sort(result.skipped)
    assert.same({ "/disk", "/null" }, result.skipped)
    assert.equal("", layouts.output(("find %s/out -type b -o -type c -o -perm /6000"):format(folder)))
    assert.equal("", layouts.output(("getcap -r %s/out 2>/dev/null"):format(folder)))
  end)

  it("whose numbers are none, too large or negative is refused or told as it is", function()
    for _, entries in ipairs {
      { { "x", "0", "x", size = -1 } }, { { "x", "0", "x", size = 1 << 62 } },
      { pax { size = "99999999999999999999" }, { "x", "0", "x" } }, { pax { size = "-1" }, { "x", "0", "x" } },
      { pax { size = "1x" }, { "x", "0", "x" } }, { { "x", "0", "x", sum = 99 } },
      { { "p", "x", "5 a=b\n" }, { "x", "0", "x" } }, { { "p", "x", "999 path=x\n" }, { "x", "0", "x" } },
      { { "p", "x", "0 path=x\n" }, { "x", "0", "x" } },
    } do
      local err = refused { entries }
      assert.is_true(err.kind == "protocol" or err.kind == "size", tostring(err))
    end
    for _, mtime in ipairs { -1, -(1 << 40), 1 << 40, 1 << 62 } do
      local one = image { { { "x", "0", "x", mtime = mtime } } }
      local value, err = ctz.try(paths, one)
      assert.is_true(value ~= nil or err.kind == "protocol" or err.kind == "size", tostring(err))
      ctz.try(one.extract, one, folder .. "/out")
    end
    local one = image { { pax { size = "3" }, { "x", "0", "abc", size = 3 } } }
    assert.equal("abc", one:read "/x")
  end)

  it("with names for the next entry again and again, or with a NUL in them, is no way out", function()
    local entries = {}
    for i = 1, 200 do
      entries[i] = { "n", "L", ("a%d\0"):format(i) }
    end
    entries[201] = { "f", "0", "x" }
    local value, err = ctz.try(paths, image { entries })
    assert.is_true(value and value[1] == "/a200" or err and err.kind == "protocol", tostring(err))
    value, err = ctz.try(paths, image { { pax { path = "good\0/../../x" }, { "f", "0", "x" } } })
    assert.is_true(value and value[1] == "/good" or err and err.kind == "protocol", tostring(err))
    assert.equal("size", refused({ { { "n", "L", ("a"):rep(3 << 20) .. "\0" }, { "f", "0", "x" } } }).kind)
  end)

  it("that is sparse as GNU tar has it is refused, or read as it is meant", function()
    sh(("mkdir %s/s && truncate -s 1M %s/s/sparse && printf end >> %s/s/sparse"):format(folder, folder, folder))
    for _, format in ipairs { "gnu", "pax" } do
      sh(("tar --format=%s -S -C %s/s -cf %s/s.tar sparse"):format(format, folder, folder))
      local one = image { layouts.read(folder .. "/s.tar") }
      local value, err = ctz.try(one.read, one, "/sparse")
      assert.is_true(value == layouts.read(folder .. "/s/sparse") or err and (err.kind == "unsupported"
        or err.kind == "not_found" and format == "pax" or err.kind == "protocol"), format .. ": " .. tostring(err))
    end
  end)

  it("of more entries than the limit, or that unpacks to too much, is named by its limit", function()
    local entries = {}
    for i = 1, 300 do
      entries[i] = { ("e%d"):format(i), "0" }
    end
    image { entries }
    layout:tag(layout:image { tar(entries) }, "many")
    local code = ([[for _ in ctz.image.open("oci:%s:many"):files() do end]]):format(layout.folder)
    local run = program.run { "eval", "--limit", "tar_entries=100", code }
    assert.equal(1, run.code)
    assert.matches("more than 100 entries", run.err)
    assert.matches("%-%-limit tar_entries", run.err)
    for _, packer in ipairs { "gzip -9", "zstd -q" } do
      local packed = layouts.output(("head -c 400M /dev/zero | %s"):format(packer))
      local bomb = layout:blob(packed, layouts.LAYER)
      local config = layout:document({ rootfs = json.object {} }, layouts.CONFIG)
      local one = layout:document {
        schemaVersion = 2, mediaType = layouts.MANIFEST, config = config, layers = { bomb },
      }
      local opened = ctz.image.open(("oci:%s@%s"):format(layout.folder, one.digest))
      local _, err = ctz.try(paths, opened)
      assert.equal("size", err.kind, tostring(err))
      assert.matches("expansion_ratio", err.hint)
    end
  end)

  it("has names that differ in case only beside each other, and of one name the last", function()
    local one = image { { { "A", "0", "upper" }, { "a", "0", "lower" }, { "t", "0", "file" }, { "t", "5" },
      { "t/x", "0", "x" }, { "t", "2", "a" } } }
    assert.equal("upper", one:read "/A")
    assert.equal("lower", one:read "/a")
    assert.equal("lower", one:read "/t")
    one:extract(folder .. "/out")
    assert.equal("upper", layouts.read(folder .. "/out/A"))
    assert.equal("a\n", layouts.output(("readlink %s/out/t"):format(folder)))
  end)

  it("whose whiteouts are odd hides nothing outside of its image", function()
    for _, name in ipairs { ".wh.", ".wh..", ".wh...", "d/.wh..", ".wh.a/../../x" } do
      assert.equal("protocol", refused({ { { "x", "0", "x" } }, { { name, "0" } } }).kind, name)
    end
    sh(("mkdir %s/out && echo keep > %s/out/keep && echo old > %s/old"):format(folder, folder, folder))
    local one = image { { { "a", "0", "a" }, { "d/b", "0", "b" } }, { { ".wh.none", "0" }, { ".wh.old", "0" },
      { "d/.wh..wh..opq", "0" }, { ".wh..wh.aufs", "0" }, { ".wh.keep", "5" }, { ".wh.a", "2", "/etc" } } }
    one:extract(folder .. "/out")
    assert.equal("old\n", layouts.read(folder .. "/old"))
    assert.is_nil(ctz.fs.stat(folder .. "/out/d/b"))
    assert.is_nil(ctz.fs.stat(folder .. "/out/etc"))
  end)
end)
