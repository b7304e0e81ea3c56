//go:build !linux

package gateway

const drainersEnv = "ORIEL_GATEWAY_DRAINERS"

func drainersMain() {}
