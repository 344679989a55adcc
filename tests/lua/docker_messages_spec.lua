-- docker_messages_spec.lua: the JSON messages of pull, push, build, load and import.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local messages = require "ctz.docker.messages"
local progress = require "ctz.docker.progress"

local ABOUT <const> = { op = "docker.images.pull", target = "image web:1" }

-- A client whose stream gives these chunks and then, when there is one, raises the error.
local function stub(chunks, err)
  local at = 0
  local stream = {
    read = function()
      at = at + 1
      if chunks[at] == nil and err then
        error(err, 0)
      end
      return chunks[at]
    end,
    close = function(self)
      self.closed = true
      return true
    end,
  }
  local client = {
    failure = function(_, raised)
      return raised
    end,
  }
  return client, stream
end

local function cut(text, size)
  local chunks = {}
  for at = 1, #text, size do
    chunks[#chunks + 1] = text:sub(at, at + size - 1)
  end
  return chunks
end

local function read_all(chunks, err)
  local client, stream = stub(chunks, err)
  local texts = {}
  for _, text in messages(client, stream, ABOUT) do
    texts[#texts + 1] = text
  end
  assert.is_true(stream.closed)
  return texts
end

local OBJECTS <const> = {
  [[{"status":"Pulling from library/alpine","id":"3"}]],
  [[{"status":"a \"quoted\" word, a } and a {, a back\\slash","id":"ü"}]],
  [[{"aux":{"ID":"sha256:1","deep":[{"a":{}}]}}]],
  '{\n  "status": "pretty",\n  "n": 9007199254740993\n}',
  [[{}]],
  [[{"x":"\\"}]],
  [[{"x":"\\\""}]],
}

describe("the messages of an engine", function()
  for name, text in pairs {
    ["with CRLF"] = table.concat(OBJECTS, "\r\n") .. "\r\n",
    ["with LF"] = table.concat(OBJECTS, "\n") .. "\n",
    ["with nothing between"] = table.concat(OBJECTS),
    ["as json-seq"] = "\30" .. table.concat(OBJECTS, "\n\30") .. "\n",
    ["with blank lines"] = "\n\r\n  " .. table.concat(OBJECTS, "\r\n\r\n"),
  } do
    it("are the same " .. name .. ", cut anywhere", function()
      for size = 1, #text do
        assert.same(OBJECTS, read_all(cut(text, size)))
      end
      for at = 1, #text - 1 do
        assert.same(OBJECTS, read_all { text:sub(1, at), text:sub(at + 1) })
      end
    end)
  end

  it("keep integers exact", function()
    local client, stream = stub { OBJECTS[4] }
    for message in messages(client, stream, ABOUT) do
      assert.equal(9007199254740993, message.n)
    end
  end)

  it("may be none", function()
    assert.same({}, read_all {})
    assert.same({}, read_all { "\r\n" })
  end)

  it("are refused when one is longer than the limit, wherever it is cut", function()
    local long = '{"status":"' .. ("x"):rep(10 << 20) .. '"}'
    for _, chunks in ipairs { { long }, cut(long, 65536) } do
      local err = select(2, pcall(read_all, chunks))
      assert.equal("size", err.kind)
      assert.equal("a message of the engine is longer than 8388608 bytes", err.message)
      assert.equal("docker.images.pull", err.op)
      assert.equal("image web:1", err.target)
    end
  end)

  it("end early when the stream ends within one", function()
    local text = OBJECTS[2]
    for at = 1, #text - 1 do
      local err = select(2, pcall(read_all, { text:sub(1, at) }))
      assert.equal("protocol", err.kind)
      assert.equal("the engine's answer ends in the middle of a message", err.message)
    end
  end)

  it("are told from other text", function()
    local err = select(2, pcall(read_all, { OBJECTS[1], "\n502 Bad Gateway\n" }))
    assert.equal("protocol", err.kind)
    assert.equal('the engine sent something else than messages: "502 Bad Gateway"', err.message)
    err = select(2, pcall(read_all, { '{"a":1,}' }))
    assert.equal("protocol", err.kind)
    assert.matches("^a message of the engine is not JSON: ", err.message)
  end)

  it("raise what broke the stream", function()
    local broken = ctz.error { kind = "unreachable", message = "the connection broke" }
    local err = select(2, pcall(read_all, { OBJECTS[1] }, broken))
    assert.equal(broken, err)
  end)

  it("close the stream when the loop is left", function()
    local client, stream = stub { table.concat(OBJECTS) }
    for _ in messages(client, stream, ABOUT) do -- luacheck: ignore 512
      break
    end
    assert.is_true(stream.closed)
  end)
end)

local function events_of(text)
  local client, stream = stub { text }
  local list = {}
  for event in progress.events(client, stream, ABOUT) do
    list[#list + 1] = event
  end
  return list
end

describe("the events of a pull or a build", function()
  it("have id, status, current and total", function()
    local event = events_of [[{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"ab"}]][1]
    assert.equal("Downloading", event.status)
    assert.equal("ab", event.id)
    assert.equal(5, event.current)
    assert.equal(10, event.total)
    assert.equal(5, event.raw.progressDetail.current)
  end)

  it("have none of what is null or of another type", function()
    local event = events_of [[{"status":null,"id":null,"progressDetail":null,"stream":null,"aux":null,"error":null}]][1]
    event.raw = nil
    assert.same({}, event)
    assert.is_nil(events_of([[{"progressDetail":{"current":-1,"total":1e300}}]])[1].current)
  end)

  it("take an attachment as a table or as bytes", function()
    local list = events_of [[{"id":"moby.image.id","aux":{"ID":"sha256:1"}}{"id":"moby.buildkit.trace","aux":"AP8="}]]
    assert.same({ ID = "sha256:1" }, list[1].aux)
    assert.equal("\0\255", list[2].aux)
  end)

  it("raise a failure with the engine's words, errorDetail before error", function()
    local function fail_of(text)
      return select(2, pcall(events_of, '{"status":"a"}' .. text))
    end
    local err = fail_of [[{"errorDetail":{"code":3,"message":"no space left on device\n"},"error":"old words"}]]
    assert.equal("io", err.kind)
    assert.equal("image web:1: no space left on device", err.message)
    assert.equal(3, err.detail.code)
    assert.equal("docker.images.pull", err.op)
    assert.is_true(err:is "container")
    err = fail_of [[{"error":"manifest unknown"}]]
    assert.equal("not_found", err.kind)
    assert.matches("it gives no reason", fail_of([[{"errorDetail":{}}]]).message)
  end)
end)

describe("the sum of a pull", function()
  local function sum(text)
    local tally, sums = progress.new_tally(), {}
    for _, event in ipairs(events_of(text)) do
      tally:add(event)
      sums[#sums + 1] = tally.current .. "/" .. tally.total
    end
    return sums
  end

  it("is that of all layers, each counted once", function()
    assert.same({ "0/0", "5/10", "6/110", "11/110", "11/110", "10/110", "110/110", "110/110" }, sum [[
      {"status":"Pulling fs layer","id":"a"}
      {"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"a"}
      {"status":"Downloading","progressDetail":{"current":1,"total":100},"id":"b"}
      {"status":"Verifying Checksum","id":"a"}
      {"status":"Downloading","progressDetail":{"current":1,"total":100},"id":"b"}
      {"status":"Downloading","progressDetail":{"current":0,"total":100},"id":"b"}
      {"status":"Download complete","id":"b"}
      {"status":"Extracting","progressDetail":{"current":7,"total":10},"id":"a"}]])
  end)

  it("never passes its total, and leaves out what is no size", function()
    assert.same({ "20/20", "20/20", "20/20" }, sum [[
      {"status":"Pushing","progressDetail":{"current":20},"id":"a"}
      {"status":"Extracting","progressDetail":{"current":3,"units":"s"},"id":"a"}
      {"status":"Downloading","progressDetail":{"current":3,"total":9,"units":"s"},"id":"b"}]])
  end)
end)

describe("following a pull", function()
  it("gives each event with the sum to on_progress", function()
    local client, stream = stub { [[{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"a"}]] }
    local got
    progress.follow(client, stream, { op = "docker.images.pull", title = "pull a", on_progress = function(event)
      got = event
    end })
    assert.equal(5, got.sum_current)
    assert.equal(10, got.sum_total)
    assert.is_true(stream.closed)
  end)

  it("closes the stream when on_progress fails", function()
    local client, stream = stub { [[{"status":"a"}]] }
    assert.has_error(function()
      progress.follow(client, stream, { on_progress = function()
        error("mine", 0)
      end })
    end, "mine")
    assert.is_true(stream.closed)
  end)
end)
