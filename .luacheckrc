std = "lua54"
max_line_length = 120
files["lua/stdlib/ctz/boot.lua"] = { globals = { "load", "loadfile", "dofile", "require" } }
files["tests/lua/**"] = { std = "lua54+busted" }
exclude_files = { "build/**", "lua/meta/**" }
