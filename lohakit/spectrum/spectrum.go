// Package spectrum looks inside weights: the singular values of any weight difference (what an adapter adds, what a fine-tune
// changed) and the ranks they mean, extraction of adapters from two checkpoints, resizing of adapters, and inspection of tensors.
package spectrum

import "math"

// Spectrum is the singular values of one layer.
type Spectrum struct {
	Name       string
	Rows, Cols int
	Values     []float64 // falling; all min(Rows, Cols), or the leading ones if Missing is not 0
	Energy     float64   // Σσ² over all singular values: the squared Frobenius norm
	Missing    float64   // √Σσ² of the values that were not computed; no computed value is off by more
}

// Full is the number of singular values the matrix has.
func (s *Spectrum) Full() int { return min(s.Rows, s.Cols) }

// Share is the part of the energy in the r leading singular values, 0 to 1; 1 if the matrix is zero.
func (s *Spectrum) Share(r int) float64 {
	if s.Energy == 0 {
		return 1
	}
	sum := 0.0
	for _, v := range s.Values[:min(max(r, 0), len(s.Values))] {
		sum += v * v
	}
	return min(sum/s.Energy, 1)
}

// Cumulative is Share of 1, 2, … ranks.
func (s *Spectrum) Cumulative() []float64 {
	out := make([]float64, len(s.Values))
	sum := 0.0
	for i, v := range s.Values {
		sum += v * v
		out[i] = 1
		if s.Energy > 0 {
			out[i] = min(sum/s.Energy, 1)
		}
	}
	return out
}

// RankAt is the smallest rank that holds the share of the energy, such as 0.9; 0 if the matrix is zero, and Full if the computed values
// do not hold it.
func (s *Spectrum) RankAt(share float64) int {
	if s.Energy == 0 {
		return 0
	}
	sum := 0.0
	for i, v := range s.Values {
		// the last digits of a sum of squares are not to decide
		if sum += v * v; sum >= share*s.Energy*(1-1e-12) {
			return i + 1
		}
	}
	return s.Full()
}

// Effective is the entropy rank of Roy and Vetterli (2007): e to the entropy of the singular values as shares of their sum. Equal
// values give their number. 0 if the matrix is zero.
func (s *Spectrum) Effective() float64 {
	sum := 0.0
	for _, v := range s.Values {
		sum += v
	}
	if sum == 0 {
		return 0
	}
	entropy := 0.0
	for _, v := range s.Values {
		if p := v / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy)
}

// Stable is the stable rank Σσ²/σ₁², at most the rank and little moved by small values. 0 if the matrix is zero.
func (s *Spectrum) Stable() float64 {
	if len(s.Values) == 0 || s.Values[0] == 0 {
		return 0
	}
	return s.Energy / (s.Values[0] * s.Values[0])
}

// Norm is the Frobenius norm.
func (s *Spectrum) Norm() float64 { return math.Sqrt(s.Energy) }
