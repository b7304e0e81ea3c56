-- Takes a room that has no owner, or the owner that this node found to be dead, or this node itself.
-- KEYS: meta, rows, row keys, outbox
-- ARGV: node, term, token of the dead owner or "", rows and bytes up to which all rows are answered
-- Answer: {"owned", owner} or {"ok", epoch, left, number, time, alarm, host, outbox rows, 1 if all rows
--         follow, key, value, ...}
local meta, rows, keys, box = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local node, term = ARGV[1], ARGV[2]
local m = redis.call('HMGET', meta, 'o', 'e', 'l', 'n', 't', 'a', 'h')
local owner, epoch, left = m[1] or '', m[2] or '0', m[3] or ''
if owner ~= node .. ' ' .. epoch .. ' ' .. term then -- else the answer to this very claim was lost
  if owner ~= '' and owner ~= ARGV[3] and string.sub(owner, 1, #node + 1) ~= node .. ' ' then
    return {'owned', owner}
  end
  if owner ~= '' then
    left = 'd'
  end
  if epoch ~= '0' then
    redis.call('HDEL', meta, '') -- a room that is there can be taken also while Redis is full
    if not m[4] then
      redis.call('PERSIST', meta)
    end
  end
  epoch = string.format('%.0f', tonumber(epoch) + 1)
  redis.call('HSET', meta, 'o', node .. ' ' .. epoch .. ' ' .. term, 'e', epoch, 'l', left)
end
local answer = {'ok', epoch, left, m[4] or '0', m[5] or '0', m[6] or '', m[7] or '', redis.call('ZCARD', box), 1}
local limit, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local head = #answer
if redis.call('ZCARD', keys) > limit then
  answer[head] = 0
  return answer
end
local all = redis.call('ZRANGE', keys, 0, -1)
for from = 1, #all, 16 do
  local values = redis.call('HMGET', rows, unpack(all, from, math.min(from + 15, #all)))
  for i, value in ipairs(values) do
    local key = all[from + i - 1]
    if not value then
      return redis.error_reply('CORRUPT row without a value')
    end
    bytes = bytes - #key - #value
    answer[#answer + 1] = key
    answer[#answer + 1] = value
  end
  if bytes < 0 then
    for i = #answer, head + 1, -1 do
      answer[i] = nil
    end
    answer[head] = 0
    return answer
  end
end
return answer
