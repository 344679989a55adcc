-- http_stream_spec.lua: what goes on while the recipe runs: streams, files, uploads, upgrades.
local ctz = require "ctz"
local faults = dofile "tests/testbed/http_faults.lua"
local program = require "tests.lua.support.program"
local http = ctz.http

local server, folder

setup(function()
  server = faults.start()
end)

teardown(function()
  server:stop()
end)

before_each(function()
  folder = program.folder()
end)

after_each(function()
  program.remove(folder)
end)

local function url(path, name)
  return server:url(path, name)
end

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end


local function open_connections()
  return tonumber(http.get(url("/count/x?http", "other")).body:match "%d+$")
end

local function eventually(check)
  ctz.timeout(20, function()
    while not check() do
      ctz.sleep(0.01)
    end
  end)
end

local function files()
  local pipe <close> = io.popen(("ls -A '%s'"):format(folder))
  return pipe:read "a"
end

describe("a stream", function()
  it("that comes in thousands of small pieces comes whole, though it is gathered", function()
    local stream = http.get(url "/tick/0.0002", { stream = true })
    local number = 0
    for line in stream:lines() do
      number = number + 1
      assert.equal("tick " .. number, line)
      if number == 2000 then
        break
      end
    end
    stream:close()
  end)

  it("returns when the head is there and gives the body as it comes", function()
    local stream = http.get(url "/tick/0.01", { stream = true })
    assert.equal(200, stream.status)
    assert.equal("chunked", stream.headers["transfer-encoding"])
    assert.matches("^tick 1\n", stream:read())
    stream:close()
  end)

  it("is an iterator over chunks, whole to the last byte", function()
    local parts = {}
    for chunk in http.get(url "/bytes/5000000", { stream = true }):chunks() do
      parts[#parts + 1] = chunk
    end
    local bytes = {}
    for i = 0, 255 do
      bytes[i + 1] = string.char(i)
    end
    local expected = table.concat(bytes):rep(20000):sub(1, 5000000)
    assert.is_true(table.concat(parts) == expected)
    assert.is_true(#parts > 1)
  end)

  it("is an iterator over lines; the last one needs no line end", function()
    local lines = {}
    for line in http.get(url "/lines/500", { stream = true }):lines() do
      lines[#lines + 1] = line
    end
    assert.equal(500, #lines)
    assert.equal("line 1", lines[1])
    assert.equal("line 500", lines[500])
  end)

  it("reads exactly n bytes, fewer at the end, then nil", function()
    local stream = http.get(url "/bytes/1000", { stream = true })
    assert.equal(1, #stream:read(1))
    assert.equal(600, #stream:read(600))
    assert.equal(399, #stream:read(5000))
    assert.is_nil(stream:read(1))
    assert.is_nil(stream:read())
    stream = http.get(url "/bytes/3000000", { stream = true })
    assert.equal(2000000, #stream:read(2000000))
    assert.equal(1000000, #stream:read(2000000))
  end)

  it("is closed by break", function()
    local before = open_connections()
    local seen = 0
    for _ in http.get(url "/tick/0.01", { stream = true }):lines() do
      seen = seen + 1
      if seen == 2 then
        break
      end
    end
    eventually(function()
      return open_connections() <= before
    end)
  end)

  it("is closed by <close>, and a second time without harm", function()
    local before = open_connections()
    do
      local stream <close> = http.get(url "/tick/0.01", { stream = true })
      assert.matches("^tick", stream:read())
      assert.is_true(stream:close())
    end
    eventually(function()
      return open_connections() <= before
    end)
  end)

  it("that is collected unclosed is closed, and told of with --debug", function()
    local recipe = ([[
      local ctz = require "ctz"
      do local stream = ctz.http.get("%s", {stream=true}) stream:read(1) end
      collectgarbage() collectgarbage()
      ctz.sleep(0.2)
      print(ctz.http.get("%s").body:match("%%d+$"))
    ]]):format(url "/tick/0.01", url("/count/x?http", "other"))
    local before = open_connections()
    local result = program.recipe(recipe, { "--debug" })
    assert.is_true(tonumber(result.out) <= before, result.out .. result.err)
    local _, times = result.err:gsub("was not closed", "")
    assert.equal(1, times, result.err)
    assert.equal("", program.recipe(recipe).err)
  end)

  it("that is decoded on the way pauses its sender too", function()
    local stream <close> = http.get(url "/bomb/1073741824", { stream = true, compressed = true })
    for _ = 1, 100 do
      local chunk = stream:read(1 << 20)
      assert.equal(1 << 20, #chunk)
    end
    local sanitized = program.read("/proc/self/maps"):find("libasan", 1, true)
    local peak = program.read("/proc/self/status"):match "VmHWM:%s*(%d+)"
    assert.is_true(sanitized ~= nil or tonumber(peak) < 150 * 1024, peak)
    assert.equal(("packed text "):rep(100), http.get(url "/gzip", { stream = true, compressed = true }):read(5000))
  end)

  it("pauses its sender while nobody reads", function()
    local stream <close> = http.get(url "/endless", { stream = true })
    local function sent()
      return tonumber(http.get(url("/count/sent", "other")).body:match "^%d+")
    end
    local last = -1
    eventually(function()
      ctz.sleep(0.1)
      local now = sent()
      local same = now == last
      last = now
      return same
    end)
    assert.is_true(last < 64 << 20, last) -- what the kernel's buffers and ours hold
    for _ = 1, 100 do
      stream:read(1 << 20)
    end
    assert.is_true(sent() > 100 << 20)
  end)

  it("leaves a deadline that passed while reading to the reader, and can be read further", function()
    local stream <close> = http.get(url "/tick/0.2", { stream = true })
    stream:read()
    assert.equal("timeout", failure(ctz.timeout, 0.02, stream.read, stream).kind)
    assert.equal("timeout", failure(stream.read, stream, nil, { timeout = 0.02 }).kind)
    assert.matches("^tick", stream:read())
  end)

  it("has a timeout until its head, and an idle timeout", function()
    assert.equal("timeout", failure(http.get, url "/silent", { stream = true, timeout = 0.05 }).kind)
    local stream = http.get(url "/drip/5/0.1", { stream = true, timeout = 0.3 })
    assert.equal(".....", stream:read(5))
    stream = http.get(url "/silent-body", { stream = true, idle_timeout = 0.05 })
    assert.equal("begin", stream:read())
    assert.equal("timeout", failure(stream.read, stream).kind)
  end)

  it("that breaks off gives what came and then the error", function()
    local stream = http.get(url "/fin/50", { stream = true })
    assert.equal(200, stream.status)
    local count = 0
    local err = failure(function()
      for chunk in stream:chunks() do
        count = count + #chunk
      end
    end)
    assert.equal("protocol", err.kind)
    assert.matches("truncated", err.message)
    assert.is_true(count > 0)
  end)

  it("of an error status raises with the server's words", function()
    local err = failure(http.get, url "/status/500", { stream = true })
    assert.equal(500, err.status)
    assert.matches("status 500", err.message)
    assert.matches("late words", failure(http.get, url "/late-error", { stream = true }).message)
    local stream = http.get(url "/status/500", { stream = true, check = false })
    assert.equal('{"message":"status 500"}', stream:read(1000))
  end)

  it("follows redirects", function()
    local stream = http.get(url "/redirect/302?/bytes/10", { stream = true })
    assert.equal(url "/bytes/10", stream.url)
    assert.equal(10, #stream:read(100))
  end)

  it("ends a line that is longer than the limit", function()
    local stream <close> = http.get(url "/endless", { stream = true })
    local err = failure(function()
      for _ in stream:lines() do
        error "a line came"
      end
    end)
    assert.equal("size", err.kind)
  end)

  it("lets one task read at a time, and tells a waiting one when another closes it", function()
    local stream <close> = http.get(url "/tick/3600", { stream = true })
    stream:read()
    ctz.scope(function()
      local reader = ctz.spawn(function()
        return failure(stream.read, stream)
      end)
      ctz.sleep(0)
      assert.equal("usage", failure(stream.read, stream).kind)
      stream:close()
      assert.equal("conflict", reader:await().kind)
    end)
  end)

  it("reads and closes many thousand times at random points", function()
    for i = 1, tonumber(os.getenv "CTZ_CANCELS" or 500) do
      local task = ctz.spawn(function()
        local stream <close> = http.get(url "/bytes/2000000", { stream = true })
        for _ in stream:chunks() do
          ctz.sleep(0)
        end
      end)
      for _ = 1, i % 23 do
        ctz.sleep(0)
      end
      if i % 3 == 0 then
        ctz.sleep(0.001)
      end
      task:cancel()
    end
    assert.equal("hello", http.get(url "/hello").body)
  end)
end)

describe("a request", function()
  it("is cancelled many thousand times at random points without harm", function()
    local paths = { "/hello", "/redirect/302?/hello", "/status/500", "/bytes/100000", "/silent", "/fin/50", "/gzip" }
    for i = 1, tonumber(os.getenv "CTZ_CANCELS" or 500) do
      local task = ctz.spawn(function()
        ctz.try(http.request, url(paths[i % #paths + 1]), { method = i % 2 == 0 and "POST" or "GET", body = "x" })
      end)
      for _ = 1, i % 11 do
        ctz.sleep(0)
      end
      if i % 5 == 0 then
        ctz.sleep(0.001)
      end
      task:cancel()
    end
    assert.equal("hello", http.get(url "/hello").body)
  end)
end)

describe("to", function()
  it("saves the body as a file and tells progress", function()
    local seen = {}
    local path = folder .. "/file"
    local answer = http.get(url "/bytes/3000000", {
      to = path,
      on_progress = function(p)
        ctz.sleep(0) -- it may wait
        seen[#seen + 1] = p
      end,
    })
    assert.equal(path, answer.path)
    assert.is_nil(answer.body)
    assert.equal(3000000, #program.read(path))
    assert.equal(3000000, seen[#seen].received)
    assert.equal(3000000, seen[#seen].total)
    assert.equal("file\n", files())
  end)

  it("leaves the old file and nothing else when the body breaks off or the request is cancelled", function()
    local path = folder .. "/file"
    program.write(path, "old")
    assert.equal("protocol", failure(http.get, url "/fin/90", { to = path }).kind)
    assert.equal("timeout", failure(ctz.timeout, 0.1, http.get, url "/endless", { to = path }).kind)
    assert.equal("not_found", failure(http.get, url "/status/404", { to = path }).kind)
    eventually(function()
      return files() == "file\n"
    end)
    assert.equal("old", program.read(path))
  end)

  it("says which file cannot be written, and keeps the old one", function()
    local err = failure(http.get, url "/hello", { to = "/no/such/file" })
    assert.matches("cannot write /no/such/file: no such file", err.message)
    program.write(folder .. "/file", "old")
    for _, fault in ipairs { "open:1:EMFILE", "write:2:ENOSPC", "fsync:1:EIO", "rename:1:EACCES" } do
      local recipe = ([[
        local ctz = require "ctz"
        local _, err = ctz.try(ctz.http.get, "%s", {to="%s/file"})
        print(err)
      ]]):format(url "/bytes/1000000", folder)
      local result = program.recipe(recipe, nil, { environment = "CTZ_FAIL=" .. fault })
      assert.matches("cannot write " .. folder .. "/file: ", result.out, 1, true)
      assert.equal("old", program.read(folder .. "/file"), fault)
      assert.equal("file\n", files(), fault)
    end
  end)

  it("saves no error answer: with check=false its body is held", function()
    local answer = http.get(url "/status/404", { to = folder .. "/file", check = false })
    assert.equal(404, answer.status)
    assert.matches("status 404", answer.body)
    assert.equal("", files())
  end)
end)

describe("a body made by a function", function()
  local function parts(list)
    return function()
      return table.remove(list, 1)
    end
  end

  it("is sent in chunks, and the function may wait", function()
    local n = 0
    local answer = http.post(url "/echo", {
      body = function()
        ctz.sleep(0.001)
        n = n + 1
        return n <= 3 and ("part " .. n .. ";") or nil
      end,
    })
    assert.matches("\nTransfer-Encoding: chunked\n", answer.body, 1, true)
    assert.matches("\n\npart 1;part 2;part 3;$", answer.body)
  end)

  it("is sent with its length when that is declared", function()
    local body = http.put(url "/echo", { body = parts { "ab", "", "cd" }, length = 4 }).body
    assert.matches("\nContent-Length: 4\n", body, 1, true)
    assert.is_nil(body:find("chunked", 1, true))
    assert.matches("\n\nabcd$", body)
  end)

  it("alone has a declared length", function()
    assert.equal("usage", failure(http.put, url "/echo", { body = "abc", length = 3 }).kind)
  end)

  it("has to be as long as was declared", function()
    assert.matches("longer", failure(http.put, url "/echo", { body = parts { "abc" }, length = 2 }).message)
    assert.matches("1 bytes shorter", failure(http.put, url "/echo", { body = parts { "a" }, length = 2 }).message)
  end)

  it("of 20 MB arrives unchanged, never held as a whole", function()
    local block, left = ("0123456789abcdef"):rep(4096), 320
    local answer = http.put(url "/digest", {
      body = function()
        left = left - 1
        return left >= 0 and block or nil
      end,
    })
    assert.equal(#block * 320 .. " " .. ctz.hash.sha256(block:rep(320)), answer.body)
  end)

  it("that fails ends the request with its error", function()
    local err = failure(http.post, url "/echo", {
      body = function()
        error(ctz.error { kind = "io", message = "the disk is gone" })
      end,
    })
    assert.equal("io", err.kind)
    assert.matches("boom", failure(http.post, url "/echo", { body = function() error "boom" end }))
    assert.equal("usage", failure(http.post, url "/echo", { body = function() return 5 end }).kind)
  end)

  it("is sent on while the answer is read, in both directions as it comes", function()
    local round = 0
    local stream <close> = http.post(url "/duplex", {
      stream = true,
      body = function()
        round = round + 1
        ctz.sleep(0.01)
        return round <= 20 and ("round %d;"):format(round) or nil
      end,
    })
    assert.is_true(round < 20) -- the head came before the body had ended
    for i = 1, 20 do
      assert.equal(("ROUND %d;"):format(i), stream:read(#("round %d;"):format(i)))
    end
    assert.equal("bye", stream:read())
    assert.is_nil(stream:read())
  end)

  it("that fails while the answer is read ends the stream with its error", function()
    for _, reads in ipairs { "read", "chunks", "lines" } do
      local round = 0
      local stream <close> = http.post(url "/duplex", {
        stream = true,
        body = function()
          round = round + 1
          ctz.sleep(0.01)
          if round == 3 then
            error(ctz.error { kind = "io", message = "the disk is gone" })
          end
          return "part"
        end,
      })
      local err = failure(function()
        if reads == "read" then
          while stream:read() do end -- luacheck: ignore 542
        else
          for _ in stream[reads](stream) do end -- luacheck: ignore 542
        end
      end)
      assert.equal("the disk is gone", err.message)
    end
  end)

  it("is not asked further when the stream is closed, or its scope has ended", function()
    local asked = 0
    local function body()
      asked = asked + 1
      ctz.sleep(0.005)
      return "part"
    end
    do
      local stream <close> = http.post(url "/duplex", { stream = true, body = body })
      stream:read()
    end
    local before = asked
    ctz.sleep(0.05)
    assert.is_true(asked <= before + 1)
    local stream = ctz.scope(function()
      return http.post(url "/duplex", { stream = true, body = body })
    end)
    assert.equal("cancelled", failure(function()
      while stream:read() do end -- luacheck: ignore 542
    end).kind)
  end)

  it("is not asked further when the answer comes early", function()
    local block, asked = ("x"):rep(100000), 0
    local err = failure(http.post, url "/early", {
      body = function()
        asked = asked + 1
        return asked < 10000 and block or nil
      end,
    })
    assert.is_true(err.status == 413 or err.kind == "unreachable", tostring(err))
    assert.is_true(asked < 10000)
  end)

  -- Nobody is resumed for that long, so what happens meanwhile comes at once afterwards.
  local function block(seconds)
    local ends = ctz.time.monotonic() + seconds
    while ctz.time.monotonic() < ends do end -- luacheck: ignore 542
  end

  it("that ends at the moment at which the connection breaks has the connection's error", function()
    for _, waits in ipairs { "sleep", "answer" } do
      local path = url "/cut/100/0.12/none/0"
      local err = failure(function()
        ctz.scope(function()
          ctz.spawn(function()
            ctz.sleep(0.02)
            block(0.3)
          end)
          local asked = 0
          http.put(path, { body = function()
            asked = asked + 1
            if asked == 1 then
              return ("x"):rep(100)
            elseif waits == "sleep" then
              ctz.sleep(0.06)
            else
              http.get(url "/sleep/0.06")
            end
          end })
        end)
      end)
      assert.equal("unreachable", err.kind, tostring(err))
      assert.is_true(err.retryable)
    end
  end)

  it("that is answered or cut in its middle has that answer or the connection's error, whenever it comes", function()
    local block_bytes = ("x"):rep(100000)
    for _, kind in ipairs { "none", "half", "500", "403" } do
      for _, size in ipairs { 0, 50000, 900000 } do
        for _, pauses in ipairs { { "0", "0" }, { "0.03", "0" }, { "0", "0.03" } } do
          local asked = 0
          local path = ("/cut/%d/%s/%s/%s"):format(size, pauses[1], kind, pauses[2])
          local err = failure(http.put, url(path), {
            length = 10 * #block_bytes,
            body = function()
              asked = asked + 1
              return asked <= 10 and block_bytes or nil
            end,
          })
          assert.is_true(err.status == tonumber(kind) or err.kind == "unreachable" and err.retryable,
            path .. ": " .. tostring(err))
        end
      end
    end
  end)

  it("tells progress", function()
    local last
    http.put(url "/digest", {
      body = parts { "abc", "def" },
      on_progress = function(p)
        last = p
      end,
    })
    assert.is_true(last.received > 0)
  end)
end)
