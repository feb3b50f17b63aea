DROP TABLE "innkeeper_invocation";
DROP TABLE "innkeeper_pseudonym";
