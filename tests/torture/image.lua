-- Layers of every kind are listed, squashed, read, extracted, stripped, flattened and packed otherwise; damaged ones.
local ctz = require "ctz"
local dir <close> = ctz.fs.tempdir()

-- A tar of {path, kind, text or link}; of kind "x" the text is pax records for the next one.
local function tar(entries)
  local parts = {}
  for _, entry in ipairs(entries) do
    local path, kind, text = table.unpack(entry)
    local content = (kind == "0" or kind == "x") and text or ""
    local head = path .. ("\0"):rep(100 - #path) .. "0000644\0" .. "0000000\0" .. "0000000\0"
      .. ("%011o\0"):format(#content) .. "00000000000\0"
    local link = content == "" and text or ""
    local tail = kind .. link .. ("\0"):rep(100 - #link)
      .. "ustar\00000" .. ("\0"):rep(64) .. "0000001\0" .. "0000003\0"
    tail = tail .. ("\0"):rep(512 - #head - 8 - #tail)
    local sum = 8 * 32
    for byte in (head .. tail):gmatch "." do
      sum = sum + byte:byte()
    end
    parts[#parts + 1] = head .. ("%06o\0 "):format(sum) .. tail .. content .. ("\0"):rep(-#content % 512)
  end
  return table.concat(parts) .. ("\0"):rep(1024)
end

local function blob(bytes, media_type)
  local digest = ctz.hash.sha256(bytes)
  ctz.fs.write(("%s/in/blobs/sha256/%s"):format(dir, digest), bytes)
  return { mediaType = media_type, digest = "sha256:" .. digest, size = #bytes }
end

-- change: what stands in the first layer's place.
local function image(layers, change)
  local descriptors, ids = {}, {}
  for i, bytes in ipairs(layers) do
    descriptors[i] = blob(bytes, "application/vnd.oci.image.layer.v1.tar")
    ids[i] = descriptors[i].digest
  end
  local config = blob(ctz.json.encode {
    architecture = "amd64", os = "linux", rootfs = { type = "layers", diff_ids = ids },
  }, "application/vnd.oci.image.config.v1+json")
  local manifest = { schemaVersion = 2, mediaType = "application/vnd.oci.image.manifest.v1+json", config = config,
    layers = descriptors }
  local one = blob(ctz.json.encode(manifest), manifest.mediaType)
  if change then
    ctz.fs.write(("%s/in/blobs/%s"):format(dir, (descriptors[1].digest:gsub(":", "/"))), change)
  end
  ctz.fs.write(dir .. "/in/index.json", ctz.json.encode { schemaVersion = 2, manifests = { one } })
  return ctz.image.open(("oci:%s/in@%s"):format(dir, one.digest))
end

ctz.fs.mkdir(dir .. "/in/blobs/sha256", { parents = true })
ctz.fs.write(dir .. "/in/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
local long = ("d"):rep(120) .. "/f"
local record = ("%d path=%s\n"):format(#long + 10, long)
assert(#record == #long + 10)
local lower = tar {
  { "etc", "5" }, { "etc/a", "0", ("a"):rep(70000) }, { "etc/hard", "1", "etc/a" }, { "etc/link", "2", "a" },
  { "dev/null", "3" }, { "old/x", "0", "x" }, { "pax", "x", record }, { "cut", "0", "long" },
  { "note", "x", "30 SCHILY.xattr.user.note=abc\n" }, { "noted", "0", "n" },
}
local upper = tar { { "etc/.wh.a", "0", "" }, { "old/.wh..wh..opq", "0", "" }, { "old/y", "0", "y" } }
local one = image({ lower, upper })
local paths = {}
for file in one:files() do
  paths[#paths + 1] = file.path
end
assert(table.concat(paths, " "):find "/etc/hard /etc/link", table.concat(paths, " "))
assert(#one:read "/etc/hard" == 70000 and one:read("/" .. long) == "long")
assert(one:extract(dir .. "/out").skipped[1] == "/dev/null")
assert(ctz.fs.read(dir .. "/out/old/y") == "y" and not ctz.fs.exists(dir .. "/out/old/x"))
local changes = { { strip = { "/etc/link" } }, { flatten = true, recompress = "zstd" }, { recompress = "gzip" } }
for i, change in ipairs(changes) do
  change.to = ("oci:%s/made:%d"):format(dir, i)
  local made = one:mutate(change)
  assert(ctz.image.open(made.name):read "/old/y" == "y")
end
local packed = ctz.image.assemble {
  layers = { { files = { ["/z"] = { text = "z" } } } }, to = ("oci:%s/z"):format(dir), compression = "zstd",
}
assert(ctz.image.open(packed.name):read "/z" == "z")
local damaged = { lower:sub(1, 600), "\31\139\8\0" .. ("x"):rep(50), lower .. "x", (lower:gsub("aaaa", "bbbb", 1)) }
for _, bytes in ipairs(damaged) do
  local broken = image({ lower }, bytes)
  local _, err = ctz.try(broken.files, broken)
  assert(err.kind == "size" or err.kind == "digest" or err.kind == "protocol", err)
end
