CREATE TABLE customers(
	bank        TEXT,
	account     TEXT,
	name        TEXT,
	limit_cents BIGINT,
	PRIMARY KEY(bank, account)
);

CREATE TABLE checks(
	bank         TEXT,
	scan         TEXT,
	status       TEXT,
	account      TEXT,
	customer     TEXT,
	amount_cents BIGINT,
	reason       TEXT,
	PRIMARY KEY(bank, scan)
);

-- Both banks have an account of the same number.
INSERT INTO customers VALUES
	('north-bank', '40817263', 'Ada Lovelace',   500000),
	('north-bank', '55667788', 'Blaise Pascal',  20000),
	('south-bank', '40817263', 'Charles Babbage', 900000);
