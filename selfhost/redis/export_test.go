package redis

var (
	ParseRecord = parseRecord
	ParseInfo   = parseInfo
	Judge       = judge
	Older       = older
)
