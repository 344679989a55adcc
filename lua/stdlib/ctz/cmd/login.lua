-- cmd/login.lua: ctz login HOST: who the user is at a registry, tried there and kept by a helper.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local login = require "ctz.registry.login"
local new_error = require("ctz.core.task").error
local process = require "ctz.process"
local secret = require "ctz.secret"
local ui = require "ctz.ui"

local function usage(text, hint)
  error(new_error { kind = "usage", op = "login", message = text, hint = hint, exit_status = 2 }, 0)
end

local function is_terminal()
  return process.run({ "tty", "-s" }, { stdin = "inherit", check = false }).exit_code == 0
end

-- What is typed is not shown until it is closed, also by Ctrl-C.
local function without_echo()
  local modes = process.run({ "stty", "-g" }, { stdin = "inherit" }).stdout:match "^%S+"
  process.run({ "stty", "-echo" }, { stdin = "inherit" })
  return setmetatable({}, {
    __close = function()
      process.run({ "stty", modes }, { stdin = "inherit", check = false })
      io.stderr:write "\n"
    end,
  })
end

local function prompt(text)
  io.stderr:write(text)
  io.stderr:flush()
  return io.read "l" or usage "nothing was typed"
end

local function ask_password(host)
  local hidden <close> = without_echo() -- luacheck: ignore 211
  return prompt(("Password for %s: "):format(ui.clean(host)))
end

local function read_password(host, terminal)
  local text = terminal and ask_password(host) or not terminal and io.read "a" or ""
  text = text:gsub("\r?\n$", "")
  if text == "" then
    usage("there is no password on stdin", "echo $TOKEN | ctz login HOST --username NAME, or a terminal to type it at")
  end
  return secret(text)
end

local function run(options, words)
  local host, terminal = words[1], is_terminal()
  local username = options.username
  if not username and not terminal then
    usage("who logs in is not said", "--username NAME")
  end
  username = username or prompt "Username: "
  if username == "" then
    usage "there is no user without a name"
  end
  login.check_place(host, { plain = options.plain }) -- before anybody types a password for nothing
  local result = login.login(host, {
    username = username, password = read_password(host, terminal), plain = options.plain,
    tls = options["tls-verify"] == "false" and { insecure = true } or nil,
  })
  if options.json then
    print(json.encode(result))
  else
    io.stderr:write(("logged in at %s as %s; kept by %s\n"):format(result.registry, ui.clean(username), result.kept_by))
  end
  return 0
end

return { run = run }
