-- Reads rows in order.
-- KEYS: rows, row keys
-- ARGV: command, its two bounds, rows, bytes
-- Answer: {1 if rows were left out, key, value, ...}
local all = redis.call(ARGV[1], KEYS[2], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4] + 1)
local limit, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local answer = {0}
for from = 1, math.min(#all, limit), 16 do
  local values = redis.call('HMGET', KEYS[1], unpack(all, from, math.min(from + 15, #all, limit)))
  for i, value in ipairs(values) do
    local key = all[from + i - 1]
    if not value then
      return redis.error_reply('CORRUPT row without a value')
    end
    bytes = bytes - #key - #value
    if bytes < 0 and #answer > 1 then
      answer[1] = 1
      return answer
    end
    answer[#answer + 1] = key
    answer[#answer + 1] = value
  end
end
if #all > limit then
  answer[1] = 1
end
return answer
