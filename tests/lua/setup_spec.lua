local fs = require "ctz.fs"
local json = require "ctz.json"
local program = require "tests.lua.support.program"

describe("ctz setup", function()
  local folder

  before_each(function()
    folder = program.folder()
  end)

  after_each(function()
    program.remove(folder)
  end)

  local function setup(settings)
    if settings then
      fs.write(folder .. "/.luarc.json", settings)
    end
    return program.run({ "setup" }, { folder = folder })
  end

  local function settings()
    return json.decode(fs.read(folder .. "/.luarc.json"))
  end

  it("writes the types and names them to the editor", function()
    local result = setup()
    assert.equal(0, result.code, result.err)
    assert.same({ ".ctz/types" }, settings()["workspace.library"])
    assert.equal("Lua 5.4", settings()["runtime.version"])
    assert.matches("^%-%-%-@meta ctz\n", fs.read(folder .. "/.ctz/types/ctz.lua"))
    assert.is_true(fs.exists(folder .. "/.ctz/types/ctz/hash.lua"))
    for _, path in ipairs(fs.glob("**/*.lua", { root = folder .. "/.ctz/types" })) do
      assert(loadfile(path))
    end
  end)

  it("writes the same when it is run again", function()
    setup()
    local first = fs.read(folder .. "/.luarc.json")
    assert.equal(0, setup().code)
    assert.equal(first, fs.read(folder .. "/.luarc.json"))
  end)

  it("keeps what .luarc.json says, in its own way of writing", function()
    setup '{"diagnostics.globals": ["x"], "workspace.library": ["mine"], "runtime.version": "LuaJIT"}'
    assert.same({ "mine", ".ctz/types" }, settings()["workspace.library"])
    assert.equal("LuaJIT", settings()["runtime.version"])
    assert.same({ "x" }, settings()["diagnostics.globals"])
    setup '{"workspace": {"library": [], "checkThirdParty": false}}'
    assert.same({ library = { ".ctz/types" }, checkThirdParty = false }, settings().workspace)
    assert.is_nil(settings()["workspace.library"])
    setup '{"Lua.workspace.library": ["mine"]}'
    assert.same({ "mine", ".ctz/types" }, settings()["Lua.workspace.library"])
  end)

  it("leaves a file alone that is not plain JSON, and says what to add", function()
    local text = '{\n  // mine\n  "runtime.version": "Lua 5.4",\n}\n'
    local result = setup(text)
    assert.equal(1, result.code)
    assert.equal(text, fs.read(folder .. "/.luarc.json"))
    assert.matches('add ".ctz/types" to its "workspace.library"', result.err, 1, true)
    assert.is_true(fs.exists(folder .. "/.ctz/types/ctz.lua"))
  end)

  it("refuses a folder that is not there", function()
    assert.equal(1, program.run({ "setup", folder .. "/nothing" }).code)
  end)
end)
