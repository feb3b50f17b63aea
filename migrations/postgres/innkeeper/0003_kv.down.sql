DROP TABLE "innkeeper_kv";
DROP TABLE "innkeeper_kv_scope";
