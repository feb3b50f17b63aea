-- Storage of plugins.

-- What one scope holds, for its quota.
CREATE TABLE `innkeeper_kv_scope` (
    `plugin_id` VARCHAR(64) NOT NULL,
    `scope` VARCHAR(16) NOT NULL,
    `subject` VARCHAR(255) NOT NULL,
    `entries` BIGINT NOT NULL,
    `bytes` BIGINT NOT NULL,
    `sequence` BIGINT NOT NULL,
    `expires_at` BIGINT,
    PRIMARY KEY (`plugin_id`, `scope`, `subject`),
    INDEX `innkeeper_kv_scope_scope_subject_idx` (`scope`, `subject`),
    INDEX `innkeeper_kv_scope_expires_at_idx` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- One entry.
CREATE TABLE `innkeeper_kv` (
    `plugin_id` VARCHAR(64) NOT NULL,
    `scope` VARCHAR(16) NOT NULL,
    `subject` VARCHAR(255) NOT NULL,
    `key` VARBINARY(512) NOT NULL,
    `value` LONGBLOB NOT NULL,
    `version` BIGINT NOT NULL,
    `expires_at` BIGINT,
    PRIMARY KEY (`plugin_id`, `scope`, `subject`, `key`),
    INDEX `innkeeper_kv_expires_at_idx` (`expires_at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
