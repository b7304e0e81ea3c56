-- Takes what is due in one shard of the time index, and puts it off so that nobody else gets it.
-- KEYS: index
-- ARGV: rooms at most, milliseconds
-- Answer: the rooms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local rooms = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
if #rooms > 0 then
  redis.call('ZREM', KEYS[1], '') -- a full Redis lets this pass, and then the rest
end
for _, room in ipairs(rooms) do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + tonumber(ARGV[2])), room)
end
return rooms
