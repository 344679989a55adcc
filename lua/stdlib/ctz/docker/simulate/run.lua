-- docker/simulate/run.lua: which program a word names in a container, and what it is given.
-- SPDX-License-Identifier: MIT
local processes = require "ctz.docker.simulate.process"
local programs = require("ctz.docker.simulate.programs").programs
local shell = require "ctz.docker.simulate.shell"
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local ipairs, math, pairs, type = ipairs, math, pairs, type
local sort = table.sort

local SHELLS <const> = { sh = shell, ash = shell, bash = shell }

-- What a real busybox has and ours does not: no word of them is "not found".
local REAL <const> = {}
for name in
  ([[
  arp ash awk base64 bc blkid brctl bunzip2 bzip2 cal chgrp chmod chown chroot cksum clear cmp comm cpio crond cut dc
  dd df diff dmesg dnsdomainname dos2unix du ed egrep expand expr factor fallocate fdisk fgrep find fold free fsync
  ftpget fuser getopt groups gunzip gzip hexdump hostid hwclock ifconfig install ionice ip ipcalc kill killall less
  link ln logger login logname lsof lsmod lzma md5sum mdev mesg mkfifo mknod mkswap mktemp more mount mountpoint
  netstat nice nl nohup nproc nslookup od paste patch pgrep pidof ping pkill pmap ps pwdx readlink realpath renice
  reset rev rmdir route run-parts sed setsid sha1sum sha256sum sha512sum shred shuf split stat strings su sum sync
  sysctl syslogd tac tar taskset telnet tftp time timeout top traceroute truncate tty uncompress unexpand uniq
  unix2dos unlink unlzma unshare unxz unzip uptime users usleep uudecode uuencode vi vlock w watch wget which who
  xargs xxd xz zcat
]]):gmatch "%S+"
do
  REAL[name] = true
end

local run = {}

-- program, is_given: the function, and whether it was given by a test. nil: the image has none such.
function run.find_program(container, word)
  local name = word:match "[^/]+$" or word
  local given = container.image.programs[name] or (container.engine.settings.programs or {})[name]
  if given then
    return given, true
  end
  local found = SHELLS[name] or programs[name]
  if found then
    return found
  elseif container.image.is_known and not REAL[name] then
    return nil
  end
  return unsupported(("the program %q of the image %s"):format(word, container.config.Image))
end

-- Why a program cannot be run, as runc says it.
function run.missing_words(word)
  if word:find("/", 1, true) then
    return ("stat %s: no such file or directory"):format(word)
  end
  return "executable file not found in $PATH"
end

local function environment(container, extra)
  local env = {
    HOSTNAME = container.config.Hostname,
    HOME = "/root",
    TERM = container.config.Tty and "xterm" or nil,
  }
  for _, list in ipairs { container.config.Env, type(extra) == "table" and extra or {} } do
    for _, entry in ipairs(list) do
      local name, value = entry:match "^([^=]*)=(.*)$"
      if name then
        env[name] = value
      end
    end
  end
  return env
end

local function exposed(container)
  local ports = {}
  for name in pairs(container.config.ExposedPorts or {}) do
    ports[#ports + 1] = math.tointeger(name:match "^%d+")
  end
  sort(ports)
  return ports
end

-- The descriptors 0, 1 and 2; with a terminal they know of it.
function run.descriptors(stdin, write, tty, size)
  local fds = {
    [0] = processes.reader(stdin),
    processes.writer(function(bytes)
      return write("stdout", bytes)
    end),
    processes.writer(function(bytes)
      return write("stderr", bytes)
    end),
  }
  if tty then
    for number = 0, 2 do
      fds[number].is_terminal, fds[number].size = true, size
    end
  end
  return fds
end

-- What processes.new takes. fields: program, argv, stdin, write, is_first, on_end; env, cwd, user, tty, size
function run.spec(container, fields)
  local config = container.config
  local tty = fields.tty
  if tty == nil then
    tty = config.Tty
  end
  container.size = container.size or { rows = 0, columns = 0 }
  local cwd = fields.cwd or config.WorkingDir
  cwd = cwd ~= "" and cwd or "/"
  if container.files:get(cwd) == nil then
    container.files:put(cwd, true)
  end
  return {
    kernel = container.engine.kernel,
    program = fields.program,
    argv = fields.argv,
    fds = run.descriptors(fields.stdin, fields.write, tty, fields.size or container.size),
    env = environment(container, fields.env),
    cwd = cwd,
    user = fields.user or config.User,
    files = container.files,
    is_first = fields.is_first,
    container = {
      id = container.id,
      name = container.name,
      image = config.Image,
      hostname = config.Hostname,
      labels = config.Labels,
      ports = exposed(container),
      find_program = function(word)
        return (run.find_program(container, word))
      end,
    },
    is_frozen = function()
      return container.state.paused
    end,
    on_end = fields.on_end,
    on_unsupported = function(err)
      container.failure = container.failure or err
    end,
  }
end

return run
