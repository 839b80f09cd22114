-- Script of benchmarks/wrk.py: request bodies with a running number, and the result as one line of JSON.
--
-- Arguments: the file of the request's body, which has NUMBER in the place of the number, and the first number.

local before, after, number

function init(args)
    local file = assert(io.open(args[1], "rb"))
    before, after = file:read("*a"):match("^(.*)NUMBER(.*)$")
    file:close()
    number = tonumber(args[2])
end

function request()
    number = number + 1
    return wrk.format("POST", nil, nil, string.format("%s%.0f%s", before, number, after))
end

function done(summary, latency)
    local cells = {}
    for i = 1, #latency do
        local microseconds, count = latency(i)
        cells[i] = string.format("[%.0f,%.0f]", microseconds, count)
    end
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    print(string.format('{"duration_us":%.0f,"requests":%.0f,"failed":%.0f,"latencies_us":[%s]}',
        summary.duration, summary.requests, failed, table.concat(cells, ",")))
end
