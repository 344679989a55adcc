-- hash_spec.lua: ctz.hash.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local hash = ctz.hash

-- FIPS 180-4 examples (NIST, "Examples with Intermediate Values").
local VECTORS <const> = {
  { "",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
      .. "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e" },
  { "abc",
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
  { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c335"
      .. "96fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445" },
}

local function write(path, content)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(content))
end

describe("ctz.hash", function()
  local path

  before_each(function()
    path = os.tmpname()
  end)

  after_each(function()
    os.remove(path)
  end)

  it("gives the digests of the standard", function()
    for _, vector in ipairs(VECTORS) do
      assert.equal(vector[2], hash.sha256(vector[1]))
      assert.equal(vector[3], hash.sha512(vector[1]))
    end
  end)

  it("hashes NUL bytes and bytes that are not UTF-8", function()
    assert.equal("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", hash.sha256("\0"))
    assert.not_equal(hash.sha256("\255"), hash.sha256("\254"))
  end)

  it("gives the same digest for a text, a stream of its parts and a file", function()
    local parts = {}
    for i = 1, 3000 do
      parts[i] = ("%d-"):format(i):rep(i % 97)
    end
    local text = table.concat(parts)
    write(path, text)
    for _, algorithm in ipairs { "sha256", "sha512" } do
      local stream = hash.new(algorithm)
      for _, part in ipairs(parts) do
        stream:update(part)
      end
      assert.equal(hash[algorithm](text), stream:digest())
      assert.equal(hash[algorithm](text), hash.file(path, { algorithm = algorithm }))
    end
  end)

  it("goes on with a stream after its digest was asked", function()
    local stream = hash.new():update("a")
    assert.equal(hash.sha256("a"), stream:digest())
    assert.equal(hash.sha256("a"), stream:digest())
    assert.equal(hash.sha256("ab"), stream:update("b"):digest())
  end)

  it("hashes an empty file and files around the size of a read", function()
    for _, size in ipairs { 0, 1, 262143, 262144, 262145, 1048576 } do
      write(path, ("x"):rep(size))
      assert.equal(hash.sha256(("x"):rep(size)), hash.file(path))
    end
  end)

  it("lets other tasks run while a file is hashed", function()
    write(path, ("y"):rep(64 * 1024 * 1024))
    local turns = 0
    local ticker = ctz.spawn(function()
      while true do
        ctz.sleep(0)
        turns = turns + 1
      end
    end, { background = true })
    hash.file(path)
    ticker:cancel()
    assert.is_true(turns > 10)
  end)

  it("hashes many files at once", function()
    write(path, ("z"):rep(100000))
    local expected = hash.sha256(("z"):rep(100000))
    local list = {}
    for i = 1, 200 do
      list[i] = path
    end
    for _, digest in ipairs(ctz.map(list, function(name) return hash.file(name) end, { jobs = 50 })) do
      assert.equal(expected, digest)
    end
  end)

  it("stops to wait when it is cancelled or its time is over", function()
    local file <close> = assert(io.open(path, "wb"))
    file:seek("set", 8 << 30)
    file:write("x") -- 8 GiB, all but a block of it a hole
    file:flush()
    local task = ctz.spawn(function() return ctz.try(hash.file, path) end)
    ctz.sleep(0.01)
    task:cancel()
    local _, err = ctz.try(task.await, task)
    assert.equal("cancelled", err.kind)
    _, err = ctz.try(hash.file, path, { timeout = 0.01 })
    assert.equal("timeout", err.kind)
  end)

  it("raises not_found for a file that is not there, with its path", function()
    local _, err = ctz.try(hash.file, "/nowhere/at-all")
    assert.equal("not_found", err.kind)
    assert.equal("/nowhere/at-all", err.target)
    assert.equal("ENOENT", err.code)
    assert.equal("hash.file", err.op)
    assert.matches("^read /nowhere/at%-all: no such file or directory$", err.message)
  end)

  it("refuses what is not a regular file, without waiting for it", function()
    local _, err = ctz.try(hash.file, "/")
    assert.equal("unsupported", err.kind)
    assert.equal("/ is not a regular file", err.message)
    _, err = ctz.try(hash.file, "/dev/zero")
    assert.equal("unsupported", err.kind)
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    _, err = ctz.try(hash.file, path)
    assert.equal("unsupported", err.kind)
  end)

  it("raises usage for wrong arguments and names the nearest option", function()
    local function message(...)
      local _, err = ctz.try(...)
      assert.equal("usage", err.kind)
      return err.message
    end
    assert.equal("bad argument 'text' to 'hash.sha256': expected string, got nil", message(hash.sha256, nil))
    assert.equal("bad argument 'text' to 'hash.sha256': expected string, got number", message(hash.sha256, 1))
    assert.equal("bad argument 'path' to 'hash.file': it holds a NUL byte", message(hash.file, "a\0b"))
    assert.equal("unknown option 'algoritm' to 'hash.file'; did you mean 'algorithm'?",
      message(hash.file, "x", { algoritm = "sha512" }))
    assert.matches("expected one of sha256, sha512, got \"md5\"", message(hash.file, "x", { algorithm = "md5" }))
    assert.equal("bad argument 'algorithm' to 'hash.new': expected sha256 or sha512, got \"md5\"",
      message(hash.new, "md5"))
    assert.matches("expected ctz.hash.stream", message(hash.new().update, io.stdout, "x"))
  end)

  it("opens its door twice as the same door", function()
    package.loaded["ctz.core.hash"] = nil
    assert.equal(hash, require "ctz.core.hash")
  end)
end)
