-- The loads of the benchmark, for wrk: wrk -s load.lua URL -- KIND DATA NUMBER
-- DATA is a file that returns the people: {id, access token, {task ids}, refresh token}. They take
-- turns. NUMBER is that of the run, for titles that are new. At the end it
-- prints a line of JSON.

local JSON = {["Content-Type"] = "application/json"}
local people, make, n, waiting = nil, nil, 0, {}

local function with(token, more)
	local h = {["Authorization"] = "Bearer " .. token}
	for k, v in pairs(more or {}) do h[k] = v end
	return h
end

local function list(p)
	return wrk.format("GET", "/api/" .. p[1] .. "/tasks?limit=20", with(p[2]))
end

local function get(p, i)
	return wrk.format("GET", "/api/" .. p[1] .. "/tasks/" .. p[3][i % #p[3] + 1], with(p[2]))
end

local function create(p)
	return wrk.format("POST", "/api/" .. p[1] .. "/tasks", with(p[2], JSON),
		'{"title":"Water the plants","description":"Those on the balcony twice, and the '
		.. 'lemon tree with rain water","due_date":"2027-03-01","tags":["home"]}')
end

local function patch(p, i, run)
	return wrk.format("PATCH", "/api/" .. p[1] .. "/tasks/" .. p[3][i % #p[3] + 1],
		with(p[2], JSON),
		'{"title":"Changed ' .. run .. "." .. i .. '","completed":' ..
		(i % 2 == 0 and "true" or "false") .. "}")
end

local function refused(p)
	local last = p[2]:sub(-2, -2)
	return wrk.format("GET", "/api/" .. p[1] .. "/tasks?limit=20",
		with(p[2]:sub(1, -3) .. (last == "A" and "B" or "A") .. p[2]:sub(-1)))
end

-- What people do: 70 % list, 10 % get, 10 % create, 10 % patch.
local function mixed(p, i, run)
	local what = (i + n) % 10
	if what == 0 then return create(p) end
	if what == 1 then return patch(p, i, run) end
	if what == 2 then return get(p, i) end
	return list(p)
end

local kinds = {list = list, get = get, create = create, patch = patch, ["401"] = refused,
	mixed = mixed}
local same = {list = true, create = true, ["401"] = true} -- a person's requests are all alike

function init(args)
	local kind, run = args[1], args[3]
	people = dofile(args[2])
	if kind == "refresh" then
		for i, p in ipairs(people) do waiting[i] = p[4] end
		make = function()
			n = n + 1
			return wrk.format("POST", "/api/auth/refresh", JSON,
				'{"refresh_token":"' .. waiting[n] .. '"}')
		end
		response = function(status, _, body)
			if status == 200 then
				waiting[#waiting + 1] = body:match('"refresh_token":%s?"([^"]+)"')
			end
		end
		return
	end
	local one, kept = kinds[kind], {}
	make = function()
		local at, pass = n % #people + 1, math.floor(n / #people)
		n = n + 1
		local text = kept[at]
		if not text then
			text = one(people[at], pass, run)
			if same[kind] then kept[at] = text end
		end
		return text
	end
end

function request()
	return make()
end

function done(summary, latency)
	local e = summary.errors
	io.write(string.format('\n{"requests":%d,"us":%d,"failed":%d,"broken":%d,' ..
		'"p50":%.3f,"p99":%.3f,"p999":%.3f,"max":%.3f}\n',
		summary.requests, summary.duration, e.status,
		e.connect + e.read + e.write + e.timeout,
		latency:percentile(50) / 1000, latency:percentile(99) / 1000,
		latency:percentile(99.9) / 1000, latency.max / 1000))
end
