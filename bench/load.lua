-- What wrk sends. After `--`: a mode, 12 hex digits that no other run uses, and a file; for orders
-- that look as if the gateway had passed them on, of how many percent a trace is kept.
--   order  each line of the file a token and a product; a fresh Idempotency-Key every time
--   read   each line of the file a token, an order's path and a Commit-Seq or "-"
--   get    the address as it is
--   packed the same, compressed
-- It tells the result as one line of JSON.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("place", threads)
end

function init(args)
  mode, run, sent = args[1], args[2], 0
  traced = tonumber(args[4])
  rows = {}
  if mode ~= "get" and mode ~= "packed" then
    for line in io.lines(args[3]) do
      rows[#rows + 1] = { line:match("(%S+) (%S+) ?(%S*)") }
    end
    math.randomseed(place * 7919 + os.time())
  end
end

-- A UUIDv7, as docs/api.md asks of apps, of a moment of this second: Lua knows no shorter ones.
local function intent()
  local ms = os.time() * 1000 + math.random(0, 999)
  local time = string.format("%08x-%04x", math.floor(ms / 65536), ms % 65536)
  return string.format("%s-7%03x-8%s-%s%06x", time, place, run:sub(1, 3), run:sub(4, 9), sent)
end

local function order(row)
  local headers = {
    ["Authorization"] = "Bearer " .. row[1],
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = intent(),
  }
  if traced then
    local id = string.format("%s%04x%016x", run, place, sent)
    local flags = math.random() * 100 < traced and "01" or "00"
    headers["X-Request-Id"] = id
    headers["traceparent"] = "00-" .. id .. "-" .. id:sub(17) .. "-" .. flags
  end
  return wrk.format("POST", nil, headers, '{"lines":[{"product_id":"' .. row[2] .. '","quantity":1}]}')
end

local function read(row)
  local headers = { ["Authorization"] = "Bearer " .. row[1] }
  if row[3] ~= "-" then headers["Commit-Seq"] = row[3] end
  return wrk.format("GET", row[2], headers)
end

function request()
  sent = sent + 1
  if mode == "get" then return wrk.format("GET") end
  if mode == "packed" then return wrk.format("GET", nil, { ["Accept-Encoding"] = "gzip" }) end
  local row = rows[math.random(#rows)]
  if mode == "order" then return order(row) end
  return read(row)
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "p50_ms": %f, "p99_ms": %f,'
      .. ' "failed": {"refused": %d, "late": %d, "broken": %d}}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    failed.status, failed.timeout, failed.connect + failed.read + failed.write))
end
