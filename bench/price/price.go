// Package price has the prices that the bench reckons with. They are in US dollars,
// and change with place and time.
package price

import "flag"

// S3Gets is what a million GET requests cost: S3 Standard in us-east-1, as
// https://aws.amazon.com/s3/pricing/ lists it.
const S3Gets = 0.40

// Function is what a function pays for.
type Function struct {
	DatabaseCalls float64 `json:"database_calls"` // a million of them
	GBSecond      float64 `json:"gb_second"`      // of the function, which pays while it waits
	MemoryMB      int     `json:"memory_mb"`      // that the function has
}

// Default are AWS's list prices in us-east-1. A database call is a strongly
// consistent read of up to 4 KB from DynamoDB on demand:
// https://aws.amazon.com/dynamodb/pricing/on-demand/. The function is Lambda's on
// x86_64: https://aws.amazon.com/lambda/pricing/.
func Default() Function {
	return Function{DatabaseCalls: 0.125, GBSecond: 0.0000166667, MemoryMB: 512}
}

// Flags lets a command line set them.
func (p *Function) Flags(f *flag.FlagSet) {
	f.Float64Var(&p.DatabaseCalls, "price-db-call", p.DatabaseCalls, "`USD` of a million database calls. Default: DynamoDB's strongly consistent reads on demand in us-east-1")
	f.Float64Var(&p.GBSecond, "price-gb-second", p.GBSecond, "`USD` of a GB-second of a function, which pays while it waits. Default: Lambda's on x86_64 in us-east-1")
	f.IntVar(&p.MemoryMB, "price-memory", p.MemoryMB, "memory of the function in `MB`, for the same")
}
