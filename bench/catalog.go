package main

import (
	"fmt"

	"github.com/warmcache/warmcache/bench/origin"
)

const (
	tenants  = 4
	products = 500
)

func catalogEnv(o *origins) []string {
	return []string{"CATALOG_DB=" + o.database, "ORIGIN_TOLL=" + o.toll.Addr()}
}

func catalogEvent(round int) string {
	return fmt.Sprintf(`{"tenant":%q,"sku":%q,"quantity":%d}`,
		origin.Tenant(1+round%tenants), origin.SKU(1+round*37%products), 1+round%5)
}
