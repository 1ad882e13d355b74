CREATE TABLE public.ceilings (
    batch character varying(100) NOT NULL,
    micro_usd bigint
);
CREATE TABLE public.eval_plans (
    key character varying(64) NOT NULL,
    bought json NOT NULL,
    reused json NOT NULL
);
CREATE TABLE public.eval_scores (
    eval_set_id character varying NOT NULL,
    model character varying NOT NULL,
    run_id character varying NOT NULL
);
CREATE TABLE public.eval_work (
    key character varying(64) NOT NULL,
    id character varying NOT NULL,
    created_at timestamp without time zone NOT NULL
);
CREATE TABLE public.ledger_version (
    version integer NOT NULL
);
CREATE SEQUENCE public.ledger_version_version_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ledger_version_version_seq OWNED BY public.ledger_version.version;
CREATE TABLE public.origins (
    batch character varying(100) NOT NULL,
    origin text NOT NULL
);
CREATE TABLE public.outputs (
    key character varying(64) NOT NULL,
    path text NOT NULL,
    host text NOT NULL,
    batch character varying(100) NOT NULL,
    current boolean NOT NULL,
    written_as text
);
CREATE TABLE public.owners (
    account character varying(120) NOT NULL,
    since timestamp without time zone NOT NULL,
    model text,
    team character varying(100),
    project character varying(100)
);
CREATE TABLE public.purchases (
    key character varying(64) NOT NULL,
    account character varying(120) NOT NULL,
    what character varying NOT NULL,
    listed_micro_usd double precision NOT NULL,
    bound_micro_usd bigint,
    id character varying,
    billed_micro_usd bigint,
    created_at timestamp without time zone NOT NULL
);
CREATE TABLE public.quality (
    watch character varying(100) NOT NULL,
    occasion character varying NOT NULL,
    model character varying NOT NULL,
    run_id character varying NOT NULL,
    quality double precision,
    ci_low double precision,
    ci_high double precision
);
CREATE TABLE public.quality_scores (
    watch character varying(100) NOT NULL,
    run_id character varying NOT NULL,
    model character varying NOT NULL,
    asked integer NOT NULL,
    errors integer NOT NULL,
    scores json NOT NULL,
    mean double precision,
    standard_error double precision
);
CREATE TABLE public.quotes (
    kind character varying(12) NOT NULL,
    name character varying(100) NOT NULL,
    number integer NOT NULL,
    subject character varying(64) NOT NULL,
    basis character varying(12) NOT NULL,
    rows integer NOT NULL,
    low_micro_usd bigint NOT NULL,
    likely_micro_usd bigint NOT NULL,
    high_micro_usd bigint NOT NULL,
    settled_before integer NOT NULL,
    billed_before_micro_usd bigint NOT NULL,
    quoted_at timestamp without time zone NOT NULL,
    paid_micro_usd bigint,
    paid_at timestamp without time zone
);
CREATE TABLE public.rows (
    batch character varying(100) NOT NULL,
    key character varying NOT NULL,
    fingerprint character varying(64) NOT NULL,
    "position" integer,
    state character varying(10) NOT NULL,
    attempts integer NOT NULL,
    answer text,
    finish_reason character varying,
    flag character varying(10),
    error character varying,
    error_message text,
    retryable boolean NOT NULL,
    in_doubt boolean DEFAULT false NOT NULL,
    resent boolean DEFAULT false NOT NULL,
    request_id character varying,
    latency_ms double precision,
    prompt_bytes integer DEFAULT 0 NOT NULL,
    prompt_tokens bigint,
    completion_tokens bigint,
    billed_micro_usd bigint,
    updated_at timestamp without time zone NOT NULL,
    messages json,
    message text,
    notes text,
    options text,
    turns text,
    turn_bytes bigint DEFAULT 0 NOT NULL,
    asked_again_micro_usd bigint,
    lost_receipts integer DEFAULT 0 NOT NULL,
    scope character varying(6) DEFAULT 'ledger'::character varying NOT NULL,
    copy_batch character varying(100),
    copy_of character varying,
    saved_micro_usd bigint,
    sent_as character varying
);
CREATE TABLE public.runs (
    batch character varying(100) NOT NULL,
    paused boolean NOT NULL,
    max_in_flight integer,
    snapshot json,
    told_at double precision NOT NULL
);
ALTER TABLE ONLY public.ledger_version ALTER COLUMN version SET DEFAULT nextval('public.ledger_version_version_seq'::regclass);
INSERT INTO public.ledger_version VALUES (5);
INSERT INTO public.rows VALUES ('test', 'r4', 'f261edf876c2800a98c1c33903660aa70cc8863abb7c3587e8bab28a0707cec4', 4, 'pending', 0, NULL, NULL, NULL, NULL, NULL, false, false, false, NULL, NULL, 41, NULL, NULL, NULL, '2026-11-26 10:51:06.066182', '[{"role": "user", "content": "Which team? My invoice number 4 is wrong."}]', NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
INSERT INTO public.rows VALUES ('test', 'r5', '641d859960375df1459924aac6430f53c96055ce943c92a209c3040da876edd8', 5, 'pending', 0, NULL, NULL, NULL, NULL, NULL, false, false, false, NULL, NULL, 41, NULL, NULL, NULL, '2026-11-26 10:51:06.066182', '[{"role": "user", "content": "Which team? My invoice number 5 is wrong."}]', NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
INSERT INTO public.rows VALUES ('test', 'r3', '0113e54cff1c0ada2b6158e3b272b23df339fd15031ab685a2e106e638e3cd9b', 3, 'pending', 0, NULL, NULL, NULL, NULL, NULL, false, true, false, NULL, NULL, 41, NULL, NULL, NULL, '2026-11-26 10:51:06.066182', '[{"role": "user", "content": "Which team? My invoice number 3 is wrong."}]', NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
INSERT INTO public.rows VALUES ('test', 'r0', 'a282556b77ff866ed512e47be9b08996b3c5aac3682273817b64d615b449b1cc', 0, 'settled', 1, 'billing', 'stop', NULL, NULL, NULL, false, false, false, NULL, NULL, 41, 12, 1, 5, '2026-11-26 10:51:06.152627', NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
INSERT INTO public.rows VALUES ('test', 'r1', 'ae711fcc0de5395a9bb40636f15ae78c13ea945b3b7faaf5e93466ff6571a25c', 1, 'failed', 1, NULL, NULL, NULL, 'BadRequest', 'HTTP 400: no', false, false, false, NULL, NULL, 41, NULL, NULL, NULL, '2026-11-26 10:51:06.152627', '[{"role": "user", "content": "Which team? My invoice number 1 is wrong."}]', NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
INSERT INTO public.rows VALUES ('test', 'r2', '1007a9fe2b4c618a962d8f9ad18a50ab0c71c4c2503d5f899f07bb1f2cf800f0', 2, 'failed', 1, NULL, NULL, NULL, 'APIStatusError', 'HTTP 500', true, false, false, NULL, NULL, 41, NULL, NULL, NULL, '2026-11-26 10:51:06.152627', '[{"role": "user", "content": "Which team? My invoice number 2 is wrong."}]', NULL, NULL, NULL, NULL, 0, NULL, 0, 'ledger', NULL, NULL, NULL, NULL);
ALTER TABLE ONLY public.ceilings
    ADD CONSTRAINT ceilings_pkey PRIMARY KEY (batch);
ALTER TABLE ONLY public.eval_plans
    ADD CONSTRAINT eval_plans_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.eval_scores
    ADD CONSTRAINT eval_scores_pkey PRIMARY KEY (eval_set_id, model, run_id);
ALTER TABLE ONLY public.eval_work
    ADD CONSTRAINT eval_work_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.ledger_version
    ADD CONSTRAINT ledger_version_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.origins
    ADD CONSTRAINT origins_pkey PRIMARY KEY (batch);
ALTER TABLE ONLY public.outputs
    ADD CONSTRAINT outputs_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.owners
    ADD CONSTRAINT owners_pkey PRIMARY KEY (account, since);
ALTER TABLE ONLY public.purchases
    ADD CONSTRAINT purchases_pkey PRIMARY KEY (key);
ALTER TABLE ONLY public.quality
    ADD CONSTRAINT quality_pkey PRIMARY KEY (watch, occasion, model);
ALTER TABLE ONLY public.quality_scores
    ADD CONSTRAINT quality_scores_pkey PRIMARY KEY (watch, run_id, model);
ALTER TABLE ONLY public.quotes
    ADD CONSTRAINT quotes_pkey PRIMARY KEY (kind, name, number);
ALTER TABLE ONLY public.rows
    ADD CONSTRAINT rows_pkey PRIMARY KEY (batch, key, fingerprint);
ALTER TABLE ONLY public.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (batch);
CREATE INDEX ix_purchases_account ON public.purchases USING btree (account);
CREATE INDEX rows_in_order ON public.rows USING btree (batch, "position");
