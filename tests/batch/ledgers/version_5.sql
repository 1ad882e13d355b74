BEGIN TRANSACTION;
CREATE TABLE ceilings (
	batch VARCHAR(100) NOT NULL, 
	micro_usd BIGINT, 
	PRIMARY KEY (batch)
);
CREATE TABLE eval_plans (
	"key" VARCHAR(64) NOT NULL, 
	bought JSON NOT NULL, 
	reused JSON NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE eval_scores (
	eval_set_id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	PRIMARY KEY (eval_set_id, model, run_id)
);
CREATE TABLE eval_work (
	"key" VARCHAR(64) NOT NULL, 
	id VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE ledger_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "ledger_version" VALUES(5);
CREATE TABLE origins (
	batch VARCHAR(100) NOT NULL, 
	origin TEXT NOT NULL, 
	PRIMARY KEY (batch)
);
CREATE TABLE outputs (
	"key" VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	host TEXT NOT NULL, 
	batch VARCHAR(100) NOT NULL, 
	current BOOLEAN NOT NULL, 
	written_as TEXT, 
	PRIMARY KEY ("key")
);
CREATE TABLE owners (
	account VARCHAR(120) NOT NULL, 
	since DATETIME NOT NULL, 
	model TEXT, 
	team VARCHAR(100), 
	project VARCHAR(100), 
	PRIMARY KEY (account, since)
);
CREATE TABLE purchases (
	"key" VARCHAR(64) NOT NULL, 
	account VARCHAR(120) NOT NULL, 
	what VARCHAR NOT NULL, 
	listed_micro_usd FLOAT NOT NULL, 
	bound_micro_usd BIGINT, 
	id VARCHAR, 
	billed_micro_usd BIGINT, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE quality (
	watch VARCHAR(100) NOT NULL, 
	occasion VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	quality FLOAT, 
	ci_low FLOAT, 
	ci_high FLOAT, 
	PRIMARY KEY (watch, occasion, model)
);
CREATE TABLE quality_scores (
	watch VARCHAR(100) NOT NULL, 
	run_id VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	asked INTEGER NOT NULL, 
	errors INTEGER NOT NULL, 
	scores JSON NOT NULL, 
	mean FLOAT, 
	standard_error FLOAT, 
	PRIMARY KEY (watch, run_id, model)
);
CREATE TABLE quotes (
	kind VARCHAR(12) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	number INTEGER NOT NULL, 
	subject VARCHAR(64) NOT NULL, 
	basis VARCHAR(12) NOT NULL, 
	rows INTEGER NOT NULL, 
	low_micro_usd BIGINT NOT NULL, 
	likely_micro_usd BIGINT NOT NULL, 
	high_micro_usd BIGINT NOT NULL, 
	settled_before INTEGER NOT NULL, 
	billed_before_micro_usd BIGINT NOT NULL, 
	quoted_at DATETIME NOT NULL, 
	paid_micro_usd BIGINT, 
	paid_at DATETIME, 
	PRIMARY KEY (kind, name, number)
);
CREATE TABLE rows (
	batch VARCHAR(100) NOT NULL, 
	"key" VARCHAR NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	position INTEGER, 
	state VARCHAR(10) NOT NULL, 
	attempts INTEGER NOT NULL, 
	answer TEXT, 
	finish_reason VARCHAR, 
	flag VARCHAR(10), 
	error VARCHAR, 
	error_message TEXT, 
	retryable BOOLEAN NOT NULL, 
	in_doubt BOOLEAN DEFAULT 0 NOT NULL, 
	resent BOOLEAN DEFAULT 0 NOT NULL, 
	request_id VARCHAR, 
	latency_ms FLOAT, 
	prompt_bytes INTEGER DEFAULT 0 NOT NULL, 
	prompt_tokens BIGINT, 
	completion_tokens BIGINT, 
	billed_micro_usd BIGINT, 
	updated_at DATETIME NOT NULL, 
	messages JSON, 
	message TEXT, 
	notes TEXT, 
	options TEXT, 
	turns TEXT, 
	turn_bytes BIGINT DEFAULT 0 NOT NULL, 
	asked_again_micro_usd BIGINT, 
	lost_receipts INTEGER DEFAULT 0 NOT NULL, 
	scope VARCHAR(6) DEFAULT 'ledger' NOT NULL, 
	copy_batch VARCHAR(100), 
	copy_of VARCHAR, 
	saved_micro_usd BIGINT, 
	sent_as VARCHAR, 
	PRIMARY KEY (batch, "key", fingerprint)
);
INSERT INTO "rows" VALUES('test','r0','a282556b77ff866ed512e47be9b08996b3c5aac3682273817b64d615b449b1cc',0,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,NULL,NULL,41,12,1,5,'2026-11-26 10:51:13.507772',NULL,NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES('test','r1','ae711fcc0de5395a9bb40636f15ae78c13ea945b3b7faaf5e93466ff6571a25c',1,'failed',1,NULL,NULL,NULL,'BadRequest','HTTP 400: no',0,0,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 10:51:13.507772','[{"role": "user", "content": "Which team? My invoice number 1 is wrong."}]',NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES('test','r2','1007a9fe2b4c618a962d8f9ad18a50ab0c71c4c2503d5f899f07bb1f2cf800f0',2,'failed',1,NULL,NULL,NULL,'APIStatusError','HTTP 500',1,0,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 10:51:13.507772','[{"role": "user", "content": "Which team? My invoice number 2 is wrong."}]',NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES('test','r3','0113e54cff1c0ada2b6158e3b272b23df339fd15031ab685a2e106e638e3cd9b',3,'pending',0,NULL,NULL,NULL,NULL,NULL,0,1,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 10:51:13.469245','[{"role": "user", "content": "Which team? My invoice number 3 is wrong."}]',NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES('test','r4','f261edf876c2800a98c1c33903660aa70cc8863abb7c3587e8bab28a0707cec4',4,'pending',0,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 10:51:13.469245','[{"role": "user", "content": "Which team? My invoice number 4 is wrong."}]',NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
INSERT INTO "rows" VALUES('test','r5','641d859960375df1459924aac6430f53c96055ce943c92a209c3040da876edd8',5,'pending',0,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 10:51:13.469245','[{"role": "user", "content": "Which team? My invoice number 5 is wrong."}]',NULL,NULL,NULL,NULL,0,NULL,0,'ledger',NULL,NULL,NULL,NULL);
CREATE TABLE runs (
	batch VARCHAR(100) NOT NULL, 
	paused BOOLEAN NOT NULL, 
	max_in_flight INTEGER, 
	snapshot JSON, 
	told_at FLOAT NOT NULL, 
	PRIMARY KEY (batch)
);
CREATE INDEX rows_in_order ON rows (batch, position);
CREATE INDEX ix_purchases_account ON purchases (account);
COMMIT;
