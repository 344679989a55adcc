std = "lua54"
max_line_length = 120
exclude_files = { "build/", "tests/fixtures/", "lua/meta/" }
files["tests/lua"] = { std = "+busted" }
files["lua/stdlib/ctz/boot.lua"] = { globals = { "load", "loadfile", "dofile", "require" } }
