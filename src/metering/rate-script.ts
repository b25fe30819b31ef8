/**
 * What the function `exchange_rates` of migration 0031 does, for one limit in Redis; the two change together. A hash has
 * what was used in each second (`u…`), what each daemon holds (`h…`, with when it ends and whose it is), and who counts (`g`).
 */
export const rateScript = `
local daemon, epoch, life, most, window = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5] == '1'
local known, gift, inUse, need = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local want, target, fresh = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local second = math.floor(now / 1000)
local key = KEYS[1]

local generation, uses, held, others, daemons = nil, {}, 0, 0, 1
local gone = {}
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local kind, name, value = string.sub(fields[i], 1, 1), string.sub(fields[i], 2), fields[i + 1]
  if kind == 'g' then generation = value
  elseif kind == 'u' then
    if tonumber(name) > second - 61 then uses[tonumber(name)] = tonumber(value) else gone[#gone + 1] = fields[i] end
  elseif kind == 'h' then
    local amount, ends, whose = string.match(value, '^(%d+):(%d+):(.*)$')
    if tonumber(ends) <= now or (name == daemon and whose ~= epoch) then
      if window then uses[second] = (uses[second] or 0) + tonumber(amount) end
      gone[#gone + 1] = fields[i]
    elseif name == daemon then held = math.min(most, tonumber(amount))
    else
      others = others + tonumber(amount)
      daemons = daemons + 1
    end
  end
end
if not generation then
  generation = fresh
  redis.call('HSET', key, 'g', generation)
end
if known ~= '' and known ~= generation then
  redis.call('PEXPIRE', key, 90000)
  return {generation, 1, 0, 0, 0, 0, now}
end

local reported, told = 0, {}
for i = 13, #ARGV, 2 do
  local at, amount = math.min(tonumber(ARGV[i]), second + 1), tonumber(ARGV[i + 1])
  reported = reported + math.max(0, amount)
  told[at] = (told[at] or 0) + amount
end
for at, amount in pairs(told) do
  if at > second - 61 then uses[at] = (uses[at] or 0) + amount end
end
local used, seconds, set = 0, {}, {'g', generation}
for at, amount in pairs(uses) do
  if amount > 0 then
    used = used + amount
    seconds[#seconds + 1] = at
    set[#set + 1] = 'u' .. string.format('%.0f', at)
    set[#set + 1] = string.format('%.0f', amount)
  else gone[#gone + 1] = 'u' .. string.format('%.0f', at) end
end

held = math.max(inUse, held - reported - gift, 0)
local room = most - used - others - held
if room < 0 then
  held = held - math.min(held - inUse, -room)
  room = most - used - others - held
end
local lack = math.max(0, need - held + inUse)
local granted = 0
if room > 0 and room >= lack then
  local ahead = math.min(target - held + inUse, math.floor(room / (2 * daemons)))
  granted = math.min(room, math.max(0, want - held + inUse, ahead))
end
local wait = 61000
if lack > granted and window then
  table.sort(seconds)
  local free = room
  for _, at in ipairs(seconds) do
    free = free + uses[at]
    if free >= lack then
      wait = (at + 61) * 1000 - now
      break
    end
  end
end
held = held + granted
if held > 0 then
  set[#set + 1] = 'h' .. daemon
  set[#set + 1] = string.format('%.0f:%.0f:%s', held, now + life, epoch)
else gone[#gone + 1] = 'h' .. daemon end
for i = 1, #gone, 100 do redis.call('HDEL', key, unpack(gone, i, math.min(i + 99, #gone))) end
redis.call('HSET', key, unpack(set))
redis.call('PEXPIRE', key, 90000)
return {generation, 0, held, room - granted, others, wait, now}
`;
