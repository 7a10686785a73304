package lohakit

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/train"
)

// Rates is what a search for a learning rate found; a notebook shows it as a chart.
type Rates struct {
	Picture
	Steps []train.Rate // the loss at every rate
	Best  float64      // a tenth of the rate at which the smoothed loss was lowest
}

// FindLR trains a fresh adapter for m on data while the rate rises from 1e-6 to 1e-1 in n steps (100 are customary), and charts the loss
// over the rate. The search ends by itself where training breaks down; if that is at once, it is an error of kind Numeric. Interrupting the cell
// charts what there is. Nothing is kept.
func (m *Model) FindLR(data *Data, c Config, n int) (Rates, error) {
	if err := m.trains(data); err != nil {
		return Rates{}, err
	}
	l := newLive()
	rates, err := train.FindLR(Context(), m.Model, data.Set, c, 1e-6, 1e-1, n, func(s train.Status) { l.bar(s.Step, s.Total, s.String()) })
	l.end("")
	if err != nil && (len(rates) < 2 || !fault.Is(err, fault.Canceled)) {
		return Rates{}, err
	}
	if len(rates) < 2 {
		return Rates{}, fault.New(fault.Numeric, "find learning rate", m.Name, "the loss is no number from rate %d of %d on", len(rates)+1, n).
			Fix("inspect the model for NaN: base.Inspect(\"\")")
	}
	raw, smooth := chart.Series{Name: "loss"}, chart.Series{Name: "smoothed"}
	best := rates[0]
	for _, r := range rates {
		raw.X, raw.Y = append(raw.X, r.LR), append(raw.Y, r.Loss)
		smooth.X, smooth.Y = append(smooth.X, r.LR), append(smooth.Y, r.Smoothed)
		if r.Smoothed < best.Smoothed {
			best = r
		}
	}
	suggestion := best.LR / 10
	img, err := chart.Line(chart.Look{Title: fmt.Sprintf("learning rates: try %.1g", suggestion), X: "learning rate", Y: "loss", LogX: true}, smooth, raw)
	return Rates{Picture{img, fmt.Sprintf("loss of %d rates from %.1g to %.1g; try %.1g", len(rates), rates[0].LR, rates[len(rates)-1].LR, suggestion)}, rates, suggestion}, err
}
