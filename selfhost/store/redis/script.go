package redis

import (
	_ "embed"

	"github.com/oriel-rooms/oriel/selfhost/redis"
)

var (
	//go:embed lua/claim.lua
	claimSource string
	//go:embed lua/commit.lua
	commitSource string
	//go:embed lua/release.lua
	releaseSource string
	//go:embed lua/list.lua
	listSource string
	//go:embed lua/outbox.lua
	outboxSource string
	//go:embed lua/wake.lua
	wakeSource string
	//go:embed lua/due.lua
	dueSource string
	//go:embed lua/take.lua
	takeSource string
)

// Each says in its head what it is given and what it answers.
var (
	claimScript   = redis.NewScript(claimSource)
	commitScript  = redis.NewScript(commitSource)
	releaseScript = redis.NewScript(releaseSource)
	listScript    = redis.NewScript(listSource)
	outboxScript  = redis.NewScript(outboxSource)
	wakeScript    = redis.NewScript(wakeSource)
	dueScript     = redis.NewScript(dueSource)
	takeScript    = redis.NewScript(takeSource)
)
