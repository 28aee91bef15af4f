-- Part of both scripts. The clock is the store's, in microseconds since 1970.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Far enough in the future for every debt, and exact as a double.
local NEVER = 8e15

local function digits(number) return string.format('%.0f', number) end

-- The six values of a rate in ARGV from `at` on: its text, the number in each period, the whole microseconds of one
-- and the rest of the division, and how far the state of a full bucket lies ahead of now.
local function rate(at)
  if ARGV[at] == '' then return nil end
  return {
    text = ARGV[at], count = tonumber(ARGV[at + 1]), whole = tonumber(ARGV[at + 2]), rest = tonumber(ARGV[at + 3]),
    limit = tonumber(ARGV[at + 4]), part = tonumber(ARGV[at + 5]),
  }
end

-- The state of a rate is the time at which its bucket is empty again: whole microseconds, and a part with `count` as
-- its denominator, so that nothing is ever rounded. Returns nil if the value is not ours.
local function read(text, of)
  if not text then return { now, 0 } end
  if type(text) ~= 'string' then return nil end
  local due, part, rate_text = string.match(text, '^(%d+) (%d+) (%S+)$')
  if not due then return nil end
  due, part = tonumber(due), tonumber(part)
  if due > NEVER then return nil end
  local state = { due, part, differs = rate_text ~= of.text }
  if state.differs or part >= of.count then state[2] = 0 end
  if due < now then state[1], state[2] = now, 0 end
  return state
end

local function add(state, count, of)
  local parts = state[2] + count * of.rest
  local due = state[1] + count * of.whole + math.floor(parts / of.count)
  return { math.min(due, NEVER), parts % of.count, differs = state.differs }
end

local function back(state, of)
  local parts, due = state[2] - of.rest, state[1] - of.whole
  if parts < 0 then parts, due = parts + of.count, due - 1 end
  if due < now then due, parts = now, 0 end
  return { due, parts, differs = state.differs }
end

local function fits(state, of)
  local ahead = state[1] - now
  return ahead < of.limit or (ahead == of.limit and state[2] <= of.part)
end

local function written(state, of) return digits(state[1]) .. ' ' .. digits(state[2]) .. ' ' .. of.text end

-- An empty bucket needs no key.
local function keep(key, latest) redis.call('PEXPIRE', key, digits(math.ceil((latest - now) / 1000) + 1)) end

local FOREIGN = 'FOREIGN the key holds a value of another program'

-- The answer to a call that failed: it names a value of another program as such.
local function failure(answer)
  if string.find(answer.err, 'WRONGTYPE', 1, true) then return redis.error_reply(FOREIGN) end
  return answer
end

local function is_foreign(failed) return string.find(failed.err, 'FOREIGN', 1, true) ~= nil end

-- Takes leases of `most` for a sidecar that holds `held` and wants `want` more, and renews them for `life`. A record is
-- the number held, the number wanted, and the end. Returns the number taken; the number that the sidecar should hold
-- because others wait, or -1; and whether leases are free for others that wait. Or nil and the error.
local function lease(key, sidecar, most, held, want, life)
  local records = redis.pcall('HGETALL', key)
  if records.err then return nil, failure(records) end
  local others, waiting, starving, sharers, before = 0, 0, 0, 1, 0
  for at = 1, #records, 2 do
    local count, wanted, ends = string.match(records[at + 1], '^(%d+) (%d+) (%d+)$')
    if not count then return nil, redis.error_reply(FOREIGN) end
    count, wanted = tonumber(count), tonumber(wanted)
    if records[at] == sidecar then
      before = count
    elseif tonumber(ends) <= now then
      redis.call('HDEL', key, records[at])
    else
      others = others + count
      waiting = waiting + wanted
      if wanted > 0 and count == 0 then starving = starving + 1 end
      if count + wanted > 0 then sharers = sharers + 1 end
    end
  end
  local share = math.max(1, math.ceil(most / sharers))
  local taken = math.max(0, math.min(want, most - others - held))
  if waiting > 0 then taken = math.min(taken, math.max(0, share - held)) end
  local after = held + taken
  local free = most - others - after
  local goal = -1
  if waiting > 0 and free <= 0 then
    goal = share
    -- With more sidecars than leases, they take turns. A lease that was just taken is used first.
    if starving > 0 and after <= share and taken == 0 then goal = math.max(0, after - 1) end
  end
  if after == 0 and want == taken then
    redis.call('HDEL', key, sidecar)
  else
    redis.call('HSET', key, sidecar, digits(after) .. ' ' .. digits(want - taken) .. ' ' .. digits(now + life))
    redis.call('PEXPIRE', key, digits(math.ceil(life / 1000)))
  end
  return taken, goal, before > after and waiting > 0 and free > 0
end
