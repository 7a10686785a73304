package sample

import (
	"strings"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Sampler is a way from noise to an image: a method and the noise levels it visits.
type Sampler struct {
	Name     string                // as web UIs write it: "DPM++ 2M Karras"
	Steps    Steps                 // the method
	Schedule func(n int) []float64 // n+1 falling noise levels
	Eta      float64               // default of Options.Eta
	Path     bool                  // its noise is a Brownian path instead of independent draws
	etaKey   string                // what an infotext calls its Eta; "" for those without noise on the way
	variance bool                  // starts as √(σ²+1)·noise, DDIM's convention, instead of σ·noise
}

// Samplers lists the samplers in the order web UIs show them.
func Samplers() []Sampler {
	return []Sampler{
		{Name: "Euler a", Steps: EulerAncestral, Schedule: Linear, Eta: 1, etaKey: "Eta"},
		{Name: "Euler", Steps: Euler, Schedule: Linear},
		{Name: "LMS", Steps: LMS, Schedule: Linear},
		{Name: "Heun", Steps: Heun, Schedule: Linear},
		{Name: "DPM++ 2M", Steps: DPM2M, Schedule: Linear},
		{Name: "DPM++ SDE", Steps: DPMSDE, Schedule: Linear, Eta: 1, Path: true, etaKey: "Eta"},
		{Name: "DPM++ 2M Karras", Steps: DPM2M, Schedule: Karras},
		{Name: "DPM++ SDE Karras", Steps: DPMSDE, Schedule: Karras, Eta: 1, Path: true, etaKey: "Eta"},
		{Name: "DDIM", Steps: DDIM, Schedule: Leading, etaKey: "Eta DDIM", variance: true},
	}
}

// SamplerNamed finds a sampler by its name, whatever the case and however the words are separated: "euler_a" is "Euler a".
// An unknown name is a fault of kind NotExist that lists the names.
func SamplerNamed(name string) (Sampler, error) {
	plain := func(s string) string {
		return strings.NewReplacer("_", "", " ", "", "-", "").Replace(strings.ToLower(s))
	}
	var names []string
	for _, s := range Samplers() {
		if plain(s.Name) == plain(name) {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Sampler{}, fault.New(fault.NotExist, "choose sampler", "Sampler", "no sampler is called %q", name).Fix("use one of %s", strings.Join(names, ", "))
}

// withSchedule names the sampler of a name with a schedule type of newer web UIs, which is a setting of its own there: "DPM++ 2M" and "Karras"
// are "DPM++ 2M Karras". What no sampler is called is left to SamplerNamed to refuse.
func withSchedule(name, schedule string) string {
	s, err := SamplerNamed(name)
	if err != nil {
		return strings.TrimSpace(name + " " + schedule)
	}
	if s.Name == "DDIM" { // its timesteps are its own there, whatever the type
		return s.Name
	}
	automatic := strings.EqualFold(schedule, "Automatic") // what the method's author recommends
	if automatic {
		schedule = "Karras"
	}
	method := strings.TrimSuffix(s.Name, " Karras")
	joined := method + " " + schedule
	switch known, err := SamplerNamed(joined); {
	case err == nil:
		return known.Name
	case automatic || strings.EqualFold(schedule, "Uniform"):
		return method
	}
	return joined
}
