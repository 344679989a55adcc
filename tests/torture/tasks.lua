-- Scopes, a failing child, a deadline, a defer, a channel: everything ends once and nothing is left.
local ctz = require "ctz"
local deferred, received = 0, 0
local ok, err = pcall(ctz.scope, function()
  ctz.defer(function()
    ctz.sleep(0)
    deferred = deferred + 1
  end)
  local channel = ctz.channel(1)
  ctz.spawn(function()
    for i = 1, 3 do
      channel:send(i)
    end
    channel:close()
  end)
  for _ in channel:each() do
    received = received + 1
  end
  ctz.spawn(function()
    error(ctz.error { kind = "io", message = "meant" })
  end)
  ctz.sleep(5)
end)
assert(not ok)
if err.kind ~= "io" or received ~= 3 or deferred ~= 1 then
  error(err, 0)
end
ok, err = pcall(ctz.timeout, 0.01, function()
  while true do end
end)
if ok or err.kind ~= "timeout" then
  error(err, 0)
end
