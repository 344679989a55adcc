-- 1,000 programs (true), 32 at once. Arguments: how many, how many at once, "capture" or "null".
local ctz = require "ctz"
local count, jobs, output = tonumber((...)) or 1000, tonumber((select(2, ...))) or 32, select(3, ...) or "capture"

local numbers = {}
for i = 1, count do
  numbers[i] = i
end
local opts = { stdout = output, stderr = output }
ctz.map(numbers, function()
  ctz.process.run({ "true" }, opts)
end, { jobs = jobs })
