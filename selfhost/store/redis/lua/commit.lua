-- Applies one commit.
-- KEYS: meta, rows, row keys, outbox
-- ARGV: token, number before, number, time, alarm ("=" keep, "" none), host ("=" keep, "-" none, "+" next
--       argument), host bytes, then counts of spans, deletes, puts, outbox rows added and removed, then
--       those: 2, 1, 2, 1, 2 arguments each.
-- Answer: {"ok"}, {"ok", outbox rows} if the outbox changed, {"again", outbox rows} if it was applied
--         before, {"owner", owner} or {"number", number} if it does not fit.
local meta, rows, keys, box = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local have = redis.call('HMGET', meta, 'o', 'n')
if have[1] ~= ARGV[1] then
  return {'owner', have[1] or ''}
end
local number = have[2] or '0'
if tonumber(number) >= tonumber(ARGV[3]) then
  return {'again', redis.call('ZCARD', box)} -- by this token, and those behind it: their answers were lost
end
if number ~= ARGV[2] then
  return {'number', number}
end
local spans, deletes, puts = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local added, removed = tonumber(ARGV[11]), tonumber(ARGV[12])

-- Whether writing is possible at all (memory, disk, replicas, being the master), Redis asks before the
-- first writing command and not after it: a commit applies as a whole or not at all. A full Redis
-- refuses HSET and lets HDEL pass, so what only makes room begins with one.
if puts == 0 and added == 0 and ARGV[6] ~= '+' and spans + deletes + removed > 0 then
  redis.call('HDEL', meta, '')
end
redis.call('HSET', meta, 'n', ARGV[3], 't', ARGV[4])
if ARGV[5] == '' then
  redis.call('HDEL', meta, 'a')
elseif ARGV[5] ~= '=' then
  redis.call('HSET', meta, 'a', ARGV[5])
end
if ARGV[6] == '+' then
  redis.call('HSET', meta, 'h', ARGV[7])
elseif ARGV[6] == '-' then
  redis.call('HDEL', meta, 'h')
end

local at = 13
for _ = 1, spans do
  local found
  repeat
    found = redis.call('ZRANGEBYLEX', keys, ARGV[at], ARGV[at + 1], 'LIMIT', 0, 500)
    if #found > 0 then
      redis.call('HDEL', rows, unpack(found))
      redis.call('ZREM', keys, unpack(found))
    end
  until #found < 500
  at = at + 2
end
local to = at + deletes
while at < to do
  local last = math.min(at + 500, to) - 1
  if redis.call('HDEL', rows, unpack(ARGV, at, last)) > 0 then
    redis.call('ZREM', keys, unpack(ARGV, at, last))
  end
  at = last + 1
end
to = at + 2 * puts
while at < to do
  local last = math.min(at + 500, to) - 1
  if redis.call('HSET', rows, unpack(ARGV, at, last)) > 0 then
    local members = {}
    for i = at, last, 2 do
      members[#members + 1] = '0'
      members[#members + 1] = ARGV[i]
    end
    redis.call('ZADD', keys, unpack(members))
  end
  at = last + 1
end
for i = at, at + added - 1 do
  redis.call('ZADD', box, '0', ARGV[i])
end
at = at + added
for i = at, at + 2 * removed - 1, 2 do
  redis.call('ZREMRANGEBYLEX', box, ARGV[i], ARGV[i + 1])
end
if added + removed > 0 then
  return {'ok', redis.call('ZCARD', box)}
end
return {'ok'}
