package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// convert prints the results of Go benchmarks as figures: what needs the runtime's insides is
// measured beside them.
func convert(r io.Reader) error {
	s := bufio.NewScanner(r)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at >= 0 { // the number of processors
			name = name[:at]
		}
		name = strings.ToLower(strings.NewReplacer("/", "_", "-", "_").Replace(name))
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%q: %w", s.Text(), err)
			}
			unit := fields[i+1]
			of := name
			if unit != "ns/op" {
				of, unit = name+"_"+strings.TrimSuffix(unit, "-ns"), "ns"
			}
			figure(of, value, strings.TrimSuffix(unit, "/op"))
		}
	}
	return s.Err()
}
