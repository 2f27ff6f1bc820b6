-- What wrk sends. After `--`: a mode, a word that no other run uses, and a file.
--   order  each line of the file a token and a product; a fresh Idempotency-Key every time
--   read   each line of the file a token, an order's path and a Commit-Seq or "-"
--   get    the address as it is
-- It tells the result as one line of JSON.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("place", threads)
end

function init(args)
  mode, run, sent = args[1], args[2], 0
  rows = {}
  if mode ~= "get" then
    for line in io.lines(args[3]) do
      rows[#rows + 1] = { line:match("(%S+) (%S+) ?(%S*)") }
    end
    math.randomseed(place * 7919 + os.time())
  end
end

local function order(row)
  return wrk.format("POST", nil, {
    ["Authorization"] = "Bearer " .. row[1],
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = run .. "-" .. place .. "-" .. sent,
  }, '{"lines":[{"product_id":"' .. row[2] .. '","quantity":1}]}')
end

local function read(row)
  local headers = { ["Authorization"] = "Bearer " .. row[1] }
  if row[3] ~= "-" then headers["Commit-Seq"] = row[3] end
  return wrk.format("GET", row[2], headers)
end

function request()
  sent = sent + 1
  if mode == "get" then return wrk.format("GET") end
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
