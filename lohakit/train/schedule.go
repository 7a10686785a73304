package train

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Schedules are the names a Config's Scheduler takes, those of transformers and diffusers.
var Schedules = []string{"constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt",
	"cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant", "adafactor"}

// Schedule gives the learning rate of every step as a factor on LR.
type Schedule struct {
	Name       string  // one of Schedules; default "constant"
	Warmup     int     // steps over which the rate rises from 0
	Steps      int     // optimizer steps in all
	Cycles     int     // of cosine_with_restarts; default 1
	Power      float64 // of polynomial; default 1
	Timescale  int     // of inverse_sqrt, in steps; default Warmup, or 10000 without
	MinRatio   float64 // rate at the end, of cosine_with_min_lr and warmup_stable_decay; default 0
	Decay      int     // steps of the final fall of warmup_stable_decay
	LR         float64 // only polynomial needs it: it ends at 1e-7
	Boundaries string  // of piecewise_constant, "1:100,0.1:200,0.01": factor 1 up to step 100, 0.1 up to 200, then 0.01
}

// Factor returns the factor of a step, counted from 0, as the trainers' schedulers give it to the step's update.
func (s Schedule) Factor(step int) float64 {
	t, warm, total := float64(step), float64(s.Warmup), float64(s.Steps)
	if s.Name == "constant" || s.Name == "" || s.Name == "adafactor" {
		return 1
	}
	if s.Name == "piecewise_constant" {
		return s.piece(step)
	}
	if step < s.Warmup {
		return t / warm
	}
	p := (t - warm) / math.Max(1, total-warm)
	switch s.Name {
	case "linear":
		return math.Max(0, 1-p)
	case "cosine":
		return math.Max(0, 0.5*(1+math.Cos(math.Pi*p)))
	case "cosine_with_restarts":
		if p >= 1 {
			return 0
		}
		return math.Max(0, 0.5*(1+math.Cos(math.Pi*math.Mod(float64(max(1, s.Cycles))*p, 1))))
	case "polynomial":
		end := 1e-7 / s.LR
		if step > s.Steps {
			return end
		}
		return (1-end)*math.Pow(1-p, orDefault(s.Power, 1)) + end
	case "inverse_sqrt":
		scale := orDefault(float64(s.Timescale), orDefault(warm, 10000))
		return 1 / math.Sqrt((t+scale-warm)/scale)
	case "cosine_with_min_lr":
		return math.Max(0, 0.5*(1+math.Cos(math.Pi*p))*(1-s.MinRatio)+s.MinRatio)
	case "warmup_stable_decay":
		stable := total - warm - float64(s.Decay)
		if t < warm+stable {
			return 1
		}
		if q := (t - warm - stable) / math.Max(1, float64(s.Decay)); q < 1 {
			return math.Max(0, 0.5*(1+math.Cos(math.Pi*q))*(1-s.MinRatio)+s.MinRatio)
		}
		return s.MinRatio
	}
	return 1
}

// piece reads Boundaries; Check has made sure that they parse.
func (s Schedule) piece(step int) float64 {
	pieces, last, _ := s.pieces()
	for _, p := range pieces {
		if step < p.until {
			return p.factor
		}
	}
	return last
}

type piece struct {
	factor float64
	until  int
}

func (s Schedule) pieces() (pieces []piece, last float64, err error) {
	fields := strings.Split(s.Boundaries, ",")
	for _, f := range fields[:len(fields)-1] {
		factor, until, _ := strings.Cut(f, ":")
		var p piece
		if p.factor, err = pieceFactor(factor); err != nil {
			return nil, 0, err
		}
		if p.until, err = strconv.Atoi(strings.TrimSpace(until)); err != nil {
			return nil, 0, fmt.Errorf("%q is not a step", until)
		}
		pieces = append(pieces, p)
	}
	if last, err = pieceFactor(fields[len(fields)-1]); err != nil {
		return nil, 0, err
	}
	if !slices.IsSortedFunc(pieces, func(a, b piece) int { return a.until - b.until }) {
		return nil, 0, fmt.Errorf("steps do not rise")
	}
	return pieces, last, nil
}

// pieceFactor reads a factor on a rate, from 0.
func pieceFactor(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v >= 0) || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%q is not a factor from 0", text)
	}
	return v, nil
}
