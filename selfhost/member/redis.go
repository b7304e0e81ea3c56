package member

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Client is a connection to Redis, to a Sentinel set-up, or to a Redis Cluster.
type Client = redis.UniversalClient

// All scripts get the same keys, and as their first arguments the channel and a random word. A
// version is a number and the random word of whoever made it: two histories that count alike after
// Redis lost the newest changes still differ.
//
// Whoever says that an identity is dead removes it in the same step. If Redis's clock goes back
// afterwards, it stays dead.
const prelude = `
local generation, version, leases, members, formats = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function changed()
  local n = tonumber(string.match(redis.call('GET', version) or '', '^%d+') or 0)
  local v = string.format('%.0f.%s', n + 1, ARGV[2])
  redis.call('SET', version, v)
  redis.call('PUBLISH', ARGV[1], v)
end

local function reap()
  local dead = redis.call('ZRANGEBYSCORE', leases, '-inf', now)
  for _, id in ipairs(dead) do
    redis.call('ZREM', leases, id)
    redis.call('HDEL', members, id)
  end
  if #dead > 0 then changed() end
end

local function renew(id, lease)
  redis.call('ZADD', leases, string.format('%.0f', now + lease), id)
end

local function view(known)
  local v = redis.call('GET', version) or ''
  local first = redis.call('ZRANGE', leases, 0, 0, 'WITHSCORES')
  local reply = {v, math.floor(first[2] - now)}
  if v ~= known then reply[3] = redis.call('HGETALL', members) end
  return reply
end

-- The records of the living, decoded.
local function records()
  local all, list = redis.call('HGETALL', members), {}
  for i = 1, #all, 2 do
    local ok, r = pcall(cjson.decode, all[i + 1])
    list[all[i]] = ok and type(r) == 'table' and r or {}
  end
  return list
end

-- The newest version of a format that a record's node reads.
local function reads(record, name)
  local f = type(record.formats) == 'table' and record.formats[name]
  return type(f) == 'number' and f or 0
end
`

var (
	// joinScript: address, record, lease, least generation, most members. Answers identity and
	// view, nothing if the fleet is full, or what in it this program is too old or too new for.
	joinScript = redis.NewScript(prelude + `
reap()
local own = cjson.decode(ARGV[4])
local written = redis.call('HGETALL', formats)
for i = 1, #written, 2 do
  if reads(own, written[i]) < tonumber(written[i + 1]) then return {'format', written[i], written[i + 1]} end
end
for id, r in pairs(records()) do
  local l = r.link
  if type(l) == 'table' and (tonumber(l[2]) or 0) > 0 and own.link[2] > 0 and
      (l[2] < own.link[1] or own.link[2] < (tonumber(l[1]) or 0)) then
    return {'link', id, string.format('%.0f to %.0f', l[1], l[2])}
  end
end
if redis.call('ZCARD', leases) >= tonumber(ARGV[7]) then return {} end
local g = math.max(tonumber(redis.call('GET', generation) or 0), tonumber(ARGV[6]))
for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  g = math.max(g, tonumber(string.match(id, '#(%w+)%.') or 0, 36))
end
g = g + 1
redis.call('SET', generation, string.format('%.0f', g))
local digits, word = '0123456789abcdefghijklmnopqrstuvwxyz', ''
repeat
  local d = g % 36
  word = string.sub(digits, d + 1, d + 1) .. word
  g = (g - d) / 36
until g == 0
local id = ARGV[3] .. '#' .. word .. '.' .. ARGV[2]
renew(id, ARGV[5])
redis.call('HSET', members, id, ARGV[4])
changed()
return {id, view('')}
`)

	// renewScript: identity, lease, known version, and a record if it changes. Answers a view,
	// or nothing if the lease is gone.
	renewScript = redis.NewScript(prelude + `
reap()
local id = ARGV[3]
if not redis.call('ZSCORE', leases, id) then return {} end
renew(id, ARGV[4])
if ARGV[6] ~= '' then
  redis.call('HSET', members, id, ARGV[6])
  changed()
end
return view(ARGV[5])
`)

	// leaveScript: identity.
	leaveScript = redis.NewScript(prelude + `
reap()
redis.call('HDEL', members, ARGV[3])
if redis.call('ZREM', leases, ARGV[3]) == 1 then changed() end
return 1
`)

	// agreeScript: name and version of a format. Answers the version that may be written.
	agreeScript = redis.NewScript(prelude + `
reap()
local have, wanted = tonumber(redis.call('HGET', formats, ARGV[3]) or 1), tonumber(ARGV[4])
if have >= wanted then return have end
for _, r in pairs(records()) do
  if reads(r, ARGV[3]) < wanted then return have end
end
redis.call('HSET', formats, ARGV[3], string.format('%.0f', wanted))
return wanted
`)

	// aliveScript: identity. Answers 1 or 0.
	aliveScript = redis.NewScript(prelude + `
reap()
return redis.call('ZSCORE', leases, ARGV[3]) and 1 or 0
`)

	// listScript changes nothing. Answers pairs of identity and milliseconds left, and members.
	listScript = redis.NewScript(prelude + `
local left = redis.call('ZRANGEBYSCORE', leases, string.format('(%.0f', now), '+inf', 'WITHSCORES')
for i = 2, #left, 2 do left[i] = math.floor(left[i] - now) end
return {left, redis.call('HGETALL', members)}
`)
)

// keys are the fleet's in Redis.
type keys struct {
	all     []string // in the order of the scripts' KEYS
	channel string
}

// newKeys returns the keys below a prefix, all of one slot. The error wraps [ErrOptions].
func newKeys(prefix string) (keys, error) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !plain(prefix) || strings.ContainsAny(prefix, "{}") || len(prefix) > MaxPrefix {
		return keys{}, fmt.Errorf("%w: prefix %.100q: 1 to %d printable characters without spaces and braces", ErrOptions, prefix, MaxPrefix)
	}
	p := prefix + ":{nodes}:"
	return keys{all: []string{p + "generation", p + "version", p + "leases", p + "members", p + "formats"}, channel: p + "changed"}, nil
}

// run runs a script whose first two arguments are those of all scripts.
func (k keys) run(ctx context.Context, c Client, s *redis.Script, args ...any) (any, error) {
	return s.Run(ctx, c, k.all, append([]any{k.channel, word()}, args...)...).Result()
}

// An answer is what Redis says of the fleet.
type answer struct {
	tag     string
	version uint64
	first   time.Duration // until the first lease of all ends, unless it is renewed
	members []Member      // if full
	full    bool          // the version is another than the known one
	strange []error       // records that do not decode
}

// decodeView reads the answer of the view function of the scripts. The error wraps [ErrFormat].
func decodeView(reply any) (answer, error) {
	list, _ := reply.([]any)
	if len(list) != 2 && len(list) != 3 {
		return answer{}, fmt.Errorf("%w: answer of a script: %.100q", ErrFormat, fmt.Sprint(reply))
	}
	var a answer
	tag, isString := list[0].(string)
	number, _, dot := strings.Cut(tag, ".")
	version, err := strconv.ParseUint(number, 10, 64)
	first, isInt := list[1].(int64)
	if !isString || !dot || err != nil || !isInt {
		return answer{}, fmt.Errorf("%w: version %.100q", ErrFormat, fmt.Sprint(list[:2]))
	}
	a.tag, a.version, a.first = tag, version, millis(first)
	if len(list) == 3 {
		a.full = true
		if a.members, a.strange, err = decodeMembers(list[2]); err != nil {
			return answer{}, err
		}
	}
	return a, nil
}

// decodeMembers reads pairs of identity and record. Those that do not decode it returns as errors.
func decodeMembers(reply any) (members []Member, strange []error, err error) {
	list, ok := reply.([]any)
	if !ok || len(list)%2 != 0 || len(list)/2 > MaxMembers {
		return nil, nil, fmt.Errorf("%w: a list of members of %d strings, at most %d members", ErrFormat, len(list), MaxMembers)
	}
	members = make([]Member, 0, len(list)/2)
	for i := 0; i < len(list); i += 2 {
		id, _ := list[i].(string)
		rec, _ := list[i+1].(string)
		m, err := decodeMember(id, rec)
		if err != nil {
			strange = append(strange, err)
			continue
		}
		members = append(members, m)
	}
	return members, strange, nil
}

// millis is a count of milliseconds, bounded to what makes sense.
func millis(n int64) time.Duration {
	return time.Duration(min(max(n, 0), int64(24*time.Hour/time.Millisecond))) * time.Millisecond
}

// A Lease is a living node and how long its lease lasts unless it is renewed, by Redis's clock.
type Lease struct {
	Member
	Left time.Duration
}

// List returns the living nodes without being one. Nodes whose record does not decode come with
// their identity only.
func List(ctx context.Context, c Client, prefix string) ([]Lease, error) {
	k, err := newKeys(prefix)
	if err != nil {
		return nil, &Error{Op: "list", Err: err}
	}
	leases, err := k.list(ctx, c)
	if err != nil {
		return nil, &Error{Op: "list", Err: err}
	}
	return leases, nil
}

func (k keys) list(ctx context.Context, c Client) ([]Lease, error) {
	reply, err := k.run(ctx, c, listScript)
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	if len(list) != 2 {
		return nil, fmt.Errorf("%w: answer of a script", ErrFormat)
	}
	members, _, err := decodeMembers(list[1])
	left, ok := list[0].([]any)
	if err != nil {
		return nil, err
	}
	if !ok || len(left)%2 != 0 {
		return nil, fmt.Errorf("%w: a list of leases", ErrFormat)
	}
	byID := make(map[string]Member, len(members))
	for _, m := range members {
		byID[m.ID] = m
	}
	leases := make([]Lease, 0, len(left)/2)
	for i := 0; i < len(left); i += 2 {
		id, _ := left[i].(string)
		ms, _ := left[i+1].(int64)
		m, ok := byID[id]
		if !ok {
			m.ID = id
		}
		leases = append(leases, Lease{Member: m, Left: millis(ms)})
	}
	return leases, nil
}

// A pusher hears of changes at once.
type pusher struct{ *redis.PubSub }

// subscribe returns a channel that gets something after every change, and after every time that a
// change may have been missed.
func (k keys) subscribe(c Client) (pusher, <-chan any) {
	p := c.Subscribe(context.Background(), k.channel) // lives until Close
	return pusher{p}, p.ChannelWithSubscriptions(redis.WithChannelSize(16))
}
