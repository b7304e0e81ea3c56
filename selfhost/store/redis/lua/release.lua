-- Gives a room back.
-- KEYS: meta
-- ARGV: token, "c" if connections stay at gateways or "", milliseconds that the record of a room which
--       never committed is kept
-- Answer: 1, or 0 if the room is another's.
if redis.call('HGET', KEYS[1], 'o') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'o')
redis.call('HSET', KEYS[1], 'l', ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'n') == 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
