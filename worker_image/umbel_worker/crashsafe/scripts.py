"""What Redis carries out as one step; `redis_contract` has those that the operator needs too.

Two traps. A read inside a script of the connection that waits would make Redis 7.0 track *all* of
the script's keys, `unacked` among them, and wake every idle worker at each acknowledgement; so
`TAKE` only writes. And a Redis at its `maxmemory` refuses a script whose *first* write needs
memory, but not one that has begun with another: so each begins with a pop or a removal, and
workers go on draining a Redis that is full.
"""

from umbel_worker.redis_script import script

GONE = "gone"
"""What scripts say to an incarnation that is fenced, or that Redis does not know."""


# KEYS: unacked, index, held, seen, malformed, then the lists: all queues of the first priority
# first. ARGV: incarnation, number of queues, one '1' or '0' per queue (needs an acknowledgement),
# how many to take at most. Returns nothing when all lists are empty; else number of the list and
# payload, for each. A number is negative for a payload that is no message, which is put aside.
TAKE = script("""
local now
local function pop()
    for i = 6, #KEYS do
        local item = redis.call('RPOP', KEYS[i])
        if item then return i, item end
    end
end
local function record(n, item)
    local queue = (n - 6) % tonumber(ARGV[2]) + 1
    if string.sub(ARGV[3], queue, queue) == '0' then return n - 5 end
    -- Decoding a long body would hold Redis up, 7 ms per MB: skip it where it comes first, as
    -- kombu writes it. A quote without a backslash before it ends the string; the rest is an object
    -- again.
    local rest = item
    if string.sub(item, 1, 10) == '{"body": "' then
        local e = string.find(item, '"', 11, true)
        if e and string.sub(item, e, e + 2) == '", ' and string.byte(item, e - 1) ~= 92 then
            rest = '{' .. string.sub(item, e + 3)
        end
    end
    local ok, message = pcall(cjson.decode, rest)
    local properties = ok and type(message) == 'table' and message.properties
    local tag, exchange, key
    if type(properties) == 'table' and type(properties.delivery_info) == 'table' then
        tag = properties.delivery_tag
        exchange, key = properties.delivery_info.exchange, properties.delivery_info.routing_key
    end
    if type(tag) ~= 'string' then
        redis.call('LPUSH', KEYS[5], item)
        return 5 - n
    end
    if type(exchange) ~= 'string' then exchange = '' end
    if type(key) ~= 'string' then key = '' end
    redis.call('ZADD', KEYS[2], now, tag)
    -- The payload's own text, never encoded again: cjson makes [] of {} and rounds long integers.
    redis.call('HSET', KEYS[1], tag,
               '[' .. item .. ', ' .. cjson.encode(exchange) .. ', ' .. cjson.encode(key) .. ']')
    redis.call('HSET', KEYS[3], tag, now .. '|' .. now .. '|' .. KEYS[n])
    return n - 5
end
local reply = {}
for _ = 1, tonumber(ARGV[4]) do
    local n, item = pop()
    if not n then break end
    if not now then
        local t = redis.call('TIME')
        now = string.format('%d.%06d', t[1], t[2])
        if redis.call('ZADD', KEYS[4], 'XX', 'CH', now, ARGV[1]) == 0
                and not redis.call('ZSCORE', KEYS[4], ARGV[1]) then
            redis.call('RPUSH', KEYS[n], item)
            return 'gone'
        end
    end
    reply[#reply + 1] = record(n, item)
    reply[#reply + 1] = item
end
return #reply > 0 and reply
""")

# KEYS: unacked, index, held. ARGV: tag, then, to hand it back, 'L' (back of its list) or 'R'
# (head) and the payload. Returns 1 if the message was still ours.
SETTLE = script("""
local record = redis.call('HGET', KEYS[3], ARGV[1])
if not record then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local own, list = string.match(record, '^([^|]*)|[^|]*|(.*)$')
if not score or tonumber(score) ~= tonumber(own) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
if ARGV[2] then redis.call(ARGV[2] .. 'PUSH', list, ARGV[3]) end
return 1
""")

# KEYS: index, held, seen. ARGV: incarnation, then tags to renew. Returns 'gone', or how many
# messages are held and the tags that are ours no longer.
RENEW = script("""
redis.call('HDEL', KEYS[2], '')
local t = redis.call('TIME')
local now = string.format('%d.%06d', t[1], t[2])
if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 'gone' end
redis.call('ZADD', KEYS[3], 'XX', now, ARGV[1])
local lost = {}
for i = 2, #ARGV do
    local tag = ARGV[i]
    local record, score = redis.call('HGET', KEYS[2], tag), redis.call('ZSCORE', KEYS[1], tag)
    local own, rest = nil, nil
    if record then own, rest = string.match(record, '^([^|]*)(|.*)$') end
    if own and score and tonumber(score) == tonumber(own) then
        redis.call('ZADD', KEYS[1], 'XX', now, tag)
        redis.call('HSET', KEYS[2], tag, now .. rest)
    else
        redis.call('HDEL', KEYS[2], tag)
        lost[#lost + 1] = tag
    end
end
return {redis.call('HLEN', KEYS[2]), lost}
""")

# KEYS: workers, seen, gone. ARGV: incarnation, entry, worker. Returns 'gone' if it is for good.
REGISTER = script("""
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('ZSCORE', KEYS[3], ARGV[3]) then return 'gone' end
local t = redis.call('TIME')
redis.call('ZADD', KEYS[2], string.format('%d.%06d', t[1], t[2]), ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
""")

# KEYS: three that nobody has: a hash, a sorted set, a list. Calls what the others call.
PROBE = script("""
redis.call('HDEL', KEYS[1], 'a')
redis.call('TIME')
redis.call('HSET', KEYS[1], 'a', 'b')
redis.call('HGET', KEYS[1], 'a')
redis.call('HLEN', KEYS[1])
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], 'a')
redis.call('ZADD', KEYS[2], 1, 'a')
redis.call('ZADD', KEYS[2], 'XX', 'CH', 2, 'a')
redis.call('ZSCORE', KEYS[2], 'a')
redis.call('ZREM', KEYS[2], 'a')
redis.call('LPUSH', KEYS[3], 'a')
redis.call('RPUSH', KEYS[3], 'b')
redis.call('RPOP', KEYS[3])
redis.call('RPOP', KEYS[3])
return cjson.encode({1})
""")
