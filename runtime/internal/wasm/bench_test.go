package wasm

import (
	"os"
	"testing"
)

func BenchmarkRewrite(b *testing.B) {
	bin, err := os.ReadFile(os.Getenv("ORIEL_BENCH_MODULE"))
	if err != nil {
		b.Skip("ORIEL_BENCH_MODULE names no module")
	}
	b.SetBytes(int64(len(bin)))
	for b.Loop() {
		m, err := Parse(bin)
		if err != nil {
			b.Fatal(err)
		}
		out, stats, err := m.Rewrite(RewriteOptions{MaxPages: 1025, KeepNames: true})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(out)), "bytes-out")
		b.ReportMetric(float64(stats.Payments), "payments")
		b.ReportMetric(float64(stats.Checks), "checks")
		b.ReportMetric(float64(stats.Loops), "loops")
	}
}
