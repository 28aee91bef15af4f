-- Charges tokens, and renews, takes and gives back leases, of any number of callers.
-- KEYS: the sidecars, the last batch of this sidecar, then for each caller its rates and its leases. ARGV: sidecar, life
-- of a lease, channel, batch (0: it charges nothing), time for which a batch is remembered in seconds, then for each
-- caller eleven values: its name, tokens to charge (negative: to give back), the rate of tokens, max_streams (empty: leases
-- stay as they are), leases held, leases wanted.
-- Returns the number of sidecars, whether the batch is new, and for each caller how far the state of its tokens lies
-- ahead of now (-2: its key holds a value of another program, and nothing was charged), the leases taken (-1: their key
-- does), and the leases that the sidecar should hold.
local life = tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], digits(now + life), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', digits(now))
redis.call('PEXPIRE', KEYS[1], digits(math.ceil(life / 1000)))

local batch, is_new = tonumber(ARGV[4]), false
if batch > 0 then
  is_new = batch > tonumber(redis.call('GET', KEYS[2]) or '0')
  if is_new then redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[5]) end
end

local results = { redis.call('ZCARD', KEYS[1]), is_new and 1 or 0 }
local key = 3
for at = 6, #ARGV, 11 do
  local tokens, charge, ahead = rate(at + 2), tonumber(ARGV[at + 1]), -1
  if tokens then
    local stored = redis.pcall('HGET', KEYS[key], 'tokens')
    if type(stored) == 'table' then
      local failed = failure(stored)
      if not is_foreign(failed) then return failed end
    end
    local spent = read(stored, tokens)
    if spent and is_new and charge ~= 0 then
      if charge > 0 then spent = add(spent, charge, tokens) end
      for _ = 1, -charge do spent = back(spent, tokens) end
      redis.call('HSET', KEYS[key], 'tokens', written(spent, tokens))
      local left = redis.call('PTTL', KEYS[key])
      keep(KEYS[key], math.max(spent[1], now + left * 1000))
    end
    ahead = spent and spent[1] - now or -2
  end
  local taken, goal, tells = 0, -1, false
  if ARGV[at + 8] ~= '' then
    taken, goal, tells = lease(
      KEYS[key + 1], ARGV[1], tonumber(ARGV[at + 8]), tonumber(ARGV[at + 9]), tonumber(ARGV[at + 10]), life)
    if not taken then
      if not is_foreign(goal) then return goal end
      taken, goal = -1, -1
    end
    if tells then redis.call('PUBLISH', ARGV[3], ARGV[at]) end
  end
  results[#results + 1] = ahead
  results[#results + 1] = taken
  results[#results + 1] = goal
  key = key + 2
end
return results
