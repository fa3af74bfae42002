package fleet

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// WriteTable writes r for people.
func (r *Report) WriteTable(w io.Writer) error {
	c := &r.Config
	fmt.Fprintf(w, "\n%v of virtual time, %s arrivals, %v requests/s, at most %d containers (%s), %d keys, TTL %v, database %v (p99 %v)\n\n",
		c.For, c.Arrivals, c.Rate, c.Containers, c.Routing, c.Products*c.Tenants, c.TTL, c.Database.Median, c.Database.P99)
	if err := writeResults(w, r.Results); err != nil {
		return err
	}
	s := &r.Stampede.Config
	fmt.Fprintf(w, "\nLoads in the worst second: %d cold containers with %v requests/s for %d keys, TTL %v, all replaced after %v\n\n",
		s.Containers, s.Rate, s.Products*s.Tenants, s.TTL, s.DeployAt)
	if err := writeStampede(w, &r.Stampede); err != nil {
		return err
	}
	fmt.Fprint(w, "\nHits over arrival rate, without a tier, one function with 10 keys\n\n")
	if err := writeRates(w, r.Rates); err != nil {
		return err
	}
	fmt.Fprintln(w)
	for _, line := range Legend {
		fmt.Fprintf(w, "%-13s %s\n", line[0], line[1])
	}
	return nil
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func writeResults(w io.Writer, results []*Result) error {
	t := newTable(w)
	fmt.Fprintln(t, "variant\trequests\tthrottled\thits\ttier\tloads\tloads/s\tworst second\tat once\tage p50\tp99\tmax\tGet mean\tp99\tstarted\talive\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.1f%%\t%.1f%%\t%.1f%%\t%.1f\t%d\t%.1f\t%.2fs\t%.2fs\t%.2fs\t%.2f\t%.2f\t%d\t%d\t\n",
			r.Variant, r.Requests, r.Throttled, 100*r.HitRatio, 100*part(r.TierHits, r.Requests), 100*r.LoadRatio,
			r.LoadsPerSecond, r.PeakLoads, r.PeakInFlight, r.AgeP50.Seconds(), r.AgeP99.Seconds(), r.AgeMax.Seconds(),
			ms(r.GetMean), ms(r.GetP99), r.Started, r.PeakAlive)
	}
	return t.Flush()
}

func writeStampede(w io.Writer, s *Stampede) error {
	t := newTable(w)
	fmt.Fprintln(t, "variant\tall cold\tdeployment\tits echo\tat once\tloads/s\thits\tGet p99\t")
	for _, r := range s.Results {
		cold, deployment, echo := s.Waves(r)
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%.1f\t%.1f%%\t%.2f\t\n",
			r.Variant, cold, deployment, echo, r.PeakInFlight, r.LoadsPerSecond, 100*r.HitRatio, ms(r.GetP99))
	}
	return t.Flush()
}

// Waves returns the loads of the worst second after the begin, when the tier is empty as
// well; after the deployment; and when the values that were loaded then expire.
func (s *Stampede) Waves(r *Result) (cold, deployment, echo int32) {
	deploy, ttl := int(s.Config.DeployAt/time.Second), int(s.Config.TTL/time.Second)
	return r.between(0, deploy).peak(), r.between(deploy, deploy+ttl/4).peak(), r.between(deploy+ttl*3/4, deploy+ttl*3/2).peak()
}

// between returns a part of the Timeline.
func (r *Result) between(from, to int) timeline {
	n := len(r.Timeline)
	return timeline(r.Timeline[min(from, n):min(to, n)])
}

func writeRates(w io.Writer, points []Point) error {
	t := newTable(w)
	fmt.Fprint(t, "requests/s\t")
	for _, ttl := range sweepTTLs {
		fmt.Fprintf(t, "TTL %v\t", ttl)
	}
	fmt.Fprintln(t)
	for i, rate := range sweepRates {
		fmt.Fprintf(t, "%.4g\t", rate)
		for j := range sweepTTLs {
			fmt.Fprintf(t, "%.1f%%\t", 100*points[j*len(sweepRates)+i].HitRatio)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
