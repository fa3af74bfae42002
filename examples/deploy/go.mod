module github.com/warmcache/warmcache/examples/deploy

go 1.26.0

require (
	github.com/awslabs/goformation/v7 v7.14.9
	gopkg.in/yaml.v3 v3.0.1
)
