-- The sentences of the runtime on tasks and scopes; docs/architecture.md lists sentence and test.
local ctz = require "ctz"

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

local function io_error(text)
  return ctz.error { kind = "io", message = text }
end

describe("a task", function()
  it("returns what its function returned, to many awaiters, also later", function()
    local task = ctz.spawn(function()
      ctz.sleep(0.002)
      return 1, nil, 3
    end)
    local seen = ctz.map({ 1, 2, 3 }, function()
      return table.pack(task:await())
    end)
    for _, values in ipairs(seen) do
      assert.same({ 1, nil, 3, n = 3 }, values)
    end
    assert.equal(1, (task:await()))
    assert.equal("done", task:status())
  end)

  it("that awaits itself is a usage error", function()
    local err
    ctz.scope(function()
      local task
      task = ctz.spawn(function()
        err = failure(task.await, task)
      end)
    end)
    assert.equal("usage", err.kind)
    assert.matches("would wait for itself", tostring(err))
  end)

  it("that awaits in a circle, or its own parent, is a usage error", function()
    local kinds = {}
    local a, b
    ctz.scope(function()
      a = ctz.spawn(function()
        return b:await()
      end)
      b = ctz.spawn(function()
        kinds[1] = failure(a.await, a).kind
      end)
    end)
    local parent
    parent = ctz.spawn(function()
      ctz.spawn(function()
        kinds[2] = failure(parent.await, parent).kind
      end)
    end)
    parent:await()
    assert.same({ "usage", "usage" }, kinds)
  end)

  it("is never lost: one that nobody awaits still runs to its end and reports its failure", function()
    local ended = false
    local err = failure(ctz.scope, function()
      ctz.spawn(function()
        ctz.sleep(0.002)
        ended = true
        error(io_error "unseen?")
      end)
    end)
    assert.is_true(ended)
    assert.matches("unseen?", tostring(err))
  end)

  it("runs in the order of spawning, after the spawner waits", function()
    local order = {}
    ctz.scope(function()
      for i = 1, 5 do
        ctz.spawn(function()
          order[#order + 1] = i
        end)
      end
      order[#order + 1] = "body"
    end)
    assert.same({ "body", 1, 2, 3, 4, 5 }, order)
  end)

  it("awaited with a timeout goes on when the awaiter gives up", function()
    local task = ctz.spawn(function()
      ctz.sleep(0.01)
      return "late"
    end)
    local err = failure(task.await, task, { timeout = 0.001 })
    assert.equal("timeout", err.kind)
    assert.equal("late", task:await())
  end)

  it("cancelled before it began never calls its function", function()
    local called = false
    local task = ctz.spawn(function()
      called = true
    end)
    task:cancel()
    local err = failure(task.await, task)
    assert.equal("cancelled", err.kind)
    assert.is_false(called)
    assert.equal("cancelled", task:status())
  end)
end)

describe("a scope", function()
  it("waits for its children when its function returns", function()
    local ended = 0
    ctz.scope(function()
      for _ = 1, 10 do
        ctz.spawn(function()
          ctz.sleep(0.002)
          ended = ended + 1
        end)
      end
    end)
    assert.equal(10, ended)
  end)

  it("makes spawn's tasks children of the innermost one", function()
    local inner_ended
    ctz.scope(function()
      ctz.scope(function()
        ctz.spawn(function()
          ctz.sleep(0.002)
          inner_ended = true
        end)
      end)
      assert.is_true(inner_ended)
    end)
  end)

  it("of a failed child cancels the siblings and its own body, then raises the child's error", function()
    local body, sibling
    local err = failure(ctz.scope, function()
      ctz.spawn(function()
        local _, e = pcall(ctz.sleep, 5)
        sibling = e
        error(e)
      end)
      ctz.spawn(function()
        ctz.sleep(0.002)
        error(io_error "child failed")
      end)
      local _, e = pcall(ctz.sleep, 5)
      body = e
      error(e)
    end)
    assert.equal("child failed", err.message)
    assert.equal("cancelled", body.kind)
    assert.equal("child failed", body.cause.message)
    assert.equal("cancelled", sibling.kind)
  end)

  it("keeps later errors in err.others", function()
    local err = failure(ctz.scope, function()
      for i = 1, 3 do
        ctz.spawn(function()
          local _ <close> = setmetatable({}, {
            __close = function()
              if i > 1 then
                error(io_error("clean-up " .. i), 0)
              end
            end,
          })
          ctz.sleep(i == 1 and 0.001 or 5)
          error(io_error "first")
        end)
      end
    end)
    assert.equal("first", err.message)
    assert.equal(2, #err.others)
    assert.matches("clean%-up %d", tostring(err.others[1]))
    assert.matches("also failed %(2%)", tostring(err))
  end)

  it("raises the child's error whether or not somebody awaits the child", function()
    local err = failure(ctz.scope, function()
      local child = ctz.spawn(function()
        error(io_error "awaited and failed")
      end)
      child:await()
    end)
    assert.equal("awaited and failed", err.message)
  end)

  it("goes on when the child handles its own failure with ctz.try", function()
    local results = ctz.map({ 1, 2 }, function(i)
      local value, err = ctz.try(function()
        if i == 1 then
          error(io_error "handled")
        end
        return i
      end)
      return value or err.message
    end)
    assert.same({ "handled", 2 }, results)
  end)

  it("passes plain error values through unchanged", function()
    local marker = setmetatable({}, { __name = "marker" })
    for _, value in ipairs { marker, 42, "text", false } do
      local err = failure(ctz.scope, function()
        ctz.spawn(function()
          error(value, 0)
        end)
      end)
      assert.equal(value, err)
    end
    assert.is_nil(failure(ctz.scope, function()
      ctz.spawn(function()
        error(nil)
      end)
    end))
  end)

  it("cancels background tasks at its end and does not wait for their work", function()
    local cancelled, finished
    ctz.scope(function()
      ctz.spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            cancelled = true
          end,
        })
        ctz.sleep(60)
        finished = true
      end, { background = true })
      ctz.sleep(0.002)
    end)
    assert.is_true(cancelled)
    assert.is_nil(finished)
  end)

  it("that is cancelled by its object ends its tasks", function()
    local err
    ctz.scope(function(scope)
      local task = ctz.spawn(function()
        ctz.sleep(60)
      end)
      scope:cancel()
      err = select(2, pcall(task.await, task))
    end)
    assert.equal("cancelled", err.kind)
  end)

  it("that has ended refuses to spawn", function()
    local kept
    ctz.scope(function(scope)
      kept = scope
    end)
    assert.equal("usage", failure(kept.spawn, kept, print).kind)
  end)
end)

describe("a cancel", function()
  it("raises cancelled at the waiting line and again at each further wait", function()
    local kinds, places = {}, {}
    local task = ctz.spawn(function()
      for i = 1, 3 do
        local _, err = pcall(ctz.sleep, 5)
        kinds[i], places[i] = err.kind, err.at
      end
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.same({ "cancelled", "cancelled", "cancelled" }, kinds)
    assert.matches("tasks_spec.lua:%d+$", places[1])
  end)

  it("lets close handlers wait, after an error and after a normal end of the block", function()
    local closed = {}
    local function guard(name)
      return setmetatable({}, {
        __close = function()
          ctz.sleep(0.002)
          closed[#closed + 1] = name
        end,
      })
    end
    local task = ctz.spawn(function()
      local _ <close> = guard "outer"
      pcall(function()
        local _ <close> = guard "inner"
        ctz.sleep(5)
      end)
      do
        local _ <close> = guard "block"
      end
      ctz.sleep(5)
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.same({ "inner", "block", "outer" }, closed)
  end)

  it("lets a close handler of a vararg function wait", function()
    local closed
    local task = ctz.spawn(function()
      local function vararg(...)
        local _ <close> = setmetatable({ ... }, {
          __close = function()
            ctz.sleep(0.001)
            closed = true
          end,
        })
        ctz.sleep(5)
      end
      vararg(1, 2, 3)
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.is_true(closed)
  end)

  it("runs ctz.defer, the last first, after the children, and they may wait", function()
    local order = {}
    local task = ctz.spawn(function()
      ctz.defer(function()
        ctz.sleep(0.001)
        order[#order + 1] = "first deferred"
      end)
      ctz.defer(function()
        ctz.sleep(0.001)
        order[#order + 1] = "second deferred"
      end)
      ctz.spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            ctz.sleep(0.002)
            order[#order + 1] = "child"
          end,
        })
        ctz.sleep(60)
      end)
      ctz.sleep(60)
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.same({ "child", "second deferred", "first deferred" }, order)
  end)

  it("lets a clean-up use scopes, timeouts and tasks of its own", function()
    local cleaned
    local task = ctz.spawn(function()
      ctz.defer(function()
        cleaned = ctz.map({ 1, 2, 3 }, function(i)
          return ctz.timeout(1, function()
            ctz.sleep(0.001)
            return i * 10
          end)
        end)
      end)
      ctz.sleep(60)
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.same({ 10, 20, 30 }, cleaned)
  end)

  it("does not reach into a clean-up that has begun", function()
    local cleaned
    ctz.scope(function(scope)
      local task = ctz.spawn(function()
        local _ <close> = setmetatable({}, {
          __close = function()
            cleaned = ctz.map({ 1, 2 }, function(i)
              ctz.sleep(0.01)
              return i
            end)
          end,
        })
      end)
      ctz.sleep(0.003)
      task:cancel()
      scope:cancel()
    end)
    assert.same({ 1, 2 }, cleaned)
  end)

  it("does not lose an error of the clean-up", function()
    local err = failure(ctz.scope, function()
      local task = ctz.spawn(function()
        ctz.defer(function()
          error(io_error "cannot remove")
        end)
        ctz.sleep(60)
      end)
      ctz.sleep(0.001)
      task:cancel()
      ctz.sleep(60)
    end)
    assert.equal("cannot remove", err.message)
  end)

  it("is not swallowed for ever by a loop of pcall", function()
    local rounds = 0
    local err = failure(ctz.timeout, 0.01, function()
      while true do
        rounds = rounds + 1
        pcall(ctz.sleep, 1)
      end
    end)
    assert.equal("timeout", err.kind)
    assert.is_true(rounds > 1)
  end)

  it("at ten thousand random points loses no task and calls every close handler", function()
    math.randomseed(20240607)
    local opened, closed = 0, 0
    for _ = 1, 100 do
      ctz.scope(function()
        local tasks = {}
        for i = 1, 100 do
          tasks[i] = ctz.spawn(function()
            opened = opened + 1
            local _ <close> = setmetatable({}, {
              __close = function()
                if i % 3 == 0 then
                  ctz.sleep(0)
                end
                closed = closed + 1
              end,
            })
            local channel = ctz.channel(i % 2)
            ctz.scope(function()
              ctz.spawn(function()
                for n = 1, 3 do
                  channel:send(n)
                end
                channel:close()
              end)
              for _ in channel:each() do
                ctz.sleep(0)
              end
            end)
            ctz.sleep(0.0001 * math.random(0, 3))
          end)
        end
        for _ = 1, math.random(0, 12) do
          ctz.sleep(0)
        end
        for _ = 1, 100 do
          tasks[math.random(100)]:cancel()
        end
      end)
    end
    assert.equal(opened, closed)
  end)
end)

describe("a deadline", function()
  it("raises timeout at the waiting line of its own task and cancelled in its children", function()
    local child
    local err = failure(ctz.timeout, 0.3, function()
      ctz.spawn(function()
        local _, e = pcall(ctz.sleep, 60)
        child = e
        error(e)
      end)
      ctz.sleep(60)
    end)
    assert.equal("timeout", err.kind)
    assert.matches("sleep: the deadline of 0.3 s passed", tostring(err))
    assert.equal("cancelled", child.kind)
    assert.matches("deadline", child.message)
  end)

  it("is inherited: an inner one can only shorten it", function()
    local err = failure(ctz.timeout, 0.005, function()
      ctz.timeout(60, ctz.sleep, 60)
    end)
    assert.equal("timeout", err.kind)
    ctz.timeout(1, function()
      assert.is_true(ctz.remaining() <= 1)
      ctz.timeout(60, function()
        assert.is_true(ctz.remaining() <= 1)
      end)
    end)
  end)

  it("that a pcall swallowed is raised by ctz.timeout all the same", function()
    local err = failure(ctz.timeout, 0.002, function()
      pcall(ctz.sleep, 5)
      return "fine"
    end)
    assert.equal("timeout", err.kind)
  end)

  it("that is met leaves results alone and no timer behind", function()
    assert.same({ 1, 2 }, { ctz.timeout(60, function(...)
      return ...
    end, 1, 2) })
    assert.equal(math.huge, ctz.timeout(math.huge, function()
      return math.huge
    end))
  end)

  it("leaves a clean-up its own budget", function()
    local cleaned
    pcall(ctz.timeout, 0.002, function()
      ctz.defer(function()
        ctz.sleep(0.02)
        cleaned = true
      end)
      ctz.sleep(5)
    end)
    assert.is_true(cleaned)
  end)

  it("interrupts a Lua loop that never waits, also inside pcall and coroutine.wrap", function()
    local loops = {
      function()
        while true do end
      end,
      function()
        while true do
          pcall(function()
            while true do end
          end)
        end
      end,
      function()
        coroutine.wrap(function()
          while true do
            pcall(function()
              while true do end
            end)
          end
        end)()
      end,
      function()
        local co = coroutine.create(function()
          while true do end
        end)
        while true do
          coroutine.resume(co)
        end
      end,
      function()
        pcall(ctz.sleep, 5)
        while true do end
      end,
    }
    for _, loop in ipairs(loops) do
      assert.equal("timeout", failure(ctz.timeout, 0.01, loop).kind)
    end
    assert.is_nil(debug.gethook())
  end)

  it("lets the clean-up of an interrupted loop wait", function()
    local closed
    local err = failure(ctz.timeout, 0.01, function()
      local _ <close> = setmetatable({}, {
        __close = function()
          ctz.sleep(0.001)
          for _ = 1, 100000 do
          end
          closed = true
        end,
      })
      while true do end
    end)
    assert.equal("timeout", err.kind)
    assert.is_true(closed)
  end)

  it("is kept in normal running without any hook", function()
    ctz.timeout(60, function()
      assert.is_nil(debug.gethook())
      ctz.sleep(0)
      assert.is_nil(debug.gethook())
    end)
  end)
end)

describe("waiting", function()
  it("in a callback of C code is an error that says what to do", function()
    local err = failure(table.sort, { 3, 1, 2 }, function(a, b)
      ctz.sleep(0)
      return a < b
    end)
    assert.equal("usage", err.kind)
    assert.matches("cannot wait in a callback of C code", err.message)
    assert.matches("tasks_spec.lua:%d+", err.at)
    assert.equal("usage", failure(string.gsub, "x", ".", function()
      ctz.sleep(0)
    end).kind)
    assert.equal("usage", failure(tostring, setmetatable({}, {
      __tostring = function()
        ctz.sleep(0)
      end,
    })).kind)
    local _, handled = xpcall(error, function()
      return select(2, pcall(ctz.sleep, 0))
    end, "x")
    assert.equal("usage", handled.kind)
  end)

  it("works in operators, iterators, pcall and __index", function()
    local object = setmetatable({}, {
      __add = function()
        ctz.sleep(0)
        return "sum"
      end,
      __index = function()
        ctz.sleep(0)
        return "field"
      end,
    })
    assert.equal("sum", object + 1)
    assert.equal("field", object.any)
    local count = 0
    for _ in
      function()
        ctz.sleep(0)
        count = count + 1
        return count < 3 or nil
      end
    do
    end
    assert.equal(3, count)
    assert.is_true(pcall(ctz.sleep, 0))
  end)

  it("works inside coroutines of the recipe, nested ones too", function()
    local function generator(n)
      return coroutine.wrap(function()
        for i = 1, n do
          ctz.sleep(0.0005)
          coroutine.yield(i)
        end
      end)
    end
    local outer = coroutine.create(function()
      local sum = 0
      for i in generator(3) do
        ctz.sleep(0)
        sum = sum + i
        coroutine.yield(sum)
      end
      return "end"
    end)
    local seen = {}
    while true do
      local ok, value = coroutine.resume(outer)
      assert.is_true(ok)
      seen[#seen + 1] = value
      if coroutine.status(outer) == "dead" then
        break
      end
    end
    assert.same({ 1, 3, 6, "end" }, seen)
  end)

  it("in a coroutine whose resumer cannot wait is an error", function()
    local co = coroutine.wrap(function()
      ctz.sleep(0)
    end)
    local err = failure(table.sort, { 2, 1 }, function(a, b)
      co()
      return a < b
    end)
    assert.matches("cannot wait in a coroutine whose resumer", tostring(err))
  end)

  it("coroutine cannot be resumed by another task meanwhile", function()
    local co = coroutine.create(function()
      ctz.sleep(0.005)
      return "done"
    end)
    local task = ctz.spawn(function()
      return coroutine.resume(co)
    end)
    ctz.sleep(0.001)
    assert.equal("normal", coroutine.status(co))
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("cannot resume non%-suspended coroutine", message)
    assert.same({ true, "done" }, { task:await() })
  end)

  it("scope left open by coroutine.yield is an error", function()
    local co = coroutine.create(function()
      ctz.scope(function()
        coroutine.yield()
      end)
    end)
    local ok, message = coroutine.resume(co)
    assert.is_false(ok)
    assert.matches("out of an open ctz.scope", message)
  end)

  it("keeps the coroutine library's own behaviour", function()
    local co = coroutine.create(function(...)
      local x = coroutine.yield(...)
      error("failed " .. x)
    end)
    assert.same({ true, 1, 2 }, { coroutine.resume(co, 1, 2) })
    assert.equal("suspended", coroutine.status(co))
    local ok, message = coroutine.resume(co, "now")
    assert.is_false(ok)
    assert.matches("failed now", message)
    assert.equal("dead", coroutine.status(co))
    assert.is_true(select(2, coroutine.running()))
    assert.is_false(coroutine.isyieldable())
    coroutine.wrap(function()
      assert.is_true(coroutine.isyieldable())
      assert.is_false(select(2, coroutine.running()))
    end)()
    local fresh = coroutine.create(print)
    assert.is_true(coroutine.close(fresh))
  end)
end)

describe("ctz.map", function()
  it("keeps the order, bounds the jobs and collects on request", function()
    local now, most = 0, 0
    local results = ctz.map({ 5, 4, 3, 2, 1 }, function(n)
      now = now + 1
      most = math.max(most, now)
      ctz.sleep(n * 0.0005)
      now = now - 1
      return n * n
    end, { jobs = 2 })
    assert.same({ 25, 16, 9, 4, 1 }, results)
    assert.equal(2, most)
    local collected = ctz.map({ 1, 2 }, function(n)
      if n == 1 then
        error(io_error "one")
      end
      return n
    end, { collect = true })
    assert.is_false(collected[1].ok)
    assert.equal("one", collected[1].err.message)
    assert.same({ ok = true, value = 2 }, collected[2])
    assert.same({}, ctz.map({}, print))
  end)

  it("refuses unknown options", function()
    assert.matches("unknown option 'job' to 'map'", tostring(failure(ctz.map, {}, print, { job = 1 })))
  end)
end)

describe("ctz.race", function()
  it("returns the first results and cancels the rest", function()
    local cancelled
    local value = ctz.race {
      function()
        local _ <close> = setmetatable({}, {
          __close = function()
            cancelled = true
          end,
        })
        ctz.sleep(60)
      end,
      function()
        return "won"
      end,
    }
    assert.equal("won", value)
    assert.is_true(cancelled)
    assert.equal("lost", failure(ctz.race, {
      function()
        error("lost", 0)
      end,
      function()
        ctz.sleep(60)
      end,
    }))
  end)
end)

describe("ctz.retry", function()
  it("repeats retryable errors only and counts the attempts", function()
    local calls = 0
    local err = failure(ctz.retry, function()
      calls = calls + 1
      error(ctz.error { kind = "unreachable", message = "down", retryable = true })
    end, { times = 3, backoff = { 0.0001, 0.001 } })
    assert.equal(3, calls)
    assert.equal(3, err.attempts)
    calls = 0
    pcall(ctz.retry, function()
      calls = calls + 1
      error(io_error "no")
    end)
    assert.equal(1, calls)
  end)

  it("raises at once when the server asks to wait past the deadline", function()
    local err = failure(ctz.timeout, 1, function()
      ctz.retry(function()
        error(ctz.error { kind = "rate_limited", message = "later", retryable = true, retry_after = 3600 })
      end)
    end)
    assert.equal("rate_limited", err.kind)
  end)

  it("does not repeat a cancel", function()
    local calls = 0
    local task = ctz.spawn(function()
      ctz.retry(function()
        calls = calls + 1
        ctz.sleep(60)
      end, { on = { "cancelled" } })
    end)
    ctz.sleep(0.001)
    task:cancel()
    pcall(task.await, task)
    assert.equal(1, calls)
  end)
end)

describe("a channel", function()
  it("hands values over in order between many tasks", function()
    local channel, sum = ctz.channel(3), 0
    ctz.scope(function()
      ctz.spawn(function()
        ctz.map({ 1, 2, 3, 4 }, function(base)
          for i = 1, 25 do
            channel:send(base * 100 + i)
          end
        end)
        channel:close()
      end)
      for _ = 1, 3 do
        ctz.spawn(function()
          for value in channel:each() do
            sum = sum + value
            ctz.sleep(0)
          end
        end)
      end
    end)
    assert.equal(25 * 1000 + 4 * 325, sum)
  end)

  it("without a buffer makes send wait for the receiver", function()
    local channel, sent = ctz.channel(), false
    ctz.scope(function()
      ctz.spawn(function()
        channel:send("x")
        sent = true
      end)
      ctz.sleep(0.001)
      assert.is_false(sent)
      assert.equal("x", channel:receive())
    end)
    assert.is_true(sent)
  end)

  it("without a buffer takes nothing in advance", function()
    local channel = ctz.channel()
    local senders = {}
    for i = 1, 2 do
      senders[i] = ctz.spawn(function()
        channel:send(i)
      end)
    end
    ctz.sleep(0.001)
    assert.equal(1, channel:receive())
    ctz.sleep(0.001)
    assert.equal("done", senders[1]:status())
    assert.equal("waiting", senders[2]:status())
    assert.equal(2, channel:receive())
  end)

  it("loses nothing when a receiver or a sender is cancelled", function()
    local channel = ctz.channel()
    local receiver = ctz.spawn(function()
      channel:receive()
    end)
    ctz.sleep(0)
    receiver:cancel()
    local sender = ctz.spawn(function()
      channel:send("a")
    end)
    local other = ctz.spawn(function()
      channel:send("b")
    end)
    ctz.sleep(0.001)
    sender:cancel()
    assert.equal("b", channel:receive({ timeout = 1 }))
    assert.is_true(other:await() == nil)
    assert.equal("cancelled", sender:status())
  end)

  it("that is closed ends receivers and refuses senders", function()
    local channel = ctz.channel()
    local waiting = ctz.spawn(function()
      return channel:receive()
    end)
    ctz.sleep(0.001)
    channel:close()
    assert.is_nil(waiting:await())
    assert.equal("conflict", failure(channel.send, channel, 1).kind)
    assert.equal("usage", failure(channel.send, channel, nil).kind)
  end)

  it("gives up after its timeout", function()
    local channel = ctz.channel()
    assert.equal("timeout", failure(channel.receive, channel, { timeout = 0.001 }).kind)
    assert.equal("timeout", failure(channel.send, channel, 1, { timeout = 0.001 }).kind)
    assert.equal(0, #channel)
  end)
end)

describe("a semaphore", function()
  it("lets so many in at once and gives permits back on error and cancel", function()
    local semaphore, inside, most = ctz.semaphore(2), 0, 0
    ctz.map({ 1, 2, 3, 4, 5, 6 }, function(i)
      pcall(function()
        local _ <close> = semaphore:acquire()
        inside = inside + 1
        most = math.max(most, inside)
        ctz.sleep(0.001)
        inside = inside - 1
        assert(i ~= 3)
      end)
    end)
    assert.equal(2, most)
    local permit = semaphore:acquire()
    assert.is_true(permit:release() and permit:release())
  end)
end)
