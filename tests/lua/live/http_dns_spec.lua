-- http_dns_spec.lua: name servers that never answer, in a network namespace of its own. Needs root.
local program = require "tests.lua.support.program"

local SETUP <const> = [[
set -e
ip link set lo up
printf 'nameserver 127.0.0.1\noptions %s\n' > resolv.conf
printf '127.0.0.1 localhost known.test\n' > hosts
mount --bind resolv.conf /etc/resolv.conf
mount --bind hosts /etc/hosts
exec 3> >(exec python3 -W ignore '%s/tests/testbed/http_faults.py' .)
python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 53))
open("dns", "w").close()
time.sleep(120)' 3>&- &
dns=$!
trap 'kill $dns; exec 3>&-' EXIT
while ! [ -e dns ] || ! [ -e ports.lua ]; do sleep 0.05; done
%s
]]

-- Under AddressSanitizer the program waits for its pool at the end, so that leaks are seen.
local function patience()
  local sanitized = program.read("/proc/self/maps"):find("libasan", 1, true)
  return sanitized and "timeout:2 attempts:1" or "timeout:30 attempts:5"
end

local function root()
  local pipe <close> = io.popen "id -u"
  return pipe:read "l" == "0"
end

describe("with a name server that never answers #live", function()
  local folder, here

  before_each(function()
    folder = program.folder()
    local pipe <close> = io.popen "pwd"
    here = pipe:read "l"
  end)

  after_each(function()
    program.remove(folder)
  end)

  -- Runs the recipe by `line` ($ctz, $recipe) in a namespace of its own.
  local function run(recipe, line)
    program.write(folder .. "/recipe.lua", 'local ctz = require "ctz"\nlocal ports = dofile "ports.lua"\n' .. recipe)
    local script = SETUP:format(patience(), here, line:gsub("%$ctz", program.path))
    program.write(folder .. "/script", script)
    return program.run({ "-n", "-m", "bash", "script" }, { program = "/usr/bin/unshare", folder = folder })
  end

  it("other requests, known names, hashes and files keep their pace with 32 look-ups hanging", function()
    if not root() then
      return pending "needs root"
    end
    local result = run([[
      local url = ("http://127.0.0.1:%d/hello"):format(ports.http)
      local known = ("http://known.test:%d/hello"):format(ports.http)
      ctz.scope(function(scope)
        for i = 1, 32 do
          ctz.spawn(function() ctz.http.get("http://dead-" .. i .. ".example/") end)
        end
        ctz.sleep(0.3)
        for _ = 1, 50 do
          assert(ctz.http.get(url).body == "hello")
          assert(ctz.http.get(known).body == "hello")
          assert(#ctz.hash.file("recipe.lua") == 64)
        end
        print "kept its pace"
        scope:cancel()
      end)
    ]], "timeout 20 $ctz run recipe.lua; echo exit=$?")
    assert.equal("kept its pace\nexit=0\n", result.out, result.err)
  end)

  it("a timeout says what it waited for", function()
    if not root() then
      return pending "needs root"
    end
    local result = run([[
      for i = 1, 2 do
        local _, err = ctz.try(ctz.http.get, "http://dead-" .. i .. ".example/", {timeout=0.2})
        print(err.kind, err.message)
      end
    ]], "timeout 20 $ctz run recipe.lua; echo exit=$?")
    local first, second = result.out:match "^(.-)\n(.-)\nexit=0\n$"
    assert.matches("^timeout\t.*looking up dead%-1.example%)$", first, result.err)
    assert.matches("^timeout\t.*looking up dead%-2.example; 1 given%-up look%-ups still hang", second, result.err)
  end)

  it("Ctrl-C ends the run at once", function()
    if not root() then
      return pending "needs root"
    end
    local result = run([[
      ctz.defer(function() print "cleaned up" end)
      ctz.scope(function()
        for i = 1, 32 do
          ctz.spawn(function() ctz.http.get("http://dead-" .. i .. ".example/") end)
        end
      end)
    ]], "timeout -s INT -k 15 1 $ctz run recipe.lua || echo exit=$?")
    assert.equal("cleaned up\nexit=124\n", result.out, result.err) -- timeout's word for "it was ended in time"
  end)
end)
