-- copy_resume_spec.lua: a push that was killed is gone on with by another process.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local output, sh = layouts.output, layouts.sh

local SIZE <const>, STALL <const> = 8 << 20, 3 << 20

describe("ctz copy to a registry that keeps uploads", function()
  local folder, layout, server, host, image

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
    local file <close> = assert(io.open("/dev/urandom", "rb"))
    image = layout:image { file:read(SIZE) }
    layout:tag(image, "1")
    server = ctz.process.spawn({ "python3", "tests/lua/support/keeping_registry.py", folder })
    while not ctz.fs.exists(folder .. "/port") do
      ctz.sleep(0.02)
    end
    host = "127.0.0.1:" .. layouts.read(folder .. "/port")
  end)

  after_each(function()
    server:close()
    sh("rm -rf " .. folder)
  end)

  local function words()
    return { "copy", ("oci:%s/in:1"):format(folder), host .. "/a:1", "--jobs", "1", "--json" }
  end

  local function environment()
    return ("XDG_STATE_HOME=%s/state"):format(folder)
  end

  -- Runs it until the registry stalls, and kills it then.
  local function kill_in_the_middle()
    local line = ("env %s %s %s >/dev/null 2>&1 & echo $!"):format(environment(), program.path,
      table.concat(words(), " "))
    local pid = output(line):match "%d+"
    ctz.timeout(20, function()
      while not ctz.fs.exists(folder .. "/stalled") do
        ctz.sleep(0.02)
      end
    end)
    sh("kill -9 " .. pid)
    layouts.write(folder .. "/gone", "")
  end

  it("sends the rest, and every byte once", function()
    kill_in_the_middle()
    local files = ctz.fs.glob(folder .. "/state/ctz/uploads/*.json")
    assert.equal(1, #files)
    assert.equal(384, ctz.fs.stat(files[1]).mode) -- 0600: who has it may write there
    assert.equal(448, ctz.fs.stat(folder .. "/state/ctz/uploads").mode) -- 0700
    local result = program.run(words(), { environment = environment() })
    assert.equal(0, result.code, result.err)
    local done = json.decode(result.out)
    assert.equal(image.digest, done.digest)
    assert.equal(1, done.resumed)
    assert.is_true(done.bytes < SIZE - STALL + 1000)
    local config = image.size + SIZE
    assert.is_true(tonumber(layouts.read(folder .. "/received")) < config)
    assert.same({}, ctz.fs.glob(folder .. "/state/ctz/uploads/*.json"))
    ctz.registry.copy(host .. "/a:1", ("oci:%s/out:1"):format(folder))
    sh(("diff -r %s/in/blobs %s/out/blobs"):format(folder, folder))
  end)

  it("begins anew without resume, and when the registry has forgotten the session or holds other bytes", function()
    kill_in_the_middle()
    local path = ctz.fs.glob(folder .. "/state/ctz/uploads/*.json")[1]
    local entry = json.decode(layouts.read(path))
    for _, url in ipairs {
      entry.url:gsub("uploads/[^?]*", "uploads/forgotten"), "http://127.0.0.1:1/v2/a/blobs/uploads/x", "no url", "",
    } do
      entry.url = url
      layouts.write(path, json.encode(entry))
      local result = program.run(words(), { environment = environment() })
      assert.equal(0, result.code, result.err)
      assert.equal(0, json.decode(result.out).resumed)
    end
  end)

  it("needs no journal: a state folder that cannot be written is no failure", function()
    kill_in_the_middle()
    local result = program.run(words(), { environment = "XDG_STATE_HOME=/proc/nowhere" })
    assert.equal(0, result.code, result.err)
    assert.equal(image.digest, json.decode(result.out).digest)
  end)
end)
