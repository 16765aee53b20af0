-- The chat system: threads, their messages, the messages' annotations, the threads' files.
-- Each table is closed in the file that creates it: RLS on and forced, every grant revoked. Policies follow in V007.

CREATE TABLE public.chat_threads (
    -- departs from the document: without a default every insert of the application fails (23502)
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    -- no ON DELETE on purpose: health records are not lost by deleting a login
    user_id UUID NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id),
    thread_id TEXT NOT NULL,
    assistant_id TEXT,
    status public.chat_thread_status,
    metadata JSONB[],
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.chat_threads ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.chat_threads FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.chat_threads FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_chat_threads_user ON public.chat_threads (user_id);
-- departs from the document: unique, since chat_messages refers to it (42830 otherwise)
CREATE UNIQUE INDEX idx_chat_threads_thread ON public.chat_threads (thread_id);
CREATE INDEX idx_chat_threads_user_created ON public.chat_threads (user_id, created_at DESC);
CREATE INDEX idx_chat_threads_user_updated ON public.chat_threads (user_id, updated_at DESC);
CREATE INDEX idx_chat_threads_assistant ON public.chat_threads (assistant_id);

COMMENT ON TABLE public.chat_threads IS 'A conversation. Belongs to the account in user_id.';
COMMENT ON COLUMN public.chat_threads.user_id IS 'The owner. Accounts with data cannot be deleted until the data is erased.';
COMMENT ON COLUMN public.chat_threads.thread_id IS 'The thread''s id at OpenAI: a capability; resolve it only through the owner''s row.';

CREATE TABLE public.chat_messages (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    -- departs from the document: ON DELETE CASCADE, the application relies on it
    thread_id TEXT REFERENCES public.chat_threads (thread_id) ON DELETE CASCADE,
    message_id TEXT,
    user_id TEXT,
    role public.message_role NOT NULL,
    content TEXT NOT NULL,
    created_at TIMESTAMPTZ DEFAULT now(),
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
ALTER TABLE public.chat_messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.chat_messages FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.chat_messages FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_chat_messages_thread ON public.chat_messages (thread_id);
CREATE INDEX idx_chat_messages_user ON public.chat_messages (user_id);
CREATE INDEX idx_chat_messages_thread_created ON public.chat_messages (thread_id, created_at);
CREATE INDEX idx_chat_messages_message ON public.chat_messages (message_id);

COMMENT ON TABLE public.chat_messages IS 'A message. Belongs to whom its thread belongs to; without a thread, to nobody.';
COMMENT ON COLUMN public.chat_messages.user_id IS 'The author''s id as text. Names the author and grants nothing; clients may set NULL or their own id.';

CREATE TABLE public.chat_message_annotations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    message_id UUID REFERENCES public.chat_messages (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    text TEXT NOT NULL,
    file_id TEXT,
    quote TEXT,
    start_index INTEGER,
    end_index INTEGER,
    created_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.chat_message_annotations ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.chat_message_annotations FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.chat_message_annotations FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_chat_annotations_message ON public.chat_message_annotations (message_id);
CREATE INDEX idx_chat_annotations_message_start ON public.chat_message_annotations (message_id, start_index);
CREATE INDEX idx_chat_annotations_file ON public.chat_message_annotations (file_id);

COMMENT ON TABLE public.chat_message_annotations IS 'A citation or file reference inside a message. Belongs to whom the message belongs to.';
COMMENT ON COLUMN public.chat_message_annotations.file_id IS 'The file''s id at OpenAI: a capability; resolve it only through the owner''s row.';

CREATE TABLE public.chat_files (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    -- departs from the document: the foreign key that its tree "chat_threads > chat_files" implies
    thread_id UUID NOT NULL REFERENCES public.chat_threads (id) ON DELETE CASCADE,
    file_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER,
    metadata JSONB,
    created_at TIMESTAMPTZ DEFAULT now()
);
ALTER TABLE public.chat_files ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.chat_files FORCE ROW LEVEL SECURITY;
REVOKE ALL ON TABLE public.chat_files FROM PUBLIC, anon, authenticated, service_role;

CREATE INDEX idx_chat_files_thread ON public.chat_files (thread_id);
CREATE INDEX idx_chat_files_file ON public.chat_files (file_id);

COMMENT ON TABLE public.chat_files IS 'A file attached to a conversation. Belongs to whom the thread belongs to.';
COMMENT ON COLUMN public.chat_files.file_id IS 'The file''s id at OpenAI: a capability; resolve it only through the owner''s row.';
