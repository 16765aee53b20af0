-- The two schemas that are ours alone: chartchek_meta holds the migration history, chartchek_private the functions
-- that policies and triggers call. Neither is exposed through the API, and nobody but the migrator may use them.

-- This schema stands on Supabase's: accounts live in auth.users and the API has three roles. On a database without
-- them everything below would fail later and less clearly.
DO $$
BEGIN
    IF to_regclass('auth.users') IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'invalid_schema_name',
            MESSAGE = 'schema auth with its table users is missing: this is not a Supabase database',
            HINT = 'On a plain PostgreSQL for development or CI, run `chartchek-db dev up --stand-in-only --database-url …` first; it installs what Supabase would have.';
    END IF;
    IF (SELECT count(*) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')) < 3 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'undefined_object',
            MESSAGE = 'one of the roles anon, authenticated and service_role is missing: this is not a Supabase database',
            HINT = 'On a plain PostgreSQL for development or CI, run `chartchek-db dev up --stand-in-only --database-url …` first; it installs what Supabase would have.';
    END IF;
END
$$;

-- IF NOT EXISTS: chartchek-db makes this schema and the history table before the first file; refinery_cli does not.
CREATE SCHEMA IF NOT EXISTS chartchek_meta;
REVOKE ALL ON SCHEMA chartchek_meta FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON SCHEMA chartchek_meta IS 'Migration history of chartchek-db. Not exposed through the API.';

CREATE SCHEMA chartchek_private;
REVOKE ALL ON SCHEMA chartchek_private FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON SCHEMA chartchek_private IS 'Functions that policies and triggers call. Not exposed through the API.';
