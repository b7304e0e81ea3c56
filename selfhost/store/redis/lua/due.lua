-- Counts what is due in one shard of the time index.
-- KEYS: index
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
