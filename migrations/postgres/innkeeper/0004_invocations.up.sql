-- Receipts of calls, under pseudonyms.

-- Who is behind a pseudonym; ending a row makes that person's receipts anonymous.
CREATE TABLE "innkeeper_pseudonym" (
    "user_id" varchar(255) NOT NULL,
    "pseudonym" varchar(64) NOT NULL,
    PRIMARY KEY ("user_id"),
    CONSTRAINT "innkeeper_pseudonym_pseudonym_unique" UNIQUE ("pseudonym")
);

-- A receipt.
CREATE TABLE "innkeeper_invocation" (
    "sequence" bigint NOT NULL,
    "id" varchar(64) NOT NULL,
    "turn" varchar(255) NOT NULL,
    "parent" varchar(64),
    "plugin_id" varchar(64) NOT NULL,
    "revision" bigint NOT NULL,
    "export" varchar(64) NOT NULL,
    "pseudonym" varchar(64),
    "started_at" bigint NOT NULL,
    "outcome" varchar(32) NOT NULL,
    "document" text NOT NULL,
    "background" text,
    PRIMARY KEY ("sequence"),
    CONSTRAINT "innkeeper_invocation_id_unique" UNIQUE ("id")
);
CREATE INDEX "innkeeper_invocation_pseudonym_sequence_idx" ON "innkeeper_invocation" ("pseudonym", "sequence");
CREATE INDEX "innkeeper_invocation_plugin_id_sequence_idx" ON "innkeeper_invocation" ("plugin_id", "sequence");
CREATE INDEX "innkeeper_invocation_outcome_sequence_idx" ON "innkeeper_invocation" ("outcome", "sequence");
CREATE INDEX "innkeeper_invocation_started_at_idx" ON "innkeeper_invocation" ("started_at");
CREATE INDEX "innkeeper_invocation_turn_idx" ON "innkeeper_invocation" ("turn");
