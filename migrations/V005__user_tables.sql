-- A user's assistants, and the resources that every user reads.
-- Each table is closed in the file that creates it: RLS on and forced, every grant revoked. Policies follow in V007.

CREATE TABLE public.user_assistants (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
    assistant_id TEXT NOT NULL,
    name TEXT,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
ALTER TABLE public.user_assistants ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.user_assistants FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.user_assistants FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_user_assistants_user ON public.user_assistants (user_id);
CREATE INDEX idx_user_assistants_assistant ON public.user_assistants (assistant_id);

COMMENT ON TABLE public.user_assistants IS 'An OpenAI assistant that an account has set up. Belongs to the account in user_id.';
COMMENT ON COLUMN public.user_assistants.user_id IS 'The owner. Accounts with data cannot be deleted until the data is erased.';

CREATE TABLE public.resources (
    id VARCHAR PRIMARY KEY,
    content TEXT NOT NULL,
    -- TIMESTAMP without zone, as documented; written in UTC whatever the session's TimeZone is
    created_at TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'utc'),
    updated_at TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'utc')
);
ALTER TABLE public.resources ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.resources FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.resources FROM PUBLIC, anon, authenticated, service_role;

COMMENT ON TABLE public.resources IS 'Static content without an owner: everyone signed in reads it, admins write it.';
COMMENT ON COLUMN public.resources.created_at IS 'In UTC.';
COMMENT ON COLUMN public.resources.updated_at IS 'In UTC.';
