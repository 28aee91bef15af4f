-- Admits requests of one caller: each takes one from the rate of requests, and, if it generates, one token and a lease.
-- KEYS: the caller's rates, the caller's leases. ARGV: sidecar, life of a lease, channel, caller, requests as a string
-- of `g` (generates) and `p`, the rate of requests, the rate of tokens, max_streams, leases held, leases wanted beside
-- those of the requests.
-- Returns a string with `a`, `r` or `t` for each request (admitted, too many requests, too many tokens), how far the
-- states lie ahead of now, the leases taken, the leases that the sidecar should hold, and whether a rate differs.
local requests, tokens = rate(6), rate(12)
local stored = (requests or tokens) and redis.pcall('HMGET', KEYS[1], 'requests', 'tokens') or {}
if stored.err then return failure(stored) end
local asked = requests and read(stored[1], requests)
local spent = tokens and read(stored[2], tokens)
if (requests and not asked) or (tokens and not spent) then return redis.error_reply(FOREIGN) end

local answers, generating, changed = {}, 0, false
for at = 1, #ARGV[5] do
  local generates = string.sub(ARGV[5], at, at) == 'g'
  local next_asked = asked and add(asked, 1, requests)
  local next_spent = spent and generates and add(spent, 1, tokens)
  local over_requests = next_asked and not fits(next_asked, requests)
  local over_tokens = next_spent and not fits(next_spent, tokens)
  if over_requests and over_tokens then
    -- The longer wait is reported, so that a client does not come back too early.
    over_requests = next_asked[1] - requests.limit >= next_spent[1] - tokens.limit
  end
  if over_requests then
    answers[at] = 'r'
  elseif over_tokens then
    answers[at] = 't'
  else
    answers[at] = 'a'
    if next_asked then asked, changed = next_asked, true end
    if next_spent then spent, changed = next_spent, true end
    if generates then generating = generating + 1 end
  end
end

local taken, goal, tells = 0, -1, false
if ARGV[18] ~= '' and generating + tonumber(ARGV[20]) > 0 then
  taken, goal, tells = lease(
    KEYS[2], ARGV[1], tonumber(ARGV[18]), tonumber(ARGV[19]), generating + tonumber(ARGV[20]), tonumber(ARGV[2]))
  if not taken then return goal end
  if tells then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
end

if changed then
  local latest = now
  if asked then
    redis.call('HSET', KEYS[1], 'requests', written(asked, requests))
    latest = math.max(latest, asked[1])
  end
  if spent then
    redis.call('HSET', KEYS[1], 'tokens', written(spent, tokens))
    latest = math.max(latest, spent[1])
  end
  keep(KEYS[1], latest)
end

local differs = (asked and asked.differs) or (spent and spent.differs)
return {
  table.concat(answers), asked and asked[1] - now or -1, spent and spent[1] - now or -1, taken, goal, differs and 1 or 0,
}
