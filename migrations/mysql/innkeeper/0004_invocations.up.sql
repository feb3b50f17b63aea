-- Receipts of calls, under pseudonyms.

-- Who is behind a pseudonym; ending a row makes that person's receipts anonymous.
CREATE TABLE `innkeeper_pseudonym` (
    `user_id` VARCHAR(255) NOT NULL,
    `pseudonym` VARCHAR(64) NOT NULL,
    PRIMARY KEY (`user_id`),
    CONSTRAINT `innkeeper_pseudonym_pseudonym_unique` UNIQUE (`pseudonym`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A receipt.
CREATE TABLE `innkeeper_invocation` (
    `sequence` BIGINT NOT NULL,
    `id` VARCHAR(64) NOT NULL,
    `turn` VARCHAR(255) NOT NULL,
    `parent` VARCHAR(64),
    `plugin_id` VARCHAR(64) NOT NULL,
    `revision` BIGINT NOT NULL,
    `export` VARCHAR(64) NOT NULL,
    `pseudonym` VARCHAR(64),
    `started_at` BIGINT NOT NULL,
    `outcome` VARCHAR(32) NOT NULL,
    `document` LONGTEXT NOT NULL,
    `background` LONGTEXT,
    PRIMARY KEY (`sequence`),
    CONSTRAINT `innkeeper_invocation_id_unique` UNIQUE (`id`),
    INDEX `innkeeper_invocation_pseudonym_sequence_idx` (`pseudonym`, `sequence`),
    INDEX `innkeeper_invocation_plugin_id_sequence_idx` (`plugin_id`, `sequence`),
    INDEX `innkeeper_invocation_outcome_sequence_idx` (`outcome`, `sequence`),
    INDEX `innkeeper_invocation_started_at_idx` (`started_at`),
    INDEX `innkeeper_invocation_turn_idx` (`turn`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
