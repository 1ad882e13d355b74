BEGIN TRANSACTION;
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
INSERT INTO "ledger_version" VALUES(2);
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
	prompt_tokens INTEGER, 
	completion_tokens INTEGER, 
	billed_micro_usd BIGINT, 
	updated_at DATETIME NOT NULL, 
	messages JSON, 
	PRIMARY KEY (batch, "key", fingerprint)
);
INSERT INTO "rows" VALUES('test','r0','a282556b77ff866ed512e47be9b08996b3c5aac3682273817b64d615b449b1cc',0,'failed',1,NULL,NULL,NULL,'BadRequestError','refused',0,0,0,'req_65cab7cb00000027',NULL,41,NULL,NULL,NULL,'2026-11-26 08:05:09.594992','[{"role": "user", "content": "Which team? My invoice number 0 is wrong."}]');
INSERT INTO "rows" VALUES('test','r1','ae711fcc0de5395a9bb40636f15ae78c13ea945b3b7faaf5e93466ff6571a25c',1,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb0000002a',278.8,41,11,2,6,'2026-11-26 08:05:09.889209',NULL);
INSERT INTO "rows" VALUES('test','r2','1007a9fe2b4c618a962d8f9ad18a50ab0c71c4c2503d5f899f07bb1f2cf800f0',2,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb0000002d',261.4,41,11,2,6,'2026-11-26 08:05:09.910027',NULL);
INSERT INTO "rows" VALUES('test','r3','0113e54cff1c0ada2b6158e3b272b23df339fd15031ab685a2e106e638e3cd9b',3,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb00000031',289.6,41,11,2,6,'2026-11-26 08:05:09.971528',NULL);
INSERT INTO "rows" VALUES('test','r4','f261edf876c2800a98c1c33903660aa70cc8863abb7c3587e8bab28a0707cec4',4,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb00000044',252.7,41,11,2,6,'2026-11-26 08:05:10.171969',NULL);
INSERT INTO "rows" VALUES('test','r5','641d859960375df1459924aac6430f53c96055ce943c92a209c3040da876edd8',5,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb00000047',259.5,41,11,2,6,'2026-11-26 08:05:10.198914',NULL);
INSERT INTO "rows" VALUES('test','r6','f2da69e0f3567a896962eaa9e86d4e88272d42fadf5f7241f42c7b246a06a181',6,'settled',1,'billing','stop',NULL,NULL,NULL,0,0,0,'req_65cab7cb0000004b',255.6,41,11,2,6,'2026-11-26 08:05:10.230100',NULL);
INSERT INTO "rows" VALUES('test','r7','b4a7bb54f801471419d1a23de8abd0a3bc110ab7447afbcd34371f147bacd14e',7,'pending',0,NULL,NULL,NULL,NULL,NULL,0,1,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 08:05:08.835128','[{"role": "user", "content": "Which team? My invoice number 7 is wrong."}]');
INSERT INTO "rows" VALUES('test','r8','1f8f7c49df55cbaff942f6d1954ba8757d16d188ab7c8bf832e2344e9b06ba9a',8,'pending',0,NULL,NULL,NULL,NULL,NULL,0,1,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 08:05:08.835131','[{"role": "user", "content": "Which team? My invoice number 8 is wrong."}]');
INSERT INTO "rows" VALUES('test','r9','ca5e357057ef4742bd549f93d2263a2e999debd70bc8d959ef5f1ab36dc64222',9,'pending',0,NULL,NULL,NULL,NULL,NULL,0,1,0,NULL,NULL,41,NULL,NULL,NULL,'2026-11-26 08:05:08.835134','[{"role": "user", "content": "Which team? My invoice number 9 is wrong."}]');
INSERT INTO "rows" VALUES('test','r10','8ba2d63622727e848a9fad3f00f4c0f7a3e9135f38387f6a55142684aaf3a811',10,'pending',0,NULL,NULL,NULL,NULL,NULL,0,1,0,NULL,NULL,42,NULL,NULL,NULL,'2026-11-26 08:05:08.835136','[{"role": "user", "content": "Which team? My invoice number 10 is wrong."}]');
INSERT INTO "rows" VALUES('test','r11','0d0fc80fbc8a196d127b9e3833d29d25510a85f53f16171b8ae369c23418b18c',11,'pending',0,NULL,NULL,NULL,NULL,NULL,0,0,0,NULL,NULL,42,NULL,NULL,NULL,'2026-11-26 08:05:08.835138','[{"role": "user", "content": "Which team? My invoice number 11 is wrong."}]');
CREATE TABLE runs (
	batch VARCHAR(100) NOT NULL, 
	paused BOOLEAN NOT NULL, 
	max_in_flight INTEGER, 
	snapshot JSON, 
	told_at FLOAT NOT NULL, 
	PRIMARY KEY (batch)
);
CREATE INDEX rows_in_order ON rows (batch, position);
COMMIT;
