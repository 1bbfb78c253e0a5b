-- Two roles, each with a database of its own and no other rights. psql runs this as the superuser, as often as it likes:
-- what is there stays, and passwords become those of the files.
\set ON_ERROR_STOP on
\set dagster_password `cat "$DAGSTER_PG_PASSWORD_FILE"`
\set mlflow_password `cat "$MLFLOW_PG_PASSWORD_FILE"`

SELECT format('CREATE ROLE %I LOGIN', name)
FROM (VALUES ('dagster'), ('mlflow')) AS wanted (name)
WHERE name NOT IN (SELECT rolname FROM pg_roles)
\gexec

ALTER ROLE dagster PASSWORD :'dagster_password';
ALTER ROLE mlflow PASSWORD :'mlflow_password';

SELECT format('CREATE DATABASE %I OWNER %I', name, name)
FROM (VALUES ('dagster'), ('mlflow')) AS wanted (name)
WHERE name NOT IN (SELECT datname FROM pg_database)
\gexec

REVOKE CONNECT ON DATABASE dagster FROM PUBLIC;
REVOKE CONNECT ON DATABASE mlflow FROM PUBLIC;
