-- What a hosted Supabase has beside the application's own tables, as its own migrations leave it: roles, schemas, grants,
-- row security, and rows in use. Run by the superuser on the stand-in; `migrator` is what Supabase calls postgres.
CREATE ROLE supabase_storage_admin NOINHERIT CREATEROLE LOGIN;
CREATE ROLE supabase_realtime_admin NOINHERIT NOLOGIN;
CREATE ROLE supabase_functions_admin NOINHERIT CREATEROLE LOGIN;
CREATE ROLE supabase_read_only_user BYPASSRLS LOGIN;
CREATE ROLE dashboard_user NOLOGIN CREATEDB CREATEROLE REPLICATION;
CREATE ROLE pgbouncer LOGIN;
GRANT pg_read_all_data TO supabase_read_only_user;
GRANT anon, authenticated, service_role TO supabase_storage_admin;
GRANT pg_monitor, pg_signal_backend, pg_read_all_data TO migrator;
ALTER ROLE authenticator SET pgrst.db_schemas = 'public';

-- Accounts.
CREATE TABLE auth.sessions (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE, aal text);
CREATE TABLE auth.refresh_tokens (id bigserial PRIMARY KEY, token text UNIQUE, user_id text, session_id uuid);
CREATE TABLE auth.identities (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE);
CREATE TABLE auth.audit_log_entries (id uuid PRIMARY KEY, payload json, created_at timestamptz);
CREATE TABLE auth.schema_migrations (version text PRIMARY KEY);
DO $$
DECLARE
    made text;
BEGIN
    FOREACH made IN ARRAY ARRAY['sessions', 'refresh_tokens', 'identities', 'audit_log_entries', 'schema_migrations']
    LOOP
        EXECUTE format('ALTER TABLE auth.%I OWNER TO supabase_auth_admin', made);
        EXECUTE format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', made);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER ON auth.%I TO migrator', made);
    END LOOP;
END
$$;
INSERT INTO auth.sessions SELECT gen_random_uuid(), id, 'aal1' FROM auth.users;
INSERT INTO auth.refresh_tokens (token, user_id) SELECT 'not a real token ' || id, id::text FROM auth.users;

-- Storage.
CREATE SCHEMA storage AUTHORIZATION supabase_storage_admin;
GRANT USAGE ON SCHEMA storage TO migrator, anon, authenticated, service_role;
CREATE TABLE storage.migrations (id integer PRIMARY KEY, name varchar(100) UNIQUE NOT NULL);
CREATE TABLE storage.buckets (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE,
    owner uuid,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    public boolean DEFAULT false,
    file_size_limit bigint,
    allowed_mime_types text[],
    owner_id text
);
CREATE TABLE storage.objects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bucket_id text REFERENCES storage.buckets (id),
    name text,
    owner uuid,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    last_accessed_at timestamptz DEFAULT now(),
    metadata jsonb,
    path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
    version text,
    owner_id text,
    user_metadata jsonb
);
CREATE UNIQUE INDEX bucketid_objname ON storage.objects (bucket_id, name);
CREATE TABLE storage.s3_multipart_uploads (
    id text PRIMARY KEY, bucket_id text NOT NULL REFERENCES storage.buckets (id), key text NOT NULL, owner_id text
);
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    parts text[] := string_to_array(name, '/');
BEGIN
    RETURN parts[1:array_length(parts, 1) - 1];
END
$$;
-- Who deletes by SQL forgets the file: the storage server says that it is the one.
CREATE FUNCTION storage.protect_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' THEN
        RAISE EXCEPTION 'Direct deletion from storage tables is not allowed. Use the Storage API instead.'
            USING ERRCODE = '42501';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER protect_objects_delete BEFORE DELETE ON storage.objects
    FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
CREATE TRIGGER protect_buckets_delete BEFORE DELETE ON storage.buckets
    FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
ALTER TABLE storage.migrations ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.s3_multipart_uploads ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.migrations OWNER TO supabase_storage_admin;
ALTER TABLE storage.buckets OWNER TO supabase_storage_admin;
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
ALTER TABLE storage.s3_multipart_uploads OWNER TO supabase_storage_admin;
GRANT ALL ON storage.buckets, storage.objects TO anon, authenticated, service_role;
GRANT ALL ON storage.buckets, storage.objects TO migrator WITH GRANT OPTION;
GRANT SELECT ON storage.s3_multipart_uploads TO anon, authenticated;
GRANT ALL ON storage.s3_multipart_uploads TO service_role;
INSERT INTO storage.buckets (id, name, public) VALUES ('scans', 'scans', false), ('logos', 'logos', true);
INSERT INTO storage.objects (bucket_id, name, owner, owner_id)
    SELECT 'scans', id || '/scan.pdf', id, id::text FROM auth.users;
INSERT INTO storage.objects (bucket_id, name) VALUES ('logos', 'logo.svg');
CREATE POLICY scans ON storage.objects TO authenticated
    USING (bucket_id = 'scans' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text)
    WITH CHECK (bucket_id = 'scans' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text);

-- Realtime.
CREATE SCHEMA realtime AUTHORIZATION supabase_admin;
GRANT USAGE ON SCHEMA realtime TO migrator, anon, authenticated, service_role;
CREATE TABLE realtime.schema_migrations (version bigint PRIMARY KEY);
CREATE TABLE realtime.subscription (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subscription_id uuid NOT NULL, entity regclass NOT NULL, claims jsonb NOT NULL
);
CREATE TABLE realtime.messages (
    topic text NOT NULL,
    extension text NOT NULL,
    payload jsonb,
    event text,
    private boolean DEFAULT false,
    updated_at timestamp NOT NULL DEFAULT now(),
    inserted_at timestamp NOT NULL DEFAULT now(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    PRIMARY KEY (id, inserted_at)
) PARTITION BY RANGE (inserted_at);
CREATE TABLE realtime.messages_default PARTITION OF realtime.messages DEFAULT;
ALTER TABLE realtime.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE realtime.messages OWNER TO supabase_realtime_admin;
ALTER TABLE realtime.subscription OWNER TO supabase_realtime_admin;
GRANT SELECT, INSERT, UPDATE ON realtime.messages TO migrator, anon, authenticated, service_role;
GRANT SELECT ON realtime.subscription TO migrator, anon, authenticated, service_role;
CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('realtime.topic', true), '')::text $$;
CREATE FUNCTION realtime.send(payload jsonb, event text, topic text, private boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('realtime.topic', topic, true);
    INSERT INTO realtime.messages (payload, event, topic, private, extension)
        VALUES (payload, event, topic, private, 'broadcast');
END
$$;
CREATE POLICY own_channel ON realtime.messages TO authenticated
    USING (realtime.topic() = 'user:' || (SELECT auth.uid())) WITH CHECK (realtime.topic() = 'user:' || (SELECT auth.uid()));
INSERT INTO realtime.messages (topic, extension) SELECT 'user:' || id, 'broadcast' FROM auth.users;
CREATE PUBLICATION supabase_realtime;
CREATE PUBLICATION supabase_realtime_messages_publication FOR TABLE realtime.messages;

-- Secrets.
CREATE SCHEMA vault;
CREATE TABLE vault.secrets (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text UNIQUE, secret text NOT NULL);
CREATE VIEW vault.decrypted_secrets AS SELECT *, secret AS decrypted_secret FROM vault.secrets;
CREATE FUNCTION vault.create_secret(new_secret text) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = ''
    AS $$ insert into vault.secrets (secret) values (new_secret) returning id $$;
REVOKE ALL ON FUNCTION vault.create_secret(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA vault TO migrator WITH GRANT OPTION;
GRANT USAGE ON SCHEMA vault TO service_role;
GRANT SELECT, DELETE ON vault.secrets, vault.decrypted_secrets TO migrator WITH GRANT OPTION;
GRANT SELECT, DELETE ON vault.secrets, vault.decrypted_secrets TO service_role;
GRANT EXECUTE ON FUNCTION vault.create_secret(text) TO migrator WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION vault.create_secret(text) TO service_role;
INSERT INTO vault.secrets (name, secret) VALUES ('key', 'not a real secret');

-- Jobs: pg_cron.
CREATE SCHEMA cron;
CREATE TABLE cron.job (jobid bigserial PRIMARY KEY, schedule text NOT NULL, command text NOT NULL, username text DEFAULT CURRENT_USER);
CREATE TABLE cron.job_run_details (jobid bigint, runid bigserial PRIMARY KEY, command text, username text);
ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
ALTER TABLE cron.job_run_details ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = CURRENT_USER);
CREATE POLICY cron_job_run_details_policy ON cron.job_run_details USING (username = CURRENT_USER);
GRANT SELECT ON cron.job, cron.job_run_details TO PUBLIC;
GRANT USAGE ON SCHEMA cron TO migrator WITH GRANT OPTION;
CREATE FUNCTION cron.schedule(schedule text, command text) RETURNS bigint LANGUAGE sql
    AS $$ insert into cron.job (schedule, command) values ($1, $2) returning jobid $$;
INSERT INTO cron.job (schedule, command, username) VALUES ('0 3 * * *', 'SELECT 1', 'migrator');

-- Requests to other servers: pg_net.
CREATE SCHEMA net;
CREATE TABLE net.http_request_queue (id bigserial, method text NOT NULL, url text NOT NULL, headers jsonb, body bytea);
CREATE TABLE net._http_response (id bigint, status_code integer, content text, created timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION net.http_get(url text) RETURNS bigint LANGUAGE sql
    AS $$ insert into net.http_request_queue (method, url) values ('GET', $1) returning id $$;
GRANT USAGE ON SCHEMA net TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA net TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA net TO PUBLIC;

-- Webhooks.
CREATE SCHEMA supabase_functions AUTHORIZATION supabase_functions_admin;
GRANT USAGE ON SCHEMA supabase_functions TO migrator, anon, authenticated, service_role;
CREATE TABLE supabase_functions.hooks (id bigserial PRIMARY KEY, hook_table_id integer NOT NULL, hook_name text NOT NULL, request_id bigint);
CREATE TABLE supabase_functions.migrations (version text PRIMARY KEY);
GRANT ALL ON ALL TABLES IN SCHEMA supabase_functions TO migrator, anon, authenticated, service_role;
GRANT ALL ON ALL SEQUENCES IN SCHEMA supabase_functions TO migrator, anon, authenticated, service_role;

-- Queues, as they are when they are made: nobody's but the migrator's.
CREATE SCHEMA pgmq;
CREATE TABLE pgmq.q_letters (
    msg_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, read_ct integer DEFAULT 0 NOT NULL,
    enqueued_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL, message jsonb
);
ALTER TABLE pgmq.q_letters ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION pgmq.send(queue_name text, msg jsonb) RETURNS bigint LANGUAGE sql
    AS $$ insert into pgmq.q_letters (vt, message) values (now(), msg) returning msg_id $$;

-- GraphQL.
CREATE SCHEMA graphql;
CREATE SCHEMA graphql_public;
CREATE FUNCTION graphql.resolve(query text) RETURNS jsonb LANGUAGE sql AS $$ select jsonb_build_object('data', null) $$;
CREATE FUNCTION graphql_public.graphql(
    "operationName" text DEFAULT NULL, query text DEFAULT NULL, variables jsonb DEFAULT NULL, extensions jsonb DEFAULT NULL
) RETURNS jsonb LANGUAGE sql SET search_path = '' AS $$ select graphql.resolve(query) $$;
GRANT USAGE ON SCHEMA graphql, graphql_public TO migrator, anon, authenticated, service_role;

-- The connection pooler.
CREATE SCHEMA pgbouncer AUTHORIZATION pgbouncer;
CREATE FUNCTION pgbouncer.get_auth(p_usename text) RETURNS TABLE (username text, password text)
    LANGUAGE sql SECURITY DEFINER SET search_path = '' AS $$ select rolname::text, rolpassword from pg_authid where rolname = $1 $$;
REVOKE ALL ON FUNCTION pgbouncer.get_auth(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgbouncer.get_auth(text) TO pgbouncer;

-- Its command line's own history.
CREATE SCHEMA supabase_migrations AUTHORIZATION migrator;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
ALTER TABLE supabase_migrations.schema_migrations OWNER TO migrator;

-- PostgREST is told of changes.
CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY pgrst, 'reload schema';
END
$$;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
