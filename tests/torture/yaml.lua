-- One YAML round trip.
local yaml = require "ctz.yaml"
local value = yaml.decode("a: [1, 2.5, three, ~]\nb:\n  - &x {deep: \"no\"}\n  - *x\n")
local again = yaml.decode(yaml.encode(value))
assert(again.b[2].deep == "no" and again.a[1] == 1)
