CREATE TABLE products(
	tenant      TEXT,
	sku         TEXT,
	name        TEXT,
	price_cents BIGINT,
	stock       BIGINT,
	description TEXT,
	PRIMARY KEY(tenant, sku)
);

-- Both tenants sell a lamp under the same SKU, at their own prices.
INSERT INTO products VALUES
	('blue',  'lamp',  'Blue lamp',  1999, 10,  'A lamp of the blue shop'),
	('blue',  'table', 'Blue table', 9900, 0,   'Sold out'),
	('green', 'lamp',  'Green lamp', 2499, 300, 'A lamp of the green shop');
