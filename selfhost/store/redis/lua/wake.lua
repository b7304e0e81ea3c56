-- Changes the entry of a room in the time index.
-- KEYS: index, its writers
-- ARGV: room, epoch, sequence number, "min" or "set", due (a time, "" for none), milliseconds from now
--       ("" for none): the entry is due at the earlier of the two; with "set", milliseconds by which a
--       time that is past is put off
-- "min" makes the room due then at the latest. "set" makes it due then, or takes it out if it has no
-- time, unless a later write than this one was there before.
-- Answer: 1, or 0 if there was.
local index, writers, room = KEYS[1], KEYS[2], ARGV[1]
local epoch, seq = tonumber(ARGV[2]), tonumber(ARGV[3])
local later = false
local last = redis.call('HGET', writers, room)
if last then
  local e, s = string.match(last, '^(%d+) (%d+)$')
  e, s = tonumber(e or 0), tonumber(s or 0)
  later = e > epoch or e == epoch and s > seq
end
if ARGV[4] == 'set' and later then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = tonumber(ARGV[5])
if ARGV[4] == 'set' then
  redis.call('HDEL', writers, '') -- a full Redis lets this pass, and then the rest
  if due and due <= now then
    due = now + tonumber(ARGV[7])
  end
end
if ARGV[6] ~= '' then
  due = math.min(due or math.huge, now + tonumber(ARGV[6]))
end
if not due then
  redis.call('ZREM', index, room)
  redis.call('HDEL', writers, room)
elseif ARGV[4] == 'min' then
  redis.call('ZADD', index, 'LT', string.format('%.0f', due), room)
else
  redis.call('ZADD', index, string.format('%.0f', due), room)
end
if due and not later then
  redis.call('HSET', writers, room, ARGV[2] .. ' ' .. ARGV[3])
end
return 1
