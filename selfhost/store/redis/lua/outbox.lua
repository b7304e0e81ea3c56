-- Reads rows of an outbox in the order of their ids.
-- KEYS: outbox
-- ARGV: bounds, rows, bytes
-- Answer: {1 if rows were left out, row, ...}
local limit, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local answer = {0}
local at = 0
while at <= limit do
  local page = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', at, 16)
  for _, row in ipairs(page) do
    bytes = bytes - #row
    if #answer > limit or bytes < 0 and #answer > 1 then
      answer[1] = 1
      return answer
    end
    answer[#answer + 1] = row
  end
  if #page < 16 then
    break
  end
  at = at + 16
end
return answer
