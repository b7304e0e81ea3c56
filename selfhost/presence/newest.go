package presence

import (
	"cmp"
	"slices"
)

// Newest returns one connection of each device, the newest, in the order of their coming, the newest first, and at
// most limit. A connection that does not name its device is a device of its own.
func Newest(all []Device, limit int) []Device {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Device) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(b.ID, a.ID))
	})
	seen := make(map[string]bool)
	all = slices.DeleteFunc(all, func(d Device) bool {
		again := d.Device != "" && seen[d.Device]
		seen[d.Device] = true
		return again
	})
	return all[:min(len(all), max(limit, 0))]
}
