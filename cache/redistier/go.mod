module github.com/warmcache/warmcache/cache/redistier

go 1.26.0

replace github.com/warmcache/warmcache => ../..

require (
	github.com/redis/go-redis/v9 v9.23.0
	github.com/warmcache/warmcache v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sync v0.25.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
)
