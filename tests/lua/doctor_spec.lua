local host = require "ctz.core.host"
local json = require "ctz.json"
local program = require "tests.lua.support.program"

-- Answers /version on a unix socket as an engine does, once.
local ENGINE <const> = [[
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
if len(sys.argv) > 2:
    sys.exit() # the socket file stays, nobody listens
while True: # the first connection only looks whether somebody is there
    client = listener.accept()[0]
    if client.recv(4096):
        body = b'{"Version": "27.1", "ApiVersion": "1.46"}'
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        break
]]

describe("ctz doctor", function()
  local folder

  before_each(function()
    folder = program.folder()
    program.write(folder .. "/engine.py", ENGINE)
  end)

  after_each(function()
    program.remove(folder)
  end)

  local function doctor(socket)
    return program.run({ "doctor", "--json" }, { environment = "DOCKER_HOST=" .. socket })
  end

  local function first_engine(socket)
    return json.decode(doctor(socket).out).engines[1]
  end

  it("shows versions, rooms, limits and tools", function()
    local data = json.decode(program.run({ "doctor", "--json" }).out)
    assert.equal(host.version, data.version)
    assert.matches("^5%.4%.%d+$", data.versions.Lua)
    assert.matches("^%d[%d.]+%w*$", data.versions.OpenSSL)
    assert.equal(#host.limits(), #data.limits)
    for _, room in ipairs(data.rooms) do
      assert.is_true(room.ok, room.problem)
    end
    local text = program.run { "doctor" }
    assert.equal(0, text.code)
    assert.matches("json_depth +1000 +levels", text.out)
    assert.matches("busted +/", text.out)
  end)

  it("asks an engine that is there for its version", function()
    local server = io.popen(("python3 %s/engine.py %s/s"):format(folder, folder))
    assert.equal("ready", server:read "l")
    local engine = first_engine("unix://" .. folder .. "/s")
    server:close()
    assert.is_true(engine.reachable)
    assert.equal("27.1", engine.version)
    assert.equal("1.46", engine.api)
  end)

  it("tells a socket without an engine from no socket", function()
    local server = io.popen(("python3 %s/engine.py %s/s gone"):format(folder, folder))
    server:read "a"
    server:close()
    local gone = first_engine("unix://" .. folder .. "/s")
    assert.is_false(gone.reachable)
    assert.equal("Connection refused", gone.problem)
    assert.matches("start the engine", gone.hint)
    assert.equal("No such file or directory", first_engine("unix://" .. folder .. "/nothing").problem)
  end)

  it("takes a wrong DOCKER_HOST without failing", function()
    for _, value in ipairs { "unix://", "tcp://127.0.0.1:1", "nonsense", "unix:///" .. ("x"):rep(200) } do
      assert.equal(0, doctor(value).code, value)
    end
    assert.equal("File name too long", first_engine("unix:///" .. ("x"):rep(200)).problem)
  end)
end)
