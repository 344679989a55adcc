-- cmake --install of the build that runs this spec, tried from the prefix, moved, and through a link.
local host = require "ctz.core.host"
local program = require "tests.lua.support.program"

describe("an installation", function()
  local build = host.program:match "^(.*)/bin/[^/]+$"
  local root, prefix

  setup(function()
    root = program.folder()
    prefix = root .. "/first place"
    local result = program.shell(("cmake --install '%s' --prefix '%s'"):format(build, prefix))
    assert.equal(0, result.code, result.err)
  end)

  teardown(function()
    program.remove(root)
  end)

  -- Uses a room, a module of its own and the documentation.
  local function works(path, folder)
    local line = 'ctz.json.encode{digest = ctz.hash.sha256 ""}'
    local result = program.run({ "eval", line }, { program = path, folder = folder })
    assert.equal("", result.err)
    assert.matches('^{"digest":"e3b0c442', result.out)
    assert.matches("^ctz%.sleep", program.run({ "doc", "ctz.sleep" }, { program = path, folder = folder }).out)
    assert.equal(0, program.run({ "doctor" }, { program = path, folder = folder }).code)
  end

  it("works from its prefix and from any folder", function()
    works(prefix .. "/bin/ctz")
    works(prefix .. "/bin/ctz", "/")
    works("./bin/ctz", prefix)
  end)

  it("works through a symbolic link and from PATH", function()
    assert.is_true(os.execute(("ln -s '%s/bin/ctz' '%s/link'"):format(prefix, root)))
    works(root .. "/link", "/")
    local result = program.shell(("cd / && PATH='%s/bin:/usr/bin:/bin' ctz eval 1+1"):format(prefix))
    assert.equal("2\n", result.out)
  end)

  it("runs a recipe that names it in its first line", function()
    local recipe = program.write(root .. "/recipe", ("#!%s/link run\nprint(#arg)\n"):format(root))
    os.execute("chmod +x " .. recipe)
    assert.equal("1\n", program.shell(recipe .. " word").out)
  end)

  it("works after it was moved", function()
    local moved = root .. "/second"
    assert.is_true(os.execute(("cp -a '%s' '%s' && mv '%s' '%s.gone'"):format(prefix, moved, prefix, prefix)))
    works(moved .. "/bin/ctz", "/")
    assert.is_true(os.execute(("mv '%s.gone' '%s'"):format(prefix, prefix)))
  end)

  it("has a man page for ctz and for each command, which man reads without a warning", function()
    local pages = program.shell(("ls '%s/share/man/man1'"):format(prefix)).out
    local _, count = pages:gsub("\n", "")
    assert.is_true(count >= 12)
    for page in pages:gmatch "[^\n]+" do
      local line = "MANWIDTH=80 man --warnings -l '%s/share/man/man1/%s' | cat"
      local result = program.shell(line:format(prefix, page))
      assert.equal("", result.err, page)
      assert.matches("SYNOPSIS\n +ctz", result.out)
    end
  end)

  it("has types that lua-language-server can read: Lua without errors", function()
    local result = program.shell(("find '%s/share/ctz/meta' -name '*.lua'"):format(prefix))
    local count = 0
    for path in result.out:gmatch "[^\n]+" do
      assert(loadfile(path))
      count = count + 1
    end
    assert.is_true(count >= 3)
  end)

  it("completes in bash", function()
    local script = [[
      source '%s/share/bash-completion/completions/ctz'
      try() { COMP_WORDS=(ctz "$@"); COMP_CWORD=$#; _ctz; echo "${COMPREPLY[*]}"; }
      PATH='%s/bin':$PATH
      cd '%s'; touch deploy.lua other.txt; mkdir folder
      try r; try run --pro; try run --progress = t; try run --progress t; try doc ctz.slee
      try completion ''; try run d; try run f; try --ver; try help che; try --color al; try --quiet ve; try setup f
    ]]
    local result = program.shell(script:format(prefix, prefix, program.folder()))
    assert.equal("", result.err)
    assert.equal([[
run repl
--progress
tty
tty
ctz.sleep
bash zsh fish
deploy.lua
folder
--version
check
always
version
folder
]], (result.out:gsub("repl run", "run repl")))
  end)

  it("completes in fish", function()
    local script = [[
      source '%s/share/fish/vendor_completions.d/ctz.fish'
      complete -C "ctz re"; complete -C "ctz run --pro"
      complete -C "ctz help --format m"; complete -C "ctz completion z"
    ]]
    local result = program.run({ "-N", "-c", script:format(prefix) }, { program = "fish" })
    assert.equal("", result.err)
    assert.matches("^repl\t.*\n%-%-progress\t.*\nman\t.*\nmarkdown\t.*\nzsh\n$", result.out)
  end)

  it("completes in zsh", function()
    -- A zsh on a pseudo terminal; each line is completed, then echoed.
    local script = [[
      zmodload zsh/zpty
      zpty z zsh -f -i
      zpty -w z "PS1='> '; autoload -U compinit && compinit -D -u; \
        source '@P@/share/zsh/site-functions/_ctz'; PATH='@P@/bin':\$PATH; echo rea''dy"
      zpty -r -m z out '*ready*'
      try() {
        zpty -w -n z "$1"$'\t\C-aecho \C-m'
        zpty -r -m z out $'*\n'"$2"'*' && print -r -- "$2"
      }
      try $'ctz vers\t--js' 'ctz version --json'
      try $'ctz run --progr\tpl' 'ctz run --progress=plain'
      try 'ctz doc ctz.slee' 'ctz doc ctz.sleep'
      try 'ctz completion f' 'ctz completion fish'
    ]]
    local path = program.write(root .. "/try.zsh", (script:gsub("@P@", prefix)))
    local result = program.run({ "20", "zsh", "-f", path }, { program = "timeout" })
    assert.equal("ctz version --json\nctz run --progress=plain\nctz doc ctz.sleep\nctz completion fish\n", result.out)
    assert.equal(0, result.code, result.err)
  end)
end)
