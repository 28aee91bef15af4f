-- Tries each command of the scripts on a key of its own. Returns what the user may not do: names of commands, `~` for
-- the keys, `&` for the channels.
-- KEYS: the key. ARGV: the channel.
local missing, known = {}, {}

local function try(name, ...)
  local answer = redis.pcall(name, ...)
  local said = type(answer) == 'table' and answer.err
  if not said then return end
  said = string.lower(said)
  -- Redis 7.2 and Valkey, and the servers before them.
  if not string.find(said, 'no permissions to', 1, true) and not string.find(said, "executing the script can't", 1, true)
  then return end
  local right = string.lower(name)
  if not string.find(said, "permissions to run", 1, true) and not string.find(said, "can't run", 1, true) then
    right = string.find(said, 'channel', 1, true) and '&' or '~'
  end
  if not known[right] then
    known[right] = true
    missing[#missing + 1] = right
  end
end

try('TIME')
try('HSET', KEYS[1], 'field', '1')
try('HGET', KEYS[1], 'field')
try('HMGET', KEYS[1], 'field')
try('HGETALL', KEYS[1])
try('HDEL', KEYS[1], 'field')
try('ZADD', KEYS[1], '1', 'member')
try('ZCARD', KEYS[1])
try('ZREMRANGEBYSCORE', KEYS[1], '-inf', '+inf')
try('SET', KEYS[1], '', 'EX', '1')
try('GET', KEYS[1])
try('PTTL', KEYS[1])
try('PEXPIRE', KEYS[1], '1')
try('PUBLISH', ARGV[1], '')
return missing
