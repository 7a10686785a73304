package spectrum

import "testing"

// BenchmarkOf decomposes layers of the sizes of SD 1.x: a dense difference, and one of a LoHa's rank.
func BenchmarkOf(b *testing.B) {
	for name, m := range map[string]Matrix{"dense 320 × 2880": random(320, 2880, 1), "dense 1280 × 1280": random(1280, 1280, 1),
		"rank 64 of 1280 × 1280": product(1280, 1280, 64, 0.95, 1), "rank 16 of 1280 × 11520": product(1280, 11520, 16, 0.95, 1)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Of(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
