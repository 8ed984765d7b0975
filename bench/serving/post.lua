-- wrk script: POST the JSON in the file named by $BODY, with the name of a model in place of MODEL: each in turn of
-- those in the file named by $MODELS, one a line. $AUTH is the Authorization header.
local file = assert(io.open(os.getenv("BODY"), "rb"))
local body = file:read("*all")
file:close()

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = os.getenv("AUTH")

local requests, at = {}, 0

function init(args)
  for model in io.lines(os.getenv("MODELS")) do
    requests[#requests + 1] = wrk.format(nil, nil, nil, (body:gsub("MODEL", model)))
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end
